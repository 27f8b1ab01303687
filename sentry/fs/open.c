/*
 * open(2), openat2(2), and the opening of programs for execve(2).
 *
 * Order of checks as in Linux: the walk; with O_CREAT the creation; then type,
 * permission, read-only mount, ETXTBSY; then the file system; then O_TRUNC.
 */
#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/namei_internal.h"
#include "sentry/fs/path_file.h"
#include "sentry/fs/protected.h"
#include "sentry/fs/walk.h"
#include "sentry/fs/parts.h"

#define TMPFILE_BIT (KO_TMPFILE & ~O_DIRECTORY)

static int access_mask(int flags)
{
	static const int masks[] = {[O_RDONLY] = 4, [O_WRONLY] = 2, [O_RDWR] = 6, [3] = 6};

	return masks[flags & O_ACCMODE] | (flags & O_TRUNC ? 2 : 0);
}

static bool is_special(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

static int check_type(const struct path *path, int flags, int mask)
{
	struct inode *inode = path_inode(path);

	switch (inode->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		return mask & 2 ? -EISDIR : 0;
	case S_IFCHR:
	case S_IFBLK:
		if (((path->mnt->flags & MS_NODEV) || path->mnt->sb->user_ns != &user_ns_first) &&
		    !inode->opens_itself)
			return -EACCES;
		break;
	}
	return (flags & O_DIRECTORY) ? -ENOTDIR : 0;
}

static int check_open(const struct path *path, const struct cred *cred, int flags, int mask)
{
	struct inode *inode = path_inode(path);
	int err = check_type(path, flags, mask);

	if (err == 0)
		err = inode_permission(inode, cred, mask);
	if (err == 0 && (mask & 2) && !is_special(inode->mode))
		err = mount_want_write(path->mnt);
	if (err == 0 && (flags & O_NOATIME) && cred->fsuid != inode->uid &&
	    !cred_capable_over(cred, inode->uid, inode->gid, CAP_FOWNER))
		err = -EPERM;
	return err;
}

static int open_device(struct inode *inode, const struct path *path, const struct cred *cred,
		       int flags, struct file **out)
{
	const struct device_ops *dev = device_find(S_ISBLK(inode->mode), inode->rdev);

	if (dev)
		return dev->open(inode, path, cred, flags, out);
	return inode->ops->open ? inode->ops->open(inode, path, cred, flags, out) : -ENXIO;
}

static int open_by_type(const struct path *path, const struct cred *cred, int flags,
			struct file **out)
{
	struct inode *inode = path_inode(path);

	if (inode->opens_itself)
		return inode->ops->open(inode, path, cred, flags, out);
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		return open_device(inode, path, cred, flags, out);
	if (S_ISFIFO(inode->mode))
		return fs_parts()->fifo_open(inode, path, cred, flags, out);
	if (S_ISSOCK(inode->mode) || !inode->ops->open)
		return -ENXIO;
	return inode->ops->open(inode, path, cred, flags, out);
}

/* Counts the writer while the file is opened, so that exec and remount see it. */
static int open_counted(const struct path *path, const struct cred *cred, int flags,
			struct file **out)
{
	struct inode *inode = path_inode(path);
	bool writes = (flags & O_ACCMODE) != O_RDONLY && S_ISREG(inode->mode);
	int err = writes ? inode_get_write(inode) : 0;

	if (err < 0)
		return err;
	err = open_by_type(path, cred, flags, out);
	if (!writes)
		return err;
	if (err < 0) {
		inode_put_write(inode);
		return err;
	}
	(*out)->counts_writer = true;
	atomic_fetch_add(&path->mnt->writers, 1);
	return 0;
}

static int truncate_opened(const struct path *path, const struct cred *cred, struct file **out)
{
	struct iattr attr = {.valid = IATTR_SIZE, .file = *out};
	int err;

	if (!S_ISREG(path_inode(path)->mode))
		return 0;
	if (!file_writable(*out)) {
		/* O_RDONLY|O_TRUNC truncates; the write count is taken only for that. */
		err = inode_get_write(path_inode(path));
		if (err == 0) {
			err = inode_setattr(path_inode(path), cred, &attr);
			inode_put_write(path_inode(path));
		}
	} else {
		err = inode_setattr(path_inode(path), cred, &attr);
	}
	if (err < 0) {
		file_put(*out);
		*out = NULL;
		return err;
	}
	notify_dentry(path->dentry, IN_MODIFY);
	return 0;
}

/* `created`: the file is new, so the caller may do with it what it asked for. */
static int open_place(const struct path *path, const struct cred *cred, int flags, bool created,
		      struct file **out)
{
	int err;

	if (flags & O_PATH) {
		if ((flags & O_DIRECTORY) && !S_ISDIR(path_inode(path)->mode))
			return -ENOTDIR;
		*out = path_file_new(path, cred, flags);
		return 0;
	}
	err = created ? 0 : check_open(path, cred, flags, access_mask(flags));
	if (err == 0)
		/* O_NOCTTY is for ttys; file_init drops it. */
		err = open_counted(path, cred, flags & (FILE_KEEP_FLAGS | O_NOCTTY), out);
	if (err == 0 && (flags & O_TRUNC) && !created)
		err = truncate_opened(path, cred, out);
	if (err == 0)
		vfs_notify(*out, IN_OPEN);
	return err;
}

static int open_tmpfile(const struct walk_env *env, const struct path *base, const char *name,
			int flags, uint32_t mode, unsigned int walk_flags, struct file **out)
{
	struct new_inode new = {.mode = S_IFREG | (mode & 07777)};
	struct path dir, path;
	struct inode *inode;
	int err = path_walk(env, base, name, walk_flags | WALK_FOLLOW | WALK_DIRECTORY, &dir);

	if (err < 0)
		return err;
	if (!path_inode(&dir)->ops->tmpfile)
		err = -EOPNOTSUPP;
	if (err == 0)
		err = mount_want_write(dir.mnt);
	if (err == 0)
		err = inode_permission(path_inode(&dir), env->cred, 3);
	if (err == 0) {
		new_inode_owner(path_inode(&dir), env->cred, &new);
		err = path_inode(&dir)->ops->tmpfile(path_inode(&dir), &new, &inode);
	}
	if (err == 0) {
		inode->linkable = !(flags & O_EXCL);
		path = (struct path){dir.mnt, dentry_new_nameless(dir.dentry, inode)};
		inode_put(inode);
		err = open_place(&path, env->cred, flags & ~(O_DIRECTORY | O_TRUNC), true, out);
		dentry_put(path.dentry);
	}
	path_put(&dir);
	return err;
}

/* An object that was there already, or what is mounted on it. */
static int check_found(const struct walk *w, const struct path *found)
{
	if ((w->flags & WALK_NO_XDEV) && found->mnt != w->cur.mnt)
		return -EXDEV;
	if (S_ISDIR(path_inode(found)->mode))
		return -EISDIR;
	return protected_create(path_inode(&w->cur), path_inode(found), w->env->cred);
}

/* One round of an open with O_CREAT: the walk stands at the last component's directory.
 * *again: the name was a link, which is now being walked. */
static int create_or_find(struct walk *w, int flags, uint32_t mode, struct path *path,
			  bool *created, bool *again)
{
	struct new_inode new = {.mode = S_IFREG | (mode & 07777)};
	struct dentry *d;
	int err;

	if (w->last.len == 0 || last_is_dots(&w->last)) {
		err = w->last.len ? walk_dots(w) : 0;
		return err < 0 ? err : flags & O_EXCL ? -EEXIST : -EISDIR;
	}
	if (w->last.trailing_slash)
		return -EISDIR;
	err = create_at(&w->cur, w->env->cred, &w->last, &new, true, &d, created);
	if (err < 0)
		return err;
	if (!*created && (flags & O_EXCL))
		err = -EEXIST;
	else if (!*created && S_ISLNK(d->inode->mode) && !(flags & O_NOFOLLOW)) {
		err = walk_follow(w, d);
		*again = err == 0 && !w->ended_at_link_target;
		if (err == 0 && w->ended_at_link_target) {
			*path = w->cur;
			path_get(path);
		}
	} else {
		*path = (struct path){mount_get(w->cur.mnt), dentry_get(d)};
		mutex_lock(&dcache_lock);
		path_descend_owned_locked(path);
		mutex_unlock(&dcache_lock);
		if (!*created)
			err = check_found(w, path);
		if (err < 0)
			path_put(path);
	}
	dentry_put(d);
	return err;
}

static int open_create(const struct walk_env *env, const struct path *base, const char *name,
		       int flags, uint32_t mode, unsigned int walk_flags, struct file **out)
{
	bool created = false, again = true;
	struct path path;
	struct walk w;
	int err = walk_begin(&w, env, base, name, walk_flags);

	while (err == 0 && again) {
		again = false;
		err = walk_to_last(&w);
		if (err == 0)
			err = create_or_find(&w, flags, mode, &path, &created, &again);
	}
	walk_end(&w);
	if (err < 0)
		return err;
	if (!created && S_ISDIR(path_inode(&path)->mode))
		err = -EISDIR;
	if (err == 0)
		err = open_place(&path, env->cred, flags, created, out);
	path_put(&path);
	return err;
}

int vfs_open(const struct walk_env *env, const struct path *base, const char *name, int flags,
	     uint32_t mode, unsigned int walk_flags, struct file **out)
{
	struct path path;
	int err;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (flags & TMPFILE_BIT) {
		if ((flags & KO_TMPFILE) != KO_TMPFILE || (flags & O_CREAT) ||
		    (flags & O_ACCMODE) == O_RDONLY)
			return -EINVAL;
		return open_tmpfile(env, base, name, flags & ~TMPFILE_BIT, mode, walk_flags, out);
	}
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	if (flags & O_CREAT)
		return open_create(env, base, name, flags, mode, walk_flags, out);
	if (!(flags & O_NOFOLLOW))
		walk_flags |= WALK_FOLLOW;
	if (flags & O_DIRECTORY)
		walk_flags |= WALK_DIRECTORY;
	err = path_walk(env, base, name, walk_flags, &path);
	if (err < 0)
		return err;
	err = open_place(&path, env->cred, flags, false, out);
	path_put(&path);
	return err;
}

int vfs_open_exec(const struct walk_env *env, const struct path *base, const char *name,
		  unsigned int walk_flags, struct file **out)
{
	struct path path;
	int err = path_walk(env, base, name, walk_flags, &path);

	if (err < 0)
		return err;
	if (S_ISLNK(path_inode(&path)->mode))
		err = -ELOOP;
	else if (!S_ISREG(path_inode(&path)->mode) || (path.mnt->flags & MS_NOEXEC))
		err = -EACCES;
	if (err == 0)
		err = inode_permission(path_inode(&path), env->cred, 1);
	if (err == 0)
		err = open_by_type(&path, env->cred, O_RDONLY | KO_LARGEFILE, out);
	if (err == 0)
		vfs_notify(*out, IN_OPEN);
	path_put(&path);
	return err;
}
