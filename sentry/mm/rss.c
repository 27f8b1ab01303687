/*
 * How much of a space is resident. The host keeps the pages and the sentry has
 * no /proc to read; it asks the host about single pages. A space of more than
 * SAMPLES pages is sampled evenly, every VMA at least once.
 */
#include <sys/mman.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/mm/internal.h"

#define SAMPLES 1536

struct sample {
	uint64_t addr[SAMPLES * 2];
	uint32_t weight[SAMPLES * 2]; /* pages that it stands for */
	bool resident[SAMPLES * 2];
	size_t n;
};

static bool may_hold_pages(const struct vma *v)
{
	return (v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) && v->end <= pf_max_addr();
}

static void add_vma(struct sample *s, const struct vma *v, uint64_t stride)
{
	uint64_t left = pages(v->end - v->start), at = v->start;

	/* In the middle of each stretch, so that neither its ends nor its heads are favoured. */
	while (left && s->n < ARRAY_SIZE(s->addr)) {
		uint64_t n = min(left, stride);

		s->addr[s->n] = at + n / 2 * GUEST_PAGE;
		s->weight[s->n++] = (uint32_t)n;
		at += n * GUEST_PAGE;
		left -= n;
	}
}

static void choose(struct mm *mm, struct sample *s)
{
	struct vma_node *n;
	uint64_t total = 0;

	for (n = vma_first(mm->vmas); n; n = vma_next(n))
		if (may_hold_pages(&n->v))
			total += pages(n->v.end - n->v.start);
	for (n = vma_first(mm->vmas); n; n = vma_next(n))
		if (may_hold_pages(&n->v))
			add_vma(s, &n->v, total / SAMPLES + 1);
}

static void note_peak(struct mm *mm, uint64_t now)
{
	uint64_t peak = atomic_load(&mm->rss_peak);

	while (peak < now && !atomic_compare_exchange_weak(&mm->rss_peak, &peak, now))
		;
}

void mm_rss(struct mm *mm, uint64_t *now, uint64_t *peak)
{
	struct sample *s = NEW(struct sample);

	mutex_lock(&mm->lock);
	choose(mm, s);
	*now = mm->total_pages / 4; /* where the host cannot tell */
	mutex_unlock(&mm->lock);
	if (pf_space_resident(mm->space, s->addr, s->n, s->resident) == 0) {
		*now = 0;
		for (size_t i = 0; i < s->n; i++)
			*now += s->resident[i] ? s->weight[i] : 0;
	}
	free(s);
	atomic_store(&mm->rss_last, *now);
	atomic_store(&mm->rss_time, host_monotonic_ns());
	note_peak(mm, *now);
	*peak = atomic_load(&mm->rss_peak);
}

void mm_rss_refresh(struct mm *mm, uint64_t max_age)
{
	uint64_t now, peak;

	if (host_monotonic_ns() - atomic_load(&mm->rss_time) > max_age)
		mm_rss(mm, &now, &peak);
}

void mm_rss_last(struct mm *mm, uint64_t *now, uint64_t *peak)
{
	*now = atomic_load(&mm->rss_last);
	*peak = atomic_load(&mm->rss_peak);
}
