/*
 * What a task does about its signals before it goes back to the guest: stops,
 * exits, calls handlers, restarts the interrupted syscall. Runs on the task's
 * own thread. Locking: the sighand's lock for looking and taking; never held
 * while the task sleeps or touches guest memory.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "sentry/abi/restart.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/usermem.h"

/* --- stopping ------------------------------------------------------------------------------ */

/* Sleeps in a group stop until SIGCONT or a kill. */
static void sleep_stopped(struct task *t)
{
	bool stopped = true;

	atomic_store(&t->state, 'T');
	while (stopped && !task_killed(t)) {
		pf_task_sleeps(true);
		sleeper_sleep(t->sleeper, SLEEP_FOREVER);
		pf_task_sleeps(false);
		mutex_lock(&t->sighand->lock);
		stopped = (t->jobctl & JOB_STOPPED) && !(t->jobctl & JOB_TRAP_STOP);
		mutex_unlock(&t->sighand->lock);
	}
	atomic_store(&t->state, 'R');
}

/* Takes part in the group stop under way. */
static void stop_self(struct task *t)
{
	struct process *p = t->process;
	bool last = false, stop = false;
	int sig;

	mutex_lock(&tasklist);
	mutex_lock(&t->sighand->lock);
	sig = p->group_stop_signal;
	if (t->jobctl & JOB_STOP_PENDING) {
		last = signal_leave_stop_locked(t);
		stop = true;
		if (!ptrace_is_traced(t))
			t->jobctl |= JOB_STOPPED;
	}
	signal_recalc_locked(t);
	mutex_unlock(&t->sighand->lock);
	if (last)
		signal_notify_parent_locked(p, CLD_STOPPED, sig);
	mutex_unlock(&tasklist);
	if (!stop)
		return;
	if (ptrace_is_traced(t))
		ptrace_group_stop(t, sig);
	else
		sleep_stopped(t);
}

/* Starts a group stop by `sig`; under the sighand's lock. */
static void start_stop(struct process *p, int sig)
{
	struct task *t;

	if (p->group_exit || p->exec_task)
		return;
	if (p->group_stop_count == 0) {
		if (!p->stopped)
			p->group_stop_signal = sig;
	}
	list_for_each (t, &p->threads, thread_node) {
		if (t->exited || (t->jobctl & (JOB_STOP_PENDING | JOB_STOPPED)))
			continue;
		t->jobctl |= JOB_STOP_PENDING;
		p->group_stop_count++;
		task_add_work(t, WORK_STOP);
	}
}

/* Default action of SIGSTOP and its kin. */
static void default_stop(struct task *t, int sig)
{
	struct process *p = t->process;

	if (sig != SIGSTOP && task_pgrp_orphaned(t))
		return;
	mutex_lock(&t->sighand->lock);
	/* A SIGCONT that came since the signal was taken wins. */
	if (!((p->pending.set | t->pending.set) & KSIGBIT(SIGCONT)))
		start_stop(p, sig);
	mutex_unlock(&t->sighand->lock);
}

/* --- dying ----------------------------------------------------------------------------------- */

/* The wait status. No core file is written, but the status says what the limit would allow. */
static int core_bit(struct task *t, int sig)
{
	bool core = (SIG_CORE_SET & KSIGBIT(sig)) && task_rlimit(t, RLIMIT_CORE) > 0;

	return sig | (core ? 0x80 : 0);
}

void task_die(struct task *t, int wait_status)
{
	struct process *p = t->process;

	mutex_lock(&tasklist);
	mutex_lock(&t->sighand->lock);
	process_group_exit_locked(p, wait_status);
	mutex_unlock(&t->sighand->lock);
	mutex_unlock(&tasklist);
	t->dying = true;
}

/* WORK_EXIT: with the group's status, or silently because another thread execs. */
static bool check_exit(struct task *t)
{
	if (!task_killed(t))
		return false;
	mutex_lock(&t->sighand->lock);
	t->exit_code = t->process->group_exit ? t->process->group_exit_code : 0;
	mutex_unlock(&t->sighand->lock);
	t->dying = true;
	return true;
}

/* --- choosing ---------------------------------------------------------------------------------- */

static int take_signal(struct task *t, siginfo_t *info)
{
	struct process *p = t->process;
	struct posix_timer *timer;
	int sig;

	mutex_lock(&t->sighand->lock);
	sig = sigpending_take(&t->pending, p, ~t->blocked, info, &timer);
	if (!sig)
		sig = sigpending_take(&p->pending, p, ~t->blocked, info, &timer);
	signal_recalc_locked(t);
	mutex_unlock(&t->sighand->lock);
	if (timer)
		posix_timer_delivered(timer, info);
	return sig;
}

/* The action for sig; a one-shot handler is used up. */
static struct ksigaction take_action(struct task *t, int sig)
{
	SCOPED_LOCK(&t->sighand->lock);
	struct ksigaction *slot = &t->sighand->action[sig - 1], a = *slot;

	if (a.handler > KSIG_IGN && (a.flags & SA_RESETHAND))
		slot->handler = KSIG_DFL;
	return a;
}

