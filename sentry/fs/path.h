/*
 * Names: dentries, mounts, paths. As in Linux a path is a mount and a dentry.
 * The dentry tree is a cache over inode_ops.lookup, per superblock; names that
 * do not exist are cached too (dentry with inode NULL).
 */
#ifndef GARRISON_SENTRY_FS_PATH_H
#define GARRISON_SENTRY_FS_PATH_H

#include "common/base.h"

struct mount;
struct dentry;
struct inode;
struct cred;
struct guest_access;

struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

/* Both references of a path (either may be NULL). */
void path_get(const struct path *p);
void path_put(struct path *p); /* and clears it */
bool path_equal(const struct path *a, const struct path *b);

/* Where a walk starts and what it may see: root and cwd of the caller, and its
 * credentials. All borrowed. */
struct walk_env {
	const struct path *root, *cwd;
	const struct cred *cred;
	/* Given to magic links (/proc/self, /proc/PID/fd/N, exe, cwd, root); may be NULL. */
	struct guest_access *caller;
};

#define WALK_FOLLOW BIT(0)     /* follow a symbolic link in the last component */
#define WALK_DIRECTORY BIT(1)  /* the result must be a directory */
#define WALK_EMPTY_PATH BIT(2) /* AT_EMPTY_PATH */
#define WALK_NO_XDEV BIT(3)    /* openat2(2): RESOLVE_NO_XDEV */
#define WALK_NO_MAGICLINKS BIT(4)
#define WALK_NO_SYMLINKS BIT(5)
#define WALK_BENEATH BIT(6)
#define WALK_IN_ROOT BIT(7)
#define WALK_NO_AUTOMOUNT BIT(8)
#define WALK_CACHED BIT(9) /* RESOLVE_CACHED: -EAGAIN where a file system must be asked */

/* path_resolution(7): resolves `name` from `base` (borrowed; NULL: env->cwd) to an existing
 * object. 40 links at most (-ELOOP). On success *out is owned. -EAGAIN: with WALK_BENEATH or
 * WALK_IN_ROOT, a rename or a mount came between, and ".." might lead out of the root. */
int path_walk(const struct walk_env *env, const struct path *base, const char *name,
	      unsigned int flags, struct path *out) MUST_CHECK;
/* Resolves all but the last component, for create, unlink, rename: *out is the directory,
 * *last points into `name` (last_len bytes, no slash), trailing slashes are reported.
 * last_len 0 with "/", and "." and ".." are given back as they are. */
struct last_component {
	const char *name;
	size_t len;
	bool trailing_slash;
};
int path_walk_parent(const struct walk_env *env, const struct path *base, const char *name,
		     unsigned int flags, struct path *out, struct last_component *last) MUST_CHECK;

/* The name of a path below `root` as d_path gives it ("/a/b", " (deleted)" appended,
 * "(unreachable)" in front where it is not below root). Bytes with the NUL, or
 * -ENAMETOOLONG. */
ssize_t path_name(const struct path *p, const struct path *root, char *buf, size_t size) MUST_CHECK;

/* A path, owned, of an inode that has no name: for /proc/PID/fd/N. path_name of it gives
 * "pipe:[INO]", "anon_inode:NAME", "/memfd:NAME (deleted)". */
int anon_path(struct inode *inode, struct path *out) MUST_CHECK;

struct inode *path_inode(const struct path *p); /* borrowed; NULL for a negative dentry */

#endif
