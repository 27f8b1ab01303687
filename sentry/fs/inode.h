/*
 * Inodes and superblocks. A file system embeds `struct inode` in its own node
 * and gives const ops tables. Permission checks, quota of names, sticky bits,
 * setuid clearing and the like are done once, in fs/ (perm.c, namei.c,
 * attr.c), not in the file systems.
 *
 * Locks per op: lookup and all ops that change a directory run under the
 * directory's dir_lock (rename: both, and the superblock's rename_lock when they
 * differ); setattr, truncate run under data_lock. An op may call the gofer.
 */
#ifndef GARRISON_SENTRY_FS_INODE_H
#define GARRISON_SENTRY_FS_INODE_H

#include <stdatomic.h>
#include <time.h>

#include "common/list.h"
#include "common/refcount.h"
#include "sentry/core/cred.h"
#include "sentry/fs/path.h"
#include "sentry/locks.h"

struct guest_access;
struct superblock;
struct kstatfs;
struct file;
struct dentry;
struct file_lock_set;
struct inotify_set;

/* What stat(2) and statx(2) report, in kernel-neutral form. */
struct kstat {
	uint64_t dev, ino, rdev;
	uint32_t mode, nlink, uid, gid;
	uint64_t size, blocks; /* blocks: 512 bytes each */
	uint32_t blksize;
	struct timespec atime, mtime, ctime, btime; /* btime.tv_nsec -1: unknown */
	uint64_t attributes;			    /* STATX_ATTR_* */
};

/* Which fields of a struct iattr count. */
#define IATTR_MODE BIT(0)
#define IATTR_UID BIT(1)
#define IATTR_GID BIT(2)
#define IATTR_SIZE BIT(3)
#define IATTR_ATIME BIT(4)
#define IATTR_MTIME BIT(5)
#define IATTR_ATIME_NOW BIT(6)
#define IATTR_MTIME_NOW BIT(7)
#define IATTR_CTIME BIT(8)
/* Only for vfs_setattr: chown(2), which takes set-id bits and file capabilities away even if it
 * changes neither owner nor group. setattr ops see the outcome in IATTR_MODE. */
#define IATTR_KILL_PRIVS BIT(9)

struct iattr {
	unsigned int valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec atime, mtime;
	struct file *file; /* ftruncate: the open file, else NULL */
};

/* For create, mkdir, mknod, symlink: who owns the new inode. fs/ has applied umask and the
 * directory's setgid bit. */
struct new_inode {
	uint32_t mode, uid, gid; /* mode with S_IFMT */
	uint64_t rdev;
	const char *target; /* symlink */
};

/*
 * `name` is a counted string without slash, 1..255 bytes, not "." or "..".
 * Each op that yields an inode returns an owned reference.
 */
struct inode_ops {
	/* -ENOENT: there is none (the negative dentry is cached if the superblock allows). */
	int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out);
	/* Regular files, directories, devices, FIFOs, sockets and links alike, by new->mode. */
	int (*create)(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		      struct inode **out);
	int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
	int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *victim);
	int (*rmdir)(struct inode *dir, const char *name, size_t len, struct inode *victim);
	/* flags: RENAME_NOREPLACE (checked by fs/ too), RENAME_EXCHANGE, RENAME_WHITEOUT.
	 * replaced is NULL or the inode that the new name had. */
	int (*rename)(struct inode *old_dir, const char *old_name, size_t old_len,
		      struct inode *new_dir, const char *new_name, size_t new_len,
		      struct inode *moved, struct inode *replaced, unsigned int flags);
	/* A file without a name (O_TMPFILE); NULL: -EOPNOTSUPP. */
	int (*tmpfile)(struct inode *dir, const struct new_inode *new, struct inode **out);
	/* Target of a symbolic link, not NUL-terminated: length or -errno. `caller` may be NULL. */
	ssize_t (*readlink)(struct inode *inode, struct guest_access *caller, char *buf,
			    size_t size);
	/* A magic link: jumps to *out instead of reading a target. `caller` as in walk_env. */
	int (*follow)(struct inode *inode, struct guest_access *caller, struct path *out);
	int (*getattr)(struct inode *inode, struct kstat *st); /* NULL: inode_fill_stat */
	int (*setattr)(struct inode *inode, const struct iattr *attr);
	/* Opens a regular file, directory or (where it has its own) device of this file
	 * system. flags are O_* without creation flags. NULL: -ENXIO. */
	int (*open)(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out);
	const struct xattr_ops *xattr; /* NULL: -EOPNOTSUPP; set and remove under data_lock */
	/* The last reference went: free the object that embeds the inode. */
	void (*release)(struct inode *inode);
	/* A walk is about to look up the first component of `rest` (NUL-terminated, at least
	 * two components) in dir: a remote file system may fetch all of them at once and answer
	 * the lookups that follow from that. No lock held. NULL: nothing. */
	void (*walk_ahead)(struct inode *dir, const char *rest);
};

