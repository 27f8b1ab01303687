/* Calls on another process's memory by pidfd: process_madvise(2), process_mrelease(2). */
#include <errno.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "common/mem.h"
#include "sentry/fs/fdtable.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/usermem.h"
#include "sentry/mm/mm.h"
#include "sentry/sys/decl.h"

static int process_of(struct task *t, int fd, struct process **out)
{
	struct file *f = fd_get(t->files, fd);
	int r;

	if (!f)
		return -EBADF;
	r = pidfd_process(f, out);
	file_put(f);
	return r;
}

static int mm_of(struct task *t, struct process *p, struct mm **out)
{
	struct task *target = process_next_task(p, 0);
	int r;

	if (!target)
		return -ESRCH;
	r = ptrace_may_access(t, target, ACCESS_READ | ACCESS_FSCREDS);
	*out = r == 0 ? task_get_mm(target) : NULL;
	task_put(target);
	return r < 0 ? r : *out ? 0 : -ESRCH;
}

/* What may be advised about others; it is checked, and has no effect of its own here. */
static bool remote_advice(int advice)
{
	return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED ||
	       advice == MADV_COLLAPSE;
}

static long advise_all(struct task *t, struct mm *mm, const struct guest_iov *iov, int advice)
{
	struct pf_thread *pt = mm == t->mm ? t->pt : NULL;
	long done = 0;

	for (int i = 0; i < iov->count; i++) {
		int r = mm_madvise(mm, pt, iov->v[i].base, iov->v[i].len, advice);

		if (r < 0)
			return done ? done : r;
		done += (long)iov->v[i].len;
	}
	return done;
}

long sys_process_madvise(struct task *t, const struct sysargs *a)
{
	SCOPED_FREE struct guest_iov *iov = NULL;
	struct process *p;
	struct mm *mm;
	long r;

	if (a->v[4])
		return -EINVAL;
	r = copyin_iov(t, UADDR(a->v[1]), a->v[2], &iov);
	if (r == 0)
		r = process_of(t, (int)a->v[0], &p);
	if (r < 0)
		return r;
	r = mm_of(t, p, &mm);
	process_put(p);
	if (r < 0)
		return r;
	if (!remote_advice((int)a->v[3]))
		r = -EINVAL;
	else if (mm != t->mm && !task_capable(t, CAP_SYS_NICE))
		r = -EPERM;
	else
		r = advise_all(t, mm, iov, (int)a->v[3]);
	mm_put(mm);
	return r;
}

/* The memory of a process that is being killed goes with its stub, at once. */
long sys_process_mrelease(struct task *t, const struct sysargs *a)
{
	struct process *p;
	long r;

	if (a->v[1])
		return -EINVAL;
	r = process_of(t, (int)a->v[0], &p);
	if (r < 0)
		return r;
	r = p->zombie ? -ESRCH : p->exiting || p->group_exit ? 0 : -EINVAL;
	process_put(p);
	return r;
}
