#include "sentry/sys/transfer.h"

#include <errno.h>

#include "sentry/fs/namei.h"
#include "sentry/fs/pipe.h"
#include "sentry/kernel/signal.h"
#include "sentry/sys/fs_rw.h"
#include "sentry/sys/io_wait.h"

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

static long peek_piece(struct file *f, void *arg)
{
	struct piece *p = arg;

	return pipe_peek(f, p->buf, p->n);
}

static long room_or_again(struct file *f, void *arg)
{
	ssize_t room = pipe_room(f);

	return room ? room : -EAGAIN;
}

ssize_t transfer_read(struct task *t, struct file *f, void *buf, size_t n, off_t *pos,
		      bool nonblock)
{
	struct piece p = {.buf = buf, .n = n, .pos = pos};

	return io_wait(t, f, POLLIN, nonblock, SLEEP_FOREVER, read_piece, &p);
}

static long broken_pipe(struct task *t, long err)
{
	siginfo_t info;

	if (err != -EPIPE)
		return err;
	info = signal_info_user(t, SIGPIPE);
	signal_task(t, SIGPIPE, &info);
	return err;
}

ssize_t transfer_write(struct task *t, struct file *f, const void *buf, size_t n, off_t *pos,
		       bool nonblock)
{
	long r = file_remove_privs(f, t->cred);
	size_t done = 0;

	while (r >= 0 && done < n) {
		struct piece p = {.buf = (char *)buf + done, .n = n - done, .pos = pos};

		r = rw_limit_size(t, f, pos ? *pos : f->pos, &p.n);
		if (r == 0)
			r = io_wait(t, f, POLLOUT, nonblock, SLEEP_FOREVER, write_piece, &p);
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	r = broken_pipe(t, r);
	return done > 0 ? (ssize_t)done : r;
}

ssize_t transfer_room(struct task *t, struct file *pipe, bool nonblock)
{
	long r = io_wait(t, pipe, POLLOUT, nonblock, SLEEP_FOREVER, room_or_again, NULL);

	return broken_pipe(t, r);
}

ssize_t transfer_peek(struct task *t, struct file *pipe, void *buf, size_t n, bool nonblock)
{
	struct piece p = {.buf = buf, .n = n};

	return io_wait(t, pipe, POLLIN, nonblock, SLEEP_FOREVER, peek_piece, &p);
}
