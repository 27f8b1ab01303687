/* tmpfs: superblock, options, inodes. */
#include "sentry/fs/tmpfs/tmpfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/host_fs.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

/* --- inodes ------------------------------------------------------------------------ */

/*
 * Freeing a directory frees what it holds, and so on down. Not by recursion, because a guest
 * chooses the depth: the first release on a thread works through a list, those that it causes
 * only add to it.
 */
static void free_node(struct tmpfs_node *node)
{
	atomic_fetch_sub(&tmpfs_sb_of(&node->inode)->used_inodes, 1);
	if (S_ISDIR(node->inode.mode))
		tmpfs_dir_free(&node->dir);
	else if (S_ISREG(node->inode.mode))
		tmpfs_data_free(node);
	else if (S_ISLNK(node->inode.mode))
		charged_free(node->target);
	tmpfs_xattr_free(node);
	inode_fini(&node->inode);
	charged_free(node);
}

void tmpfs_inode_release(struct inode *inode)
{
	static __thread struct list todo;
	static __thread bool under_way;
	struct tmpfs_node *node = tmpfs_node_of(inode);

	if (!under_way)
		list_init(&todo);
	list_add_tail(&todo, &node->pending);
	if (under_way)
		return;
	under_way = true;
	while (!list_empty(&todo)) {
		node = list_first(&todo, struct tmpfs_node, pending);
		list_del(&node->pending);
		free_node(node);
	}
	under_way = false;
}

static ssize_t tmpfs_readlink(struct inode *inode, struct guest_access *caller, char *buf,
			      size_t size)
{
	const char *target = tmpfs_node_of(inode)->target;
	size_t n = min(strlen(target), size);

	memcpy(buf, target, n);
	return (ssize_t)n;
}

static int open_with(const struct file_ops *ops, struct inode *inode, const struct path *path,
		     const struct cred *cred, int flags, uint32_t caps, struct file **out)
{
	struct file *f = NEW(struct file);

	file_init(f, ops, inode, path, cred, flags);
	f->caps = caps;
	*out = f;
	return 0;
}

static int tmpfs_open_file(struct inode *inode, const struct path *path, const struct cred *cred,
			   int flags, struct file **out)
{
	return open_with(&tmpfs_file_ops, inode, path, cred, flags,
			 FILE_CAN_SEEK | FILE_RAW_WINDOW | FILE_STREAM_CHUNKS, out);
}

static const struct inode_ops file_inode_ops = {
    .getattr = tmpfs_getattr,
    .setattr = tmpfs_setattr,
    .open = tmpfs_open_file,
    .xattr = &tmpfs_xattr_ops,
    .release = tmpfs_inode_release,
};

static const struct inode_ops link_inode_ops = {
    .readlink = tmpfs_readlink,
    .setattr = tmpfs_setattr,
    .xattr = &tmpfs_xattr_ops,
    .release = tmpfs_inode_release,
};

/* Devices, FIFOs, sockets. */
static const struct inode_ops special_inode_ops = {
    .setattr = tmpfs_setattr,
    .xattr = &tmpfs_xattr_ops,
    .release = tmpfs_inode_release,
};

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return &tmpfs_dir_inode_ops;
	case S_IFREG:
		return &file_inode_ops;
	case S_IFLNK:
		return &link_inode_ops;
	default:
		return &special_inode_ops;
	}
}

static bool charge_inode(struct tmpfs_sb *sb)
{
	uint64_t limit = atomic_load(&sb->max_inodes);

	if (atomic_fetch_add(&sb->used_inodes, 1) < limit || !limit)
		return true;
	atomic_fetch_sub(&sb->used_inodes, 1);
	return false;
}

int tmpfs_node_new(struct tmpfs_sb *sb, const struct new_inode *new, struct tmpfs_node **out)
{
	struct tmpfs_node *node;
	char *target;

	if (!charge_inode(sb))
		return -ENOSPC;
	node = charged_alloc(sizeof(*node));
	target = S_ISLNK(new->mode) && node ? charged_alloc(strlen(new->target) + 1) : NULL;
	if (!node || (S_ISLNK(new->mode) && !target)) {
		charged_free(node);
		atomic_fetch_sub(&sb->used_inodes, 1);
		return -ENOSPC;
	}
	inode_init(&node->inode, &sb->sb, ops_for(new->mode), superblock_new_ino(&sb->sb),
		   new->mode);
	node->inode.uid = new->uid;
	node->inode.gid = new->gid;
	node->inode.rdev = new->rdev;
	list_init(&node->xattrs);
	list_init(&node->pending);
	if (S_ISDIR(new->mode)) {
		tmpfs_dir_init(&node->dir);
		node->inode.nlink = 2;
		node->inode.size = 40;
	} else if (S_ISREG(new->mode)) {
		atomic_init(&node->data.fd, -1);
	} else if (S_ISLNK(new->mode)) {
		node->target = strcpy(target, new->target);
		node->inode.size = strlen(new->target);
	}
	*out = node;
	return 0;
}

