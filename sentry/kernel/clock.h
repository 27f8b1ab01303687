/* Clocks of clock_gettime(2) and of timers (kernel/clock.c). Times are ns. */
#ifndef GARRISON_SENTRY_KERNEL_CLOCK_H
#define GARRISON_SENTRY_KERNEL_CLOCK_H

#include <time.h>

#include "sentry/kernel/task.h"

/* What a clock id stands for. */
struct clock_ref {
	clockid_t host;		 /* a clock of the host, if process is NULL, */
	int64_t offset;		 /* ns ahead of it: the time namespace's */
	struct process *process; /* owned: its CPU time, */
	struct task *thread;	 /* or (owned) this thread's alone */
	bool user_only;		 /* CPUCLOCK_VIRT */
};
/* -EINVAL for no such clock, or a CPU clock of somebody who does not exist. */
int clock_ref_get(struct task *t, int id, struct clock_ref *out) MUST_CHECK;
void clock_ref_put(struct clock_ref *c);
uint64_t clock_ref_read(const struct clock_ref *c);
/* How far t's time namespace is ahead of a clock of the host: ns. */
int64_t clock_offset(struct task *t, clockid_t id);
static inline bool clock_is_cpu(const struct clock_ref *c)
{
	return c->process;
}
/* When (CLOCK_MONOTONIC) this clock will show `when`, if it goes on as now: for a CPU clock not
 * before that; look again then. */
uint64_t clock_ref_deadline(const struct clock_ref *c, uint64_t when);

#endif
