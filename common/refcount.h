/* Reference counts. An object starts with one reference, owned by its creator. */
#ifndef GARRISON_COMMON_REFCOUNT_H
#define GARRISON_COMMON_REFCOUNT_H

#include <stdatomic.h>

#include "common/base.h"

struct refcount {
	atomic_uint n;
};

static inline void ref_init(struct refcount *r)
{
	atomic_init(&r->n, 1);
}

static inline void ref_get(struct refcount *r)
{
	unsigned int old = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);

	assert(old > 0 && old < 0x7fffffff);
}

/* True when the last reference went; the caller then frees the object. */
static inline bool MUST_CHECK ref_put(struct refcount *r)
{
	unsigned int old = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);

	assert(old > 0);
	return old == 1;
}

/* Takes a reference unless the count already fell to zero (for lookups in tables). */
static inline bool MUST_CHECK ref_get_unless_zero(struct refcount *r)
{
	unsigned int n = atomic_load_explicit(&r->n, memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak(&r->n, &n, n + 1))
			return true;
	return false;
}

static inline unsigned int ref_read(const struct refcount *r)
{
	return atomic_load_explicit(&((struct refcount *)r)->n, memory_order_relaxed);
}

#endif