/* --- superblock ------------------------------------------------------------------------ */

static int tmpfs_statfs(struct superblock *base, struct kstatfs *out)
{
	struct tmpfs_sb *sb = container_of(base, struct tmpfs_sb, sb);
	uint64_t pages = atomic_load(&sb->max_pages), used = atomic_load(&sb->used_pages);
	uint64_t inodes = atomic_load(&sb->max_inodes), iused = atomic_load(&sb->used_inodes);

	*out = (struct kstatfs){
	    .type = 0x01021994,
	    .bsize = PAGE,
	    .frsize = PAGE,
	    .namelen = 255,
	    .blocks = pages,
	    .bfree = pages > used ? pages - used : 0,
	    .bavail = pages > used ? pages - used : 0,
	    .files = inodes,
	    .ffree = inodes > iused ? inodes - iused : 0,
	    .fsid = base->dev,
	};
	return 0;
}

static void tmpfs_show_options(struct superblock *base, char *buf, size_t size)
{
	struct tmpfs_sb *sb = container_of(base, struct tmpfs_sb, sb);
	FILE *out = fmemopen(buf, size, "w");

	if (!out)
		return;
	if (sb->size_given)
		fprintf(out, ",size=%lluk", (unsigned long long)atomic_load(&sb->max_pages) * 4);
	if (sb->inodes_given)
		fprintf(out, ",nr_inodes=%llu", (unsigned long long)atomic_load(&sb->max_inodes));
	if (sb->mode_given && sb->mode != 01777)
		fprintf(out, ",mode=%03o", sb->mode);
	if (sb->uid)
		fprintf(out, ",uid=%u", sb->uid);
	if (sb->gid)
		fprintf(out, ",gid=%u", sb->gid);
	fprintf(out, ",inode64");
	fclose(out);
}

static void tmpfs_sb_release(struct superblock *base)
{
	struct tmpfs_sb *sb = container_of(base, struct tmpfs_sb, sb);

	superblock_fini(base);
	mutex_destroy(&sb->tree);
	free(sb);
}

static int parse_options(struct tmpfs_sb *sb, const char *data);

/* New limits; not below what is in use. Owner and mode stay. */
static int tmpfs_remount(struct superblock *base, const char *data)
{
	struct tmpfs_sb *sb = container_of(base, struct tmpfs_sb, sb);
	struct tmpfs_sb new = {.mode = sb->mode};
	int err;

	atomic_init(&new.max_pages, atomic_load(&sb->max_pages));
	atomic_init(&new.max_inodes, atomic_load(&sb->max_inodes));
	err = parse_options(&new, data);
	if (err < 0)
		return err;
	if ((new.max_pages &&new.max_pages < atomic_load(&sb->used_pages)) ||
	    (new.max_inodes &&new.max_inodes < atomic_load(&sb->used_inodes)))
		return -EINVAL;
	atomic_store(&sb->max_pages, new.max_pages);
	atomic_store(&sb->max_inodes, new.max_inodes);
	sb->size_given |= new.size_given;
	sb->inodes_given |= new.inodes_given;
	return 0;
}

static const struct sb_ops tmpfs_sb_ops = {
    .statfs = tmpfs_statfs,
    .show_options = tmpfs_show_options,
    .remount = tmpfs_remount,
    .release = tmpfs_sb_release,
};

/* --- options ----------------------------------------------------------------------------- */

/* What the file systems' default sizes are shares of. */
static atomic_uint_fast64_t memory;

void tmpfs_set_memory(uint64_t bytes)
{
	atomic_store(&memory, bytes);
}

static uint64_t ram(void)
{
	uint64_t bytes = atomic_load(&memory);

	return bytes ? bytes : host_total_ram();
}

