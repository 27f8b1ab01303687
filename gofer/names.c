/* Finding, making and removing names. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "common/host_tree.h"
#include "common/log.h"
#include "common/mem.h"
#include "gofer/server.h"

/* An entry for `name` in `dir`, whose O_PATH fd is dfd. */
static int lookup_entry(struct request *r, struct node *dir, int dfd, const char *name,
			struct statx *st, uint64_t *id)
{
	int err = dir->foreign ? -ENOENT : stat_name(dfd, name, st);

	if (!err)
		err = server_check_dev(r->srv, dfd, name, st);
	if (err >= 0)
		err = node_lookup(&r->srv->nodes, dir, name, st, -1, err == 1, id);
	if (!err) {
		err = reply_entry(r, *id, st);
		if (err)
			node_forget(&r->srv->nodes, *id, 1);
	}
	return err;
}

int op_lookup(struct request *r)
{
	const char *name;
	struct statx st;
	uint64_t id;
	int dfd, err = req_name(r, &name);

	if (err)
		return err;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	err = lookup_entry(r, r->node, dfd, name, &st, &id);
	node_unpin(&r->srv->nodes, r->node);
	return err;
}

/* One component of a walk: on success *dir (owned) is exchanged for what was found, or becomes
 * NULL where no further component can be. */
static int walk_step(struct request *r, struct node **dir)
{
	struct node_table *t = &r->srv->nodes;
	const char *name;
	struct statx st;
	uint64_t id;
	int dfd, err = req_name(r, &name);

	if (err)
		return err;
	dfd = node_pin(t, *dir);
	if (dfd < 0)
		return dfd;
	err = lookup_entry(r, *dir, dfd, name, &st, &id);
	node_unpin(t, *dir);
	if (err)
		return err;
	node_put(t, *dir);
	*dir = S_ISDIR(st.stx_mode) ? node_get(t, id) : NULL;
	return 0;
}

int op_walk(struct request *r)
{
	const struct gofer_walk_in *in = req_take(r, sizeof(*in));
	struct gofer_walk_out *out = req_reply(r, sizeof(*out));
	struct node *dir;
	int err = 0;

	if (!in->count || in->count > GOFER_WALK_MAX)
		return -EINVAL;
	dir = node_get(&r->srv->nodes, r->in->nodeid);
	for (uint32_t i = 0; i < in->count && dir && !err; i++) {
		err = walk_step(r, &dir);
		if (!err)
			out->count++;
	}
	if (dir)
		node_put(&r->srv->nodes, dir);
	out->error = err;
	return 0;
}

int op_forget(struct request *r)
{
	const struct fuse_forget_in *in = req_take(r, sizeof(*in));

	node_forget(&r->srv->nodes, r->in->nodeid, in->nlookup);
	return 0;
}

int op_batch_forget(struct request *r)
{
	const struct fuse_batch_forget_in *in = req_take(r, sizeof(*in));
	const struct fuse_forget_one *one;

	for (uint32_t i = 0; i < in->count && (one = req_take(r, sizeof(*one))); i++)
		node_forget(&r->srv->nodes, one->nodeid, one->nlookup);
	return 0;
}

/* ------------------------------------------------------------ making */

/* A new file is ours, that is root's, until it is settled: no setuid bit before. */
#define MODE_AT_BIRTH 0777

/*
 * Gives a new inode the owner and the mode that the client asked for, whatever our own identity,
 * a setgid directory or a default ACL made of it. By fd, never by name: whoever else can rename
 * in the directory could put another file in its place meanwhile, and we are root.
 */
static int settle(struct request *r, int fd, uint32_t mode, struct statx *st)
{
	bool changed = false;
	int err = 0;

	if (st->stx_uid != r->in->uid || st->stx_gid != r->in->gid) {
		err = host_fchownat(fd, "", r->in->uid, r->in->gid, AT_EMPTY_PATH);
		changed = true;
	}
	if (!err && !S_ISLNK(st->stx_mode) &&
	    ((st->stx_mode ^ mode) & 07777 || (changed && mode & 06000))) {
		err = host_fchmodat(AT_FDCWD, fd_path(fd).s, mode & 07777);
		changed = true;
	}
	return !err && changed ? host_statx(fd, "", AT_EMPTY_PATH, GOFER_STATX_MASK, st) : err;
}

