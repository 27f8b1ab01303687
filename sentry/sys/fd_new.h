/* Giving a new file to the guest. */
#ifndef GARRISON_SENTRY_SYS_FD_NEW_H
#define GARRISON_SENTRY_SYS_FD_NEW_H

#include "sentry/kernel/task.h"

/* Installs f at the lowest free descriptor. Takes the reference on f, also on failure. */
static inline int MUST_CHECK fd_new(struct task *t, struct file *f, bool cloexec)
{
	int fd = fd_install(t->files, f, 0, task_rlimit(t, RLIMIT_NOFILE), cloexec);

	if (fd < 0)
		file_put(f);
	return fd;
}

#endif
