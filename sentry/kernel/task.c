/*
 * Tasks and processes as objects: creation, references, lookups, and how a task
 * is woken. Life and death are in clone.c, run.c and exit.c.
 *
 * Waking a task without losing the wake-up. A task's thread is in the guest, in
 * a sleep, or on its way between. Whoever wants its attention first sets a bit
 * in task->work, then calls task_kick. The task
 *   - before it enters the guest: sets in_guest, then reads work (run.c);
 *   - before it sleeps: reads work (task_sleep), and a wake-up token that comes
 *     after that reading is kept by the sleeper.
 * The kicker sets work, then reads in_guest. All four are sequentially
 * consistent, so one of the two sees the other's write:
 *
 *	task				kicker
 *	in_guest = true			work |= bit
 *	work? -> do not enter		in_guest? -> pf_interrupt
 *	pf_run				sleeper_wake
 *
 * An interrupt that comes after the task left pf_run makes its next pf_run
 * return at once, which is harmless. alloc_lock keeps pt and sleeper alive
 * during the kick.
 */
#include "sentry/kernel/task.h"

#include <errno.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"

/* A task, its process and the touched pages of its thread's stack. */
#define TASK_WEIGHT (16 << 10)

static __thread struct task *current;
static __thread uint64_t thread_ns; /* what the thread's CPU clock showed when its last task left */

struct task *task_current(void)
{
	return current;
}

void task_set_current(struct task *t)
{
	current = t;
}

static int access_copyin(struct guest_access *ga, void *to, uaddr from, size_t n)
{
	return copyin(task_from_access(ga), to, from, n);
}

static int access_copyout(struct guest_access *ga, uaddr to, const void *from, size_t n)
{
	return copyout(task_from_access(ga), to, from, n);
}

static const struct cred *access_cred(struct guest_access *ga)
{
	return task_from_access(ga)->cred;
}

struct task *task_new(struct process *p)
{
	static atomic_uint_fast64_t serial;
	struct task *t = NEW(struct task);

	ref_init(&t->ref);
	t->access = (struct guest_access){access_copyin, access_copyout, access_cred};
	t->serial = atomic_fetch_add(&serial, 1) + 1;
	t->process = process_get(p);
	t->sighand = p->sighand;
	t->container = p->container;
	t->payer = account_charge_always(TASK_WEIGHT);
	account_task_add(t->payer);
	list_init(&t->thread_node);
	list_init(&t->pending.queue);
	mutex_init(&t->alloc_lock, RANK_LEAF);
	atomic_init(&t->state, 'R');
	t->syscall_nr = -1;
	t->start_time = host_monotonic_ns();
	t->timer_slack = 50000;
	return t;
}

struct task *task_get(struct task *t)
{
	ref_get(&t->ref);
	return t;
}

void task_put(struct task *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	assert(!t->pt && !t->mm && !t->files && !t->fs && !t->ns);
	sigpending_flush(&t->pending, t->process);
	task_free_extras(t);
	cred_put(t->cred);
	cred_put(t->former_cred);
	process_put(t->process);
	account_task_del(t->payer);
	account_uncharge(t->payer, TASK_WEIGHT);
	mutex_destroy(&t->alloc_lock);
	free(t);
}

struct process *process_new(struct container *c, struct sighand *sighand)
{
	struct process *p = NEW(struct process);

	ref_init(&p->ref);
	p->container = c;
	p->sighand = sighand;
	list_init(&p->threads);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->tracees);
	list_init(&p->pgrp_node);
	list_init(&p->pending.queue);
	waitq_init(&p->wait_wq);
	waitq_init(&p->pidfd_wq);
	mutex_init(&p->limit_lock, RANK_LEAF);
	process_insist_init(p);
	p->start_time = host_monotonic_ns();
	return p;
}

struct process *process_get(struct process *p)
{
	ref_get(&p->ref);
	return p;
}

void process_put(struct process *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	sigpending_flush(&p->pending, p);
	sighand_put(p->sighand);
	process_timers_free(p);
	pid_ns_put(p->pids);
	waitq_destroy(&p->wait_wq);
	waitq_destroy(&p->pidfd_wq);
	mutex_destroy(&p->limit_lock);
	free(p);
}

/* --- parts of other tasks ------------------------------------------------------------ */

struct mm *task_get_mm(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	return t->mm ? mm_get(t->mm) : NULL;
}

