/* fsync(2) and kin, fallocate(2), advice. */
#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/inode.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_rw.h"

static long with_file(struct task *t, int fd, long (*fn)(struct file *f, const struct sysargs *a),
		      const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, fd);
	long r;

	if (!f)
		return -EBADF;
	r = fn(f, a);
	file_put(f);
	return r;
}

/* What has nothing to write back, and is not a file or directory, cannot be synced. */
static bool can_sync(const struct file *f)
{
	return f->ops->fsync || S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) ||
	       S_ISBLK(f->inode->mode);
}

static long do_fsync(struct file *f, const struct sysargs *a)
{
	if (!can_sync(f))
		return -EINVAL;
	return f->ops->fsync ? f->ops->fsync(f, false) : 0;
}

static long do_fdatasync(struct file *f, const struct sysargs *a)
{
	if (!can_sync(f))
		return -EINVAL;
	return f->ops->fsync ? f->ops->fsync(f, true) : 0;
}

long sys_fsync(struct task *t, const struct sysargs *a)
{
	return with_file(t, (int)a->v[0], do_fsync, a);
}

long sys_fdatasync(struct task *t, const struct sysargs *a)
{
	return with_file(t, (int)a->v[0], do_fdatasync, a);
}

static long sync_sb(struct superblock *sb)
{
	return sb->ops && sb->ops->sync ? sb->ops->sync(sb) : 0;
}

static long do_syncfs(struct file *f, const struct sysargs *a)
{
	return sync_sb(f->inode->sb);
}

long sys_syncfs(struct task *t, const struct sysargs *a)
{
	return with_file(t, (int)a->v[0], do_syncfs, a);
}

long sys_sync(struct task *t, const struct sysargs *a)
{
	mount_ns_sync(t->fs->mounts);
	return 0;
}

#define SYNC_RANGE_KNOWN                                                                           \
	(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

static long do_sync_range(struct file *f, const struct sysargs *a)
{
	int64_t offset = (int64_t)a->v[1], len = (int64_t)a->v[2], end;

	if (((unsigned int)a->v[3] & ~(unsigned int)SYNC_RANGE_KNOWN) || offset < 0 || len < 0 ||
	    __builtin_add_overflow(offset, len, &end))
		return -EINVAL;
	if (!S_ISREG(f->inode->mode) && !S_ISBLK(f->inode->mode) && !S_ISDIR(f->inode->mode) &&
	    !S_ISLNK(f->inode->mode))
		return -ESPIPE;
	return f->ops->fsync && a->v[3] ? f->ops->fsync(f, true) : 0;
}

long sys_sync_file_range(struct task *t, const struct sysargs *a)
{
	return with_file(t, (int)a->v[0], do_sync_range, a);
}

static long do_fadvise(struct file *f, const struct sysargs *a)
{
	if (S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	if ((int64_t)a->v[2] < 0 || (int)a->v[3] < POSIX_FADV_NORMAL ||
	    (int)a->v[3] > POSIX_FADV_NOREUSE)
		return -EINVAL;
	return 0;
}

long sys_fadvise64(struct task *t, const struct sysargs *a)
{
	return with_file(t, (int)a->v[0], do_fadvise, a);
}

static long do_readahead(struct file *f, const struct sysargs *a)
{
	if (!file_readable(f))
		return -EBADF;
	return S_ISREG(f->inode->mode) ? 0 : -EINVAL;
}

long sys_readahead(struct task *t, const struct sysargs *a)
{
	return with_file(t, (int)a->v[0], do_readahead, a);
}

static long check_fallocate(struct file *f, int mode, off_t offset, off_t len)
{
	off_t end;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && (mode & FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (!file_writable(f))
		return -EBADF;
	if (S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	if (S_ISDIR(f->inode->mode))
		return -EISDIR;
	if (!S_ISREG(f->inode->mode))
		return -ENODEV;
	if (__builtin_add_overflow(offset, len, &end))
		return -EFBIG;
	return f->ops->fallocate ? 0 : -EOPNOTSUPP;
}

long sys_fallocate(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	off_t offset = (off_t)a->v[2], len = (off_t)a->v[3];
	int mode = (int)a->v[1];
	long err;

	if (!f)
		return -EBADF;
	err = check_fallocate(f, mode, offset, len);
	if (err == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && offset + len > (off_t)f->inode->size) {
		size_t one = 1;

		err = rw_limit_size(t, f, offset + len - 1, &one);
	}
	if (err == 0)
		err = file_remove_privs(f, t->cred);
	if (err == 0)
		err = f->ops->fallocate(f, mode, offset, len);
	if (err == 0)
		vfs_notify(f, IN_MODIFY);
	file_put(f);
	return err;
}
