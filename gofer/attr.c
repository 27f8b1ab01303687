/* Attributes: reading, changing and encoding them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/host_file.h"
#include "common/host_tree.h"
#include "common/mem.h"
#include "gofer/server.h"

int stat_fd(int fd, struct statx *st)
{
	return host_statx(fd, "", AT_EMPTY_PATH, GOFER_STATX_MASK, st);
}

int stat_name(int dir, const char *name, struct statx *st)
{
	return host_statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, GOFER_STATX_MASK, st);
}

struct fd_path fd_path(int fd)
{
	struct fd_path p;

	snprintf(p.s, sizeof(p.s), "%d", fd);
	return p;
}

void fill_attr(struct fuse_attr *a, const struct statx *st)
{
	*a = (struct fuse_attr){
	    .ino = st->stx_ino,
	    .size = st->stx_size,
	    .blocks = st->stx_blocks,
	    .atime = (uint64_t)st->stx_atime.tv_sec,
	    .mtime = (uint64_t)st->stx_mtime.tv_sec,
	    .ctime = (uint64_t)st->stx_ctime.tv_sec,
	    .atimensec = st->stx_atime.tv_nsec,
	    .mtimensec = st->stx_mtime.tv_nsec,
	    .ctimensec = st->stx_ctime.tv_nsec,
	    .mode = st->stx_mode,
	    .nlink = st->stx_nlink,
	    .uid = st->stx_uid,
	    .gid = st->stx_gid,
	    .rdev = (uint32_t)makedev(st->stx_rdev_major, st->stx_rdev_minor),
	    .blksize = st->stx_blksize,
	};
}

static int reply_ext(struct request *r, const struct statx *st)
{
	struct gofer_ext *x;

	if (!atomic_load(&r->srv->extended))
		return 0;
	x = req_reply(r, sizeof(*x));
	if (!x)
		return -EIO;
	x->btime = st->stx_btime.tv_sec;
	x->btimensec = st->stx_mask & STATX_BTIME ? st->stx_btime.tv_nsec : NSEC_PER_SEC;
	return 0;
}

int reply_entry(struct request *r, uint64_t id, const struct statx *st)
{
	struct fuse_entry_out *e = req_reply(r, sizeof(*e));

	if (!e)
		return -EIO;
	e->nodeid = id;
	e->generation = id >> 32;
	fill_attr(&e->attr, st);
	return reply_ext(r, st);
}

int reply_attr(struct request *r, const struct statx *st)
{
	struct fuse_attr_out *a = req_reply(r, sizeof(*a));

	if (!a)
		return -EIO;
	fill_attr(&a->attr, st);
	return reply_ext(r, st);
}

/* ------------------------------------------------------------ foreign file systems */

/* Interfaces of the host's kernel are no files: opening or writing one acts on the host. */
static bool kernel_fs(uint32_t type)
{
	static const uint32_t refused[] = {
	    PROC_SUPER_MAGIC,
	    SYSFS_MAGIC,
	    CGROUP_SUPER_MAGIC,
	    CGROUP2_SUPER_MAGIC,
	    DEBUGFS_MAGIC,
	    TRACEFS_MAGIC,
	    BPF_FS_MAGIC,
	    SECURITYFS_MAGIC,
	    SELINUX_MAGIC,
	    SMACK_MAGIC,
	    EFIVARFS_MAGIC,
	    PSTOREFS_MAGIC,
	    NSFS_MAGIC,
	    DEVPTS_SUPER_MAGIC,
	    BINFMTFS_MAGIC,
	    BINDERFS_SUPER_MAGIC,
	    0x62656570 /* configfs */,
	    0x19800202 /* mqueue */,
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (type == refused[i])
			return true;
	return false;
}

static bool dev_known(struct server *s, uint64_t dev)
{
	bool known = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->ndevs && !known; i++)
		known = s->devs[i] == dev;
	pthread_mutex_unlock(&s->lock);
	return known;
}

