/*
 * The timer thread and its heap. The thread starts with the first timer that is
 * armed and sleeps until the earliest deadline; arming an earlier one wakes it.
 * The heap is an array with the root at index 1, so that index 0 can mean "not
 * armed". `fire` runs without the lock; `running` tells ktimer_cancel to wait.
 */
#include "sentry/core/timer.h"

#include "common/host.h"
#include "common/host_thread.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/core/sleeper.h"
#include "sentry/locks.h"

static struct {
	struct mutex lock; /* guards all of this */
	struct ktimer **heap;
	size_t count, room;
	struct ktimer *running;	 /* its fire function is being called */
	pthread_cond_t finished; /* running changed */
	struct sleeper *sleeper; /* the thread's; NULL: not started */
	pthread_t thread;
} timers = {.lock = MUTEX_INIT(RANK_TIMER), .finished = PTHREAD_COND_INITIALIZER};

static void place(size_t i, struct ktimer *t)
{
	timers.heap[i] = t;
	t->heap_index = i;
}

static void sift_up(size_t i, struct ktimer *t)
{
	for (; i > 1 && timers.heap[i / 2]->deadline > t->deadline; i /= 2)
		place(i, timers.heap[i / 2]);
	place(i, t);
}

static void sift_down(size_t i, struct ktimer *t)
{
	size_t child;

	for (; (child = 2 * i) <= timers.count; i = child) {
		if (child < timers.count &&
		    timers.heap[child + 1]->deadline < timers.heap[child]->deadline)
			child++;
		if (timers.heap[child]->deadline >= t->deadline)
			break;
		place(i, timers.heap[child]);
	}
	place(i, t);
}

static void heap_insert(struct ktimer *t)
{
	if (timers.count + 2 > timers.room) {
		timers.room = max(timers.room * 2, (size_t)64);
		timers.heap = xrealloc(timers.heap, timers.room * sizeof(*timers.heap));
	}
	sift_up(++timers.count, t);
}

static void heap_remove(struct ktimer *t)
{
	size_t i = t->heap_index;
	struct ktimer *last = timers.heap[timers.count--];

	t->heap_index = 0;
	if (last == t)
		return;
	if (i > 1 && timers.heap[i / 2]->deadline > last->deadline)
		sift_up(i, last);
	else
		sift_down(i, last);
}

/* Fires the first timer if it is due; else returns when to look again. */
static uint64_t fire_one_locked(void)
{
	struct ktimer *t;

	if (timers.count == 0)
		return SLEEP_FOREVER;
	t = timers.heap[1];
	if (t->deadline > host_monotonic_ns())
		return t->deadline;
	heap_remove(t);
	timers.running = t;
	mutex_unlock(&timers.lock);
	t->fire(t); /* t may be gone afterwards */
	mutex_lock(&timers.lock);
	timers.running = NULL;
	pthread_cond_broadcast(&timers.finished);
	return 0;
}

static void *timer_thread(void *arg)
{
	mutex_lock(&timers.lock);
	timers.sleeper = sleeper_self();
	timers.thread = pthread_self();
	for (;;) {
		uint64_t next = fire_one_locked();

		if (next == 0)
			continue;
		mutex_unlock(&timers.lock);
		(void)sleeper_sleep(timers.sleeper, next);
		mutex_lock(&timers.lock);
	}
	return NULL;
}

static void start_thread_locked(void)
{
	static bool started;
	int err;

	if (started)
		return;
	started = true;
	err = host_thread_start("timer", timer_thread, NULL);
	if (err)
		panic("cannot start the timer thread: error %d", -err);
}

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *t))
{
	*t = (struct ktimer){.fire = fire};
}

void ktimer_arm(struct ktimer *t, uint64_t deadline)
{
	SCOPED_LOCK(&timers.lock);

	start_thread_locked();
	if (t->heap_index)
		heap_remove(t);
	t->deadline = deadline;
	heap_insert(t);
	/* A thread that has just started looks at the heap before it first sleeps. */
	if (t->heap_index == 1 && timers.sleeper)
		sleeper_wake(timers.sleeper);
}

void ktimer_cancel(struct ktimer *t)
{
	SCOPED_LOCK(&timers.lock);

	for (;;) {
		if (t->heap_index)
			heap_remove(t);
		if (timers.running != t || pthread_equal(timers.thread, pthread_self()))
			return;
		pthread_cond_wait(&timers.finished, &timers.lock.m);
	}
}
