/*
 * Inodes of the gofer file system: one for each node of the gofer, which has one
 * for each file whatever the number of its names.
 *
 * Attributes. On an exclusive export nobody but us changes files, so what the
 * gofer once said stays right until we change it. Changes that the host makes on
 * its own account (times and link counts of directories) mark the inode stale,
 * and the next stat asks again. A file that is open for writing is asked by
 * fstat, since guests write through its fd and through mappings. On a shared
 * export attributes are believed for SHARED_FRESH_NS only, which makes a walk
 * and the stat behind it one question.
 *
 * The table finds inodes by node number and holds no reference; an inode that
 * is being released may share its number with its successor for a moment, and
 * the gofer counts lookups for both.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/host.h"
#include "common/host_file.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/gofer/internal.h"

/* ------------------------------------------------------------ table */

static struct gofer_inode **bucket(struct gofer_sb *gs, uint64_t node)
{
	return &gs->buckets[(uint32_t)(node ^ node >> 32) & (gs->nbuckets - 1)];
}

/* Without memory for a longer table the chains get longer. */
static void table_grow_locked(struct gofer_sb *gs)
{
	uint32_t old_n = gs->nbuckets, n = old_n ? old_n * 2 : INODE_BUCKETS_MIN;
	struct gofer_inode **old = gs->buckets;
	struct gofer_inode **buckets =
	    old ? try_calloc(n, sizeof(*buckets)) : xzalloc(n * sizeof(*buckets));

	if (!buckets)
		return;
	gs->buckets = buckets;
	gs->nbuckets = n;
	for (uint32_t i = 0; i < old_n; i++) {
		struct gofer_inode *next;

		for (struct gofer_inode *gi = old[i]; gi; gi = next) {
			struct gofer_inode **b = bucket(gs, gi->node);

			next = gi->hash_next;
			gi->hash_next = *b;
			*b = gi;
		}
	}
	free(old);
}

static struct gofer_inode *table_find_locked(struct gofer_sb *gs, uint64_t node)
{
	struct gofer_inode *gi = gs->buckets ? *bucket(gs, node) : NULL;

	while (gi && !(gi->node == node && ref_get_unless_zero(&gi->inode.ref)))
		gi = gi->hash_next;
	return gi;
}

static void table_add_locked(struct gofer_sb *gs, struct gofer_inode *gi)
{
	struct gofer_inode **b;

	if (gs->ninodes++ >= gs->nbuckets)
		table_grow_locked(gs);
	b = bucket(gs, gi->node);
	gi->hash_next = *b;
	*b = gi;
}

static void table_del_locked(struct gofer_sb *gs, struct gofer_inode *gi)
{
	struct gofer_inode **p = bucket(gs, gi->node);

	while (*p != gi)
		p = &(*p)->hash_next;
	*p = gi->hash_next;
	gs->ninodes--;
}

/* ------------------------------------------------------------ attributes */

static struct timespec to_timespec(uint64_t sec, uint32_t nsec)
{
	return (struct timespec){(time_t)sec, (long)(nsec % NSEC_PER_SEC)};
}

void gofer_apply_locked(struct gofer_inode *gi, const struct fuse_attr *a)
{
	struct inode *inode = &gi->inode;

	inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	inode->uid = a->uid;
	inode->gid = a->gid;
	inode->nlink = a->nlink;
	inode->size = a->size;
	inode->atime = to_timespec(a->atime, a->atimensec);
	inode->mtime = to_timespec(a->mtime, a->mtimensec);
	inode->ctime = to_timespec(a->ctime, a->ctimensec);
	gi->blocks = a->blocks;
	gi->blksize = a->blksize;
	atomic_store(&gi->checked, host_monotonic_ns());
	atomic_store(&gi->stale, false);
}

/* Not the owner: our fstat sees it through the sentry's user namespace, as nobody. On an
 * exclusive export only we change it. */
static void apply_stat_locked(struct gofer_inode *gi, const struct stat *st)
{
	struct inode *inode = &gi->inode;

	inode->mode = (inode->mode & S_IFMT) | (st->st_mode & 07777);
	inode->nlink = (uint32_t)st->st_nlink;
	inode->size = (uint64_t)st->st_size;
	inode->atime = st->st_atim;
	inode->mtime = st->st_mtim;
	inode->ctime = st->st_ctim;
	gi->blocks = (uint64_t)st->st_blocks;
	gi->blksize = (uint32_t)st->st_blksize;
	if (!gofer_sb(inode)->shared)
		atomic_store(&gi->stale, false);
}

