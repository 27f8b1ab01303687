/*
 * read(2), write(2) and their kin.
 *
 * Files with FILE_RAW_WINDOW are read into and written from the thread's
 * window, which the stub shares: a transfer that fits is one file operation
 * here and one memcpy in the stub. Others get a buffer of the sentry. Long
 * transfers of files with FILE_STREAM_CHUNKS are cut; other files (datagrams)
 * get the whole buffer at once.
 *
 * Deviation from Linux: when the guest's buffer is partly unmapped, a read
 * consumes what it could not deliver, unless the file can seek back.
 */
#include "sentry/sys/fs_rw.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/signal.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/io_wait.h"

#define MAX_TRANSFER ((size_t)INT_MAX & ~(size_t)(GUEST_PAGE - 1))
#define CHUNK 65536UL
#define MAX_WHOLE (4UL << 20) /* of a transfer that cannot be cut */

struct buffer {
	void *p;
	size_t size;
	bool window;
	char *heap;
	char small[512];
};

static int buffer_begin(struct buffer *b, struct rw *rw)
{
	b->heap = NULL;
	b->window = rw->f->caps & FILE_RAW_WINDOW;
	if (b->window) {
		b->p = pf_thread_window(rw->t->pt, &b->size);
		if (rw->total <= b->size || (rw->f->caps & FILE_STREAM_CHUNKS))
			return 0;
		b->window = false;
	}
	b->p = b->small;
	b->size = sizeof(b->small);
	if (rw->total <= b->size)
		return 0;
	b->size = min(rw->total, rw->f->caps & FILE_STREAM_CHUNKS ? CHUNK : MAX_WHOLE);
	b->p = b->heap = malloc(b->size);
	return b->heap ? 0 : -ENOMEM;
}

struct piece {
	void *buf;
	size_t n;
	off_t *pos;
};

static long read_piece(struct file *f, void *arg)
{
	struct piece *p = arg;

	return file_read(f, p->buf, p->n, p->pos);
}

static long write_piece(struct file *f, void *arg)
{
	struct piece *p = arg;

	return file_write(f, p->buf, p->n, p->pos);
}

/* Waits as the file and SO_RCVTIMEO, SO_SNDTIMEO say. */
static long do_piece(struct rw *rw, struct piece *p, uint32_t events, uint64_t timeout,
		     bool nonblock, long (*op)(struct file *, void *))
{
	uint64_t deadline = timeout ? deadline_after((int64_t)timeout) : SLEEP_FOREVER;
	long r = io_wait(rw->t, rw->f, events, nonblock, deadline, op, p);

	return r == -ERESTARTSYS && timeout ? -EINTR : r;
}

/* --- reading ------------------------------------------------------------------------ */

/* Gives n bytes to the guest from offset `skip` of its buffer. Bytes given or -EFAULT. */
static ssize_t deliver(struct rw *rw, const struct buffer *b, size_t skip, size_t n, bool last)
{
	if (rw->iov)
		return iov_copyout(rw->t, rw->iov, skip, b->p, n);
	if (last)
		return copyout_late(rw->t, uaddr_add(rw->base, skip), b->p, n) < 0 ? -EFAULT
										   : (ssize_t)n;
	return pf_thread_write(rw->t->pt, uaddr_add(rw->base, skip), b->p, n);
}

static void give_back(struct rw *rw, size_t n)
{
	if (rw->pos)
		*rw->pos -= (off_t)n;
	else if (rw->f->caps & FILE_CAN_SEEK)
		(void)!file_seek(rw->f, -(off_t)n, SEEK_CUR);
}

ssize_t rw_read(struct rw *rw)
{
	struct buffer b __attribute__((uninitialized));
	size_t done = 0;
	long r;

	if (rw->pos && !(rw->f->caps & FILE_CAN_SEEK))
		return -ESPIPE;
	if (rw->total == 0)
		return file_read(rw->f, NULL, 0, rw->pos);
	if (!file_readable(rw->f))
		return -EBADF;
	r = buffer_begin(&b, rw);
	while (r >= 0 && done < rw->total) {
		size_t n = min(rw->total - done, b.size);
		struct piece p = {b.p, n, rw->pos};
		ssize_t given;

		r = do_piece(rw, &p, POLLIN, atomic_load(&rw->f->read_timeout),
			     rw->nonblock || done, read_piece);
		if (r <= 0)
			break;
		given = deliver(rw, &b, done, (size_t)r,
				done + (size_t)r == rw->total || (size_t)r < p.n);
		if (given < r)
			give_back(rw, (size_t)(r - max(given, (ssize_t)0)));
		done += (size_t)max(given, (ssize_t)0);
		if (given < (ssize_t)p.n) {
			r = given < 0 ? given : 0;
			break;
		}
		if (!(rw->f->caps & FILE_STREAM_CHUNKS))
			break;
	}
	free(b.heap);
	return done ? (ssize_t)done : r;
}

