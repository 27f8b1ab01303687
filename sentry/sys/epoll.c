/* epoll_create(2), epoll_ctl(2), epoll_wait(2) and their variants. */
#include "sentry/fs/epoll.h"

#include <errno.h>
#include <limits.h>

#include "common/host.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/poll.h"

#define ON_STACK 32

static long create(struct task *t, bool cloexec)
{
	struct file *f;
	int err = epoll_new(t->cred, &f);

	return err ? err : fd_new(t, f, cloexec);
}

long sys_epoll_create(struct task *t, const struct sysargs *a)
{
	return (int)a->v[0] <= 0 ? -EINVAL : create(t, false);
}

long sys_epoll_create1(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[0];

	return flags & ~EPOLL_CLOEXEC ? -EINVAL : create(t, flags & EPOLL_CLOEXEC);
}

long sys_epoll_ctl(struct task *t, const struct sysargs *a)
{
	int op = (int)a->v[1], fd = (int)a->v[2], err = 0;
	struct epoll_event event = {0};
	struct file *ep, *target;

	if (op != EPOLL_CTL_DEL)
		err = copyin(t, &event, UADDR(a->v[3]), sizeof(event));
	if (err)
		return err;
	ep = fd_get_io(t->files, (int)a->v[0]);
	if (!ep)
		return -EBADF;
	target = fd_get_io(t->files, fd);
	err = target ? epoll_ctl_file(ep, op, fd, target, &event) : -EBADF;
	if (target)
		file_put(target);
	file_put(ep);
	return err;
}

struct epoll_sleeper {
	struct waiter w;
	struct sleeper *sleeper;
};

static bool wake_sleeper(struct waiter *w, uint32_t events)
{
	sleeper_wake(container_of(w, struct epoll_sleeper, w)->sleeper);
	return true;
}

/* Until there may be something to collect: 0, -ETIMEDOUT or -ERESTARTSYS. */
static int sleep_on(struct task *t, struct file *ep, uint64_t deadline)
{
	struct epoll_sleeper s = {.w = {.events = POLLIN, .exclusive = true, .wake = wake_sleeper},
				  .sleeper = t->sleeper};
	int err = 0;

	waitq_add(epoll_sleepers(ep), &s.w);
	while (!epoll_maybe_ready(ep) && !err)
		err = task_sleep(t, deadline);
	waitq_del(&s.w);
	if (err && epoll_maybe_ready(ep))
		waitq_wake(epoll_sleepers(ep), POLLIN); /* we may have taken another's wake-up */
	return err;
}

static long collect(struct task *t, struct file *ep, struct epoll_event *events, int max,
		    uint64_t deadline)
{
	int n = epoll_collect(ep, events, max), err = 0;

	while (n == 0 && deadline > 0 && !err) {
		err = sleep_on(t, ep, deadline);
		if (err != -ERESTARTSYS)
			n = epoll_collect(ep, events, max);
	}
	return n > 0 || err != -ERESTARTSYS ? n : -EINTR; /* signal(7): never restarted */
}

static long wait_events(struct task *t, const struct sysargs *a, uint64_t deadline)
{
	struct epoll_event few[ON_STACK], *events = few;
	int max = (int)a->v[2];
	struct file *ep;
	long n = -EINVAL;

	if (max <= 0 || max > INT_MAX / (int)sizeof(*events))
		return -EINVAL;
	ep = fd_get_io(t->files, (int)a->v[0]);
	if (!ep)
		return -EBADF;
	if (file_is_epoll(ep)) {
		max = (int)min((size_t)max, max(epoll_watches(ep), (size_t)ON_STACK));
		if (max > ON_STACK)
			events = charged_calloc((size_t)max, sizeof(*events));
		n = events ? collect(t, ep, events, max, deadline) : -ENOMEM;
	}
	file_put(ep);
	if (n > 0 && copyout_late(t, UADDR(a->v[1]), events, (size_t)n * sizeof(*events)))
		n = -EFAULT;
	if (events != few)
		charged_free(events);
	return n;
}

long sys_epoll_wait(struct task *t, const struct sysargs *a)
{
	return wait_events(t, a, deadline_ms((int)a->v[3]));
}

long sys_epoll_pwait(struct task *t, const struct sysargs *a)
{
	int err = signal_set_temporary_user(t, UADDR(a->v[4]), a->v[5]);

	return err ? err : wait_events(t, a, deadline_ms((int)a->v[3]));
}

long sys_epoll_pwait2(struct task *t, const struct sysargs *a)
{
	int64_t timeout;
	int err = copyin_timeout(t, UADDR(a->v[3]), &timeout);

	if (!err)
		err = signal_set_temporary_user(t, UADDR(a->v[4]), a->v[5]);
	return err ? err : wait_events(t, a, deadline_ns(timeout));
}
