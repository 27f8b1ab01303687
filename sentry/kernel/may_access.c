#include "sentry/kernel/may_access.h"

#include <errno.h>

static bool same_ids(const struct cred *c, const struct cred *t, unsigned int mode)
{
	uint32_t uid = mode & ACCESS_FSCREDS ? c->fsuid : c->uid;
	uint32_t gid = mode & ACCESS_FSCREDS ? c->fsgid : c->gid;

	return uid == t->euid && uid == t->suid && uid == t->uid && gid == t->egid &&
	       gid == t->sgid && gid == t->gid;
}

static int check_creds(const struct cred *c, const struct cred *t, unsigned int mode, int dumpable)
{
	capset caps = mode & ACCESS_FSCREDS ? c->effective : c->permitted;

	if (cred_ns_capable(c, t->user_ns, CAP_SYS_PTRACE))
		return 0;
	if (!same_ids(c, t, mode) || dumpable != 1)
		return -EPERM;
	return c->user_ns != t->user_ns || (t->permitted & ~caps) ? -EPERM : 0;
}

int ptrace_may_access(struct task *caller, struct task *target, unsigned int mode)
{
	struct cred *cred;
	struct mm *mm;
	int dumpable = 1, r;

	if (caller->process == target->process)
		return 0;
	mm = task_get_mm(target);
	if (mm) {
		mutex_lock(&mm->lock);
		dumpable = mm->dumpable;
		mutex_unlock(&mm->lock);
		mm_put(mm);
	}
	cred = task_get_cred(target);
	r = check_creds(caller->cred, cred, mode, dumpable);
	cred_put(cred);
	return r;
}
