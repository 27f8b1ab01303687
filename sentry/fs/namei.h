/*
 * Operations on names, with all of Linux's checks (permissions, sticky bit,
 * read-only mounts, ETXTBSY, link limits) and inotify events. `dir` and `base`
 * as in path.h. The syscalls in sys/ only fetch arguments and call these; so do
 * the kernel (exec), AF_UNIX (bind) and the container's set-up.
 */
#ifndef GARRISON_SENTRY_FS_NAMEI_H
#define GARRISON_SENTRY_FS_NAMEI_H

#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/path.h"

/* open(2), openat2(2): flags are O_*, mode is already masked by the umask, walk_flags are
 * WALK_* restrictions. On success *out is owned. FIFOs: -EAGAIN where an open would block
 * (the caller waits on fifo_open_waitq and tries again). */
int vfs_open(const struct walk_env *env, const struct path *base, const char *name, int flags,
	     uint32_t mode, unsigned int walk_flags, struct file **out) MUST_CHECK;

/* execve(2): a regular file that may be executed, open for reading whatever its r bits say. */
int vfs_open_exec(const struct walk_env *env, const struct path *base, const char *name,
		  unsigned int walk_flags, struct file **out) MUST_CHECK;

/* Makes what new->mode says. new->uid and gid are ignored: the owner is cred's fsuid, the group
 * its fsgid or the directory's. -EEXIST, also for names like "." and "/". */
int vfs_create(const struct walk_env *env, const struct path *base, const char *name,
	       const struct new_inode *new, struct path *out /* may be NULL */) MUST_CHECK;
int vfs_link(const struct walk_env *env, const struct path *target, const struct path *base,
	     const char *name) MUST_CHECK;
int vfs_unlink(const struct walk_env *env, const struct path *base, const char *name) MUST_CHECK;
int vfs_rmdir(const struct walk_env *env, const struct path *base, const char *name) MUST_CHECK;
int vfs_rename(const struct walk_env *env, const struct path *old_base, const char *old_name,
	       const struct path *new_base, const char *new_name, unsigned int flags) MUST_CHECK;
ssize_t vfs_readlink(const struct walk_env *env, const struct path *path, char *buf,
		     size_t size) MUST_CHECK;
int vfs_getattr(const struct path *path, struct kstat *st) MUST_CHECK;
int vfs_fgetattr(struct file *f, struct kstat *st) MUST_CHECK;
/* Checks ownership and capabilities, then the file system's setattr. */
int vfs_setattr(const struct path *path, const struct cred *cred,
		const struct iattr *attr) MUST_CHECK;
/* truncate(2) and ftruncate(2), RLIMIT_FSIZE excluded. */
int vfs_truncate(const struct path *path, const struct cred *cred, off_t size) MUST_CHECK;
int vfs_ftruncate(struct file *f, const struct cred *cred, off_t size) MUST_CHECK;
/* As vfs_setattr for an open file, which may have no name. */
int vfs_fsetattr(struct file *f, const struct cred *cred, const struct iattr *attr) MUST_CHECK;
/* Before `cred` changes the content: takes the file's capabilities and, unless cred has CAP_FSETID,
 * its set-id bits. Cheap when there are none. */
int file_remove_privs(struct file *f, const struct cred *cred) MUST_CHECK;
int vfs_access(const struct path *path, const struct cred *cred, int mask) MUST_CHECK;
int vfs_statfs(const struct path *path, struct kstatfs *out) MUST_CHECK;

/* listxattr(2) and its family; size 0 asks for the length. */
ssize_t vfs_getxattr(struct inode *inode, const struct cred *cred, const char *name, void *value,
		     size_t size) MUST_CHECK;
int vfs_setxattr(const struct path *path, struct inode *inode, const struct cred *cred,
		 const char *name, const void *value, size_t size, int flags) MUST_CHECK;
ssize_t vfs_listxattr(struct inode *inode, const struct cred *cred, char *list,
		      size_t size) MUST_CHECK;
int vfs_removexattr(const struct path *path, struct inode *inode, const struct cred *cred,
		    const char *name) MUST_CHECK;

/* inotify(7) hook for what files do themselves (modify, access, close). mask: IN_*. */
void vfs_notify(struct file *f, uint32_t mask);

#endif
