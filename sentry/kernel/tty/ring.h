/* A ring of bytes of fixed size; a power of two. No locking. */
#ifndef GARRISON_SENTRY_KERNEL_TTY_RING_H
#define GARRISON_SENTRY_KERNEL_TTY_RING_H

#include <string.h>

#include "common/base.h"

#define RING_SIZE 16384U

struct ring {
	uint32_t head, tail; /* free-running */
	unsigned char data[RING_SIZE];
};

static inline uint32_t ring_used(const struct ring *r)
{
	return r->head - r->tail;
}

static inline uint32_t ring_room(const struct ring *r)
{
	return RING_SIZE - ring_used(r);
}

static inline void ring_clear(struct ring *r)
{
	r->tail = r->head;
}

/* As much as fits. */
static inline size_t ring_put(struct ring *r, const void *from, size_t n)
{
	uint32_t at = r->head % RING_SIZE;
	size_t first;

	n = min(n, (size_t)ring_room(r));
	first = min(n, (size_t)(RING_SIZE - at));
	memcpy(r->data + at, from, first);
	memcpy(r->data, (const char *)from + first, n - first);
	r->head += (uint32_t)n;
	return n;
}

/* The contiguous bytes at the front: their number. */
static inline size_t ring_front(const struct ring *r, const unsigned char **at)
{
	uint32_t tail = r->tail % RING_SIZE;

	*at = r->data + tail;
	return min(ring_used(r), RING_SIZE - tail);
}

static inline size_t ring_take(struct ring *r, void *to, size_t n)
{
	size_t done = 0;

	while (done < n && ring_used(r) > 0) {
		const unsigned char *at = NULL;
		size_t front = ring_front(r, &at), part = min(front, n - done);

		memcpy((char *)to + done, at, part);
		r->tail += (uint32_t)part;
		done += part;
	}
	return done;
}

#endif
