/* Sleeping on wait queues from kernel/: the counterpart of sys/io_wait.h. */
#ifndef GARRISON_SENTRY_KERNEL_TASK_WAIT_H
#define GARRISON_SENTRY_KERNEL_TASK_WAIT_H

#include "sentry/kernel/task.h"

struct task_waiter {
	struct waiter w;
	struct sleeper *sleeper;
};

/* Puts the calling task on the queue; a wake-up ends its task_sleep. */
void task_waiter_add(struct task_waiter *tw, struct task *t, struct waitq *q, uint32_t events);
static inline void task_waiter_del(struct task_waiter *tw)
{
	waitq_del(&tw->w);
}

/* Sleeps until cond(arg) is not -EAGAIN: its value, -ERESTARTSYS or -ETIMEDOUT. */
long task_wait_on(struct task *t, struct waitq *q, uint64_t deadline, long (*cond)(void *arg),
		  void *arg);

#endif
