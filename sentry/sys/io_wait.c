#include "sentry/sys/io_wait.h"

#include <errno.h>

#include "sentry/fs/file.h"
#include "sentry/kernel/task_wait.h"

/* 0: try again; else what the caller returns. */
static long sleep_once(struct task *t, uint64_t deadline)
{
	int err = task_sleep(t, deadline);

	return err == -ETIMEDOUT ? -EAGAIN : err;
}

long io_wait(struct task *t, struct file *f, uint32_t events, bool nonblock, uint64_t deadline,
	     long (*op)(struct file *f, void *arg), void *arg)
{
	long r = op(f, arg), err = 0;
	struct task_waiter tw;

	if (r != -EAGAIN || nonblock || !f->wq || (atomic_load(&f->flags) & O_NONBLOCK))
		return r;
	task_waiter_add(&tw, t, f->wq, events);
	while ((r = op(f, arg)) == -EAGAIN && err == 0)
		err = sleep_once(t, deadline);
	task_waiter_del(&tw);
	return r == -EAGAIN ? err : r;
}

long wait_on(struct task *t, struct waitq *wq, uint32_t events, uint64_t deadline,
	     long (*cond)(void *arg), void *arg)
{
	struct task_waiter tw;
	long r, err = 0;

	task_waiter_add(&tw, t, wq, events);
	while ((r = cond(arg)) == -EAGAIN && err == 0)
		err = sleep_once(t, deadline);
	task_waiter_del(&tw);
	return r == -EAGAIN ? err : r;
}
