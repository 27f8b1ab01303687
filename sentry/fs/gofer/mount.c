/* Superblocks of the gofer file system, extended attributes, and the ops tables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/gofer/internal.h"

/* ------------------------------------------------------------ extended attributes */

static ssize_t xattr_read(struct inode *inode, uint32_t opcode, const char *name, void *value,
			  size_t size)
{
	size_t want = min(size, (size_t)GOFER_DATA_MAX);
	struct fuse_getxattr_in in = {.size = (uint32_t)want};
	struct fuse_getxattr_out length = {0};
	struct gofer_call call = {
	    .opcode = opcode,
	    .node = gofer_inode(inode)->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = size ? value : &length,
	    .out_max = size ? size : sizeof(length),
	    .out_min = size ? 0 : sizeof(length),
	    .fd = -1,
	};
	int err;

	if (name)
		call.in[call.nin++] = (struct iovec){(void *)name, strlen(name) + 1};
	err = client_call(&gofer_sb(inode)->client, &call);
	if (err)
		return err;
	return size ? (ssize_t)call.out_len : (ssize_t)length.size;
}

/* Most files have none at all; finding that out once spares all further questions. name (NULL:
 * a listing): what execve and writes ask for says nothing of the files around. */
static bool known_to_have_none(struct inode *inode, const char *name)
{
	struct gofer_inode *gi = gofer_inode(inode);
	struct gofer_sb *gs = gofer_sb(inode);

	if (gs->shared || atomic_load(&gi->no_xattrs))
		return !gs->shared;
	if (!name || strcmp(name, "security.capability") != 0)
		atomic_store(&gs->xattr_probe, host_monotonic_ns());
	if (xattr_read(inode, FUSE_LISTXATTR, NULL, NULL, 0) != 0)
		return false;
	atomic_store(&gi->no_xattrs, true);
	return true;
}

static ssize_t xattr_get(struct inode *inode, const char *name, void *value, size_t size)
{
	if (!gofer_xattr_served(name) || known_to_have_none(inode, name))
		return -ENODATA;
	return xattr_read(inode, FUSE_GETXATTR, name, value, size);
}

static ssize_t xattr_list(struct inode *inode, char *list, size_t size)
{
	if (known_to_have_none(inode, NULL))
		return 0;
	return xattr_read(inode, FUSE_LISTXATTR, NULL, list, size);
}

static int xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
		     int flags)
{
	struct {
		uint32_t size, flags;
	} in = {(uint32_t)size, (uint32_t)flags};
	struct gofer_call call = {
	    .opcode = FUSE_SETXATTR,
	    .node = gofer_inode(inode)->node,
	    .in = {{&in, sizeof(in)}, {(void *)name, strlen(name) + 1}, {(void *)value, size}},
	    .nin = 3,
	    .fd = -1,
	};

	if (size > GOFER_DATA_MAX)
		return -E2BIG;
	if (!gofer_xattr_served(name)) /* as in a container that may not mount */
		return strncmp(name, "trusted.", 8) ? -EOPNOTSUPP : -EPERM;
	gofer_mark_stale(inode);
	atomic_store(&gofer_inode(inode)->no_xattrs, false);
	return client_call(&gofer_sb(inode)->client, &call);
}

static int xattr_remove(struct inode *inode, const char *name)
{
	struct gofer_call call = {
	    .opcode = FUSE_REMOVEXATTR,
	    .node = gofer_inode(inode)->node,
	    .in = {{(void *)name, strlen(name) + 1}},
	    .nin = 1,
	    .fd = -1,
	};

	gofer_mark_stale(inode);
	return client_call(&gofer_sb(inode)->client, &call);
}

const struct xattr_ops gofer_xattr_ops = {
    .get = xattr_get,
    .set = xattr_set,
    .list = xattr_list,
    .remove = xattr_remove,
};

const struct inode_ops gofer_inode_ops = {
    .lookup = gofer_lookup,
    .create = gofer_create,
    .link = gofer_link,
    .unlink = gofer_unlink,
    .rmdir = gofer_rmdir,
    .rename = gofer_rename,
    .tmpfile = gofer_tmpfile,
    .readlink = gofer_readlink,
    .getattr = gofer_getattr,
    .setattr = gofer_setattr,
    .open = gofer_open,
    .xattr = &gofer_xattr_ops,
    .release = gofer_release,
    .walk_ahead = gofer_walk_ahead,
};

/* ------------------------------------------------------------ superblocks */

