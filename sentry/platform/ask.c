/*
 * The listener of the stubs' filter: answers the two calls that a stub may not
 * make without the sentry's consent, the clone of a process and the ask.
 *
 * One exchange at a time, under ask_lock: a command is posted to one stub
 * thread, and only notifications of that exchange are answered with what they
 * want. All others come from guest code that jumped into the stub; they get
 * -EPERM. The asker is known by the thread id in the notification, which the
 * kernel wrote. That the thread id belongs to the process meant is checked while the
 * asker waits for its answer, because the sentry knows thread ids only from
 * what stubs say. The kernel hands out notifications in the order of their
 * arrival, so a flood of them delays an exchange but cannot starve it.
 *
 * A stub that dies in the middle never asks: so the wait is cut into pieces,
 * between which the death is noticed.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "common/host.h"
#include "common/host_stub.h"
#include "sentry/platform/pf.h"

#define POLL_MS 20

static pthread_mutex_t ask_lock = PTHREAD_MUTEX_INITIALIZER;

static void answer(const struct seccomp_notif *n, int error, bool go_on)
{
	struct seccomp_notif_resp r = {
	    .id = n->id,
	    .error = error,
	    .flags = go_on ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
	};

	host_notif_send(pf.listener, &r);
}

static int answer_fd(const struct seccomp_notif *n, int fd)
{
	struct seccomp_notif_addfd a = {
	    .id = n->id,
	    .flags = SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND,
	    .srcfd = (uint32_t)fd,
	    .newfd = STUB_FD,
	};
	int r = host_notif_addfd(pf.listener, &a);

	if (r >= 0)
		return 0;
	answer(n, r, false);
	return r;
}

/* The next notification of anybody; -ESRCH if t's process is dead. */
static int next_notif(struct pf_thread *t, struct seccomp_notif *n)
{
	for (;;) {
		int r = host_notif_poll(pf.listener, POLL_MS);

		if (r > 0 && host_notif_recv(pf.listener, n) == 0)
			return 0;
		if (atomic_load(&t->space->dead))
			return -ESRCH;
	}
}

static bool is_from(const struct seccomp_notif *n, struct pf_thread *t)
{
	return n->pid == (uint32_t)t->tid && host_tgkill(t->space->pid, t->tid, 0) == 0;
}

/* The next notification that comes from t and is call `nr` with first argument `arg`. */
static int expect(struct pf_thread *t, long nr, uint64_t arg, struct seccomp_notif *n)
{
	for (;;) {
		int r = next_notif(t, n);

		if (r < 0)
			return r;
		if (n->data.nr == nr && n->data.args[0] == arg && is_from(n, t))
			return 0;
		answer(n, -EPERM, false);
	}
}

int ask_command(struct pf_thread *t, int fd)
{
	struct seccomp_notif n;
	int r;

	COUNT(asks);
	pthread_mutex_lock(&ask_lock);
	r = pf.ops->post(t, CMD_CALLS);
	if (r == 0)
		r = expect(t, STUB_ASK, ASK_FD, &n);
	if (r == 0)
		answer_fd(&n, fd);
	pthread_mutex_unlock(&ask_lock);
	return r == 0 ? pf.ops->finish(t) : r;
}

/* The child asks for its arena, or the parent says why there is no child. */
static int expect_child(struct pf_thread *t, struct pf_space *child, int arena_fd)
{
	struct seccomp_notif n;

	for (;;) {
		int r = next_notif(t, &n);

		if (r < 0)
			return r;
		if (n.data.nr == STUB_ASK && n.data.args[0] == ASK_CHILD &&
		    space_born(child, (pid_t)n.pid) == 0)
			return answer_fd(&n, arena_fd);
		if (n.data.nr == STUB_ASK && n.data.args[0] == ASK_NO_CHILD && is_from(&n, t)) {
			int error = (int)n.data.args[1];

			answer(&n, 0, false);
			return error < 0 && error >= -4095 ? error : -EAGAIN;
		}
		answer(&n, -EPERM, false);
	}
}

int ask_fork(struct pf_thread *t, struct pf_space *child, int arena_fd)
{
	struct seccomp_notif n;
	int r, done;

	COUNT(asks);
	pthread_mutex_lock(&ask_lock);
	r = pf.ops->post(t, CMD_FORK);
	if (r == 0)
		r = expect(t, __NR_clone, STUB_FORK_FLAGS, &n);
	if (r == 0) {
		answer(&n, 0, true);
		r = expect_child(t, child, arena_fd);
	}
	pthread_mutex_unlock(&ask_lock);
	done = pf.ops->finish(t);
	return r < 0 ? r : done;
}
