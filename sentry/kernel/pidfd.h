/* pidfds (kernel/pidfd.c): files that stand for a process, or for a thread of it. */
#ifndef GARRISON_SENTRY_KERNEL_PIDFD_H
#define GARRISON_SENTRY_KERNEL_PIDFD_H

#include "sentry/kernel/task.h"

/* For t's process, or for t itself with `thread`. flags: O_NONBLOCK. */
int pidfd_new(struct task *opener, struct task *t, bool thread, int flags,
	      struct file **out) MUST_CHECK;
/* The process of a pidfd (owned), or -EBADF. */
int pidfd_process(struct file *f, struct process **out) MUST_CHECK;
bool pidfd_is(const struct file *f);
/* The number that it stands for, for /proc/PID/fdinfo: -1 once it is reaped. */
int pidfd_number(const struct file *f);

#endif
