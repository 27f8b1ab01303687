/* Attributes of inodes: who may change what, and what changes with it (inode(7), chown(2)). */
#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/dentry.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/namei_internal.h"

static int inode_getattr(struct inode *inode, struct kstat *st)
{
	if (inode->ops->getattr)
		return inode->ops->getattr(inode, st);
	inode_fill_stat(inode, st);
	return 0;
}

int vfs_getattr(const struct path *path, struct kstat *st)
{
	return inode_getattr(path_inode(path), st);
}

int vfs_fgetattr(struct file *f, struct kstat *st)
{
	return inode_getattr(f->inode, st);
}

static bool owner_or_capable(const struct inode *inode, const struct cred *cred)
{
	return cred->fsuid == inode->uid ||
	       cred_capable_over(cred, inode->uid, inode->gid, CAP_FOWNER);
}

static int check_owner_change(const struct inode *inode, const struct cred *cred,
			      const struct iattr *attr)
{
	if (cred_capable_over(cred, inode->uid, inode->gid, CAP_CHOWN))
		return 0;
	if ((attr->valid & IATTR_UID) && (cred->fsuid != inode->uid || attr->uid != inode->uid))
		return -EPERM;
	if ((attr->valid & IATTR_GID) &&
	    (cred->fsuid != inode->uid ||
	     (attr->gid != inode->gid && !cred_in_group(cred, attr->gid))))
		return -EPERM;
	return 0;
}

static int check_times(struct inode *inode, const struct cred *cred, const struct iattr *attr)
{
	bool explicit = attr->valid & (IATTR_ATIME | IATTR_MTIME);
	unsigned int both = IATTR_ATIME_NOW | IATTR_MTIME_NOW;

	if (!(attr->valid & (IATTR_ATIME | IATTR_MTIME | both)) || owner_or_capable(inode, cred))
		return 0;
	if (explicit || (attr->valid & both) != both)
		return -EPERM;
	return inode_permission(inode, cred, 2) < 0 ? -EACCES : 0;
}

/* full: with what the change implies. */
static int check_change(struct inode *inode, const struct cred *cred, const struct iattr *attr,
			const struct iattr *full)
{
	int err = check_owner_change(inode, cred, attr);

	/* Set-id bits that go are a change of the mode; but a truncation needs no right to it. */
	if (err == 0 && (full->valid & IATTR_MODE) && !(attr->valid & IATTR_SIZE) &&
	    !owner_or_capable(inode, cred))
		err = -EPERM;
	return err < 0 ? err : check_times(inode, cred, attr);
}

