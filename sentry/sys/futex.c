/* futex(2) and its successors, set_robust_list(2), get_robust_list(2). */
#include <errno.h>
#include <linux/futex.h>
#include <time.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define FUTEX2_SIZE_U32 0x02
#define FUTEX2_PRIVATE FUTEX_PRIVATE_FLAG

struct waitv_abi {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};
static_assert(sizeof(struct waitv_abi) == 24, "struct futex_waitv");
#define WAITV_MAX 128

/* What t's time namespace calls that time on CLOCK_MONOTONIC; never before the host's start. */
static int64_t to_host(struct task *t, int64_t ns)
{
	int64_t host = ns - clock_offset(t, CLOCK_MONOTONIC);

	return max(host, (int64_t)0);
}

/* A point in time on either clock as a deadline on CLOCK_MONOTONIC. */
static uint64_t absolute(int64_t ns, bool realtime)
{
	uint64_t now;

	if (!realtime)
		return (uint64_t)ns;
	now = host_realtime_ns();
	return (uint64_t)ns <= now ? 0 : host_monotonic_ns() + ((uint64_t)ns - now);
}

static uint64_t relative(int64_t ns)
{
	uint64_t now = host_monotonic_ns();

	return (uint64_t)ns > INT64_MAX - now ? SLEEP_FOREVER - 1 : now + (uint64_t)ns;
}

/* The deadline that the call's timeout means; SLEEP_FOREVER for none. */
static int deadline_get(struct task *t, uaddr timeout, bool is_relative, bool realtime,
			uint64_t *out)
{
	int64_t ns;
	int r = copyin_timeout(t, timeout, &ns);

	if (r)
		return r;
	if (ns < 0)
		*out = SLEEP_FOREVER;
	else
		*out =
		    is_relative ? relative(ns) : absolute(realtime ? ns : to_host(t, ns), realtime);
	return 0;
}

struct futex_call {
	int cmd;
	bool realtime;
	uint32_t val, val3;
	int val2; /* what the timeout's register holds for calls without one */
	struct futex_word word, word2;
	uint64_t deadline;
};

/* FUTEX_CLOCK_REALTIME is for calls whose timeout is a point in time, and FUTEX_WAIT. */
static bool realtime_allowed(int cmd)
{
	return cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAIT_REQUEUE_PI ||
	       cmd == FUTEX_LOCK_PI2;
}

static int call_deadline(struct task *t, struct futex_call *c, uaddr timeout)
{
	switch (c->cmd) {
	case FUTEX_WAIT:
		return deadline_get(t, timeout, true, false, &c->deadline);
	case FUTEX_LOCK_PI:
		return deadline_get(t, timeout, false, true, &c->deadline);
	case FUTEX_LOCK_PI2:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
		return deadline_get(t, timeout, false, c->realtime, &c->deadline);
	}
	return 0;
}

static long call_pi(struct task *t, const struct futex_call *c)
{
	switch (c->cmd) {
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(t, c->word.addr, c->word.private, false, c->deadline);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(t, c->word.addr, c->word.private, true, SLEEP_FOREVER);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(t, c->word.addr, c->word.private);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(t, &c->word, &c->word2, c->val, FUTEX_ANY,
					     c->deadline);
	case FUTEX_CMP_REQUEUE_PI:
		if (c->val != 1)
			return -EINVAL;
		return futex_cmp_requeue_pi(t, &c->word, &c->word2, c->val2, c->val3);
	}
	return -ENOSYS;
}

