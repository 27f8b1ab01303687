/* inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2). */
#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/inotify.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/fs_at.h"

static long make(struct task *t, int flags)
{
	struct file *f;
	int err;

	if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	err = inotify_new(t->cred, flags, &f);
	return err < 0 ? err : fd_new(t, f, flags & IN_CLOEXEC);
}

long sys_inotify_init(struct task *t, const struct sysargs *a)
{
	return make(t, 0);
}

long sys_inotify_init1(struct task *t, const struct sysargs *a)
{
	return make(t, (int)a->v[0]);
}

static long add_watch(struct task *t, struct file *f, uaddr name, uint32_t mask)
{
	struct path path;
	long r;

	if (!(mask & IN_ALL_EVENTS) && !(mask & (IN_MASK_ADD | IN_ONLYDIR)))
		return -EINVAL;
	r = fs_at_lookup(t, AT_FDCWD, name, mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &path);
	if (r < 0)
		return r;
	if ((mask & IN_ONLYDIR) && !S_ISDIR(path_inode(&path)->mode))
		r = -ENOTDIR;
	if (r == 0)
		r = inode_permission(path_inode(&path), t->cred, 4);
	if (r == 0)
		r = inotify_add(f, path_inode(&path), mask);
	path_put(&path);
	return r;
}

long sys_inotify_add_watch(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	long r;

	if (!f)
		return -EBADF;
	r = add_watch(t, f, UADDR(a->v[1]), (uint32_t)a->v[2]);
	file_put(f);
	return r;
}

long sys_inotify_rm_watch(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	long r;

	if (!f)
		return -EBADF;
	r = inotify_remove(f, (int)a->v[1]);
	file_put(f);
	return r;
}
