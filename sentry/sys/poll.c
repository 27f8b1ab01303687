/* poll(2), ppoll(2), and the engine that select(2) shares with them. */
#include "sentry/sys/poll.h"

#include <errno.h>
#include <poll.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

#define ON_STACK 8

uint64_t deadline_ns(int64_t timeout)
{
	if (timeout < 0)
		return SLEEP_FOREVER;
	return timeout == 0 ? 0 : host_monotonic_ns() + (uint64_t)timeout;
}

uint64_t deadline_ms(int timeout)
{
	return deadline_ns(timeout < 0 ? -1 : timeout * (int64_t)NSEC_PER_MSEC);
}

static bool watch_wake(struct waiter *w, uint32_t events)
{
	sleeper_wake(container_of(w, struct watch, w)->sleeper);
	return true;
}

/* Sources differ in which of two names of one event they wake with. */
static uint32_t wake_mask(uint32_t want)
{
	if (want & (POLLIN | POLLRDNORM))
		want |= POLLIN | POLLRDNORM;
	if (want & (POLLOUT | POLLWRNORM))
		want |= POLLOUT | POLLWRNORM;
	return want;
}

void watch_init(struct watch *w, struct task *t, int fd, uint32_t want)
{
	*w = (struct watch){.fd = fd, .want = want, .sleeper = t->sleeper};
	w->w.events = wake_mask(want);
	w->w.wake = watch_wake;
	w->file = fd_get_io(t->files, fd);
	if (!w->file)
		w->got = POLLNVAL;
}

void watch_fini(struct watch *w)
{
	if (w->file)
		file_put(w->file);
}

static long test_all(struct watch *watches, size_t n)
{
	long count = 0;

	for (size_t i = 0; i < n; i++) {
		struct watch *w = &watches[i];

		if (w->file)
			w->got = file_poll(w->file) & w->want;
		count += w->got != 0;
	}
	return count;
}

long watch_wait(struct task *t, struct watch *watches, size_t n, uint64_t deadline)
{
	long count = test_all(watches, n);
	int err = 0;

	if (count > 0)
		return count;
	if (deadline == 0) /* as Linux: a signal counts even then */
		return signal_pending(t) ? -ERESTARTSYS : 0;
	for (size_t i = 0; i < n; i++)
		if (watches[i].file && watches[i].file->wq)
			waitq_add(watches[i].file->wq, &watches[i].w);
	for (;;) {
		count = test_all(watches, n);
		if (count > 0 || err)
			break;
		err = task_sleep(t, deadline);
	}
	for (size_t i = 0; i < n; i++)
		waitq_del(&watches[i].w);
	return count == 0 && err == -ERESTARTSYS ? err : count;
}

/* --- poll ---------------------------------------------------------------------------- */

static long poll_watches(struct task *t, struct pollfd *fds, struct watch *watches, size_t n,
			 uint64_t deadline)
{
	size_t used = 0;
	long count;

	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			watch_init(&watches[used++], t, fds[i].fd,
				   (uint16_t)fds[i].events | POLLERR | POLLHUP);
	count = watch_wait(t, watches, used, deadline);
	for (size_t i = 0, k = 0; i < n; i++)
		fds[i].revents = fds[i].fd >= 0 ? (short)watches[k++].got : 0;
	for (size_t i = 0; i < used; i++)
		watch_fini(&watches[i]);
	return count;
}

static long poll_memory(struct task *t, uaddr at, size_t n, struct pollfd *fds,
			struct watch *watches, uint64_t deadline)
{
	int err = copyin(t, fds, at, n * sizeof(*fds));
	long count;

	if (err)
		return err;
	count = poll_watches(t, fds, watches, n, deadline);
	if (count >= 0)
		err = copyout_late(t, at, fds, n * sizeof(*fds));
	return err ? err : count;
}

static long do_poll(struct task *t, uaddr at, unsigned int n, uint64_t deadline)
{
	struct pollfd few_fds[ON_STACK], *fds = few_fds;
	struct watch few[ON_STACK], *watches = few;
	long count = -ENOMEM;

	if (n > task_rlimit(t, RLIMIT_NOFILE))
		return -EINVAL;
	if (n > ON_STACK) {
		fds = charged_calloc(n, sizeof(*fds));
		watches = charged_calloc(n, sizeof(*watches));
	}
	if (fds && watches)
		count = poll_memory(t, at, n, fds, watches, deadline);
	if (fds != few_fds)
		charged_free(fds);
	if (watches != few)
		charged_free(watches);
	return count;
}

static long poll_or_restart(struct task *t, uaddr at, unsigned int n, uint64_t deadline);

static long poll_restart(struct task *t)
{
	return poll_or_restart(t, UADDR(t->restart_data[0]), (unsigned int)t->restart_data[1],
			       t->restart_data[2]);
}

/* The deadline stays the same however often signals interrupt the call. */
static long poll_or_restart(struct task *t, uaddr at, unsigned int n, uint64_t deadline)
{
	long count = do_poll(t, at, n, deadline);

	if (count != -ERESTARTSYS)
		return count;
	t->restart_fn = poll_restart;
	t->restart_data[0] = at.va;
	t->restart_data[1] = n;
	t->restart_data[2] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

long sys_poll(struct task *t, const struct sysargs *a)
{
	return poll_or_restart(t, UADDR(a->v[0]), (unsigned int)a->v[1], deadline_ms((int)a->v[2]));
}

/* ppoll(2) updates the timeout; a guest that has it in read-only memory does not notice. */
static long give_rest(struct task *t, uaddr at, uint64_t deadline, long result)
{
	uint64_t now = host_monotonic_ns();
	struct timespec rest = timespec_from_ns(deadline > now ? deadline - now : 0);

	if (uaddr_null(at) || deadline == SLEEP_FOREVER || !copyout(t, at, &rest, sizeof(rest)))
		return result;
	return result == -ERESTARTNOHAND ? -EINTR : result;
}

long sys_ppoll(struct task *t, const struct sysargs *a)
{
	uaddr timeout_at = UADDR(a->v[2]);
	uint64_t deadline;
	int64_t timeout;
	long count;
	int err = copyin_timeout(t, timeout_at, &timeout);

	if (!err)
		err = signal_set_temporary_user(t, UADDR(a->v[3]), a->v[4]);
	if (err)
		return err;
	deadline = deadline_ns(timeout);
	count = do_poll(t, UADDR(a->v[0]), (unsigned int)a->v[1], deadline);
	if (count == -ERESTARTSYS)
		count = -ERESTARTNOHAND;
	return give_rest(t, timeout_at, deadline, count);
}
