/*
 * Sending signals. A sender holds tasklist (so that the target's sighand, its
 * threads and its parent stay), then the target's sighand lock; both are held
 * for a few hundred instructions. The consequences are drawn at once: a fatal
 * signal starts the exit of the whole group, SIGCONT wakes the stopped and
 * removes pending stops, a stop signal removes pending SIGCONTs, so that the
 * receiving threads only have to look at their work flags.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/session.h"

static bool action_ignores(const struct ksigaction *a, int sig)
{
	return a->handler == KSIG_IGN ||
	       (a->handler == KSIG_DFL && (SIG_IGNORE_SET & KSIGBIT(sig)));
}

/* Would the signal be thrown away? `t` is the target, or the leader for a process. */
static bool ignored(struct process *p, struct task *t, int sig, bool force)
{
	const struct ksigaction *a = &p->sighand->action[sig - 1];

	if (p->passive)
		return true;
	if (t->blocked & KSIGBIT(sig))
		return false; /* its action may change before it is unblocked */
	if (p->unkillable && a->handler == KSIG_DFL &&
	    !(force && (sig == SIGKILL || sig == SIGSTOP)))
		return true;
	if (ptrace_is_traced(t) && sig != SIGKILL)
		return false;
	return action_ignores(a, sig);
}

static void remove_everywhere(struct process *p, ksigset set)
{
	struct task *t;

	sigpending_remove(&p->pending, p, set);
	list_for_each (t, &p->threads, thread_node)
		sigpending_remove(&t->pending, p, set);
}

/* SIGCONT: ends stops, also those that are only on their way. Returns true if the parent is to hear
 * of it. */
static bool continue_group(struct process *p)
{
	bool was_stopped = p->stopped;
	struct task *t;

	remove_everywhere(p, SIG_STOP_SET);
	list_for_each (t, &p->threads, thread_node) {
		t->jobctl &= ~(JOB_STOP_PENDING | JOB_STOPPED);
		ptrace_group_continued(t);
		task_kick(t);
	}
	p->stopped = false;
	p->group_stop_count = 0;
	p->group_stop_signal = 0;
	if (was_stopped) {
		p->stopped_report = false;
		p->continued_report = true;
	}
	return was_stopped;
}

/* May t be the one that handles it? */
static bool wants(struct task *t, int sig)
{
	if (t->exited || (t->blocked & KSIGBIT(sig)))
		return false;
	return sig == SIGKILL || !(t->jobctl & (JOB_STOPPED | JOB_TRACED));
}

static struct task *choose(struct process *p, struct task *t, bool group, int sig)
{
	if (t && wants(t, sig))
		return t;
	if (!group)
		return NULL;
	list_for_each (t, &p->threads, thread_node)
		if (wants(t, sig))
			return t;
	return NULL;
}

void process_group_exit_locked(struct process *p, int wait_status)
{
	struct task *t;
	bool others = false;

	mutex_assert_held(&p->sighand->lock);
	if (!p->group_exit) {
		p->group_exit = true;
		p->group_exit_code = wait_status;
	}
	p->group_stop_count = 0;
	list_for_each (t, &p->threads, thread_node) {
		t->jobctl &= ~JOB_STOP_PENDING;
		if (t->exited)
			continue;
		task_add_work(t, WORK_EXIT);
		others |= t != task_current();
	}
	if (others)
		process_insist(p);
}

static bool is_fatal(struct process *p, struct task *t, int sig)
{
	const struct ksigaction *a = &p->sighand->action[sig - 1];
	ksigset quiet = SIG_IGNORE_SET | SIG_STOP_SET | SIG_CORE_SET;

	if (sig == SIGKILL)
		return true;
	if (a->handler != KSIG_DFL || (quiet & KSIGBIT(sig)) || ptrace_is_traced(t))
		return false;
	return !p->unkillable;
}

