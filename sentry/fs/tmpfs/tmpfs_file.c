/*
 * tmpfs regular files: on the heap while small, else in a memfd (see
 * tmpfs_internal.h). The memfd's length is always the inode's size, so a guest
 * that maps it gets SIGBUS behind the end as on Linux.
 *
 * Pages are charged to the superblock before they come into being. For a file
 * without holes that is arithmetic; once it has holes the memfd's own count is
 * read back after each change. What a guest touches through a mapping of a hole
 * is charged at the next such change only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_file.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

static struct tmpfs_data *data_of(struct inode *inode)
{
	return &tmpfs_node_of(inode)->data;
}

static uint64_t pages_for(uint64_t bytes)
{
	return bytes / PAGE + (bytes % PAGE != 0);
}

/* --- charging ------------------------------------------------------------------------ */

/* As many of n pages as the limit allows; the number. */
uint64_t tmpfs_charge(struct tmpfs_sb *sb, uint64_t n)
{
	uint64_t used = atomic_load(&sb->used_pages), max = atomic_load(&sb->max_pages), take;

	do {
		take = max && used + n > max ? (max > used ? max - used : 0) : n;
	} while (!atomic_compare_exchange_weak(&sb->used_pages, &used, used + take));
	return take;
}

void tmpfs_uncharge(struct tmpfs_sb *sb, uint64_t n)
{
	atomic_fetch_sub(&sb->used_pages, n);
}

/* Sets what the file is charged to what its memfd holds; `extra` pages were charged before. */
static void settle(struct inode *inode, uint64_t extra)
{
	struct tmpfs_data *d = data_of(inode);
	struct tmpfs_sb *sb = tmpfs_sb_of(inode);
	struct stat st;
	uint64_t now;

	if (d->sparse && atomic_load(&d->fd) >= 0 && host_fstat(d->fd, &st) == 0)
		now = (uint64_t)st.st_blocks / (PAGE / 512);
	else
		now = pages_for(inode->size);
	atomic_fetch_add(&sb->used_pages, now);
	tmpfs_uncharge(sb, d->pages + extra);
	d->pages = now;
}

/* --- heap and memfd ------------------------------------------------------------------------ */

void tmpfs_data_free(struct tmpfs_node *node)
{
	tmpfs_uncharge(tmpfs_sb_of(&node->inode), node->data.pages);
	if (atomic_load(&node->data.fd) >= 0)
		charged_close(atomic_load(&node->data.fd));
	charged_free(node->data.small);
}

static int fill_memfd(int fd, const struct tmpfs_data *d, uint64_t size)
{
	uint64_t n = min(size, (uint64_t)d->small_size);
	int err = host_ftruncate(fd, (off_t)size);

	if (err < 0 || !n)
		return err;
	ssize_t done = host_pwrite(fd, d->small, n, 0);

	return done < 0 ? (int)done : (size_t)done < n ? -ENOSPC : 0;
}

/* The file's memfd, made now if it lies on the heap still. Under data_lock. */
static int to_memfd_locked(struct inode *inode)
{
	struct tmpfs_data *d = data_of(inode);
	int fd = atomic_load(&d->fd), err;

	if (fd >= 0)
		return fd;
	fd = charged_memfd("tmpfs", 0);
	if (fd < 0)
		return fd;
	err = fill_memfd(fd, d, inode->size);
	if (err < 0) {
		charged_close(fd);
		return err;
	}
	charged_free(d->small);
	d->small = NULL;
	d->small_size = 0;
	atomic_store(&d->fd, fd);
	return fd;
}

