/* System calls about resource limits and usage. */
#include <errno.h>
#include <sys/times.h>

#include "common/host.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/kernel/wait.h"
#include "sentry/sys/decl.h"

#define NLIMITS 16

/* Sets new (may be NULL) and reports old. */
static int do_prlimit(struct task *t, struct process *p, unsigned int resource,
		      const struct rlimit64 *new, struct rlimit64 *old)
{
	struct rlimit64 *slot;

	if (resource >= NLIMITS || (new &&new->rlim_cur > new->rlim_max))
		return -EINVAL;
	/* fs.nr_open bounds what even root may ask for. */
	if (new &&resource == RLIMIT_NOFILE &&new->rlim_max > 1048576)
		return -EPERM;
	mutex_lock(&p->limit_lock);
	slot = &p->limits[resource];
	*old = *slot;
	if (new &&new->rlim_max > slot->rlim_max && !task_capable(t, CAP_SYS_RESOURCE)) {
		mutex_unlock(&p->limit_lock);
		return -EPERM;
	}
	if (new)
		*slot = *new;
	mutex_unlock(&p->limit_lock);
	if (new &&resource == RLIMIT_CPU)
		itimer_cpu_limit(p);
	return 0;
}

long sys_getrlimit(struct task *t, const struct sysargs *a)
{
	struct rlimit64 old;
	int r = do_prlimit(t, t->process, (unsigned int)a->v[0], NULL, &old);

	return r < 0 ? r : copyout_late(t, UADDR(a->v[1]), &old, sizeof(old));
}

long sys_setrlimit(struct task *t, const struct sysargs *a)
{
	struct rlimit64 new, old;

	if (copyin(t, &new, UADDR(a->v[1]), sizeof(new)) < 0)
		return -EFAULT;
	return do_prlimit(t, t->process, (unsigned int)a->v[0], &new, &old);
}

/* Another's limits: by all three ids, or with CAP_SYS_RESOURCE. */
static bool may_limit(struct task *t, struct task *target)
{
	const struct cred *c = t->cred;
	struct cred *o;
	bool ok;

	if (target->process == t->process)
		return true;
	o = task_get_cred(target);
	ok = c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid &&
	     c->gid == o->sgid && c->gid == o->gid;
	ok |= task_ns_capable(t, o->user_ns, CAP_SYS_RESOURCE);
	cred_put(o);
	return ok;
}

long sys_prlimit64(struct task *t, const struct sysargs *a)
{
	int pid = (int)a->v[0], r;
	struct rlimit64 new, old;
	struct task *target;

	if (a->v[2] && copyin(t, &new, UADDR(a->v[2]), sizeof(new)) < 0)
		return -EFAULT;
	target = pid ? task_find(task_pids(t), pid) : task_get(t);
	if (!target)
		return -ESRCH;
	r = may_limit(t, target)
		? do_prlimit(t, target->process, (unsigned int)a->v[1], a->v[2] ? &new : NULL, &old)
		: -EPERM;
	task_put(target);
	if (r < 0 || !a->v[3])
		return r;
	return copyout_late(t, UADDR(a->v[3]), &old, sizeof(old));
}

long sys_getrusage(struct task *t, const struct sysargs *a)
{
	struct process *p = t->process;
	struct rusage u;

	mm_rss_refresh(t->mm, 20 * NSEC_PER_MSEC); /* process_rusage_locked reports it */
	switch ((int)a->v[0]) {
	case RUSAGE_SELF:
		mutex_lock(&tasklist);
		process_rusage_locked(p, &u);
		mutex_unlock(&tasklist);
		break;
	case RUSAGE_CHILDREN:
		mutex_lock(&tasklist);
		u = p->child_usage;
		mutex_unlock(&tasklist);
		break;
	case RUSAGE_THREAD:
		task_rusage(t, &u);
		break;
	default:
		return -EINVAL;
	}
	return copyout_late(t, UADDR(a->v[1]), &u, sizeof(u));
}

static long ticks(const struct timeval *tv)
{
	return tv->tv_sec * 100 + tv->tv_usec / 10000;
}

long sys_times(struct task *t, const struct sysargs *a)
{
	struct process *p = t->process;
	struct rusage self, children;
	struct tms tms;

	mutex_lock(&tasklist);
	process_rusage_locked(p, &self);
	children = p->child_usage;
	mutex_unlock(&tasklist);
	tms = (struct tms){ticks(&self.ru_utime), ticks(&self.ru_stime), ticks(&children.ru_utime),
			   ticks(&children.ru_stime)};
	if (a->v[0] && copyout_late(t, UADDR(a->v[0]), &tms, sizeof(tms)) < 0)
		return -EFAULT;
	return (long)(host_monotonic_ns() / (NSEC_PER_SEC / 100));
}
