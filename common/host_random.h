/* Random bytes from the host kernel. */
#ifndef GARRISON_COMMON_HOST_RANDOM_H
#define GARRISON_COMMON_HOST_RANDOM_H

#include "common/base.h"

/* Never fails and never blocks for long (the host's pool is ready long before we run). */
void host_random(void *buf, size_t n);

#endif