/* The signal is queued: who looks at it? */
static void complete(struct process *p, struct task *to, bool group, int sig)
{
	struct task *t = choose(p, to, group, sig);

	if (!t)
		return;
	/* SIGQUIT and the like leave a core bit behind and go through delivery. */
	if (is_fatal(p, t, sig) && !p->group_exit) {
		process_group_exit_locked(p, sig);
		return;
	}
	task_add_work(t, WORK_SIGNAL);
}

/* What follows from sig before it is queued. False: drop it. */
static bool prepare(struct process *p, struct task *t, int sig, bool force, bool *continued)
{
	*continued = false;
	if (p->group_exit && sig != SIGKILL && p->live_threads == 0)
		return false;
	if (SIG_STOP_SET & KSIGBIT(sig))
		remove_everywhere(p, KSIGBIT(SIGCONT));
	else if (sig == SIGCONT)
		*continued = continue_group(p);
	return !ignored(p, t, sig, force);
}

static const siginfo_t *info_or_kernel(const siginfo_t *info, int sig, siginfo_t *buf)
{
	if (info)
		return info;
	memset(buf, 0, sizeof(*buf));
	buf->si_signo = sig;
	buf->si_code = SI_KERNEL;
	return buf;
}

uint32_t process_show_uid_locked(struct process *p, uint32_t uid)
{
	struct cred *cred;

	if (!p->leader)
		return OVERFLOW_ID;
	cred = task_get_cred(p->leader);
	uid = user_ns_show(cred->user_ns, ID_UID, uid);
	cred_put(cred);
	return uid;
}

/*
 * What kill(2) and its kin say of the sender, as p's namespaces see it. True: it comes from a pid
 * namespace above, so that it counts even for an init.
 */
static bool localize(struct process *p, const siginfo_t **info, siginfo_t *buf)
{
	struct task *sender = task_current();
	int code = (*info)->si_code;
	bool above;

	if (!sender || (code != SI_USER && code != SI_TKILL && code != SI_QUEUE))
		return false;
	above = !pid_ns_is_below(sender->process->pids, p->pids);
	if (!above && sender->cred->user_ns == &user_ns_first && !p->pids->level)
		return false;
	*buf = **info;
	buf->si_uid = process_show_uid_locked(p, buf->si_uid);
	if (above)
		buf->si_pid = 0;
	*info = buf;
	return above;
}

static int send(struct process *p, struct task *t, int sig, const siginfo_t *given)
{
	struct task *target = t ? t : p->leader;
	bool continued, force = !given;
	siginfo_t buf;
	int r = 0;

	mutex_assert_held(&tasklist);
	if (p->zombie || !target || (t && t->exited))
		return 0;
	if (given)
		force = localize(p, &given, &buf);
	mutex_lock(&p->sighand->lock);
	if (prepare(p, target, sig, force, &continued)) {
		r = sigpending_add(t ? &t->pending : &p->pending, p, sig,
				   info_or_kernel(given, sig, &buf));
		waitq_wake(&p->sighand->signalfd_wq, POLLIN);
		if (r == 0)
			complete(p, target, !t, sig);
	}
	mutex_unlock(&p->sighand->lock);
	if (continued)
		signal_notify_parent_locked(p, CLD_CONTINUED, SIGCONT);
	return r;
}

bool signal_send_queued(struct process *p, struct task *t, struct sigqueue *q)
{
	struct task *target = t ? t : p->leader;
	int sig = q->info.si_signo;
	bool sent = false, continued;

	mutex_assert_held(&tasklist);
	if (p->zombie || !target || (t && t->exited))
		return false;
	mutex_lock(&p->sighand->lock);
	if (!list_linked(&q->node) && prepare(p, target, sig, false, &continued)) {
		struct sigpending *pending = t ? &t->pending : &p->pending;

		list_add_tail(&pending->queue, &q->node);
		pending->set |= KSIGBIT(sig);
		waitq_wake(&p->sighand->signalfd_wq, POLLIN);
		complete(p, target, !t, sig);
		sent = true;
	}
	mutex_unlock(&p->sighand->lock);
	return sent;
}

