/*
 * Where a sentry thread sleeps. Each thread that runs a task has one sleeper;
 * everything that may end its sleep (a waitq callback, a signal, a timer, a
 * futex wake) calls sleeper_wake on it. A wake-up that comes before the sleep
 * is kept (a token, not a counter), so a caller re-tests its condition after
 * every return. The word is a host futex; idle sleepers cost nothing.
 */
#ifndef GARRISON_SENTRY_CORE_SLEEPER_H
#define GARRISON_SENTRY_CORE_SLEEPER_H

#include <stdatomic.h>

#include "common/base.h"

#define SLEEP_FOREVER UINT64_MAX

struct sleeper {
	atomic_uint token;    /* 0 none, 1 woken, 2 asleep */
	atomic_int waker_cpu; /* sleeper_cpu of who ended the last sleep */
};

/* The CPU to which the calling thread is pinned, or -1: a hint for those that it wakes. */
extern __thread int sleeper_cpu;

void sleeper_init(struct sleeper *s);
/* Sleeps until a wake-up or until `deadline` (CLOCK_MONOTONIC ns); takes the token.
 * Returns 0, or -ETIMEDOUT. Only the owning thread calls it. */
int sleeper_sleep(struct sleeper *s, uint64_t deadline);
/* From any thread, under any lock. */
void sleeper_wake(struct sleeper *s);

/*
 * Between these two, sleeper_wake of the calling thread leaves the host call for later:
 * sleeper_release makes it. So a sleeper is not woken while the waker holds a lock that the
 * sleeper takes next (waitq_wake does this). They nest.
 */
void sleeper_hold(void);
void sleeper_release(void);

static inline int sleeper_hold_begin(void)
{
	sleeper_hold();
	return 0;
}
static inline void sleeper_hold_end(int *unused)
{
	sleeper_release();
}
/* Until the end of the block; stands before the SCOPED_LOCK whose release it waits for. */
#define SCOPED_SLEEPER_HOLD                                                                        \
	__attribute__((cleanup(sleeper_hold_end), unused)) int sleepers_held = sleeper_hold_begin()

/* The calling thread's sleeper (thread-local). */
struct sleeper *sleeper_self(void);

#endif
