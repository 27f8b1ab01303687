/* New namespaces, by the rules of clone(2), unshare(2) and user_namespaces(7). */
#include <errno.h>

#include "sentry/fs/mount.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"

static int new_user_ns(struct task *t, const struct cred *old, struct user_ns **out)
{
	/* In a chroot it would allow to leave it. */
	if (fs_context_is_chrooted(t->fs))
		return -EPERM;
	if (!user_ns_has(old->user_ns, ID_UID, old->euid) ||
	    !user_ns_has(old->user_ns, ID_GID, old->egid))
		return -EPERM;
	return user_ns_new(old->user_ns, old->euid, old->egid, old->effective & BIT(CAP_SETFCAP),
			   out);
}

int cred_for_namespaces(struct task *t, uint64_t flags, struct cred **out)
{
	struct user_ns *u;
	int r;

	*out = NULL;
	if (!(flags & CLONE_NEWUSER)) {
		*out = cred_get(t->cred);
		return 0;
	}
	r = new_user_ns(t, t->cred, &u);
	if (r < 0)
		return r;
	*out = cred_dup(t->cred);
	cred_enter_user_ns(*out, u);
	return 0;
}

static int unshare_pids(struct task *t, uint64_t flags, struct user_ns *owner, struct pid_ns **out)
{
	if (!(flags & CLONE_NEWPID)) {
		*out = pid_ns_get(t->pids_for_children);
		return 0;
	}
	/* One must be in a namespace to make another in it. */
	if (t->pids_for_children != task_pids(t))
		return -EINVAL;
	return pid_ns_unshare(t->pids_for_children, owner, out);
}

int namespaces_unshare(struct task *t, uint64_t flags, const struct cred *cred,
		       struct nsproxy **set, struct pid_ns **pids)
{
	int r;

	if (!(flags & CLONE_NAMESPACES & ~(uint64_t)CLONE_NEWUSER)) {
		*set = nsproxy_get(t->ns);
		*pids = pid_ns_get(t->pids_for_children);
		return 0;
	}
	if (!cred_ns_capable(cred, cred->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	r = unshare_pids(t, flags, cred->user_ns, pids);
	if (r < 0)
		return r;
	r = nsproxy_unshare(t->ns, flags, cred->user_ns, set);
	if (r < 0) {
		pid_ns_put(*pids);
		*pids = NULL;
	}
	return r;
}
