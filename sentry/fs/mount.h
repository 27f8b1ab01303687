/*
 * Mounts and mount namespaces. Each container has one namespace; unshare and
 * clone(CLONE_NEWNS) copy it. Propagation (shared, private, slave) is kept for
 * /proc/self/mountinfo and honoured inside a namespace.
 */
#ifndef GARRISON_SENTRY_FS_MOUNT_H
#define GARRISON_SENTRY_FS_MOUNT_H

#include <stdatomic.h>
#include <sys/mount.h>

#include "sentry/fs/inode.h"
#include "sentry/fs/path.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

struct mount_ns;

struct mount {
	struct refcount ref;
	struct superblock *sb; /* immutable; owned */
	struct dentry *root;   /* immutable; owned: what of sb is mounted */
	int id;		       /* immutable */
	atomic_int writers;    /* files open for writing: they keep it from turning read-only */
	atomic_ulong flags;    /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, *ATIME */
	/* Written under the mount lock and dcache_lock, read under either. */
	struct mount *parent;	   /* owned; NULL: the root, or detached */
	struct dentry *mountpoint; /* in parent; owned */
	struct list children, sibling;
	/* guarded by the mount lock (mount.c) */
	struct mount_ns *ns; /* NULL: detached */
	struct list all;
	unsigned long propagation; /* MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE */
	int group;		   /* shared: its peer group */
	struct list peers;	   /* ring of the group */
	struct mount *master;	   /* slave: one of the group it receives from; borrowed */
	struct list slaves, slave_node;
	bool expiry_mark;
	/* mount_namespaces(7), "Restrictions": MS_* flags that must stay set, access times that must
	 * stay as they are, and a mount that must stay where it is, for what lies below it */
	unsigned long locked_flags;
	bool locked_atime, locked;
	bool loose; /* immutable: in no namespace itself, but its files may be bound (nsfs) */
};

/* A namespace whose root is the superblock (reference borrowed). */
struct mount_ns *mount_ns_new(struct superblock *root, unsigned long flags);
/* The base of a mount namespace, and back; NULL: it is another kind. */
struct ns_common *mount_ns_common(struct mount_ns *ns);
struct mount_ns *mount_ns_from(struct ns_common *ns);
struct mount_ns *mount_ns_get(struct mount_ns *ns);
void mount_ns_put(struct mount_ns *ns);
/* Its root as an owned path. */
void mount_ns_root(struct mount_ns *ns, struct path *out);

struct fs_context;
/* unshare(CLONE_NEWNS): fs (not shared) gets a copy of its namespace, with its root and working
 * directory at the same places in it. A copy that another user namespace owns shows what the
 * original showed for good: its mounts are locked, and receive changes but send none. -ENOSPC. */
int mount_ns_unshare(struct fs_context *fs, struct user_ns *owner) MUST_CHECK;
/* chroot(2) was called: its root is not that of its mount namespace. */
bool fs_context_is_chrooted(struct fs_context *fs);
/* Moves root and cwd of `fs` to the namespace's root: setns(2). */
void mount_ns_enter(struct mount_ns *ns, struct fs_context *fs);
/* Woken with POLLPRI|POLLERR when the namespace changes: poll of /proc/mounts. */
struct waitq *mount_ns_waitq(struct mount_ns *ns);
uint64_t mount_ns_event(struct mount_ns *ns); /* grows with each change */

/* A mount in no namespace, for files that are reached otherwise than by name. Kept for ever. */
struct mount *mount_new_loose(struct superblock *sb);
/* The path, owned, of an inode of such a mount; `name` is all that path_name gives. */
void mount_loose_path(struct mount *m, struct inode *inode, const char *name, struct path *out);

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);

/* Mounts sb's root on `at` (both borrowed). */
int mount_attach(struct mount_ns *ns, const struct path *at, struct superblock *sb,
		 unsigned long flags) MUST_CHECK;
int mount_bind(struct mount_ns *ns, const struct path *from, const struct path *at,
	       bool recursive) MUST_CHECK;
int mount_move(struct mount_ns *ns, const struct path *from, const struct path *at) MUST_CHECK;
int mount_remount(struct mount_ns *ns, const struct path *at, unsigned long flags) MUST_CHECK;
/* The same with the superblock's own options, and its read-only state with the mount's. */
int mount_reconfigure(struct mount_ns *ns, const struct path *at, unsigned long flags,
		      const char *data) MUST_CHECK;
int mount_propagation(struct mount_ns *ns, const struct path *at, unsigned long flags,
		      bool recursive) MUST_CHECK;
/* umount2(2): MNT_DETACH, MNT_FORCE, MNT_EXPIRE. -EBUSY while in use. */
int mount_umount(struct mount_ns *ns, const struct path *at, int flags) MUST_CHECK;
/* root: the caller's. The caller then moves the root and working directory of every task that
 * stood at `root`. */
int mount_pivot_root(struct mount_ns *ns, const struct path *root, const struct path *new_root,
		     const struct path *put_old) MUST_CHECK;

/*
 * May who owns ns mount a new instance of a file system that shows the system (proc, sysfs)? Only
 * where one can be seen whole already, with what its mounts may not take off: these flags are
 * added (mount_namespaces(7)). Others always, and so may the owner of the first namespace.
 */
bool mount_may_show(struct mount_ns *ns, const char *type, unsigned long *flags);

/* -EROFS if the mount or its superblock is read-only. */
int mount_want_write(struct mount *m) MUST_CHECK;
/* The mount that lies on (parent, mountpoint), borrowed, or NULL; under dcache_lock. */
struct mount *mount_on_locked(struct mount *parent, const struct dentry *mountpoint);

/* sync(2): every superblock that is mounted here. */
void mount_ns_sync(struct mount_ns *ns);

#define MOUNT_FORMAT_MOUNTS 0
#define MOUNT_FORMAT_INFO 1
#define MOUNT_FORMAT_STATS 2
/* Text of /proc/PID/{mounts,mountinfo,mountstats} as seen from root; owned by the caller. */
char *mount_ns_format(struct mount_ns *ns, const struct path *root, int which);

#endif
