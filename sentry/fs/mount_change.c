/* What mount(2), umount2(2) and pivot_root(2) do to the tree. */
#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/mount_internal.h"
#include "sentry/fs/walk.h"

#define ATIME_FLAGS (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
#define MAX_DEPTH 200 /* of mounts upon mounts; Linux has no limit */

static bool is_mount_root(const struct path *p)
{
	return p->dentry == p->mnt->root;
}

static bool is_dir(const struct dentry *d)
{
	return S_ISDIR(d->inode->mode);
}

static unsigned int depth_of(const struct mount *m)
{
	unsigned int depth = 0;

	for (; m; m = m->parent)
		depth++;
	return depth;
}

/* May a tree rooted in `root` lie on `at`, in ns? */
static int check_place(struct mount_ns *ns, const struct path *at, const struct dentry *root)
{
	if (at->mnt->ns != ns)
		return -EINVAL;
	if (at->dentry->flags & DENTRY_DELETED)
		return -ENOENT;
	if (is_dir(root) != is_dir(at->dentry))
		return -ENOTDIR;
	/* Trees of mounts are copied by recursion. */
	return depth_of(at->mnt) < MAX_DEPTH ? 0 : -ENOSPC;
}

/* Takes the reference on m, the root of a detached tree. */
static int attach_locked(struct mount_ns *ns, struct mount *m, const struct path *at,
			 struct list *gone)
{
	int err = check_place(ns, at, m->root);

	if (err == 0 && ns->count + mount_tree_count(m) > MAX_MOUNTS)
		err = -ENOSPC;
	if (err == 0)
		err = propagation_attach_locked(m, at->mnt, at->dentry, gone);
	if (err < 0) {
		mount_umount_tree_locked(m, gone);
		return err;
	}
	mount_link_locked(m, at->mnt, at->dentry);
	mount_set_ns_locked(m, ns);
	return 0;
}

static int finish(int err, struct list *gone)
{
	mutex_unlock(&mount_lock);
	mount_put_list(gone);
	return err;
}

int mount_attach(struct mount_ns *ns, const struct path *at, struct superblock *sb,
		 unsigned long flags)
{
	struct list gone = LIST_INIT(gone);
	struct mount *m = mount_new(sb, sb->root, flags);

	mutex_lock(&mount_lock);
	/* The same superblock twice on one place. */
	if (at->mnt->sb == sb && is_mount_root(at)) {
		list_add(&gone, &m->all);
		return finish(-EBUSY, &gone);
	}
	return finish(attach_locked(ns, m, at, &gone), &gone);
}

/* Would a copy of this mount alone show what a locked one hides? */
static bool has_locked_below(const struct path *from)
{
	struct mount *child;

	list_for_each (child, &from->mnt->children, sibling)
		if (child->locked && dentry_is_ancestor(from->dentry, child->mountpoint))
			return true;
	return false;
}

int mount_bind(struct mount_ns *ns, const struct path *from, const struct path *at, bool recursive)
{
	struct list gone = LIST_INIT(gone);

	mutex_lock(&mount_lock);
	if ((from->mnt->propagation & MS_UNBINDABLE) || (from->mnt->ns != ns && !from->mnt->loose))
		return finish(-EINVAL, &gone);
	if (is_dir(from->dentry) != is_dir(at->dentry))
		return finish(-ENOTDIR, &gone);
	if (!recursive && has_locked_below(from))
		return finish(-EINVAL, &gone);
	return finish(attach_locked(ns, mount_copy_tree_locked(from->mnt, from->dentry, recursive),
				    at, &gone),
		      &gone);
}

static bool is_below(struct mount *m, const struct mount *top)
{
	for (; m; m = m->parent)
		if (m == top)
			return true;
	return false;
}

static int move_locked(struct mount_ns *ns, const struct path *from, const struct path *at,
		       struct list *gone)
{
	struct mount *m = from->mnt;
	int err;

	if (m->ns != ns || !is_mount_root(from) || !m->parent || m->locked)
		return -EINVAL;
	if (m->parent->propagation & MS_SHARED)
		return -EINVAL;
	if (is_below(at->mnt, m))
		return -ELOOP;
	err = check_place(ns, at, m->root);
	if (err == 0)
		err = propagation_attach_locked(m, at->mnt, at->dentry, gone);
	if (err < 0)
		return err;
	mount_unlink_locked(m);
	mount_link_locked(m, at->mnt, at->dentry);
	mount_ns_changed(ns);
	return 0;
}

int mount_move(struct mount_ns *ns, const struct path *from, const struct path *at)
{
	struct list gone = LIST_INIT(gone);

	mutex_lock(&mount_lock);
	return finish(move_locked(ns, from, at, &gone), &gone);
}

int mount_remount(struct mount_ns *ns, const struct path *at, unsigned long flags)
{
	struct list gone = LIST_INIT(gone);
	struct mount *m = at->mnt;

	mutex_lock(&mount_lock);
	if (m->ns != ns || !is_mount_root(at))
		return finish(-EINVAL, &gone);
	if (!(flags & ATIME_FLAGS))
		flags |= m->flags & ATIME_FLAGS;
	if ((m->locked_flags & ~flags) ||
	    (m->locked_atime && ((flags ^ m->flags) & ATIME_FLAGS & ~MS_RELATIME)))
		return finish(-EPERM, &gone);
	if ((flags & MS_RDONLY) && !(m->flags & MS_RDONLY) && atomic_load(&m->writers) > 0)
		return finish(-EBUSY, &gone);
	atomic_store(&m->flags, flags & MOUNT_FLAGS);
	mount_ns_changed(ns);
	return finish(0, &gone);
}

