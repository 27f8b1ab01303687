/* The one place where a syscall blocks on a file. */
#ifndef GARRISON_SENTRY_SYS_IO_WAIT_H
#define GARRISON_SENTRY_SYS_IO_WAIT_H

#include "sentry/kernel/task.h"

/*
 * Runs op(arg) until it returns something else than -EAGAIN, sleeping on f->wq for `events`
 * in between. Returns at once with -EAGAIN when f has O_NONBLOCK or `nonblock` is set.
 * deadline: CLOCK_MONOTONIC ns or SLEEP_FOREVER; past it, -EAGAIN. -ERESTARTSYS on a signal.
 */
long io_wait(struct task *t, struct file *f, uint32_t events, bool nonblock, uint64_t deadline,
	     long (*op)(struct file *f, void *arg), void *arg);
/* The same on any wait queue; cond as op. */
long wait_on(struct task *t, struct waitq *wq, uint32_t events, uint64_t deadline,
	     long (*cond)(void *arg), void *arg);

#endif