void gofer_mark_stale(struct inode *inode)
{
	atomic_store(&gofer_inode(inode)->stale, true);
}

static bool fresh(const struct gofer_sb *gs, struct gofer_inode *gi)
{
	if (atomic_load(&gi->stale))
		return false;
	return !gs->shared || host_monotonic_ns() - atomic_load(&gi->checked) < SHARED_FRESH_NS;
}

static int ask_locked(struct gofer_sb *gs, struct gofer_inode *gi)
{
	struct fuse_getattr_in in = {0};
	struct gofer_attr_out out = {0};
	struct gofer_call call = {
	    .opcode = FUSE_GETATTR,
	    .node = gi->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &out,
	    .out_max = sizeof(out),
	    .out_min = sizeof(out),
	    .fd = -1,
	};
	int err = client_call(&gs->client, &call);

	if (!err)
		gofer_apply_locked(gi, &out.a.attr);
	return err;
}

/* A file that is open for writing is looked at itself, since nobody tells us of its writes. */
static int refresh_locked(struct gofer_sb *gs, struct gofer_inode *gi)
{
	int fd = hostfd_hold_written(gi), err = 0;
	struct stat st;

	if (!atomic_load(&gi->gone) && (fd < 0 || gs->shared) && !fresh(gs, gi))
		err = ask_locked(gs, gi);
	if (fd < 0)
		return err;
	if (!err)
		err = host_fstat(fd, &st);
	if (!err)
		apply_stat_locked(gi, &st);
	hostfd_put(gi);
	return err;
}

int gofer_getattr(struct inode *inode, struct kstat *st)
{
	struct gofer_inode *gi = gofer_inode(inode);
	int err;

	SCOPED_LOCK(&inode->data_lock);
	err = refresh_locked(gofer_sb(inode), gi);
	if (err)
		return err;
	*st = (struct kstat){
	    .dev = inode->sb->dev,
	    .ino = inode->ino,
	    .rdev = inode->rdev,
	    .mode = inode->mode,
	    .nlink = inode->nlink,
	    .uid = inode->uid,
	    .gid = inode->gid,
	    .size = inode->size,
	    .blocks = gi->blocks,
	    .blksize = gi->blksize,
	    .atime = inode->atime,
	    .mtime = inode->mtime,
	    .ctime = inode->ctime,
	    .btime = inode->btime,
	};
	return 0;
}

static void fill_setattr(struct fuse_setattr_in *in, const struct iattr *attr)
{
	/* The bits of both are the same from FATTR_MODE to FATTR_MTIME but for FATTR_FH. */
	if (attr->valid & IATTR_MODE)
		in->valid |= FATTR_MODE;
	if (attr->valid & IATTR_UID)
		in->valid |= FATTR_UID;
	if (attr->valid & IATTR_GID)
		in->valid |= FATTR_GID;
	if (attr->valid & IATTR_SIZE)
		in->valid |= FATTR_SIZE;
	if (attr->valid & IATTR_ATIME)
		in->valid |= FATTR_ATIME;
	if (attr->valid & IATTR_MTIME)
		in->valid |= FATTR_MTIME;
	if (attr->valid & IATTR_ATIME_NOW)
		in->valid |= FATTR_ATIME | FATTR_ATIME_NOW;
	if (attr->valid & IATTR_MTIME_NOW)
		in->valid |= FATTR_MTIME | FATTR_MTIME_NOW;
	in->mode = attr->mode;
	in->uid = attr->uid;
	in->gid = attr->gid;
	in->size = attr->size;
	in->atime = (uint64_t)attr->atime.tv_sec;
	in->atimensec = (uint32_t)attr->atime.tv_nsec;
	in->mtime = (uint64_t)attr->mtime.tv_sec;
	in->mtimensec = (uint32_t)attr->mtime.tv_nsec;
}

/* ftruncate and the like on a file that is open for writing need no gofer; but with our fd the
 * host would take set-id bits away, about which fs/ has decided. */
static int truncate_open_locked(struct gofer_inode *gi, const struct iattr *attr)
{
	struct stat st;
	int fd, err;

	if (attr->valid & ~(IATTR_SIZE | IATTR_CTIME) || gi->inode.mode & (S_ISUID | S_ISGID))
		return -EAGAIN;
	fd = hostfd_hold_written(gi);
	if (fd < 0)
		return -EAGAIN;
	err = host_ftruncate(fd, (off_t)attr->size);
	if (!err)
		err = host_fstat(fd, &st);
	if (!err)
		apply_stat_locked(gi, &st);
	hostfd_put(gi);
	return err;
}

