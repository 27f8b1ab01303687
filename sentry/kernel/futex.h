/*
 * Futexes (futex(2)): kernel/futex.c has waiting, waking and requeueing,
 * futex_pi.c the priority-inheritance operations, futex_robust.c what happens
 * when a task dies. sys/futex.c decodes the calls.
 *
 * All functions return >= 0 or -errno (or a restart code). Addresses are
 * checked here. Deadlines are CLOCK_MONOTONIC ns or SLEEP_FOREVER.
 */
#ifndef GARRISON_SENTRY_KERNEL_FUTEX_H
#define GARRISON_SENTRY_KERNEL_FUTEX_H

#include "sentry/kernel/task.h"

#define FUTEX_ANY 0xffffffffu /* FUTEX_BITSET_MATCH_ANY */

/* FUTEX_WAIT_BITSET: -EAGAIN if the word is not `val`, -ETIMEDOUT, -ERESTARTSYS. */
long futex_wait(struct task *t, uaddr addr, bool private, uint32_t val, uint32_t bitset,
		uint64_t deadline);
/* FUTEX_WAKE_BITSET: how many were woken. */
long futex_wake(struct task *t, uaddr addr, bool private, int n, uint32_t bitset);
/* FUTEX_WAKE_OP; `op` as in futex(2). */
long futex_wake_op(struct task *t, uaddr addr1, uaddr addr2, bool private, int n1, int n2,
		   uint32_t op);

struct futex_word {
	uaddr addr;
	bool private;
};
/* FUTEX_REQUEUE, FUTEX_CMP_REQUEUE (cmp points to the expected value, else NULL). */
long futex_requeue(struct task *t, const struct futex_word *from, const struct futex_word *to,
		   int nr_wake, int nr_requeue, const uint32_t *cmp);

/* futex_waitv(2): n words at most FUTEX_WAITV_MAX; the index of one that was woken. */
struct futex_waitv_word {
	struct futex_word word;
	uint32_t val;
};
long futex_wait_multiple(struct task *t, const struct futex_waitv_word *words, unsigned int n,
			 uint64_t deadline);

/* Locks whose word holds the owner's tid. Without priority boosting. */
long futex_lock_pi(struct task *t, uaddr addr, bool private, bool try, uint64_t deadline);
long futex_unlock_pi(struct task *t, uaddr addr, bool private);
long futex_wait_requeue_pi(struct task *t, const struct futex_word *from,
			   const struct futex_word *to, uint32_t val, uint32_t bitset,
			   uint64_t deadline);
long futex_cmp_requeue_pi(struct task *t, const struct futex_word *from,
			  const struct futex_word *to, int nr_requeue, uint32_t cmp);

/* Wakes up to n waiters on a word of another space, or of one's own: clear_child_tid. */
void futex_wake_addr(struct mm *mm, uaddr addr, int n);
/* The task leaves its mm: its robust list is walked, who waits for its PI locks is told. Call
 * while t->mm and t->pt still work. */
void futex_task_exit(struct task *t);
void futex_task_exec(struct task *t);

#endif
