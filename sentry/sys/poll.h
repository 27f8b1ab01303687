/* Waiting for any of several files: the engine under poll(2) and select(2). */
#ifndef GARRISON_SENTRY_SYS_POLL_H
#define GARRISON_SENTRY_SYS_POLL_H

#include "sentry/kernel/task.h"

/* CLOCK_MONOTONIC deadlines from relative times; negative: SLEEP_FOREVER; 0: 0, which means
 * "do not wait". */
uint64_t deadline_ns(int64_t timeout);
uint64_t deadline_ms(int timeout);

struct watch {
	struct waiter w;
	struct sleeper *sleeper;
	struct file *file; /* owned; NULL: only `got` counts, as it stands */
	uint32_t want, got;
	int fd;
};

/* Watches fd for `want`; a descriptor that is not open gets POLLNVAL. */
void watch_init(struct watch *w, struct task *t, int fd, uint32_t want);
void watch_fini(struct watch *w);
/* Fills in got: how many are not zero; 0 past the deadline; -ERESTARTSYS. */
long watch_wait(struct task *t, struct watch *watches, size_t n, uint64_t deadline) MUST_CHECK;

#endif