int mount_reconfigure(struct mount_ns *ns, const struct path *at, unsigned long flags,
		      const char *data)
{
	struct superblock *sb = at->mnt->sb;
	int err = mount_remount(ns, at, flags);

	if (err == 0 && sb->ops && sb->ops->remount)
		err = sb->ops->remount(sb, data);
	if (err < 0)
		return err;
	if (flags & MS_RDONLY)
		__atomic_fetch_or(&sb->flags, SB_RDONLY, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&sb->flags, ~(uint32_t)SB_RDONLY, __ATOMIC_RELAXED);
	return 0;
}

int mount_propagation(struct mount_ns *ns, const struct path *at, unsigned long flags,
		      bool recursive)
{
	unsigned long type = flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);
	struct list gone = LIST_INIT(gone);

	if (!type || (type & (type - 1)))
		return -EINVAL;
	mutex_lock(&mount_lock);
	if (at->mnt->ns != ns || !is_mount_root(at))
		return finish(-EINVAL, &gone);
	for (struct mount *m = at->mnt; m; m = recursive ? mount_next_in_tree(m, at->mnt) : NULL)
		propagation_set_locked(m, type);
	return finish(0, &gone);
}

/* `at` itself is one of the references that a mount not in use has; the tree's is the other. */
static bool is_busy(const struct mount *m)
{
	return !list_empty(&m->children) || ref_read(&m->ref) > 2;
}

static int umount_locked(struct mount_ns *ns, const struct path *at, int flags, struct list *gone)
{
	struct mount *m = at->mnt;

	if (m->ns != ns || !is_mount_root(at) || !m->parent || m->locked)
		return -EINVAL;
	if (flags & MNT_EXPIRE) {
		if (is_busy(m))
			return -EBUSY;
		if (!m->expiry_mark) {
			m->expiry_mark = true;
			return -EAGAIN;
		}
	}
	if (!(flags & MNT_DETACH) && (is_busy(m) || propagation_busy_locked(m)))
		return -EBUSY;
	propagation_umount_locked(m, gone);
	mount_umount_tree_locked(m, gone);
	return 0;
}

int mount_umount(struct mount_ns *ns, const struct path *at, int flags)
{
	struct list gone = LIST_INIT(gone);

	if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
		return -EINVAL;
	mutex_lock(&mount_lock);
	return finish(umount_locked(ns, at, flags, &gone), &gone);
}

/* Is `p` at or below `top`? */
static bool path_is_below(const struct path *p, const struct path *top)
{
	const struct dentry *d = p->dentry;
	struct mount *m = p->mnt;

	while (m != top->mnt) {
		if (!m->parent)
			return false;
		d = m->mountpoint;
		m = m->parent;
	}
	return dentry_is_ancestor(top->dentry, d);
}

/*
 * The new root takes the place of the namespace's root mount (or of the caller's root, if that
 * is a mount of its own), which moves to put_old. Callers move the tasks' roots.
 */
static int pivot_locked(struct mount_ns *ns, const struct path *root, const struct path *new_root,
			const struct path *put_old)
{
	struct mount *new_mnt = new_root->mnt, *old_mnt = root->mnt, *top = old_mnt->parent;
	struct dentry *top_place = top ? dentry_get(old_mnt->mountpoint) : NULL;

	if (top)
		mount_get(top);
	mount_unlink_locked(new_mnt);
	new_mnt->locked = old_mnt->locked;
	old_mnt->locked = false;
	if (top)
		mount_unlink_locked(old_mnt);
	mount_link_locked(old_mnt, put_old->mnt, put_old->dentry);
	if (top) {
		mount_link_locked(new_mnt, top, top_place);
		dentry_put(top_place);
		mount_put(top);
	} else {
		ns->root = new_mnt;
	}
	mount_ns_changed(ns);
	return 0;
}

static int check_pivot(struct mount_ns *ns, const struct path *root, const struct path *new_root,
		       const struct path *put_old)
{
	if (new_root->mnt->ns != ns || root->mnt->ns != ns || put_old->mnt->ns != ns)
		return -EINVAL;
	if (!is_dir(new_root->dentry) || !is_dir(put_old->dentry))
		return -ENOTDIR;
	if (new_root->mnt == root->mnt || put_old->mnt == root->mnt)
		return -EBUSY;
	if (!is_mount_root(root) || !is_mount_root(new_root) || !new_root->mnt->parent)
		return -EINVAL;
	if (new_root->mnt->locked)
		return -EINVAL;
	if ((new_root->mnt->propagation | new_root->mnt->parent->propagation) & MS_SHARED)
		return -EINVAL;
	if (root->mnt->parent && (root->mnt->parent->propagation & MS_SHARED))
		return -EINVAL;
	if (!path_is_below(put_old, new_root) || !path_is_below(new_root, root))
		return -EINVAL;
	return 0;
}

int mount_pivot_root(struct mount_ns *ns, const struct path *root, const struct path *new_root,
		     const struct path *put_old)
{
	struct list gone = LIST_INIT(gone);
	int err;

	mutex_lock(&mount_lock);
	err = check_pivot(ns, root, new_root, put_old);
	if (err == 0)
		err = pivot_locked(ns, root, new_root, put_old);
	return finish(err, &gone);
}
