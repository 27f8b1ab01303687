#include "sentry/sys/fs_at.h"

#include <errno.h>

#include "sentry/kernel/usermem.h"

int file_path(struct file *f, struct path *out)
{
	if (!f->path.dentry)
		return anon_path(f->inode, out);
	*out = f->path;
	path_get(out);
	return 0;
}

int dirfd_path(struct task *t, int dirfd, struct path *out)
{
	struct file *f = fd_get(t->files, dirfd);
	int err;

	if (!f)
		return -EBADF;
	err = file_path(f, out);
	file_put(f);
	return err;
}

int fs_at_base(struct task *t, struct fs_at *at, int dirfd)
{
	int err = at->base || dirfd == AT_FDCWD ? 0 : dirfd_path(t, dirfd, &at->dir);

	if (err == 0 && at->dir.dentry)
		at->base = &at->dir;
	return err;
}

int fs_at_begin(struct task *t, struct fs_at *at, int dirfd, uaddr name, bool allow_empty)
{
	int err = copyin_path(t, at->name, name, allow_empty);

	if (err < 0)
		return err;
	at->base = NULL;
	at->dir = (struct path){NULL, NULL};
	err = at->name[0] != '/' ? fs_at_base(t, at, dirfd) : 0;
	if (err < 0)
		return err;
	task_walk_begin(t, &at->walk, &at->env);
	return 0;
}

void fs_at_end(struct fs_at *at)
{
	path_put(&at->dir);
	task_walk_end(&at->walk);
}

int fs_at_lookup(struct task *t, int dirfd, uaddr name, int flags, struct path *out)
{
	unsigned int walk = (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
			    (flags & AT_EMPTY_PATH ? WALK_EMPTY_PATH : 0);
	struct fs_at at UNINITIALIZED;
	int err = fs_at_begin(t, &at, dirfd, name, flags & AT_EMPTY_PATH);

	if (err < 0)
		return err;
	err = path_walk(&at.env, at.base, at.name, walk, out);
	fs_at_end(&at);
	return err;
}
