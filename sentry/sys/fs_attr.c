/* chmod(2), chown(2), utimensat(2), truncate(2) and their older forms. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "sentry/fs/walk.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"
#include "sentry/sys/fs_rw.h"

static long setattr_at(struct task *t, int dirfd, uaddr name, int flags, const struct iattr *attr)
{
	struct path path;
	int err = fs_at_lookup(t, dirfd, name, flags, &path);

	if (err < 0)
		return err;
	if ((attr->valid & IATTR_MODE) && S_ISLNK(path_inode(&path)->mode))
		err = -EOPNOTSUPP;
	else
		err = vfs_setattr(&path, t->cred, attr);
	path_put(&path);
	return err;
}

static long setattr_fd(struct task *t, int fd, const struct iattr *attr)
{
	struct file *f = fd_get_io(t->files, fd);
	int err;

	if (!f)
		return -EBADF;
	err = vfs_fsetattr(f, t->cred, attr);
	file_put(f);
	return err;
}

/* --- mode --------------------------------------------------------------------------- */

static struct iattr mode_change(uint64_t mode)
{
	return (struct iattr){.valid = IATTR_MODE, .mode = (uint32_t)mode & 07777};
}

long sys_chmod(struct task *t, const struct sysargs *a)
{
	struct iattr attr = mode_change(a->v[1]);

	return setattr_at(t, AT_FDCWD, UADDR(a->v[0]), 0, &attr);
}

long sys_fchmod(struct task *t, const struct sysargs *a)
{
	struct iattr attr = mode_change(a->v[1]);

	return setattr_fd(t, (int)a->v[0], &attr);
}

long sys_fchmodat(struct task *t, const struct sysargs *a)
{
	struct iattr attr = mode_change(a->v[2]);

	return setattr_at(t, (int)a->v[0], UADDR(a->v[1]), 0, &attr);
}

long sys_fchmodat2(struct task *t, const struct sysargs *a)
{
	struct iattr attr = mode_change(a->v[2]);
	int flags = (int)a->v[3];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return setattr_at(t, (int)a->v[0], UADDR(a->v[1]), flags, &attr);
}

/* --- owner ---------------------------------------------------------------------------- */

/* -EINVAL: the caller's user namespace does not know the id. */
static int owner_change(struct task *t, uint64_t uid, uint64_t gid, struct iattr *attr)
{
	/* Even if neither changes. */
	*attr = (struct iattr){.valid = IATTR_KILL_PRIVS,
			       .uid = task_take_uid(t, (uint32_t)uid),
			       .gid = task_take_gid(t, (uint32_t)gid)};

	if ((uint32_t)uid != UINT32_MAX)
		attr->valid |= IATTR_UID;
	if ((uint32_t)gid != UINT32_MAX)
		attr->valid |= IATTR_GID;
	if ((attr->valid & IATTR_UID && attr->uid == INVALID_ID) ||
	    (attr->valid & IATTR_GID && attr->gid == INVALID_ID))
		return -EINVAL;
	return 0;
}

long sys_chown(struct task *t, const struct sysargs *a)
{
	struct iattr attr;

	return owner_change(t, a->v[1], a->v[2], &attr)
		   ?: setattr_at(t, AT_FDCWD, UADDR(a->v[0]), 0, &attr);
}

long sys_lchown(struct task *t, const struct sysargs *a)
{
	struct iattr attr;

	return owner_change(t, a->v[1], a->v[2], &attr)
		   ?: setattr_at(t, AT_FDCWD, UADDR(a->v[0]), AT_SYMLINK_NOFOLLOW, &attr);
}

long sys_fchown(struct task *t, const struct sysargs *a)
{
	struct iattr attr;

	return owner_change(t, a->v[1], a->v[2], &attr) ?: setattr_fd(t, (int)a->v[0], &attr);
}

long sys_fchownat(struct task *t, const struct sysargs *a)
{
	struct iattr attr;
	int flags = (int)a->v[4];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return owner_change(t, a->v[2], a->v[3], &attr)
		   ?: setattr_at(t, (int)a->v[0], UADDR(a->v[1]), flags, &attr);
}

/* --- times -------------------------------------------------------------------------------- */

static int time_of(const struct timespec *ts, unsigned int now_bit, unsigned int set_bit,
		   struct timespec *out, unsigned int *valid)
{
	if (ts->tv_nsec == UTIME_OMIT)
		return 0;
	if (ts->tv_nsec == UTIME_NOW) {
		*valid |= now_bit;
		return 0;
	}
	if (ts->tv_nsec < 0 || ts->tv_nsec >= (long)NSEC_PER_SEC)
		return -EINVAL;
	*out = *ts;
	*valid |= set_bit;
	return 0;
}

