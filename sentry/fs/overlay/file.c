/*
 * Regular files: a file of the real tree behind each. One opened for reading in
 * the lower tree goes over to the upper copy when there is one, so that it sees
 * what others write from then on; mappings made before stay with the lower file,
 * as with Linux's overlay.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "sentry/fs/overlay/internal.h"

struct overlay_file {
	struct file file;
	struct file *first;	    /* immutable; owned */
	struct file *_Atomic later; /* owned; after the inode was copied up */
};

static struct file *open_later(struct overlay_file *of)
{
	struct inode *upper = upper_of(overlay_inode(of->file.inode));
	struct file *f, *none = NULL;

	if (real_open(overlay_sb(of->file.inode), upper, O_RDONLY, &f) < 0)
		return of->first;
	if (atomic_compare_exchange_strong(&of->later, &none, f))
		return f;
	file_put(f);
	return none;
}

static struct file *real_file(struct file *f)
{
	struct overlay_file *of = container_of(f, struct overlay_file, file);
	struct file *later = atomic_load(&of->later);

	if (later)
		return later;
	if (of->first->inode == real_of(overlay_inode(f->inode)))
		return of->first;
	return open_later(of);
}

static ssize_t file_op_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct file *real = real_file(f);

	return real->ops->read(real, buf, n, pos);
}

static void take_size(struct file *f, const struct file *real)
{
	SCOPED_LOCK(&f->inode->data_lock);
	f->inode->size = __atomic_load_n(&real->inode->size, __ATOMIC_RELAXED);
}

static ssize_t file_op_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct file *real = real_file(f);
	ssize_t done;

	atomic_store(&real->flags, atomic_load(&f->flags)); /* O_APPEND, O_SYNC by F_SETFL */
	done = real->ops->write(real, buf, n, pos);
	if (done > 0)
		take_size(f, real);
	return done;
}

static off_t file_op_seek(struct file *f, off_t offset, int whence)
{
	struct file *real = real_file(f);
	off_t pos;

	if (whence == SEEK_SET || whence == SEEK_CUR)
		return file_seek_generic(f, offset, whence);
	/* The real file's own position is nobody's business; it may be scribbled on. */
	pos = real->ops->seek ? real->ops->seek(real, offset, whence)
			      : file_seek_generic(real, offset, whence);
	return pos < 0 ? pos : file_set_pos(f, pos);
}

static int file_op_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
			struct file_mapping *out)
{
	struct file *real = real_file(f);

	return real->ops->mmap ? real->ops->mmap(real, offset, len, prot, flags, out) : -ENODEV;
}

static int file_op_fsync(struct file *f, bool datasync)
{
	struct file *real = real_file(f);

	return real->ops->fsync ? real->ops->fsync(real, datasync) : 0;
}

static int file_op_fallocate(struct file *f, int mode, off_t offset, off_t len)
{
	struct file *real = real_file(f);
	int err =
	    real->ops->fallocate ? real->ops->fallocate(real, mode, offset, len) : -EOPNOTSUPP;

	if (!err)
		take_size(f, real);
	return err;
}

static void file_op_release(struct file *f)
{
	struct overlay_file *of = container_of(f, struct overlay_file, file);

	file_put(of->first);
	if (atomic_load(&of->later))
		file_put(atomic_load(&of->later));
	file_fini(f);
	free(of);
}

static const struct file_ops overlay_file_ops = {
    .read = file_op_read,
    .write = file_op_write,
    .seek = file_op_seek,
    .mmap = file_op_mmap,
    .fsync = file_op_fsync,
    .fallocate = file_op_fallocate,
    .release = file_op_release,
};

static int make_writable(struct overlay_inode *oi)
{
	struct overlay_section s;
	int err;

	if (upper_of(oi))
		return 0;
	section_begin(&s, overlay_sb(&oi->inode));
	err = copy_up(&s, oi, UINT64_MAX);
	section_end(&s);
	return err;
}

int overlay_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
		 struct file **out)
{
	struct overlay_inode *oi = overlay_inode(inode);
	struct overlay_file *of;
	struct file *real;
	int err;

	if (S_ISDIR(inode->mode))
		return overlay_open_dir(inode, path, cred, flags, out);
	err = (flags & O_ACCMODE) == O_RDONLY ? 0 : make_writable(oi);
	if (!err)
		err = real_open(overlay_sb(inode), real_of(oi), flags, &real);
	if (err)
		return err;
	of = NEW(struct overlay_file);
	file_init(&of->file, &overlay_file_ops, inode, path, cred, flags);
	of->file.caps = real->caps;
	of->first = real;
	*out = &of->file;
	return 0;
}