/* --- writing --------------------------------------------------------------------------- */

int rw_limit_size(struct task *t, struct file *f, off_t pos, size_t *n)
{
	uint64_t limit;

	if (!S_ISREG(f->inode->mode))
		return 0;
	limit = task_rlimit(t, RLIMIT_FSIZE);
	if (limit == UINT64_MAX || (uint64_t)pos + *n <= limit)
		return 0;
	if ((uint64_t)pos >= limit) {
		siginfo_t info = signal_info_user(t, SIGXFSZ);

		signal_task(t, SIGXFSZ, &info);
		return -EFBIG;
	}
	*n = limit - (uint64_t)pos;
	return 0;
}

static off_t write_position(const struct rw *rw)
{
	if (atomic_load(&rw->f->flags) & O_APPEND)
		return (off_t)rw->f->inode->size;
	return rw->pos ? *rw->pos : rw->f->pos;
}

static ssize_t fetch(struct rw *rw, struct buffer *b, size_t skip, size_t n)
{
	if (rw->iov)
		return iov_copyin(rw->t, rw->iov, skip, b->p, n);
	return pf_thread_read(rw->t->pt, uaddr_add(rw->base, skip), b->p, n);
}

static long check_written(struct task *t, long r)
{
	if (r == -EPIPE) {
		siginfo_t info = signal_info_user(t, SIGPIPE);

		signal_task(t, SIGPIPE, &info);
	}
	return r;
}

