/*
 * The end of tasks and processes.
 *
 * A task gives up its parts on its own thread (task_finish), then leaves the
 * tree under tasklist. A leader stays listed as a zombie; once it is the only
 * one left, the process is a zombie: its children get a new parent, its own
 * parent hears of it, and whoever waits for it reaps it: only then its number
 * is free. Nobody waits for a process without a parent (the container's init, an
 * exec session): it reaps itself.
 *
 * When the init of a pid namespace (and so of a container) goes, it kills
 * everybody else in it and waits until they are gone, and only then becomes a
 * zombie.
 */
#include <errno.h>
#include <sys/wait.h>

#include "common/log.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/ptrace_internal.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/usermem.h"

void task_exit(struct task *t, int wait_status)
{
	t->exit_code = wait_status;
	t->dying = true;
}

void task_exit_group(struct task *t, int wait_status)
{
	struct process *p = t->process;

	mutex_lock(&tasklist);
	mutex_lock(&t->sighand->lock);
	/* Another thread's execve, or an earlier end, decides. */
	if (!p->group_exit && !p->exec_task)
		process_group_exit_locked(p, wait_status);
	t->exit_code = p->group_exit ? p->group_exit_code : 0;
	mutex_unlock(&t->sighand->lock);
	mutex_unlock(&tasklist);
	t->dying = true;
}

void task_free_extras(struct task *t)
{
	seccomp_free(t);
	ptrace_free(t);
}

/*
 * A guest can keep a thread's stub from answering interrupts. So whoever is told to exit has two
 * seconds to come out of the guest by himself; then the whole stub dies, which brings them all out.
 * (Not at once: a killed process may have robust futexes in memory that others share.)
 */
#define PATIENCE (2 * NSEC_PER_SEC)

static void insist(struct ktimer *timer)
{
	struct process *p = container_of(timer, struct process, kill_timer);
	struct task *t;

	SCOPED_LOCK(&tasklist);
	list_for_each (t, &p->threads, thread_node) {
		if (t == p->exec_task || !task_killed(t))
			continue;
		mutex_lock(&t->alloc_lock);
		if (t->mm)
			pf_space_kill(t->mm->space);
		mutex_unlock(&t->alloc_lock);
	}
}

void process_insist_init(struct process *p)
{
	ktimer_init(&p->kill_timer, insist);
}

void process_insist(struct process *p)
{
	ktimer_arm(&p->kill_timer, host_monotonic_ns() + PATIENCE);
}

/* --- memory ------------------------------------------------------------------------------------ */

static void clear_tid(struct task *t)
{
	uint32_t zero = 0;

	if (!uaddr_null(t->clear_child_tid)) {
		/* As Linux: memory that nobody else has is left alone. */
		if (ref_read(&t->mm->ref) > 1 &&
		    copyout(t, t->clear_child_tid, &zero, sizeof(zero)) == 0)
			futex_wake_addr(t->mm, t->clear_child_tid, 1);
		t->clear_child_tid = UADDR_NULL;
	}
}

static void note_rss(struct task *t)
{
	struct rusage *u = &t->process->dead_usage;
	uint64_t now, peak;

	mm_rss_last(t->mm, &now, &peak);
	mutex_lock(&tasklist);
	u->ru_maxrss = max(u->ru_maxrss, (long)(peak * (GUEST_PAGE / 1024)));
	mutex_unlock(&tasklist);
}

void exec_mm_release(struct task *t)
{
	if (!t->pt || !t->mm)
		return;
	note_rss(t);
	futex_task_exec(t);
	clear_tid(t);
}

static void leave_memory(struct task *t)
{
	struct pf_thread *pt;
	struct mm *mm;

	if (t->mm && t->pt) {
		futex_task_exit(t);
		clear_tid(t);
		note_rss(t);
	}
	mutex_lock(&t->alloc_lock);
	pt = t->pt;
	mm = t->mm;
	t->pt = NULL;
	t->mm = NULL;
	mutex_unlock(&t->alloc_lock);
	if (pt)
		pf_thread_exit(pt);
	if (mm)
		mm_put(mm);
	vfork_release(t);
}

