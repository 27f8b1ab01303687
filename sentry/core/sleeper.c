#include "sentry/core/sleeper.h"

#include <errno.h>
#include <pthread.h>

#include "common/host_thread.h"
#include "common/log.h"
#include "common/mem.h"

enum { NONE, WOKEN, ASLEEP };

#define HELD_MAX 16

/*
 * A waker may still write to a sleeper whose thread it has just let go, and which has ended by then.
 * So sleepers are never freed: a thread's goes to a list when it ends, for the next thread. A stray
 * token there does no harm.
 */
struct stable_sleeper {
	struct sleeper sleeper;
	struct stable_sleeper *next; /* guarded by spare.lock */
};
static struct {
	pthread_mutex_t lock;
	struct stable_sleeper *first; /* guarded by lock */
	pthread_once_t once;
	pthread_key_t key; /* gives the sleeper back at the thread's end */
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};
static __thread struct sleeper *self;
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

static void give_back(void *arg)
{
	struct stable_sleeper *s = arg;

	self = NULL;
	pthread_mutex_lock(&spare.lock);
	s->next = spare.first;
	spare.first = s;
	pthread_mutex_unlock(&spare.lock);
}

static void make_key(void)
{
	if (pthread_key_create(&spare.key, give_back))
		panic("no thread key for sleepers");
}

static struct sleeper *take_sleeper(void)
{
	struct stable_sleeper *s;

	pthread_once(&spare.once, make_key);
	pthread_mutex_lock(&spare.lock);
	s = spare.first;
	if (s)
		spare.first = s->next;
	pthread_mutex_unlock(&spare.lock);
	if (!s)
		s = NEW(struct stable_sleeper);
	sleeper_init(&s->sleeper);
	pthread_setspecific(spare.key, s);
	return &s->sleeper;
}

struct sleeper *sleeper_self(void)
{
	if (!self)
		self = take_sleeper();
	return self;
}
