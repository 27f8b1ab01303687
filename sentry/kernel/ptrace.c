/*
 * ptrace(2), the tracee's side. A tracee stops on its own thread (stop_here): it
 * notes why, tells its tracer, and sleeps until the tracer or a kill lets it go.
 * What the tracer wants to know of a stopped tracee it reads directly; what only
 * the driver of a stub thread may do (FPU state, writing to read-only text) the
 * tracer asks the sleeping thread to do for it (ptrace_remote).
 *
 * Relations and stops are under tasklist.
 */
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/tasklist.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "common/host_thread.h"
#include "common/mem.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ptrace_internal.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/wait.h"

/* --- relations ----------------------------------------------------------------------------------- */

void ptrace_link_locked(struct task *t, struct task *tracer, struct process *process,
			unsigned int options, bool seized)
{
	struct ptrace_state *st = t->ptrace;

	mutex_assert_held(&tasklist);
	if (!st) {
		st = NEW(struct ptrace_state);
		list_init(&st->node);
		st->task = t;
		t->ptrace = st;
	}
	assert(!st->tracer);
	st->tracer = process;
	st->tracer_serial = tracer->serial;
	st->tracer_tid = tracer->tid;
	st->options = options;
	st->seized = seized;
	st->unreported = st->zombie_reported = false;
	list_add_tail(&process->tracees, &st->node);
	atomic_store(&t->traced, true);
}

void ptrace_unlink_locked(struct task *t)
{
	struct ptrace_state *st = t->ptrace;

	list_del(&st->node);
	st->tracer = NULL;
	atomic_store(&t->traced, false);
	atomic_fetch_and(&t->trap, ~(unsigned int)(TRAP_SYSCALL | TRAP_EMU | TRAP_STEP));
	st->step = false;
}

void ptrace_resume_locked(struct task *t)
{
	struct ptrace_state *st = t->ptrace;

	mutex_lock(&t->sighand->lock);
	t->jobctl &= ~JOB_LISTEN;
	mutex_unlock(&t->sighand->lock);
	st->unreported = false;
	atomic_store(&st->stopped, false);
	task_kick(t);
}

void ptrace_free(struct task *t)
{
	free(t->ptrace);
	t->ptrace = NULL;
}

int ptrace_tracer_tid(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return ptrace_is_traced(t) ? t->ptrace->tracer_tid : 0;
}

/* --- stopping ---------------------------------------------------------------------------------------- */

/* SIGCHLD about a stop, and a wake-up for its wait. */
static void notify_tracer(struct task *t, int why, int status)
{
	struct process *tracer = t->ptrace->tracer;
	const struct ksigaction *a;
	siginfo_t info;
	bool wanted;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGCHLD;
	info.si_code = why;
	info.si_pid = pid_show_locked(tracer->pids, t->tid);
	info.si_uid = process_show_uid_locked(tracer, t->cred->uid);
	info.si_status = status;
	mutex_lock(&tracer->sighand->lock);
	a = &tracer->sighand->action[SIGCHLD - 1];
	wanted = a->handler != KSIG_IGN && !(a->flags & SA_NOCLDSTOP);
	mutex_unlock(&tracer->sighand->lock);
	if (wanted)
		(void)signal_process_locked(tracer, SIGCHLD, &info);
	waitq_wake_all(&tracer->wait_wq, POLLIN);
}

static void run_call(struct task *t)
{
	struct ptrace_state *st = t->ptrace;

	if (atomic_load(&st->call_state) != CALL_POSTED)
		return;
	st->call_result = st->call(t, st->call_arg);
	atomic_store(&st->call_state, CALL_DONE);
	host_futex_wake(&st->call_state, 1);
}

/* A stop on the way out lasts in spite of the exit under way, but not of SIGKILL. */
static bool released(struct task *t, bool exiting)
{
	if (!atomic_load(&t->ptrace->stopped))
		return true;
	return task_killed(t) && (!exiting || t->process->group_exit_code == SIGKILL);
}

static void set_traced_stop(struct task *t, bool on)
{
	SCOPED_LOCK(&t->sighand->lock);
	if (on) {
		t->jobctl = (t->jobctl | JOB_TRACED) & ~JOB_STOPPED;
	} else {
		t->jobctl &= ~(JOB_TRACED | JOB_LISTEN);
		signal_recalc_locked(t); /* senders passed it over meanwhile */
	}
}

