/*
 * System calls about scheduling. The host schedules; what a guest asks for is
 * kept and reported, with Linux's permission rules, and bounded by the CPUs that
 * the sandbox really has.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/resource.h>

#include "common/host_sched.h"
#include "common/mem.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

static struct task *find_task(struct task *t, int pid)
{
	if (pid < 0)
		return NULL;
	return pid ? task_find(task_pids(t), pid) : task_get(t);
}

/* Linux: check_same_owner. */
static bool same_owner(struct task *t, struct task *target)
{
	struct cred *o = task_get_cred(target);
	bool same = t->cred->euid == o->euid || t->cred->euid == o->uid;

	cred_put(o);
	return same;
}

/* CAP_SYS_NICE over the target's user namespace. */
static bool nice_over(struct task *t, struct task *target)
{
	struct cred *o = task_get_cred(target);
	bool may = task_ns_capable(t, o->user_ns, CAP_SYS_NICE);

	cred_put(o);
	return may;
}

long sys_sched_yield(struct task *t, const struct sysargs *a)
{
	host_sched_yield();
	return 0;
}

/* --- affinity ---------------------------------------------------------------------------------- */

long sys_sched_setaffinity(struct task *t, const struct sysargs *a)
{
	uint64_t want[16] = {0}, real[16], any = 0;
	struct task *target;
	long r = 0;

	if (copyin(t, want, UADDR(a->v[2]), min((size_t)(uint32_t)a->v[1], sizeof(want))) < 0)
		return -EFAULT;
	target = find_task(t, (int)a->v[0]);
	if (!target)
		return -ESRCH;
	container_cpu_mask(t->container, real);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		any |= want[i] &= real[i];
	if (!same_owner(t, target) && !nice_over(t, target))
		r = -EPERM;
	else if (!any)
		r = -EINVAL;
	else
		memcpy(target->affinity, want, sizeof(want));
	task_put(target);
	return r;
}

long sys_sched_getaffinity(struct task *t, const struct sysargs *a)
{
	size_t size = (uint32_t)a->v[1], n = 8;
	struct task *target;
	long r;

	/* The kernel's own mask, rounded to longs, must fit. */
	if (size % 8 || size * 8 < t->container->ncpus)
		return -EINVAL;
	target = find_task(t, (int)a->v[0]);
	if (!target)
		return -ESRCH;
	while (n * 8 < t->container->ncpus)
		n += 8;
	n = min(min(n, size), sizeof(target->affinity));
	r = copyout(t, UADDR(a->v[2]), target->affinity, n);
	task_put(target);
	return r < 0 ? r : (long)n;
}

long sys_getcpu(struct task *t, const struct sysargs *a)
{
	unsigned int cpu, node;

	host_getcpu(&cpu, &node);
	if (a->v[0] && copyout_late(t, UADDR(a->v[0]), &cpu, sizeof(cpu)) < 0)
		return -EFAULT;
	return a->v[1] ? copyout_late(t, UADDR(a->v[1]), &node, sizeof(node)) : 0;
}

/* --- policy ---------------------------------------------------------------------------------------- */

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool known_policy(int policy)
{
	return policy == SCHED_OTHER || is_realtime(policy) || policy == SCHED_BATCH ||
	       policy == SCHED_IDLE;
}

struct sched_request {
	int policy, priority, nice;
	bool reset_on_fork, set_nice;
};

static int check_request(const struct sched_request *rq)
{
	if (rq->policy == SCHED_DEADLINE)
		return -EPERM;
	if (!known_policy(rq->policy))
		return -EINVAL;
	if (rq->priority < 0 || rq->priority > 99 || is_realtime(rq->policy) != (rq->priority > 0))
		return -EINVAL;
	return 0;
}

static bool nice_allowed(struct task *target, int nice)
{
	return nice >= target->nice ||
	       20 - (int64_t)nice <= (int64_t)min(task_rlimit(target, RLIMIT_NICE), (uint64_t)40);
}