struct fdtable *task_get_files(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	return t->files ? fdtable_get(t->files) : NULL;
}

struct fs_context *task_get_fs(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	return t->fs ? fs_context_get(t->fs) : NULL;
}

struct cred *task_get_cred(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	return cred_get(t->cred);
}

void task_set_cred(struct task *t, struct cred *cred)
{
	struct cred *old;

	if (cred != t->cred)
		cred_settle_account(cred);
	cred_pay(cred);
	mutex_lock(&t->alloc_lock);
	old = t->cred;
	t->cred = cred;
	mutex_unlock(&t->alloc_lock);
	cred_put(old);
}

void task_get_comm(struct task *t, char comm[16])
{
	SCOPED_LOCK(&t->alloc_lock);
	memcpy(comm, t->comm, 16);
}

void task_set_comm(struct task *t, const char *comm)
{
	SCOPED_LOCK(&t->alloc_lock);
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, comm, strnlen(comm, sizeof(t->comm) - 1));
}

/* --- lookups ----------------------------------------------------------------------------- */

struct task *task_find(struct pid_ns *ns, int tid)
{
	SCOPED_LOCK(&tasklist);
	struct pid *pid = pid_lookup(ns, tid);

	return pid && pid->task ? task_get(pid->task) : NULL;
}

struct process *process_find(struct pid_ns *ns, int tgid)
{
	SCOPED_LOCK(&tasklist);
	struct pid *pid = pid_lookup(ns, tgid);

	return pid && pid->process ? process_get(pid->process) : NULL;
}

struct process *process_next(struct container *c, int from)
{
	SCOPED_LOCK(&tasklist);

	for (struct pid *pid = pid_next(c->pids, from); pid; pid = pid_next(c->pids, pid->nr + 1))
		if (pid->process)
			return process_get(pid->process);
	return NULL;
}

struct process *process_next_in(struct pid_ns *ns, int from, int *nr)
{
	SCOPED_LOCK(&tasklist);

	for (struct pid *pid = pid_next(ns, from); pid; pid = pid_next(ns, *nr + 1)) {
		*nr = pid_nr_in(pid, ns);
		if (pid->process)
			return process_get(pid->process);
	}
	return NULL;
}

struct task *process_next_task(struct process *p, int from)
{
	SCOPED_LOCK(&tasklist);
	struct task *t, *best = NULL;

	list_for_each (t, &p->threads, thread_node)
		if (t->tid >= from && (!best || t->tid < best->tid))
			best = t;
	return best ? task_get(best) : NULL;
}

int process_count_threads(struct process *p)
{
	SCOPED_LOCK(&tasklist);
	return p->nthreads;
}

int container_count_tasks(struct container *c)
{
	SCOPED_LOCK(&tasklist);
	int n = 0;

	for (struct pid *pid = pid_next(c->pids, 1); pid; pid = pid_next(c->pids, pid->nr + 1))
		n += pid->task != NULL;
	return n;
}

bool process_exited(struct process *p, int *wait_status)
{
	SCOPED_LOCK(&tasklist);

	*wait_status = p->exit_code;
	return p->zombie;
}

/* --- waking and sleeping ---------------------------------------------------------------- */

void task_kick(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);

	if (t->pt && atomic_load(&t->in_guest))
		pf_interrupt(t->pt);
	if (t->sleeper)
		sleeper_wake(t->sleeper);
}

void task_add_work(struct task *t, unsigned int work)
{
	atomic_fetch_or(&t->work, work);
	task_kick(t);
}

bool task_interrupted(struct task *t)
{
	unsigned int work = atomic_load(&t->work);

	if (work & (WORK_EXIT | WORK_STOP))
		return true;
	/* The bit is a hint: another thread may have taken the signal. A sleep that ended
	 * for nothing would show as EINTR in calls that Linux does not restart. */
	return (work & WORK_SIGNAL) && signal_recalc(t);
}

static int sleep_until(struct task *t, uint64_t deadline, int state)
{
	int r;

	atomic_store(&t->state, state);
	pf_task_sleeps(true);
	r = sleeper_sleep(t->sleeper, deadline);
	pf_task_sleeps(false);
	atomic_store(&t->state, 'R');
	loadavg_woken(t->container);
	t->nvcsw++;
	return r;
}

