#include "sentry/core/waitq.h"

#include <poll.h>

#include "common/log.h"
#include "sentry/core/sleeper.h"

void waitq_init(struct waitq *q)
{
	mutex_init(&q->lock, RANK_WAITQ);
	list_init(&q->waiters);
	atomic_init(&q->count, 0);
}

void waitq_destroy(struct waitq *q)
{
#ifndef NDEBUG
	if (!list_empty(&q->waiters))
		panic("a wait queue is destroyed while %d waiters are on it",
		      atomic_load(&q->count));
#endif
	mutex_destroy(&q->lock);
}

/*
 * Lost wake-ups:
 *	sleeper				waker
 *	count++ (sequentially		change the state
 *	  consistent)			full fence
 *	test the state			load count
 * One of the two sees what the other wrote. Exclusive waiters go to the end, so that
 * waitq_wake has told everyone else before it stops at one of them.
 */
void waitq_add(struct waitq *q, struct waiter *w)
{
	mutex_lock(&q->lock);
	if (w->exclusive)
		list_add_tail(&q->waiters, &w->node);
	else
		list_add(&q->waiters, &w->node);
	w->queue = q;
	atomic_fetch_add(&q->count, 1);
	mutex_unlock(&q->lock);
}

void waitq_del(struct waiter *w)
{
	struct waitq *q = w->queue;

	if (!q)
		return;
	mutex_lock(&q->lock);
	list_del(&w->node);
	w->queue = NULL;
	atomic_fetch_sub(&q->count, 1);
	mutex_unlock(&q->lock);
}

static void wake(struct waitq *q, uint32_t events, bool all)
{
	struct waiter *w, *tmp;

	/* The full fence and the load in one (and a fence that ThreadSanitizer knows). */
	if (atomic_fetch_add(&q->count, 0) == 0)
		return;
	sleeper_hold();
	mutex_lock(&q->lock);
	list_for_each_safe (w, tmp, &q->waiters, node) {
		if (!(events & (w->events | POLLERR | POLLHUP)))
			continue;
		if (w->wake(w, events) && w->exclusive && !all)
			break;
	}
	mutex_unlock(&q->lock);
	sleeper_release();
}

void waitq_wake(struct waitq *q, uint32_t events)
{
	wake(q, events, false);
}

void waitq_wake_all(struct waitq *q, uint32_t events)
{
	wake(q, events, true);
}
