/* Native AIO: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2). */
#include "sentry/kernel/aio.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/fs/eventfd.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/signal.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_rw.h"
#include "sentry/sys/io_wait.h"

#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)
#define EVENTS_AT_ONCE 64

long sys_io_setup(struct task *t, const struct sysargs *a)
{
	unsigned int nr = (unsigned int)a->v[0];
	uint64_t id;
	int64_t at;

	if (copyin(t, &id, UADDR(a->v[1]), sizeof(id)) < 0)
		return -EFAULT;
	if (id || !nr || nr > 0x10000000)
		return -EINVAL;
	at = aio_context_new(t, nr);
	if (at < 0)
		return at;
	id = (uint64_t)at;
	if (copyout(t, UADDR(a->v[1]), &id, sizeof(id)) < 0) {
		(void)!aio_context_destroy(t, id);
		return -EFAULT;
	}
	return 0;
}

long sys_io_destroy(struct task *t, const struct sysargs *a)
{
	return aio_context_destroy(t, a->v[0]);
}

/* --- submitting -------------------------------------------------------------------------------- */

struct submission {
	struct task *t;
	struct aio_context *c;
	struct iocb cb;
	uint64_t obj; /* the iocb's address */
	struct file *f, *resfd;
};

static void done(struct submission *s, int64_t res)
{
	/* An operation is not restarted: whoever submitted it has gone on. */
	if (res <= -512)
		res = -EINTR;
	aio_complete(s->c, s->obj, s->cb.aio_data, res, s->resfd);
}

/* A vector, too, for one buffer: those are copied at once, so that a fault is the operation's and
 * not the call's. */
static int one_buffer(struct submission *s, struct guest_iov **out)
{
	struct guest_iov *iov = xzalloc(sizeof(*iov) + sizeof(iov->v[0]));

	iov->count = 1;
	iov->v[0].base = UADDR(s->cb.aio_buf);
	iov->v[0].len = iov->total = min(s->cb.aio_nbytes, (uint64_t)INT32_MAX & ~(GUEST_PAGE - 1));
	*out = iov;
	return 0;
}

static int transfer(struct submission *s, bool write, bool vector)
{
	SCOPED_FREE struct guest_iov *iov = NULL;
	off_t pos = s->cb.aio_offset;
	struct rw rw = {.t = s->t,
			.f = s->f,
			.pos = s->f->caps & FILE_CAN_SEEK ? &pos : NULL,
			.nonblock = s->cb.aio_rw_flags & RWF_NOWAIT};
	ssize_t r;

	if (s->cb.aio_rw_flags & ~RWF_KNOWN)
		return -EOPNOTSUPP;
	if (write ? !file_writable(s->f) : !file_readable(s->f))
		return -EBADF;
	if (write ? !s->f->ops->write : !s->f->ops->read)
		return -EINVAL;
	if (rw.pos && pos < 0)
		return -EINVAL;
	r = vector ? copyin_iov(s->t, UADDR(s->cb.aio_buf), s->cb.aio_nbytes, &iov)
		   : one_buffer(s, &iov);
	if (r < 0)
		return (int)r;
	rw.iov = iov;
	rw.total = iov->total;
	if (write && rw.pos && (s->cb.aio_rw_flags & RWF_APPEND))
		pos = (off_t)s->f->inode->size;
	r = write ? rw_write(&rw) : rw_read(&rw);
	if (r > 0 && write && (s->cb.aio_rw_flags & (RWF_SYNC | RWF_DSYNC)) && s->f->ops->fsync) {
		int err = s->f->ops->fsync(s->f, s->cb.aio_rw_flags & RWF_DSYNC);

		r = err < 0 ? err : r;
	}
	done(s, r);
	return 0;
}

static int sync_file(struct submission *s, bool data)
{
	int r;

	if (s->cb.aio_buf || s->cb.aio_offset || s->cb.aio_nbytes || s->cb.aio_rw_flags)
		return -EINVAL;
	if (!s->f->ops->fsync && !S_ISREG(s->f->inode->mode) && !S_ISDIR(s->f->inode->mode))
		return -EINVAL;
	r = s->f->ops->fsync ? s->f->ops->fsync(s->f, data) : 0;
	if (r == -EINVAL)
		return r; /* a kind of file that has nothing to sync */
	done(s, r);
	return 0;
}

static int poll_file(struct submission *s)
{
	if (s->cb.aio_buf != (uint16_t)s->cb.aio_buf || s->cb.aio_offset || s->cb.aio_nbytes ||
	    s->cb.aio_rw_flags)
		return -EINVAL;
	uint32_t events = (uint32_t)s->cb.aio_buf | POLLERR | POLLHUP, got;

	got = file_poll(s->f) & events;
	if (got)
		done(s, got);
	else
		aio_poll(s->c, s->obj, s->cb.aio_data, s->f, events, s->resfd);
	return 0;
}

