/*
 * madvise(2), mincore(2), msync(2).
 *
 * Advice falls into three kinds: what the host must do (DONTNEED, FREE, ...),
 * what is remembered in the VMA (for /proc, fork and later checks) and passed
 * on, and what is only checked. As on Linux the mapped parts of a range are
 * served and holes then yield -ENOMEM.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "sentry/fs/inode.h"
#include "sentry/mm/internal.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

/* What an advice means. */
struct advice {
	int number;
	unsigned int set, clear; /* VMA_* */
	bool to_host;
	/* Refuses a VMA; may be NULL. */
	int (*check)(const struct vma *v);
};

static int check_unlocked(const struct vma *v)
{
	return v->advice & VMA_LOCKED ? -EINVAL : 0;
}

static int check_free(const struct vma *v)
{
	return v->file || (v->advice & VMA_LOCKED) ? -EINVAL : 0;
}

static int check_private_anonymous(const struct vma *v)
{
	return v->file ? -EINVAL : 0;
}

static int check_populate_read(const struct vma *v)
{
	return v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC) ? 0 : -EINVAL;
}

static int check_populate_write(const struct vma *v)
{
	return v->prot & PROT_WRITE ? 0 : -EINVAL;
}

static const struct advice advices[] = {
    {MADV_NORMAL, 0, VMA_RAND_READ | VMA_SEQ_READ, false, NULL},
    {MADV_RANDOM, VMA_RAND_READ, VMA_SEQ_READ, false, NULL},
    {MADV_SEQUENTIAL, VMA_SEQ_READ, VMA_RAND_READ, false, NULL},
    {MADV_WILLNEED, 0, 0, false, NULL},
    {MADV_DONTNEED, 0, 0, true, check_unlocked},
    {MADV_FREE, 0, 0, true, check_free},
    {MADV_DONTFORK, VMA_DONTFORK, 0, true, NULL},
    {MADV_DOFORK, 0, VMA_DONTFORK, true, NULL},
    {MADV_WIPEONFORK, VMA_WIPEONFORK, 0, true, check_private_anonymous},
    {MADV_KEEPONFORK, 0, VMA_WIPEONFORK, true, NULL},
    {MADV_DONTDUMP, VMA_DONTDUMP, 0, false, NULL},
    {MADV_DODUMP, 0, VMA_DONTDUMP, false, NULL},
    {MADV_MERGEABLE, VMA_MERGEABLE, 0, false, NULL},
    {MADV_UNMERGEABLE, 0, VMA_MERGEABLE, false, NULL},
    {MADV_HUGEPAGE, VMA_HUGEPAGE, VMA_NOHUGEPAGE, true, NULL},
    {MADV_NOHUGEPAGE, VMA_NOHUGEPAGE, VMA_HUGEPAGE, true, NULL},
    {MADV_COLD, 0, 0, false, check_unlocked},
    {MADV_PAGEOUT, 0, 0, false, check_unlocked},
    {MADV_POPULATE_READ, 0, 0, true, check_populate_read},
    {MADV_POPULATE_WRITE, 0, 0, true, check_populate_write},
    {MADV_DONTNEED_LOCKED, 0, 0, true, NULL},
    {MADV_COLLAPSE, 0, 0, false, NULL},
};

static const struct advice *find_advice(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (advices[i].number == number)
			return &advices[i];
	return NULL;
}

static void remember(struct mm *mm, const struct advice *a, uint64_t start, uint64_t end)
{
	bool same = true;
	struct vma_node *n;

	for (n = vma_find(mm->vmas, start); n && n->v.start < end; n = vma_next(n))
		same &= ((n->v.advice & ~a->clear) | a->set) == n->v.advice;
	if (same)
		return;
	for (n = vma_isolate(mm->vmas, start, end); n && n->v.start < end; n = vma_next(n))
		n->v.advice = (n->v.advice & ~a->clear) | a->set;
	vma_merge_range(mm->vmas, start, end);
}

/* One stretch without holes. */
static int advise_stretch(struct mm *mm, struct pf_thread *t, const struct advice *a,
			  uint64_t start, uint64_t end)
{
	int number = a->number == MADV_DONTNEED_LOCKED ? MADV_DONTNEED : a->number;
	int r = 0;

	if ((a->set | a->clear) &&
	    mm->vmas->count + vma_isolate_cost(mm->vmas, start, end) > MM_MAX_MAP_COUNT)
		return -ENOMEM;
	if (a->to_host && t && end <= pf_max_addr()) {
		if (a->number == MADV_DONTNEED || a->number == MADV_FREE)
			mm_be_late_shared(mm, t);
		r = pf_madvise(t, UADDR(start), end - start, number);
	}
	if (r == 0 && (a->set | a->clear))
		remember(mm, a, start, end);
	return r;
}

/*
 * The longest stretch from *start (moved over a hole first) that the advice may be given to;
 * *stop is the error that follows it, *hole tells of a hole before it. False: nothing left.
 */