int signal_process_locked(struct process *p, int sig, const siginfo_t *info)
{
	return sig ? send(p, NULL, sig, info) : 0;
}

int signal_task_locked(struct task *t, int sig, const siginfo_t *info)
{
	return sig ? send(t->process, t, sig, info) : 0;
}

int signal_process(struct process *p, int sig, const siginfo_t *info)
{
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	return signal_process_locked(p, sig, info);
}

int signal_task(struct task *t, int sig, const siginfo_t *info)
{
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	return signal_task_locked(t, sig, info);
}

static int signal_members(struct pgrp *g, int sig, const siginfo_t *info)
{
	struct process *p;
	int r = -ESRCH;

	list_for_each (p, &g->members, pgrp_node) {
		int one = signal_process_locked(p, sig, info);

		r = r == 0 ? 0 : one;
	}
	return r;
}

int signal_pgrp_of(struct process *p, int sig, const siginfo_t *info)
{
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	return p->pgrp ? signal_members(p->pgrp, sig, info) : -ESRCH;
}

int signal_pgrp(struct container *c, int pgrp, int sig, const siginfo_t *info)
{
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	struct pgrp *g = pgrp_find_locked(c, pgrp);

	return g ? signal_members(g, sig, info) : -ESRCH;
}

void signal_force(struct task *t, int sig, const siginfo_t *info)
{
	struct process *p = t->process;
	struct ksigaction *a;
	siginfo_t buf;

	mutex_lock(&tasklist);
	mutex_lock(&p->sighand->lock);
	a = &p->sighand->action[sig - 1];
	if (a->handler == KSIG_IGN || (t->blocked & KSIGBIT(sig))) {
		a->handler = KSIG_DFL;
		t->blocked &= ~KSIGBIT(sig);
	}
	/* pid 1 dies of its own faults, too. */
	if (a->handler == KSIG_DFL && !ptrace_is_traced(t))
		p->unkillable = false;
	sigpending_remove(&t->pending, p, KSIGBIT(sig));
	if (sigpending_add(&t->pending, p, sig, info_or_kernel(info, sig, &buf)) < 0)
		t->pending.set |= KSIGBIT(sig);
	atomic_fetch_or(&t->work, WORK_SIGNAL);
	mutex_unlock(&p->sighand->lock);
	mutex_unlock(&tasklist);
}

void signal_notify_parent_locked(struct process *p, int why, int status)
{
	struct process *parent = p->parent;
	const struct ksigaction *a;
	siginfo_t info;
	uint64_t user, system;
	bool wanted;

	mutex_assert_held(&tasklist);
	if (!parent)
		return;
	process_times_locked(p, &user, &system);
	memset(&info, 0, sizeof(info));
	info.si_signo = SIGCHLD;
	info.si_code = why;
	info.si_pid = pid_show_locked(parent->pids, p->tgid);
	info.si_uid = process_show_uid_locked(parent, p->leader->cred->uid);
	info.si_status = status;
	info.si_utime = (clock_t)(user / (NSEC_PER_SEC / 100));
	info.si_stime = (clock_t)(system / (NSEC_PER_SEC / 100));
	mutex_lock(&parent->sighand->lock);
	a = &parent->sighand->action[SIGCHLD - 1];
	wanted = a->handler != KSIG_IGN && !(a->flags & SA_NOCLDSTOP);
	mutex_unlock(&parent->sighand->lock);
	if (wanted)
		(void)signal_process_locked(parent, SIGCHLD, &info);
	waitq_wake_all(&parent->wait_wq, POLLIN);
}

bool signal_leave_stop_locked(struct task *t)
{
	struct process *p = t->process;

	if (!(t->jobctl & JOB_STOP_PENDING))
		return false;
	t->jobctl &= ~JOB_STOP_PENDING;
	if (p->group_stop_count > 0 && --p->group_stop_count > 0)
		return false;
	p->stopped = p->stopped_report = true;
	p->continued_report = false;
	return true;
}

