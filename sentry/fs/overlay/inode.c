/* Overlay inodes: the tables that find them, attributes, and their life. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/overlay/internal.h"

#define BUCKETS_MIN 256

/* ------------------------------------------------------------ tables */

static uint32_t hash64(uint64_t v)
{
	return (uint32_t)((v * 0x9e3779b97f4a7c15ULL) >> 32);
}

static struct overlay_inode **lower_bucket(struct overlay_sb *ov, const struct inode *lower)
{
	return &ov->by_lower[hash64((uintptr_t)lower) & (ov->nbuckets - 1)];
}

static struct overlay_inode **upper_bucket(struct overlay_sb *ov, uint64_t ino)
{
	return &ov->by_upper[hash64(ino) & (ov->nbuckets - 1)];
}

static void add_lower_locked(struct overlay_sb *ov, struct overlay_inode *oi)
{
	struct overlay_inode **b = lower_bucket(ov, oi->lower);

	oi->next_lower = *b;
	*b = oi;
	oi->in_lower_table = true;
}

static void add_upper_locked(struct overlay_sb *ov, struct overlay_inode *oi)
{
	struct overlay_inode **b = upper_bucket(ov, upper_of(oi)->ino);

	oi->next_upper = *b;
	*b = oi;
	oi->in_upper_table = true;
}

static void del_locked(struct overlay_sb *ov, struct overlay_inode *oi)
{
	struct overlay_inode **p;

	if (oi->in_lower_table) {
		for (p = lower_bucket(ov, oi->lower); *p != oi; p = &(*p)->next_lower)
			;
		*p = oi->next_lower;
		oi->in_lower_table = false;
	}
	if (oi->in_upper_table) {
		for (p = upper_bucket(ov, upper_of(oi)->ino); *p != oi; p = &(*p)->next_upper)
			;
		*p = oi->next_upper;
		oi->in_upper_table = false;
	}
}

/* Without memory for longer tables the chains get longer. */
static void rehash_locked(struct overlay_sb *ov)
{
	uint32_t old_n = ov->nbuckets, n = old_n ? old_n * 2 : BUCKETS_MIN;
	struct overlay_inode **old_lower = ov->by_lower, **old_upper = ov->by_upper, *oi, *next;
	struct overlay_inode **lower =
	    old_n ? try_calloc(n, sizeof(*lower)) : xzalloc(n * sizeof(*lower));
	struct overlay_inode **upper =
	    old_n ? try_calloc(n, sizeof(*upper)) : xzalloc(n * sizeof(*upper));

	if (!lower || !upper) {
		free(lower);
		free(upper);
		return;
	}
	ov->nbuckets = n;
	ov->by_lower = lower;
	ov->by_upper = upper;
	for (uint32_t i = 0; i < old_n; i++) {
		for (oi = old_lower[i]; oi; oi = next) {
			next = oi->next_lower;
			add_lower_locked(ov, oi);
		}
		for (oi = old_upper[i]; oi; oi = next) {
			next = oi->next_upper;
			add_upper_locked(ov, oi);
		}
	}
	free(old_lower);
	free(old_upper);
}

static struct overlay_inode *find_upper_locked(struct overlay_sb *ov, uint64_t ino)
{
	struct overlay_inode *oi = ov->by_upper ? *upper_bucket(ov, ino) : NULL;

	while (oi && !(upper_of(oi)->ino == ino && ref_get_unless_zero(&oi->inode.ref)))
		oi = oi->next_upper;
	return oi;
}

static struct overlay_inode *find_lower_locked(struct overlay_sb *ov, const struct inode *lower)
{
	struct overlay_inode *oi = ov->by_lower ? *lower_bucket(ov, lower) : NULL;

	while (oi && !(oi->lower == lower && ref_get_unless_zero(&oi->inode.ref)))
		oi = oi->next_lower;
	return oi;
}

static uint64_t upper_number(const struct overlay_sb *ov, uint64_t ino)
{
	return ino | (uint64_t)ov->level << OVERLAY_INO_SHIFT;
}

