/* Making and removing names. See namei.h for the contracts, rename.c for renaming. */
#include "sentry/fs/namei.h"

#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei_internal.h"
#include "sentry/fs/protected.h"
#include "sentry/fs/walk.h"

#define MAX_LINKS 65000 /* hard links of one inode */

/* References move along: the old place's are dropped later by nobody, so they are counted over
 * one by one here, where neither can reach zero (the tree holds mounts, we hold the path). */
void path_descend_owned_locked(struct path *p)
{
	struct path to = *p;

	mount_descend_locked(&to);
	if (path_equal(&to, p))
		return;
	path_get(&to);
	/* The caller of create_at still holds the old dentry, and its walk the old mount. */
	atomic_fetch_sub(&p->dentry->count, 1);
	(void)!ref_put(&p->mnt->ref);
	*p = to;
}

void new_inode_owner(const struct inode *dir, const struct cred *cred, struct new_inode *new)
{
	new->uid = cred->fsuid;
	new->gid = cred->fsgid;
	if (!(dir->mode & S_ISGID))
		return;
	new->gid = dir->gid;
	if (S_ISDIR(new->mode))
		new->mode |= S_ISGID;
	else if ((new->mode &(S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 !cred_in_group(cred, dir->gid) &&
		 !cred_capable_over(cred, dir->uid, dir->gid, CAP_FSETID))
		new->mode &= ~(uint32_t)S_ISGID;
}

int may_create(struct inode *dir, const struct cred *cred)
{
	const struct user_ns *u = dir->sb->user_ns;

	if (!user_ns_has(u, ID_UID, cred->fsuid) || !user_ns_has(u, ID_GID, cred->fsgid))
		return -EOVERFLOW;
	if (atomic_load(&dir->dead))
		return -ENOENT;
	return inode_permission(dir, cred, 3);
}

static bool sticky_forbids(const struct inode *dir, const struct inode *victim,
			   const struct cred *cred)
{
	return (dir->mode & S_ISVTX) && cred->fsuid != victim->uid && cred->fsuid != dir->uid &&
	       !cred_capable_over(cred, victim->uid, victim->gid, CAP_FOWNER);
}

int may_delete(struct inode *dir, const struct dentry *victim, const struct cred *cred, bool is_dir)
{
	int err;

	if (!victim->inode)
		return -ENOENT;
	err = inode_permission(dir, cred, 3);
	if (err < 0)
		return err;
	if (sticky_forbids(dir, victim->inode, cred))
		return -EPERM;
	if (is_dir && !S_ISDIR(victim->inode->mode))
		return -ENOTDIR;
	if (!is_dir && S_ISDIR(victim->inode->mode))
		return -EISDIR;
	return atomic_load(&dir->dead) ? -ENOENT : 0;
}

/* The name is absent and the directory locked. */
static int create_locked(const struct path *dir, const struct cred *cred, struct new_inode *new,
			 struct dentry *d)
{
	struct inode *parent = path_inode(dir), *inode;
	int err = mount_want_write(dir->mnt);

	if (err == 0)
		err = may_create(parent, cred);
	if (err == 0 && !parent->ops->create)
		err = -EPERM;
	if (err < 0)
		return err;
	new_inode_owner(parent, cred, new);
	err = parent->ops->create(parent, d->name, d->len, new, &inode);
	if (err < 0)
		return err;
	dentry_instantiate(d, inode);
	inode_put(inode);
	return 0;
}

int create_at(const struct path *dir, const struct cred *cred, const struct last_component *last,
	      struct new_inode *new, bool find_existing, struct dentry **out, bool *created)
{
	struct inode *parent = path_inode(dir);
	struct dentry *d;
	int err;

	mutex_lock(&parent->dir_lock);
	err = dentry_lookup_locked(dir->dentry, last->name, last->len, &d);
	if (err < 0) {
		mutex_unlock(&parent->dir_lock);
		return err;
	}
	*created = !d->inode;
	if (d->inode)
		err = find_existing ? 0 : -EEXIST;
	else if (last->trailing_slash && !S_ISDIR(new->mode))
		err = -ENOENT;
	else
		err = create_locked(dir, cred, new, d);
	mutex_unlock(&parent->dir_lock);
	if (err < 0) {
		dentry_put(d);
		return err;
	}
	if (*created)
		notify_inode(parent, IN_CREATE | (S_ISDIR(new->mode) ? IN_ISDIR : 0), 0, d->name,
			     d->len);
	*out = d;
	return 0;
}

static int check_new(const struct new_inode *new, const struct cred *cred)
{
	if (S_ISBLK(new->mode) || (S_ISCHR(new->mode) && new->rdev != 0))
		return cred_capable(cred, CAP_MKNOD) ? 0 : -EPERM;
	return 0;
}

int vfs_create(const struct walk_env *env, const struct path *base, const char *name,
	       const struct new_inode *new, struct path *out)
{
	struct new_inode owned = *new;
	struct last_component last;
	struct dentry *d;
	struct path dir;
	bool created;
	int err = path_walk_parent(env, base, name, 0, &dir, &last);

	if (err < 0)
		return err;
	if (last.len == 0 || last_is_dots(&last))
		err = -EEXIST;
	if (err == 0)
		err = check_new(new, env->cred);
	if (err == 0)
		err = create_at(&dir, env->cred, &last, &owned, false, &d, &created);
	if (err == 0 && out)
		*out = (struct path){mount_get(dir.mnt), d};
	else if (err == 0)
		dentry_put(d);
	path_put(&dir);
	return err;
}

static int link_locked(const struct path *dir, const struct cred *cred, struct inode *target,
		       struct dentry *d)
{
	struct inode *parent = path_inode(dir);
	int err = mount_want_write(dir->mnt);

	if (err == 0)
		err = may_create(parent, cred);
	if (err < 0)
		return err;
	if (S_ISDIR(target->mode) || !parent->ops->link)
		return -EPERM;
	if (target->nlink == 0 && !target->linkable)
		return -ENOENT;
	if (target->nlink >= MAX_LINKS)
		return -EMLINK;
	err = parent->ops->link(parent, d->name, d->len, target);
	if (err < 0)
		return err;
	target->linkable = false;
	dentry_instantiate(d, target);
	return 0;
}

static int link_at(const struct path *dir, const struct last_component *last,
		   const struct path *target, const struct cred *cred)
{
	struct inode *parent = path_inode(dir), *inode = path_inode(target);
	struct dentry *d;
	int err;

	mutex_lock(&parent->dir_lock);
	err = dentry_lookup_locked(dir->dentry, last->name, last->len, &d);
	if (err < 0) {
		mutex_unlock(&parent->dir_lock);
		return err;
	}
	if (d->inode)
		err = -EEXIST;
	else if (last->trailing_slash)
		err = -ENOENT;
	/* In proc the lookup of an absent name fails, whatever it is for. */
	else if ((parent->sb->flags & SB_NO_CACHE) && !parent->ops->link)
		err = -ENOENT;
	else if (dir->mnt != target->mnt)
		err = -EXDEV;
	else
		err = protected_link(inode, cred);
	if (err == 0)
		err = link_locked(dir, cred, inode, d);
	mutex_unlock(&parent->dir_lock);
	if (err == 0) {
		notify_inode(inode, IN_ATTRIB, 0, NULL, 0);
		notify_inode(parent, IN_CREATE, 0, d->name, d->len);
	}
	dentry_put(d);
	return err;
}

int vfs_link(const struct walk_env *env, const struct path *target, const struct path *base,
	     const char *name)
{
	struct last_component last;
	struct path dir;
	int err = path_walk_parent(env, base, name, 0, &dir, &last);

	if (err < 0)
		return err;
	if (last.len == 0 || last_is_dots(&last))
		err = -EEXIST;
	else
		err = link_at(&dir, &last, target, env->cred);
	path_put(&dir);
	return err;
}

static int remove_locked(struct inode *parent, struct dentry *d, bool is_dir)
{
	struct inode *victim = d->inode;
	int err;

	if (d->mounted)
		return -EBUSY;
	if (is_dir)
		err = parent->ops->rmdir ? parent->ops->rmdir(parent, d->name, d->len, victim)
					 : -EPERM;
	else
		err = parent->ops->unlink ? parent->ops->unlink(parent, d->name, d->len, victim)
					  : -EPERM;
	if (err < 0)
		return err;
	if (is_dir)
		atomic_store(&victim->dead, true);
	return 0;
}

/* The order of events as in Linux: the link count changes, the inode goes (if nobody uses it;
 * dentry_delete reports that), the name is gone. */
static void name_gone(struct inode *parent, struct dentry *d, const struct last_component *last,
		      bool is_dir)
{
	if (!is_dir)
		notify_inode(d->inode, IN_ATTRIB, 0, NULL, 0);
	dentry_delete(d);
	notify_inode(parent, IN_DELETE | (is_dir ? IN_ISDIR : 0), 0, last->name, last->len);
}

static int remove_at(const struct path *dir, const struct last_component *last,
		     const struct cred *cred, bool is_dir)
{
	struct inode *parent = path_inode(dir);
	struct dentry *d;
	int err;

	mutex_lock(&parent->dir_lock);
	err = dentry_lookup_locked(dir->dentry, last->name, last->len, &d);
	if (err < 0) {
		mutex_unlock(&parent->dir_lock);
		return err;
	}
	if (!d->inode)
		err = -ENOENT;
	else if (!is_dir && last->trailing_slash)
		err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
	if (err == 0)
		err = mount_want_write(dir->mnt);
	if (err == 0)
		err = may_delete(parent, d, cred, is_dir);
	if (err == 0)
		err = remove_locked(parent, d, is_dir);
	if (err == 0)
		name_gone(parent, d, last, is_dir);
	mutex_unlock(&parent->dir_lock);
	dentry_put(d);
	return err;
}

int vfs_unlink(const struct walk_env *env, const struct path *base, const char *name)
{
	struct last_component last;
	struct path dir;
	int err = path_walk_parent(env, base, name, 0, &dir, &last);

	if (err < 0)
		return err;
	if (last.len == 0 || last_is_dots(&last))
		err = -EISDIR;
	else
		err = remove_at(&dir, &last, env->cred, false);
	path_put(&dir);
	return err;
}

int vfs_rmdir(const struct walk_env *env, const struct path *base, const char *name)
{
	struct last_component last;
	struct path dir;
	int err = path_walk_parent(env, base, name, 0, &dir, &last);

	if (err < 0)
		return err;
	if (last.len == 0)
		err = -EBUSY;
	else if (last_is_dots(&last))
		err = last.len == 1 ? -EINVAL : -ENOTEMPTY;
	else
		err = remove_at(&dir, &last, env->cred, true);
	path_put(&dir);
	return err;
}
