/* Shared by mount.c, mount_change.c, mount_propagate.c and mount_format.c only. */
#ifndef GARRISON_SENTRY_FS_MOUNT_INTERNAL_H
#define GARRISON_SENTRY_FS_MOUNT_INTERNAL_H

#include "sentry/core/waitq.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/mount.h"

#define MOUNT_FLAGS                                                                                \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | \
	 MS_STRICTATIME | MS_NOSYMFOLLOW)
#define MAX_MOUNTS 10000 /* in one namespace */

struct mount_ns {
	struct ns_common ns;
	struct waitq wq; /* poll of /proc/self/mounts */
	/* guarded by mount_lock */
	struct mount *root; /* owned */
	struct list mounts; /* struct mount.all */
	unsigned int count;
	atomic_uint_fast64_t event;
};

/* One for all namespaces: mounting is rare, and propagation crosses them. RANK_MOUNT. */
extern struct mutex mount_lock;

struct mount *mount_new(struct superblock *sb, struct dentry *root, unsigned long flags);
/* A copy of one mount with another root; joins peers and masters as Linux's clone_mnt does. */
struct mount *mount_clone_locked(struct mount *m, struct dentry *root);
/* A copy of m and, if `tree`, of what is mounted below `root` in it; detached; owned. */
struct mount *mount_copy_tree_locked(struct mount *m, struct dentry *root, bool tree);
/* The tree takes over the caller's reference on m. */
void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *mountpoint);
/* Undoes link; the caller gets the tree's reference back. */
void mount_unlink_locked(struct mount *m);
/* Gives m and everything mounted below it to a namespace (or to none). */
void mount_set_ns_locked(struct mount *m, struct mount_ns *ns);
unsigned int mount_tree_count(struct mount *m);
/* Takes m and everything below it off, into `gone` (by .all): put them after unlocking. */
void mount_umount_tree_locked(struct mount *m, struct list *gone);
void mount_put_list(struct list *gone);
void mount_ns_changed(struct mount_ns *ns);
/* Next in the tree below `top`, depth first; NULL behind the last. */
struct mount *mount_next_in_tree(struct mount *m, struct mount *top);

/* mount_propagate.c */
void propagation_set_locked(struct mount *m, unsigned long type);
void propagation_join_locked(struct mount *m, struct mount *of);
void propagation_leave_locked(struct mount *m);
/* Copies `tree`, which is about to lie on (parent, mountpoint), to all that receive. */
int propagation_attach_locked(struct mount *tree, struct mount *parent, struct dentry *mountpoint,
			      struct list *gone);
void propagation_umount_locked(struct mount *m, struct list *gone);
bool propagation_busy_locked(struct mount *m);

#endif
