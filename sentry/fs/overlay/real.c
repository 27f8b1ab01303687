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

int real_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		struct inode **out)
{
	SCOPED_LOCK(&dir->dir_lock);
	return dir->ops->create ? dir->ops->create(dir, name, len, new, out) : -EROFS;
}

int real_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	SCOPED_LOCK(&dir->dir_lock);
	return dir->ops->link ? dir->ops->link(dir, name, len, target) : -EPERM;
}

int real_remove(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	SCOPED_LOCK(&dir->dir_lock);
	return S_ISDIR(victim->mode) ? dir->ops->rmdir(dir, name, len, victim)
				     : dir->ops->unlink(dir, name, len, victim);
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
		copy_xattr(from, to, list + i);
}
