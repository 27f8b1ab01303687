/* signalfd(2), signalfd4(2). */
#include "sentry/kernel/signalfd.h"

#include <errno.h>
#include <sys/signalfd.h>

#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"

static long change(struct task *t, int fd, ksigset mask)
{
	struct file *f = fd_get_io(t->files, fd);
	int err;

	if (!f)
		return -EBADF;
	err = signalfd_set_mask(f, mask);
	file_put(f);
	return err ? err : fd;
}

static long do_signalfd(struct task *t, const struct sysargs *a, int flags)
{
	int fd = (int)a->v[0], err;
	struct file *f;
	ksigset mask;

	if (a->v[2] != sizeof(mask) || (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)))
		return -EINVAL;
	err = copyin(t, &mask, UADDR(a->v[1]), sizeof(mask));
	if (err)
		return err;
	if (fd != -1)
		return change(t, fd, mask);
	err = signalfd_new(t->cred, mask, flags, &f);
	return err ? err : fd_new(t, f, flags & SFD_CLOEXEC);
}

long sys_signalfd(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, a, 0);
}

long sys_signalfd4(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, a, (int)a->v[3]);
}
