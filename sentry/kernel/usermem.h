/*
 * Copies between the sentry and the calling task's memory. All return 0 (or a
 * length where said) or -EFAULT. Each reads guest memory once: check the copy,
 * never the original.
 */
#ifndef GARRISON_SENTRY_KERNEL_USERMEM_H
#define GARRISON_SENTRY_KERNEL_USERMEM_H

#include <sys/uio.h>
#include <time.h>

#include "common/host.h"
#include "sentry/kernel/task.h"

MUST_CHECK int copyin(struct task *t, void *to, uaddr from, size_t n);
/* At once: other threads see it before the syscall goes on. */
MUST_CHECK int copyout(struct task *t, uaddr to, const void *from, size_t n);
/* On the way back to the guest (see pf_thread_write_late): the usual way for results. */
MUST_CHECK int copyout_late(struct task *t, uaddr to, const void *from, size_t n);
/* NUL-terminated, at most size-1 bytes: its length, or -ENAMETOOLONG. */
MUST_CHECK ssize_t copyin_string(struct task *t, char *to, size_t size, uaddr from);
/* A path: PATH_MAX, -ENAMETOOLONG; an empty one is -ENOENT unless allow_empty. `to` has
 * 4096 bytes. */
MUST_CHECK int copyin_path(struct task *t, char *to, uaddr from, bool allow_empty);

/* An iovec array of the guest: checked (-EINVAL: count > 1024, a length > SSIZE_MAX); the
 * total is cut to INT_MAX rounded down to pages, as Linux does. */
struct guest_iov {
	int count;
	size_t total;
	struct {
		uaddr base;
		size_t len;
	} v[];
};
MUST_CHECK int copyin_iov(struct task *t, uaddr iov, unsigned long count, struct guest_iov **out);
/* Gather and scatter `n` bytes from offset `skip` of the vector. Bytes done or -EFAULT. */
MUST_CHECK ssize_t iov_copyin(struct task *t, const struct guest_iov *iov, size_t skip, void *to,
			      size_t n);
MUST_CHECK ssize_t iov_copyout(struct task *t, const struct guest_iov *iov, size_t skip,
			       const void *from, size_t n);

/* timespec and timeval in either direction; -EINVAL for tv_nsec out of range. NULL address:
 * *out = -1 (no timeout). Relative time in ns, saturated. */
MUST_CHECK int copyin_timeout(struct task *t, uaddr ts, int64_t *ns);
/* A timespec that must be normalised and not negative (-EINVAL). */
MUST_CHECK int copyin_timespec(struct task *t, uaddr from, struct timespec *ts);
/* In ns, saturated at INT64_MAX. */
int64_t timespec_ns(const struct timespec *ts);
/* CLOCK_MONOTONIC `ns` from now; ns < 0 or too far: SLEEP_FOREVER. */
uint64_t deadline_after(int64_t ns);

#endif
