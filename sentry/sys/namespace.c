/*
 * unshare(2) and setns(2). Both first make everything that the caller is going
 * to have, with all checks, and then put it in place: nothing is half done.
 */
#include <errno.h>

#include "sentry/fs/mount.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/net/netns.h"
#include "sentry/sys/decl.h"

/* What the caller gets in place of what it has; NULL: it keeps that. Owned. */
struct change {
	struct cred *cred;
	struct nsproxy *set;
	struct pid_ns *pids;
	struct fs_context *fs;
	struct fdtable *files;
};

static void change_drop(struct change *c)
{
	cred_put(c->cred);
	nsproxy_put(c->set);
	pid_ns_put(c->pids);
	if (c->fs)
		fs_context_put(c->fs);
	if (c->files)
		fdtable_put(c->files);
}

#define EXCHANGE(a, b)                                                                             \
	do {                                                                                       \
		__typeof__(a) tmp = (a);                                                           \
		(a) = (b);                                                                         \
		(b) = tmp;                                                                         \
	} while (0)

static void change_apply(struct task *t, struct change *c)
{
	if (c->set && c->set->ipc != t->ns->ipc)
		sysv_process_leaves(t);
	mutex_lock(&t->alloc_lock);
	if (c->cred)
		EXCHANGE(t->cred, c->cred);
	if (c->set)
		EXCHANGE(t->ns, c->set);
	if (c->pids)
		EXCHANGE(t->pids_for_children, c->pids);
	if (c->fs)
		EXCHANGE(t->fs, c->fs);
	if (c->files)
		EXCHANGE(t->files, c->files);
	mutex_unlock(&t->alloc_lock);
	cred_pay(t->cred);
	change_drop(c); /* what it had */
}

/* --- unshare ------------------------------------------------------------------------------------ */

static int check_unshare(struct task *t, uint64_t flags)
{
	const uint64_t known = CLONE_NAMESPACES | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
			       CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;

	if (flags & ~known)
		return -EINVAL;
	/* These can only be "unshared" by a process that shares nothing. */
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER)) &&
	    process_count_threads(t->process) > 1)
		return -EINVAL;
	return 0;
}

static int unshare_files(struct task *t, struct change *c)
{
	c->files = fdtable_dup(t->files);
	return c->files ? 0 : -ENOMEM;
}

static int unshare_fs(struct task *t, uint64_t flags, struct change *c)
{
	c->fs = fs_context_dup(t->fs);
	return flags & CLONE_NEWNS ? mount_ns_unshare(c->fs, c->cred->user_ns) : 0;
}

long sys_unshare(struct task *t, const struct sysargs *a)
{
	uint64_t flags = a->v[0];
	struct change c = {.cred = NULL};
	int r = check_unshare(t, flags);

	if (r == 0)
		r = cred_for_namespaces(t, flags, &c.cred);
	if (r == 0)
		r = namespaces_unshare(t, flags, c.cred, &c.set, &c.pids);
	if (r == 0 && (flags & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER)))
		r = unshare_fs(t, flags, &c);
	if (r == 0 && (flags & CLONE_FILES))
		r = unshare_files(t, &c);
	if (r < 0)
		change_drop(&c);
	else
		change_apply(t, &c);
	return r;
}

/* --- setns ---------------------------------------------------------------------------------------- */

/* The credentials that count: with a user namespace entered by the same call, those in it. */
static struct cred *cred_now(struct task *t, struct change *c)
{
	return c->cred ? c->cred : t->cred;
}

static bool may_enter(struct task *t, struct change *c, struct ns_common *ns)
{
	struct cred *cred = cred_now(t, c);

	return cred_ns_capable(cred, ns->owner, CAP_SYS_ADMIN) &&
	       cred_ns_capable(cred, cred->user_ns, CAP_SYS_ADMIN);
}

static int enter_user(struct task *t, struct change *c, struct user_ns *u)
{
	if (u == t->cred->user_ns || process_count_threads(t->process) > 1 ||
	    ref_read(&t->fs->ref) > 1)
		return -EINVAL;
	if (!task_ns_capable(t, u, CAP_SYS_ADMIN))
		return -EPERM;
	c->cred = cred_dup(t->cred);
	cred_enter_user_ns(c->cred, user_ns_get(u));
	return 0;
}

