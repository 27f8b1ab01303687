/*
 * Regular files. All data goes straight to the host's file through the fds of
 * hostfd.c; the gofer is not asked. Offsets are explicit (pread, pwrite), so the
 * fds can be shared by all opens.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/host_file.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

struct gofer_file {
	struct file file;
};

static int current_fd(struct file *f)
{
	return hostfd_current(gofer_inode(f->inode));
}

static int write_fd(struct file *f)
{
	return atomic_load_explicit(&gofer_inode(f->inode)->fd_rw, memory_order_acquire);
}

static ssize_t file_op_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	ssize_t r = host_pread(current_fd(f), buf, n, *pos);

	if (r > 0)
		*pos += r;
	return r;
}

/* ------------------------------------------------------------ writing */

static int sync_flags(const struct file *f)
{
	int flags = atomic_load(&((struct file *)f)->flags);

	if ((flags & O_SYNC) == O_SYNC)
		return RWF_SYNC;
	return flags & O_DSYNC ? RWF_DSYNC : 0;
}

static ssize_t write_at(struct file *f, const void *buf, size_t n, off_t pos, int rwf)
{
	struct iovec iov = {(void *)buf, n};

	rwf |= sync_flags(f);
	return rwf ? host_pwritev2(write_fd(f), &iov, 1, pos, rwf)
		   : host_pwrite(write_fd(f), buf, n, pos);
}

/* The end of file where the host put it; data_lock keeps our own writers in a row, so that
 * *pos is exact. */
static ssize_t append(struct file *f, const void *buf, size_t n, off_t *pos)
{
	SCOPED_LOCK(&f->inode->data_lock);
	ssize_t r = write_at(f, buf, n, 0, RWF_APPEND);
	off_t end;

	if (r <= 0)
		return r;
	end = host_lseek(write_fd(f), 0, SEEK_END);
	if (end >= 0) {
		*pos = end;
		f->inode->size = (uint64_t)end;
	}
	return r;
}

static void grown(struct inode *inode, uint64_t end)
{
	if (end <= inode->size)
		return; /* only a hint for others; fstat is what counts */
	SCOPED_LOCK(&inode->data_lock);
	if (end > inode->size)
		inode->size = end;
}

/*
 * The host drops set-id bits when we write, because we have no CAP_FSETID. What fs/ left the file
 * before the write (file_remove_privs) is put back.
 */
static void restore_setid(struct inode *inode)
{
	struct iattr attr = {.valid = IATTR_MODE};

	SCOPED_LOCK(&inode->data_lock);
	attr.mode = inode->mode;
	if (attr.mode & (S_ISUID | S_ISGID))
		(void)!gofer_setattr(inode, &attr);
}

static ssize_t file_op_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	ssize_t r;

	if (atomic_load(&f->flags) & O_APPEND) {
		r = append(f, buf, n, pos);
	} else {
		r = write_at(f, buf, n, *pos, 0);
		if (r > 0) {
			*pos += r;
			grown(f->inode, (uint64_t)*pos);
		}
	}
	if (r > 0 && f->inode->mode & (S_ISUID | S_ISGID))
		restore_setid(f->inode);
	return r;
}

/* ------------------------------------------------------------ the rest */

static off_t file_op_seek(struct file *f, off_t offset, int whence)
{
	off_t pos = -EINVAL;

	switch (whence) {
	case SEEK_SET:
		pos = offset;
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(f->pos, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_END:
	case SEEK_DATA:
	case SEEK_HOLE:
		pos = host_lseek(current_fd(f), offset, whence);
		if (pos < 0)
			return pos;
		break;
	}
	if (pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

static int file_op_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
			struct file_mapping *out)
{
	int fd = file_writable(f) ? write_fd(f) : hostfd_read_only(gofer_inode(f->inode));

	if (fd < 0)
		return fd;
	*out = (struct file_mapping){
	    .fd = fd,
	    .offset = offset,
	    .max_prot = PROT_READ | PROT_EXEC | (file_writable(f) ? PROT_WRITE : 0),
	};
	return 0;
}

static int file_op_fsync(struct file *f, bool datasync)
{
	return datasync ? host_fdatasync(current_fd(f)) : host_fsync(current_fd(f));
}

static int file_op_fallocate(struct file *f, int mode, off_t offset, off_t len)
{
	struct kstat st;
	int err = host_fallocate(write_fd(f), mode, offset, len);

	if (!err && f->inode->mode & (S_ISUID | S_ISGID))
		restore_setid(f->inode);
	return err ? err : gofer_getattr(f->inode, &st); /* the size may be another */
}

static void file_op_release(struct file *f)
{
	struct gofer_file *gf = container_of(f, struct gofer_file, file);

	hostfd_put(gofer_inode(f->inode));
	file_fini(f);
	free(gf);
}

static const struct file_ops gofer_file_ops = {
    .read = file_op_read,
    .write = file_op_write,
    .seek = file_op_seek,
    .mmap = file_op_mmap,
    .fsync = file_op_fsync,
    .fallocate = file_op_fallocate,
    .release = file_op_release,
};

int gofer_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
	       struct file **out)
{
	struct gofer_file *gf;
	int err;

	if (S_ISDIR(inode->mode))
		return gofer_open_dir(inode, path, cred, flags, out);
	if (!S_ISREG(inode->mode))
		return -ENXIO;
	err = hostfd_get(gofer_inode(inode), (flags & O_ACCMODE) != O_RDONLY);
	if (err)
		return err;
	gf = NEW(struct gofer_file);
	file_init(&gf->file, &gofer_file_ops, inode, path, cred, flags);
	gf->file.caps = FILE_CAN_SEEK | FILE_RAW_WINDOW | FILE_STREAM_CHUNKS;
	*out = &gf->file;
	return 0;
}