int server_check_dev(struct server *s, int dir, const char *name, const struct statx *st)
{
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
	struct statfs fs;
	SCOPED_FD int fd = -1;
	int err;

	if (dev == s->devs[0] || dev_known(s, dev))
		return 0;
	fd = host_open_name(dir, name);
	if (fd < 0)
		return fd;
	err = host_fstatfs(fd, &fs);
	if (err < 0)
		return err;
	if (kernel_fs((uint32_t)fs.f_type))
		return S_ISDIR(st->stx_mode) ? 1 : -EACCES;
	pthread_mutex_lock(&s->lock);
	if (s->ndevs < EXPORT_DEVS_MAX)
		s->devs[s->ndevs++] = dev;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ------------------------------------------------------------ handlers */

int op_getattr(struct request *r)
{
	struct statx st;
	int fd = node_pin(&r->srv->nodes, r->node), err;

	if (fd < 0)
		return fd;
	err = stat_fd(fd, &st);
	node_unpin(&r->srv->nodes, r->node);
	return err < 0 ? err : reply_attr(r, &st);
}

static struct timespec time_arg(const struct fuse_setattr_in *in, unsigned int set,
				unsigned int now, uint64_t sec, uint32_t nsec)
{
	if (in->valid & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (in->valid & set)
		return (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = nsec % NSEC_PER_SEC};
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
	const struct timespec ts[2] = {
	    time_arg(in, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
	    time_arg(in, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	return host_utimensat(fd, "", ts, AT_EMPTY_PATH);
}

/* The order matters: a change of owner clears setuid bits that a change of mode then sets. */
static int set_all(struct request *r, int fd, const struct fuse_setattr_in *in)
{
	const unsigned int times = FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW;
	struct fd_path path = fd_path(fd);
	int err = 0;

	if (in->valid & (FATTR_UID | FATTR_GID))
		err = host_fchownat(fd, "", in->valid & FATTR_UID ? in->uid : (uid_t)-1,
				    in->valid & FATTR_GID ? in->gid : (gid_t)-1, AT_EMPTY_PATH);
	if (!err && in->valid & FATTR_SIZE) {
		err = r->node->type == S_IFREG ? 0 : -EINVAL;
		if (!err)
			err = host_truncate(path.s, (off_t)in->size);
	}
	if (!err && in->valid & FATTR_MODE)
		err = r->node->type == S_IFLNK ? -EOPNOTSUPP
					       : host_fchmodat(AT_FDCWD, path.s, in->mode & 07777);
	if (!err && in->valid & times)
		err = set_times(fd, in);
	return err;
}

int op_setattr(struct request *r)
{
	const struct fuse_setattr_in *in = req_take(r, sizeof(*in));
	struct statx st;
	int fd = node_pin(&r->srv->nodes, r->node), err;

	if (fd < 0)
		return fd;
	err = set_all(r, fd, in);
	if (!err)
		err = stat_fd(fd, &st);
	node_unpin(&r->srv->nodes, r->node);
	return err < 0 ? err : reply_attr(r, &st);
}

int op_readlink(struct request *r)
{
	size_t size = min(r->out_max, (size_t)GOFER_PATH_MAX);
	ssize_t n;
	int fd;

	if (r->node->type != S_IFLNK)
		return -EINVAL;
	fd = node_pin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	n = host_readlinkat(fd, "", r->out, size);
	node_unpin(&r->srv->nodes, r->node);
	if (n < 0)
		return (int)n;
	r->out_len = (size_t)n;
	return 0;
}

int op_statfs(struct request *r)
{
	struct fuse_statfs_out *out = req_reply(r, sizeof(*out));
	struct statfs fs;
	int fd = node_pin(&r->srv->nodes, r->node), err;

	if (fd < 0)
		return fd;
	err = host_fstatfs(fd, &fs);
	node_unpin(&r->srv->nodes, r->node);
	if (err < 0)
		return err;
	out->st = (struct fuse_kstatfs){
	    .blocks = fs.f_blocks,
	    .bfree = fs.f_bfree,
	    .bavail = fs.f_bavail,
	    .files = fs.f_files,
	    .ffree = fs.f_ffree,
	    .bsize = (uint32_t)fs.f_bsize,
	    .namelen = (uint32_t)fs.f_namelen,
	    .frsize = (uint32_t)fs.f_frsize,
	    .spare = {(uint32_t)fs.f_type},
	};
	return 0;
}

static int reopen(struct request *r, int flags)
{
	int path = node_pin(&r->srv->nodes, r->node), fd;

	if (path < 0)
		return path;
	fd = host_openat(AT_FDCWD, fd_path(path).s, flags | O_NOCTTY | O_NONBLOCK, 0);
	node_unpin(&r->srv->nodes, r->node);
	return fd;
}

int op_fsync(struct request *r)
{
	const struct fuse_fsync_in *in = req_take(r, sizeof(*in));
	SCOPED_FD int fd = -1;

	if (r->node->type != S_IFREG && r->node->type != S_IFDIR)
		return -EINVAL;
	fd = reopen(r, O_RDONLY);
	if (fd < 0)
		return fd;
	return in->fsync_flags & FUSE_FSYNC_FDATASYNC ? host_fdatasync(fd) : host_fsync(fd);
}

int op_syncfs(struct request *r)
{
	SCOPED_FD int fd = -1;

	if (r->node->type != S_IFREG && r->node->type != S_IFDIR)
		return -EINVAL;
	fd = reopen(r, O_RDONLY);
	return fd < 0 ? fd : host_syncfs(fd);
}