static int enter_mounts(struct task *t, struct change *c, struct mount_ns *ns)
{
	struct cred *cred = cred_now(t, c);

	if (!may_enter(t, c, mount_ns_common(ns)) ||
	    !cred_ns_capable(cred, cred->user_ns, CAP_SYS_CHROOT))
		return -EPERM;
	if (ref_read(&t->fs->ref) > 1)
		return -EINVAL;
	c->fs = fs_context_dup(t->fs);
	mount_ns_enter(ns, c->fs);
	return 0;
}

static int enter_pids(struct task *t, struct change *c, struct pid_ns *ns)
{
	if (!may_enter(t, c, &ns->ns))
		return -EPERM;
	/* Never up. */
	if (!pid_ns_is_below(ns, task_pids(t)))
		return -EINVAL;
	c->pids = pid_ns_get(ns);
	return 0;
}

static int enter_set(struct task *t, struct change *c, struct ns_common *ns)
{
	struct nsproxy *old = c->set ? c->set : t->ns, *new;

	if (ns->kind->flag == CLONE_NEWTIME && process_count_threads(t->process) > 1)
		return -EUSERS;
	if (!may_enter(t, c, ns))
		return -EPERM;
	new = nsproxy_with(old, ns);
	nsproxy_put(c->set);
	c->set = new;
	return 0;
}

static int enter(struct task *t, struct change *c, struct ns_common *ns)
{
	switch (ns->kind->flag) {
	case CLONE_NEWUSER:
		return enter_user(t, c, user_ns_from(ns));
	case CLONE_NEWNS:
		return enter_mounts(t, c, mount_ns_from(ns));
	case CLONE_NEWPID:
		return enter_pids(t, c, pid_ns_from(ns));
	}
	return enter_set(t, c, ns);
}

/* What a task has, owned, so that it stays while it is entered. */
struct target {
	struct cred *cred;
	struct nsproxy *set;
	struct fs_context *fs;
	struct pid_ns *pids;
};

static void target_put(struct target *g)
{
	cred_put(g->cred);
	nsproxy_put(g->set);
	if (g->fs)
		fs_context_put(g->fs);
	pid_ns_put(g->pids);
}

static int target_of(struct task *t, struct process *p, struct target *g)
{
	struct task *leader;
	int r;

	mutex_lock(&tasklist);
	leader = p->leader ? task_get(p->leader) : NULL;
	mutex_unlock(&tasklist);
	*g = (struct target){.cred = NULL};
	if (!leader)
		return -ESRCH;
	r = ptrace_may_access(t, leader, ACCESS_READ | ACCESS_REALCREDS);
	if (r == 0) {
		g->cred = task_get_cred(leader);
		g->set = task_get_namespaces(leader);
		g->fs = task_get_fs(leader);
		g->pids = pid_ns_get(p->pids);
		r = g->set && g->fs ? 0 : -ESRCH;
	}
	task_put(leader);
	return r;
}

/* In the order in which each may need what the ones before it gave. */
static int enter_all(struct task *t, struct change *c, const struct target *g, uint64_t flags)
{
	struct ns_common *const order[] = {
	    &g->cred->user_ns->ns, mount_ns_common(g->fs->mounts),
	    &g->set->uts->ns,	   &g->set->ipc->ns,
	    &g->pids->ns,	   &g->set->cgroup->ns,
	    &g->set->net->ns,	   &g->set->time->ns,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(order); i++)
		if (flags & order[i]->kind->flag)
			r = enter(t, c, order[i]);
	return r;
}

static int enter_process(struct task *t, struct change *c, struct process *p, uint64_t flags)
{
	struct target g;
	int r;

	if (!flags || (flags & ~CLONE_NAMESPACES))
		return -EINVAL;
	r = target_of(t, p, &g);
	if (r == 0)
		r = enter_all(t, c, &g, flags);
	target_put(&g);
	return r;
}

static int enter_file(struct task *t, struct change *c, struct file *f, uint64_t flags)
{
	struct ns_common *ns = nsfs_namespace(f);
	struct process *p;
	int r;

	if (ns)
		return flags && flags != ns->kind->flag ? -EINVAL : enter(t, c, ns);
	if (pidfd_process(f, &p) < 0)
		return -EINVAL;
	r = enter_process(t, c, p, flags);
	process_put(p);
	return r;
}

long sys_setns(struct task *t, const struct sysargs *a)
{
	struct change c = {.cred = NULL};
	struct file *f = fd_get(t->files, (int)a->v[0]);
	int r;

	if (!f)
		return -EBADF;
	r = enter_file(t, &c, f, (uint32_t)a->v[1]);
	file_put(f);
	if (r < 0)
		change_drop(&c);
	else
		change_apply(t, &c);
	return r;
}
