/* rename(2), renameat2(2). */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/namei_internal.h"

struct rename {
	struct path old_dir, new_dir;
	struct last_component old_last, new_last;
	struct dentry *from, *to; /* owned; to may be negative */
	const struct cred *cred;
	unsigned int flags;
};

static int check_names(const struct rename *r)
{
	bool from_dir = S_ISDIR(r->from->inode->mode);

	if (r->to->inode && (r->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if ((r->flags & RENAME_EXCHANGE) && !r->to->inode)
		return -ENOENT;
	if ((r->flags & RENAME_EXCHANGE) && !S_ISDIR(r->to->inode->mode) &&
	    r->new_last.trailing_slash)
		return -ENOTDIR;
	if (!from_dir && (r->old_last.trailing_slash ||
			  (!(r->flags & RENAME_EXCHANGE) && r->new_last.trailing_slash)))
		return -ENOTDIR;
	if (dentry_is_ancestor(r->from, r->new_dir.dentry))
		return -EINVAL;
	if (r->to->inode && dentry_is_ancestor(r->to, r->old_dir.dentry))
		return r->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_rights(const struct rename *r)
{
	struct inode *old_dir = path_inode(&r->old_dir), *new_dir = path_inode(&r->new_dir);
	bool from_dir = S_ISDIR(r->from->inode->mode);
	bool to_dir = r->to->inode && S_ISDIR(r->to->inode->mode);
	int err = may_delete(old_dir, r->from, r->cred, from_dir);

	if (err == 0)
		err = !r->to->inode ? may_create(new_dir, r->cred)
				    : may_delete(new_dir, r->to, r->cred,
						 r->flags & RENAME_EXCHANGE ? to_dir : from_dir);
	/* A directory's ".." is written when it gets another parent. */
	if (err == 0 && old_dir != new_dir && from_dir)
		err = inode_permission(r->from->inode, r->cred, 2);
	if (err == 0 && old_dir != new_dir && to_dir && (r->flags & RENAME_EXCHANGE))
		err = inode_permission(r->to->inode, r->cred, 2);
	if (err == 0 && (r->from->mounted || r->to->mounted))
		err = -EBUSY;
	return err;
}

static void notify_renamed(const struct rename *r, struct inode *moved, struct inode *replaced)
{
	uint32_t cookie = inotify_cookie();
	uint32_t dir = S_ISDIR(moved->mode) ? IN_ISDIR : 0;

	notify_inode(path_inode(&r->old_dir), IN_MOVED_FROM | dir, cookie, r->old_last.name,
		     r->old_last.len);
	notify_inode(path_inode(&r->new_dir), IN_MOVED_TO | dir, cookie, r->new_last.name,
		     r->new_last.len);
	if (replaced)
		notify_inode(replaced, IN_ATTRIB, 0, NULL, 0);
	notify_inode(moved, IN_MOVE_SELF, 0, NULL, 0);
}

static void notify_exchanged(const struct rename *r, struct inode *from, struct inode *to)
{
	struct rename back = {.old_dir = r->new_dir,
			      .new_dir = r->old_dir,
			      .old_last = r->new_last,
			      .new_last = r->old_last};

	notify_renamed(r, from, NULL);
	notify_renamed(&back, to, NULL);
}

static int do_rename(struct rename *r)
{
	struct inode *old_dir = path_inode(&r->old_dir), *new_dir = path_inode(&r->new_dir);
	int err;

	if (r->from->inode == r->to->inode)
		return 1; /* two names of one file: nothing to do */
	err = check_rights(r);
	if (err < 0)
		return err;
	if (!old_dir->ops->rename)
		return -EPERM;
	err = old_dir->ops->rename(old_dir, r->from->name, r->from->len, new_dir, r->to->name,
				   r->to->len, r->from->inode, r->to->inode, r->flags);
	if (err < 0)
		return err;
	if (r->flags & RENAME_EXCHANGE) {
		dentry_exchange(r->from, r->to);
		return 0;
	}
	if (r->to->inode && S_ISDIR(r->to->inode->mode))
		atomic_store(&r->to->inode->dead, true);
	dentry_move(r->from, r->to);
	return 0;
}

/* Both directories are locked. */
static int rename_locked(struct rename *r)
{
	int err =
	    dentry_lookup_locked(r->old_dir.dentry, r->old_last.name, r->old_last.len, &r->from);

	if (err < 0)
		return err;
	err = dentry_lookup_locked(r->new_dir.dentry, r->new_last.name, r->new_last.len, &r->to);
	if (err < 0)
		return err;
	if (!r->from->inode)
		return -ENOENT;
	err = check_names(r);
	return err < 0 ? err : do_rename(r);
}

static int rename_at(struct rename *r)
{
	struct inode *old_dir = path_inode(&r->old_dir), *new_dir = path_inode(&r->new_dir);
	struct inode *moved = NULL, *replaced = NULL;
	struct mutex *tree = &old_dir->sb->rename_lock;
	int err;

	if (old_dir != new_dir)
		mutex_lock(tree);
	mutex_lock_pair(&old_dir->dir_lock, &new_dir->dir_lock);
	err = rename_locked(r);
	if (err == 0) {
		moved = inode_get(r->from->inode);
		replaced = r->to->inode ? inode_get(r->to->inode) : NULL;
	}
	mutex_unlock_pair(&old_dir->dir_lock, &new_dir->dir_lock);
	if (old_dir != new_dir)
		mutex_unlock(tree);
	if (err == 0 && (r->flags & RENAME_EXCHANGE))
		notify_exchanged(r, moved, replaced);
	else if (err == 0)
		notify_renamed(r, moved, replaced);
	if (r->from)
		dentry_put(r->from);
	if (r->to)
		dentry_put(r->to);
	if (moved)
		inode_put(moved);
	if (replaced)
		inode_put(replaced);
	return min(err, 0);
}

static int check_flags(unsigned int flags, const struct cred *cred)
{
	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	if ((flags & RENAME_WHITEOUT) && !cred_capable(cred, CAP_MKNOD))
		return -EPERM;
	return 0;
}

static bool not_a_name(const struct last_component *last)
{
	return last->len == 0 || last_is_dots(last);
}

static int check_places(const struct rename *r)
{
	if (r->old_dir.mnt != r->new_dir.mnt)
		return -EXDEV;
	if (not_a_name(&r->old_last))
		return -EBUSY;
	if (not_a_name(&r->new_last))
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	return mount_want_write(r->old_dir.mnt);
}

int vfs_rename(const struct walk_env *env, const struct path *old_base, const char *old_name,
	       const struct path *new_base, const char *new_name, unsigned int flags)
{
	struct rename r = {.cred = env->cred, .flags = flags};
	int err = check_flags(flags, env->cred);

	if (err == 0)
		err = path_walk_parent(env, old_base, old_name, 0, &r.old_dir, &r.old_last);
	if (err < 0)
		return err;
	err = path_walk_parent(env, new_base, new_name, 0, &r.new_dir, &r.new_last);
	if (err == 0)
		err = check_places(&r);
	if (err == 0)
		err = rename_at(&r);
	path_put(&r.old_dir);
	path_put(&r.new_dir);
	return err;
}