uint64_t overlay_upper_ino(struct overlay_sb *ov, uint64_t ino)
{
	struct overlay_inode *oi;
	uint64_t shown = upper_number(ov, ino);

	SCOPED_LOCK(&ov->table_lock);
	for (oi = ov->by_upper ? *upper_bucket(ov, ino) : NULL; oi; oi = oi->next_upper)
		if (upper_of(oi)->ino == ino)
			shown = oi->inode.ino;
	return shown;
}

bool overlay_knows_upper(struct overlay_sb *ov, const struct inode *upper)
{
	struct overlay_inode *oi;

	SCOPED_LOCK(&ov->table_lock);
	for (oi = ov->by_upper ? *upper_bucket(ov, upper->ino) : NULL; oi; oi = oi->next_upper)
		if (upper_of(oi) == upper)
			return true;
	return false;
}

/* ------------------------------------------------------------ place and pins */

void overlay_set_place(struct overlay_section *s, struct overlay_inode *oi,
		       struct overlay_inode *parent, const char *name, size_t len)
{
	if (oi->parent == parent && oi->name && strlen(oi->name) == len &&
	    !memcmp(oi->name, name, len))
		return;
	if (oi->parent)
		section_drop(s, &oi->parent->inode);
	free(oi->name);
	oi->parent = parent;
	oi->name = NULL;
	if (!parent)
		return;
	inode_get(&parent->inode);
	oi->name = xmalloc(len + 1);
	memcpy(oi->name, name, len);
	oi->name[len] = 0;
}

void overlay_pin(struct overlay_inode *oi)
{
	if (oi->pinned)
		return;
	oi->pinned = true;
	inode_get(&oi->inode);
}

void overlay_unpin(struct overlay_section *s, struct overlay_inode *oi)
{
	if (!oi->pinned)
		return;
	oi->pinned = false;
	section_drop(s, &oi->inode);
}

static struct overlay_inode *pinned_in_bucket(struct overlay_sb *ov, uint32_t i)
{
	struct overlay_inode *oi;

	for (oi = ov->by_upper[i]; oi; oi = oi->next_upper)
		if (oi->pinned)
			return oi;
	for (oi = ov->by_lower[i]; oi; oi = oi->next_lower)
		if (oi->pinned)
			return oi;
	return NULL;
}

/* One pinned inode, its pin taken off, or NULL. */
static struct overlay_inode *next_pinned(struct overlay_sb *ov, uint32_t *from)
{
	SCOPED_LOCK(&ov->table_lock);
	for (; *from < ov->nbuckets; ++*from) {
		struct overlay_inode *oi = pinned_in_bucket(ov, *from);

		if (oi) {
			oi->pinned = false;
			return oi;
		}
	}
	return NULL;
}

void overlay_unpin_all(struct overlay_sb *ov)
{
	struct overlay_inode *oi;
	uint32_t from = 0;

	while ((oi = next_pinned(ov, &from)))
		inode_put(&oi->inode);
}

void overlay_set_upper(struct overlay_inode *oi, struct inode *upper)
{
	struct overlay_sb *ov = overlay_sb(&oi->inode);

	SCOPED_LOCK(&ov->table_lock);
	atomic_store_explicit(&oi->upper, upper, memory_order_release);
	add_upper_locked(ov, oi);
}

/* ------------------------------------------------------------ attributes */

static void apply(struct overlay_inode *oi, const struct kstat *st)
{
	struct inode *inode = &oi->inode;

	inode->mode = (inode->mode & S_IFMT) | (st->mode & 07777);
	inode->uid = st->uid;
	inode->gid = st->gid;
	inode->size = st->size;
	inode->atime = st->atime;
	inode->mtime = st->mtime;
	inode->ctime = st->ctime;
	inode->btime = st->btime;
	if (S_ISDIR(inode->mode) && inode->nlink) /* subdirectories of both are not counted */
		inode->nlink = oi->lower && upper_of(oi) ? 1 : st->nlink;
}

