/* unshare(2), setns(2), kcmp(2), membarrier(2). */
#include <errno.h>
#include <linux/kcmp.h>
#include <linux/membarrier.h>
#include <sched.h>

#include "sentry/fs/epoll.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/epoll.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/membarrier.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

#define NS_FLAGS                                                                                   \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET |                 \
	 CLONE_NEWCGROUP | CLONE_NEWUSER | 0x80 /* CLONE_NEWTIME */)

static int check_unshare(struct task *t, uint64_t flags)
{
	const uint64_t known = NS_FLAGS | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD |
			       CLONE_SIGHAND | CLONE_VM;

	if (flags & ~known)
		return -EINVAL;
	/* These can only be "unshared" by a process that shares nothing. */
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER)) &&
	    process_count_threads(t->process) > 1)
		return -EINVAL;
	if (flags & CLONE_NEWUSER)
		return -EPERM;
	if (!(flags & NS_FLAGS))
		return 0;
	if (!task_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	return flags & NS_FLAGS & ~(uint64_t)CLONE_NEWNS ? -EINVAL : 0;
}

static int unshare_fs(struct task *t, bool mounts)
{
	struct fs_context *old = t->fs, *new = fs_context_dup(old);
	int r = mounts ? mount_ns_unshare(new) : 0;

	if (r < 0) {
		fs_context_put(new);
		return r;
	}
	mutex_lock(&t->alloc_lock);
	t->fs = new;
	mutex_unlock(&t->alloc_lock);
	fs_context_put(old);
	return 0;
}

static int unshare_files(struct task *t)
{
	struct fdtable *old = t->files, *new = fdtable_dup(old);

	if (!new)
		return -ENOMEM;
	mutex_lock(&t->alloc_lock);
	t->files = new;
	mutex_unlock(&t->alloc_lock);
	fdtable_put(old);
	return 0;
}

long sys_unshare(struct task *t, const struct sysargs *a)
{
	uint64_t flags = a->v[0];
	int r = check_unshare(t, flags);

	if (r == 0 && (flags & (CLONE_FS | CLONE_NEWNS)))
		r = unshare_fs(t, flags & CLONE_NEWNS);
	if (r == 0 && (flags & CLONE_FILES))
		r = unshare_files(t);
	return r;
}

/* All tasks of a container share every namespace but the mount namespace. */
static int enter(struct task *t, struct process *p, uint64_t flags)
{
	struct fs_context *fs = NULL;
	struct mount_ns *ns;
	struct task *leader;

	if (!task_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	if (!(flags & CLONE_NEWNS))
		return 0;
	if (!task_capable(t, CAP_SYS_CHROOT))
		return -EPERM;
	mutex_lock(&tasklist);
	leader = p->leader ? task_get(p->leader) : NULL;
	mutex_unlock(&tasklist);
	if (leader)
		fs = task_get_fs(leader);
	task_put(leader);
	if (!fs)
		return -ESRCH;
	mutex_lock(&fs->lock);
	ns = mount_ns_get(fs->mounts);
	mutex_unlock(&fs->lock);
	fs_context_put(fs);
	mount_ns_enter(ns, t->fs);
	mount_ns_put(ns);
	return 0;
}

long sys_setns(struct task *t, const struct sysargs *a)
{
	uint64_t flags = (uint32_t)a->v[1];
	struct process *p;
	struct file *f = fd_get(t->files, (int)a->v[0]);
	int r;

	if (!f)
		return -EBADF;
	r = pidfd_process(f, &p);
	file_put(f);
	if (r < 0)
		return -EINVAL; /* no file of a namespace can be opened: /proc/PID/ns is opaque */
	if (!flags || (flags & ~(uint64_t)NS_FLAGS))
		r = -EINVAL;
	else
		r = enter(t, p, flags);
	process_put(p);
	return r;
}

/* --- kcmp ------------------------------------------------------------------------------------------ */

static const void *part(struct task *t, int type)
{
	SCOPED_LOCK(&t->alloc_lock);

	switch (type) {
	case KCMP_VM:
		return t->mm;
	case KCMP_FILES:
		return t->files;
	case KCMP_FS:
		return t->fs;
	case KCMP_SIGHAND:
		return t->sighand;
	default:
		return NULL; /* KCMP_IO, KCMP_SYSVSEM: nobody has any */
	}
}

/* 0 equal, 1 less, 2 greater. */
static long order(const void *a, const void *b)
{
	return a == b ? 0 : (uintptr_t)a < (uintptr_t)b ? 1 : 2;
}

static struct file *file_of(struct task *t, unsigned int fd)
{
	struct fdtable *files = task_get_files(t);
	struct file *f = files ? fd_get(files, (int)fd) : NULL;

	if (files)
		fdtable_put(files);
	return f;
}

static long compare_files(struct task *x, struct task *y, const struct sysargs *a)
{
	struct file *fx = file_of(x, (unsigned int)a->v[3]);
	struct file *fy = file_of(y, (unsigned int)a->v[4]);
	long r = fx && fy ? order(fx, fy) : -EBADF;

	if (fx)
		file_put(fx);
	if (fy)
		file_put(fy);
	return r;
}

/* A file of x and what an epoll of y watches. */
static long compare_epoll(struct task *t, struct task *x, struct task *y, const struct sysargs *a)
{
	struct {
		uint32_t epoll, target, nth;
	} slot;
	struct file *f, *ep;
	const struct file *watched;
	long r = copyin(t, &slot, UADDR(a->v[4]), sizeof(slot));

	if (r < 0)
		return r;
	f = file_of(x, (unsigned int)a->v[3]);
	ep = file_of(y, slot.epoll);
	r = f && ep ? epoll_watched(ep, (int)slot.target, slot.nth, &watched) : -EBADF;
	if (r == 0)
		r = order(f, watched);
	if (f)
		file_put(f);
	if (ep)
		file_put(ep);
	return r;
}

static long compare(struct task *t, struct task *x, struct task *y, const struct sysargs *a)
{
	unsigned int mode = ACCESS_READ | ACCESS_REALCREDS;
	int type = (int)a->v[2];

	if (ptrace_may_access(t, x, mode) < 0 || ptrace_may_access(t, y, mode) < 0)
		return -EPERM;
	if (type == KCMP_FILE)
		return compare_files(x, y, a);
	if (type == KCMP_EPOLL_TFD)
		return compare_epoll(t, x, y, a);
	if (type < 0 || type > KCMP_EPOLL_TFD)
		return -EINVAL;
	return order(part(x, type), part(y, type));
}

long sys_kcmp(struct task *t, const struct sysargs *a)
{
	struct task *x = task_find(t->container, (int)a->v[0]);
	struct task *y = task_find(t->container, (int)a->v[1]);
	long r = x && y ? compare(t, x, y, a) : -ESRCH;

	task_put(x);
	task_put(y);
	return r;
}

/* --- membarrier ------------------------------------------------------------------------------------ */

#define BARRIERS                                                                                   \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                                 \
	 MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |             \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |  \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

long sys_membarrier(struct task *t, const struct sysargs *a)
{
	int cmd = (int)a->v[0];
	atomic_uint *registered = &t->process->membarrier;

	if (a->v[1])
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return BARRIERS;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return membarrier_run(t, true);
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		atomic_fetch_or(registered, (unsigned int)cmd);
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		/* Each registration is the bit above its command. */
		if (!(atomic_load(registered) & ((unsigned int)cmd << 1)))
			return -EPERM;
		return membarrier_run(t, false);
	}
	return -EINVAL;
}
