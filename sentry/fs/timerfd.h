/* timerfd_create(2) and its companions. */
#ifndef GARRISON_SENTRY_FS_TIMERFD_H
#define GARRISON_SENTRY_FS_TIMERFD_H

#include <sys/timerfd.h>

#include "sentry/fs/file.h"

/* clock: one that timerfds may have (-EINVAL otherwise). flags: TFD_NONBLOCK. */
int timerfd_new(const struct cred *cred, int clock, int flags, struct file **out) MUST_CHECK;
/* -EINVAL: f is no timerfd, or unknown flags, or a field out of range. old may be NULL. */
int timerfd_set(struct file *f, int flags, const struct itimerspec *value,
		struct itimerspec *old) MUST_CHECK;
/* The clock it was made for, or -EINVAL. */
int timerfd_clock(const struct file *f) MUST_CHECK;
int timerfd_get(struct file *f, struct itimerspec *value) MUST_CHECK;

#endif
