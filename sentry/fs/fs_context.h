/* What CLONE_FS shares: root, working directory, umask; and the mount namespace beside it. */
#ifndef GARRISON_SENTRY_FS_FS_CONTEXT_H
#define GARRISON_SENTRY_FS_FS_CONTEXT_H

#include "common/refcount.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/path.h"

struct fs_context {
	struct refcount ref;
	struct mutex lock; /* RANK_LEAF */
	/* guarded by lock */
	struct path root, cwd;
	uint32_t umask;
	struct mount_ns *mounts;
};

struct fs_context *fs_context_new(struct mount_ns *mounts); /* at its root, umask 022 */
struct fs_context *fs_context_get(struct fs_context *fs);
void fs_context_put(struct fs_context *fs);
struct fs_context *fs_context_dup(struct fs_context *fs);
/* Owned copies, taken together. Either may be NULL. */
void fs_context_paths(struct fs_context *fs, struct path *root, struct path *cwd);
void fs_context_set_root(struct fs_context *fs, const struct path *root);
void fs_context_set_cwd(struct fs_context *fs, const struct path *cwd);

#endif
