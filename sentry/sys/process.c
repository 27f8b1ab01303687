/* System calls about processes: birth, death, waiting, groups and sessions. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

#include "common/mem.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/lifecycle.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/kernel/wait.h"
#include "sentry/sys/decl.h"

long sys_getpid(struct task *t, const struct sysargs *a)
{
	return t->process->own_tgid;
}

long sys_gettid(struct task *t, const struct sysargs *a)
{
	return t->own_tid;
}

long sys_getppid(struct task *t, const struct sysargs *a)
{
	return task_show_pid(t, atomic_load(&t->process->ppid));
}

long sys_set_tid_address(struct task *t, const struct sysargs *a)
{
	t->clear_child_tid = UADDR(a->v[0]);
	return t->own_tid;
}

/* --- clone ----------------------------------------------------------------------------------- */

long sys_fork(struct task *t, const struct sysargs *a)
{
	struct clone_args_k args = {.exit_signal = SIGCHLD};

	return task_clone(t, &args);
}

long sys_vfork(struct task *t, const struct sysargs *a)
{
	struct clone_args_k args = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

	return task_clone(t, &args);
}

long sys_clone(struct task *t, const struct sysargs *a)
{
	/* The old call has 32 bits of flags; the signal's number lies in the lowest eight. */
	uint64_t flags = (uint32_t)a->v[0];
	struct clone_args_k args = {
	    .flags = flags & ~(uint64_t)CSIGNAL,
	    .exit_signal = (int)(flags & CSIGNAL),
	    .stack = UADDR(a->v[1]),
	    .parent_tid = UADDR(a->v[2]),
	    .child_tid = UADDR(a->v[3]),
	    .tls = a->v[4],
	    .pidfd = UADDR(a->v[2]),
	};

	if (args.exit_signal > KNSIG)
		args.exit_signal = 0;
	args.flags &= ~(uint64_t)CLONE_DETACHED; /* without effect since 2.6 */
	if ((flags & CLONE_PIDFD) && (flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
		return -EINVAL;
	return task_clone(t, &args);
}

#define CLONE3_FLAGS 0x3ffffffffULL /* all that are known: up to CLONE_INTO_CGROUP */

/* struct clone_args; later fields are optional. */
struct kclone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};

/* A struct that may grow: what we do not know must be zero (-E2BIG). */
static int copyin_extensible(struct task *t, void *to, size_t known, uaddr from, size_t size)
{
	char rest[GUEST_PAGE];

	memset(to, 0, known);
	if (size > GUEST_PAGE)
		return -E2BIG;
	if (copyin(t, to, from, min(size, known)) < 0)
		return -EFAULT;
	if (size <= known)
		return 0;
	if (copyin(t, rest, uaddr_add(from, known), size - known) < 0)
		return -EFAULT;
	for (size_t i = 0; i < size - known; i++)
		if (rest[i])
			return -E2BIG;
	return 0;
}

static int clone3_set_tid(struct task *t, const struct kclone_args *k, int *tids,
			  struct clone_args_k *args)
{
	if (!k->set_tid_size && !k->set_tid)
		return 0;
	if (!k->set_tid_size || k->set_tid_size > PID_NS_MAX_LEVEL + 1 || !k->set_tid)
		return -EINVAL;
	if (copyin(t, tids, UADDR(k->set_tid), k->set_tid_size * sizeof(*tids)) < 0)
		return -EFAULT;
	for (size_t i = 0; i < k->set_tid_size; i++)
		if (tids[i] < 1 || tids[i] > PID_MAX)
			return -EINVAL;
	args->set_tid = tids;
	args->n_set_tid = k->set_tid_size;
	return 0;
}

static int clone3_stack(const struct kclone_args *k, struct clone_args_k *args)
{
	if (!k->stack != !k->stack_size)
		return -EINVAL;
	if (k->stack + k->stack_size < k->stack)
		return -EINVAL;
	if (k->stack)
		args->stack = UADDR(k->stack + k->stack_size);
	return 0;
}

long sys_clone3(struct task *t, const struct sysargs *a)
{
	struct clone_args_k args;
	struct kclone_args k;
	size_t size = a->v[1];
	int r, tids[PID_NS_MAX_LEVEL + 1];

	if (size < 64)
		return -EINVAL;
	r = copyin_extensible(t, &k, sizeof(k), UADDR(a->v[0]), size);
	if (r < 0)
		return r;
	if ((k.flags & ~CLONE3_FLAGS) || (k.flags & (CSIGNAL & ~0x80ULL)) ||
	    (k.flags & CLONE_DETACHED) || k.exit_signal > KNSIG)
		return -EINVAL;
	if ((k.flags & (CLONE_THREAD | CLONE_PARENT)) && k.exit_signal)
		return -EINVAL;
	args = (struct clone_args_k){
	    .flags = k.flags,
	    .exit_signal = (int)k.exit_signal,
	    .parent_tid = UADDR(k.parent_tid),
	    .child_tid = UADDR(k.child_tid),
	    .pidfd = UADDR(k.pidfd),
	    .tls = k.tls,
	};
	r = clone3_set_tid(t, &k, tids, &args);
	if (r == 0)
		r = clone3_stack(&k, &args);
	return r < 0 ? r : task_clone(t, &args);
}

/* --- exit and wait ------------------------------------------------------------------------------ */

long sys_exit(struct task *t, const struct sysargs *a)
{
	task_exit(t, (int)(a->v[0] & 0xff) << 8);
	return 0;
}

long sys_exit_group(struct task *t, const struct sysargs *a)
{
	task_exit_group(t, (int)(a->v[0] & 0xff) << 8);
	return 0;
}

long sys_wait4(struct task *t, const struct sysargs *a)
{
	int pid = (int)a->v[0], options = (int)a->v[2], r;
	struct wait_request req = {.options = options | WEXITED};
	struct wait_result res;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1)
		req.which = WAIT_FOR_ANY;
	else
		req.which = pid > 0 ? WAIT_FOR_PID : WAIT_FOR_PGRP;
	req.id = pid == 0 ? task_pgrp(t) : task_take_pid(t, pid > 0 ? pid : -pid);
	r = task_wait_child(t, &req, &res);
	if (r < 0 || res.pid == 0)
		return r;
	if (a->v[1] && copyout(t, UADDR(a->v[1]), &res.status, sizeof(res.status)) < 0)
		return -EFAULT;
	if (a->v[3] && copyout(t, UADDR(a->v[3]), &res.usage, sizeof(res.usage)) < 0)
		return -EFAULT;
	return res.pid;
}

