/*
 * The listener of the stubs' filter: answers the two calls that a stub may not
 * make without the sentry's consent, the clone of a process and the ask.
 *
 * Who wants a stub to ask puts an expectation on a list before it posts the
 * command. Any notification that no expectation matches comes from guest code
 * that jumped into the stub; it gets -EPERM. The asker is known by the thread
 * id in the notification, which the kernel wrote; that the thread belongs to
 * the process meant is checked while it waits for its answer, because the sentry
 * knows thread ids only from what stubs say. A new process is known by a random
 * number that only its parent was told.
 *
 * One of the waiting threads at a time receives, and answers for all of them, so
 * a stub that is slow, stopped or hostile delays nobody but its own task. The
 * kernel hands out notifications in the order of their arrival, so a flood of
 * them cannot starve anyone. Since a stub that dies never asks, waits are cut
 * into pieces, between which the death is noticed; a failure on the stub's side
 * is told by an ask of its own.
 */
#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "common/host.h"
#include "common/host_stub.h"
#include "common/host_thread.h"
#include "sentry/platform/pf.h"

#define PIECE_MS 20

struct expectation {
	struct list node;
	struct pf_thread *t;
	const int *fds; /* to be given, in this order */
	unsigned int nfds;
	struct pf_space *child; /* fork: the process to be */
	uint64_t nonce;
	atomic_bool cloned; /* fork: the clone was allowed */
	bool receives;	    /* its thread is the receiver; guarded by list_lock */
	int result;
	atomic_uint done; /* 1: met; 2: the receiver left, take over */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list expected = LIST_INIT(expected); /* guarded by list_lock */
static pthread_mutex_t receiver = PTHREAD_MUTEX_INITIALIZER;

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

static void fulfil(struct expectation *e, int result)
{
	bool waits = !e->receives; /* e may be gone as soon as it is done */

	e->result = result;
	list_del(&e->node);
	atomic_store(&e->done, 1);
	if (waits)
		host_futex_wake(&e->done, 1);
}

static bool is_from(const struct seccomp_notif *n, struct pf_thread *t)
{
	return n->pid == (uint32_t)t->tid && host_tgkill(t->space->pid, t->tid, 0) == 0;
}

/* What the stub thread itself asks. False: not what was expected. */
static bool asked_by_stub(struct expectation *e, const struct seccomp_notif *n)
{
	if (n->data.nr == __NR_clone && e->child && !atomic_load(&e->cloned)) {
		atomic_store(&e->cloned, true);
		answer(n, 0, true);
		return true;
	}
	if (n->data.nr != STUB_ASK)
		return false;
	if (n->data.args[0] == ASK_FD && e->nfds) {
		int r = answer_fd(n, *e->fds++);

		if (--e->nfds == 0 || r < 0)
			fulfil(e, r);
		return true;
	}
	if (n->data.args[0] == ASK_FAILED) {
		int error = (int)n->data.args[1];

		answer(n, 0, false);
		fulfil(e, error < 0 && error >= -4095 ? error : -EAGAIN);
		return true;
	}
	return false;
}

static bool asked_by_child(struct expectation *e, const struct seccomp_notif *n)
{
	if (!e->child || !atomic_load(&e->cloned) || n->data.nr != STUB_ASK ||
	    n->data.args[0] != ASK_CHILD || n->data.args[1] != e->nonce ||
	    space_born(e->child, (pid_t)n->pid) < 0)
		return false;
	fulfil(e, answer_fd(n, *e->fds));
	return true;
}

static void dispatch(const struct seccomp_notif *n)
{
	struct expectation *e, *tmp;
	bool taken = false;

	pthread_mutex_lock(&list_lock);
	list_for_each_safe (e, tmp, &expected, node) {
		taken = is_from(n, e->t) ? asked_by_stub(e, n) : asked_by_child(e, n);
		if (taken)
			break;
	}
	pthread_mutex_unlock(&list_lock);
	if (!taken)
		answer(n, -EPERM, false);
}

/*
 * The stub handed over: no more asks of its own will come. A child that it made may still be on
 * its way to ask, if it lives; its pid is what the stub says, so this is a hint for an honest one.
 */
static bool given_up(struct expectation *e)
{
	int64_t pid;
	int status;

	if (!pf.ops->finished(e->t))
		return false;
	if (!atomic_load(&e->cloned))
		return true;
	pid = __atomic_load_n(&e->t->mbox->calls[0].result, __ATOMIC_RELAXED);
	return pid <= 0 || pid > INT_MAX || host_wait_peek((pid_t)pid, false, &status) != 0;
}

/* The calling thread receives for everybody until its own expectation is met. */
static void receive(struct expectation *e)
{
	struct seccomp_notif n;

	pthread_mutex_lock(&list_lock);
	e->receives = true;
	pthread_mutex_unlock(&list_lock);
	while (atomic_load(&e->done) != 1 && !atomic_load(&e->t->space->dead)) {
		if (host_notif_poll(pf.listener, PIECE_MS) > 0) {
			if (host_notif_recv(pf.listener, &n) == 0)
				dispatch(&n);
		} else if (given_up(e)) {
			break;
		}
	}
}

/* Another one that waits becomes the receiver. */
static void pass_on(void)
{
	struct expectation *e;
	unsigned int waiting = 0;

	pthread_mutex_lock(&list_lock);
	if (!list_empty(&expected)) {
		e = list_first(&expected, struct expectation, node);
		if (atomic_compare_exchange_strong(&e->done, &waiting, 2))
			host_futex_wake(&e->done, 1);
	}
	pthread_mutex_unlock(&list_lock);
}

static void await(struct expectation *e)
{
	while (atomic_load(&e->done) != 1 && !atomic_load(&e->t->space->dead)) {
		unsigned int told = 2;

		atomic_compare_exchange_strong(&e->done, &told, 0);
		if (pthread_mutex_trylock(&receiver) == 0) {
			receive(e);
			pthread_mutex_unlock(&receiver);
			break;
		}
		host_futex_wait(&e->done, 0, host_monotonic_ns() + PIECE_MS * NSEC_PER_MSEC);
		if (given_up(e))
			break;
	}
	pthread_mutex_lock(&list_lock);
	if (atomic_load(&e->done) != 1)
		e->result = -ESRCH;
	list_del(&e->node);
	pthread_mutex_unlock(&list_lock);
	pass_on();
}

static int exchange(struct expectation *e, enum stub_cmd cmd)
{
	int r;

	COUNT(asks);
	place_ask(e->t);
	pthread_mutex_lock(&list_lock);
	list_add_tail(&expected, &e->node);
	pthread_mutex_unlock(&list_lock);
	r = pf.ops->post(e->t, cmd);
	if (r == 0) {
		await(e);
		r = pf.ops->finish(e->t);
	} else {
		pthread_mutex_lock(&list_lock);
		list_del(&e->node);
		pthread_mutex_unlock(&list_lock);
	}
	return r < 0 ? r : e->result;
}

int ask_command(struct pf_thread *t, const int *fds, unsigned int nfds)
{
	struct expectation e = {.t = t, .fds = fds, .nfds = nfds};

	return exchange(&e, CMD_CALLS);
}

/* Random numbers are fetched in stock. */
static int nonce(uint64_t *out)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint64_t stock[32]; /* guarded by lock, as is: */
	static unsigned int left;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (left == 0 && getrandom(stock, sizeof(stock), 0) == sizeof(stock))
		left = ARRAY_SIZE(stock);
	if (left)
		*out = stock[--left];
	else
		r = -EAGAIN;
	pthread_mutex_unlock(&lock);
	return r;
}

int ask_fork(struct pf_thread *t, struct pf_space *child, int arena_fd)
{
	struct expectation e = {.t = t, .fds = &arena_fd, .child = child};

	int r = nonce(&e.nonce);

	if (r < 0)
		return r;
	t->space->forked = true;
	t->mbox->calls[0].arg[1] = e.nonce;
	return exchange(&e, CMD_FORK);
}
