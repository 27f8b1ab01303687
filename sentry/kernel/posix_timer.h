/* Timers of a process: POSIX timers (posix_timer.c), itimers and RLIMIT_CPU (itimer.c). */
#ifndef GARRISON_SENTRY_KERNEL_POSIX_TIMER_H
#define GARRISON_SENTRY_KERNEL_POSIX_TIMER_H

#include <sys/time.h>

#include "sentry/core/timer.h"
#include "sentry/kernel/task.h"

enum { ITIMER_COUNT = 3 };

struct itimer {
	uint64_t expires; /* 0: off. REAL: CLOCK_MONOTONIC; the others: the CPU clock */
	uint64_t interval;
};

struct posix_timers {
	struct process *process; /* borrowed: it owns us */
	struct mutex lock;	 /* RANK_OBJECT: a timer is sent under it */
	/* guarded by lock */
	struct list timers; /* struct posix_timer.node */
	int next_id;
	struct itimer itimers[ITIMER_COUNT];
	uint64_t next_xcpu; /* CPU ns at which RLIMIT_CPU acts next; 0: none */
	struct ktimer real, cpu;
};

/* The process's timers, made on first use. */
struct posix_timers *process_timers(struct process *p);
struct posix_timers *posix_timers_new(struct process *p);

struct timer_event {
	int notify; /* SIGEV_* */
	int signo;
	int tid; /* SIGEV_THREAD_ID */
	union sigval value;
	bool default_value; /* sigev NULL: the value is the id */
};
/* The new id, or -errno. */
int posix_timer_create(struct task *t, int clock, const struct timer_event *event) MUST_CHECK;
int posix_timer_settime(struct task *t, int id, int flags, const struct itimerspec *value,
			struct itimerspec *old) MUST_CHECK;
int posix_timer_gettime(struct task *t, int id, struct itimerspec *value) MUST_CHECK;
int posix_timer_getoverrun(struct task *t, int id) MUST_CHECK;
int posix_timer_delete(struct task *t, int id) MUST_CHECK;

/* which: ITIMER_*; value and interval in ns, relative; old ones in old[0], old[1]. */
void itimer_set(struct process *p, int which, uint64_t value, uint64_t interval, uint64_t old[2]);
void itimer_get(struct process *p, int which, uint64_t out[2]);
void itimer_init(struct posix_timers *timers);
void itimer_cancel(struct posix_timers *timers);
/* RLIMIT_CPU has changed, or the process is new and has one. */
void itimer_cpu_limit(struct process *p);

#endif
