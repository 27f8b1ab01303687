#include "sentry/locks.h"

#include <string.h>

#include "common/log.h"

#ifndef NDEBUG
/* How many locks of each rank this thread holds. */
static __thread unsigned char held[RANK_COUNT];
static __thread uint32_t held_mask; /* the ranks of which it holds any: the quick check */
static_assert(RANK_COUNT <= 31, "held_mask has a bit for each rank");

static void rank_check(enum lock_rank rank)
{
	int lowest = rank == RANK_WAITQ ? rank + 1 : rank; /* the one rank that may nest */

	if (held_mask >> lowest)
		panic("lock order: taking rank %d while holding rank %d", rank,
		      lowest + __builtin_ctz(held_mask >> lowest));
}

static void rank_taken(enum lock_rank rank)
{
	held[rank]++;
	held_mask |= 1U << rank;
}

static void rank_released(enum lock_rank rank)
{
	assert(held[rank] > 0);
	if (--held[rank] == 0)
		held_mask &= ~(1U << rank);
}

void lock_layer_enter(struct lock_layer *saved)
{
	memcpy(saved->held, held, sizeof(held));
	memset(held, 0, sizeof(held));
	held_mask = 0;
}

void lock_layer_leave(const struct lock_layer *saved)
{
	for (int r = 0; r < RANK_COUNT; r++)
		assert(!held[r]);
	memcpy(held, saved->held, sizeof(held));
	for (int r = 0; r < RANK_COUNT; r++)
		held_mask |= held[r] ? 1U << r : 0;
}
#else
void lock_layer_enter(struct lock_layer *saved UNUSED)
{
}
void lock_layer_leave(const struct lock_layer *saved UNUSED)
{
}
static void rank_check(enum lock_rank rank UNUSED)
{
}
static void rank_taken(enum lock_rank rank UNUSED)
{
}
static void rank_released(enum lock_rank rank UNUSED)
{
}
#endif

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	*m = (struct mutex)MUTEX_INIT(rank);
}

void mutex_destroy(struct mutex *m)
{
	pthread_mutex_destroy(&m->m);
}

void mutex_lock(struct mutex *m)
{
	rank_check(m->rank);
	pthread_mutex_lock(&m->m);
	rank_taken(m->rank);
}

void mutex_unlock(struct mutex *m)
{
	rank_released(m->rank);
	pthread_mutex_unlock(&m->m);
}

void mutex_lock_pair(struct mutex *a, struct mutex *b)
{
	struct mutex *first = a < b ? a : b;
	struct mutex *second = a < b ? b : a;

	assert(a->rank == b->rank);
	mutex_lock(first);
	if (first == second)
		return;
	pthread_mutex_lock(&second->m);
	rank_taken(second->rank);
}

void mutex_unlock_pair(struct mutex *a, struct mutex *b)
{
	mutex_unlock(a);
	if (a != b)
		mutex_unlock(b);
}

void mutex_assert_held(const struct mutex *m)
{
#ifndef NDEBUG
	assert(held[m->rank] > 0);
#else
	(void)m;
#endif
}