static bool may_schedule(struct task *t, struct task *target, const struct sched_request *rq)
{
	uint64_t limit = task_rlimit(target, RLIMIT_RTPRIO);

	if (task_capable(t, CAP_SYS_NICE))
		return true;
	if (is_realtime(rq->policy) &&
	    ((rq->policy != target->sched_policy && !limit) ||
	     (rq->priority > target->sched_priority && (uint64_t)rq->priority > limit)))
		return false;
	if (target->sched_policy == SCHED_IDLE && rq->policy != SCHED_IDLE &&
	    !nice_allowed(target, target->nice))
		return false;
	if (rq->set_nice && !nice_allowed(target, rq->nice))
		return false;
	return same_owner(t, target) &&
	       (rq->reset_on_fork || !(target->sched_policy & SCHED_RESET_ON_FORK));
}

static long set_schedule(struct task *t, int pid, const struct sched_request *rq)
{
	struct task *target = find_task(t, pid);
	long r;

	if (!target)
		return pid < 0 ? -EINVAL : -ESRCH;
	r = check_request(rq);
	if (r == 0 && !may_schedule(t, target, rq))
		r = -EPERM;
	if (r == 0) {
		target->sched_policy = rq->policy | (rq->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
		target->sched_priority = rq->priority;
		if (rq->set_nice && !is_realtime(rq->policy))
			target->nice = rq->nice;
	}
	task_put(target);
	return r;
}

static int copyin_priority(struct task *t, uint64_t from, int *priority)
{
	if (!from)
		return -EINVAL;
	return copyin(t, priority, UADDR(from), sizeof(*priority));
}

long sys_sched_setscheduler(struct task *t, const struct sysargs *a)
{
	int policy = (int)a->v[1];
	struct sched_request rq = {.policy = policy & ~SCHED_RESET_ON_FORK,
				   .reset_on_fork = policy & SCHED_RESET_ON_FORK};
	int r;

	if (policy < 0)
		return -EINVAL;
	r = copyin_priority(t, a->v[2], &rq.priority);
	return r < 0 ? r : set_schedule(t, (int)a->v[0], &rq);
}

long sys_sched_setparam(struct task *t, const struct sysargs *a)
{
	struct task *target = find_task(t, (int)a->v[0]);
	struct sched_request rq;
	int r;

	if (!target)
		return (int)a->v[0] < 0 ? -EINVAL : -ESRCH;
	rq = (struct sched_request){.policy = target->sched_policy & ~SCHED_RESET_ON_FORK,
				    .reset_on_fork = target->sched_policy & SCHED_RESET_ON_FORK};
	task_put(target);
	r = copyin_priority(t, a->v[1], &rq.priority);
	return r < 0 ? r : set_schedule(t, (int)a->v[0], &rq);
}

long sys_sched_getparam(struct task *t, const struct sysargs *a)
{
	struct task *target = find_task(t, (int)a->v[0]);
	int priority;

	if (!target || !a->v[1]) {
		task_put(target);
		return (int)a->v[0] < 0 || !a->v[1] ? -EINVAL : -ESRCH;
	}
	priority = target->sched_priority;
	task_put(target);
	return copyout(t, UADDR(a->v[1]), &priority, sizeof(priority));
}

long sys_sched_getscheduler(struct task *t, const struct sysargs *a)
{
	struct task *target = find_task(t, (int)a->v[0]);
	int policy;

	if (!target)
		return (int)a->v[0] < 0 ? -EINVAL : -ESRCH;
	policy = target->sched_policy;
	task_put(target);
	return policy;
}

long sys_sched_get_priority_max(struct task *t, const struct sysargs *a)
{
	int policy = (int)a->v[0];

	if (!known_policy(policy) && policy != SCHED_DEADLINE)
		return -EINVAL;
	return is_realtime(policy) ? 99 : 0;
}

long sys_sched_get_priority_min(struct task *t, const struct sysargs *a)
{
	int policy = (int)a->v[0];

	if (!known_policy(policy) && policy != SCHED_DEADLINE)
		return -EINVAL;
	return is_realtime(policy);
}

long sys_sched_rr_get_interval(struct task *t, const struct sysargs *a)
{
	struct task *target = find_task(t, (int)a->v[0]);
	struct timespec ts = {0};

	if (!target)
		return (int)a->v[0] < 0 ? -EINVAL : -ESRCH;
	if ((target->sched_policy & ~SCHED_RESET_ON_FORK) == SCHED_RR)
		ts.tv_nsec = 100 * (long)NSEC_PER_MSEC;
	else if ((target->sched_policy & ~SCHED_RESET_ON_FORK) != SCHED_FIFO)
		ts.tv_nsec = 4 * (long)NSEC_PER_MSEC;
	task_put(target);
	return copyout(t, UADDR(a->v[1]), &ts, sizeof(ts));
}

/* struct sched_attr, first version; later fields are clamps that we do not have. */
struct ksched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

long sys_sched_setattr(struct task *t, const struct sysargs *a)
{
	struct ksched_attr at = {0};
	struct sched_request rq;
	uint32_t size;

	if (!a->v[1] || (int)a->v[0] < 0 || a->v[2])
		return -EINVAL;
	if (copyin(t, &size, UADDR(a->v[1]), sizeof(size)) < 0)
		return -EFAULT;
	if (size && size < sizeof(at)) {
		size = 56;
		(void)!copyout(t, UADDR(a->v[1]), &size, sizeof(size));
		return -E2BIG;
	}
	if (copyin(t, &at, UADDR(a->v[1]), sizeof(at)) < 0)
		return -EFAULT;
	if ((int)at.policy < 0)
		return -EINVAL;
	rq = (struct sched_request){.policy = (int)at.policy,
				    .priority = (int)at.priority,
				    .nice = min(max(at.nice, -20), 19),
				    .set_nice = true,
				    .reset_on_fork = at.flags & SCHED_FLAG_RESET_ON_FORK};
	return set_schedule(t, (int)a->v[0], &rq);
}

long sys_sched_getattr(struct task *t, const struct sysargs *a)
{
	struct ksched_attr at = {.size = sizeof(at)};
	struct task *target;

	if (!a->v[1] || (int)a->v[0] < 0 || a->v[2] < sizeof(at) || a->v[2] > GUEST_PAGE || a->v[3])
		return -EINVAL;
	target = find_task(t, (int)a->v[0]);
	if (!target)
		return -ESRCH;
	at.policy = (uint32_t)(target->sched_policy & ~SCHED_RESET_ON_FORK);
	at.flags = target->sched_policy & SCHED_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0;
	if (is_realtime((int)at.policy))
		at.priority = (uint32_t)target->sched_priority;
	else
		at.nice = target->nice;
	task_put(target);
	return copyout(t, UADDR(a->v[1]), &at, sizeof(at));
}

/* --- nice and I/O priority --------------------------------------------------------------------------- */

/* What getpriority, setpriority, ioprio_get and ioprio_set do to each task they name. */
struct prio_walk {
	struct task *caller;
	int value; /* to set; or the best found */
	long result;
	void (*one)(struct prio_walk *w, struct task *target);
};

static void walk_process(struct prio_walk *w, struct process *p)
{
	struct task *t;

	for (t = process_next_task(p, 1); t;) {
		int next = t->tid + 1;

		w->one(w, t);
		task_put(t);
		t = process_next_task(p, next);
	}
}

static bool in_walk(struct process *p, bool group, int who)
{
	struct cred *c;
	struct task *leader;
	bool match;

	mutex_lock(&tasklist);
	leader = p->leader ? task_get(p->leader) : NULL;
	match = group && p->pgrp && p->pgrp->id == who;
	mutex_unlock(&tasklist);
	if (!group && leader) {
		c = task_get_cred(leader);
		match = c->uid == (uint32_t)who;
		cred_put(c);
	}
	task_put(leader);
	return match;
}

/* kind: 0 a task, 1 a process group, 2 a user. */
static void walk_prio(struct prio_walk *w, int kind, int who)
{
	struct container *c = w->caller->container;
	struct process *p;

	if (kind == 0) {
		struct task *target = find_task(w->caller, who);

		if (target)
			w->one(w, target);
		task_put(target);
		return;
	}
	if (kind == 1)
		who = who ? task_take_pid(w->caller, who) : task_pgrp(w->caller);
	else
		who = (int)(who ? task_take_uid(w->caller, (uint32_t)who) : w->caller->cred->uid);
	for (p = process_next(c, 1); p;) {
		int next = p->tgid + 1;

		if (in_walk(p, kind == 1, who))
			walk_process(w, p);
		process_put(p);
		p = process_next(c, next);
	}
}

static void one_getpriority(struct prio_walk *w, struct task *target)
{
	w->result = max(w->result, (long)(20 - target->nice));
}

static void one_setpriority(struct prio_walk *w, struct task *target)
{
	if (!same_owner(w->caller, target) && !nice_over(w->caller, target)) {
		w->result = -EPERM;
		return;
	}
	if (!nice_allowed(target, w->value) && !task_capable(w->caller, CAP_SYS_NICE)) {
		w->result = -EACCES;
		return;
	}
	if (w->result == -ESRCH)
		w->result = 0;
	target->nice = w->value;
}

long sys_getpriority(struct task *t, const struct sysargs *a)
{
	struct prio_walk w = {t, 0, -ESRCH, one_getpriority};

	if (a->v[0] > 2)
		return -EINVAL;
	walk_prio(&w, (int)a->v[0], (int)a->v[1]);
	return w.result;
}

long sys_setpriority(struct task *t, const struct sysargs *a)
{
	struct prio_walk w = {t, min(max((int)a->v[2], -20), 19), -ESRCH, one_setpriority};

	if (a->v[0] > 2)
		return -EINVAL;
	walk_prio(&w, (int)a->v[0], (int)a->v[1]);
	return w.result;
}

#define IOPRIO_CLASS(p) ((p) >> 13)
#define IOPRIO_LEVEL(p) ((p)&0x1fff)

/* Lower values are better; class NONE counts as best effort by nice. */
static int effective_ioprio(const struct task *t)
{
	if (IOPRIO_CLASS(t->io_prio))
		return t->io_prio;
	return 2 << 13 | (t->nice + 20) / 5;
}

static void one_ioprio_get(struct prio_walk *w, struct task *target)
{
	long prio = effective_ioprio(target);

	w->result = w->result < 0 ? prio : min(w->result, prio);
}

static void one_ioprio_set(struct prio_walk *w, struct task *target)
{
	if (!same_owner(w->caller, target) && !nice_over(w->caller, target)) {
		w->result = -EPERM;
		return;
	}
	target->io_prio = w->value;
	w->result = 0;
}

long sys_ioprio_get(struct task *t, const struct sysargs *a)
{
	struct prio_walk w = {t, 0, -ESRCH, one_ioprio_get};

	if (a->v[0] < 1 || a->v[0] > 3)
		return -EINVAL;
	if (a->v[0] == 1) {
		struct task *target = find_task(t, (int)a->v[1]);
		long prio = target ? target->io_prio : -ESRCH;

		task_put(target);
		return prio;
	}
	walk_prio(&w, (int)a->v[0] - 1, (int)a->v[1]);
	return w.result;
}

long sys_ioprio_set(struct task *t, const struct sysargs *a)
{
	struct prio_walk w = {t, (int)a->v[2], -ESRCH, one_ioprio_set};
	int class = IOPRIO_CLASS(w.value), level = IOPRIO_LEVEL(w.value);

	if (w.value < 0 || class > 3 || a->v[0] < 1 || a->v[0] > 3)
		return -EINVAL;
	if (class == 1 && !task_capable(t, CAP_SYS_ADMIN) && !task_capable(t, CAP_SYS_NICE))
		return -EPERM;
	if (((class == 1 || class == 2) && level >= 8) || (class == 0 && level))
		return -EINVAL;
	walk_prio(&w, (int)a->v[0] - 1, (int)a->v[1]);
	return w.result;
}