static int small_reserve(struct tmpfs_data *d, size_t size)
{
	size_t want = max(ROUND_UP(size, (size_t)64), min(2 * d->small_size, (size_t)SMALL_MAX));
	char *p;

	if (size <= d->small_size)
		return 0;
	p = charged_alloc(want);
	if (!p)
		return -ENOSPC;
	if (d->small_size)
		memcpy(p, d->small, d->small_size);
	charged_free(d->small);
	d->small = p;
	d->small_size = want;
	return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static ssize_t read_small(struct inode *inode, void *buf, size_t n, off_t pos)
{
	struct tmpfs_data *d = data_of(inode);
	uint64_t left, held;

	SCOPED_LOCK(&inode->data_lock);
	if (atomic_load(&d->fd) >= 0)
		return -EAGAIN; /* it just moved */
	if ((uint64_t)pos >= inode->size)
		return 0;
	left = min(inode->size - (uint64_t)pos, (uint64_t)n);
	held = (uint64_t)pos < d->small_size ? min(left, d->small_size - (uint64_t)pos) : 0;
	memcpy(buf, d->small + (held ? pos : 0), held);
	memset((char *)buf + held, 0, left - held);
	return (ssize_t)left;
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* As the mount says; by default (relatime) only if the file changed since it was last read, or
 * once a day. */
static void accessed(struct file *f)
{
	unsigned long flags = f->path.mnt ? f->path.mnt->flags : 0;
	struct inode *inode = f->inode;
	struct timespec now = inode_now();

	if ((atomic_load(&f->flags) & O_NOATIME) || (flags & MS_NOATIME))
		return;
	SCOPED_LOCK(&inode->data_lock);
	if (!(flags & MS_STRICTATIME) && later(inode->atime, inode->mtime) &&
	    later(inode->atime, inode->ctime) && now.tv_sec - inode->atime.tv_sec < 86400)
		return;
	inode->atime = now;
}

static ssize_t tmpfs_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	int fd = atomic_load(&data_of(f->inode)->fd);
	ssize_t done = -EAGAIN;

	if (fd < 0)
		done = read_small(f->inode, buf, n, *pos);
	if (done == -EAGAIN)
		done = host_pread(atomic_load(&data_of(f->inode)->fd), buf, n, *pos);
	if (done <= 0)
		return done;
	*pos += done;
	accessed(f);
	return done;
}

/* --- writing --------------------------------------------------------------------------------- */

/* Charges for [pos, pos+*n), cutting *n where the file system is full. The pages charged. */
static int charge_write(struct inode *inode, uint64_t pos, size_t *n, uint64_t *charged)
{
	struct tmpfs_data *d = data_of(inode);
	uint64_t end_page, need, got;

	if (!d->sparse && pages_for(pos) > pages_for(inode->size) && pos / PAGE > d->pages)
		d->sparse = true;
	end_page = pages_for(pos + *n);
	if (d->sparse)
		need = end_page - pos / PAGE;
	else
		need = end_page > d->pages ? end_page - d->pages : 0;
	got = tmpfs_charge(tmpfs_sb_of(inode), need);
	*charged = got;
	if (got == need)
		return 0;
	/* In a sparse file some of the pages may exist already: try the write up to what is
	 * certain. */
	uint64_t room_end = ((d->sparse ? pos / PAGE : d->pages) + got) * PAGE;

	if (room_end <= pos)
		return -ENOSPC;
	*n = (size_t)(room_end - pos);
	return 0;
}

static ssize_t put_data(struct inode *inode, const void *buf, size_t n, uint64_t pos)
{
	struct tmpfs_data *d = data_of(inode);
	int fd;

	if (atomic_load(&d->fd) < 0 && pos + n <= SMALL_MAX) {
		int err = small_reserve(d, (size_t)pos + n);

		if (err < 0)
			return err;
		memcpy(d->small + pos, buf, n);
		return (ssize_t)n;
	}
	fd = to_memfd_locked(inode);
	return fd < 0 ? fd : host_pwrite(fd, buf, n, (off_t)pos);
}

static ssize_t write_locked(struct inode *inode, const void *buf, size_t n, uint64_t pos)
{
	struct tmpfs_data *d = data_of(inode);
	uint64_t charged;
	ssize_t done;
	int err;

	if (pos + n > (uint64_t)INT64_MAX)
		return -EFBIG;
	err = charge_write(inode, pos, &n, &charged);
	done = err < 0 ? err : put_data(inode, buf, n, pos);
	if (done > 0 && pos + (uint64_t)done > inode->size)
		inode->size = pos + (uint64_t)done;
	if (d->sparse || done != (ssize_t)n)
		settle(inode, charged);
	else
		d->pages += charged;
	if (done > 0)
		inode->mtime = inode->ctime = inode_now();
	return done;
}

static ssize_t tmpfs_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct inode *inode = f->inode;
	ssize_t done;

	SCOPED_LOCK(&inode->data_lock);
	if (atomic_load(&f->flags) & O_APPEND)
		*pos = (off_t)inode->size;
	done = write_locked(inode, buf, n, (uint64_t)*pos);
	if (done > 0)
		*pos += done;
	return done;
}

/* --- size, holes --------------------------------------------------------------------------------
 */