static void leave_files(struct task *t)
{
	struct fdtable *files;
	struct fs_context *fs;
	struct nsproxy *ns;
	struct pid_ns *pids;

	mutex_lock(&t->alloc_lock);
	files = t->files;
	fs = t->fs;
	ns = t->ns;
	pids = t->pids_for_children;
	t->pids_for_children = NULL;
	t->files = NULL;
	t->fs = NULL;
	t->ns = NULL;
	mutex_unlock(&t->alloc_lock);
	if (files)
		fdtable_put(files);
	if (fs)
		fs_context_put(fs);
	nsproxy_put(ns);
	pid_ns_put(pids);
}

/* --- family -------------------------------------------------------------------------------------- */

/* Who takes p's children: the next subreaper among its ancestors in its pid namespace, or the
 * namespace's init. */
static struct process *find_reaper(struct process *p)
{
	struct process *r;

	for (r = p->parent; r && r->pids == p->pids; r = r->parent)
		if (r->is_subreaper && !r->exiting)
			return r;
	r = p->pids->init;
	return r == p ? NULL : r;
}

static bool autoreaps(struct process *p, bool *signal)
{
	struct process *parent = p->parent;
	const struct ksigaction *a;
	bool reap = false;

	*signal = p->exit_signal != 0;
	if (p->exit_signal != SIGCHLD)
		return false;
	mutex_lock(&parent->sighand->lock);
	a = &parent->sighand->action[SIGCHLD - 1];
	if (a->handler == KSIG_IGN) {
		reap = true;
		*signal = false;
	} else if (a->flags & SA_NOCLDWAIT) {
		reap = true;
	}
	mutex_unlock(&parent->sighand->lock);
	return reap;
}

static void send_exit_signal(struct process *p)
{
	siginfo_t info = {0};
	uint64_t user, system;
	int status = p->exit_code;

	process_times_locked(p, &user, &system);
	info.si_signo = p->exit_signal;
	info.si_pid = pid_show_locked(p->parent->pids, p->tgid);
	info.si_uid = process_show_uid_locked(p->parent, p->leader->cred->uid);
	info.si_utime = (clock_t)(user / (NSEC_PER_SEC / 100));
	info.si_stime = (clock_t)(system / (NSEC_PER_SEC / 100));
	if (WIFSIGNALED(status)) {
		info.si_code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
		info.si_status = WTERMSIG(status);
	} else {
		info.si_code = CLD_EXITED;
		info.si_status = WEXITSTATUS(status);
	}
	(void)signal_process_locked(p->parent, p->exit_signal, &info);
}

void process_notify_death_locked(struct process *p)
{
	struct process *parent = p->parent;
	bool signal, reap;

	if (ptrace_hides_zombie(p))
		return;
	if (!parent || parent->exiting) {
		process_reap_locked(p);
		return;
	}
	reap = autoreaps(p, &signal);
	if (signal)
		send_exit_signal(p);
	if (reap)
		process_reap_locked(p);
	waitq_wake_all(&parent->wait_wq, POLLIN);
}

static void adopt(struct process *child, struct process *old, struct process *reaper)
{
	list_del(&child->sibling);
	child->parent = NULL;
	atomic_store(&child->ppid, 0);
	if (reaper) {
		process_link_locked(child, reaper, reaper->leader ? reaper->leader->serial : 0);
		child->exit_signal = SIGCHLD;
	}
	if (child->zombie)
		process_notify_death_locked(child);
	else
		pgrp_check_orphans_locked(child, old);
}

static void send_pdeath(struct process *child)
{
	struct task *t;

	list_for_each (t, &child->threads, thread_node) {
		int sig = atomic_load(&t->pdeath_signal);
		siginfo_t info = {.si_signo = sig, .si_code = SI_USER};

		if (sig)
			(void)signal_process_locked(child, sig, &info);
	}
}

/* A thread ends while its process goes on: its children hear of it, and count as another's. */
static void thread_leaves_children(struct task *t)
{
	struct process *p = t->process, *child;
	struct task *other, *heir = NULL;

	list_for_each (other, &p->threads, thread_node)
		if (other != t && !other->exited)
			heir = other;
	list_for_each (child, &p->children, sibling) {
		if (child->parent_serial != t->serial)
			continue;
		child->parent_serial = heir ? heir->serial : 0;
		send_pdeath(child);
	}
}