/* The stub brought the whole buffer along. */
static ssize_t write_in_place(struct rw *rw, const void *data)
{
	size_t done = 0;
	long r = 0;

	while (done < rw->total) {
		struct piece p = {(char *)data + done, rw->total - done, rw->pos};

		r = do_piece(rw, &p, POLLOUT, atomic_load(&rw->f->write_timeout), rw->nonblock,
			     write_piece);
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	r = check_written(rw->t, r);
	return done ? (ssize_t)done : r;
}

/* One bufferful, until it is written or the file takes no more: -errno, or bytes (fewer than
 * fetched: stop). */
static long write_buffer(struct rw *rw, struct buffer *b, size_t n)
{
	size_t done = 0;

	while (done < n) {
		struct piece p = {(char *)b->p + done, n - done, rw->pos};
		long r = do_piece(rw, &p, POLLOUT, atomic_load(&rw->f->write_timeout), rw->nonblock,
				  write_piece);

		if (r <= 0) {
			r = check_written(rw->t, r);
			return done ? (long)done : r;
		}
		done += (size_t)r;
		if (!(rw->f->caps & FILE_STREAM_CHUNKS))
			break;
	}
	return (long)done;
}

static ssize_t write_buffered(struct rw *rw)
{
	struct buffer b __attribute__((uninitialized));
	size_t done = 0;
	long r = buffer_begin(&b, rw);

	while (r >= 0 && done < rw->total) {
		size_t n = min(rw->total - done, b.size);
		ssize_t got = fetch(rw, &b, done, n);

		r = got <= 0 ? -EFAULT : write_buffer(rw, &b, (size_t)got);
		if (r <= 0)
			break;
		done += (size_t)r;
		if ((size_t)r < n || !(rw->f->caps & FILE_STREAM_CHUNKS))
			break;
	}
	free(b.heap);
	return done ? (ssize_t)done : r;
}

ssize_t rw_write(struct rw *rw)
{
	const void *data;
	int err;

	if (rw->pos && !(rw->f->caps & FILE_CAN_SEEK))
		return -ESPIPE;
	if (!file_writable(rw->f))
		return -EBADF;
	if (rw->total == 0)
		return file_write(rw->f, "", 0, rw->pos);
	err = rw_limit_size(rw->t, rw->f, write_position(rw), &rw->total);
	if (err == 0)
		err = file_remove_privs(rw->f, rw->t->cred);
	if (err < 0)
		return err;
	if (!rw->iov && (rw->f->caps & FILE_RAW_WINDOW)) {
		data = pf_thread_peek(rw->t->pt, rw->base, rw->total);
		if (data)
			return write_in_place(rw, data);
	}
	return write_buffered(rw);
}

/* --- system calls ----------------------------------------------------------------------- */

typedef ssize_t rw_fn(struct rw *rw);

static long on_fd(struct task *t, int fd, struct rw *rw, rw_fn *fn)
{
	struct file *f = fd_get_io(t->files, fd);
	long r;

	if (!f)
		return -EBADF;
	rw->t = t;
	rw->f = f;
	r = fn(rw);
	if (fn == rw_read)
		task_count_read(t, r);
	else
		task_count_write(t, r);
	file_put(f);
	return r;
}

static long plain(struct task *t, const struct sysargs *a, off_t *pos, rw_fn *fn)
{
	size_t total = min(a->v[2], MAX_TRANSFER);
	struct rw rw = {.base = UADDR(a->v[1]), .total = total, .pos = pos};
	off_t end;

	/* No buffer is that long. */
	if ((ssize_t)a->v[2] < 0)
		return -EFAULT;
	if (pos && (*pos < 0 || __builtin_add_overflow(*pos, (off_t)a->v[2], &end)))
		return -EINVAL;
	return on_fd(t, (int)a->v[0], &rw, fn);
}

long sys_read(struct task *t, const struct sysargs *a)
{
	return plain(t, a, NULL, rw_read);
}

long sys_write(struct task *t, const struct sysargs *a)
{
	return plain(t, a, NULL, rw_write);
}

long sys_pread64(struct task *t, const struct sysargs *a)
{
	off_t pos = (off_t)a->v[3];

	return plain(t, a, &pos, rw_read);
}

long sys_pwrite64(struct task *t, const struct sysargs *a)
{
	off_t pos = (off_t)a->v[3];

	return plain(t, a, &pos, rw_write);
}

static long vector(struct task *t, const struct sysargs *a, off_t *pos, bool nonblock, rw_fn *fn)
{
	SCOPED_FREE struct guest_iov *iov = NULL;
	struct rw rw = {.pos = pos, .nonblock = nonblock};
	int err;

	if (pos && *pos < 0)
		return -EINVAL;
	err = copyin_iov(t, UADDR(a->v[1]), a->v[2], &iov);
	if (err < 0)
		return err;
	rw.iov = iov;
	rw.total = iov->total;
	if (iov->count == 1) {
		rw.base = iov->v[0].base;
		rw.iov = NULL;
	}
	return on_fd(t, (int)a->v[0], &rw, fn);
}

long sys_readv(struct task *t, const struct sysargs *a)
{
	return vector(t, a, NULL, false, rw_read);
}

long sys_writev(struct task *t, const struct sysargs *a)
{
	return vector(t, a, NULL, false, rw_write);
}

long sys_preadv(struct task *t, const struct sysargs *a)
{
	off_t pos = (off_t)a->v[3];

	return vector(t, a, &pos, false, rw_read);
}

long sys_pwritev(struct task *t, const struct sysargs *a)
{
	off_t pos = (off_t)a->v[3];

	return vector(t, a, &pos, false, rw_write);
}

#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

long sys_preadv2(struct task *t, const struct sysargs *a)
{
	off_t pos = (off_t)a->v[3];
	int flags = (int)a->v[5];

	if (flags & ~RWF_KNOWN || (flags & RWF_APPEND))
		return -EOPNOTSUPP;
	return vector(t, a, pos == -1 ? NULL : &pos, flags & RWF_NOWAIT, rw_read);
}

static ssize_t write_and_sync(struct rw *rw)
{
	ssize_t r = rw_write(rw);

	if (r > 0 && rw->f->ops->fsync) {
		int err = rw->f->ops->fsync(rw->f, false);

		return err < 0 ? err : r;
	}
	return r;
}

static ssize_t append(struct rw *rw)
{
	off_t end = (off_t)rw->f->inode->size;
	ssize_t r;

	rw->pos = &end;
	r = rw_write(rw);
	rw->pos = NULL;
	return r;
}

long sys_pwritev2(struct task *t, const struct sysargs *a)
{
	off_t pos = (off_t)a->v[3];
	int flags = (int)a->v[5];
	rw_fn *fn = rw_write;

	if (flags & ~RWF_KNOWN)
		return -EOPNOTSUPP;
	if (flags & (RWF_DSYNC | RWF_SYNC))
		fn = write_and_sync;
	if (flags & RWF_APPEND)
		fn = append;
	return vector(t, a, pos == -1 ? NULL : &pos, flags & RWF_NOWAIT, fn);
}

long sys_lseek(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	off_t r;

	if (!f)
		return -EBADF;
	r = file_seek(f, (off_t)a->v[1], (int)a->v[2]);
	file_put(f);
	return r;
}
