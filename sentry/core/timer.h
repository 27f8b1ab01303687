/*
 * One timer thread for the whole sentry (core/timer.c): a heap of deadlines on
 * CLOCK_MONOTONIC. timerfd, POSIX timers, itimers and alarm use it; plain
 * sleeps use the sleeper's deadline instead.
 */
#ifndef GARRISON_SENTRY_CORE_TIMER_H
#define GARRISON_SENTRY_CORE_TIMER_H

#include "common/base.h"

struct ktimer {
	uint64_t deadline;		/* ns; guarded by the timer lock */
	size_t heap_index;		/* 0: not armed */
	void (*fire)(struct ktimer *t); /* on the timer thread, no lock held; may re-arm */
};

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *t));
/* Arms or moves the timer. A deadline in the past fires at once (on the timer thread). */
void ktimer_arm(struct ktimer *t, uint64_t deadline);
/* After it returns, `fire` is not running and will not run (unless called from `fire`). */
void ktimer_cancel(struct ktimer *t);

#endif
