/* Host calls on open files that the sentry's file systems make. */
#ifndef GARRISON_COMMON_HOST_FS_H
#define GARRISON_COMMON_HOST_FS_H

#include "common/base.h"

MUST_CHECK off_t host_lseek(int fd, off_t offset, int whence);
MUST_CHECK int host_fallocate(int fd, int mode, off_t offset, off_t len);
/* Pages of RAM that the host has, times their size. */
uint64_t host_total_ram(void);

#endif