static int waitid_pidfd(struct task *t, int fd, struct wait_request *req)
{
	struct process *p;
	struct file *f = fd_get(t->files, fd);
	int r;

	if (!f)
		return -EBADF;
	r = pidfd_process(f, &p);
	if (r == 0) {
		req->which = WAIT_FOR_PID;
		req->id = p->reaped ? -1 : p->tgid;
		if (atomic_load(&f->flags) & O_NONBLOCK)
			r = 1;
		process_put(p);
	}
	file_put(f);
	return r;
}

/* 1: the pidfd is non-blocking. */
static int waitid_which(struct task *t, int type, int id, struct wait_request *req)
{
	switch (type) {
	case P_ALL:
		req->which = WAIT_FOR_ANY;
		return 0;
	case P_PID:
		req->which = WAIT_FOR_PID;
		req->id = task_take_pid(t, id);
		return id <= 0 ? -EINVAL : 0;
	case P_PGID:
		req->which = WAIT_FOR_PGRP;
		req->id = id > 0 ? task_take_pid(t, id) : task_pgrp(t);
		return id < 0 ? -EINVAL : 0;
	case P_PIDFD:
		return id < 0 ? -EINVAL : waitid_pidfd(t, id, req);
	}
	return -EINVAL;
}

static int waitid_copyout(struct task *t, uaddr to, const struct wait_result *res)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (res->pid) {
		info.si_signo = SIGCHLD;
		info.si_code = res->code;
		info.si_pid = res->pid;
		info.si_uid = task_show_uid(t, (uint32_t)res->uid);
		info.si_status = wait_status_value(res->code, res->status);
	}
	/* Of the union only these fields are written. */
	return copyout(t, to, &info, offsetof(siginfo_t, si_status) + sizeof(int));
}

long sys_waitid(struct task *t, const struct sysargs *a)
{
	const int known =
	    WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
	struct wait_request req = {.options = (int)a->v[3]};
	struct wait_result res = {0};
	int r, nonblock;

	if ((req.options & ~known) || !(req.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	nonblock = waitid_which(t, (int)a->v[0], (int)a->v[1], &req);
	if (nonblock < 0)
		return nonblock;
	if (nonblock)
		req.options |= WNOHANG;
	r = task_wait_child(t, &req, &res);
	if (r < 0)
		return r;
	if (nonblock && !res.pid && !((int)a->v[3] & WNOHANG))
		return -EAGAIN;
	if (a->v[4] && res.pid && copyout(t, UADDR(a->v[4]), &res.usage, sizeof(res.usage)) < 0)
		return -EFAULT;
	return a->v[2] ? waitid_copyout(t, UADDR(a->v[2]), &res) : 0;
}

/* --- groups and sessions -------------------------------------------------------------------------- */

long sys_setpgid(struct task *t, const struct sysargs *a)
{
	int pid = (int)a->v[0], pgid = (int)a->v[1];

	return session_setpgid(t, pid > 0 ? task_take_pid(t, pid) : pid,
			       pgid > 0 ? task_take_pid(t, pgid) : pgid);
}

long sys_setsid(struct task *t, const struct sysargs *a)
{
	long r = session_setsid(t);

	return r < 0 ? r : task_show_pid(t, (int)r);
}

static struct task *find_or_self(struct task *t, int pid)
{
	return pid ? task_find(task_pids(t), pid) : task_get(t);
}

long sys_getpgid(struct task *t, const struct sysargs *a)
{
	struct task *target = find_or_self(t, (int)a->v[0]);
	int r;

	if (!target)
		return -ESRCH;
	r = task_pgrp(target);
	task_put(target);
	return task_show_pid(t, r);
}

long sys_getpgrp(struct task *t, const struct sysargs *a)
{
	return task_show_pid(t, task_pgrp(t));
}

long sys_getsid(struct task *t, const struct sysargs *a)
{
	struct task *target = find_or_self(t, (int)a->v[0]);
	int r;

	if (!target)
		return -ESRCH;
	r = task_sid(target);
	task_put(target);
	return task_show_pid(t, r);
}
