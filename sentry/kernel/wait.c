/*
 * wait4(2), waitid(2). A waiter sleeps on its process's wait_wq, which is woken
 * whenever a child or tracee may have something to report, and looks through
 * its children under tasklist.
 */
#include "sentry/kernel/wait.h"

#include <errno.h>
#include <sys/wait.h>

#include "sentry/abi/restart.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/task_wait.h"

static void set_timeval(struct timeval *tv, uint64_t ns)
{
	tv->tv_sec = (time_t)(ns / NSEC_PER_SEC);
	tv->tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC);
}

static void add_timeval(struct timeval *to, const struct timeval *from)
{
	to->tv_sec += from->tv_sec;
	to->tv_usec += from->tv_usec;
	if (to->tv_usec >= 1000000) {
		to->tv_usec -= 1000000;
		to->tv_sec++;
	}
}

void rusage_add(struct rusage *to, const struct rusage *from)
{
	add_timeval(&to->ru_utime, &from->ru_utime);
	add_timeval(&to->ru_stime, &from->ru_stime);
	to->ru_maxrss = max(to->ru_maxrss, from->ru_maxrss);
	to->ru_minflt += from->ru_minflt;
	to->ru_majflt += from->ru_majflt;
	to->ru_inblock += from->ru_inblock;
	to->ru_oublock += from->ru_oublock;
	to->ru_nvcsw += from->ru_nvcsw;
	to->ru_nivcsw += from->ru_nivcsw;
}

static void add_task(struct task *t, struct rusage *u)
{
	u->ru_minflt += (long)t->min_flt;
	u->ru_nvcsw += (long)t->nvcsw;
	u->ru_nivcsw += (long)t->nivcsw;
}

/* Under tasklist, where the last reference of an mm must not be put: so without taking one. */
static void live_rss(struct process *p, struct rusage *u)
{
	struct task *t = p->leader;
	uint64_t now, peak = 0;

	if (!t)
		return;
	mutex_lock(&t->alloc_lock);
	if (t->mm)
		mm_rss_last(t->mm, &now, &peak);
	mutex_unlock(&t->alloc_lock);
	u->ru_maxrss = max(u->ru_maxrss, (long)(peak * (GUEST_PAGE / 1024)));
}

void process_rusage_locked(struct process *p, struct rusage *u)
{
	uint64_t user, system;
	struct task *t;

	*u = p->dead_usage;
	list_for_each (t, &p->threads, thread_node)
		add_task(t, u);
	process_times_locked(p, &user, &system);
	set_timeval(&u->ru_utime, user);
	set_timeval(&u->ru_stime, system);
	live_rss(p, u);
}

void task_rusage(struct task *t, struct rusage *u)
{
	uint64_t user, system;

	*u = (struct rusage){0};
	task_times(t, &user, &system);
	add_task(t, u);
	set_timeval(&u->ru_utime, user);
	set_timeval(&u->ru_stime, system);
	mutex_lock(&tasklist);
	u->ru_maxrss = t->process->dead_usage.ru_maxrss;
	live_rss(t->process, u);
	mutex_unlock(&tasklist);
}

int wait_status_value(int code, int status)
{
	switch (code) {
	case CLD_EXITED:
		return WEXITSTATUS(status);
	case CLD_KILLED:
	case CLD_DUMPED:
		return WTERMSIG(status);
	case CLD_CONTINUED:
		return SIGCONT;
	case CLD_TRAPPED:
		return status >> 8;
	default:
		return WSTOPSIG(status);
	}
}

/* --- which children ---------------------------------------------------------------------------- */

static bool matches(const struct wait_request *req, struct process *p, int tid)
{
	switch (req->which) {
	case WAIT_FOR_ANY:
		return true;
	case WAIT_FOR_PID:
		return tid == req->id;
	case WAIT_FOR_PGRP:
		return p->pgrp && p->pgrp->id == req->id;
	}
	return false;
}

