/* Host calls on open regular files: what the sentry does with the fds that the gofer gave it. */
#ifndef GARRISON_COMMON_HOST_FILE_H
#define GARRISON_COMMON_HOST_FILE_H

#include "common/host.h"

/* pwritev2 with RWF_* flags; pos is ignored with RWF_APPEND. */
MUST_CHECK ssize_t host_pwritev2(int fd, const struct iovec *iov, int n, off_t pos, int flags);
MUST_CHECK int host_fallocate(int fd, int mode, off_t offset, off_t len);
MUST_CHECK off_t host_lseek(int fd, off_t offset, int whence);
MUST_CHECK int host_fsync(int fd);
MUST_CHECK int host_fdatasync(int fd);
/* SO_TYPE and the like are not needed of fds that come from a peer; F_GETFL is. */
MUST_CHECK int host_getfl(int fd);

#endif