static int start(struct submission *s)
{
	switch (s->cb.aio_lio_opcode) {
	case IOCB_CMD_PREAD:
		return transfer(s, false, false);
	case IOCB_CMD_PWRITE:
		return transfer(s, true, false);
	case IOCB_CMD_PREADV:
		return transfer(s, false, true);
	case IOCB_CMD_PWRITEV:
		return transfer(s, true, true);
	case IOCB_CMD_FSYNC:
		return sync_file(s, false);
	case IOCB_CMD_FDSYNC:
		return sync_file(s, true);
	case IOCB_CMD_POLL:
		return poll_file(s);
	}
	return -EINVAL;
}

static int with_files(struct submission *s)
{
	uint32_t key = 0; /* KIOCB_KEY */
	int r;

	s->f = fd_get_io(s->t->files, (int)s->cb.aio_fildes);
	if (!s->f)
		return -EBADF;
	if (s->cb.aio_flags & IOCB_FLAG_RESFD) {
		s->resfd = fd_get(s->t->files, (int)s->cb.aio_resfd);
		if (!s->resfd)
			return -EBADF;
		if (!eventfd_is(s->resfd))
			return -EINVAL;
	}
	if (copyout(s->t, UADDR(s->obj + offsetof(struct iocb, aio_key)), &key, sizeof(key)) < 0)
		return -EFAULT;
	r = aio_reserve(s->c);
	if (r == 0) {
		r = start(s);
		if (r < 0)
			aio_unreserve(s->c);
	}
	return r;
}

static int submit_one(struct task *t, struct aio_context *c, uint64_t obj)
{
	struct submission s = {.t = t, .c = c, .obj = obj};
	int r;

	if (copyin(t, &s.cb, UADDR(obj), sizeof(s.cb)) < 0)
		return -EFAULT;
	if (s.cb.aio_reserved2 || (int64_t)s.cb.aio_nbytes < 0)
		return -EINVAL;
	r = with_files(&s);
	if (s.f)
		file_put(s.f);
	if (s.resfd)
		file_put(s.resfd);
	return r;
}

long sys_io_submit(struct task *t, const struct sysargs *a)
{
	long nr = (long)a->v[1], i, r = 0;
	struct aio_context *c;
	uint64_t obj;

	if (nr < 0)
		return -EINVAL;
	c = aio_context_find(t, a->v[0]);
	if (!c)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		r = copyin(t, &obj, UADDR(a->v[2] + (uint64_t)i * 8), sizeof(obj)) < 0
			? -EFAULT
			: submit_one(t, c, obj);
		if (r < 0 || task_killed(t))
			break;
	}
	aio_context_put(c);
	return i ? i : r;
}

long sys_io_cancel(struct task *t, const struct sysargs *a)
{
	struct aio_context *c;
	uint32_t key;
	int r;

	if (copyin(t, &key, UADDR(a->v[1] + offsetof(struct iocb, aio_key)), sizeof(key)) < 0)
		return -EFAULT;
	if (key)
		return -EINVAL;
	c = aio_context_find(t, a->v[0]);
	if (!c)
		return -EINVAL;
	r = aio_cancel(c, a->v[1]);
	aio_context_put(c);
	/* The event tells of it, as Linux has it. */
	return r == 0 ? -EINPROGRESS : r;
}

/* --- events -------------------------------------------------------------------------------------- */

struct fetch {
	struct task *t;
	struct aio_context *c;
	uaddr to;
	long min, max, got;
};

static long fetch_some(void *arg)
{
	struct fetch *f = arg;
	struct io_event e[EVENTS_AT_ONCE];

	while (f->got < f->max) {
		long n = aio_take(f->c, e, min(f->max - f->got, (long)EVENTS_AT_ONCE));

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return f->got ? f->got : n;
		if (copyout(f->t, uaddr_add(f->to, (uint64_t)f->got * sizeof(e[0])), e,
			    (size_t)n * sizeof(e[0])) < 0)
			return f->got ? f->got : -EFAULT;
		f->got += n;
	}
	return f->got >= f->min ? f->got : -EAGAIN;
}

static long get_events(struct task *t, const struct sysargs *a)
{
	struct fetch f = {.t = t, .to = UADDR(a->v[3]), .min = (long)a->v[1], .max = (long)a->v[2]};
	int64_t ns;
	long r = copyin_timeout(t, UADDR(a->v[4]), &ns);

	if (r < 0)
		return r;
	f.c = aio_context_find(t, a->v[0]);
	if (!f.c)
		return -EINVAL;
	if (f.min < 0 || f.min > f.max) {
		aio_context_put(f.c);
		return -EINVAL;
	}
	r = wait_on(t, aio_waitq(f.c), POLLIN, deadline_after(ns), fetch_some, &f);
	aio_context_put(f.c);
	if (r == -EAGAIN || f.got)
		return f.got ? f.got : 0;
	return r == -ERESTARTSYS ? -EINTR : r;
}

long sys_io_getevents(struct task *t, const struct sysargs *a)
{
	return get_events(t, a);
}

long sys_io_pgetevents(struct task *t, const struct sysargs *a)
{
	struct {
		uint64_t mask, size;
	} sig = {0};
	int r;

	if (a->v[5] && copyin(t, &sig, UADDR(a->v[5]), sizeof(sig)) < 0)
		return -EFAULT;
	r = signal_set_temporary_user(t, UADDR(sig.mask), sig.size);
	return r < 0 ? r : get_events(t, a);
}
