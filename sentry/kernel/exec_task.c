/* What execve means for threads and signals; the image itself is exec.c's business. */
#include <errno.h>

#include "sentry/kernel/container.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"

/* Is t the only one left, but for the zombie of the leader? */
static bool alone(struct task *t)
{
	struct process *p = t->process;

	if (p->leader == t)
		return p->nthreads == 1;
	return p->nthreads == 2 && atomic_load(&p->leader->state) == 'Z';
}

static int claim(struct task *t)
{
	struct process *p = t->process;
	struct task *other;

	SCOPED_LOCK(&tasklist);
	SCOPED_LOCK(&t->sighand->lock);
	if (p->group_exit || p->exec_task)
		return -EAGAIN;
	p->exec_task = t;
	p->group_stop_count = 0;
	list_for_each (other, &p->threads, thread_node) {
		other->jobctl &= ~JOB_STOP_PENDING;
		if (other != t && !other->exited)
			task_add_work(other, WORK_EXIT);
	}
	if (p->nthreads > 1)
		process_insist(p);
	return 0;
}

static bool is_alone(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return alone(t);
}

/* t takes the zombie leader's place, number and age. */
static void become_leader(struct task *t)
{
	struct process *p = t->process;
	struct task *old = p->leader;
	struct pid_ns *pids;
	struct pid *mine;

	if (old == t)
		return;
	pids = t->container->pids;
	mine = pid_lookup(pids, t->tid);
	mine->task = NULL;
	pid_release(mine);
	mutex_lock(&t->sighand->lock);
	t->start_time = old->start_time;
	t->tid = p->tgid;
	t->own_tid = p->own_tgid;
	old->tid = 0;
	p->leader = t;
	mutex_unlock(&t->sighand->lock);
	pid_lookup(pids, p->tgid)->task = t;
	task_reap_thread_locked(old);
}

int exec_de_thread(struct task *t)
{
	struct process *p = t->process;
	int r = claim(t);

	if (r < 0)
		return r;
	while (r == 0 && !is_alone(t))
		r = task_sleep_killable(t, SLEEP_FOREVER);
	ktimer_cancel(&p->kill_timer);
	SCOPED_LOCK(&tasklist);
	if (r == 0)
		become_leader(t);
	p->exec_task = NULL;
	p->did_exec = r == 0;
	return r < 0 ? -EAGAIN : 0;
}

/* CLONE_SIGHAND without CLONE_THREAD shared the table with another process. */
static void unshare_sighand(struct task *t)
{
	struct process *p = t->process;
	struct sighand *old = p->sighand, *copy;

	if (ref_read(&old->ref) == 1)
		return;
	copy = sighand_dup(old);
	mutex_lock(&tasklist);
	mutex_lock(&old->lock);
	p->sighand = t->sighand = copy;
	mutex_unlock(&old->lock);
	mutex_unlock(&tasklist);
	sighand_put(old);
}

static void reset_handlers(struct sighand *sh)
{
	SCOPED_LOCK(&sh->lock);

	for (int i = 0; i < KNSIG; i++) {
		uint64_t keep = sh->action[i].handler == KSIG_IGN ? KSIG_IGN : KSIG_DFL;

		sh->action[i] = (struct ksigaction){.handler = keep};
	}
}

void exec_reset(struct task *t)
{
	struct process *p = t->process;

	unshare_sighand(t);
	reset_handlers(t->sighand);
	t->altstack = (struct kstack){0};
	atomic_store(&p->membarrier, 0);
	t->robust_list = UADDR_NULL;
	t->clear_child_tid = UADDR_NULL;
	process_timers_exit(p, false);
	mutex_lock(&tasklist);
	p->exit_signal = SIGCHLD;
	mutex_unlock(&tasklist);
	vfork_release(t);
	ptrace_exec(t, t->tid);
}
