/* sendfile(2), copy_file_range(2). */
#include <errno.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/pipe.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/transfer.h"

#define MAX_COUNT 0x7ffff000UL
#define COPY_CHUNK (1UL << 20)

struct copy {
	struct task *t;
	struct file *in, *out;
	off_t in_pos, *out_pos; /* out_pos NULL: out's own */
	size_t len, chunk;
};

/* Copies until len, the end of `in`, or something stops it. in_pos moves by what was written,
 * so a reader that goes on from there misses nothing. */
static ssize_t copy_data(struct copy *c)
{
	char *buf = xmalloc(min(c->chunk, c->len));
	size_t done = 0;
	ssize_t r = 0;

	while (done < c->len) {
		size_t want = min(c->len - done, c->chunk);
		off_t pos = c->in_pos;
		ssize_t got = transfer_read(c->t, c->in, buf, want, &pos, false);

		r = got;
		if (got <= 0)
			break;
		r = transfer_write(c->t, c->out, buf, (size_t)got, c->out_pos, false);
		if (r > 0) {
			done += (size_t)r;
			c->in_pos += r;
		}
		if (r < got)
			break;
	}
	free(buf);
	task_count_read(c->t, (long)done);
	task_count_write(c->t, (long)done);
	return done > 0 ? (ssize_t)done : r;
}

static ssize_t sendfile_files(struct copy *c, bool own_position)
{
	ssize_t done;
	off_t start;

	if (!file_readable(c->in) || !file_writable(c->out))
		return -EBADF;
	if (!(c->in->caps & FILE_CAN_SEEK))
		return own_position ? -EINVAL : -ESPIPE;
	if (atomic_load(&c->out->flags) & O_APPEND)
		return -EINVAL;
	if (!own_position)
		return copy_data(c);
	start = file_seek(c->in, 0, SEEK_CUR);
	if (start < 0)
		return start;
	c->in_pos = start;
	done = copy_data(c);
	if (done > 0)
		start = file_seek(c->in, c->in_pos, SEEK_SET);
	return start < 0 ? start : done;
}

/* Both files by descriptor, then fn. */
static ssize_t with_files(struct copy *c, int fd_in, int fd_out, bool own,
			  ssize_t (*fn)(struct copy *c, bool own))
{
	ssize_t done = -EBADF;

	c->in = fd_get_io(c->t->files, fd_in);
	if (!c->in)
		return -EBADF;
	c->out = fd_get_io(c->t->files, fd_out);
	if (c->out) {
		done = fn(c, own);
		file_put(c->out);
	}
	file_put(c->in);
	return done;
}

long sys_sendfile(struct task *t, const struct sysargs *a)
{
	struct copy c = {.t = t, .chunk = TRANSFER_CHUNK};
	uaddr at = UADDR(a->v[2]);
	ssize_t done;
	int err = 0;

	c.len = min(a->v[3], MAX_COUNT);
	if (!uaddr_null(at))
		err = copyin(t, &c.in_pos, at, sizeof(c.in_pos));
	if (err)
		return err;
	if (c.in_pos < 0 || (ssize_t)a->v[3] < 0)
		return -EINVAL;
	done = with_files(&c, (int)a->v[1], (int)a->v[0], uaddr_null(at), sendfile_files);
	if (!uaddr_null(at) && done >= 0)
		err = copyout(t, at, &c.in_pos, sizeof(c.in_pos));
	return err ? err : done;
}

/* --- copy_file_range ------------------------------------------------------------------- */

static int check_kinds(const struct copy *c)
{
	uint32_t in = c->in->inode->mode, out = c->out->inode->mode;

	if (S_ISDIR(in) || S_ISDIR(out))
		return -EISDIR;
	if (!S_ISREG(in) || !S_ISREG(out))
		return -EINVAL;
	if (!file_readable(c->in) || !file_writable(c->out) ||
	    (atomic_load(&c->out->flags) & O_APPEND))
		return -EBADF;
	return c->in->inode->sb != c->out->inode->sb ? -EXDEV : 0;
}

static int check_range(const struct copy *c, off_t out_pos)
{
	off_t len = (off_t)c->len;

	if (c->in_pos < 0 || out_pos < 0)
		return -EINVAL;
	if (__builtin_add_overflow(c->in_pos, len, &len) ||
	    __builtin_add_overflow(out_pos, (off_t)c->len, &len))
		return -EOVERFLOW;
	if (c->in->inode == c->out->inode && c->in_pos < out_pos + (off_t)c->len &&
	    out_pos < c->in_pos + (off_t)c->len)
		return -EINVAL;
	return 0;
}

struct range {
	uaddr in_at, out_at; /* NULL: the file's own position */
	off_t in_pos, out_pos;
};

static int own_positions(struct copy *c, struct range *r)
{
	if (uaddr_null(r->in_at))
		r->in_pos = file_seek(c->in, 0, SEEK_CUR);
	if (uaddr_null(r->out_at))
		r->out_pos = file_seek(c->out, 0, SEEK_CUR);
	c->in_pos = r->in_pos;
	return check_range(c, r->out_pos);
}

static int store_positions(struct copy *c, const struct range *r)
{
	off_t moved = 0;
	int err = 0;

	if (uaddr_null(r->in_at))
		moved = file_seek(c->in, c->in_pos, SEEK_SET);
	else
		err = copyout(c->t, r->in_at, &c->in_pos, sizeof(c->in_pos));
	if (moved < 0 || err)
		return err ? err : (int)moved;
	if (uaddr_null(r->out_at))
		moved = file_seek(c->out, r->out_pos, SEEK_SET);
	else
		err = copyout(c->t, r->out_at, &r->out_pos, sizeof(r->out_pos));
	return err ? err : (int)min(moved, (off_t)0);
}

static ssize_t copy_range(struct copy *c, struct range *r)
{
	ssize_t done;
	int err = check_kinds(c);

	if (!err)
		err = own_positions(c, r);
	if (err || c->len == 0)
		return err;
	c->out_pos = &r->out_pos;
	done = copy_data(c);
	if (done > 0)
		err = store_positions(c, r);
	return err ? err : done;
}

static int copyin_range(struct task *t, struct range *r)
{
	int err = 0;

	if (!uaddr_null(r->in_at))
		err = copyin(t, &r->in_pos, r->in_at, sizeof(r->in_pos));
	if (!err && !uaddr_null(r->out_at))
		err = copyin(t, &r->out_pos, r->out_at, sizeof(r->out_pos));
	return err;
}

long sys_copy_file_range(struct task *t, const struct sysargs *a)
{
	struct copy c = {.t = t, .chunk = COPY_CHUNK};
	struct range r = {.in_at = UADDR(a->v[1]), .out_at = UADDR(a->v[3])};
	ssize_t done = -EBADF;

	c.len = min(a->v[4], MAX_COUNT);
	c.in = fd_get_io(t->files, (int)a->v[0]);
	if (!c.in)
		return -EBADF;
	c.out = fd_get_io(t->files, (int)a->v[2]);
	if (c.out) {
		done = copyin_range(t, &r);
		if (!done)
			done = a->v[5] ? -EINVAL : copy_range(&c, &r);
		file_put(c.out);
	}
	file_put(c.in);
	return done;
}
