/* signalfd(2). */
#ifndef GARRISON_SENTRY_KERNEL_SIGNALFD_H
#define GARRISON_SENTRY_KERNEL_SIGNALFD_H

#include "sentry/kernel/task.h"

int signalfd_new(const struct cred *cred, ksigset mask, int flags, struct file **out) MUST_CHECK;
/* -EINVAL: f is no signalfd. */
int signalfd_set_mask(struct file *f, ksigset mask) MUST_CHECK;

#endif
