/* kill(2), sigaction(2), sigwait: what a task does about signals by itself. */
#include <errno.h>
#include <string.h>

#include "sentry/abi/restart.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/task_wait.h"
#include "sentry/kernel/usermem.h"

static int kill_one(struct task *t, struct process *p, int sig, const siginfo_t *info)
{
	if (!signal_permitted_locked(t, p, sig))
		return -EPERM;
	return p->zombie ? 0 : signal_process_locked(p, sig, info);
}

static int kill_pid(struct task *t, int nr, int sig, const siginfo_t *info)
{
	struct pid *pid = pid_lookup(task_pids(t), nr);

	if (!pid || (!pid->process && !pid->task))
		return -ESRCH;
	return kill_one(t, pid->process ? pid->process : pid->task->process, sig, info);
}

static int kill_pgrp(struct task *t, struct pgrp *g, int sig, const siginfo_t *info)
{
	struct process *p;
	bool success = false;
	int r = -ESRCH;

	if (!g)
		return -ESRCH;
	list_for_each (p, &g->members, pgrp_node) {
		r = kill_one(t, p, sig, info);
		success |= r == 0;
	}
	return success ? 0 : r;
}

/* Everybody but init and the caller. */
static int kill_all(struct task *t, int sig, const siginfo_t *info)
{
	struct pid_ns *pids = task_pids(t);
	struct pid *pid;
	int r = 0, n = 0;

	for (pid = pid_next(pids, 2); pid; pid = pid_next(pids, pid_nr_in(pid, pids) + 1)) {
		int one;

		if (!pid->process || pid->process == t->process)
			continue;
		n++;
		one = kill_one(t, pid->process, sig, info);
		if (one != -EPERM)
			r = one;
	}
	return n ? r : -ESRCH;
}

int signal_kill(struct task *t, int pid, int sig, const siginfo_t *info)
{
	struct pid *group;

	if (sig < 0 || sig > KNSIG)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	if (pid > 0)
		return kill_pid(t, pid, sig, info);
	if (pid == -1)
		return kill_all(t, sig, info);
	group = pid ? pid_lookup(task_pids(t), -pid) : NULL;
	return kill_pgrp(t, pid ? group ? group->pgrp : NULL : t->process->pgrp, sig, info);
}

int signal_tgkill(struct task *t, int tgid, int tid, int sig, const siginfo_t *info)
{
	struct pid *pid;

	if (tid <= 0 || tgid == 0 || tgid < -1)
		return -EINVAL;
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	pid = pid_lookup(task_pids(t), tid);
	if (!pid || !pid->task ||
	    (tgid > 0 && pid_show_locked(task_pids(t), pid->task->process->tgid) != tgid))
		return -ESRCH;
	if (sig < 0 || sig > KNSIG)
		return -EINVAL;
	if (!signal_permitted_locked(t, pid->task->process, sig))
		return -EPERM;
	return signal_task_locked(pid->task, sig, info);
}

struct timedwait {
	struct task *t;
	ksigset set;
	siginfo_t *info;
};

static long try_dequeue(void *arg)
{
	struct timedwait *w = arg;
	int sig = signal_dequeue(w->t, w->set, w->info);

	return sig ? sig : -EAGAIN;
}

long signal_timedwait(struct task *t, ksigset set, uint64_t deadline, siginfo_t *info)
{
	struct timedwait w = {t, set & ~KSIGSET_UNBLOCKABLE, info};
	/* Blocked signals do not wake a task; the queue that signalfds use does. */
	long r = task_wait_on(t, &t->sighand->signalfd_wq, deadline, try_dequeue, &w);

	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS ? -EINTR : r;
}

static bool ignores(const struct ksigaction *a, int sig)
{
	return a->handler == KSIG_IGN ||
	       (a->handler == KSIG_DFL && (SIG_IGNORE_SET & KSIGBIT(sig)));
}

/* A signal that is now ignored does not stay pending. */
static void drop_pending(struct process *p, int sig)
{
	struct task *t;

	sigpending_remove(&p->pending, p, KSIGBIT(sig));
	list_for_each (t, &p->threads, thread_node)
		sigpending_remove(&t->pending, p, KSIGBIT(sig));
}

int signal_action(struct task *t, int sig, const struct ksigaction *new, struct ksigaction *old)
{
	struct ksigaction *a;

	if (sig < 1 || sig > KNSIG || (new && (KSIGSET_UNBLOCKABLE & KSIGBIT(sig))))
		return -EINVAL;
	SCOPED_LOCK(&t->sighand->lock);
	a = &t->sighand->action[sig - 1];
	if (old)
		*old = *a;
	if (!new)
		return 0;
	*a = *new;
	a->mask &= ~KSIGSET_UNBLOCKABLE;
	if (ignores(a, sig))
		drop_pending(t->process, sig);
	return 0;
}

int signal_set_temporary_user(struct task *t, uaddr set, uint64_t size)
{
	ksigset blocked;

	if (uaddr_null(set))
		return 0;
	if (size != sizeof(blocked))
		return -EINVAL;
	if (copyin(t, &blocked, set, sizeof(blocked)) < 0)
		return -EFAULT;
	signal_set_temporary(t, blocked);
	return 0;
}