static bool begin_stop(struct task *t, int code, const siginfo_t *info, int why, bool exiting)
{
	struct ptrace_state *st = t->ptrace;

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	if (!ptrace_is_traced(t))
		return false;
	atomic_store(&st->stopped, true);
	if (released(t, exiting)) {
		atomic_store(&st->stopped, false);
		return false;
	}
	st->code = code;
	st->has_info = info != NULL;
	if (info)
		st->info = *info;
	st->resume_signal = 0;
	st->unreported = true;
	set_traced_stop(t, true);
	atomic_store(&t->state, 't');
	notify_tracer(t, why, code & 0x7f);
	return true;
}

static void end_stop(struct task *t)
{
	struct ptrace_state *st = t->ptrace;

	SCOPED_LOCK(&tasklist);
	atomic_store(&st->stopped, false);
	st->unreported = false;
	set_traced_stop(t, false);
	atomic_store(&t->state, 'R');
	if (atomic_load(&st->call_state) == CALL_POSTED) {
		st->call_result = -ESRCH;
		atomic_store(&st->call_state, CALL_DONE);
		host_futex_wake(&st->call_state, 1);
	}
	if (t->pt)
		pf_set_single_step(t->pt, st->step);
}

/* The signal that the tracer wants delivered, or 0. */
static int stop_here(struct task *t, int code, const siginfo_t *info, int why, bool exiting)
{
	struct ptrace_state *st = t->ptrace;
	bool step = st->step;

	if (!begin_stop(t, code, info, why, exiting))
		return 0;
	while (!released(t, exiting)) {
		run_call(t);
		sleeper_sleep(t->sleeper, SLEEP_FOREVER);
	}
	end_stop(t);
	(void)step;
	return st->resume_signal;
}

long ptrace_remote(struct task *t, long (*fn)(struct task *t, void *arg), void *arg)
{
	struct ptrace_state *st = t->ptrace;

	mutex_lock(&tasklist);
	if (!atomic_load(&st->stopped)) {
		mutex_unlock(&tasklist);
		return -ESRCH;
	}
	st->call = fn;
	st->call_arg = arg;
	atomic_store(&st->call_state, CALL_POSTED);
	mutex_unlock(&tasklist);
	task_kick(t);
	while (atomic_load(&st->call_state) == CALL_POSTED)
		host_futex_wait(&st->call_state, CALL_POSTED, UINT64_MAX);
	atomic_store(&st->call_state, CALL_NONE);
	return st->call_result;
}

static siginfo_t trap_info(struct task *t, int code)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGTRAP;
	info.si_code = code;
	info.si_pid = t->own_tid;
	info.si_uid = task_show_uid(t, t->cred->uid);
	return info;
}

/* A signal that the tracer hands in at a stop that is not about a signal. */
static void inject(struct task *t, int sig)
{
	if (sig)
		(void)signal_task(t, sig, NULL);
}

int ptrace_signal_stop(struct task *t, int sig, siginfo_t *info)
{
	int deliver = stop_here(t, sig, info, CLD_TRAPPED, false);
	bool blocked;

	if (!deliver)
		return 0;
	if (deliver != sig) {
		memset(info, 0, sizeof(*info));
		info->si_signo = deliver;
		info->si_code = SI_USER;
		info->si_pid = task_show_pid(t, t->ptrace->tracer_tid);
	} else if (t->ptrace->has_info) {
		*info = t->ptrace->info; /* PTRACE_SETSIGINFO */
	}
	mutex_lock(&t->sighand->lock);
	blocked = t->blocked & KSIGBIT(deliver);
	mutex_unlock(&t->sighand->lock);
	if (!blocked)
		return deliver;
	(void)signal_task(t, deliver, info);
	return 0;
}

static void event_stop(struct task *t, int event, int sig, bool exiting)
{
	int code = sig | event << 8;
	siginfo_t info = trap_info(t, code);

	inject(t, stop_here(t, code, &info, CLD_TRAPPED, exiting));
}

void ptrace_event(struct task *t, int event, uint64_t message)
{
	if (!ptrace_is_traced(t) || !(t->ptrace->options & (1U << event)))
		return;
	t->ptrace->message = message;
	event_stop(t, event, SIGTRAP, event == PTRACE_EVENT_EXIT);
}

void ptrace_event_task(struct task *t, int event, int tid)
{
	mutex_lock(&tasklist);
	if (ptrace_is_traced(t))
		tid = pid_show_locked(t->ptrace->tracer->pids, tid);
	mutex_unlock(&tasklist);
	ptrace_event(t, event, (uint64_t)tid);
}