static bool next_stretch(struct mm *mm, const struct advice *a, uint64_t *start, uint64_t end,
			 uint64_t *until, bool *hole, int *stop)
{
	struct vma_node *n = vma_find(mm->vmas, *start);

	if (!n || n->v.start >= end) {
		*hole = true;
		return false;
	}
	if (n->v.start > *start) {
		*hole = true;
		*start = n->v.start;
	}
	for (*until = *start; n && n->v.start <= *until && *until < end; n = vma_next(n)) {
		*stop = a->check ? a->check(&n->v) : 0;
		if (*stop < 0)
			break;
		*until = min(n->v.end, end);
	}
	return true;
}

static int advise_range(struct mm *mm, struct pf_thread *t, const struct advice *a, uint64_t start,
			uint64_t end)
{
	bool hole = false;
	uint64_t until;
	int stop = 0, r;

	while (start < end && next_stretch(mm, a, &start, end, &until, &hole, &stop)) {
		r = until > start ? advise_stretch(mm, t, a, start, until) : 0;
		if (r < 0 || stop < 0)
			return r < 0 ? r : stop;
		start = until;
		if (hole && (a->number == MADV_POPULATE_READ || a->number == MADV_POPULATE_WRITE))
			break;
	}
	return hole ? -ENOMEM : 0;
}

/* --- MADV_REMOVE: a hole in the file behind shared mappings ------------------------------ */

static int remove_one(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t *next,
		      struct file **file, uint64_t *offset)
{
	SCOPED_LOCK(&mm->lock);
	struct vma_node *n = vma_find(mm->vmas, start);

	if (!n || n->v.start > start)
		return -ENOMEM;
	if ((n->v.advice & VMA_LOCKED) || !n->v.file || !n->v.file->inode)
		return -EINVAL;
	if (!(n->v.flags & MAP_SHARED) || !(n->v.max_prot & PROT_WRITE))
		return -EACCES;
	*next = min(*next, n->v.end);
	*offset = n->v.offset + (start - n->v.start);
	*file = n->v.file->ops->fallocate ? file_get(n->v.file) : NULL;
	if (*file)
		return 0;
	return t ? pf_madvise(t, UADDR(start), *next - start, MADV_REMOVE) : 0;
}

static int advise_remove(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end)
{
	while (start < end) {
		struct file *f = NULL;
		uint64_t next = end, offset = 0;
		int r = remove_one(mm, t, start, &next, &f, &offset);

		if (r < 0)
			return r;
		if (f) {
			r = f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					      (off_t)offset, (off_t)(next - start));
			file_put(f);
			if (r < 0)
				return r;
		}
		start = next;
	}
	return 0;
}

int mm_madvise(struct mm *mm, struct pf_thread *t, uaddr addr, uint64_t len, int advice)
{
	const struct advice *a = find_advice(advice);
	uint64_t end;

	if (!a && advice != MADV_REMOVE)
		return -EINVAL;
	if (!page_aligned(addr.va) || !mm_range_end(addr.va, len, &end))
		return -EINVAL;
	if (end == addr.va)
		return 0;
	if (advice == MADV_REMOVE)
		return advise_remove(mm, t, addr.va, end);
	SCOPED_LOCK(&mm->lock);
	mm_settle(mm, t);
	return advise_range(mm, t, a, addr.va, end);
}

int mm_mincore(struct mm *mm, struct pf_thread *t, uaddr addr, uint64_t len, unsigned char *vec)
{
	SCOPED_LOCK(&mm->lock);

	if (!vma_covered(mm->vmas, addr.va, addr.va + len))
		return -ENOMEM;
	return pf_mincore(t, addr, len, vec);
}

/* --- msync -------------------------------------------------------------------------------- */

/* The file to sync from `start` on, or NULL; *next is where to go on. */
static int sync_one(struct mm *mm, uint64_t start, int flags, uint64_t *next, bool *hole,
		    struct file **file)
{
	SCOPED_LOCK(&mm->lock);
	struct vma_node *n = vma_find(mm->vmas, start);

	if (!n || n->v.start > start) {
		*hole = true;
		*next = n ? min(*next, n->v.start) : *next;
		return 0;
	}
	if ((flags & MS_INVALIDATE) && (n->v.advice & VMA_LOCKED))
		return -EBUSY;
	*next = min(*next, n->v.end);
	if ((flags & MS_SYNC) && (n->v.flags & MAP_SHARED) && n->v.file && n->v.file->ops->fsync)
		*file = file_get(n->v.file);
	return 0;
}

int mm_msync(struct mm *mm, uaddr addr, uint64_t len, int flags)
{
	uint64_t start = addr.va, end;
	bool hole = false;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !page_aligned(start) ||
	    ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if (!mm_range_end(start, len, &end))
		return -ENOMEM;
	while (start < end) {
		struct file *f = NULL;
		uint64_t next = end;
		int r = sync_one(mm, start, flags, &next, &hole, &f);

		if (f) {
			r = f->ops->fsync(f, true);
			file_put(f);
		}
		if (r < 0)
			return r;
		start = next;
	}
	return hole ? -ENOMEM : 0;
}
