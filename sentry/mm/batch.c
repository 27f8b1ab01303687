/* Mappings of a new image, collected and then made on the host by one hand-over. */
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