static int stat_locked(struct overlay_inode *oi, struct kstat *st)
{
	struct lock_layer layer;
	int err;

	lock_layer_enter(&layer);
	err = real_stat(real_of(oi), st);
	lock_layer_leave(&layer);
	if (!err)
		apply(oi, st);
	return err;
}

int overlay_refresh_locked(struct overlay_inode *oi)
{
	struct kstat st;

	return stat_locked(oi, &st);
}

static int overlay_getattr(struct inode *inode, struct kstat *st)
{
	int err;

	SCOPED_LOCK(&inode->data_lock);
	err = stat_locked(overlay_inode(inode), st);
	st->dev = inode->sb->dev;
	st->ino = inode->ino;
	st->nlink = inode->nlink;
	return err;
}

/* Under the inode's data_lock. */
static int overlay_setattr(struct inode *inode, const struct iattr *attr)
{
	struct overlay_inode *oi = overlay_inode(inode);
	struct iattr inner = *attr;
	struct overlay_section s;
	int err;

	inner.file = NULL;
	section_begin(&s, overlay_sb(inode));
	err = copy_up(&s, oi, attr->valid & IATTR_SIZE ? attr->size : UINT64_MAX);
	if (!err)
		err = real_setattr(upper_of(oi), &inner);
	section_end(&s);
	return err ? err : overlay_refresh_locked(oi);
}

static ssize_t overlay_readlink(struct inode *inode, struct guest_access *caller, char *buf,
				size_t size)
{
	struct inode *real = real_of(overlay_inode(inode));

	return real->ops->readlink ? real->ops->readlink(real, caller, buf, size) : -EINVAL;
}

/* ------------------------------------------------------------ extended attributes */

static ssize_t overlay_xattr_get(struct inode *inode, const char *name, void *value, size_t size)
{
	struct inode *real = real_of(overlay_inode(inode));
	struct lock_layer layer;
	ssize_t n = -EOPNOTSUPP;

	if (is_private_xattr(name) && overlay_sb(inode)->persistent)
		return n;
	lock_layer_enter(&layer);
	if (real->ops->xattr)
		n = real->ops->xattr->get(real, name, value, size);
	lock_layer_leave(&layer);
	return n;
}

static ssize_t without_private(char *list, size_t n)
{
	size_t kept = 0;

	for (size_t at = 0, len; at < n; at += len) {
		len = strnlen(list + at, n - at - 1) + 1;
		if (is_private_xattr(list + at))
			continue;
		memmove(list + kept, list + at, len);
		kept += len;
	}
	return (ssize_t)kept;
}

/* The length alone (size 0) counts the private ones too, which is never too little. */
static ssize_t overlay_xattr_list(struct inode *inode, char *list, size_t size)
{
	struct inode *real = real_of(overlay_inode(inode));
	struct lock_layer layer;
	ssize_t n = 0;

	lock_layer_enter(&layer);
	if (real->ops->xattr)
		n = real->ops->xattr->list(real, list, size);
	lock_layer_leave(&layer);
	return n > 0 && size && overlay_sb(inode)->persistent ? without_private(list, (size_t)n)
							      : n;
}

static int change_xattr(struct inode *upper, const char *name, const void *value, size_t size,
			int flags, bool set)
{
	const struct xattr_ops *x = upper->ops->xattr;

	if (!x)
		return -EOPNOTSUPP;
	SCOPED_LOCK(&upper->data_lock);
	return set ? x->set(upper, name, value, size, flags) : x->remove(upper, name);
}

static int copy_up_and_change(struct inode *inode, const char *name, const void *value, size_t size,
			      int flags, bool set)
{
	struct overlay_inode *oi = overlay_inode(inode);
	struct overlay_section s;
	int err;

	if (is_private_xattr(name) && overlay_sb(inode)->persistent)
		return -EOPNOTSUPP;
	section_begin(&s, overlay_sb(inode));
	err = copy_up(&s, oi, UINT64_MAX);
	if (!err)
		err = change_xattr(upper_of(oi), name, value, size, flags, set);
	section_end(&s);
	return err;
}

