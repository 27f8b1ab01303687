/* System calls about pidfds. */
#include "sentry/kernel/pidfd.h"

#include <errno.h>

#include "sentry/kernel/may_access.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"

#define PIDFD_THREAD_ O_EXCL

long sys_pidfd_open(struct task *t, const struct sysargs *a)
{
	int pid = (int)a->v[0], r;
	unsigned int flags = (unsigned int)a->v[1];
	bool thread = flags & PIDFD_THREAD_;
	struct task *target;
	struct file *f;

	if ((flags & ~(unsigned int)(O_NONBLOCK | PIDFD_THREAD_)) || pid <= 0)
		return -EINVAL;
	target = task_find(task_pids(t), pid);
	if (!target)
		return -ESRCH;
	r = thread || target->process->tgid == target->tid ? 0 : -EINVAL;
	if (r == 0)
		r = pidfd_new(t, target, thread, (int)(flags & O_NONBLOCK), &f);
	task_put(target);
	return r < 0 ? r : fd_new(t, f, true);
}

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

/* pidfd_send_signal(2) also takes a directory of /proc. */
static int target_of(struct task *t, int fd, struct process **out)
{
	struct file *f = fd_get(t->files, fd);

	if (!f)
		return -EBADF;
	if (pidfd_process(f, out) < 0)
		*out = proc_dir_process(f->inode);
	file_put(f);
	return *out ? 0 : -EBADF;
}

static long send_to(struct task *t, struct process *p, int sig, const siginfo_t *info)
{
	if (sig < 0 || sig > KNSIG)
		return -EINVAL;
	if (p->reaped)
		return -ESRCH;
	if (!signal_permitted(t, p, sig))
		return -EPERM;
	return signal_process(p, sig, info);
}

long sys_pidfd_send_signal(struct task *t, const struct sysargs *a)
{
	int sig = (int)a->v[1];
	siginfo_t info = signal_info_user(t, sig);
	struct process *p;
	long r;

	if (a->v[3])
		return -EINVAL;
	r = target_of(t, (int)a->v[0], &p);
	if (r < 0)
		return r;
	if (a->v[2] && copyin(t, &info, UADDR(a->v[2]), sizeof(info)) < 0)
		r = -EFAULT;
	else if (info.si_signo != sig)
		r = -EINVAL;
	else if (p != t->process && (info.si_code >= 0 || info.si_code == SI_TKILL) && a->v[2])
		r = -EPERM;
	else
		r = send_to(t, p, sig, &info);
	process_put(p);
	return r;
}

static long take_fd(struct task *t, struct task *from, int fd)
{
	struct fdtable *files;
	struct file *f;

	if (ptrace_may_access(t, from, ACCESS_ATTACH | ACCESS_REALCREDS) < 0)
		return -EPERM;
	files = task_get_files(from);
	if (!files)
		return -ESRCH;
	f = fd_get(files, fd);
	fdtable_put(files);
	return f ? fd_new(t, f, true) : -EBADF;
}

long sys_pidfd_getfd(struct task *t, const struct sysargs *a)
{
	struct process *p;
	struct task *leader = NULL;
	long r;

	if (a->v[2])
		return -EINVAL;
	r = process_of(t, (int)a->v[0], &p);
	if (r < 0)
		return r;
	mutex_lock(&tasklist);
	if (p->leader)
		leader = task_get(p->leader);
	mutex_unlock(&tasklist);
	r = leader ? take_fd(t, leader, (int)a->v[1]) : -ESRCH;
	task_put(leader);
	process_put(p);
	return r;
}