int gofer_setattr(struct inode *inode, const struct iattr *attr)
{
	struct gofer_inode *gi = gofer_inode(inode);
	struct fuse_setattr_in in = {0};
	struct gofer_attr_out out = {0};
	struct gofer_call call = {
	    .opcode = FUSE_SETATTR,
	    .node = gi->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &out,
	    .out_max = sizeof(out),
	    .out_min = sizeof(out),
	    .fd = -1,
	};
	int err = truncate_open_locked(gi, attr);

	if (err != -EAGAIN)
		return err;
	if (atomic_load(&gi->gone)) {
		inode_apply_attr(inode, attr); /* for whoever holds it by O_PATH */
		return 0;
	}
	fill_setattr(&in, attr);
	if (!in.valid)
		return 0;
	err = client_call(&gofer_sb(inode)->client, &call);
	if (!err)
		gofer_apply_locked(gi, &out.a.attr);
	return err;
}

/* ------------------------------------------------------------ life */

static struct gofer_inode *inode_new(struct gofer_sb *gs, const struct gofer_entry_out *e)
{
	const struct fuse_attr *a = &e->e.attr;
	struct gofer_inode *gi = CHARGED_NEW(struct gofer_inode);

	inode_init(&gi->inode, &gs->sb, &gofer_inode_ops, a->ino, a->mode);
	gi->inode.rdev = a->rdev;
	gi->node = e->e.nodeid;
	gi->nlookup = 1;
	atomic_init(&gi->fd_ro, -1);
	atomic_init(&gi->fd_rw, -1);
	atomic_init(&gi->fd_map, -1);
	list_init(&gi->idle);
	list_init(&gi->listing_age);
	atomic_init(&gi->no_xattrs, !gs->shared && e->x.flags & GOFER_EXT_NO_XATTRS);
	gi->inode.btime = (struct timespec){e->x.btime, e->x.btimensec};
	if (e->x.btimensec >= NSEC_PER_SEC)
		gi->inode.btime = (struct timespec){0, -1};
	gofer_apply_locked(gi, a); /* nobody else has it yet */
	return gi;
}

/* An inode that was there already: what the gofer says is newer where we have nothing better. */
static void update_known(struct gofer_sb *gs, struct gofer_inode *gi,
			 const struct gofer_entry_out *e)
{
	if (!gs->shared && !atomic_load(&gi->stale))
		return;
	SCOPED_LOCK(&gi->inode.data_lock);
	if (gs->shared || atomic_load(&gi->fd_rw) < 0)
		gofer_apply_locked(gi, &e->e.attr);
}

struct inode *gofer_iget(struct gofer_sb *gs, const struct gofer_entry_out *e)
{
	struct gofer_inode *gi, *fresh_one = NULL;

	mutex_lock(&gs->table_lock);
	gi = table_find_locked(gs, e->e.nodeid);
	if (gi)
		gi->nlookup++;
	mutex_unlock(&gs->table_lock);
	if (gi) {
		update_known(gs, gi, e);
		return &gi->inode;
	}

	fresh_one = inode_new(gs, e);
	mutex_lock(&gs->table_lock);
	gi = table_find_locked(gs, e->e.nodeid);
	if (gi)
		gi->nlookup++;
	else
		table_add_locked(gs, fresh_one);
	mutex_unlock(&gs->table_lock);
	if (!gi)
		return &fresh_one->inode;
	inode_fini(&fresh_one->inode);
	charged_free(fresh_one);
	return &gi->inode;
}

void gofer_release(struct inode *inode)
{
	struct gofer_inode *gi = gofer_inode(inode);
	struct gofer_sb *gs = gofer_sb(inode);
	/* Space that a deleted file holds should come back soon. */
	bool now = inode->nlink == 0 && gi->blocks > 2048;

	mutex_lock(&gs->table_lock);
	table_del_locked(gs, gi);
	mutex_unlock(&gs->table_lock);
	hostfd_close_all(gi);
	gofer_drop_listing(gi);
	known_free(gi);
	if (gi->node != FUSE_ROOT_ID)
		client_forget(&gs->client, gi->node, gi->nlookup, now);
	inode_fini(inode);
	charged_free(gi);
}
