/* timerfd_create(2), timerfd_settime(2), timerfd_gettime(2). */
#include "sentry/fs/timerfd.h"

#include <errno.h>

#include "common/host_clock.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"

long sys_timerfd_create(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[1];
	struct file *f;
	int err;

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	err = timerfd_new(t->cred, (int)a->v[0], flags, &f);
	return err ? err : fd_new(t, f, flags & TFD_CLOEXEC);
}

/* A time as t's time namespace shows it; those that are no times stay for timerfd_set to refuse. */
static void to_host(struct task *t, struct file *f, struct timespec *when)
{
	int clock = timerfd_clock(f);
	int64_t offset = clock < 0 ? 0 : clock_offset(t, clock), ns;

	if (!offset || when->tv_sec < 0 || when->tv_nsec < 0 ||
	    when->tv_nsec >= (long)NSEC_PER_SEC || (!when->tv_sec && !when->tv_nsec))
		return;
	ns = (int64_t)timespec_ns(when) - offset;
	*when = timespec_from_ns((uint64_t)max(ns, (int64_t)1));
}

long sys_timerfd_settime(struct task *t, const struct sysargs *a)
{
	struct itimerspec value, old;
	struct file *f;
	int err;

	err = copyin(t, &value, UADDR(a->v[2]), sizeof(value));
	if (err)
		return err;
	f = fd_get_io(t->files, (int)a->v[0]);
	if (!f)
		return -EBADF;
	if (a->v[1] & TFD_TIMER_ABSTIME)
		to_host(t, f, &value.it_value);
	err = timerfd_set(f, (int)a->v[1], &value, &old);
	file_put(f);
	if (!err && a->v[3])
		err = copyout_late(t, UADDR(a->v[3]), &old, sizeof(old));
	return err;
}

long sys_timerfd_gettime(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	struct itimerspec value;
	int err;

	if (!f)
		return -EBADF;
	err = timerfd_get(f, &value);
	file_put(f);
	return err ? err : copyout_late(t, UADDR(a->v[1]), &value, sizeof(value));
}