/* Default actions. */
static void act_default(struct task *t, int sig)
{
	ksigset bit = KSIGBIT(sig);

	if (SIG_IGNORE_SET & bit)
		return;
	if (t->process->unkillable && sig != SIGKILL && sig != SIGSTOP)
		return;
	if (SIG_STOP_SET & bit) {
		default_stop(t, sig);
		return;
	}
	if (SIG_CORE_SET & bit)
		log_debug("task %d (%s) dies of signal %d at rip %#llx, address %#llx", t->tid,
			  t->comm, sig, pf_regs(t->pt)->rip, (unsigned long long)t->fault.addr);
	task_die(t, core_bit(t, sig));
}

/* The next signal that has a handler: its number, 0 when there is nothing left to do, -1 when the
 * task dies. */
static int next_handled(struct task *t, siginfo_t *info, struct ksigaction *action)
{
	for (;;) {
		int sig;

		if (t->dying || check_exit(t))
			return -1;
		if (atomic_load(&t->work) & WORK_STOP) {
			if (ptrace_is_traced(t))
				ptrace_trap_stop(t);
			stop_self(t);
			continue;
		}
		sig = take_signal(t, info);
		if (!sig)
			return 0;
		if (ptrace_is_traced(t) && sig != SIGKILL) {
			sig = ptrace_signal_stop(t, sig, info);
			if (!sig)
				continue;
		}
		*action = take_action(t, sig);
		if (action->handler == KSIG_IGN)
			continue;
		if (action->handler != KSIG_DFL)
			return sig;
		act_default(t, sig);
	}
}

/* --- restarting ---------------------------------------------------------------------------------- */

/* The restart code in rax, or 0. */
static int restart_code(struct task *t)
{
	int64_t rax = (int64_t)pf_regs(t->pt)->rax;

	/* A tracer sets orig_rax to -1 when it moves the task elsewhere. */
	if (t->syscall_nr < 0 || (int)pf_regs(t->pt)->orig_rax < 0)
		return 0;
	switch (-rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		return (int)-rax;
	}
	return 0;
}

static void redo_syscall(struct task *t, uint64_t nr)
{
	struct user_regs_struct *r = pf_regs_mut(t->pt);

	r->rax = nr;
	r->rip -= 2; /* the length of the syscall instruction */
	r->orig_rax = ~0ULL;
}

/* A handler is about to run. */
static void restart_for_handler(struct task *t, int code, const struct ksigaction *action)
{
	bool again =
	    code == ERESTARTNOINTR || (code == ERESTARTSYS && (action->flags & SA_RESTART));

	if (!code)
		return;
	if (again)
		redo_syscall(t, (uint64_t)t->syscall_nr);
	else
		pf_regs_mut(t->pt)->rax = (uint64_t)-EINTR;
	t->syscall_nr = -1;
}

static void restart_without_handler(struct task *t)
{
	int code = restart_code(t);

	if (!code)
		return;
	redo_syscall(t,
		     code == ERESTART_RESTARTBLOCK ? SYS_restart_syscall : (uint64_t)t->syscall_nr);
	t->syscall_nr = -1;
}

/* Was the syscall cut short? Then a temporary mask still holds for the delivery. */
static bool interrupted(struct task *t)
{
	return restart_code(t) || (t->syscall_nr >= 0 && (int64_t)pf_regs(t->pt)->rax == -EINTR);
}

static void restore_mask(struct task *t)
{
	if (!t->restore_blocked)
		return;
	t->restore_blocked = false;
	signal_set_blocked(t, t->saved_blocked);
}

/* --- delivering ------------------------------------------------------------------------------------ */

static void deliver(struct task *t, int sig, const siginfo_t *info, const struct ksigaction *a)
{
	ksigset in_frame = t->restore_blocked ? t->saved_blocked : t->blocked;
	ksigset during = t->blocked | a->mask;

	if (signal_frame_setup(t, sig, info, a, in_frame) < 0) {
		if (sig == SIGSEGV) {
			mutex_lock(&t->sighand->lock);
			t->sighand->action[sig - 1].handler = KSIG_DFL;
			mutex_unlock(&t->sighand->lock);
		}
		signal_force(t, SIGSEGV, NULL);
		return;
	}
	t->restore_blocked = false;
	if (!(a->flags & SA_NODEFER))
		during |= KSIGBIT(sig);
	signal_set_blocked(t, during);
}

void signal_on_return(struct task *t)
{
	struct ksigaction action;
	siginfo_t info;
	bool handled = false;
	int sig;

	if (t->restore_blocked && !interrupted(t))
		restore_mask(t);
	while ((sig = next_handled(t, &info, &action)) > 0) {
		restart_for_handler(t, restart_code(t), &action);
		deliver(t, sig, &info, &action);
		handled = true;
	}
	if (sig < 0)
		return;
	if (!handled)
		restart_without_handler(t);
	restore_mask(t);
}

void signal_fault(struct task *t, const struct pf_event *event)
{
	siginfo_t info;
	int sig = event->signo;

	if (!(SIG_SYNCHRONOUS_SET & KSIGBIT(sig)) || sig == SIGSYS)
		sig = SIGSEGV; /* never from a sound platform */
	t->fault.trapno = event->trapno;
	t->fault.error_code = event->error_code;
	t->fault.addr = event->addr;
	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = event->code > 0 ? event->code : SI_KERNEL;
	info.si_addr = (void *)event->addr; /* the guest's; never followed */
	t->syscall_nr = -1;
	signal_force(t, sig, &info);
}