static long call_plain(struct task *t, const struct futex_call *c)
{
	const struct futex_word *w = &c->word;

	switch (c->cmd) {
	case FUTEX_WAIT:
		return futex_wait(t, w->addr, w->private, c->val, FUTEX_ANY, c->deadline);
	case FUTEX_WAIT_BITSET:
		return futex_wait(t, w->addr, w->private, c->val, c->val3, c->deadline);
	case FUTEX_WAKE:
		return futex_wake(t, w->addr, w->private, (int)c->val, FUTEX_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(t, w->addr, w->private, (int)c->val, c->val3);
	case FUTEX_REQUEUE:
		return futex_requeue(t, w, &c->word2, (int)c->val, c->val2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(t, w, &c->word2, (int)c->val, c->val2, &c->val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(t, w->addr, c->word2.addr, w->private, (int)c->val, c->val2,
				     c->val3);
	}
	return call_pi(t, c);
}

long sys_futex(struct task *t, const struct sysargs *a)
{
	int op = (int)a->v[1];
	bool private = op & FUTEX_PRIVATE_FLAG;
	struct futex_call c = {
	    .cmd = op & FUTEX_CMD_MASK,
	    .realtime = op & FUTEX_CLOCK_REALTIME,
	    .val = (uint32_t)a->v[2],
	    .val2 = (int)a->v[3],
	    .val3 = (uint32_t)a->v[5],
	    .word = {UADDR(a->v[0]), private},
	    .word2 = {UADDR(a->v[4]), private},
	    .deadline = SLEEP_FOREVER,
	};
	int r = call_deadline(t, &c, UADDR(a->v[3]));

	if (r)
		return r;
	if (c.realtime && !realtime_allowed(c.cmd))
		return -ENOSYS;
	return call_plain(t, &c);
}

/* --- futex2 ----------------------------------------------------------------------------- */

static int futex2_flags(uint64_t flags)
{
	if (flags & ~(uint64_t)(FUTEX2_SIZE_U32 | FUTEX2_PRIVATE))
		return -EINVAL;
	return flags & FUTEX2_SIZE_U32 ? 0 : -EINVAL;
}

static int futex2_deadline(struct task *t, uaddr timeout, int clock, uint64_t *out)
{
	*out = SLEEP_FOREVER;
	if (uaddr_null(timeout))
		return 0;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return -EINVAL;
	return deadline_get(t, timeout, false, clock == CLOCK_REALTIME, out);
}

/* An array of struct futex_waitv, checked. */
static int waitv_get(struct task *t, uaddr from, unsigned int n, struct futex_waitv_word *out)
{
	for (unsigned int i = 0; i < n; i++) {
		struct waitv_abi w;
		int r = copyin(t, &w, uaddr_add(from, i * sizeof(w)), sizeof(w));

		if (r)
			return r;
		if (w.reserved || futex2_flags(w.flags) || w.val > UINT32_MAX)
			return -EINVAL;
		out[i].word = (struct futex_word){UADDR(w.uaddr), w.flags & FUTEX2_PRIVATE};
		out[i].val = (uint32_t)w.val;
	}
	return 0;
}

long sys_futex_waitv(struct task *t, const struct sysargs *a)
{
	unsigned int n = (unsigned int)a->v[1];
	struct futex_waitv_word words[WAITV_MAX];
	uint64_t deadline;
	int r;

	if (a->v[2] & UINT32_MAX || !n || n > WAITV_MAX || !a->v[0])
		return -EINVAL;
	r = futex2_deadline(t, UADDR(a->v[3]), (int)a->v[4], &deadline);
	if (!r)
		r = waitv_get(t, UADDR(a->v[0]), n, words);
	return r ? r : futex_wait_multiple(t, words, n, deadline);
}

/* futex_wake(addr, mask, nr, flags) */
long sys_futex_wake(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->v[3];

	if (futex2_flags(flags) || a->v[1] > UINT32_MAX)
		return -EINVAL;
	if (!a->v[1])
		return -EINVAL;
	if ((int)a->v[2] == 0)
		return 0;
	return futex_wake(t, UADDR(a->v[0]), flags & FUTEX2_PRIVATE, (int)a->v[2],
			  (uint32_t)a->v[1]);
}

/* futex_wait(addr, val, mask, flags, timeout, clockid) */
long sys_futex_wait(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->v[3];
	uint64_t deadline;
	int r;

	if (futex2_flags(flags) || a->v[1] > UINT32_MAX || a->v[2] > UINT32_MAX)
		return -EINVAL;
	r = futex2_deadline(t, UADDR(a->v[4]), (int)a->v[5], &deadline);
	return r ? r
		 : futex_wait(t, UADDR(a->v[0]), flags & FUTEX2_PRIVATE, (uint32_t)a->v[1],
			      (uint32_t)a->v[2], deadline);
}

/* futex_requeue(waiters[2], flags, nr_wake, nr_requeue) */
long sys_futex_requeue(struct task *t, const struct sysargs *a)
{
	struct futex_waitv_word w[2];
	int r;

	if ((uint32_t)a->v[1] || !a->v[0])
		return -EINVAL;
	r = waitv_get(t, UADDR(a->v[0]), 2, w);
	if (r)
		return r;
	return futex_requeue(t, &w[0].word, &w[1].word, (int)a->v[2], (int)a->v[3], &w[0].val);
}

/* --- robust lists ------------------------------------------------------------------------- */

#define ROBUST_HEAD_SIZE 24

long sys_set_robust_list(struct task *t, const struct sysargs *a)
{
	if (a->v[1] != ROBUST_HEAD_SIZE)
		return -EINVAL;
	/* Who waits for a PI lock of ours looks whether we exit. */
	__atomic_store_n(&t->robust_list.va, a->v[0], __ATOMIC_SEQ_CST);
	return 0;
}

/* The check of ptrace(PTRACE_MODE_READ): same identity throughout, or the capability. */
static bool may_read(const struct cred *me, const struct cred *them)
{
	if (me->fsuid == them->euid && me->fsuid == them->suid && me->fsuid == them->uid &&
	    me->fsgid == them->egid && me->fsgid == them->sgid && me->fsgid == them->gid)
		return true;
	return cred_ns_capable(me, them->user_ns, CAP_SYS_PTRACE);
}

static int robust_list_of(struct task *t, int tid, uint64_t *head)
{
	struct task *other;
	struct cred *cred;
	int r = 0;

	if (!tid || tid == t->own_tid) {
		*head = t->robust_list.va;
		return 0;
	}
	other = task_find(task_pids(t), tid);
	if (!other)
		return -ESRCH;
	cred = task_get_cred(other);
	if (may_read(t->cred, cred))
		*head = other->robust_list.va;
	else
		r = -EPERM;
	cred_put(cred);
	task_put(other);
	return r;
}

long sys_get_robust_list(struct task *t, const struct sysargs *a)
{
	uint64_t head, size = ROBUST_HEAD_SIZE;
	int r = robust_list_of(t, (int)a->v[0], &head);

	if (!r)
		r = copyout_late(t, UADDR(a->v[2]), &size, sizeof(size));
	return r ? r : copyout_late(t, UADDR(a->v[1]), &head, sizeof(head));
}