static int resize_locked(struct inode *inode, uint64_t size)
{
	struct tmpfs_data *d = data_of(inode);
	int fd = atomic_load(&d->fd), err;

	if (fd >= 0) {
		err = host_ftruncate(fd, (off_t)size);
		if (err < 0)
			return err == -EINVAL ? -EFBIG : err;
	} else if (size > SMALL_MAX) {
		fd = to_memfd_locked(inode);
		err = fd < 0 ? fd : host_ftruncate(fd, (off_t)size);
		if (err < 0)
			return err == -EINVAL ? -EFBIG : err;
	} else if (size < d->small_size) {
		memset(d->small + size, 0, d->small_size - size);
	}
	if (pages_for(size) > pages_for(inode->size))
		d->sparse = true;
	if (size == 0)
		d->sparse = false;
	inode->size = size;
	inode->mtime = inode_now();
	settle(inode, 0);
	return 0;
}

int tmpfs_setattr(struct inode *inode, const struct iattr *attr)
{
	if ((attr->valid & IATTR_SIZE) && S_ISREG(inode->mode)) {
		int err = resize_locked(inode, attr->size);

		if (err < 0)
			return err;
	}
	inode_apply_attr(inode, attr);
	return 0;
}

int tmpfs_getattr(struct inode *inode, struct kstat *st)
{
	struct tmpfs_data *d = data_of(inode);

	inode_fill_stat(inode, st);
	SCOPED_LOCK(&inode->data_lock);
	if (d->sparse)
		settle(inode, 0);
	st->blocks = d->pages * (PAGE / 512);
	return 0;
}

static int punch_locked(struct inode *inode, int fd, uint64_t offset, uint64_t len)
{
	struct tmpfs_data *d = data_of(inode);
	int err;

	if (offset >= inode->size)
		return 0;
	err = host_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			     (off_t)len);
	if (err == 0)
		d->sparse = true;
	return err;
}

static int allocate_locked(struct inode *inode, int fd, int mode, uint64_t offset, uint64_t len)
{
	struct tmpfs_data *d = data_of(inode);
	uint64_t need = pages_for(offset + len) - offset / PAGE;
	uint64_t got = tmpfs_charge(tmpfs_sb_of(inode), need);
	int err = got < need
		      ? -ENOSPC
		      : host_fallocate(fd, mode & FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);

	if (err == 0) {
		d->sparse = true;
		if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + len > inode->size)
			inode->size = offset + len;
	}
	settle(inode, got);
	return err;
}

static int tmpfs_fallocate(struct file *f, int mode, off_t offset, off_t len)
{
	struct inode *inode = f->inode;
	int fd, err = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	SCOPED_LOCK(&inode->data_lock);
	fd = to_memfd_locked(inode);
	if (fd < 0)
		return fd;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		err = punch_locked(inode, fd, (uint64_t)offset, (uint64_t)len);
	if (err == 0 && !(mode & FALLOC_FL_PUNCH_HOLE))
		err = allocate_locked(inode, fd, mode, (uint64_t)offset, (uint64_t)len);
	else
		settle(inode, 0);
	if (err == 0)
		inode->mtime = inode->ctime = inode_now();
	return err;
}

/* Where data or a hole begins; the memfd knows. The heap has no holes. */
static off_t tmpfs_seek(struct file *f, off_t offset, int whence)
{
	int fd = atomic_load(&data_of(f->inode)->fd);
	off_t found;

	if (fd < 0 || (whence != SEEK_DATA && whence != SEEK_HOLE))
		return file_seek_generic(f, offset, whence);
	if (offset < 0)
		return -ENXIO;
	found = host_lseek(fd, offset, whence);
	return found < 0 ? found : file_set_pos(f, found);
}

static int tmpfs_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
		      struct file_mapping *out)
{
	int fd;

	mutex_lock(&f->inode->data_lock);
	fd = to_memfd_locked(f->inode);
	/* Stores through a mapping fill holes that no call sees. */
	if (fd >= 0 && file_writable(f) && (flags & MAP_SHARED))
		data_of(f->inode)->sparse = true;
	mutex_unlock(&f->inode->data_lock);
	if (fd < 0)
		return fd;
	*out = (struct file_mapping){
	    .fd = fd,
	    .offset = offset,
	    .max_prot = PROT_READ | PROT_EXEC | (file_writable(f) ? PROT_WRITE : 0),
	};
	return 0;
}

static void tmpfs_file_release(struct file *f)
{
	file_fini(f);
	free(f);
}

const struct file_ops tmpfs_file_ops = {
    .read = tmpfs_read,
    .write = tmpfs_write,
    .seek = tmpfs_seek,
    .mmap = tmpfs_mmap,
    .fallocate = tmpfs_fallocate,
    .release = tmpfs_file_release,
};
