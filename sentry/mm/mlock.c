/*
 * The mlock family, as bookkeeping: limits, VmLck and the errors are Linux's;
 * the pages are brought in but not pinned, since a guest's pages belong to its
 * container's memory cgroup and pinning them is not the guest's right.
 */
#include <errno.h>
#include <sys/mman.h>

#include "sentry/mm/internal.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

void mm_populate(struct pf_thread *t, uint64_t start, uint64_t end, int prot, int flags)
{
	int advice = MADV_POPULATE_READ;

	if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return;
	if ((prot & PROT_WRITE) && !(flags & MAP_SHARED))
		advice = MADV_POPULATE_WRITE;
	(void)!pf_madvise(t, UADDR(start), end - start, advice);
}

static void set_locked(struct mm *mm, struct pf_thread *t, struct vma_node *n, unsigned int lock)
{
	if (n->v.end > pf_max_addr())
		return;
	mm_count_out(mm, &n->v);
	n->v.advice = (n->v.advice & ~(unsigned int)(VMA_LOCKED | VMA_LOCK_ONFAULT)) | lock;
	mm_count_in(mm, &n->v);
	if (lock == VMA_LOCKED)
		mm_populate(t, n->v.start, n->v.end, n->v.prot, n->v.flags);
}

/* Marks [start, end) up to the first hole, where it fails. */
static int lock_range(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end,
		      unsigned int lock)
{
	struct vma_node *n;
	uint64_t at = start;

	if (mm->vmas->count + vma_isolate_cost(mm->vmas, start, end) > MM_MAX_MAP_COUNT)
		return -ENOMEM;
	for (n = vma_isolate(mm->vmas, start, end); n && n->v.start == at && at < end;
	     n = vma_next(n)) {
		set_locked(mm, t, n, lock);
		at = n->v.end;
	}
	vma_merge_range(mm->vmas, start, end);
	return at < end ? -ENOMEM : 0;
}

static uint64_t locked_bytes(struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t sum = 0;

	for (struct vma_node *n = vma_find(mm->vmas, start); n && n->v.start < end; n = vma_next(n))
		if (n->v.advice & VMA_LOCKED)
			sum += min(end, n->v.end) - max(start, n->v.start);
	return sum;
}

int mm_mlock(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
	     uint64_t len, bool lock, bool on_fault)
{
	uint64_t start = ROUND_DOWN(addr.va, GUEST_PAGE), end, fresh;
	unsigned int bits = lock ? VMA_LOCKED | (on_fault ? VMA_LOCK_ONFAULT : 0) : 0;

	if (lock && !lim->can_lock && lim->memlock == 0)
		return -EPERM;
	if (!mm_range_end(start, len + (addr.va - start), &end))
		return -EINVAL;
	if (end == start)
		return 0;
	SCOPED_LOCK(&mm->lock);
	if (lock) {
		fresh = end - start - locked_bytes(mm, start, end);
		if (mm_may_lock(mm, lim, fresh) < 0)
			return -ENOMEM;
	}
	return lock_range(mm, t, start, end, bits);
}

int mm_mlockall(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, int flags)
{
	unsigned int bits = flags & MCL_ONFAULT ? VMA_LOCKED | VMA_LOCK_ONFAULT : VMA_LOCKED;

	if (flags && !lim->can_lock && lim->memlock == 0)
		return -EPERM;
	SCOPED_LOCK(&mm->lock);
	if ((flags & MCL_CURRENT) && !lim->can_lock && lim->memlock / GUEST_PAGE < mm->total_pages)
		return -ENOMEM;
	mm->def_flags = flags & MCL_FUTURE ? (int)bits : 0;
	if (flags && !(flags & MCL_CURRENT))
		return 0;
	for (struct vma_node *n = vma_first(mm->vmas); n; n = vma_next(n))
		set_locked(mm, t, n, flags ? bits : 0);
	vma_merge_range(mm->vmas, 0, pf_max_addr());
	return 0;
}