/* What set-id bits a change of owner or content leaves a file. */
static uint32_t without_setid(const struct inode *inode, const struct cred *cred)
{
	uint32_t mode = inode->mode & ~(uint32_t)S_ISUID;

	/* Without group execution it stands for mandatory locking. */
	if ((mode & S_IXGRP) || !(cred_in_group(cred, inode->gid) ||
				  cred_capable_over(cred, inode->uid, inode->gid, CAP_FSETID)))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

static bool changes_owner(const struct inode *inode, const struct iattr *attr)
{
	return (attr->valid & (IATTR_UID | IATTR_GID | IATTR_KILL_PRIVS)) && !S_ISDIR(inode->mode);
}

/* What the change implies. */
static void complete(const struct inode *inode, const struct cred *cred, struct iattr *attr)
{
	bool keeps_setid = cred_capable_over(cred, inode->uid, inode->gid, CAP_FSETID);

	if (attr->valid & IATTR_MODE) {
		uint32_t gid = attr->valid & IATTR_GID ? attr->gid : inode->gid;

		if (!keeps_setid && !cred_in_group(cred, gid))
			attr->mode &= ~(uint32_t)S_ISGID;
	} else if (changes_owner(inode, attr) || ((attr->valid & IATTR_SIZE) && !keeps_setid)) {
		attr->mode = without_setid(inode, cred);
		if (attr->mode != inode->mode)
			attr->valid |= IATTR_MODE;
	}
	/* A file system that drops capabilities by itself has to see a change of owner. */
	if ((attr->valid & IATTR_KILL_PRIVS) && !(attr->valid & (IATTR_UID | IATTR_GID))) {
		attr->uid = inode->uid;
		attr->valid |= IATTR_UID;
	}
	attr->valid &= ~IATTR_KILL_PRIVS;
}

#define CAPABILITY "security.capability"

/* Has the file capabilities that do not survive this change? */
static bool loses_capability(struct inode *inode, const struct iattr *attr)
{
	const struct xattr_ops *x = inode->ops->xattr;

	if (!changes_owner(inode, attr) && !(attr->valid & IATTR_SIZE))
		return false;
	return x && x->get && x->remove && !(inode->sb->flags & SB_DROPS_CAPABILITY) &&
	       x->get(inode, CAPABILITY, NULL, 0) >= 0;
}

int inode_setattr(struct inode *inode, const struct cred *cred, const struct iattr *attr)
{
	bool loses = loses_capability(inode, attr);
	struct iattr full = *attr;
	int err;

	if (!inode->ops->setattr)
		return -EPERM;
	SCOPED_LOCK(&inode->data_lock);
	complete(inode, cred, &full);
	err = check_change(inode, cred, attr, &full);
	if (err < 0)
		return err;
	if (loses)
		err = inode->ops->xattr->remove(inode, CAPABILITY);
	return err < 0 && err != -ENODATA ? err : inode->ops->setattr(inode, &full);
}

static uint32_t event_of(const struct iattr *attr)
{
	uint32_t event = 0;

	if (attr->valid & IATTR_SIZE)
		event |= IN_MODIFY;
	if (attr->valid & (IATTR_MODE | IATTR_UID | IATTR_GID))
		event |= IN_ATTRIB;
	if (attr->valid & (IATTR_ATIME | IATTR_ATIME_NOW | IATTR_MTIME | IATTR_MTIME_NOW))
		event |= IN_ATTRIB;
	return event;
}

static int setattr_at(const struct path *path, struct inode *inode, const struct cred *cred,
		      const struct iattr *attr)
{
	int err = path->mnt ? mount_want_write(path->mnt) : 0;

	if (err == 0)
		err = inode_setattr(inode, cred, attr);
	if (err == 0 && path->dentry)
		notify_dentry(path->dentry, event_of(attr));
	return err;
}

int vfs_setattr(const struct path *path, const struct cred *cred, const struct iattr *attr)
{
	return setattr_at(path, path_inode(path), cred, attr);
}

int vfs_fsetattr(struct file *f, const struct cred *cred, const struct iattr *attr)
{
	return setattr_at(&f->path, f->inode, cred, attr);
}

int vfs_truncate(const struct path *path, const struct cred *cred, off_t size)
{
	struct iattr attr = {.valid = IATTR_SIZE, .size = (uint64_t)size};
	struct inode *inode = path_inode(path);
	int err;

	if (size < 0)
		return -EINVAL;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -EINVAL;
	err = mount_want_write(path->mnt);
	if (err == 0)
		err = inode_permission(inode, cred, 2);
	if (err == 0)
		err = inode_get_write(inode);
	if (err < 0)
		return err;
	err = setattr_at(path, inode, cred, &attr);
	inode_put_write(inode);
	return err;
}

int vfs_ftruncate(struct file *f, const struct cred *cred, off_t size)
{
	struct iattr attr = {.valid = IATTR_SIZE, .size = (uint64_t)size, .file = f};

	if (size < 0 || !S_ISREG(f->inode->mode) || !file_writable(f))
		return -EINVAL;
	return setattr_at(&f->path, f->inode, cred, &attr);
}

static int remove_capability_locked(struct inode *inode)
{
	const struct xattr_ops *x = inode->ops->xattr;
	int err = x && x->remove ? x->remove(inode, CAPABILITY) : -ENODATA;

	if (err < 0 && err != -ENODATA && err != -EOPNOTSUPP)
		return err;
	atomic_store(&inode->no_capability, true);
	return 0;
}

int file_remove_privs(struct file *f, const struct cred *cred)
{
	struct iattr attr = {.valid = IATTR_MODE};
	struct inode *inode = f->inode;
	int err = 0;

	if (!S_ISREG(inode->mode) ||
	    (!(inode->mode & (S_ISUID | S_ISGID)) &&
	     (atomic_load(&inode->no_capability) || inode->sb->flags & SB_DROPS_CAPABILITY)))
		return 0;
	SCOPED_LOCK(&inode->data_lock);
	if (!(inode->sb->flags & SB_DROPS_CAPABILITY) && !atomic_load(&inode->no_capability))
		err = remove_capability_locked(inode);
	attr.mode = without_setid(inode, cred);
	if (err < 0 || attr.mode == inode->mode ||
	    cred_capable_over(cred, inode->uid, inode->gid, CAP_FSETID) || !inode->ops->setattr)
		return err;
	return inode->ops->setattr(inode, &attr);
}

int vfs_access(const struct path *path, const struct cred *cred, int mask)
{
	struct inode *inode = path_inode(path);
	int err;

	if ((mask & 1) && S_ISREG(inode->mode) && (path->mnt->flags & MS_NOEXEC))
		return -EACCES;
	err = inode_permission(inode, cred, mask);
	if (err == 0 && (mask & 2) &&
	    (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)))
		err = mount_want_write(path->mnt);
	return err;
}

ssize_t vfs_readlink(const struct walk_env *env, const struct path *path, char *buf, size_t size)
{
	struct inode *inode = path_inode(path);

	if (!S_ISLNK(inode->mode) || !inode->ops->readlink)
		return -EINVAL;
	return inode->ops->readlink(inode, env ? env->caller : NULL, buf, size);
}

int vfs_statfs(const struct path *path, struct kstatfs *out)
{
	struct superblock *sb = path_inode(path)->sb;

	return sb->ops && sb->ops->statfs ? sb->ops->statfs(sb, out) : -ENOSYS;
}

void vfs_notify(struct file *f, uint32_t mask)
{
	if (f->path.dentry)
		notify_dentry(f->path.dentry, mask);
}
