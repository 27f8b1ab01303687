/* kcmp(2) and membarrier(2). */
#include <errno.h>
#include <linux/kcmp.h>
#include <linux/membarrier.h>

#include "sentry/fs/epoll.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/membarrier.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

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
	struct task *x = task_find(task_pids(t), (int)a->v[0]);
	struct task *y = task_find(task_pids(t), (int)a->v[1]);
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
