/* Calls on inodes of the two trees, with the locks that their file systems expect. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/overlay/internal.h"

void section_begin(struct overlay_section *s, struct overlay_sb *ov)
{
	s->ov = ov;
	s->ndrop = 0;
	mutex_lock(&ov->lock);
	lock_layer_enter(&s->layer);
}

void section_end(struct overlay_section *s)
{
	lock_layer_leave(&s->layer);
	mutex_unlock(&s->ov->lock);
	for (unsigned int i = 0; i < s->ndrop; i++)
		inode_put(s->drop[i]);
}

void section_drop(struct overlay_section *s, struct inode *inode)
{
	assert(s->ndrop < ARRAY_SIZE(s->drop));
	s->drop[s->ndrop++] = inode;
}

bool is_whiteout(const struct inode *inode)
{
	return S_ISCHR(inode->mode) && inode->rdev == 0;
}

int real_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	SCOPED_LOCK(&dir->dir_lock);
	return dir->ops->lookup ? dir->ops->lookup(dir, name, len, out) : -ENOTDIR;
}

/* Before a change; under dir_lock. */
static void will_change(struct inode *dir)
{
	atomic_store(&dir->names_change, true);
}

int real_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		struct inode **out)
{
	SCOPED_LOCK(&dir->dir_lock);
	will_change(dir);
	return dir->ops->create ? dir->ops->create(dir, name, len, new, out) : -EROFS;
}

int real_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	SCOPED_LOCK(&dir->dir_lock);
	will_change(dir);
	return dir->ops->link ? dir->ops->link(dir, name, len, target) : -EPERM;
}

int real_remove(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	SCOPED_LOCK(&dir->dir_lock);
	int err;

	will_change(dir);
	if (!S_ISDIR(victim->mode))
		return dir->ops->unlink(dir, name, len, victim);
	err = dir->ops->rmdir(dir, name, len, victim);
	if (!err)
		atomic_store(&victim->dead, true);
	return err;
}

int real_rename(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *new_dir,
		const char *new_name, size_t new_len, struct inode *moved, struct inode *replaced,
		unsigned int flags)
{
	struct mutex *tree = &old_dir->sb->rename_lock;
	int err;

	if (!old_dir->ops->rename)
		return -EXDEV;
	if (old_dir != new_dir)
		mutex_lock(tree);
	mutex_lock_pair(&old_dir->dir_lock, &new_dir->dir_lock);
	will_change(old_dir);
	will_change(new_dir);
	err = old_dir->ops->rename(old_dir, old_name, old_len, new_dir, new_name, new_len, moved,
				   replaced, flags);
	mutex_unlock_pair(&old_dir->dir_lock, &new_dir->dir_lock);
	if (old_dir != new_dir)
		mutex_unlock(tree);
	return err;
}

int real_stat(struct inode *inode, struct kstat *st)
{
	if (inode->ops->getattr)
		return inode->ops->getattr(inode, st);
	inode_fill_stat(inode, st);
	return 0;
}

int real_setattr(struct inode *inode, const struct iattr *attr)
{
	SCOPED_LOCK(&inode->data_lock);
	return inode->ops->setattr ? inode->ops->setattr(inode, attr) : -EPERM;
}

int real_open(struct overlay_sb *ov, struct inode *inode, int flags, struct file **out)
{
	static const struct path nowhere;

	if (!inode->ops->open)
		return -ENXIO;
	return inode->ops->open(inode, &nowhere, ov->cred, flags, out);
}

static const char *opaque_name(const struct inode *upper)
{
	/* Files of the host have no trusted.*; then it is as with Linux's option userxattr. */
	return strcmp(upper->sb->type, "tmpfs") ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

bool is_private_xattr(const char *name)
{
	return !strncmp(name, "trusted.overlay.", 16) || !strncmp(name, "user.overlay.", 13);
}

bool is_opaque(const struct overlay_sb *ov, struct inode *upper)
{
	static const char *const names[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
	char value[2];

	if (!ov->persistent || !S_ISDIR(upper->mode) || !upper->ops->xattr)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (upper->ops->xattr->get(upper, names[i], value, sizeof(value)) == 1 &&
		    *value == 'y')
			return true;
	return false;
}

int set_opaque(const struct overlay_sb *ov, struct inode *upper)
{
	if (!ov->persistent)
		return 0;
	if (!upper->ops->xattr)
		return -EIO;
	SCOPED_LOCK(&upper->data_lock);
	return upper->ops->xattr->set(upper, opaque_name(upper), "y", 1, 0) < 0 ? -EIO : 0;
}

static void copy_xattr(struct inode *from, struct inode *to, const char *name)
{
	ssize_t n = from->ops->xattr->get(from, name, NULL, 0);
	SCOPED_FREE char *value = n >= 0 ? try_malloc((size_t)n + 1) : NULL;

	if (n > 0 && value)
		n = from->ops->xattr->get(from, name, value, (size_t)n);
	if (n < 0 || !value)
		return;
	SCOPED_LOCK(&to->data_lock);
	(void)!to->ops->xattr->set(to, name, value, (size_t)n, 0);
}

void real_copy_xattrs(struct inode *from, struct inode *to)
{
	SCOPED_FREE char *list = NULL;
	ssize_t n;

	if (!from->ops->xattr || !to->ops->xattr)
		return;
	n = from->ops->xattr->list(from, NULL, 0);
	if (n <= 0)
		return;
	list = try_malloc((size_t)n);
	if (!list)
		return;
	n = from->ops->xattr->list(from, list, (size_t)n);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		if (!is_private_xattr(list + i))
			copy_xattr(from, to, list + i);
}
