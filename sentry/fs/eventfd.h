/* eventfd(2). */
#ifndef GARRISON_SENTRY_FS_EVENTFD_H
#define GARRISON_SENTRY_FS_EVENTFD_H

#include "sentry/fs/file.h"

/* flags: EFD_SEMAPHORE, EFD_NONBLOCK. *out is owned. */
int eventfd_new(const struct cred *cred, unsigned int count, int flags,
		struct file **out) MUST_CHECK;

bool eventfd_is(const struct file *f);

#endif
