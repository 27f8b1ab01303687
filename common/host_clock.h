/* Any host clock, in nanoseconds (see host.h). */
#ifndef GARRISON_COMMON_HOST_CLOCK_H
#define GARRISON_COMMON_HOST_CLOCK_H

#include <time.h>

#include "common/base.h"

/* 0 for a clock that the host does not have. */
uint64_t host_clock_ns(clockid_t clock);
/* The CPU clock of the calling thread, which other threads can read, too. */
clockid_t host_thread_clock(void);

/* Seconds and nanoseconds to ns, saturated at INT64_MAX; the fields were checked. */
static inline uint64_t ns_from_timespec(const struct timespec *ts)
{
	if (ts->tv_sec >= INT64_MAX / (int64_t)NSEC_PER_SEC)
		return INT64_MAX;
	return (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
}

static inline struct timespec timespec_from_ns(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NSEC_PER_SEC),
				 .tv_nsec = (long)(ns % NSEC_PER_SEC)};
}

#endif
