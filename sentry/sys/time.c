/* System calls about clocks and sleeping. */
#include <errno.h>
#include <sys/time.h>
#include <sys/timex.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "sentry/abi/restart.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

long sys_clock_gettime(struct task *t, const struct sysargs *a)
{
	struct clock_ref clock;
	struct timespec ts;
	int r = clock_ref_get(t, (int)a->v[0], &clock);

	if (r < 0)
		return r;
	ts = timespec_from_ns(clock_ref_read(&clock));
	clock_ref_put(&clock);
	return copyout_late(t, UADDR(a->v[1]), &ts, sizeof(ts));
}

static long clock_resolution(int id)
{
	return id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE ? 4000000 : 1;
}

long sys_clock_getres(struct task *t, const struct sysargs *a)
{
	struct clock_ref clock;
	struct timespec ts = {.tv_nsec = clock_resolution((int)a->v[0])};
	int r = clock_ref_get(t, (int)a->v[0], &clock);

	if (r < 0)
		return r;
	clock_ref_put(&clock);
	return a->v[1] ? copyout_late(t, UADDR(a->v[1]), &ts, sizeof(ts)) : 0;
}

/* The clocks are the host's: nobody in a container may set them. */
long sys_clock_settime(struct task *t, const struct sysargs *a)
{
	struct timespec ts;
	int r;

	if ((int)a->v[0] != CLOCK_REALTIME)
		return -EINVAL;
	r = copyin_timespec(t, UADDR(a->v[1]), &ts);
	return r < 0 ? r : -EPERM;
}

long sys_settimeofday(struct task *t, const struct sysargs *a)
{
	struct timeval tv;

	if (a->v[0] && copyin(t, &tv, UADDR(a->v[0]), sizeof(tv)) < 0)
		return -EFAULT;
	return -EPERM;
}

static long do_adjtimex(struct task *t, uaddr at)
{
	struct timex tx;
	uint64_t now = host_realtime_ns();

	if (copyin(t, &tx, at, sizeof(tx)) < 0)
		return -EFAULT;
	if (tx.modes)
		return -EPERM;
	/* As a kernel whose clock nobody disciplines. */
	tx = (struct timex){
	    .maxerror = 16000000,
	    .esterror = 16000000,
	    .status = STA_UNSYNC,
	    .constant = 2,
	    .precision = 1,
	    .tolerance = 32768000,
	    .tick = 10000,
	    .time = {.tv_sec = (time_t)(now / NSEC_PER_SEC),
		     .tv_usec = (suseconds_t)(now % NSEC_PER_SEC / NSEC_PER_USEC)},
	};
	return copyout(t, at, &tx, sizeof(tx)) < 0 ? -EFAULT : TIME_ERROR;
}

long sys_adjtimex(struct task *t, const struct sysargs *a)
{
	return do_adjtimex(t, UADDR(a->v[0]));
}

long sys_clock_adjtime(struct task *t, const struct sysargs *a)
{
	return (int)a->v[0] == CLOCK_REALTIME ? do_adjtimex(t, UADDR(a->v[1])) : -EINVAL;
}

long sys_gettimeofday(struct task *t, const struct sysargs *a)
{
	uint64_t now = host_realtime_ns();
	struct timeval tv = {.tv_sec = (time_t)(now / NSEC_PER_SEC),
			     .tv_usec = (suseconds_t)(now % NSEC_PER_SEC / NSEC_PER_USEC)};
	struct timezone tz = {0};

	if (a->v[0] && copyout_late(t, UADDR(a->v[0]), &tv, sizeof(tv)) < 0)
		return -EFAULT;
	return a->v[1] ? copyout_late(t, UADDR(a->v[1]), &tz, sizeof(tz)) : 0;
}

