/*
 * The load average: how many tasks wanted a CPU, averaged with exponential
 * weights over 1, 5 and 15 minutes, as Linux does it.
 *
 * Not the length of a queue is sampled but the time that tasks have run (in the
 * guest by the wall clock, so waiting for a CPU counts), whose growth divided by
 * the time between two samples is their mean number. So samples may come late,
 * and an idle container needs none: a sample is taken when somebody looks, when a
 * task wakes up and the last one is five seconds old, and by a timer only as long
 * as samples find something to do. A short-lived sandbox never starts the timer.
 */
#include "sentry/kernel/loadavg.h"

#include "common/host.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/tasklist.h"

#define PERIOD (5 * NSEC_PER_SEC)
#define ONE (1ULL << LOAD_SHIFT)
#define IDLE (ONE / 20) /* below this mean number of tasks the timer is not worth its wake-ups */

/* e^(-5 s / 1, 5, 15 min) */
static const uint64_t decay[3] = {60296, 64453, 65173};

static uint64_t power(uint64_t base, uint64_t n)
{
	uint64_t result = ONE;

	for (; n && result; n >>= 1) {
		if (n & 1)
			result = result * base >> LOAD_SHIFT;
		base = base * base >> LOAD_SHIFT;
	}
	return result;
}

static uint64_t run_time(struct container *c)
{
	uint64_t sum = atomic_load(&c->load.dead_ns), user, system;

	SCOPED_LOCK(&tasklist);
	for (struct pid *pid = pid_next(c->pids, 1); pid; pid = pid_next(c->pids, pid->nr + 1)) {
		if (!pid->task)
			continue;
		task_times(pid->task, &user, &system);
		sum += user + system;
	}
	return sum;
}

/* The mean number of running tasks since the last sample, in 1/ONE; -1 if that is too near. */
static int64_t take_sample(struct container *c, uint64_t now)
{
	struct loadavg *l = &c->load;
	uint64_t periods = now > l->sampled ? (now - l->sampled) / PERIOD : 0, ran, mean;

	mutex_assert_held(&l->lock);
	if (periods == 0)
		return -1;
	ran = run_time(c);
	mean = ran > l->ran ? ((ran - l->ran) << LOAD_SHIFT) / (now - l->sampled) : 0;
	for (int i = 0; i < 3; i++) {
		uint64_t keep = power(decay[i], periods);

		l->load[i] = (l->load[i] * keep + mean * (ONE - keep)) >> LOAD_SHIFT;
	}
	l->ran = ran;
	l->sampled = now;
	return (int64_t)mean;
}

/* Samples, and decides whether the timer shall do the next. */
static void look(struct container *c)
{
	struct loadavg *l = &c->load;
	uint64_t now = host_monotonic_ns();
	int64_t mean;

	mutex_lock(&l->lock);
	mean = take_sample(c, now);
	atomic_store(&l->rests, mean < 0 || mean >= (int64_t)IDLE ? 0 : now);
	if (!atomic_load(&l->rests))
		ktimer_arm(&l->timer, l->sampled + PERIOD);
	mutex_unlock(&l->lock);
}

static void fire(struct ktimer *timer)
{
	look(container_of(timer, struct container, load.timer));
}

void loadavg_init(struct container *c)
{
	struct loadavg *l = &c->load;

	mutex_init(&l->lock, RANK_OBJECT);
	ktimer_init(&l->timer, fire);
	l->sampled = host_monotonic_ns();
	atomic_init(&l->rests, l->sampled);
}

void loadavg_fini(struct container *c)
{
	ktimer_cancel(&c->load.timer);
	mutex_destroy(&c->load.lock);
}

void loadavg_woken(struct container *c)
{
	uint64_t rests = atomic_load_explicit(&c->load.rests, memory_order_relaxed);

	if (rests && host_monotonic_ns() > rests + PERIOD)
		look(c);
}

void loadavg_account(struct container *c, uint64_t ns)
{
	atomic_fetch_add(&c->load.dead_ns, ns);
}

void loadavg_get(struct container *c, unsigned long load[3])
{
	struct loadavg *l = &c->load;

	SCOPED_LOCK(&l->lock);
	(void)take_sample(c, host_monotonic_ns());
	for (int i = 0; i < 3; i++)
		load[i] = l->load[i];
}