/* A number with k, m, g, t or % (of RAM) behind it. */
static int parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "kmgtpe";
	char *end, *unit;
	uint64_t n = strtoull(s, &end, 0);

	if (end == s || *s == '-')
		return -EINVAL;
	if (*end == '%') {
		n = ram() / 100 * n;
		end++;
	} else if (*end && (unit = strchr(units, *end | 0x20))) {
		unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		if (n > UINT64_MAX >> shift)
			return -EINVAL;
		n <<= shift;
		end++;
	}
	*out = n;
	return *end ? -EINVAL : 0;
}

static int parse_number(const char *s, int base, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(s, &end, base);

	if (end == s || *end || n > max)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int parse_id(const struct tmpfs_sb *sb, enum id_kind kind, const char *s, uint32_t *out)
{
	uint32_t id;
	int r = parse_number(s, 10, UINT32_MAX - 1, &id);

	if (r == 0)
		*out = sb->mounter ? user_ns_in(sb->mounter, kind, id) : id;
	return r == 0 && *out == INVALID_ID ? -EINVAL : r;
}

static int set_option(struct tmpfs_sb *sb, const char *key, const char *value)
{
	static const char *const ignored[] = {"huge", "mpol", "inode32", "inode64", "noswap"};
	uint64_t n = 0;
	int err;

	if (!strcmp(key, "size") || !strcmp(key, "nr_blocks")) {
		err = parse_size(value, &n);
		if (*key == 's')
			n = (n + PAGE - 1) / PAGE;
		atomic_store(&sb->max_pages, n);
		sb->size_given = true;
		return err;
	}
	if (!strcmp(key, "nr_inodes")) {
		err = parse_size(value, &n);
		atomic_store(&sb->max_inodes, n);
		sb->inodes_given = true;
		return err;
	}
	if (!strcmp(key, "mode")) {
		sb->mode_given = true;
		return parse_number(value, 8, 07777, &sb->mode);
	}
	if (!strcmp(key, "uid"))
		return parse_id(sb, ID_UID, value, &sb->uid);
	if (!strcmp(key, "gid"))
		return parse_id(sb, ID_GID, value, &sb->gid);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (!strcmp(key, ignored[i]))
			return 0;
	return -EINVAL;
}

static int parse_options(struct tmpfs_sb *sb, const char *data)
{
	SCOPED_FREE char *copy = xstrdup(data ? data : "");
	char *rest = copy, *item;

	while ((item = strsep(&rest, ","))) {
		char *value = strchr(item, '=');
		int err;

		if (!*item)
			continue;
		if (value)
			*value++ = '\0';
		err = set_option(sb, item, value ? value : "");
		if (err < 0)
			return err;
	}
	return 0;
}

static int make_root(struct tmpfs_sb *sb)
{
	struct new_inode new = {.mode = S_IFDIR | sb->mode, .uid = sb->uid, .gid = sb->gid};
	struct tmpfs_node *root;
	int err = tmpfs_node_new(sb, &new, &root);

	if (err < 0)
		return err;
	superblock_set_root(&sb->sb, &root->inode);
	inode_put(&root->inode);
	return 0;
}

int tmpfs_mount(const char *source, const char *data, const struct cred *cred,
		struct superblock **out)
{
	struct tmpfs_sb *sb = NEW(struct tmpfs_sb);
	uint64_t half = ram() / 2 / PAGE;
	int err;

	superblock_init(&sb->sb, &tmpfs_sb_ops, "tmpfs", source);
	mutex_init(&sb->tree, RANK_OBJECT);
	sb->mode = 01777;
	sb->mounter = cred ? cred->user_ns : &user_ns_first;
	sb->uid = cred ? cred->fsuid : 0;
	sb->gid = cred ? cred->fsgid : 0;
	atomic_init(&sb->max_pages, half);
	atomic_init(&sb->max_inodes, half);
	err = parse_options(sb, data);
	sb->mounter = NULL;
	if (err == 0)
		err = make_root(sb);
	if (err < 0) {
		superblock_put(&sb->sb);
		return err;
	}
	*out = &sb->sb;
	return 0;
}

static const struct fs_type tmpfs_type = {
    .name = "tmpfs", .nodev = true, .user_mountable = true, .mount = tmpfs_mount};
static const struct fs_type ramfs_type = {
    .name = "ramfs", .nodev = true, .user_mountable = true, .mount = tmpfs_mount};

void tmpfs_init(void)
{
	fs_type_register(&tmpfs_type);
	fs_type_register(&ramfs_type);
}
