#include "sentry/core/worker.h"

#include <errno.h>
#include <pthread.h>

#include "common/host.h"
#include "common/host_sched.h"
#include "common/host_thread.h"
#include "common/mem.h"
#include "sentry/core/sleeper.h"
#include "sentry/locks.h"

/* Guest paths of 4 KiB, frames of 16 KiB and the gofer's messages lie on it. */
#define WORKER_STACK (256 * 1024)
#define IDLE_MAX 8
#define IDLE_TIME NSEC_PER_SEC

struct worker {
	atomic_uint go; /* the job is there */
	bool (*fn)(void *arg);
	void *arg;
	pthread_t thread;
	int cpu; /* to which it is pinned, or -1; its own while it runs, else the lock's */
	/* guarded by idle.lock */
	bool listed;
	struct worker *next;
};

/* The one that ran last is taken first: its stack is in the cache. */
static struct {
	struct mutex lock;
	struct worker *first; /* guarded by lock */
	unsigned int count;   /* guarded by lock */
} idle = {.lock = MUTEX_INIT(RANK_LEAF)};

static bool become_idle(struct worker *w)
{
	SCOPED_LOCK(&idle.lock);

	if (idle.count == IDLE_MAX)
		return false;
	w->cpu = sleeper_cpu;
	w->listed = true;
	w->next = idle.first;
	idle.first = w;
	idle.count++;
	return true;
}

static struct worker *take_idle(void)
{
	SCOPED_LOCK(&idle.lock);
	struct worker *w = idle.first;

	if (w) {
		idle.first = w->next;
		idle.count--;
		w->listed = false;
	}
	return w;
}

/* False: somebody has taken it already. */
static bool leave_idle(struct worker *w)
{
	SCOPED_LOCK(&idle.lock);

	if (!w->listed)
		return false;
	for (struct worker **at = &idle.first; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			break;
		}
	}
	idle.count--;
	return true;
}

/* False: nobody needed it. */
static bool wait_for_job(struct worker *w, uint64_t deadline)
{
	while (!atomic_load(&w->go)) {
		int r = host_futex_wait(&w->go, 0, deadline);

		if (r == -ETIMEDOUT && leave_idle(w))
			return false;
		if (r == -ETIMEDOUT)
			deadline = SLEEP_FOREVER;
	}
	atomic_store(&w->go, 0);
	sleeper_cpu = w->cpu;
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	bool again = wait_for_job(w, SLEEP_FOREVER);

	while (again)
		again = w->fn(w->arg) && become_idle(w) &&
			wait_for_job(w, host_monotonic_ns() + IDLE_TIME);
	free(w);
	return NULL;
}

int worker_new(struct worker **out)
{
	struct worker *w = take_idle();
	int r;

	if (!w) {
		w = NEW(struct worker);
		w->cpu = sleeper_cpu; /* the host gives it its creator's CPUs */
		r = host_thread_start_stack("task", worker_main, w, WORKER_STACK, &w->thread);
		if (r < 0) {
			free(w);
			return r;
		}
	}
	*out = w;
	return 0;
}

void worker_run(struct worker *w, bool (*fn)(void *arg), void *arg)
{
	if (w->cpu != sleeper_cpu && host_thread_set_cpu(w->thread, sleeper_cpu) == 0)
		w->cpu = sleeper_cpu;
	w->fn = fn;
	w->arg = arg;
	atomic_store(&w->go, 1);
	/* If it saw the word without sleeping it may be gone by now: a wake-up of a stranger's word
	 * is harmless. */
	host_futex_wake(&w->go, 1);
}
