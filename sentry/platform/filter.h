/* The seccomp filter of every stub (see filter.c). */
#ifndef GARRISON_SENTRY_PLATFORM_FILTER_H
#define GARRISON_SENTRY_PLATFORM_FILTER_H

#include <linux/filter.h>

#include "common/base.h"

#define STUB_FILTER_MAX 256

/* text: the address range of the stub's text, which must not cross a 4 GiB boundary.
 * Returns the number of instructions. */
size_t stub_filter(struct sock_filter out[STUB_FILTER_MAX], uint64_t text, uint64_t text_end,
		   bool fsgsbase);

#endif