/*
 * Is this what we have just made, and not something moved there since? Nobody can set a birth
 * time; where the file system keeps none, type and link count must do.
 */
static bool is_new(const struct statx *st, uint32_t mode, uint64_t begun)
{
	uint64_t born = (uint64_t)st->stx_btime.tv_sec * NSEC_PER_SEC + st->stx_btime.tv_nsec;

	if ((st->stx_mode ^ mode) & S_IFMT || (!S_ISDIR(mode) && st->stx_nlink != 1))
		return false;
	/* Time stamps are those of the last tick. */
	return !(st->stx_mask & STATX_BTIME) || born + 20 * NSEC_PER_MSEC >= begun;
}

/*
 * After a failure the name goes again, unless others may have moved their own file there: no call
 * removes a name only if it still is a certain file's. Where others share the directory it stays
 * as it was made, without special bits.
 */
static void unmake(struct request *r, int dfd, const char *name, const struct statx *st)
{
	struct statx now;

	if (!r->srv->nodes.exclusive || stat_name(dfd, name, &now) < 0)
		return;
	if (now.stx_ino != st->stx_ino || now.stx_dev_major != st->stx_dev_major ||
	    now.stx_dev_minor != st->stx_dev_minor)
		return;
	if (host_unlinkat(dfd, name, S_ISDIR(st->stx_mode) ? AT_REMOVEDIR : 0) < 0)
		log_warn("a file that could not be set up stays");
}

/* The entry of a name just made (fd: open on it, or -1). begun: host_realtime_ns() before. */
static int made(struct request *r, int dfd, const char *name, uint32_t mode, int fd, uint64_t begun)
{
	SCOPED_FD int path = fd < 0 ? host_open_name(dfd, name) : -1;
	struct statx st;
	uint64_t id;
	int err;

	if (fd < 0)
		fd = path;
	err = fd < 0 ? fd : host_statx(fd, "", AT_EMPTY_PATH, GOFER_STATX_MASK, &st);
	if (err)
		return err;
	if (!is_new(&st, mode, begun))
		return -ESTALE;
	err = settle(r, fd, mode, &st);
	if (!err)
		err = node_lookup(&r->srv->nodes, r->node, name, &st, -1, false, &id);
	if (!err)
		return reply_entry(r, id, &st);
	unmake(r, dfd, name, &st);
	return err;
}

int op_mknod(struct request *r)
{
	const struct fuse_mknod_in *in = req_take(r, sizeof(*in));
	uint64_t begun = host_realtime_ns();
	const char *name;
	int dfd, err = req_name(r, &name);

	if (err)
		return err;
	if (S_ISDIR(in->mode) || S_ISLNK(in->mode))
		return -EINVAL;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	err = host_mknodat(dfd, name, in->mode & (S_IFMT | MODE_AT_BIRTH), in->rdev);
	if (!err)
		err = made(r, dfd, name, in->mode, -1, begun);
	node_unpin(&r->srv->nodes, r->node);
	return err;
}

int op_mkdir(struct request *r)
{
	const struct fuse_mkdir_in *in = req_take(r, sizeof(*in));
	uint64_t begun = host_realtime_ns();
	const char *name;
	int dfd, err = req_name(r, &name);

	if (err)
		return err;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	err = host_mkdirat(dfd, name, in->mode & MODE_AT_BIRTH);
	if (!err)
		err = made(r, dfd, name, S_IFDIR | (in->mode & 07777), -1, begun);
	node_unpin(&r->srv->nodes, r->node);
	return err;
}

int op_symlink(struct request *r)
{
	uint64_t begun = host_realtime_ns();
	const char *name, *target;
	int dfd, err = req_name(r, &name);

	if (!err)
		err = req_string(r, &target, GOFER_PATH_MAX - 1);
	if (err)
		return err;
	if (!*target)
		return -ENOENT;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	err = host_symlinkat(target, dfd, name);
	if (!err)
		err = made(r, dfd, name, S_IFLNK | 0777, -1, begun);
	node_unpin(&r->srv->nodes, r->node);
	return err;
}

