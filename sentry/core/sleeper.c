#include "sentry/core/sleeper.h"

#include <errno.h>

#include "common/host_thread.h"

enum { NONE, WOKEN, ASLEEP };

#define HELD_MAX 16

static __thread struct sleeper self;
/* Sleepers whose host call is still to be made. One whose thread has ended meanwhile does no harm:
 * a futex wake looks at no memory. */
static __thread struct {
	unsigned int depth, count;
	struct sleeper *sleepers[HELD_MAX];
} held;
__thread int sleeper_cpu = -1;

void sleeper_init(struct sleeper *s)
{
	atomic_init(&s->token, NONE);
}

int sleeper_sleep(struct sleeper *s, uint64_t deadline)
{
	int err = 0;

	for (;;) {
		unsigned int old = NONE;

		if (!atomic_compare_exchange_strong(&s->token, &old, ASLEEP) && old == WOKEN)
			break;
		if (err == -ETIMEDOUT)
			break;
		err = host_futex_wait(&s->token, ASLEEP, deadline);
	}
	return atomic_exchange(&s->token, NONE) == WOKEN ? 0 : -ETIMEDOUT;
}

void sleeper_wake(struct sleeper *s)
{
	/* Only a sleeping owner costs a host call, and only the first of several wake-ups. */
	if (atomic_exchange(&s->token, WOKEN) != ASLEEP)
		return;
	atomic_store_explicit(&s->waker_cpu, sleeper_cpu, memory_order_relaxed);
	if (held.depth > 0 && held.count < HELD_MAX)
		held.sleepers[held.count++] = s;
	else
		host_futex_wake(&s->token, 1);
}

void sleeper_hold(void)
{
	held.depth++;
}

void sleeper_release(void)
{
	if (--held.depth > 0)
		return;
	while (held.count > 0)
		host_futex_wake(&held.sleepers[--held.count]->token, 1);
}

struct sleeper *sleeper_self(void)
{
	return &self;
}
