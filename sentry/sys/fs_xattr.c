/* setxattr(2), getxattr(2), listxattr(2), removexattr(2), by path, link and descriptor. */
#include <errno.h>
#include <sys/xattr.h>

#include "common/mem.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

#define XATTR_NAME_LEN 255
#define XATTR_VALUE_LEN 65536

/* What one call works on. */
struct target {
	struct path path;
	struct inode *inode; /* owned */
};

static int by_path(struct task *t, uaddr name, int flags, struct target *out)
{
	int err = fs_at_lookup(t, AT_FDCWD, name, flags, &out->path);

	if (err == 0)
		out->inode = inode_get(path_inode(&out->path));
	return err;
}

static int by_fd(struct task *t, int fd, struct target *out)
{
	struct file *f = fd_get_io(t->files, fd);

	if (!f)
		return -EBADF;
	out->path = f->path;
	path_get(&out->path);
	out->inode = inode_get(f->inode);
	file_put(f);
	return 0;
}

static void target_put(struct target *x)
{
	path_put(&x->path);
	inode_put(x->inode);
}

static int copyin_name(struct task *t, char name[XATTR_NAME_LEN + 1], uaddr from)
{
	ssize_t n = copyin_string(t, name, XATTR_NAME_LEN + 1, from);

	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

static long set(struct task *t, const struct target *x, const struct sysargs *a)
{
	size_t size = a->v[3];
	int flags = (int)a->v[4], err;
	char name[XATTR_NAME_LEN + 1];
	SCOPED_FREE void *value = NULL;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	err = copyin_name(t, name, UADDR(a->v[1]));
	if (err < 0)
		return err;
	if (size > XATTR_VALUE_LEN)
		return -E2BIG;
	value = try_calloc(1, size + 1);
	if (!value)
		return -ENOMEM;
	if (copyin(t, value, UADDR(a->v[2]), size) < 0)
		return -EFAULT;
	return vfs_setxattr(&x->path, x->inode, t->cred, name, value, size, flags);
}

static long get(struct task *t, const struct target *x, const struct sysargs *a)
{
	size_t size = min(a->v[3], (uint64_t)XATTR_VALUE_LEN);
	char name[XATTR_NAME_LEN + 1];
	SCOPED_FREE void *value = NULL;
	ssize_t n = copyin_name(t, name, UADDR(a->v[1]));

	if (n < 0)
		return n;
	value = try_calloc(1, size + 1);
	if (!value)
		return -ENOMEM;
	n = vfs_getxattr(x->inode, t->cred, name, value, size);
	if (n > 0 && size && copyout(t, UADDR(a->v[2]), value, (size_t)n) < 0)
		return -EFAULT;
	return n;
}

static long list(struct task *t, const struct target *x, const struct sysargs *a)
{
	size_t size = min(a->v[2], (uint64_t)XATTR_VALUE_LEN);
	SCOPED_FREE char *names = try_calloc(1, size + 1);
	ssize_t n;

	if (!names)
		return -ENOMEM;
	n = vfs_listxattr(x->inode, t->cred, names, size);
	if (n > 0 && size && copyout(t, UADDR(a->v[1]), names, (size_t)n) < 0)
		return -EFAULT;
	return n;
}

static long drop(struct task *t, const struct target *x, const struct sysargs *a)
{
	char name[XATTR_NAME_LEN + 1];
	int err = copyin_name(t, name, UADDR(a->v[1]));

	return err < 0 ? err : vfs_removexattr(&x->path, x->inode, t->cred, name);
}

typedef long xattr_fn(struct task *t, const struct target *x, const struct sysargs *a);

static long on_path(struct task *t, const struct sysargs *a, int flags, xattr_fn *fn)
{
	struct target x;
	long r = by_path(t, UADDR(a->v[0]), flags, &x);

	if (r < 0)
		return r;
	r = fn(t, &x, a);
	target_put(&x);
	return r;
}

static long on_fd(struct task *t, const struct sysargs *a, xattr_fn *fn)
{
	struct target x;
	long r = by_fd(t, (int)a->v[0], &x);

	if (r < 0)
		return r;
	r = fn(t, &x, a);
	target_put(&x);
	return r;
}

long sys_setxattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, 0, set);
}

long sys_lsetxattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, AT_SYMLINK_NOFOLLOW, set);
}

long sys_fsetxattr(struct task *t, const struct sysargs *a)
{
	return on_fd(t, a, set);
}

long sys_getxattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, 0, get);
}

long sys_lgetxattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, AT_SYMLINK_NOFOLLOW, get);
}

long sys_fgetxattr(struct task *t, const struct sysargs *a)
{
	return on_fd(t, a, get);
}

long sys_listxattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, 0, list);
}

long sys_llistxattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, AT_SYMLINK_NOFOLLOW, list);
}

long sys_flistxattr(struct task *t, const struct sysargs *a)
{
	return on_fd(t, a, list);
}

long sys_removexattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, 0, drop);
}

long sys_lremovexattr(struct task *t, const struct sysargs *a)
{
	return on_path(t, a, AT_SYMLINK_NOFOLLOW, drop);
}

long sys_fremovexattr(struct task *t, const struct sysargs *a)
{
	return on_fd(t, a, drop);
}