static int link_to(struct request *r, struct node *target, const char *name)
{
	struct node_table *t = &r->srv->nodes;
	struct statx st;
	uint64_t id;
	int from, dfd, err;

	from = node_pin(t, target);
	if (from < 0)
		return from;
	dfd = node_pin(t, r->node);
	if (dfd < 0) {
		node_unpin(t, target);
		return dfd;
	}
	err = host_linkat(AT_FDCWD, fd_path(from).s, dfd, name, AT_SYMLINK_FOLLOW);
	if (!err)
		err = lookup_entry(r, r->node, dfd, name, &st, &id);
	node_unpin(t, r->node);
	node_unpin(t, target);
	return err;
}

int op_link(struct request *r)
{
	const struct fuse_link_in *in = req_take(r, sizeof(*in));
	struct node *target;
	const char *name;
	int err = req_name(r, &name);

	if (err)
		return err;
	target = node_get(&r->srv->nodes, in->oldnodeid);
	if (!target)
		return -ESTALE;
	err = target->type == S_IFDIR || target->foreign ? -EPERM : link_to(r, target, name);
	node_put(&r->srv->nodes, target);
	return err;
}

/* ------------------------------------------------------------ removing, renaming */

/* The fd keeps the inode alive for a client that has the file open; see node_unlinked. */
static int remove_name(struct request *r, int flags)
{
	const char *name;
	struct statx st;
	int dfd, fd, err = req_name(r, &name);

	if (err)
		return err;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	fd = host_open_name(dfd, name);
	err = fd < 0 ? fd : stat_fd(fd, &st);
	if (!err)
		err = host_unlinkat(dfd, name, flags);
	node_unpin(&r->srv->nodes, r->node);
	if (!err)
		node_unlinked(&r->srv->nodes, r->node, name, &st, fd);
	else if (fd >= 0)
		host_close(fd);
	return err;
}

int op_unlink(struct request *r)
{
	return remove_name(r, 0);
}

int op_rmdir(struct request *r)
{
	return remove_name(r, AT_REMOVEDIR);
}

/* The short way for files that the client does not use: nothing has to be kept open. */
int op_remove(struct request *r)
{
	const struct gofer_remove_in *in = req_take(r, sizeof(*in));
	int flags = in->flags & GOFER_REMOVE_DIR ? AT_REMOVEDIR : 0;
	const char *name;
	int dfd, err;

	if (in->flags & GOFER_REMOVE_KEEP || !r->srv->nodes.exclusive)
		return remove_name(r, flags);
	err = req_name(r, &name);
	if (err)
		return err;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	err = host_unlinkat(dfd, name, flags);
	node_unpin(&r->srv->nodes, r->node);
	if (!err)
		node_gone(&r->srv->nodes, r->node, name, in->victim);
	return err;
}

struct rename_args {
	struct node *to;
	const char *old_name, *new_name;
	unsigned int flags;
};

/* Tells the node table what a rename did: `replaced_fd` was at the new name, or is < 0. */
static void renamed(struct request *r, const struct rename_args *a, int from, int to,
		    int replaced_fd, const struct statx *replaced)
{
	struct node_table *t = &r->srv->nodes;
	struct statx st;

	if (replaced_fd >= 0 && !(a->flags & RENAME_EXCHANGE))
		node_unlinked(t, a->to, a->new_name, replaced, replaced_fd);
	else if (replaced_fd >= 0)
		host_close(replaced_fd);
	if (stat_name(to, a->new_name, &st) == 0)
		node_renamed(t, a->to, a->new_name, &st);
	if (a->flags & RENAME_EXCHANGE && stat_name(from, a->old_name, &st) == 0)
		node_renamed(t, r->node, a->old_name, &st);
}

static int rename_pinned(struct request *r, const struct rename_args *a, int from, int to)
{
	struct statx st;
	int fd = host_open_name(to, a->new_name), err;

	if (fd >= 0 && stat_fd(fd, &st) < 0) {
		host_close(fd);
		fd = -1;
	}
	err = host_renameat2(from, a->old_name, to, a->new_name, a->flags);
	if (!err)
		renamed(r, a, from, to, fd, &st);
	else if (fd >= 0)
		host_close(fd);
	return err;
}