static bool eligible(struct task *t, const struct wait_request *req, struct process *p)
{
	bool is_clone = p->exit_signal != SIGCHLD;

	if (!matches(req, p, p->tgid))
		return false;
	if ((req->options & __WNOTHREAD) && p->parent_serial != t->serial)
		return false;
	return (req->options & __WALL) || is_clone == !!(req->options & __WCLONE);
}

static void fill(struct task *waiter, struct wait_result *out, struct process *p, int code,
		 int status)
{
	/* Without a task that waits it is the container's owner who asks. */
	out->pid = waiter ? pid_show_locked(task_pids(waiter), p->tgid) : p->tgid;
	out->uid = (int)p->leader->cred->uid;
	out->code = code;
	out->status = status;
	process_rusage_locked(p, &out->usage);
	rusage_add(&out->usage, &p->child_usage);
}

static bool try_zombie(struct task *t, const struct wait_request *req, struct process *p,
		       struct wait_result *out)
{
	struct process *me = t->process;
	int status = p->exit_code;

	if (!p->zombie || !(req->options & WEXITED) || ptrace_hides_zombie(p))
		return false;
	fill(t, out, p,
	     WIFEXITED(status)	 ? CLD_EXITED
	     : WCOREDUMP(status) ? CLD_DUMPED
				 : CLD_KILLED,
	     status);
	if (req->options & WNOWAIT)
		return true;
	rusage_add(&me->child_usage, &out->usage);
	process_io_locked(p, &me->dead_io);
	process_reap_locked(p);
	return true;
}

/* Stopped or continued, and not yet reported. */
static bool try_jobctl(struct task *t, const struct wait_request *req, struct process *p,
		       struct wait_result *out)
{
	bool stopped, continued;
	int sig;

	if (p->zombie)
		return false;
	mutex_lock(&p->sighand->lock);
	stopped = p->stopped && p->stopped_report && (req->options & WSTOPPED);
	continued = !stopped && p->continued_report && (req->options & WCONTINUED);
	sig = p->group_stop_signal;
	if (!(req->options & WNOWAIT)) {
		if (stopped)
			p->stopped_report = false;
		if (continued)
			p->continued_report = false;
	}
	mutex_unlock(&p->sighand->lock);
	if (stopped)
		fill(t, out, p, CLD_STOPPED, sig << 8 | 0x7f);
	else if (continued)
		fill(t, out, p, CLD_CONTINUED, 0xffff);
	return stopped || continued;
}

int process_take_stop(struct process *p)
{
	const struct wait_request req = {.options = WSTOPPED};
	struct wait_result out;

	SCOPED_LOCK(&tasklist);
	return try_jobctl(NULL, &req, p, &out) ? WSTOPSIG(out.status) : 0;
}

struct wait_call {
	struct task *t;
	const struct wait_request *req;
	struct wait_result *out;
};

static long look(void *arg)
{
	struct wait_call *call = arg;
	struct process *me = call->t->process, *p;
	bool any = false;
	int r;

	SCOPED_LOCK(&tasklist);
	r = ptrace_wait_locked(call->t, call->req, call->out);
	if (r > 0)
		return 0;
	any = r == 0;
	list_for_each (p, &me->children, sibling) {
		if (!eligible(call->t, call->req, p))
			continue;
		any = true;
		if (try_zombie(call->t, call->req, p, call->out))
			return 0;
		if (p->leader && ptrace_is_traced(p->leader))
			continue; /* its stops are the tracer's to see */
		if (try_jobctl(call->t, call->req, p, call->out))
			return 0;
	}
	if (!any)
		return -ECHILD;
	if (call->req->options & WNOHANG) {
		call->out->pid = 0;
		return 0;
	}
	return -EAGAIN;
}

int task_wait_child(struct task *t, const struct wait_request *req, struct wait_result *out)
{
	struct wait_call call = {t, req, out};

	*out = (struct wait_result){0};
	return (int)task_wait_on(t, &t->process->wait_wq, SLEEP_FOREVER, look, &call);
}