void process_reparent_locked(struct process *p)
{
	struct process *child, *next, *reaper = find_reaper(p);

	list_for_each_safe (child, next, &p->children, sibling)
		adopt(child, p, reaper);
}

/* --- the tree -------------------------------------------------------------------------------------- */

static void add_time(struct timeval *tv, uint64_t ns)
{
	uint64_t us = (uint64_t)tv->tv_sec * 1000000 + (uint64_t)tv->tv_usec + ns / NSEC_PER_USEC;

	tv->tv_sec = (time_t)(us / 1000000);
	tv->tv_usec = (suseconds_t)(us % 1000000);
}

static void account(struct process *p, struct task *t)
{
	uint64_t user, system;

	task_times(t, &user, &system);
	loadavg_account(p->container, user + system);
	add_time(&p->dead_usage.ru_utime, user);
	add_time(&p->dead_usage.ru_stime, system);
	p->dead_usage.ru_minflt += (long)t->min_flt;
	p->dead_usage.ru_nvcsw += (long)t->nvcsw;
	p->dead_usage.ru_nivcsw += (long)t->nivcsw;
	task_io_add(&p->dead_io, &t->io);
}

static void release_tid(struct container *c, struct task *t)
{
	struct pid *pid = pid_lookup(c->pids, t->tid);

	if (!pid || pid->task != t)
		return;
	pid->task = NULL;
	pid_release(pid);
}

static void unlist(struct process *p, struct task *t)
{
	mutex_lock(&p->sighand->lock);
	list_del(&t->thread_node);
	p->nthreads--;
	if (p->leader == t)
		p->leader = NULL;
	mutex_unlock(&p->sighand->lock);
	if (ptrace_is_traced(t))
		ptrace_unlink_locked(t);
	account(p, t);
	release_tid(p->container, t);
	task_put(t);
}

void process_reap_locked(struct process *p)
{
	struct container *c = p->container;
	struct pid *pid = pid_lookup(c->pids, p->tgid);

	mutex_assert_held(&tasklist);
	assert(p->zombie && !p->reaped && p->nthreads == 1);
	p->reaped = true;
	if (p->session && p->session->leader == p)
		p->session->leader = NULL;
	pid->process = NULL;
	process_leave_pgrp_locked(p);
	list_del(&p->sibling);
	p->parent = NULL;
	unlist(p, p->leader); /* the last use of the number, unless a group has it */
	if (p->pids->init == p)
		p->pids->init = NULL;
	for (struct pid_ns *ns = p->pids; ns; ns = ns->parent)
		if (ns->over && ns->init && ns->init->exec_task)
			task_kick(ns->init->exec_task); /* end_namespace counts us */
	process_put(p);
}

static void become_zombie(struct process *p)
{
	p->zombie = true;
	p->exiting = true;
	p->exit_code = p->group_exit ? p->group_exit_code : p->leader->exit_code;
	process_reparent_locked(p);
	pgrp_check_orphans_locked(p, NULL);
	process_get(p);
	ptrace_zombie_locked(p);
	process_notify_death_locked(p);
	waitq_wake_all(&p->pidfd_wq, POLLIN);
	process_put(p);
}

/* Is every thread but the zombie leader gone? */
static bool process_over(struct process *p)
{
	return p->nthreads == 1 && p->leader && atomic_load(&p->leader->state) == 'Z';
}

void task_reap_thread_locked(struct task *t)
{
	struct process *p = t->process;

	unlist(p, t);
	if (p->exec_task)
		task_kick(p->exec_task);
	if (process_over(p) && !p->zombie && !p->exec_task)
		become_zombie(p);
}

/* Queued timer signals hold their timers, and those the process. */
static void drop_signals(struct task *t)
{
	struct process *p = t->process;

	mutex_lock(&p->sighand->lock);
	sigpending_flush(&t->pending, p);
	if (p->live_threads == 0)
		sigpending_flush(&p->pending, p);
	mutex_unlock(&p->sighand->lock);
}

