/*
 * Wait queues. A `struct waitq` is a list of waiters, each with a wake
 * callback: blocked tasks, poll, select and epoll are all waiters. Callbacks
 * run under the queue's lock (RANK_WAITQ) and may take RANK_LEAF locks only.
 *
 * The rule against lost wake-ups: a sleeper first adds its waiter, then tests
 * its condition, then sleeps; a waker first changes the state, then wakes.
 */
#ifndef GARRISON_SENTRY_CORE_WAITQ_H
#define GARRISON_SENTRY_CORE_WAITQ_H

#include <stdatomic.h>

#include "common/list.h"
#include "sentry/locks.h"

struct waitq {
	struct mutex lock;
	struct list waiters; /* struct waiter.node; guarded by lock */
	atomic_int count;    /* hint: waiters on the list, so that an idle wake is one load */
};

struct waiter {
	struct list node;
	struct waitq *queue; /* NULL: on none */
	uint32_t events;     /* POLL* bits it waits for; waitq_wake skips it if none match */
	bool exclusive;	     /* wake-one: waitq_wake stops after one such waiter that took it */
	/* Returns true if it took the wake-up (counts for `exclusive`). */
	bool (*wake)(struct waiter *w, uint32_t events);
};

void waitq_init(struct waitq *q);
void waitq_destroy(struct waitq *q); /* panics in debug builds if waiters remain */
void waitq_add(struct waitq *q, struct waiter *w);
/* After it returns, the callback is not running and will not run. May be called twice. */
void waitq_del(struct waiter *w);
/* Wakes the waiters whose events match (POLLERR and POLLHUP match always). */
void waitq_wake(struct waitq *q, uint32_t events);
/* Wakes all, exclusive ones too. */
void waitq_wake_all(struct waitq *q, uint32_t events);

#endif
