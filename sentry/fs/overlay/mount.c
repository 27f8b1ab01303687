/* Superblocks of the overlay file system. */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>

#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/overlay/internal.h"

static int overlay_statfs(struct superblock *sb, struct kstatfs *out)
{
	struct overlay_sb *ov = container_of(sb, struct overlay_sb, sb);
	struct superblock *upper = ov->upper_root->sb;
	int err = upper->ops->statfs ? upper->ops->statfs(upper, out) : -ENOSYS;

	out->type = OVERLAYFS_SUPER_MAGIC;
	out->fsid = sb->dev;
	return err;
}

static int overlay_sync(struct superblock *sb)
{
	struct overlay_sb *ov = container_of(sb, struct overlay_sb, sb);
	struct superblock *upper = ov->upper_root->sb;

	return upper->ops->sync ? upper->ops->sync(upper) : 0;
}

static void overlay_shutdown(struct superblock *sb)
{
	struct overlay_sb *ov = container_of(sb, struct overlay_sb, sb);

	overlay_unpin_all(ov);
	superblock_deactivate(ov->lower_sb);
	superblock_deactivate(ov->upper_root->sb);
}

static void overlay_sb_release(struct superblock *sb)
{
	struct overlay_sb *ov = container_of(sb, struct overlay_sb, sb);

	inode_put(ov->upper_root);
	superblock_put(ov->lower_sb);
	cred_put(ov->cred);
	free(ov->by_lower);
	free(ov->by_upper);
	free(ov->options);
	mutex_destroy(&ov->lock);
	mutex_destroy(&ov->table_lock);
	superblock_fini(sb);
	free(ov);
}

static void overlay_show_options(struct superblock *sb, char *buf, size_t size)
{
	const struct overlay_sb *ov = container_of(sb, struct overlay_sb, sb);

	if (ov->options)
		snprintf(buf, size, "%s", ov->options);
}

static const struct sb_ops overlay_sb_ops = {
    .statfs = overlay_statfs,
    .sync = overlay_sync,
    .shutdown = overlay_shutdown,
    .show_options = overlay_show_options,
    .release = overlay_sb_release,
};

/* The upper root looks like the lower one. */
static int copy_root_attributes(struct inode *lower, struct inode *upper)
{
	struct iattr attr = {.valid =
				 IATTR_MODE | IATTR_UID | IATTR_GID | IATTR_ATIME | IATTR_MTIME};
	struct kstat st;
	int err = real_stat(lower, &st);

	if (err)
		return err;
	attr.mode = st.mode & 07777;
	attr.uid = st.uid;
	attr.gid = st.gid;
	attr.atime = st.atime;
	attr.mtime = st.mtime;
	real_copy_xattrs(lower, upper);
	return real_setattr(upper, &attr);
}

static int make_root(struct overlay_sb *ov, struct inode *lower)
{
	struct overlay_section s;
	struct overlay_inode *root;
	int err = ov->persistent ? 0 : copy_root_attributes(lower, ov->upper_root);

	if (err)
		return err;
	section_begin(&s, ov);
	err = overlay_iget(&s, NULL, NULL, 0, inode_get(lower), inode_get(ov->upper_root), &root);
	section_end(&s);
	if (err)
		return err;
	superblock_set_root(&ov->sb, &root->inode);
	inode_put(&root->inode);
	return 0;
}

static unsigned int level_of(const struct superblock *sb)
{
	return sb->ops == &overlay_sb_ops ? container_of(sb, struct overlay_sb, sb)->level : 0;
}

int overlay_join(struct inode *lower, struct inode *upper, bool persistent, struct superblock **out)
{
	unsigned int below = max(level_of(lower->sb), level_of(upper->sb));
	struct overlay_sb *ov;
	int err;

	if (below >= OVERLAY_LEVELS_MAX)
		return -EINVAL;
	ov = NEW(struct overlay_sb);
	superblock_init(&ov->sb, &overlay_sb_ops, "overlay", "overlay");
	mutex_init(&ov->lock, RANK_OBJECT);
	mutex_init(&ov->table_lock, RANK_LEAF);
	ov->persistent = persistent;
	ov->level = below + 1;
	ov->cred = cred_new_root(CAPSET_ALL);
	ov->upper_root = inode_get(upper);
	ov->lower_sb = superblock_get(lower->sb);
	err = make_root(ov, lower);
	if (err) {
		superblock_put(&ov->sb);
		return err;
	}
	superblock_activate(lower->sb); /* until shutdown */
	superblock_activate(upper->sb);
	*out = &ov->sb;
	return 0;
}

void overlay_set_options(struct superblock *sb, const char *source, const char *options)
{
	struct overlay_sb *ov = container_of(sb, struct overlay_sb, sb);

	free(sb->source);
	sb->source = xstrdup(source && *source ? source : "none");
	ov->options = xstrdup(options);
}

int overlay_mount(struct superblock *lower, struct superblock *upper, struct superblock **out)
{
	return overlay_join(lower->root->inode, upper->root->inode, false, out);
}