int task_sleep(struct task *t, uint64_t deadline)
{
	/* Checked before and not after: the caller tests its condition once more when it was
	 * woken, so that an event counts more than a signal that came with it. */
	if (task_interrupted(t))
		return -ERESTARTSYS;
	return sleep_until(t, deadline, 'S');
}

int task_sleep_killable(struct task *t, uint64_t deadline)
{
	if (task_killed(t))
		return -EINTR;
	return sleep_until(t, deadline, 'D');
}

/* The thread is about to forget its task: its clock's last value stays. */
void task_leave_thread(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	if (t->sleeper) {
		thread_ns = host_clock_ns(t->cpu_clock);
		t->system_ns = thread_ns - t->cpu_clock_start;
	}
	t->sleeper = NULL;
}

void task_enter_thread(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	t->cpu_clock = host_thread_clock();
	t->cpu_clock_start = thread_ns;
	t->sleeper = sleeper_self();
}

/* --- limits and times --------------------------------------------------------------------- */

uint64_t task_rlimit(struct task *t, int resource)
{
	struct process *p = t->process;

	SCOPED_LOCK(&p->limit_lock);
	return p->limits[resource].rlim_cur;
}

void task_mm_limits(struct task *t, struct mm_limits *out)
{
	struct process *p = t->process;

	SCOPED_LOCK(&p->limit_lock);
	*out = (struct mm_limits){
	    .as = p->limits[RLIMIT_AS].rlim_cur,
	    .data = p->limits[RLIMIT_DATA].rlim_cur,
	    .stack = p->limits[RLIMIT_STACK].rlim_cur,
	    .memlock = p->limits[RLIMIT_MEMLOCK].rlim_cur,
	    .can_lock = task_capable(t, CAP_IPC_LOCK),
	};
}

void task_walk_begin(struct task *t, struct task_walk *w, struct walk_env *env)
{
	fs_context_paths(t->fs, &w->root, &w->cwd);
	w->cred = cred_get(t->cred);
	*env = (struct walk_env){&w->root, &w->cwd, w->cred, &t->access};
}

void task_walk_end(struct task_walk *w)
{
	path_put(&w->root);
	path_put(&w->cwd);
	cred_put(w->cred);
}

void task_times(struct task *t, uint64_t *user, uint64_t *system)
{
	SCOPED_LOCK(&t->alloc_lock);

	uint64_t since = atomic_load(&t->guest_since), now = host_monotonic_ns();

	*user = atomic_load(&t->guest_ns);
	if (since && now > since)
		*user += now - since;
	*system = t->sleeper ? host_clock_ns(t->cpu_clock) - t->cpu_clock_start : t->system_ns;
}

static uint64_t timeval_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * NSEC_PER_SEC + (uint64_t)tv->tv_usec * NSEC_PER_USEC;
}

void process_times_locked(struct process *p, uint64_t *user, uint64_t *system)
{
	struct task *t;

	mutex_assert_held(&tasklist);
	/* dead_usage has the threads that have left the list. */
	*user = timeval_ns(&p->dead_usage.ru_utime);
	*system = timeval_ns(&p->dead_usage.ru_stime);
	list_for_each (t, &p->threads, thread_node) {
		uint64_t u, s;

		task_times(t, &u, &s);
		*user += u;
		*system += s;
	}
}

static void count(atomic_ullong *to, unsigned long long n)
{
	/* Nobody else writes; others see one value or the other. */
	atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void task_count_read(struct task *t, long result)
{
	count(&t->io.syscr, 1);
	if (result > 0)
		count(&t->io.rchar, (unsigned long long)result);
}

void task_count_write(struct task *t, long result)
{
	count(&t->io.syscw, 1);
	if (result > 0)
		count(&t->io.wchar, (unsigned long long)result);
}

void task_io_add(struct task_io *to, const struct task_io *from)
{
	count(&to->rchar, atomic_load(&from->rchar));
	count(&to->wchar, atomic_load(&from->wchar));
	count(&to->syscr, atomic_load(&from->syscr));
	count(&to->syscw, atomic_load(&from->syscw));
}

void process_io_locked(struct process *p, struct task_io *to)
{
	struct task *t;

	mutex_assert_held(&tasklist);
	task_io_add(to, &p->dead_io);
	list_for_each (t, &p->threads, thread_node)
		task_io_add(to, &t->io);
}

void process_times(struct process *p, uint64_t *user, uint64_t *system)
{
	SCOPED_LOCK(&tasklist);
	process_times_locked(p, user, system);
}