struct xattr_ops {
	/* Size, or -ENODATA, -ERANGE; size 0 asks for the length. Names with their prefix. */
	ssize_t (*get)(struct inode *inode, const char *name, void *value, size_t size);
	int (*set)(struct inode *inode, const char *name, const void *value, size_t size,
		   int flags);
	ssize_t (*list)(struct inode *inode, char *list, size_t size);
	int (*remove)(struct inode *inode, const char *name);
};

struct inode {
	struct refcount ref;
	const struct inode_ops *ops; /* immutable */
	struct superblock *sb;	     /* immutable; owned */
	uint64_t ino;		     /* immutable */
	uint64_t rdev;		     /* immutable */
	struct mutex dir_lock, data_lock;

	/* guarded by data_lock; single fields may be read without it */
	uint32_t mode; /* with S_IFMT, whose bits never change */
	uint32_t uid, gid, nlink;
	uint64_t size;
	struct timespec atime, mtime, ctime, btime;

	/* Set on first use, under data_lock; freed with the inode. */
	struct file_lock_set *locks;
	struct inotify_set *watches;
	struct pipe *fifo;	/* a named pipe's buffer (fs/pipe.h) */
	struct socket *bound;	/* the AF_UNIX socket bound to this name; see net/unix.h */
	atomic_int write_count; /* open for writing (> 0) or mapped as text (< 0: ETXTBSY) */
	atomic_int watch_count; /* inotify watches on it: a hint that spares the lock */
	/* A symbolic link's target, NUL-terminated, once somebody asked for it (walk.c); never
	 * changes. Not used where the superblock has SB_NO_CACHE or revalidate. */
	char *_Atomic link_target;
	atomic_bool dead; /* a directory that was removed: no new names */
	/* A directory whose names an overlay above changes past the dentry cache: what is cached
	 * below it is looked up again. */
	atomic_bool names_change;
	/* No file capabilities, as somebody who looked found: spares the writers that. Set and
	 * cleared under data_lock. */
	atomic_bool no_capability;
	/* immutable: open(2) by /proc/PID/fd is for ops->open, whatever the type */
	bool opens_itself;
	bool linkable; /* nlink is 0, but linkat(2) may give it a name (O_TMPFILE) */
};

/* `sb` gains a reference. mode has S_IFMT. */
void inode_init(struct inode *inode, struct superblock *sb, const struct inode_ops *ops,
		uint64_t ino, uint32_t mode);
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
/* Undoes inode_init; for release ops, before they free. */
void inode_fini(struct inode *inode);
/* Counts a writer; -ETXTBSY while the file is mapped as program text. And the reverse. */
int inode_get_write(struct inode *inode) MUST_CHECK;
void inode_put_write(struct inode *inode);
int inode_deny_write(struct inode *inode) MUST_CHECK;
void inode_allow_write(struct inode *inode);
/* CLOCK_REALTIME as the file systems stamp it. */
struct timespec inode_now(void);
/* Applies what `valid` names to the base's fields (data_lock held): for setattr ops. Size is
 * the file system's own business. */
void inode_apply_attr(struct inode *inode, const struct iattr *attr);
/* The attributes as the base holds them. */
void inode_fill_stat(struct inode *inode, struct kstat *st);

struct sb_ops {
	/* statfs(2); NULL: -ENOSYS */
	int (*statfs)(struct superblock *sb, struct kstatfs *out);
	/* Is a cached name (positive, or negative: cached is NULL) still right? NULL: always. Under
	 * dir_lock. 1 yes, 0 no (look it up again), or -errno. */
	int (*revalidate)(struct inode *dir, const char *name, size_t len, struct inode *cached);
	int (*sync)(struct superblock *sb); /* NULL: nothing to do */
	/* mount(2) with MS_REMOUNT: new options (never NULL). NULL: options are ignored. */
	int (*remount)(struct superblock *sb, const char *data);
	/* The last mount of it went and its names are forgotten: let go of inodes that the file
	 * system holds by itself. NULL: nothing to do */
	void (*shutdown)(struct superblock *sb);
	/* The option string for /proc/mounts, without rw/ro; NULL: none. */
	void (*show_options)(struct superblock *sb, char *buf, size_t size);
	/* May the calling task all the same do what mode bits and capabilities refuse? NULL: no.
	 * mask as in inode_permission. */
	bool (*grants)(struct inode *inode, int mask);
	void (*release)(struct superblock *sb);
};

