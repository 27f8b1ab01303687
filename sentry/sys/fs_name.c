/* Making, removing and renaming names; reading links. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/mem.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

static uint32_t masked(struct task *t, uint32_t mode)
{
	return mode & ~__atomic_load_n(&t->fs->umask, __ATOMIC_RELAXED);
}

/* --- creation ---------------------------------------------------------------------- */

static long create(struct task *t, int dirfd, uaddr name, const struct new_inode *new)
{
	struct fs_at at UNINITIALIZED;
	int err = fs_at_begin(t, &at, dirfd, name, false);

	if (err < 0)
		return err;
	err = vfs_create(&at.env, at.base, at.name, new, NULL);
	fs_at_end(&at);
	return err;
}

static long make_dir(struct task *t, int dirfd, uaddr name, uint32_t mode)
{
	struct new_inode new = {.mode = S_IFDIR | masked(t, mode & 01777)};

	return create(t, dirfd, name, &new);
}

long sys_mkdir(struct task *t, const struct sysargs *a)
{
	return make_dir(t, AT_FDCWD, UADDR(a->v[0]), (uint32_t)a->v[1]);
}

long sys_mkdirat(struct task *t, const struct sysargs *a)
{
	return make_dir(t, (int)a->v[0], UADDR(a->v[1]), (uint32_t)a->v[2]);
}

/* The device number as user space passes it: 32 bits. */
static uint64_t device_of(uint64_t arg)
{
	uint32_t dev = (uint32_t)arg;

	return makedev((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

static long make_node(struct task *t, int dirfd, uaddr name, uint32_t mode, uint64_t dev)
{
	struct new_inode new = {.mode = masked(t, mode & (S_IFMT | 07777))};

	switch (mode & S_IFMT) {
	case 0:
		new.mode |= S_IFREG;
		break;
	case S_IFCHR:
	case S_IFBLK:
		new.rdev = device_of(dev);
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return create(t, dirfd, name, &new);
}

long sys_mknod(struct task *t, const struct sysargs *a)
{
	return make_node(t, AT_FDCWD, UADDR(a->v[0]), (uint32_t)a->v[1], a->v[2]);
}

long sys_mknodat(struct task *t, const struct sysargs *a)
{
	return make_node(t, (int)a->v[0], UADDR(a->v[1]), (uint32_t)a->v[2], a->v[3]);
}

static long make_link(struct task *t, uaddr target, int dirfd, uaddr name)
{
	SCOPED_FREE char *to = xmalloc(PATH_MAX);
	struct new_inode new = {.mode = S_IFLNK | 0777, .target = to};
	int err = copyin_path(t, to, target, false);

	return err < 0 ? err : create(t, dirfd, name, &new);
}

long sys_symlink(struct task *t, const struct sysargs *a)
{
	return make_link(t, UADDR(a->v[0]), AT_FDCWD, UADDR(a->v[1]));
}

long sys_symlinkat(struct task *t, const struct sysargs *a)
{
	return make_link(t, UADDR(a->v[0]), (int)a->v[1], UADDR(a->v[2]));
}

/* --- links, renaming: two paths ------------------------------------------------------------ */

static long hard_link(struct task *t, int old_dirfd, uaddr old, int new_dirfd, uaddr new, int flags)
{
	struct fs_at at UNINITIALIZED;
	struct path target;
	int err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !task_capable(t, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	err = fs_at_lookup(t, old_dirfd, old,
			   (flags & AT_EMPTY_PATH) |
			       (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW),
			   &target);
	if (err < 0)
		return err;
	err = fs_at_begin(t, &at, new_dirfd, new, false);
	if (err == 0) {
		err = vfs_link(&at.env, &target, at.base, at.name);
		fs_at_end(&at);
	}
	path_put(&target);
	return err;
}

long sys_link(struct task *t, const struct sysargs *a)
{
	return hard_link(t, AT_FDCWD, UADDR(a->v[0]), AT_FDCWD, UADDR(a->v[1]), 0);
}

long sys_linkat(struct task *t, const struct sysargs *a)
{
	return hard_link(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2], UADDR(a->v[3]),
			 (int)a->v[4]);
}

static long rename_at(struct task *t, int old_dirfd, uaddr old, int new_dirfd, uaddr new,
		      unsigned int flags)
{
	struct fs_at from UNINITIALIZED;
	struct fs_at to UNINITIALIZED;
	int err = fs_at_begin(t, &from, old_dirfd, old, false);

	if (err < 0)
		return err;
	err = fs_at_begin(t, &to, new_dirfd, new, false);
	if (err == 0) {
		err = vfs_rename(&from.env, from.base, from.name, to.base, to.name, flags);
		fs_at_end(&to);
	}
	fs_at_end(&from);
	return err;
}

long sys_rename(struct task *t, const struct sysargs *a)
{
	return rename_at(t, AT_FDCWD, UADDR(a->v[0]), AT_FDCWD, UADDR(a->v[1]), 0);
}

long sys_renameat(struct task *t, const struct sysargs *a)
{
	return rename_at(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2], UADDR(a->v[3]), 0);
}

long sys_renameat2(struct task *t, const struct sysargs *a)
{
	return rename_at(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2], UADDR(a->v[3]),
			 (unsigned int)a->v[4]);
}

/* --- removal -------------------------------------------------------------------------------- */

static long remove_at(struct task *t, int dirfd, uaddr name,
		      int (*fn)(const struct walk_env *, const struct path *, const char *))
{
	struct fs_at at UNINITIALIZED;
	int err = fs_at_begin(t, &at, dirfd, name, false);

	if (err < 0)
		return err;
	err = fn(&at.env, at.base, at.name);
	fs_at_end(&at);
	return err;
}

long sys_unlink(struct task *t, const struct sysargs *a)
{
	return remove_at(t, AT_FDCWD, UADDR(a->v[0]), vfs_unlink);
}

long sys_rmdir(struct task *t, const struct sysargs *a)
{
	return remove_at(t, AT_FDCWD, UADDR(a->v[0]), vfs_rmdir);
}

long sys_unlinkat(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[2];

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return remove_at(t, (int)a->v[0], UADDR(a->v[1]),
			 flags & AT_REMOVEDIR ? vfs_rmdir : vfs_unlink);
}

/* --- reading links --------------------------------------------------------------------------- */

static long read_link(struct task *t, int dirfd, uaddr name, uaddr to, int size)
{
	struct fs_at at UNINITIALIZED;
	struct path path;
	ssize_t n;
	int err;

	if (size <= 0)
		return -EINVAL;
	err = fs_at_begin(t, &at, dirfd, name, dirfd != AT_FDCWD);
	if (err < 0)
		return err;
	err = path_walk(&at.env, at.base, at.name, at.name[0] ? 0 : WALK_EMPTY_PATH, &path);
	if (err == 0) {
		bool empty = !at.name[0];

		n = vfs_readlink(&at.env, &path, at.name, min((size_t)size, sizeof(at.name)));
		if (n == -EINVAL && empty)
			n = -ENOENT;
		path_put(&path);
		err = (int)n;
	}
	fs_at_end(&at);
	if (err > 0 && copyout_late(t, to, at.name, (size_t)err) < 0)
		return -EFAULT;
	return err;
}

long sys_readlink(struct task *t, const struct sysargs *a)
{
	return read_link(t, AT_FDCWD, UADDR(a->v[0]), UADDR(a->v[1]), (int)a->v[2]);
}

long sys_readlinkat(struct task *t, const struct sysargs *a)
{
	return read_link(t, (int)a->v[0], UADDR(a->v[1]), UADDR(a->v[2]), (int)a->v[3]);
}