static void leave_tree(struct task *t)
{
	struct process *p = t->process;
	bool keep;

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tasklist);
	atomic_store(&t->state, 'Z');
	drop_signals(t);
	thread_leaves_children(t);
	keep = ptrace_exit_locked(t);
	if (p->leader == t) {
		if (p->exec_task)
			task_kick(p->exec_task);
		else if (process_over(p))
			become_zombie(p);
	} else if (!keep) {
		task_reap_thread_locked(t);
	}
}

/* No signal will be handled here any more. True if it was the last living thread. */
static bool stop_signals(struct task *t)
{
	struct process *p = t->process;
	bool last_stopped, last;

	SCOPED_LOCK(&tasklist);
	mutex_lock(&t->sighand->lock);
	t->exited = true;
	last = --p->live_threads == 0;
	last_stopped = signal_leave_stop_locked(t) && !p->group_exit && !last;
	signal_retarget_locked(t, ~t->blocked);
	if (last && p == p->pids->init) {
		p->exiting = true;
		p->pids->over = true; /* takes no new members: see pid_alloc */
	}
	mutex_unlock(&t->sighand->lock);
	if (last_stopped)
		signal_notify_parent_locked(p, CLD_STOPPED, p->group_stop_signal);
	return last;
}

/* --- the end of a pid namespace ------------------------------------------------------------------------ */

/* SIGKILL to everyone that ns sees but `except`; how many others there are. */
static int kill_others(struct pid_ns *ns, struct process *except, int sig)
{
	struct pid *pid;
	int n = 0;

	for (pid = pid_next(ns, 1); pid; pid = pid_next(ns, pid_nr_in(pid, ns) + 1)) {
		struct process *p = pid->process;

		if (!p || p == except || p->passive)
			continue;
		n++;
		if (!p->zombie && sig)
			(void)signal_process_locked(p, sig, NULL);
	}
	return n;
}

/* Zombies whose parent is the dying init. */
static void reap_children(struct process *init)
{
	struct process *p, *next;

	list_for_each_safe (p, next, &init->children, sibling)
		if (p->zombie)
			process_reap_locked(p);
}

/* The last thread of an init: takes its namespace along, or the container. */
static void end_namespace(struct task *t)
{
	struct process *init = t->process;
	int left;

	do {
		/* Woken by each process that goes (process_reap_locked); the timeout is for those
		 * that came to be in between. */
		mutex_lock(&tasklist);
		init->exec_task = t;
		/* An exited tracee would wait for its tracer, and we for it. */
		ptrace_release_tracees_locked(t);
		reap_children(init);
		left = kill_others(init->pids, init, SIGKILL);
		mutex_unlock(&tasklist);
		if (left)
			sleeper_sleep(t->sleeper, host_monotonic_ns() + 10 * NSEC_PER_MSEC);
	} while (left);
	mutex_lock(&tasklist);
	init->exec_task = NULL;
	mutex_unlock(&tasklist);
}

void container_kill(struct container *c, int sig)
{
	int left;

	do {
		mutex_lock(&tasklist);
		left = kill_others(c->pids, NULL, sig);
		mutex_unlock(&tasklist);
		if (sig != SIGKILL)
			return;
		if (left)
			sleeper_sleep(sleeper_self(), host_monotonic_ns() + 2 * NSEC_PER_MSEC);
	} while (left);
}

static void leave_session(struct task *t)
{
	struct session *s = NULL;

	mutex_lock(&tasklist);
	if (t->process->session && t->process->session->leader == t->process)
		s = session_get(t->process->session);
	mutex_unlock(&tasklist);
	if (s && (session_tty(s) || atomic_load(&s->old_pgrp)))
		tty_session_exit(s);
	session_put(s);
}

void task_finish(struct task *t)
{
	struct process *p = t->process;
	bool last;

	ptrace_event(t, PTRACE_EVENT_EXIT, (uint64_t)t->exit_code);
	last = stop_signals(t);
	if (last) {
		ktimer_cancel(&p->kill_timer);
		process_timers_exit(p, true);
	}
	leave_memory(t);
	if (last)
		sysv_task_exit(t);
	if (last)
		leave_session(t);
	leave_files(t);
	if (last && p == p->pids->init)
		end_namespace(t);
	task_leave_thread(t);
	leave_tree(t);
}
