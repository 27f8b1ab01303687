/*
 * mprotect(2). As on Linux what lies before the first obstacle (a hole, a VMA
 * that may not have the rights) is changed, and then the error is returned; the
 * whole stretch is one stub command.
 */
#include <errno.h>
#include <sys/mman.h>

#include "sentry/mm/internal.h"

/* How far from start the new protection may be applied, and what stops it there (0: end). */
static int allowed_until(struct mm *mm, const struct mm_limits *lim, uint64_t start, uint64_t end,
			 int prot, uint64_t *until)
{
	struct vma_node *n = vma_find(mm->vmas, start);
	uint64_t new_data = 0;

	*until = start;
	for (; *until < end; n = vma_next(n)) {
		struct vma v;

		if (!n || n->v.start > *until)
			return -ENOMEM;
		if (prot & ~n->v.max_prot)
			return -EACCES;
		v = n->v;
		v.prot = prot;
		if (mm_is_data(&v) && !mm_is_data(&n->v))
			new_data += min(n->v.end, end) - *until;
		if (mm->data_pages * GUEST_PAGE + new_data > lim->data && new_data)
			return -ENOMEM;
		*until = min(n->v.end, end);
	}
	return 0;
}

static bool changes_nothing(struct mm *mm, uint64_t start, uint64_t end, int prot)
{
	for (struct vma_node *n = vma_find(mm->vmas, start); n && n->v.start < end; n = vma_next(n))
		if (n->v.prot != prot)
			return false;
	return true;
}

static int protect(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end, int prot)
{
	struct vma_node *n;
	int r;

	if (start == end || changes_nothing(mm, start, end, prot))
		return 0;
	if (mm->vmas->count + vma_isolate_cost(mm->vmas, start, end) > MM_MAX_MAP_COUNT)
		return -ENOMEM;
	mm_be_late(mm, t);
	r = pf_mprotect(t, UADDR(start), end - start, prot);
	if (r < 0)
		return r;
	for (n = vma_isolate(mm->vmas, start, end); n && n->v.start < end; n = vma_next(n)) {
		mm_count_out(mm, &n->v);
		n->v.prot = prot;
		mm_count_in(mm, &n->v);
	}
	vma_merge_range(mm->vmas, start, end);
	return 0;
}

/* PROT_GROWSDOWN and PROT_GROWSUP: the range is extended to the end of a stack. */
static int extend_range(struct mm *mm, uint64_t *start, int grows)
{
	struct vma_node *n = vma_find(mm->vmas, *start);

	if (!n || n->v.start > *start)
		return -ENOMEM;
	if (grows & PROT_GROWSUP)
		return -EINVAL; /* x86 has no such stacks */
	if (!(n->v.flags & MAP_GROWSDOWN))
		return -EINVAL;
	*start = n->v.start;
	return 0;
}

int mm_mprotect(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
		uint64_t len, int prot)
{
	const int known = PROT_READ | PROT_WRITE | PROT_EXEC;
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP), r, stop;
	uint64_t start = addr.va, end, until;

	prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !page_aligned(start))
		return -EINVAL;
	if (len == 0)
		return 0;
	if (!mm_range_end(start, len, &end) || end <= start)
		return -ENOMEM;
	if (prot & ~(known | 0x8 /* PROT_SEM */))
		return -EINVAL;
	prot &= known;
	SCOPED_LOCK(&mm->lock);
	mm_settle(mm, t);
	if (grows) {
		r = extend_range(mm, &start, grows);
		if (r < 0)
			return r;
	}
	stop = allowed_until(mm, lim, start, end, prot, &until);
	r = protect(mm, t, start, until, prot);
	return r < 0 ? r : stop;
}
