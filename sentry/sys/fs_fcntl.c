/* fcntl(2), flock(2), and the part of ioctl(2) that is the same for all files. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/abi/restart.h"
#include "sentry/fs/fasync.h"
#include "sentry/fs/filelock.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/memfd.h"
#include "sentry/fs/pipe.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/io_wait.h"

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif
#define SETFL_BITS (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)

/* --- locks ------------------------------------------------------------------------------ */

struct abi_flock {
	int16_t type, whence;
	int32_t pad;
	int64_t start, len;
	int32_t pid, pad2;
};
static_assert(sizeof(struct abi_flock) == 32, "struct flock");

static int range_of(struct file *f, const struct abi_flock *fl, struct filelock_req *req)
{
	int64_t base, start, end;

	switch (fl->whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		base = (int64_t)f->inode->size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, fl->start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	end = INT64_MAX;
	if (fl->len > 0 && __builtin_add_overflow(start, fl->len - 1, &end))
		return -EOVERFLOW;
	if (fl->len < 0) {
		end = start - 1;
		start += fl->len;
		if (start < 0)
			return -EINVAL;
	}
	req->start = (uint64_t)start;
	req->end = (uint64_t)end;
	return 0;
}

static int lock_request(struct task *t, struct file *f, const struct abi_flock *fl, bool ofd,
			struct filelock_req *req)
{
	if (ofd && fl->pid)
		return -EINVAL;
	*req = (struct filelock_req){
	    .owner = ofd ? (void *)f : (void *)t->files,
	    .pid = ofd ? -1 : t->process->tgid,
	    .type = fl->type,
	};
	return range_of(f, fl, req);
}

static long get_lock(struct task *t, struct file *f, uaddr arg, bool ofd)
{
	struct filelock_req req;
	struct abi_flock fl;
	int err;

	if (copyin(t, &fl, arg, sizeof(fl)) < 0)
		return -EFAULT;
	if (fl.type != F_RDLCK && fl.type != F_WRLCK)
		return -EINVAL;
	err = lock_request(t, f, &fl, ofd, &req);
	if (err < 0)
		return err;
	filelock_get(f, &req);
	fl.type = (int16_t)req.type;
	if (req.type != F_UNLCK) {
		fl.whence = SEEK_SET;
		fl.start = (int64_t)req.start;
		fl.len = req.end == INT64_MAX ? 0 : (int64_t)(req.end - req.start + 1);
		fl.pid = req.pid;
	}
	return copyout(t, arg, &fl, sizeof(fl));
}

struct lock_wait {
	struct file *f;
	const struct filelock_req *req;
	struct filelock_blocked blocked;
	int flock_op, pid;
};

static long try_lock(void *arg)
{
	struct lock_wait *w = arg;

	return filelock_set(w->f, w->req, &w->blocked);
}

static long wait_for_lock(struct task *t, struct file *f, const struct filelock_req *req)
{
	struct lock_wait w = {.f = f, .req = req};
	long r;

	list_init(&w.blocked.node);
	r = wait_on(t, filelock_waitq(f), POLLIN, SLEEP_FOREVER, try_lock, &w);
	filelock_unblock(&w.blocked);
	return r;
}

/* A lock that was taken while another thread closed the descriptor would stay for ever. */
static long recheck(struct task *t, int fd, struct file *f, struct filelock_req *req, bool ofd)
{
	struct file *now = fd_get(t->files, fd);

	if (now)
		file_put(now);
	if (now == f || ofd || req->type == F_UNLCK)
		return 0;
	req->type = F_UNLCK;
	(void)!filelock_set(f, req, NULL); /* unlocking does not fail */
	return -EBADF;
}

static long set_lock(struct task *t, int fd, struct file *f, uaddr arg, bool wait, bool ofd)
{
	struct filelock_req req;
	struct abi_flock fl;
	long err;

	if (copyin(t, &fl, arg, sizeof(fl)) < 0)
		return -EFAULT;
	err = lock_request(t, f, &fl, ofd, &req);
	if (err < 0)
		return err;
	if ((fl.type == F_RDLCK && !file_readable(f)) || (fl.type == F_WRLCK && !file_writable(f)))
		return -EBADF;
	if (fl.type != F_RDLCK && fl.type != F_WRLCK && fl.type != F_UNLCK)
		return -EINVAL;
	err = filelock_set(f, &req, NULL);
	if (err == -EAGAIN && wait)
		err = wait_for_lock(t, f, &req);
	return err < 0 ? err : recheck(t, fd, f, &req, ofd);
}

static long try_flock(void *arg)
{
	struct lock_wait *w = arg;

	return filelock_flock(w->f, w->flock_op, w->pid);
}

long sys_flock(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	int op = (int)a->v[1] & ~LOCK_NB;
	struct lock_wait w = {.f = f, .flock_op = op, .pid = t->process->tgid};
	long r;

	if (!f)
		return -EBADF;
	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		r = -EINVAL;
	else
		r = filelock_flock(f, op, t->process->tgid);
	if (r == -EAGAIN && !(a->v[1] & LOCK_NB))
		r = wait_on(t, filelock_waitq(f), POLLIN, SLEEP_FOREVER, try_flock, &w);
	file_put(f);
	return r;
}

/* --- flags, owners --------------------------------------------------------------------------- */

static long dup_from(struct task *t, struct file *f, uint64_t from, bool cloexec)
{
	uint64_t limit = task_rlimit(t, RLIMIT_NOFILE);
	int fd;

	if ((uint32_t)from >= limit || (int)from < 0)
		return -EINVAL;
	fd = fd_install(t->files, file_get(f), (int)from, limit, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* SIGIO, on the helper thread of fs/fasync.c. */
static void send_sigio(const struct fasync_event *e)
{
	siginfo_t info = {.si_signo = e->sig ? e->sig : SIGIO, .si_code = SI_KERNEL};
	struct container *c = e->where;
	struct process *p;
	struct task *one;

	if (e->sig) {
		info.si_code = e->poll & POLLIN ? POLL_IN : e->poll & POLLOUT ? POLL_OUT : POLL_HUP;
		info.si_band = e->poll;
		info.si_fd = e->fd;
	}
	if (e->owner < 0) {
		signal_pgrp(c, -e->owner, info.si_signo, &info);
	} else if (e->type == F_OWNER_TID) {
		one = task_find(c->pids, e->owner);
		if (one) {
			signal_task(one, info.si_signo, &info);
			task_put(one);
		}
	} else {
		p = process_find(c->pids, e->owner);
		if (p) {
			signal_process(p, info.si_signo, &info);
			process_put(p);
		}
	}
}

static long set_flags(struct task *t, int fd, struct file *f, int flags)
{
	int old = atomic_load(&f->flags);

	if ((flags & O_NOATIME) && !(old & O_NOATIME) && t->cred->fsuid != f->inode->uid &&
	    !cred_capable_over(t->cred, f->inode->uid, f->inode->gid, CAP_FOWNER))
		return -EPERM;
	while (!atomic_compare_exchange_weak(&f->flags, &old,
					     (old & ~SETFL_BITS) | (flags & SETFL_BITS)))
		;
	if ((old ^ flags) & O_ASYNC)
		fasync_set(f, fd, flags & O_ASYNC, t->container, send_sigio);
	return 0;
}

struct abi_owner_ex {
	int32_t type, pid;
};

static int check_owner(struct task *t, int type, int pid)
{
	struct task *one;
	struct process *p;

	if (pid == 0 || type == F_OWNER_PGRP)
		return 0;
	if (type == F_OWNER_TID) {
		one = task_find(task_pids(t), pid);
		if (one)
			task_put(one);
		return one ? 0 : -ESRCH;
	}
	p = process_find(task_pids(t), pid);
	if (p)
		process_put(p);
	return p ? 0 : -ESRCH;
}

/* Kept as the container's number. */
static void store_owner(struct task *t, struct file *f, int type, int pid)
{
	if (pid > 0)
		pid = task_take_pid(t, pid);
	atomic_store(&f->owner_type, type);
	atomic_store(&f->owner, type == F_OWNER_PGRP ? -pid : pid);
}

static long set_owner(struct task *t, struct file *f, int who)
{
	int type = who < 0 ? F_OWNER_PGRP : F_OWNER_PID;
	int err;

	if (who == INT32_MIN)
		return -EINVAL;
	err = check_owner(t, type, who < 0 ? -who : who);
	if (err == 0)
		store_owner(t, f, type, who < 0 ? -who : who);
	return err;
}

static long set_owner_ex(struct task *t, struct file *f, uaddr arg)
{
	struct abi_owner_ex ex;
	int err;

	if (copyin(t, &ex, arg, sizeof(ex)) < 0)
		return -EFAULT;
	if (ex.type != F_OWNER_TID && ex.type != F_OWNER_PID && ex.type != F_OWNER_PGRP)
		return -EINVAL;
	err = check_owner(t, ex.type, ex.pid);
	if (err == 0)
		store_owner(t, f, ex.type, ex.pid);
	return err;
}

static long get_owner_ex(struct task *t, struct file *f, uaddr arg)
{
	int owner = atomic_load(&f->owner);
	struct abi_owner_ex ex = {atomic_load(&f->owner_type),
				  task_show_pid(t, owner < 0 ? -owner : owner)};

	if (!owner)
		ex.type = F_OWNER_PID;
	return copyout(t, arg, &ex, sizeof(ex));
}

static long set_signal(struct file *f, uint64_t sig)
{
	if (sig > KNSIG)
		return -EINVAL;
	atomic_store(&f->owner_sig, (int)sig);
	return 0;
}

static long read_write_hint(struct task *t, int cmd, uaddr arg)
{
	uint64_t hint = 0;

	if (cmd == F_GET_RW_HINT || cmd == F_GET_FILE_RW_HINT)
		return copyout(t, arg, &hint, sizeof(hint));
	if (copyin(t, &hint, arg, sizeof(hint)) < 0)
		return -EFAULT;
	return hint <= RWH_WRITE_LIFE_EXTREME ? 0 : -EINVAL;
}

static long same_file(struct task *t, struct file *f, int other)
{
	struct file *g = fd_get(t->files, other);

	if (!g)
		return -EBADF;
	file_put(g);
	return f == g;
}

/* What works on O_PATH files too. */
static long fcntl_any(struct task *t, int fd, struct file *f, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return dup_from(t, f, arg, cmd == F_DUPFD_CLOEXEC);
	case F_DUPFD_QUERY:
		return same_file(t, f, (int)arg);
	case F_GETFD:
		return fd_get_cloexec(t->files, fd);
	case F_SETFD:
		return fd_set_cloexec(t->files, fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return atomic_load(&f->flags);
	default:
		return -EBADF;
	}
}

static long fcntl_lock(struct task *t, int fd, struct file *f, int cmd, uaddr arg)
{
	switch (cmd) {
	case F_GETLK:
		return get_lock(t, f, arg, false);
	case F_OFD_GETLK:
		return get_lock(t, f, arg, true);
	case F_SETLK:
		return set_lock(t, fd, f, arg, false, false);
	case F_SETLKW:
		return set_lock(t, fd, f, arg, true, false);
	case F_OFD_SETLK:
		return set_lock(t, fd, f, arg, false, true);
	default:
		return set_lock(t, fd, f, arg, true, true);
	}
}

static long fcntl_io(struct task *t, int fd, struct file *f, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_SETFL:
		return set_flags(t, fd, f, (int)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(t, fd, f, cmd, UADDR(arg));
	case F_SETOWN:
		return set_owner(t, f, (int)arg);
	case F_GETOWN:
		return atomic_load(&f->owner);
	case F_SETOWN_EX:
		return set_owner_ex(t, f, UADDR(arg));
	case F_GETOWN_EX:
		return get_owner_ex(t, f, UADDR(arg));
	case F_SETSIG:
		return set_signal(f, arg);
	case F_GETSIG:
		return atomic_load(&f->owner_sig);
	case F_GETPIPE_SZ:
		return pipe_get_size(f);
	case F_SETPIPE_SZ:
		return pipe_set_size(f, (unsigned int)arg, t->cred);
	case F_ADD_SEALS:
		return memfd_add_seals(f, (unsigned int)arg);
	case F_GET_SEALS:
		return memfd_get_seals(f);
	case F_GETLEASE:
		return F_UNLCK;
	case F_SETLEASE: /* nobody here breaks leases, so none are given */
		return (int)arg == F_UNLCK ? -EAGAIN : -EINVAL;
	case F_NOTIFY: /* no events asked for: nothing to drop; else as without CONFIG_DNOTIFY */
		return arg & ~(uint64_t)DN_MULTISHOT ? -EINVAL : 0;
	case F_GET_RW_HINT:
	case F_SET_RW_HINT:
	case F_GET_FILE_RW_HINT:
	case F_SET_FILE_RW_HINT:
		return read_write_hint(t, cmd, UADDR(arg));
	default:
		return -EINVAL;
	}
}

long sys_fcntl(struct task *t, const struct sysargs *a)
{
	int fd = (int)a->v[0], cmd = (int)a->v[1];
	struct file *f = fd_get(t->files, fd);
	long r;

	if (!f)
		return -EBADF;
	r = fcntl_any(t, fd, f, cmd, a->v[2]);
	if (r == -EBADF && !(f->caps & FILE_IS_PATH))
		r = fcntl_io(t, fd, f, cmd, a->v[2]);
	file_put(f);
	return r;
}

/* --- ioctl ----------------------------------------------------------------------------------- */

static long set_flag_bit(struct task *t, int fd, struct file *f, int bit, uaddr arg)
{
	int on;

	if (copyin(t, &on, arg, sizeof(on)) < 0)
		return -EFAULT;
	if (on)
		atomic_fetch_or(&f->flags, bit);
	else
		atomic_fetch_and(&f->flags, ~bit);
	if (bit == O_ASYNC)
		fasync_set(f, fd, on, t->container, send_sigio);
	return 0;
}

static long bytes_ahead(struct task *t, struct file *f, uaddr arg)
{
	int64_t left = (int64_t)f->inode->size - f->pos;
	int n = left > INT32_MAX ? INT32_MAX : (int)left;

	return copyout(t, arg, &n, sizeof(n));
}

/* -ENOIOCTLCMD's stand-in: not one of these. */
#define NOT_GENERIC 1

static long ioctl_generic(struct task *t, int fd, struct file *f, unsigned int cmd, uaddr arg)
{
	int block = 4096;

	switch (cmd) {
	case FIOCLEX:
		return fd_set_cloexec(t->files, fd, true);
	case FIONCLEX:
		return fd_set_cloexec(t->files, fd, false);
	case FIONBIO:
		return set_flag_bit(t, fd, f, O_NONBLOCK, arg);
	case FIOASYNC:
		return set_flag_bit(t, fd, f, O_ASYNC, arg);
	case FIGETBSZ:
		return copyout(t, arg, &block, sizeof(block));
	case FIONREAD:
		return S_ISREG(f->inode->mode) ? bytes_ahead(t, f, arg) : NOT_GENERIC;
	case FIOQSIZE:
		return S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode)
			   ? copyout(t, arg, &f->inode->size, sizeof(f->inode->size))
			   : -ENOTTY;
	case FICLONE:
	case FICLONERANGE:
	case FIDEDUPERANGE:
		return -EOPNOTSUPP;
	default:
		return NOT_GENERIC;
	}
}

long sys_ioctl(struct task *t, const struct sysargs *a)
{
	int fd = (int)a->v[0];
	unsigned int cmd = (unsigned int)a->v[1];
	struct file *f = fd_get_io(t->files, fd);
	long r;

	if (!f)
		return -EBADF;
	r = ioctl_generic(t, fd, f, cmd, UADDR(a->v[2]));
	if (r == NOT_GENERIC)
		r = f->ops->ioctl ? f->ops->ioctl(f, cmd, a->v[2], &t->access) : -ENOTTY;
	file_put(f);
	return r;
}