void ptrace_exec(struct task *t, int old_tid)
{
	struct ptrace_state *st = t->ptrace;

	if (!ptrace_is_traced(t))
		return;
	if (st->options & PTRACE_O_TRACEEXEC)
		ptrace_event_task(t, PTRACE_EVENT_EXEC, old_tid);
	else if (!st->seized)
		inject(t, SIGTRAP);
}

/* Takes the order to trap back, since a stop follows: what signal it shows, 0 for none. That is
 * decided here, with the order: a SIGCONT that came before makes it no group stop any more (a
 * tracer would listen to it for ever), one that comes later orders the next trap. */
static int take_trap(struct task *t, bool *wanted)
{
	struct process *p = t->process;
	SCOPED_LOCK(&t->sighand->lock);

	*wanted = t->jobctl & JOB_TRAP_STOP;
	t->jobctl &= ~JOB_TRAP_STOP;
	signal_recalc_locked(t);
	return p->stopped || p->group_stop_count ? p->group_stop_signal : 0;
}

void ptrace_trap_stop(struct task *t)
{
	bool wanted;
	int sig = take_trap(t, &wanted);

	if (!wanted)
		return;
	if (t->ptrace->seized)
		event_stop(t, PTRACE_EVENT_STOP, sig ? sig : SIGTRAP, false);
	else
		inject(t, stop_here(t, sig ? sig : SIGSTOP, NULL, CLD_STOPPED, false));
}

void ptrace_group_stop(struct task *t, int sig)
{
	bool ignored;

	if (!t->ptrace->seized) {
		inject(t, stop_here(t, sig, NULL, CLD_STOPPED, false));
		return;
	}
	sig = take_trap(t, &ignored);
	event_stop(t, PTRACE_EVENT_STOP, sig ? sig : SIGTRAP, false);
}

/* A seized tracee traps anew to show that the stop is over: at once if it is listening, else when
 * its tracer lets it go on (or listen). */
void ptrace_group_continued(struct task *t)
{
	if (!ptrace_is_traced(t) || !t->ptrace->seized)
		return;
	if (t->jobctl & JOB_LISTEN)
		atomic_store(&t->ptrace->stopped, false);
	t->jobctl = (t->jobctl & ~JOB_LISTEN) | JOB_TRAP_STOP;
	atomic_fetch_or(&t->work, WORK_STOP);
}

/* --- system calls ------------------------------------------------------------------------------------- */

static void syscall_stop(struct task *t, int op)
{
	struct ptrace_state *st = t->ptrace;
	int code = SIGTRAP | (st->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0);
	siginfo_t info = trap_info(t, code);

	st->syscall_op = op;
	st->message = op == PTRACE_SYSCALL_INFO_ENTRY ? 1 : 2; /* PTRACE_EVENTMSG_SYSCALL_* */
	inject(t, stop_here(t, code, &info, CLD_TRAPPED, false));
	st->syscall_op = PTRACE_SYSCALL_INFO_NONE;
}

bool ptrace_syscall_enter(struct task *t)
{
	bool emulate = atomic_load(&t->trap) & TRAP_EMU;

	pf_set_result(t->pt, (uint64_t)-ENOSYS); /* what a skipped call returns */
	syscall_stop(t, PTRACE_SYSCALL_INFO_ENTRY);
	if (task_killed(t) || emulate)
		return false;
	return (int)pf_regs(t->pt)->orig_rax >= 0;
}

void ptrace_syscall_exit(struct task *t)
{
	unsigned int trap = atomic_load(&t->trap);

	if (!ptrace_is_traced(t))
		return;
	if (trap & TRAP_SYSCALL)
		syscall_stop(t, PTRACE_SYSCALL_INFO_EXIT);
	else if (trap & TRAP_STEP)
		signal_force(t, SIGTRAP, NULL); /* the call was the one instruction */
}

bool ptrace_seccomp_event(struct task *t, uint32_t data)
{
	struct ptrace_state *st = t->ptrace;

	if (!ptrace_is_traced(t) || !(st->options & PTRACE_O_TRACESECCOMP))
		return false;
	pf_set_result(t->pt, (uint64_t)-ENOSYS);
	st->syscall_op = PTRACE_SYSCALL_INFO_SECCOMP;
	st->seccomp_data = data;
	ptrace_event(t, PTRACE_EVENT_SECCOMP, data);
	st->syscall_op = PTRACE_SYSCALL_INFO_NONE;
	return true;
}

/* --- birth and death ------------------------------------------------------------------------------------ */