/* times NULL: now. */
static int times_change(const struct timespec *times, struct iattr *attr)
{
	int err;

	*attr = (struct iattr){.valid = 0};
	if (!times) {
		attr->valid = IATTR_ATIME_NOW | IATTR_MTIME_NOW;
		return 0;
	}
	err = time_of(&times[0], IATTR_ATIME_NOW, IATTR_ATIME, &attr->atime, &attr->valid);
	if (err == 0)
		err = time_of(&times[1], IATTR_MTIME_NOW, IATTR_MTIME, &attr->mtime, &attr->valid);
	return err;
}

static long set_times(struct task *t, int dirfd, uaddr name, const struct timespec *times,
		      int flags)
{
	struct iattr attr;
	int err = times_change(times, &attr);

	if (err < 0)
		return err;
	if (uaddr_null(name) && dirfd != AT_FDCWD) {
		struct file *f = fd_get(t->files, dirfd);

		if (!f)
			return -EBADF;
		err = attr.valid ? vfs_fsetattr(f, t->cred, &attr) : 0;
		file_put(f);
		return err;
	}
	return attr.valid ? setattr_at(t, dirfd, name, flags, &attr) : 0;
}

long sys_utimensat(struct task *t, const struct sysargs *a)
{
	struct timespec times[2];
	int flags = (int)a->v[3];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!a->v[2])
		return set_times(t, (int)a->v[0], UADDR(a->v[1]), NULL, flags);
	if (copyin(t, times, UADDR(a->v[2]), sizeof(times)) < 0)
		return -EFAULT;
	return set_times(t, (int)a->v[0], UADDR(a->v[1]), times, flags);
}

static long set_timevals(struct task *t, int dirfd, uaddr name, uaddr from)
{
	struct timeval tv[2];
	struct timespec times[2];

	if (uaddr_null(from))
		return set_times(t, dirfd, name, NULL, 0);
	if (copyin(t, tv, from, sizeof(tv)) < 0)
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return -EINVAL;
		times[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
	}
	return set_times(t, dirfd, name, times, 0);
}

long sys_utimes(struct task *t, const struct sysargs *a)
{
	return set_timevals(t, AT_FDCWD, UADDR(a->v[0]), UADDR(a->v[1]));
}

long sys_futimesat(struct task *t, const struct sysargs *a)
{
	return set_timevals(t, (int)a->v[0], UADDR(a->v[1]), UADDR(a->v[2]));
}

long sys_utime(struct task *t, const struct sysargs *a)
{
	int64_t sec[2];
	struct timespec times[2];

	if (!a->v[1])
		return set_times(t, AT_FDCWD, UADDR(a->v[0]), NULL, 0);
	if (copyin(t, sec, UADDR(a->v[1]), sizeof(sec)) < 0)
		return -EFAULT;
	times[0] = (struct timespec){sec[0], 0};
	times[1] = (struct timespec){sec[1], 0};
	return set_times(t, AT_FDCWD, UADDR(a->v[0]), times, 0);
}

/* --- size -------------------------------------------------------------------------------- */

/* RLIMIT_FSIZE for a length: as for a write of its last byte. */
static int limit_length(struct task *t, struct inode *inode, off_t size)
{
	struct file probe = {.inode = inode};
	size_t one = 1;

	if (size <= (off_t)inode->size)
		return 0;
	return rw_limit_size(t, &probe, size - 1, &one);
}

long sys_truncate(struct task *t, const struct sysargs *a)
{
	off_t size = (off_t)a->v[1];
	struct path path;
	long err;

	if (size < 0)
		return -EINVAL;
	err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[0]), 0, &path);
	if (err < 0)
		return err;
	err = limit_length(t, path_inode(&path), size);
	if (err == 0)
		err = vfs_truncate(&path, t->cred, size);
	path_put(&path);
	return err;
}

long sys_ftruncate(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	off_t size = (off_t)a->v[1];
	long err = 0;

	if (!f)
		return -EBADF;
	if (size < 0)
		err = -EINVAL;
	if (err == 0 && file_writable(f))
		err = limit_length(t, f->inode, size);
	if (err == 0)
		err = vfs_ftruncate(f, t->cred, size);
	file_put(f);
	return err;
}