static int overlay_xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
			     int flags)
{
	return copy_up_and_change(inode, name, value, size, flags, true);
}

static int overlay_xattr_remove(struct inode *inode, const char *name)
{
	return copy_up_and_change(inode, name, NULL, 0, 0, false);
}

const struct xattr_ops overlay_xattr_ops = {
    .get = overlay_xattr_get,
    .set = overlay_xattr_set,
    .list = overlay_xattr_list,
    .remove = overlay_xattr_remove,
};

/* ------------------------------------------------------------ life */

static int inode_new(struct overlay_sb *ov, struct inode *lower, struct inode *upper,
		     struct overlay_inode **out)
{
	struct inode *real = upper ? upper : lower;
	struct overlay_inode *oi;
	struct kstat st;
	uint64_t ino = lower ? lower->ino : upper_number(ov, upper->ino);
	int err = real_stat(real, &st);

	if (err)
		return err;
	oi = CHARGED_NEW(struct overlay_inode);
	inode_init(&oi->inode, &ov->sb, &overlay_inode_ops, ino, st.mode);
	oi->inode.rdev = st.rdev;
	oi->inode.nlink = st.nlink;
	oi->lower = lower;
	atomic_init(&oi->upper, upper);
	apply(oi, &st);
	mutex_lock(&ov->table_lock);
	if (ov->count++ >= ov->nbuckets)
		rehash_locked(ov);
	if (lower)
		add_lower_locked(ov, oi);
	if (upper)
		add_upper_locked(ov, oi);
	mutex_unlock(&ov->table_lock);
	*out = oi;
	return 0;
}

int overlay_iget(struct overlay_section *s, struct overlay_inode *parent, const char *name,
		 size_t len, struct inode *lower, struct inode *upper, struct overlay_inode **out)
{
	struct overlay_sb *ov = s->ov;
	struct overlay_inode *oi;
	int err;

	mutex_lock(&ov->table_lock);
	oi = upper ? find_upper_locked(ov, upper->ino) : find_lower_locked(ov, lower);
	mutex_unlock(&ov->table_lock);
	if (!oi) {
		err = inode_new(ov, lower, upper, &oi);
		if (!err && upper && !ov->persistent)
			overlay_pin(oi);
		if (!err)
			lower = upper = NULL; /* they are the inode's now */
	} else {
		err = 0;
	}
	if (lower)
		section_drop(s, lower);
	if (upper)
		section_drop(s, upper);
	if (err)
		return err;
	if (parent)
		overlay_set_place(s, oi, parent, name, len);
	*out = oi;
	return 0;
}

static void overlay_release(struct inode *inode)
{
	struct overlay_inode *oi = overlay_inode(inode);
	struct overlay_sb *ov = overlay_sb(inode);
	struct lock_layer layer;

	mutex_lock(&ov->table_lock);
	del_locked(ov, oi);
	ov->count--;
	mutex_unlock(&ov->table_lock);
	lock_layer_enter(&layer);
	if (oi->lower)
		inode_put(oi->lower);
	if (upper_of(oi))
		inode_put(upper_of(oi));
	lock_layer_leave(&layer);
	if (oi->parent)
		inode_put(&oi->parent->inode);
	free(oi->name);
	inode_fini(inode);
	charged_free(oi);
}

const struct inode_ops overlay_inode_ops = {
    .lookup = overlay_lookup,
    .create = overlay_create,
    .link = overlay_link,
    .unlink = overlay_unlink,
    .rmdir = overlay_rmdir,
    .rename = overlay_rename,
    .tmpfile = overlay_tmpfile,
    .readlink = overlay_readlink,
    .getattr = overlay_getattr,
    .setattr = overlay_setattr,
    .open = overlay_open,
    .xattr = &overlay_xattr_ops,
    .release = overlay_release,
    .walk_ahead = overlay_walk_ahead,
};
