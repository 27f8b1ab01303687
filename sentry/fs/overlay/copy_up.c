/*
 * Copying up. A regular file is made without a name, filled, and linked into
 * place when it is whole, so that a failure half-way (no space) leaves nothing.
 * Times of the file and of the upper directory are what they were before.
 */
#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "sentry/fs/overlay/internal.h"

#define COPY_CHUNK (128 * 1024)

static int write_all(struct file *to, const char *buf, size_t n, off_t pos)
{
	while (n > 0) {
		ssize_t w = file_write(to, buf, n, &pos);

		if (w <= 0)
			return w < 0 ? (int)w : -EIO;
		buf += w;
		n -= (size_t)w;
	}
	return 0;
}

static int copy_range(struct file *from, struct file *to, off_t pos, off_t end, char *buf)
{
	while (pos < end) {
		off_t at = pos;
		ssize_t n = file_read(from, buf, (size_t)min(end - pos, (off_t)COPY_CHUNK), &at);
		int err = n > 0 ? write_all(to, buf, (size_t)n, pos) : (int)n;

		if (err || n == 0)
			return err;
		pos += n;
	}
	return 0;
}

/* Data only; holes stay holes where the lower file system can tell. */
static int copy_data(struct file *from, struct file *to, off_t size)
{
	SCOPED_FREE char *buf = xmalloc(COPY_CHUNK);
	off_t pos = 0;
	int err = 0;

	while (pos < size && !err) {
		off_t data = file_seek(from, pos, SEEK_DATA), hole;

		if (data == -ENXIO)
			break; /* a hole up to the end */
		if (data < 0)
			data = pos;
		hole = file_seek(from, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		err = copy_range(from, to, data, hole, buf);
		pos = max(hole, data + 1);
	}
	return err;
}

static int fill_regular(struct overlay_sb *ov, struct inode *lower, struct inode *upper,
			const struct kstat *st, uint64_t size)
{
	struct iattr attr = {.valid = IATTR_SIZE, .size = st->size};
	struct file *from, *to;
	int err = size ? real_open(ov, lower, O_RDONLY, &from) : 0;

	if (!err && size) {
		err = real_open(ov, upper, O_WRONLY, &to);
		if (!err) {
			err = copy_data(from, to, (off_t)min(size, st->size));
			file_put(to);
		}
		file_put(from);
	}
	return err ? err : real_setattr(upper, &attr);
}

static int set_times(struct inode *inode, const struct kstat *st)
{
	struct iattr attr = {
	    .valid = IATTR_ATIME | IATTR_MTIME, .atime = st->atime, .mtime = st->mtime};

	return real_setattr(inode, &attr);
}

struct copy {
	struct overlay_section *s;
	struct overlay_inode *oi;
	struct inode *dir; /* upper; NULL: the file gets no name there */
	struct kstat st;
	uint64_t size;
	struct inode *made; /* owned */
};

static int copy_regular(struct copy *c, const struct new_inode *new)
{
	struct overlay_inode *oi = c->oi;
	struct inode *dir = c->dir ? c->dir : c->s->ov->upper_root;
	int err;

	if (!dir->ops->tmpfile)
		return -EOPNOTSUPP;
	mutex_lock(&dir->dir_lock);
	err = dir->ops->tmpfile(dir, new, &c->made);
	mutex_unlock(&dir->dir_lock);
	if (!err)
		err = fill_regular(c->s->ov, oi->lower, c->made, &c->st, c->size);
	if (!err)
		real_copy_xattrs(oi->lower, c->made);
	if (!err)
		err = set_times(c->made, &c->st);
	if (!err && c->dir)
		err = real_link(c->dir, oi->name, strlen(oi->name), c->made);
	return err;
}

static int copy_other(struct copy *c, struct new_inode *new)
{
	SCOPED_FREE char *target = NULL;
	struct overlay_inode *oi = c->oi;
	int err;

	if (!c->dir)
		return -ESTALE; /* it was removed; there is nothing to write to */
	if (S_ISLNK(new->mode)) {
		ssize_t n;

		target = xmalloc(PATH_MAX + 1);
		n = oi->lower->ops->readlink(oi->lower, NULL, target, PATH_MAX);
		if (n < 0)
			return (int)n;
		target[n] = 0;
		new->target = target;
	}
	err = real_create(c->dir, oi->name, strlen(oi->name), new, &c->made);
	if (!err) {
		real_copy_xattrs(oi->lower, c->made);
		err = set_times(c->made, &c->st);
	}
	return err;
}

static int copy_inode(struct copy *c)
{
	struct new_inode new = {
	    .mode = c->st.mode, .uid = c->st.uid, .gid = c->st.gid, .rdev = c->st.rdev};
	int err = S_ISREG(new.mode) ? copy_regular(c, &new) : copy_other(c, &new);

	if (err && c->made)
		inode_put(c->made);
	return err;
}

/* With the upper directory's times kept: nothing happened to it that its reader could know. */
static int copy_into(struct copy *c)
{
	struct kstat dir_st;
	int err;

	if (!c->dir)
		return copy_inode(c);
	err = real_stat(c->dir, &dir_st);
	if (!err)
		err = copy_inode(c);
	if (!err)
		(void)!set_times(c->dir, &dir_st);
	return err;
}

static int copy_one(struct overlay_section *s, struct overlay_inode *oi, uint64_t size)
{
	struct copy c = {.s = s, .oi = oi, .size = size};
	int err;

	if (oi->parent)
		c.dir = upper_of(oi->parent);
	err = real_stat(oi->lower, &c.st);
	if (!err)
		err = copy_into(&c);
	if (err)
		return err;
	overlay_set_upper(oi, c.made);
	if (oi->inode.nlink)
		overlay_pin(oi);
	return 0;
}

/* The topmost directory above oi that has no upper part, or oi itself. */
static struct overlay_inode *first_missing(struct overlay_inode *oi)
{
	while (oi->parent && !upper_of(oi->parent))
		oi = oi->parent;
	return oi;
}

int copy_up(struct overlay_section *s, struct overlay_inode *oi, uint64_t size)
{
	int err = 0;

	while (!upper_of(oi) && !err) {
		struct overlay_inode *next = first_missing(oi);

		err = copy_one(s, next, next == oi ? size : 0);
	}
	return err;
}
