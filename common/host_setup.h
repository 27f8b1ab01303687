/*
 * Host calls that only set-up code makes: the runtime, and the other processes
 * before they confine themselves. No seccomp tags: no filter allows them.
 */
#ifndef GARRISON_COMMON_HOST_SETUP_H
#define GARRISON_COMMON_HOST_SETUP_H

#include <sys/resource.h>
#include <sys/uio.h>

#include "common/base.h"

struct sock_fprog;

MUST_CHECK int host_prctl(int op, unsigned long a, unsigned long b);
MUST_CHECK int host_unshare(int flags);
MUST_CHECK int host_mount(const char *source, const char *target, const char *type,
			  unsigned long flags, const char *data);
MUST_CHECK int host_umount2(const char *target, int flags);
MUST_CHECK int host_pivot_root(const char *new_root, const char *put_old);
MUST_CHECK int host_chdir(const char *path);
MUST_CHECK int host_fchdir(int fd);
MUST_CHECK int host_setids(uid_t uid, gid_t gid); /* and no supplementary groups */
MUST_CHECK int host_capset(uint64_t permitted_and_effective);
MUST_CHECK int host_close_range(unsigned int first, unsigned int last);
MUST_CHECK int host_setrlimit(int resource, const struct rlimit *limit);
MUST_CHECK int host_getrlimit(int resource, struct rlimit *limit);
MUST_CHECK int host_seccomp_filter(unsigned int flags, struct sock_fprog *prog);
/* Writes a whole small file (as in /proc or cgroupfs) that must exist. */
MUST_CHECK int host_write_file(int dirfd, const char *path, const char *text);
/* Reads a small file, NUL-terminated; owned by the caller. -E2BIG above max bytes. */
MUST_CHECK int host_read_file(int dirfd, const char *path, size_t max, char **out);

#endif
