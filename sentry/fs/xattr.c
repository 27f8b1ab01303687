/* xattr(7): which names who may touch; the storing is the file system's. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"

enum xattr_class { XATTR_USER, XATTR_TRUSTED, XATTR_SECURITY, XATTR_ACL, XATTR_EMPTY, XATTR_OTHER };

static enum xattr_class class_of(const char *name)
{
	static const struct {
		const char *prefix;
		enum xattr_class class;
	} table[] = {
	    {"user.", XATTR_USER},
	    {"trusted.", XATTR_TRUSTED},
	    {"security.", XATTR_SECURITY},
	    {"system.posix_acl_", XATTR_ACL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strncmp(name, table[i].prefix, strlen(table[i].prefix)))
			return name[strlen(table[i].prefix)] ? table[i].class : XATTR_EMPTY;
	return XATTR_OTHER;
}

static bool has_user_xattrs(const struct inode *inode)
{
	return S_ISREG(inode->mode) || S_ISDIR(inode->mode);
}

static int check_read(struct inode *inode, const struct cred *cred, const char *name)
{
	switch (class_of(name)) {
	case XATTR_USER:
		return has_user_xattrs(inode) ? inode_permission(inode, cred, 4) : -ENODATA;
	case XATTR_TRUSTED:
		return cred_capable(cred, CAP_SYS_ADMIN) ? 0 : -ENODATA;
	case XATTR_SECURITY:
		return 0;
	case XATTR_EMPTY:
		return -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
}

static int check_write(struct inode *inode, const struct cred *cred, const char *name)
{
	bool owner = cred->fsuid == inode->uid ||
		     cred_capable_over(cred, inode->uid, inode->gid, CAP_FOWNER);

	switch (class_of(name)) {
	case XATTR_USER:
		if (!has_user_xattrs(inode))
			return -EPERM;
		if (S_ISDIR(inode->mode) && (inode->mode & S_ISVTX) && !owner)
			return -EPERM;
		return inode_permission(inode, cred, 2);
	case XATTR_TRUSTED:
		return cred_capable(cred, CAP_SYS_ADMIN) ? 0 : -EPERM;
	case XATTR_SECURITY:
		if (!strcmp(name, "security.capability"))
			return cred_capable(cred, CAP_SETFCAP) ? 0 : -EPERM;
		return cred_capable(cred, CAP_SYS_ADMIN) ? 0 : -EPERM;
	case XATTR_EMPTY:
		return -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
}

static const struct xattr_ops *ops_of(const struct inode *inode)
{
	return inode->ops->xattr;
}

ssize_t vfs_getxattr(struct inode *inode, const struct cred *cred, const char *name, void *value,
		     size_t size)
{
	int err = check_read(inode, cred, name);

	if (err < 0)
		return err;
	return ops_of(inode) && ops_of(inode)->get ? ops_of(inode)->get(inode, name, value, size)
						   : -EOPNOTSUPP;
}

static int may_change(const struct path *path, struct inode *inode, const struct cred *cred,
		      const char *name)
{
	int err = path->mnt ? mount_want_write(path->mnt) : 0;

	if (err == 0)
		err = check_write(inode, cred, name);
	return err;
}

int vfs_setxattr(const struct path *path, struct inode *inode, const struct cred *cred,
		 const char *name, const void *value, size_t size, int flags)
{
	int err = may_change(path, inode, cred, name);

	if (err < 0)
		return err;
	if (!ops_of(inode) || !ops_of(inode)->set)
		return -EOPNOTSUPP;
	mutex_lock(&inode->data_lock);
	atomic_store(&inode->no_capability, false);
	err = ops_of(inode)->set(inode, name, value, size, flags);
	mutex_unlock(&inode->data_lock);
	if (err == 0)
		notify_dentry(path->dentry, IN_ATTRIB);
	return err;
}

int vfs_removexattr(const struct path *path, struct inode *inode, const struct cred *cred,
		    const char *name)
{
	int err = may_change(path, inode, cred, name);

	if (err < 0)
		return err;
	if (!ops_of(inode) || !ops_of(inode)->remove)
		return -EOPNOTSUPP;
	mutex_lock(&inode->data_lock);
	err = ops_of(inode)->remove(inode, name);
	mutex_unlock(&inode->data_lock);
	if (err == 0)
		notify_dentry(path->dentry, IN_ATTRIB);
	return err;
}

/* Takes the names that the caller may not see out of the list. */
static size_t filter(char *list, size_t n, bool trusted)
{
	size_t kept = 0;

	for (size_t at = 0, len; at < n; at += len) {
		len = strnlen(list + at, n - at - 1) + 1;
		if (!trusted && class_of(list + at) == XATTR_TRUSTED)
			continue;
		memmove(list + kept, list + at, len);
		kept += len;
	}
	return kept;
}

/* The whole list is fetched even to learn its length, so that hidden names are not counted. */
ssize_t vfs_listxattr(struct inode *inode, const struct cred *cred, char *list, size_t size)
{
	SCOPED_FREE char *all = NULL;
	ssize_t n;

	if (!ops_of(inode) || !ops_of(inode)->list)
		return -EOPNOTSUPP;
	if (cred_capable(cred, CAP_SYS_ADMIN))
		return ops_of(inode)->list(inode, list, size);
	all = try_calloc(1, 65536);
	if (!all)
		return -ENOMEM;
	n = ops_of(inode)->list(inode, all, 65536);
	if (n <= 0)
		return n;
	n = (ssize_t)filter(all, (size_t)n, false);
	if (size && (size_t)n > size)
		return -ERANGE;
	if (size)
		memcpy(list, all, (size_t)n);
	return n;
}