static int rename_nodes(struct request *r, const struct rename_args *a)
{
	struct node_table *t = &r->srv->nodes;
	int from, to, err;

	if (a->to->type != S_IFDIR)
		return -ENOTDIR;
	if (a->to->foreign)
		return -EACCES;
	from = node_pin(t, r->node);
	if (from < 0)
		return from;
	to = node_pin(t, a->to);
	if (to >= 0) {
		err = rename_pinned(r, a, from, to);
		node_unpin(t, a->to);
	} else {
		err = to;
	}
	node_unpin(t, r->node);
	return err;
}

static int rename_common(struct request *r, uint64_t newdir, unsigned int flags)
{
	struct rename_args a = {.flags = flags};
	int err = req_name(r, &a.old_name);

	if (!err)
		err = req_name(r, &a.new_name);
	if (err)
		return err;
	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	a.to = node_get(&r->srv->nodes, newdir);
	if (!a.to)
		return -ESTALE;
	err = rename_nodes(r, &a);
	node_put(&r->srv->nodes, a.to);
	return err;
}

int op_rename(struct request *r)
{
	const struct fuse_rename_in *in = req_take(r, sizeof(*in));

	return rename_common(r, in->newdir, 0);
}

int op_rename2(struct request *r)
{
	const struct fuse_rename2_in *in = req_take(r, sizeof(*in));

	return rename_common(r, in->newdir, in->flags);
}

/* ------------------------------------------------------------ files with an fd */

int op_open(struct request *r)
{
	const struct fuse_open_in *in = req_take(r, sizeof(*in));
	int access = (int)(in->flags & O_ACCMODE), path, err;
	SCOPED_FD int fd = -1;
	struct statx st;

	if (r->node->type != S_IFREG || access == O_ACCMODE)
		return -EINVAL;
	if (access != O_RDONLY && r->srv->read_only)
		return -EROFS;
	path = node_pin(&r->srv->nodes, r->node);
	if (path < 0)
		return path;
	fd = host_openat(AT_FDCWD, fd_path(path).s, access | O_NOCTTY | O_NONBLOCK, 0);
	node_unpin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	err = stat_fd(fd, &st);
	if (!err)
		err = S_ISREG(st.stx_mode) ? reply_attr(r, &st) : -EINVAL;
	if (err)
		return err;
	r->send_fd = fd;
	fd = -1;
	return 0;
}

int op_create(struct request *r)
{
	const struct fuse_create_in *in = req_take(r, sizeof(*in));
	int access = (int)(in->flags & O_ACCMODE), dfd, err;
	uint64_t begun = host_realtime_ns();
	const char *name;
	SCOPED_FD int fd = -1;

	err = access == O_ACCMODE ? -EINVAL : req_name(r, &name);
	if (err)
		return err;
	dfd = node_pin(&r->srv->nodes, r->node);
	if (dfd < 0)
		return dfd;
	fd = host_open_beneath(dfd, name, access | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY,
			       in->mode & MODE_AT_BIRTH);
	err = fd < 0 ? fd : made(r, dfd, name, S_IFREG | (in->mode & 07777), fd, begun);
	node_unpin(&r->srv->nodes, r->node);
	if (err)
		return err;
	r->send_fd = fd;
	fd = -1;
	return 0;
}

static int tmpfile_settle(struct request *r, int fd, uint32_t mode)
{
	struct statx st;
	uint64_t id;
	int path, err = host_statx(fd, "", AT_EMPTY_PATH, GOFER_STATX_MASK, &st);

	if (!err)
		err = settle(r, fd, S_IFREG | mode, &st);
	if (err)
		return err;
	path = host_openat(AT_FDCWD, fd_path(fd).s, O_PATH, 0);
	if (path < 0)
		return path;
	err = node_lookup(&r->srv->nodes, NULL, NULL, &st, path, false, &id);
	return err ? err : reply_entry(r, id, &st);
}

int op_tmpfile(struct request *r)
{
	const struct fuse_create_in *in = req_take(r, sizeof(*in));
	SCOPED_FD int fd = -1;
	int dfd = node_pin(&r->srv->nodes, r->node), err;

	if (dfd < 0)
		return dfd;
	fd = host_open_beneath(dfd, ".", O_RDWR | O_TMPFILE, in->mode & MODE_AT_BIRTH);
	node_unpin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	err = tmpfile_settle(r, fd, in->mode);
	if (err)
		return err;
	r->send_fd = fd;
	fd = -1;
	return 0;
}
