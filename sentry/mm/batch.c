/*
 * Fewer hand-overs: mappings of a new image are collected and made on the host at once, and what
 * a single-threaded process asks for is made on its way back to guest code (see pf_late).
 */
#include "common/mem.h"
#include "sentry/mm/internal.h"

#define BATCH_MAX 32

struct mm_batch {
	unsigned int n;
	struct pf_map maps[BATCH_MAX];
};

void mm_batch_begin(struct mm *mm)
{
	assert(!mm->batch);
	mm->batch = NEW(struct mm_batch);
}

static int flush(struct mm_batch *b, struct pf_thread *t)
{
	int r = b->n ? pf_mmap_batch(t, b->maps, b->n) : 0;

	b->n = 0;
	return r;
}

int mm_host_map(struct mm *mm, struct pf_thread *t, const struct pf_map *map)
{
	struct mm_batch *b = mm->batch;
	int r;

	if (!b)
		return pf_mmap_batch(t, map, 1);
	r = b->n == BATCH_MAX ? flush(b, t) : 0;
	if (r == 0)
		b->maps[b->n++] = *map;
	return r;
}

int mm_batch_flush(struct mm *mm, struct pf_thread *t)
{
	int r = flush(mm->batch, t);

	free(mm->batch);
	mm->batch = NULL;
	return r;
}

/* --- late calls ---------------------------------------------------------------------------- */

/* The host has a limit of its own on VMAs, which it may count differently: keep away from it. */
#define LATE_VMAS (MM_MAX_MAP_COUNT / 2)

bool mm_be_late(struct mm *mm, struct pf_thread *t)
{
	mm->late.end = 0;
	if (!t || mm->batch || ref_read(&mm->ref) > 1 || mm->vmas->count >= LATE_VMAS)
		return false;
	pf_late(t);
	return true;
}

void mm_be_late_shared(struct mm *mm, struct pf_thread *t)
{
	mm->late.end = 0;
	if (t && !mm->batch)
		pf_late(t);
}

void mm_settle(struct mm *mm, struct pf_thread *t)
{
	uint64_t end = mm->late.end;

	if (!t || mm->batch || !pf_late_failed(t) || !end)
		return;
	mm->late.end = 0;
	(void)!mm_unmap_locked(mm, t, mm->late.start, end);
}
