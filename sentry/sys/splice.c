/*
 * splice(2), tee(2), vmsplice(2). The data is copied: what the calls promise
 * (order, blocking, amounts) is kept, the saved copy is not.
 */
#include <errno.h>

#include "common/mem.h"
#include "sentry/fs/pipe.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/transfer.h"

#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* One splice or tee under way. */
struct splice {
	struct task *t;
	struct file *in, *out;
	off_t *in_pos, *out_pos; /* NULL: the file's own */
	size_t len;
	bool nonblock; /* of the pipes' sides */
	char *buf;     /* TRANSFER_CHUNK bytes */
};

/* From a pipe to a file: all that is there, up to len. What the file does not take goes
 * back to the front of the pipe. */
static ssize_t from_pipe(struct splice *s)
{
	size_t done = 0;
	ssize_t r = 0;

	while (done < s->len) {
		size_t want = min(s->len - done, TRANSFER_CHUNK);
		ssize_t got = transfer_read(s->t, s->in, s->buf, want, NULL, s->nonblock || done);

		r = got;
		if (got <= 0)
			break;
		r = transfer_write(s->t, s->out, s->buf, (size_t)got, s->out_pos, false);
		if (r < got)
			pipe_untake(s->in, s->buf + max(r, 0), (size_t)(got - max(r, 0)));
		done += (size_t)max(r, 0);
		if (r < got)
			break;
	}
	return done > 0 ? (ssize_t)done : r;
}

/* From a file to a pipe, as much as the pipe has room for. */
static ssize_t to_pipe(struct splice *s)
{
	ssize_t room = transfer_room(s->t, s->out, s->nonblock), got;
	size_t want;

	if (room < 0)
		return room;
	want = min(min(s->len, (size_t)room), TRANSFER_CHUNK);
	got = transfer_read(s->t, s->in, s->buf, want, s->in_pos, false);
	if (got <= 0)
		return got;
	/* Should another writer have taken the room meanwhile, this waits: the file cannot take
	 * its data back. */
	return transfer_write(s->t, s->out, s->buf, (size_t)got, NULL, false);
}

static ssize_t pipe_to_pipe(struct splice *s)
{
	ssize_t room, got, put;
	size_t want;

	got = transfer_peek(s->t, s->in, s->buf, 1, s->nonblock);
	if (got <= 0)
		return got;
	room = transfer_room(s->t, s->out, s->nonblock);
	if (room < 0)
		return room;
	want = min(min(s->len, (size_t)room), TRANSFER_CHUNK);
	got = transfer_read(s->t, s->in, s->buf, want, NULL, s->nonblock);
	if (got <= 0)
		return got;
	put = transfer_write(s->t, s->out, s->buf, (size_t)got, NULL, s->nonblock);
	if (put < got)
		pipe_untake(s->in, s->buf + max(put, 0), (size_t)(got - max(put, 0)));
	return put;
}

static ssize_t splice_files(struct splice *s)
{
	bool from = file_is_pipe(s->in), to = file_is_pipe(s->out);

	if (!file_readable(s->in) || !file_writable(s->out))
		return -EBADF;
	if (!from && !to)
		return -EINVAL;
	if ((from && s->in_pos) || (to && s->out_pos))
		return -ESPIPE;
	if (from && to) {
		int flags = atomic_load(&s->in->flags) | atomic_load(&s->out->flags);

		if (pipe_same(s->in, s->out))
			return -EINVAL;
		s->nonblock |= (flags & O_NONBLOCK) != 0;
		return pipe_to_pipe(s);
	}
	if ((s->in_pos && !(s->in->caps & FILE_CAN_SEEK)) ||
	    (s->out_pos && !(s->out->caps & FILE_CAN_SEEK)))
		return -EINVAL;
	if (from && (atomic_load(&s->out->flags) & O_APPEND))
		return -EINVAL;
	return from ? from_pipe(s) : to_pipe(s);
}

static ssize_t with_buffer(struct splice *s, ssize_t (*fn)(struct splice *s))
{
	ssize_t done;

	s->buf = xmalloc(TRANSFER_CHUNK);
	done = fn(s);
	free(s->buf);
	return done;
}

/* Both files by descriptor, then fn. */
static ssize_t with_files(struct splice *s, int fd_in, int fd_out, ssize_t (*fn)(struct splice *s))
{
	ssize_t done = -EBADF;

	s->in = fd_get_io(s->t->files, fd_in);
	if (!s->in)
		return -EBADF;
	s->out = fd_get_io(s->t->files, fd_out);
	if (s->out) {
		done = with_buffer(s, fn);
		file_put(s->out);
	}
	file_put(s->in);
	return done;
}

