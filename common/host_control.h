/* Host calls of the control protocol's server. */
#ifndef GARRISON_COMMON_HOST_CONTROL_H
#define GARRISON_COMMON_HOST_CONTROL_H

#include <poll.h>

#include "common/base.h"

MUST_CHECK int host_poll(struct pollfd *fds, size_t n, int timeout_ms);
MUST_CHECK int host_accept(int sock); /* close-on-exec */
MUST_CHECK int host_eventfd(unsigned int value, int flags);

#endif
