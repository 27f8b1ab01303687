/*
 * Host system calls, wrapped so that errors come back as -errno. This is the
 * only place where libc's errno is read. Each wrapper carries a tag line
 *
 *     #host: NAME[,NAME...] PROCESS...
 *
 * in host.c (or in another common/ file that wraps calls); the seccomp
 * allow-list of each process is made from these tags at build time by
 * tools/seccomp-list, so a list cannot name a call that nobody makes.
 */
#ifndef GARRISON_COMMON_HOST_H
#define GARRISON_COMMON_HOST_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/base.h"

MUST_CHECK int host_openat(int dirfd, const char *path, int flags, mode_t mode);
int host_close(int fd);
MUST_CHECK ssize_t host_read(int fd, void *buf, size_t n);
MUST_CHECK ssize_t host_write(int fd, const void *buf, size_t n);
MUST_CHECK ssize_t host_pread(int fd, void *buf, size_t n, off_t pos);
MUST_CHECK ssize_t host_pwrite(int fd, const void *buf, size_t n, off_t pos);
MUST_CHECK int host_fstat(int fd, struct stat *st);
MUST_CHECK int host_ftruncate(int fd, off_t len);
MUST_CHECK int host_memfd_create(const char *name, unsigned int flags);
MUST_CHECK ssize_t host_sendmsg(int sock, const struct msghdr *msg, int flags);
MUST_CHECK ssize_t host_recvmsg(int sock, struct msghdr *msg, int flags);

/* Writes exactly n bytes. */
MUST_CHECK int host_write_full(int fd, const void *buf, size_t n);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds. */
uint64_t host_monotonic_ns(void);
uint64_t host_realtime_ns(void);

static inline void fd_cleanup(int *fd)
{
	if (*fd >= 0)
		host_close(*fd);
}
#define SCOPED_FD __attribute__((cleanup(fd_cleanup)))

#endif