void ptrace_clone_locked(struct task *parent, struct task *child, int event)
{
	struct ptrace_state *st = parent->ptrace;
	struct task who = {.serial = 0};

	if (!ptrace_is_traced(parent) || !(st->options & (1U << event)))
		return;
	who.serial = st->tracer_serial;
	who.tid = st->tracer_tid;
	ptrace_link_locked(child, &who, st->tracer, st->options, st->seized);
	if (st->seized) {
		child->jobctl |= JOB_TRAP_STOP;
		atomic_fetch_or(&child->work, WORK_STOP);
	} else {
		child->pending.set |= KSIGBIT(SIGSTOP);
		atomic_fetch_or(&child->work, WORK_SIGNAL);
	}
}

/* Lets a tracee go on as if nobody had traced it. */
static void release_tracee(struct ptrace_state *st)
{
	struct task *t = st->task;
	bool kill = st->options & PTRACE_O_EXITKILL;
	struct process *p = t->process;

	ptrace_unlink_locked(t);
	ptrace_resume_locked(t);
	if (kill)
		(void)signal_process_locked(p, SIGKILL, NULL);
	if (t->exited && p->leader != t)
		task_reap_thread_locked(t);
	else if (p->zombie && p->leader == t)
		process_notify_death_locked(p);
}

void ptrace_release_tracees_locked(struct task *t)
{
	struct ptrace_state *st, *next;

	list_for_each_safe (st, next, &t->process->tracees, node)
		if (st->tracer_serial == t->serial)
			release_tracee(st);
}

bool ptrace_exit_locked(struct task *t)
{
	ptrace_release_tracees_locked(t);
	if (!ptrace_is_traced(t))
		return false;
	if (t->process->leader != t)
		notify_tracer(t, CLD_EXITED, t->exit_code);
	return true;
}

bool ptrace_hides_zombie(struct process *p)
{
	struct ptrace_state *st = p->leader ? p->leader->ptrace : NULL;

	return st && st->tracer && st->tracer != p->parent && !st->zombie_reported;
}

void ptrace_zombie_locked(struct process *p)
{
	if (ptrace_hides_zombie(p))
		notify_tracer(p->leader, CLD_EXITED, p->exit_code);
}

/* --- waiting ---------------------------------------------------------------------------------------------- */

static bool fits(struct task *t, const struct wait_request *req, struct ptrace_state *st)
{
	struct process *p = st->task->process;

	if ((req->options & __WNOTHREAD) && st->tracer_serial != t->serial)
		return false;
	switch (req->which) {
	case WAIT_FOR_PID:
		return st->task->tid == req->id;
	case WAIT_FOR_PGRP:
		return p->pgrp && p->pgrp->id == req->id;
	default:
		return true;
	}
}

static void fill(struct wait_result *out, struct task *t, int code, int status)
{
	out->pid = pid_show_locked(t->ptrace->tracer->pids, t->tid);
	out->uid = (int)t->cred->uid;
	out->code = code;
	out->status = status;
	process_rusage_locked(t->process, &out->usage);
}

static int exit_code_of(int status)
{
	if (WIFEXITED(status))
		return CLD_EXITED;
	return WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
}

/* The end of a thread, or of a process that is somebody else's child. */
static bool try_dead(const struct wait_request *req, struct task *t, struct wait_result *out)
{
	struct process *p = t->process;
	bool leader = p->leader == t;
	int status = leader ? p->exit_code : p->group_exit ? p->group_exit_code : t->exit_code;

	if (!(req->options & WEXITED) || atomic_load(&t->state) != 'Z')
		return false;
	if (leader && (!p->zombie || !ptrace_hides_zombie(p)))
		return false; /* not over yet, or an ordinary child */
	fill(out, t, exit_code_of(status), status);
	if (req->options & WNOWAIT)
		return true;
	ptrace_unlink_locked(t);
	if (leader)
		process_notify_death_locked(p);
	else
		task_reap_thread_locked(t);
	return true;
}

static bool try_stopped(const struct wait_request *req, struct ptrace_state *st,
			struct wait_result *out)
{
	if (!st->unreported || !atomic_load(&st->stopped))
		return false;
	fill(out, st->task, CLD_TRAPPED, st->code << 8 | 0x7f);
	if (!(req->options & WNOWAIT))
		st->unreported = false;
	return true;
}

int ptrace_wait_locked(struct task *t, const struct wait_request *req, struct wait_result *out)
{
	struct ptrace_state *st, *next;
	int found = -1;

	list_for_each_safe (st, next, &t->process->tracees, node) {
		if (!fits(t, req, st))
			continue;
		found = 0;
		if (try_dead(req, st->task, out) || try_stopped(req, st, out))
			return 1;
	}
	return found;
}
