/* pipe(2), pipe2(2). */
#include "sentry/fs/pipe.h"

#include <errno.h>

#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"

static int install_both(struct task *t, struct file *ends[2], bool cloexec, int fds[2])
{
	fds[0] = fd_new(t, ends[0], cloexec);
	if (fds[0] < 0) {
		file_put(ends[1]);
		return fds[0];
	}
	fds[1] = fd_new(t, ends[1], cloexec);
	if (fds[1] < 0)
		fd_close(t->files, fds[0]);
	return fds[1] < 0 ? fds[1] : 0;
}

static long make_pipe(struct task *t, uaddr to, int flags)
{
	struct file *ends[2];
	int fds[2], err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	err = pipe_new(t->cred, flags, ends);
	if (err)
		return err;
	err = install_both(t, ends, flags & O_CLOEXEC, fds);
	if (err)
		return err;
	err = copyout(t, to, fds, sizeof(fds));
	if (err) {
		fd_close(t->files, fds[0]);
		fd_close(t->files, fds[1]);
	}
	return err;
}

long sys_pipe(struct task *t, const struct sysargs *a)
{
	return make_pipe(t, UADDR(a->v[0]), 0);
}

long sys_pipe2(struct task *t, const struct sysargs *a)
{
	return make_pipe(t, UADDR(a->v[0]), (int)a->v[1]);
}
