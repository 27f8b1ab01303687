/*
 * Copies between the sentry and the calling task's memory: see usermem.h. No
 * locks are held here; the platform does the work.
 */
#include "sentry/kernel/usermem.h"

#include <errno.h>
#include <limits.h>

#include "common/mem.h"

#define MAX_IOV 1024
/* What one read or write moves at most (Linux: MAX_RW_COUNT). */
#define MAX_TRANSFER ((size_t)INT_MAX & ~(size_t)(GUEST_PAGE - 1))

int copyin(struct task *t, void *to, uaddr from, size_t n)
{
	if (n == 0)
		return 0;
	return pf_thread_read(t->pt, from, to, n) == (ssize_t)n ? 0 : -EFAULT;
}

int copyout(struct task *t, uaddr to, const void *from, size_t n)
{
	if (n == 0)
		return 0;
	return pf_thread_write(t->pt, to, from, n) == (ssize_t)n ? 0 : -EFAULT;
}

int copyout_late(struct task *t, uaddr to, const void *from, size_t n)
{
	if (n == 0)
		return 0;
	/* A tracer looks at the results before the guest does. */
	if (atomic_load_explicit(&t->trap, memory_order_relaxed))
		return copyout(t, to, from, n);
	return pf_thread_write_late(t->pt, to, from, n);
}

/* The stub brought most strings along. Others come a page at a time: the string may end just
 * before an unmapped page. */
static ssize_t string_part(struct task *t, char *to, size_t size, uaddr from)
{
	size_t n = pf_thread_brought(t->pt, from, to, size);

	if (n)
		return (ssize_t)n;
	n = min(size, (size_t)(GUEST_PAGE - from.va % GUEST_PAGE));
	return pf_thread_read(t->pt, from, to, n);
}

ssize_t copyin_string(struct task *t, char *to, size_t size, uaddr from)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = string_part(t, to + done, size - done, uaddr_add(from, done));
		char *end;

		if (got <= 0)
			return -EFAULT;
		end = memchr(to + done, 0, (size_t)got);
		if (end)
			return end - to;
		done += (size_t)got;
	}
	return -ENAMETOOLONG;
}

int copyin_path(struct task *t, char *to, uaddr from, bool allow_empty)
{
	ssize_t n = copyin_string(t, to, PATH_MAX, from);

	if (n < 0)
		return (int)n;
	return n == 0 && !allow_empty ? -ENOENT : 0;
}

int copyin_iov(struct task *t, uaddr iov, unsigned long count, struct guest_iov **out)
{
	SCOPED_FREE struct guest_iov *v = NULL;
	int r;

	if (count > MAX_IOV)
		return -EINVAL;
	v = xzalloc(sizeof(*v) + count * sizeof(v->v[0]));
	v->count = (int)count;
	r = copyin(t, v->v, iov, count * sizeof(v->v[0]));
	if (r < 0)
		return r;
	for (unsigned long i = 0; i < count; i++) {
		if (v->v[i].len > SSIZE_MAX)
			return -EINVAL;
		/* Linux cuts a vector that is too long instead of refusing it. */
		v->v[i].len = min(v->v[i].len, MAX_TRANSFER - v->total);
		v->total += v->v[i].len;
	}
	*out = v;
	v = NULL;
	return 0;
}

/* One copy step of a vector: bytes moved, possibly fewer than n, or -EFAULT. */
typedef ssize_t iov_step(struct task *t, uaddr at, void *buf, size_t n);

static ssize_t step_in(struct task *t, uaddr at, void *buf, size_t n)
{
	return pf_thread_read(t->pt, at, buf, n);
}

static ssize_t step_out(struct task *t, uaddr at, void *buf, size_t n)
{
	return pf_thread_write(t->pt, at, buf, n);
}

static ssize_t iov_walk(struct task *t, const struct guest_iov *iov, size_t skip, char *buf,
			size_t n, iov_step *step)
{
	size_t done = 0;

	for (int i = 0; i < iov->count && done < n; i++) {
		size_t len = iov->v[i].len, part;
		ssize_t r;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		part = min(len - skip, n - done);
		r = step(t, uaddr_add(iov->v[i].base, skip), buf + done, part);
		if (r < 0)
			return done ? (ssize_t)done : -EFAULT;
		done += (size_t)r;
		if ((size_t)r < part)
			break;
		skip = 0;
	}
	return done || n == 0 ? (ssize_t)done : -EFAULT;
}

ssize_t iov_copyin(struct task *t, const struct guest_iov *iov, size_t skip, void *to, size_t n)
{
	return iov_walk(t, iov, skip, to, n, step_in);
}

ssize_t iov_copyout(struct task *t, const struct guest_iov *iov, size_t skip, const void *from,
		    size_t n)
{
	return iov_walk(t, iov, skip, (char *)from, n, step_out);
}

int64_t timespec_ns(const struct timespec *ts)
{
	if (ts->tv_sec >= INT64_MAX / (int64_t)NSEC_PER_SEC)
		return INT64_MAX;
	return ts->tv_sec * (int64_t)NSEC_PER_SEC + ts->tv_nsec;
}

int copyin_timespec(struct task *t, uaddr from, struct timespec *ts)
{
	int r = copyin(t, ts, from, sizeof(*ts));

	if (r < 0)
		return r;
	return ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (long)NSEC_PER_SEC ? -EINVAL : 0;
}

int copyin_timeout(struct task *t, uaddr from, int64_t *ns)
{
	struct timespec ts;
	int r;

	*ns = -1;
	if (uaddr_null(from))
		return 0;
	r = copyin_timespec(t, from, &ts);
	if (r == 0)
		*ns = timespec_ns(&ts);
	return r;
}

uint64_t deadline_after(int64_t ns)
{
	uint64_t now = host_monotonic_ns();

	if (ns < 0 || (uint64_t)ns > SLEEP_FOREVER - 1 - now)
		return SLEEP_FOREVER;
	return now + (uint64_t)ns;
}
