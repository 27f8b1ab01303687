/* System calls about timers: POSIX timers, itimers, alarm. */
#include <errno.h>
#include <sys/time.h>

#include "common/host_clock.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

/* The kernel's struct sigevent: 64 bytes. */
struct ksigevent {
	union sigval value;
	int signo, notify, tid;
	char pad[44];
};
static_assert(sizeof(struct ksigevent) == 64, "struct sigevent");

long sys_timer_create(struct task *t, const struct sysargs *a)
{
	struct timer_event event = {
	    .notify = SIGEV_SIGNAL, .signo = SIGALRM, .default_value = true};
	struct ksigevent k;
	int id;

	if (a->v[1]) {
		if (copyin(t, &k, UADDR(a->v[1]), sizeof(k)) < 0)
			return -EFAULT;
		event = (struct timer_event){k.notify, k.signo, k.tid, k.value, false};
	}
	id = posix_timer_create(t, (int)a->v[0], &event);
	if (id < 0)
		return id;
	if (copyout(t, UADDR(a->v[2]), &id, sizeof(id)) < 0) {
		(void)!posix_timer_delete(t, id);
		return -EFAULT;
	}
	return 0;
}

static bool valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

long sys_timer_settime(struct task *t, const struct sysargs *a)
{
	struct itimerspec value, old;
	int r;

	if (!a->v[2])
		return -EINVAL;
	if (copyin(t, &value, UADDR(a->v[2]), sizeof(value)) < 0)
		return -EFAULT;
	if (!valid(&value.it_value) || !valid(&value.it_interval))
		return -EINVAL;
	r = posix_timer_settime(t, (int)a->v[0], (int)a->v[1], &value, &old);
	if (r < 0 || !a->v[3])
		return r;
	return copyout_late(t, UADDR(a->v[3]), &old, sizeof(old));
}

long sys_timer_gettime(struct task *t, const struct sysargs *a)
{
	struct itimerspec value;
	int r = posix_timer_gettime(t, (int)a->v[0], &value);

	return r < 0 ? r : copyout_late(t, UADDR(a->v[1]), &value, sizeof(value));
}

long sys_timer_getoverrun(struct task *t, const struct sysargs *a)
{
	return posix_timer_getoverrun(t, (int)a->v[0]);
}

long sys_timer_delete(struct task *t, const struct sysargs *a)
{
	return posix_timer_delete(t, (int)a->v[0]);
}

/* --- itimers ----------------------------------------------------------------------------------- */

static struct timeval timeval_from_ns(uint64_t ns)
{
	/* Rounded up: a timer that still runs never reads as zero. */
	ns += NSEC_PER_USEC - 1;
	return (struct timeval){.tv_sec = (time_t)(ns / NSEC_PER_SEC),
				.tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}

static int ns_from_timeval(const struct timeval *tv, uint64_t *ns)
{
	if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
		return -EINVAL;
	*ns = min((uint64_t)tv->tv_sec, (uint64_t)INT64_MAX / NSEC_PER_SEC / 2) * NSEC_PER_SEC +
	      (uint64_t)tv->tv_usec * NSEC_PER_USEC;
	return 0;
}

static long copyout_itimer(struct task *t, uaddr to, const uint64_t v[2])
{
	struct itimerval out = {.it_value = timeval_from_ns(v[0]),
				.it_interval = timeval_from_ns(v[1])};

	return copyout_late(t, to, &out, sizeof(out));
}

long sys_getitimer(struct task *t, const struct sysargs *a)
{
	uint64_t v[2];

	if (a->v[0] >= ITIMER_COUNT)
		return -EINVAL;
	itimer_get(t->process, (int)a->v[0], v);
	return copyout_itimer(t, UADDR(a->v[1]), v);
}

long sys_setitimer(struct task *t, const struct sysargs *a)
{
	struct itimerval in = {{0}};
	uint64_t value, interval, old[2];

	/* Linux takes a NULL value for zero. */
	if (a->v[1] && copyin(t, &in, UADDR(a->v[1]), sizeof(in)) < 0)
		return -EFAULT;
	if (ns_from_timeval(&in.it_value, &value) < 0 ||
	    ns_from_timeval(&in.it_interval, &interval) < 0 || a->v[0] >= ITIMER_COUNT)
		return -EINVAL;
	itimer_set(t->process, (int)a->v[0], value, interval, old);
	return a->v[2] ? copyout_itimer(t, UADDR(a->v[2]), old) : 0;
}

long sys_alarm(struct task *t, const struct sysargs *a)
{
	uint64_t old[2], seconds;

	itimer_set(t->process, ITIMER_REAL, (uint32_t)a->v[0] * NSEC_PER_SEC, 0, old);
	/* Rounded to the nearest second, but never down to "there was none". */
	seconds = (old[0] + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return old[0] && !seconds ? 1 : (long)seconds;
}