static int gofer_statfs(struct superblock *sb, struct kstatfs *out)
{
	struct gofer_sb *gs = container_of(sb, struct gofer_sb, sb);
	struct fuse_statfs_out reply = {0};
	struct gofer_call call = {
	    .opcode = FUSE_STATFS,
	    .node = FUSE_ROOT_ID,
	    .out = &reply,
	    .out_max = sizeof(reply),
	    .out_min = sizeof(reply),
	    .fd = -1,
	};
	int err = client_call(&gs->client, &call);

	if (err)
		return err;
	*out = (struct kstatfs){
	    .type = reply.st.spare[0],
	    .bsize = reply.st.bsize,
	    .blocks = reply.st.blocks,
	    .bfree = reply.st.bfree,
	    .bavail = reply.st.bavail,
	    .files = reply.st.files,
	    .ffree = reply.st.ffree,
	    .fsid = sb->dev,
	    .namelen = reply.st.namelen,
	    .frsize = reply.st.frsize,
	};
	return 0;
}

static int gofer_sync(struct superblock *sb)
{
	struct gofer_sb *gs = container_of(sb, struct gofer_sb, sb);
	struct fuse_syncfs_in in = {0};
	struct gofer_call call = {
	    .opcode = FUSE_SYNCFS,
	    .node = FUSE_ROOT_ID,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .fd = -1,
	};

	return client_call(&gs->client, &call);
}

/* Inodes that wait in the prefetch hold the superblock. */
static void gofer_shutdown(struct superblock *sb)
{
	struct gofer_sb *gs = container_of(sb, struct gofer_sb, sb);

	prefetch_drop_all(&gs->prefetch);
}

static void gofer_show_options(struct superblock *sb, char *buf, size_t size)
{
	struct gofer_sb *gs = container_of(sb, struct gofer_sb, sb);

	snprintf(buf, size, "%s", gs->shared ? "cache=shared" : "cache=exclusive");
}

static void gofer_sb_release(struct superblock *sb)
{
	struct gofer_sb *gs = container_of(sb, struct gofer_sb, sb);

	client_fini(&gs->client);
	free(gs->prefetch.buckets);
	free(gs->buckets);
	superblock_fini(sb);
	free(gs);
}

static const struct sb_ops exclusive_sb_ops = {
    .statfs = gofer_statfs,
    .sync = gofer_sync,
    .shutdown = gofer_shutdown,
    .show_options = gofer_show_options,
    .release = gofer_sb_release,
};

static const struct sb_ops shared_sb_ops = {
    .statfs = gofer_statfs,
    .revalidate = gofer_revalidate,
    .sync = gofer_sync,
    .shutdown = gofer_shutdown,
    .show_options = gofer_show_options,
    .release = gofer_sb_release,
};

static int make_root(struct gofer_sb *gs)
{
	struct fuse_getattr_in in = {0};
	struct gofer_attr_out out = {0};
	struct gofer_call call = {
	    .opcode = FUSE_GETATTR,
	    .node = FUSE_ROOT_ID,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &out,
	    .out_max = sizeof(out),
	    .out_min = sizeof(out),
	    .fd = -1,
	};
	struct gofer_entry_out e = {.e = {.nodeid = FUSE_ROOT_ID}};
	struct inode *root;
	int err = client_call(&gs->client, &call);

	if (err)
		return err;
	e.e.attr = out.a.attr;
	e.x = out.x;
	root = gofer_iget(gs, &e);
	superblock_set_root(&gs->sb, root);
	inode_put(root);
	return 0;
}

int gofer_mount(int channel_fd, const char *source, unsigned int flags, struct superblock **out)
{
	struct gofer_sb *gs = NEW(struct gofer_sb);
	int err = client_init(&gs->client, channel_fd);

	if (err) {
		free(gs);
		return err;
	}
	gs->shared = flags & GOFER_SHARED;
	superblock_init(&gs->sb, gs->shared ? &shared_sb_ops : &exclusive_sb_ops, "gofer", source);
	gs->sb.flags |= (gs->shared ? SB_NO_NEGATIVE : 0) | (flags & GOFER_RO ? SB_RDONLY : 0) |
			SB_NOATIME | SB_DROPS_CAPABILITY;
	mutex_init(&gs->table_lock, RANK_LEAF);
	prefetch_init(&gs->prefetch);
	err = make_root(gs);
	if (err) {
		superblock_put(&gs->sb);
		return err;
	}
	*out = &gs->sb;
	return 0;
}
