/*
 * Host calls on names and directories, for the gofer. Names are single
 * components below `dir`; "fd number" paths are relative to the gofer's working
 * directory, /proc/self/fd, through which an O_PATH fd is reopened or changed.
 */
#ifndef GARRISON_COMMON_HOST_TREE_H
#define GARRISON_COMMON_HOST_TREE_H

#include <linux/stat.h>
#include <sys/vfs.h>

#include "common/host.h"

struct statx;

/* An O_PATH fd of one name, never through a link of any kind. */
MUST_CHECK int host_open_name(int dir, const char *name);
/* openat2(2) with RESOLVE_BENEATH and without links; for creating (O_CREAT|O_EXCL, O_TMPFILE). */
MUST_CHECK int host_open_beneath(int dir, const char *name, int flags, mode_t mode);
MUST_CHECK int host_statx(int dir, const char *name, int flags, unsigned int mask,
			  struct statx *out);
MUST_CHECK int host_mkdirat(int dir, const char *name, mode_t mode);
MUST_CHECK int host_mknodat(int dir, const char *name, mode_t mode, dev_t dev);
MUST_CHECK int host_symlinkat(const char *target, int dir, const char *name);
MUST_CHECK int host_linkat(int old_dir, const char *old_name, int dir, const char *name, int flags);
MUST_CHECK int host_unlinkat(int dir, const char *name, int flags);
MUST_CHECK int host_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name,
			      unsigned int flags);
MUST_CHECK ssize_t host_readlinkat(int dir, const char *name, char *buf, size_t size);
MUST_CHECK int host_fchmodat(int dir, const char *name, mode_t mode);
MUST_CHECK int host_fchownat(int dir, const char *name, uid_t uid, gid_t gid, int flags);
MUST_CHECK int host_utimensat(int dir, const char *name, const struct timespec ts[2], int flags);
MUST_CHECK int host_truncate(const char *path, off_t len);
MUST_CHECK ssize_t host_getdents64(int fd, void *buf, size_t size);
MUST_CHECK int host_fstatfs(int fd, struct statfs *out);
MUST_CHECK int host_syncfs(int fd);
MUST_CHECK int host_seqpacket_pair(int fds[2]);
/* RLIMIT_NOFILE to its hard limit; the limit that then holds. */
unsigned int host_raise_nofile(void);

MUST_CHECK ssize_t host_getxattr(const char *path, const char *name, void *value, size_t size);
MUST_CHECK int host_setxattr(const char *path, const char *name, const void *value, size_t size,
			     int flags);
MUST_CHECK ssize_t host_listxattr(const char *path, char *list, size_t size);
/* Does not follow a link at the end. */
MUST_CHECK ssize_t host_llistxattr(const char *path, char *list, size_t size);
MUST_CHECK int host_removexattr(const char *path, const char *name);

#endif
