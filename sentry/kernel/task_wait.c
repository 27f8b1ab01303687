#include "sentry/kernel/task_wait.h"

#include <errno.h>

#include "sentry/abi/restart.h"

static bool wake(struct waiter *w, uint32_t events)
{
	sleeper_wake(container_of(w, struct task_waiter, w)->sleeper);
	return true;
}

void task_waiter_add(struct task_waiter *tw, struct task *t, struct waitq *q, uint32_t events)
{
	*tw = (struct task_waiter){.w = {.events = events, .wake = wake}, .sleeper = t->sleeper};
	list_init(&tw->w.node);
	waitq_add(q, &tw->w);
}

long task_wait_on(struct task *t, struct waitq *q, uint64_t deadline, long (*cond)(void *arg),
		  void *arg)
{
	struct task_waiter tw;
	long r;

	task_waiter_add(&tw, t, q, POLLIN);
	while ((r = cond(arg)) == -EAGAIN) {
		r = task_sleep(t, deadline);
		if (r < 0)
			break;
	}
	task_waiter_del(&tw);
	return r;
}
