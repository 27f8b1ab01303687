/* stat(2), statx(2), access(2), statfs(2). */
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sentry/abi/stat.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

#define AT_STATX_SYNC (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)

static long put_stat(struct task *t, uaddr to, const struct kstat *st)
{
	struct abi_stat out = {
	    .dev = st->dev,
	    .ino = st->ino,
	    .nlink = st->nlink,
	    .mode = st->mode,
	    .uid = task_show_uid(t, st->uid),
	    .gid = task_show_gid(t, st->gid),
	    .rdev = st->rdev,
	    .size = (int64_t)st->size,
	    .blksize = st->blksize,
	    .blocks = (int64_t)st->blocks,
	    .atime = (uint64_t)st->atime.tv_sec,
	    .atime_nsec = (uint64_t)st->atime.tv_nsec,
	    .mtime = (uint64_t)st->mtime.tv_sec,
	    .mtime_nsec = (uint64_t)st->mtime.tv_nsec,
	    .ctime = (uint64_t)st->ctime.tv_sec,
	    .ctime_nsec = (uint64_t)st->ctime.tv_nsec,
	};

	return copyout_late(t, to, &out, sizeof(out));
}

static int getattr_fd(struct task *t, int fd, struct kstat *st)
{
	struct file *f = fd_get(t->files, fd);
	int err;

	if (!f)
		return -EBADF;
	err = vfs_fgetattr(f, st);
	file_put(f);
	return err;
}

/* An empty or absent path with AT_EMPTY_PATH is the descriptor itself: the way that libc's
 * fstat(3) goes. */
static bool names_fd(struct task *t, int dirfd, uaddr name, int flags)
{
	char first = 1;

	if (!(flags & AT_EMPTY_PATH) || dirfd < 0)
		return false;
	return uaddr_null(name) || (copyin(t, &first, name, 1) == 0 && first == 0);
}

static int getattr_at(struct task *t, int dirfd, uaddr name, int flags, struct kstat *st,
		      uint64_t *mnt_id)
{
	struct path path;
	int err;

	if (!mnt_id && names_fd(t, dirfd, name, flags))
		return getattr_fd(t, dirfd, st);
	err = fs_at_lookup(t, dirfd, name, flags, &path);
	if (err < 0)
		return err;
	err = vfs_getattr(&path, st);
	if (mnt_id) {
		*mnt_id = (uint64_t)path.mnt->id;
		if (path.dentry == path.mnt->root)
			st->attributes |= STATX_ATTR_MOUNT_ROOT;
	}
	path_put(&path);
	return err;
}

static long stat_at(struct task *t, int dirfd, uaddr name, int flags, uaddr to)
{
	struct kstat st;
	int err = getattr_at(t, dirfd, name, flags, &st, NULL);

	return err < 0 ? err : put_stat(t, to, &st);
}

long sys_stat(struct task *t, const struct sysargs *a)
{
	return stat_at(t, AT_FDCWD, UADDR(a->v[0]), 0, UADDR(a->v[1]));
}

long sys_lstat(struct task *t, const struct sysargs *a)
{
	return stat_at(t, AT_FDCWD, UADDR(a->v[0]), AT_SYMLINK_NOFOLLOW, UADDR(a->v[1]));
}

long sys_fstat(struct task *t, const struct sysargs *a)
{
	struct kstat st;
	int err = getattr_fd(t, (int)a->v[0], &st);

	return err < 0 ? err : put_stat(t, UADDR(a->v[1]), &st);
}

long sys_newfstatat(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[3];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	return stat_at(t, (int)a->v[0], UADDR(a->v[1]), flags, UADDR(a->v[2]));
}

static struct statx_timestamp stamp(struct timespec ts)
{
	return (struct statx_timestamp){.tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec};
}

long sys_statx(struct task *t, const struct sysargs *a)
{
	unsigned int mask = (unsigned int)a->v[3];
	int flags = (int)a->v[2], err;
	struct kstat st;
	uint64_t mnt_id;

	if ((mask & STATX__RESERVED) || (flags & AT_STATX_SYNC) == AT_STATX_SYNC ||
	    (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC)))
		return -EINVAL;
	err = getattr_at(t, (int)a->v[0], UADDR(a->v[1]), flags, &st, &mnt_id);
	if (err < 0)
		return err;
	struct statx out = {
	    .stx_mask = STATX_BASIC_STATS | STATX_MNT_ID,
	    .stx_blksize = st.blksize,
	    .stx_attributes = st.attributes,
	    .stx_attributes_mask = STATX_ATTR_MOUNT_ROOT,
	    .stx_nlink = st.nlink,
	    .stx_uid = task_show_uid(t, st.uid),
	    .stx_gid = task_show_gid(t, st.gid),
	    .stx_mode = (uint16_t)st.mode,
	    .stx_ino = st.ino,
	    .stx_size = st.size,
	    .stx_blocks = st.blocks,
	    .stx_atime = stamp(st.atime),
	    .stx_ctime = stamp(st.ctime),
	    .stx_mtime = stamp(st.mtime),
	    .stx_rdev_major = major(st.rdev),
	    .stx_rdev_minor = minor(st.rdev),
	    .stx_dev_major = major(st.dev),
	    .stx_dev_minor = minor(st.dev),
	    .stx_mnt_id = mnt_id,
	};
	if (st.btime.tv_nsec >= 0) {
		out.stx_btime = stamp(st.btime);
		out.stx_mask |= STATX_BTIME;
	}
	return copyout_late(t, UADDR(a->v[4]), &out, sizeof(out));
}

