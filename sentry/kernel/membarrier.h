/* membarrier(2) for guests (kernel/membarrier.c). */
#ifndef GARRISON_SENTRY_KERNEL_MEMBARRIER_H
#define GARRISON_SENTRY_KERNEL_MEMBARRIER_H

#include "sentry/kernel/task.h"

/* Every thread of the process (or with `all`, of the container) that is in the guest has passed a
 * full barrier since the call began. -EINTR. */
int membarrier_run(struct task *t, bool all) MUST_CHECK;

#endif
