/* eventfd(2), eventfd2(2). */
#include "sentry/fs/eventfd.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"

static long make_eventfd(struct task *t, unsigned int count, int flags)
{
	struct file *f;
	int err;

	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	err = eventfd_new(t->cred, count, flags, &f);
	return err ? err : fd_new(t, f, flags & EFD_CLOEXEC);
}

long sys_eventfd(struct task *t, const struct sysargs *a)
{
	return make_eventfd(t, (unsigned int)a->v[0], 0);
}

long sys_eventfd2(struct task *t, const struct sysargs *a)
{
	return make_eventfd(t, (unsigned int)a->v[0], (int)a->v[1]);
}
