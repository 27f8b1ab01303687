/* Inodes, superblocks, and the tables of file system types and device drivers. */
#include "sentry/fs/inode.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/filelock.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/parts.h"

struct timespec inode_now(void)
{
	uint64_t ns = host_realtime_ns();

	return (struct timespec){(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
}

void inode_init(struct inode *inode, struct superblock *sb, const struct inode_ops *ops,
		uint64_t ino, uint32_t mode)
{
	ref_init(&inode->ref);
	inode->ops = ops;
	inode->sb = superblock_get(sb);
	inode->ino = ino;
	inode->rdev = 0;
	mutex_init(&inode->dir_lock, RANK_INODE_DIR);
	mutex_init(&inode->data_lock, RANK_INODE_DATA);
	inode->mode = mode;
	inode->uid = inode->gid = 0;
	inode->nlink = 1;
	inode->size = 0;
	inode->atime = inode->mtime = inode->ctime = inode->btime = inode_now();
	inode->locks = NULL;
	inode->watches = NULL;
	inode->fifo = NULL;
	inode->bound = NULL;
	atomic_init(&inode->write_count, 0);
	atomic_init(&inode->watch_count, 0);
	atomic_init(&inode->link_target, NULL);
	atomic_init(&inode->dead, false);
	inode->opens_itself = false;
	atomic_init(&inode->names_change, false);
	atomic_init(&inode->no_capability, false);
}

struct inode *inode_get(struct inode *inode)
{
	ref_get(&inode->ref);
	return inode;
}

void inode_put(struct inode *inode)
{
	if (ref_put(&inode->ref))
		inode->ops->release(inode);
}

void inode_fini(struct inode *inode)
{
	if (inode->locks)
		file_lock_set_free(inode->locks);
	if (inode->watches)
		inotify_set_free(inode->watches);
	if (inode->fifo)
		fs_parts()->fifo_free(inode->fifo);
	free(atomic_load(&inode->link_target));
	mutex_destroy(&inode->dir_lock);
	mutex_destroy(&inode->data_lock);
	superblock_put(inode->sb);
}

void inode_fill_stat(struct inode *inode, struct kstat *st)
{
	SCOPED_LOCK(&inode->data_lock);

	*st = (struct kstat){
	    .dev = inode->sb->dev,
	    .ino = inode->ino,
	    .rdev = inode->rdev,
	    .mode = inode->mode,
	    .nlink = inode->nlink,
	    .uid = inode->uid,
	    .gid = inode->gid,
	    .size = inode->size,
	    .blocks = S_ISREG(inode->mode) ? (inode->size + 511) / 512 : 0,
	    .blksize = 4096,
	    .atime = inode->atime,
	    .mtime = inode->mtime,
	    .ctime = inode->ctime,
	    .btime = inode->btime,
	};
}

static int count_user(atomic_int *count, int step)
{
	int n = atomic_load(count);

	do
		if (n * step < 0)
			return -ETXTBSY;
	while (!atomic_compare_exchange_weak(count, &n, n + step));
	return 0;
}

int inode_get_write(struct inode *inode)
{
	return count_user(&inode->write_count, 1);
}

void inode_put_write(struct inode *inode)
{
	atomic_fetch_sub(&inode->write_count, 1);
}

int inode_deny_write(struct inode *inode)
{
	return count_user(&inode->write_count, -1);
}

void inode_allow_write(struct inode *inode)
{
	atomic_fetch_add(&inode->write_count, 1);
}

void inode_apply_attr(struct inode *inode, const struct iattr *attr)
{
	struct timespec now = inode_now();

	if (attr->valid & IATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (attr->mode & 07777);
	if (attr->valid & IATTR_UID)
		inode->uid = attr->uid;
	if (attr->valid & IATTR_GID)
		inode->gid = attr->gid;
	if (attr->valid & (IATTR_ATIME | IATTR_ATIME_NOW))
		inode->atime = attr->valid & IATTR_ATIME_NOW ? now : attr->atime;
	if (attr->valid & (IATTR_MTIME | IATTR_MTIME_NOW))
		inode->mtime = attr->valid & IATTR_MTIME_NOW ? now : attr->mtime;
	inode->ctime = now;
}

/* --- superblocks --------------------------------------------------------------------- */

void superblock_init(struct superblock *sb, const struct sb_ops *ops, const char *type,
		     const char *source)
{
	static atomic_uint next_minor = 20; /* away from what real devices have */

	ref_init(&sb->ref);
	sb->ops = ops;
	sb->type = type;
	sb->source = xstrdup(source && *source ? source : "none");
	sb->dev = makedev(0, atomic_fetch_add(&next_minor, 1));
	sb->flags = 0;
	sb->user_ns = user_ns_get(&user_ns_first);
	mutex_init(&sb->rename_lock, RANK_RENAME);
	sb->root = NULL;
	atomic_init(&sb->next_ino, 1);
	atomic_init(&sb->active, 0);
}

struct superblock *superblock_get(struct superblock *sb)
{
	ref_get(&sb->ref);
	return sb;
}

void superblock_put(struct superblock *sb)
{
	if (ref_put(&sb->ref))
		sb->ops->release(sb);
}

void superblock_fini(struct superblock *sb)
{
	free(sb->source);
	user_ns_put(sb->user_ns);
	mutex_destroy(&sb->rename_lock);
}

void superblock_set_owner(struct superblock *sb, struct user_ns *owner)
{
	user_ns_put(sb->user_ns);
	sb->user_ns = user_ns_get(owner);
}

void superblock_set_root(struct superblock *sb, struct inode *root)
{
	assert(!sb->root);
	sb->root = dentry_new_root(sb, root);
}

void superblock_activate(struct superblock *sb)
{
	atomic_fetch_add(&sb->active, 1);
}

void superblock_deactivate(struct superblock *sb)
{
	if (atomic_fetch_sub(&sb->active, 1) > 1)
		return;
	inotify_superblock_gone(sb);
	dcache_drop_superblock(sb);
	if (sb->ops->shutdown)
		sb->ops->shutdown(sb);
}

uint64_t superblock_new_ino(struct superblock *sb)
{
	return atomic_fetch_add(&sb->next_ino, 1);
}

/* --- registries: filled at start, single-threaded ---------------------------------------- */

static const struct fs_type *fs_types[32];
static size_t fs_type_count;

void fs_type_register(const struct fs_type *t)
{
	if (fs_type_count == ARRAY_SIZE(fs_types))
		panic("too many file system types");
	fs_types[fs_type_count++] = t;
}

const struct fs_type *fs_type_find(const char *name)
{
	for (size_t i = 0; i < fs_type_count; i++)
		if (!strcmp(fs_types[i]->name, name))
			return fs_types[i];
	return NULL;
}

const struct fs_type *fs_type_at(size_t index)
{
	return index < fs_type_count ? fs_types[index] : NULL;
}

static struct device_range {
	bool block;
	unsigned int major, minor_first, minor_count;
	const struct device_ops *ops;
} devices[64];
static size_t device_count;

void device_register(bool block, unsigned int major, unsigned int minor_first,
		     unsigned int minor_count, const struct device_ops *ops)
{
	if (device_count == ARRAY_SIZE(devices))
		panic("too many device drivers");
	devices[device_count++] =
	    (struct device_range){block, major, minor_first, minor_count, ops};
}

const struct device_ops *device_find(bool block, uint64_t rdev)
{
	unsigned int maj = major(rdev), min = minor(rdev);

	for (size_t i = 0; i < device_count; i++) {
		const struct device_range *d = &devices[i];

		if (d->block == block && d->major == maj && min >= d->minor_first &&
		    min - d->minor_first < d->minor_count)
			return d->ops;
	}
	return NULL;
}
