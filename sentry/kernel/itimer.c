/*
 * setitimer(2), alarm(2) and RLIMIT_CPU. ITIMER_REAL is a timer of the sentry;
 * the others and the limit share one that samples the process's CPU time when
 * the nearest of them could be due at the earliest.
 */
#include "common/host.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/posix_timer.h"

/* A guest may ask for any interval; the timer thread is shared by all. */
#define MIN_PERIOD (50 * NSEC_PER_USEC)

/* The next multiple of the interval behind `from` that is not past. */
static uint64_t next_expiry(uint64_t from, uint64_t interval, uint64_t now)
{
	uint64_t next = from + interval;

	if (next < now)
		next += (now - next + interval - 1) / interval * interval;
	return next;
}

static uint64_t cpu_now(struct process *p, int which)
{
	uint64_t user, system;

	process_times(p, &user, &system);
	return which == ITIMER_VIRTUAL ? user : user + system;
}

static uint64_t now_of(struct process *p, int which)
{
	return which == ITIMER_REAL ? host_monotonic_ns() : cpu_now(p, which);
}

static void real_fire(struct ktimer *k)
{
	struct posix_timers *pt = container_of(k, struct posix_timers, real);
	struct itimer *it = &pt->itimers[ITIMER_REAL];
	uint64_t now = host_monotonic_ns();

	mutex_lock(&pt->lock);
	if (!it->expires || it->expires > now) { /* changed meanwhile */
		mutex_unlock(&pt->lock);
		return;
	}
	it->expires = it->interval ? next_expiry(it->expires, it->interval, now) : 0;
	if (it->expires)
		ktimer_arm(k, max(it->expires, now + MIN_PERIOD));
	mutex_unlock(&pt->lock);
	(void)signal_process(pt->process, SIGALRM, NULL);
}

/* When to look at the CPU clocks again; 0: nothing is armed. */
static uint64_t cpu_next(struct posix_timers *pt)
{
	struct clock_ref all = {.process = pt->process}, user = all;
	uint64_t next = 0;

	user.user_only = true;
	if (pt->itimers[ITIMER_VIRTUAL].expires)
		next = clock_ref_deadline(&user, pt->itimers[ITIMER_VIRTUAL].expires);
	if (pt->itimers[ITIMER_PROF].expires) {
		uint64_t at = clock_ref_deadline(&all, pt->itimers[ITIMER_PROF].expires);

		next = next ? min(next, at) : at;
	}
	if (pt->next_xcpu) {
		uint64_t at = clock_ref_deadline(&all, pt->next_xcpu);

		next = next ? min(next, at) : at;
	}
	return next;
}

static void cpu_arm(struct posix_timers *pt)
{
	uint64_t next = cpu_next(pt);

	if (next)
		ktimer_arm(&pt->cpu, max(next, host_monotonic_ns() + MIN_PERIOD));
}

static bool cpu_expired(struct posix_timers *pt, int which)
{
	struct itimer *it = &pt->itimers[which];
	uint64_t now;

	if (!it->expires)
		return false;
	now = cpu_now(pt->process, which);
	if (now < it->expires)
		return false;
	it->expires = it->interval ? next_expiry(it->expires, it->interval, now) : 0;
	return true;
}

static struct rlimit64 cpu_limit(struct process *p)
{
	SCOPED_LOCK(&p->limit_lock);
	return p->limits[RLIMIT_CPU];
}

/* SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one; 0: not yet. */
static int limit_expired(struct posix_timers *pt)
{
	struct rlimit64 limit = cpu_limit(pt->process);
	uint64_t now = cpu_now(pt->process, ITIMER_PROF);

	if (!pt->next_xcpu || now < pt->next_xcpu)
		return 0;
	if (limit.rlim_max != RLIM64_INFINITY && now / NSEC_PER_SEC >= limit.rlim_max) {
		pt->next_xcpu = 0;
		return SIGKILL;
	}
	pt->next_xcpu += NSEC_PER_SEC;
	return SIGXCPU;
}

static void cpu_fire(struct ktimer *k)
{
	struct posix_timers *pt = container_of(k, struct posix_timers, cpu);
	bool virtual, prof;
	int limit;

	mutex_lock(&pt->lock);
	virtual = cpu_expired(pt, ITIMER_VIRTUAL);
	prof = cpu_expired(pt, ITIMER_PROF);
	limit = limit_expired(pt);
	cpu_arm(pt);
	mutex_unlock(&pt->lock);
	if (virtual)
		(void)signal_process(pt->process, SIGVTALRM, NULL);
	if (prof)
		(void)signal_process(pt->process, SIGPROF, NULL);
	if (limit)
		(void)signal_process(pt->process, limit, NULL);
}

void itimer_init(struct posix_timers *pt)
{
	ktimer_init(&pt->real, real_fire);
	ktimer_init(&pt->cpu, cpu_fire);
}

void itimer_cancel(struct posix_timers *pt)
{
	mutex_lock(&pt->lock);
	for (int i = 0; i < ITIMER_COUNT; i++)
		pt->itimers[i] = (struct itimer){0};
	pt->next_xcpu = 0;
	mutex_unlock(&pt->lock);
	ktimer_cancel(&pt->real);
	ktimer_cancel(&pt->cpu);
}

static void get_locked(struct posix_timers *pt, int which, uint64_t out[2])
{
	struct itimer *it = &pt->itimers[which];
	uint64_t now;

	out[0] = 0;
	out[1] = it->interval;
	if (!it->expires)
		return;
	now = now_of(pt->process, which);
	out[0] = it->expires > now ? it->expires - now : 1; /* due, but not yet sent */
}

void itimer_get(struct process *p, int which, uint64_t out[2])
{
	struct posix_timers *pt = process_timers(p);

	SCOPED_LOCK(&pt->lock);
	get_locked(pt, which, out);
}

void itimer_set(struct process *p, int which, uint64_t value, uint64_t interval, uint64_t old[2])
{
	struct posix_timers *pt = process_timers(p);
	struct itimer *it = &pt->itimers[which];

	SCOPED_LOCK(&pt->lock);
	get_locked(pt, which, old);
	it->interval = interval;
	it->expires = value ? now_of(p, which) + value : 0;
	if (which != ITIMER_REAL)
		cpu_arm(pt);
	else if (it->expires)
		ktimer_arm(&pt->real, it->expires);
	else
		ktimer_arm(&pt->real, SLEEP_FOREVER - 1); /* a running fire sees expires 0 */
}

void itimer_cpu_limit(struct process *p)
{
	struct rlimit64 limit = cpu_limit(p);
	struct posix_timers *pt;

	if (limit.rlim_cur == RLIM64_INFINITY && !p->timers)
		return;
	pt = process_timers(p);
	SCOPED_LOCK(&pt->lock);
	pt->next_xcpu = 0;
	if (limit.rlim_cur < UINT64_MAX / NSEC_PER_SEC)
		pt->next_xcpu = max(limit.rlim_cur, (uint64_t)1) * NSEC_PER_SEC;
	cpu_arm(pt);
}