struct kstatfs {
	uint64_t type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize;
};

#define SB_NO_NEGATIVE BIT(0) /* do not cache absent names */
#define SB_NO_CACHE BIT(1)    /* do not cache names at all (proc) */
#define SB_RDONLY BIT(2)      /* every mount of it is read-only */
#define SB_NOATIME BIT(3)     /* the base does not stamp access times */
/* The file system itself takes file capabilities away where a file changes. */
#define SB_DROPS_CAPABILITY BIT(4)

struct superblock {
	struct refcount ref;
	const struct sb_ops *ops; /* immutable */
	const char *type;	  /* immutable: "tmpfs", "proc", ... as in /proc/mounts */
	char *source;		  /* immutable; owned: the device column */
	uint64_t dev;		  /* immutable: st_dev, unique in the sentry */
	uint32_t flags;		  /* SB_* */
	struct user_ns *user_ns;  /* who mounted it; owned; changes before it is mounted only */
	struct mutex rename_lock;
	struct dentry *root; /* owned; set once at mount */
	atomic_uint_fast64_t next_ino;
	atomic_int active; /* mounts of it; with the last one its names are forgotten and it dies */
};

void superblock_init(struct superblock *sb, const struct sb_ops *ops, const char *type,
		     const char *source);
struct superblock *superblock_get(struct superblock *sb);
void superblock_set_owner(struct superblock *sb, struct user_ns *owner);
void superblock_put(struct superblock *sb);
void superblock_fini(struct superblock *sb);
/* Makes the root dentry; takes its own reference on the inode. */
void superblock_set_root(struct superblock *sb, struct inode *root);
/* For mounts: one user more, one less. */
void superblock_activate(struct superblock *sb);
void superblock_deactivate(struct superblock *sb);
uint64_t superblock_new_ino(struct superblock *sb);

/* A mountable type, for mount(2) and /proc/filesystems. data: the option string. */
struct fs_type {
	const char *name;
	bool nodev;	     /* the column in /proc/filesystems */
	bool user_mountable; /* mount(2) by the guest may use it */
	/* cred: of who mounts, NULL at boot: its identities own what is made. */
	int (*mount)(const char *source, const char *data, const struct cred *cred,
		     struct superblock **out);
	/* Instead of mount: one whose options name paths, which env resolves. */
	int (*mount_paths)(const struct walk_env *env, const char *source, const char *data,
			   struct superblock **out);
};
/* At start, single-threaded; t is borrowed for ever. */
void fs_type_register(const struct fs_type *t);
const struct fs_type *fs_type_find(const char *name);
const struct fs_type *fs_type_at(size_t index); /* NULL behind the last */

/* open(2) of a character or block device node by its rdev: drivers register here. */
struct device_ops {
	int (*open)(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out);
};
void device_register(bool block, unsigned int major, unsigned int minor_first,
		     unsigned int minor_count, const struct device_ops *ops);
const struct device_ops *device_find(bool block, uint64_t rdev);

/* Access check of access(2) and open(2): mask of 4 read, 2 write, 1 execute/search. */
int inode_permission(struct inode *inode, const struct cred *cred, int mask) MUST_CHECK;

/* Anonymous inodes for files without a name ("[eventfd]"): shared superblock "anon_inodefs".
 * mode 0600 with the type bits given (0 for none). `name` appears in /proc/PID/fd links
 * as "anon_inode:NAME", or "NAME:[INO]" for pipes and sockets (name "pipe", "socket"). */
struct inode *anon_inode_new(const char *name, uint32_t type_bits);
/* The same for an inode of one's own kind, which then has no such name. */
void anon_inode_init(struct inode *inode, const struct inode_ops *ops, uint32_t mode);
const char *anon_inode_name(const struct inode *inode); /* NULL: not an anonymous inode */

#endif