/* --- access ---------------------------------------------------------------------------- */

/* access(2) asks for the real ids, with the capabilities that they would have. */
static struct cred *real_cred(const struct cred *c)
{
	struct cred *r = cred_dup(c);

	r->fsuid = r->uid;
	r->fsgid = r->gid;
	if (!(r->securebits & 1) && r->uid != user_ns_in(r->user_ns, ID_UID, 0)) /* SECBIT_NOROOT */
		r->effective = 0;
	else if (!(r->securebits & 1))
		r->effective = r->permitted;
	return r;
}

static int walk_and_check(struct task *t, struct fs_at *at, int mode, int flags)
{
	unsigned int walk = (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
			    (flags & AT_EMPTY_PATH ? WALK_EMPTY_PATH : 0);
	const struct cred *c = t->cred;
	struct cred *real = NULL;
	struct path path;
	int err;

	if (!(flags & AT_EACCESS) &&
	    (c->uid != c->fsuid || c->gid != c->fsgid ||
	     (c->uid != user_ns_in(c->user_ns, ID_UID, 0) ? c->effective
							  : c->effective != c->permitted)))
		at->env.cred = real = real_cred(c);
	err = path_walk(&at->env, at->base, at->name, walk, &path);
	if (err == 0) {
		err = mode ? vfs_access(&path, at->env.cred, mode) : 0;
		path_put(&path);
	}
	if (real)
		cred_put(real);
	return err;
}

static long access_at(struct task *t, int dirfd, uaddr name, int mode, int flags)
{
	struct fs_at at UNINITIALIZED;
	int err;

	if ((mode & ~7) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	err = fs_at_begin(t, &at, dirfd, name, flags & AT_EMPTY_PATH);
	if (err < 0)
		return err;
	err = walk_and_check(t, &at, mode, flags);
	fs_at_end(&at);
	return err;
}

long sys_access(struct task *t, const struct sysargs *a)
{
	return access_at(t, AT_FDCWD, UADDR(a->v[0]), (int)a->v[1], 0);
}

long sys_faccessat(struct task *t, const struct sysargs *a)
{
	return access_at(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2], 0);
}

long sys_faccessat2(struct task *t, const struct sysargs *a)
{
	return access_at(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2], (int)a->v[3]);
}

/* --- statfs ------------------------------------------------------------------------------- */

static int64_t mount_flags(const struct path *p)
{
	static const struct {
		unsigned long mount;
		int64_t st;
	} map[] = {
	    {MS_RDONLY, ST_RDONLY}, {MS_NOSUID, ST_NOSUID},   {MS_NODEV, ST_NODEV},
	    {MS_NOEXEC, ST_NOEXEC}, {MS_NOATIME, ST_NOATIME}, {MS_NODIRATIME, ST_NODIRATIME},
	};
	unsigned long flags = p->mnt->flags;
	int64_t out = 0x20; /* ST_VALID */

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (flags & map[i].mount)
			out |= map[i].st;
	if (mount_want_write(p->mnt) < 0)
		out |= ST_RDONLY;
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		out |= ST_RELATIME;
	return out;
}

static long put_statfs(struct task *t, uaddr to, const struct path *p)
{
	struct kstatfs s = {0};
	int err = vfs_statfs(p, &s);
	struct abi_statfs out = {
	    .type = (int64_t)s.type,
	    .bsize = (int64_t)s.bsize,
	    .blocks = (int64_t)s.blocks,
	    .bfree = (int64_t)s.bfree,
	    .bavail = (int64_t)s.bavail,
	    .files = (int64_t)s.files,
	    .ffree = (int64_t)s.ffree,
	    .fsid = {(int32_t)s.fsid, (int32_t)(s.fsid >> 32)},
	    .namelen = (int64_t)s.namelen,
	    .frsize = (int64_t)s.frsize,
	    .flags = mount_flags(p),
	};

	return err < 0 ? err : copyout_late(t, to, &out, sizeof(out));
}

long sys_statfs(struct task *t, const struct sysargs *a)
{
	struct path path;
	long err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[0]), 0, &path);

	if (err < 0)
		return err;
	err = put_statfs(t, UADDR(a->v[1]), &path);
	path_put(&path);
	return err;
}

long sys_fstatfs(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t->files, (int)a->v[0]);
	struct path path;
	long err;

	if (!f)
		return -EBADF;
	err = file_path(f, &path);
	file_put(f);
	if (err < 0)
		return err;
	err = put_statfs(t, UADDR(a->v[1]), &path);
	path_put(&path);
	return err;
}

/* ustat(2): only the device numbers of mounted file systems are known, and no mount says how
 * many inodes are free in a way that anyone still reads. */
long sys_ustat(struct task *t, const struct sysargs *a)
{
	struct abi_ustat out = {0};
	struct task_walk w;
	struct walk_env env;
	struct superblock *sb;
	long err = -EINVAL;

	task_walk_begin(t, &w, &env);
	sb = path_inode(&w.cwd)->sb;
	if (sb->dev == (uint32_t)a->v[0]) {
		struct kstatfs s = {0};

		err = vfs_statfs(&w.cwd, &s);
		out.tfree = (int32_t)s.bfree;
		out.tinode = s.ffree;
	}
	task_walk_end(&w);
	return err < 0 ? err : copyout(t, UADDR(a->v[1]), &out, sizeof(out));
}
