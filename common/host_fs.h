/* What the file systems want to know of the host. */
#ifndef GARRISON_COMMON_HOST_FS_H
#define GARRISON_COMMON_HOST_FS_H

#include "common/base.h"

/* Bytes of RAM that the host has; 0 if it does not say. */
uint64_t host_total_ram(void);

#endif