long sys_time(struct task *t, const struct sysargs *a)
{
	int64_t now = (int64_t)(host_realtime_ns() / NSEC_PER_SEC);

	if (a->v[0] && copyout(t, UADDR(a->v[0]), &now, sizeof(now)) < 0)
		return -EFAULT;
	return now;
}

/* --- sleeping --------------------------------------------------------------------------------- */

/* 0 when the deadline came, else -ERESTARTSYS. */
static int sleep_until(struct task *t, uint64_t deadline)
{
	int r;

	do {
		r = task_sleep(t, deadline);
	} while (r == 0 && host_monotonic_ns() < deadline);
	return r == -ERESTARTSYS ? r : 0;
}

/* A relative sleep was interrupted: what is left goes to *rem, and restart_syscall goes on. */
static long sleep_relative(struct task *t, uint64_t deadline, uaddr rem)
{
	struct timespec ts;
	uint64_t now;

	if (sleep_until(t, deadline) == 0)
		return 0;
	now = host_monotonic_ns();
	if (now >= deadline)
		return 0;
	ts = timespec_from_ns(deadline - now);
	if (!uaddr_null(rem) && copyout(t, rem, &ts, sizeof(ts)) < 0)
		return -EFAULT;
	return -ERESTART_RESTARTBLOCK;
}

static long sleep_restart(struct task *t)
{
	long r = sleep_relative(t, t->restart_data[0], UADDR(t->restart_data[1]));

	if (r == -ERESTART_RESTARTBLOCK)
		t->restart_fn = sleep_restart;
	return r;
}

static long sleep_for(struct task *t, const struct timespec *ts, uaddr rem)
{
	uint64_t deadline = deadline_after(timespec_ns(ts));
	long r = sleep_relative(t, deadline, rem);

	if (r == -ERESTART_RESTARTBLOCK) {
		t->restart_fn = sleep_restart;
		t->restart_data[0] = deadline;
		t->restart_data[1] = rem.va;
	}
	return r;
}

long sys_nanosleep(struct task *t, const struct sysargs *a)
{
	struct timespec ts;
	int r = copyin_timespec(t, UADDR(a->v[0]), &ts);

	return r < 0 ? r : sleep_for(t, &ts, UADDR(a->v[1]));
}

static long sleep_absolute(struct task *t, const struct clock_ref *clock, uint64_t when)
{
	/* Sampled again: a CPU clock stands still meanwhile, and the wall clock may be set. */
	while (clock_ref_read(clock) < when)
		if (sleep_until(t, clock_ref_deadline(clock, when)) < 0)
			return -ERESTARTNOHAND;
	return 0;
}

static int sleep_clock(struct task *t, int id, struct clock_ref *clock)
{
	int r = clock_ref_get(t, id, clock);

	if (r < 0)
		return r;
	if (id == CLOCK_THREAD_CPUTIME_ID)
		r = -EINVAL;
	else if (id == CLOCK_MONOTONIC_RAW || id == CLOCK_REALTIME_COARSE ||
		 id == CLOCK_MONOTONIC_COARSE)
		r = -EOPNOTSUPP;
	if (r < 0)
		clock_ref_put(clock);
	return r;
}

long sys_clock_nanosleep(struct task *t, const struct sysargs *a)
{
	struct clock_ref clock;
	struct timespec ts;
	bool absolute = a->v[1] & TIMER_ABSTIME;
	long r = sleep_clock(t, (int)a->v[0], &clock);

	if (r < 0)
		return r;
	r = copyin_timespec(t, UADDR(a->v[2]), &ts);
	if (r == 0 && absolute)
		r = sleep_absolute(t, &clock, (uint64_t)timespec_ns(&ts));
	else if (r == 0 && clock_is_cpu(&clock))
		r = sleep_absolute(t, &clock, clock_ref_read(&clock) + (uint64_t)timespec_ns(&ts));
	else if (r == 0)
		r = sleep_for(t, &ts, UADDR(a->v[3]));
	clock_ref_put(&clock);
	return r;
}
