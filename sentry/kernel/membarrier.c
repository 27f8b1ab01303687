/*
 * A memory barrier on other threads: whoever is in the guest is interrupted and
 * waited for until it has come out once. The way through the host kernel is the
 * barrier; a thread that is not in the guest passes one on its way back.
 */
#include "sentry/kernel/membarrier.h"

#include <errno.h>
#include <stdatomic.h>

#include "common/host.h"
#include "common/host_sched.h"
#include "sentry/kernel/container.h"

/* A guest can keep its own threads from answering; it then gets a barrier less. */
#define PATIENCE (200 * NSEC_PER_MSEC)

static int wait_for(struct task *t, struct task *other)
{
	unsigned int seen = atomic_load(&other->guest_exits);
	uint64_t end = host_monotonic_ns() + PATIENCE;

	if (other == t || !atomic_load(&other->in_guest))
		return 0;
	task_kick(other);
	while (atomic_load(&other->in_guest) && atomic_load(&other->guest_exits) == seen) {
		if (task_killed(t))
			return -EINTR;
		if (host_monotonic_ns() > end)
			break;
		host_sched_yield();
	}
	return 0;
}

static int run_process(struct task *t, struct process *p)
{
	struct task *other;
	int next = 1, r = 0;

	while (r == 0 && (other = process_next_task(p, next))) {
		next = other->tid + 1;
		r = wait_for(t, other);
		task_put(other);
	}
	return r;
}

int membarrier_run(struct task *t, bool all)
{
	struct process *p;
	int next = 1, r = 0;

	atomic_thread_fence(memory_order_seq_cst);
	if (!all)
		return run_process(t, t->process);
	while (r == 0 && (p = process_next(t->container, next))) {
		next = p->tgid + 1;
		r = run_process(t, p);
		process_put(p);
	}
	return r;
}