void signal_retarget_locked(struct task *t, ksigset which)
{
	struct process *p = t->process;
	struct task *other;

	which &= p->pending.set;
	if (!which)
		return;
	list_for_each (other, &p->threads, thread_node)
		if (other != t && !other->exited && (which & ~other->blocked))
			task_add_work(other, WORK_SIGNAL);
}

bool signal_recalc_locked(struct task *t)
{
	ksigset waiting = (t->pending.set | t->process->pending.set) & ~t->blocked;
	unsigned int work = 0;

	if (waiting)
		work |= WORK_SIGNAL;
	if (t->jobctl & (JOB_STOP_PENDING | JOB_TRAP_STOP))
		work |= WORK_STOP;
	atomic_fetch_and(&t->work, ~(unsigned int)(WORK_SIGNAL | WORK_STOP));
	atomic_fetch_or(&t->work, work);
	return work != 0;
}

bool signal_recalc(struct task *t)
{
	SCOPED_LOCK(&t->sighand->lock);
	return signal_recalc_locked(t);
}

bool signal_pending(struct task *t)
{
	return task_interrupted(t);
}

ksigset signal_pending_set(struct task *t)
{
	SCOPED_LOCK(&t->sighand->lock);
	return t->pending.set | t->process->pending.set;
}

int signal_dequeue(struct task *t, ksigset set, siginfo_t *info)
{
	struct process *p = t->process;
	struct posix_timer *timer;
	int sig;

	set &= ~KSIGSET_UNBLOCKABLE;
	mutex_lock(&t->sighand->lock);
	sig = sigpending_take(&t->pending, p, set, info, &timer);
	if (!sig)
		sig = sigpending_take(&p->pending, p, set, info, &timer);
	signal_recalc_locked(t);
	mutex_unlock(&t->sighand->lock);
	if (timer)
		posix_timer_delivered(timer, info);
	return sig;
}

void signal_set_blocked(struct task *t, ksigset blocked)
{
	ksigset newly;

	blocked &= ~KSIGSET_UNBLOCKABLE;
	mutex_lock(&t->sighand->lock);
	newly = blocked & ~t->blocked;
	t->blocked = blocked;
	if (t->process->pending.set & newly)
		signal_retarget_locked(t, newly);
	signal_recalc_locked(t);
	mutex_unlock(&t->sighand->lock);
}

void signal_set_temporary(struct task *t, ksigset blocked)
{
	if (!t->restore_blocked)
		t->saved_blocked = t->blocked;
	t->restore_blocked = true;
	signal_set_blocked(t, blocked);
}

bool signal_blocked_or_ignored(struct task *t, int sig)
{
	SCOPED_LOCK(&t->sighand->lock);
	return (t->blocked & KSIGBIT(sig)) || t->sighand->action[sig - 1].handler == KSIG_IGN;
}

siginfo_t signal_info_user(struct task *t, int sig)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_USER;
	info.si_pid = t->process->own_tgid;
	info.si_uid = t->cred->uid;
	return info;
}

bool signal_permitted_locked(struct task *from, struct process *to, int sig)
{
	const struct cred *c = from->cred;
	struct cred *target;
	bool ok;

	mutex_assert_held(&tasklist);
	if (to == from->process || !to->leader)
		return true;
	target = task_get_cred(to->leader);
	ok = cred_ns_capable(c, target->user_ns, CAP_KILL) || c->euid == target->suid ||
	     c->euid == target->uid || c->uid == target->suid || c->uid == target->uid;
	cred_put(target);
	return ok || (sig == SIGCONT && from->process->session == to->session);
}

bool signal_permitted(struct task *from, struct process *to, int sig)
{
	SCOPED_LOCK(&tasklist);
	return signal_permitted_locked(from, to, sig);
}
