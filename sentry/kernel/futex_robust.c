/*
 * Robust futexes: the list of held locks that a thread registers
 * (set_robust_list(2)) and that is walked when it dies. The list is in guest
 * memory and hostile: its length is bounded, and a fault ends the walk.
 */
#include "sentry/kernel/futex_internal.h"

#include <errno.h>
#include <linux/futex.h>

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};
static_assert(sizeof(struct robust_head) == 24, "struct robust_list_head");

/* Marks one lock that the task holds as left by a dead owner and wakes a waiter. False ends
 * the walk. */
static bool lock_left(struct task *t, uaddr addr, bool pi, bool pending)
{
	uint32_t word, seen, dead;

	if (addr.va % sizeof(word) || pf_space_load32(t->mm->space, addr, &word))
		return false;
	for (;;) {
		/* Unlocked already, but died before it could wake: wake in its place. */
		if (pending && !pi && !word)
			futex_wake_addr(t->mm, addr, 1);
		if ((word & FUTEX_TID_MASK) != (uint32_t)t->own_tid)
			return true;
		dead = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
		if (pf_thread_cmpxchg32(t->pt, addr, word, dead, &seen))
			return false;
		if (seen == word)
			break;
		word = seen;
	}
	if (!pi && (word & FUTEX_WAITERS))
		futex_wake_addr(t->mm, addr, 1);
	return true;
}

/* A list pointer carries the PI flag in bit 0. */
static bool entry_left(struct task *t, uint64_t entry, int64_t offset, bool pending)
{
	return lock_left(t, UADDR((entry & ~1ULL) + (uint64_t)offset), entry & 1, pending);
}

static void walk(struct task *t, uaddr head_addr)
{
	struct robust_head head;
	uint64_t entry, next;
	ssize_t n;

	if (pf_space_read(t->mm->space, head_addr, &head, sizeof(head)) != sizeof(head))
		return;
	entry = head.next;
	for (int left = ROBUST_LIST_LIMIT; left > 0 && (entry & ~1ULL) != head_addr.va; left--) {
		/* Read on first: the waiter that we wake may reuse the entry. */
		n = pf_space_read(t->mm->space, UADDR(entry & ~1ULL), &next, sizeof(next));
		if (entry != head.pending && !entry_left(t, entry, head.futex_offset, false))
			return;
		if (n != sizeof(next))
			return;
		entry = next;
	}
	if (head.pending)
		entry_left(t, head.pending, head.futex_offset, true);
}

static void walk_if_any(struct task *t, uaddr head)
{
	if (t->mm && !uaddr_null(head))
		walk(t, head);
}

void futex_task_exec(struct task *t)
{
	walk_if_any(t, t->robust_list);
	t->robust_list = UADDR_NULL;
}

void futex_task_exit(struct task *t)
{
	uaddr head = t->robust_list;

	/* Who wants a lock of ours now waits until its word tells (futex_pi.c). */
	__atomic_store_n(&t->robust_list.va, FUTEX_ROBUST_EXITING, __ATOMIC_SEQ_CST);
	walk_if_any(t, head);
	__atomic_store_n(&t->robust_list.va, FUTEX_ROBUST_GONE, __ATOMIC_SEQ_CST);
	futex_pi_owner_died(t);
}
