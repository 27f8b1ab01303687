/*
 * Mounts and mount namespaces. Each container has one namespace; unshare and
 * clone(CLONE_NEWNS) copy it. Propagation (shared, private, slave) is kept for
 * /proc/self/mountinfo and honoured inside a namespace.
 */
#ifndef GARRISON_SENTRY_FS_MOUNT_H
#define GARRISON_SENTRY_FS_MOUNT_H

#include "sentry/fs/inode.h"
#include "sentry/fs/path.h"

struct mount_ns;

struct mount {
	struct refcount ref;
	struct superblock *sb; /* immutable; owned */
	struct dentry *root;   /* immutable; owned: what of sb is mounted */
	int id;		       /* immutable */
	/* the rest is guarded by mount_ns.lock */
	struct mount *parent;	   /* NULL: the root, or detached */
	struct dentry *mountpoint; /* in parent; owned */
	struct mount_ns *ns;	   /* NULL: detached */
	struct list children, sibling, all;
	unsigned long flags;	   /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, *ATIME */
	unsigned long propagation; /* MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE */
};

/* A namespace whose root is the superblock (reference borrowed). */
struct mount_ns *mount_ns_new(struct superblock *root, unsigned long flags);
struct mount_ns *mount_ns_get(struct mount_ns *ns);
void mount_ns_put(struct mount_ns *ns);
int mount_ns_copy(struct mount_ns *ns, struct mount_ns **out) MUST_CHECK;
/* Its root as an owned path. */
void mount_ns_root(struct mount_ns *ns, struct path *out);

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);

/* Mounts sb's root on `at` (both borrowed). */
int mount_attach(struct mount_ns *ns, const struct path *at, struct superblock *sb,
		 unsigned long flags) MUST_CHECK;
int mount_bind(struct mount_ns *ns, const struct path *from, const struct path *at,
	       bool recursive) MUST_CHECK;
int mount_move(struct mount_ns *ns, const struct path *from, const struct path *at) MUST_CHECK;
int mount_remount(struct mount_ns *ns, const struct path *at, unsigned long flags) MUST_CHECK;
int mount_propagation(struct mount_ns *ns, const struct path *at, unsigned long flags,
		      bool recursive) MUST_CHECK;
/* umount2(2): MNT_DETACH, MNT_FORCE, MNT_EXPIRE. -EBUSY while in use. */
int mount_umount(struct mount_ns *ns, const struct path *at, int flags) MUST_CHECK;
int mount_pivot_root(struct mount_ns *ns, const struct path *new_root,
		     const struct path *put_old) MUST_CHECK;

/* Text of /proc/PID/{mounts,mountinfo,mountstats} as seen from root; owned by the caller. */
char *mount_ns_format(struct mount_ns *ns, const struct path *root, int which);

#endif