static int copyin_offset(struct task *t, uaddr at, off_t *offset)
{
	int err = copyin(t, offset, at, sizeof(*offset));

	return !err && *offset < 0 ? -EINVAL : err;
}

long sys_splice(struct task *t, const struct sysargs *a)
{
	uaddr in_at = UADDR(a->v[1]), out_at = UADDR(a->v[3]);
	unsigned int flags = (unsigned int)a->v[5];
	struct splice s = {.t = t, .len = a->v[4], .nonblock = flags & SPLICE_F_NONBLOCK};
	off_t in_pos, out_pos;
	ssize_t done;
	int err = 0;

	if (s.len == 0)
		return 0;
	if (flags & ~SPLICE_FLAGS)
		return -EINVAL;
	if (!uaddr_null(in_at)) {
		err = copyin_offset(t, in_at, &in_pos);
		s.in_pos = &in_pos;
	}
	if (!err && !uaddr_null(out_at)) {
		err = copyin_offset(t, out_at, &out_pos);
		s.out_pos = &out_pos;
	}
	if (err)
		return err;
	done = with_files(&s, (int)a->v[0], (int)a->v[2], splice_files);
	if (done >= 0 && s.in_pos)
		err = copyout(t, in_at, &in_pos, sizeof(in_pos));
	if (done >= 0 && s.out_pos && !err)
		err = copyout(t, out_at, &out_pos, sizeof(out_pos));
	return err ? err : done;
}

static ssize_t tee_files(struct splice *s)
{
	ssize_t got, room;

	if (!file_readable(s->in) || !file_writable(s->out))
		return -EBADF;
	if (!file_is_pipe(s->in) || !file_is_pipe(s->out) || pipe_same(s->in, s->out))
		return -EINVAL;
	got = transfer_peek(s->t, s->in, s->buf, min(s->len, TRANSFER_CHUNK), s->nonblock);
	if (got <= 0)
		return got;
	room = transfer_room(s->t, s->out, s->nonblock);
	if (room < 0)
		return room;
	return transfer_write(s->t, s->out, s->buf, (size_t)min(got, room), NULL, s->nonblock);
}

long sys_tee(struct task *t, const struct sysargs *a)
{
	unsigned int flags = (unsigned int)a->v[3];
	struct splice s = {.t = t, .len = a->v[2], .nonblock = flags & SPLICE_F_NONBLOCK};

	if (flags & ~SPLICE_FLAGS)
		return -EINVAL;
	return s.len == 0 ? 0 : with_files(&s, (int)a->v[0], (int)a->v[1], tee_files);
}

/* From memory to a pipe: as much as there is room for. */
static ssize_t gather(struct task *t, struct file *pipe, const struct guest_iov *iov, char *buf,
		      bool nonblock)
{
	ssize_t room = transfer_room(t, pipe, nonblock), got;

	if (room < 0)
		return room;
	got = iov_copyin(t, iov, 0, buf, min(min(iov->total, (size_t)room), TRANSFER_CHUNK));
	return got < 0 ? got : transfer_write(t, pipe, buf, (size_t)got, NULL, nonblock);
}

static ssize_t scatter(struct task *t, struct file *pipe, const struct guest_iov *iov, char *buf,
		       bool nonblock)
{
	ssize_t got = transfer_read(t, pipe, buf, min(iov->total, TRANSFER_CHUNK), NULL, nonblock);

	return got <= 0 ? got : iov_copyout(t, iov, 0, buf, (size_t)got);
}

static ssize_t vmsplice_file(struct task *t, struct file *f, const struct guest_iov *iov,
			     bool nonblock)
{
	ssize_t done;
	char *buf;

	if (!file_is_pipe(f))
		return -EBADF;
	if (iov->total == 0)
		return 0;
	buf = xmalloc(TRANSFER_CHUNK);
	if (file_writable(f))
		done = gather(t, f, iov, buf, nonblock);
	else
		done = scatter(t, f, iov, buf, nonblock);
	free(buf);
	return done;
}

long sys_vmsplice(struct task *t, const struct sysargs *a)
{
	unsigned int flags = (unsigned int)a->v[3];
	struct guest_iov *iov;
	struct file *f;
	long done;
	int err;

	if (flags & ~SPLICE_FLAGS)
		return -EINVAL;
	f = fd_get_io(t->files, (int)a->v[0]);
	if (!f)
		return -EBADF;
	err = copyin_iov(t, UADDR(a->v[1]), a->v[2], &iov);
	if (!err) {
		done = vmsplice_file(t, f, iov, flags & SPLICE_F_NONBLOCK);
		free(iov);
	}
	file_put(f);
	return err ? err : done;
}
