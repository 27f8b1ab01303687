/*
 * Clocks. Wall clocks are the host's own; CPU clocks add up what the platform
 * knows of stub threads. A timer on a CPU clock cannot be told to the host, so
 * it is looked at again when it could be due at the earliest.
 */
#include "sentry/kernel/clock.h"

#include <errno.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"

#define CPUCLOCK_PERTHREAD 4
#define CPUCLOCK_TYPE 3
enum { CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED, CLOCK_OF_FD };

/* How often a CPU clock is looked at while it may be close to its goal. */
#define CPU_TICK (4 * NSEC_PER_MSEC)

/* Without the _ALARM clocks, as on a machine without a clock that can wake it. */
static bool is_host_clock(int id)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		return true;
	}
	return false;
}

static int own_clock(struct task *t, bool thread, struct clock_ref *out)
{
	out->process = process_get(t->process);
	out->thread = thread ? task_get(t) : NULL;
	return 0;
}

/* The ids that clock_getcpuclockid(3) and pthread_getcpuclockid(3) make. */
static int cpu_clock(struct task *t, int id, struct clock_ref *out)
{
	int pid = (int)(~(uint32_t)id >> 3); /* id is ~pid << 3, and the kind */
	bool thread = id & CPUCLOCK_PERTHREAD;
	struct task *target;

	if ((id & CPUCLOCK_TYPE) == CLOCK_OF_FD)
		return -EINVAL;
	out->user_only = (id & CPUCLOCK_TYPE) == CPUCLOCK_VIRT;
	if (pid == 0)
		return own_clock(t, thread, out);
	target = task_find(task_pids(t), pid);
	if (!target)
		return -EINVAL;
	if ((thread && target->process != t->process) ||
	    (!thread && target->process->tgid != task_take_pid(t, pid))) {
		task_put(target);
		return -EINVAL;
	}
	out->process = process_get(target->process);
	out->thread = thread ? target : NULL;
	if (!thread)
		task_put(target);
	return 0;
}

int clock_ref_get(struct task *t, int id, struct clock_ref *out)
{
	*out = (struct clock_ref){.host = id};
	if (id < 0)
		return cpu_clock(t, id, out);
	if (id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID)
		return own_clock(t, id == CLOCK_THREAD_CPUTIME_ID, out);
	if (!is_host_clock(id))
		return -EINVAL;
	out->offset = clock_offset(t, id);
	return 0;
}

int64_t clock_offset(struct task *t, clockid_t id)
{
	const struct time_ns *ns = t->ns->time;

	switch (id) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return ns->monotonic;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return ns->boottime;
	}
	return 0;
}

void clock_ref_put(struct clock_ref *c)
{
	if (c->thread)
		task_put(c->thread);
	if (c->process)
		process_put(c->process);
	*c = (struct clock_ref){0};
}

uint64_t clock_ref_read(const struct clock_ref *c)
{
	uint64_t user, system;

	if (!c->process)
		return host_clock_ns(c->host) + (uint64_t)c->offset;
	if (c->thread)
		task_times(c->thread, &user, &system);
	else
		process_times(c->process, &user, &system);
	return c->user_only ? user : user + system;
}

uint64_t clock_ref_deadline(const struct clock_ref *c, uint64_t when)
{
	uint64_t now = clock_ref_read(c), left, mono = host_monotonic_ns();
	int threads;

	if (when <= now)
		return mono;
	left = when - now;
	if (left >= SLEEP_FOREVER - 1 - mono)
		return SLEEP_FOREVER - 1;
	if (!c->process)
		return mono + left;
	threads = c->thread ? 1 : max(process_count_threads(c->process), 1);
	return mono + max(left / (uint64_t)threads, min(left, CPU_TICK));
}
