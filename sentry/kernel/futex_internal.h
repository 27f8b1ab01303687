/* What the futex files share. */
#ifndef GARRISON_SENTRY_KERNEL_FUTEX_INTERNAL_H
#define GARRISON_SENTRY_KERNEL_FUTEX_INTERNAL_H

#include "sentry/kernel/futex.h"

/* Identity of a word: (mm, address), or (inode, offset) in a shared mapping. */
struct futex_key {
	const void *object;
	uint64_t offset;
	struct inode *inode; /* owned; NULL for private keys */
};

struct futex_bucket {
	struct mutex lock;   /* RANK_FUTEX */
	struct list waiters; /* struct futex_waiter.node, oldest first; guarded by lock */
	/* Waiters queued or about to be: lets a wake that finds nobody skip the lock. */
	atomic_uint count;
} __attribute__((aligned(64)));

enum futex_kind {
	FUTEX_KIND_PLAIN,
	FUTEX_KIND_PI,	       /* waits to own a lock */
	FUTEX_KIND_REQUEUE_PI, /* waits to be moved to a lock */
};

enum futex_state {
	FUTEX_QUEUED,
	FUTEX_CLAIMED, /* off the queue, a lock is being handed to it; the outcome is near */
	FUTEX_WOKEN,
};

/* Lives on the waiting thread's stack. Once it is WOKEN nobody touches it but who holds the
 * bucket's lock, so its thread takes that once before it goes. */
struct futex_waiter {
	struct list node;
	_Atomic(struct futex_bucket *) bucket; /* changes under the lock of old and new one */
	atomic_int state;		       /* enum futex_state; set under the bucket's lock */
	atomic_bool orphan;		       /* PI: the owner died */
	struct sleeper *sleeper;
	/* guarded by the bucket's lock */
	struct futex_key key;
	enum futex_kind kind;
	uint32_t bitset;
	uint32_t wake_bits;	 /* of the wake that took it */
	int tid, owner;		 /* PI: ours, and whom we wait for */
	struct container *space; /* PI: the pid namespace of both */
	struct futex_key target; /* REQUEUE_PI: the lock; borrowed */
	uaddr lock;		 /* PI: the word, in the waiter's space */
};

int futex_key_get(struct mm *mm, uaddr addr, bool private, struct futex_key *key) MUST_CHECK;
void futex_key_put(struct futex_key *key);
static inline bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}
struct futex_bucket *futex_bucket_of(const struct futex_key *key);
/* For the search when a task dies: bucket i, or NULL behind the last. */
struct futex_bucket *futex_bucket_at(size_t i);

/* Takes over the key's reference; it is dropped by futex_waiter_fini. */
void futex_waiter_init(struct futex_waiter *w, struct task *t, const struct futex_key *key,
		       enum futex_kind kind, uint32_t bitset);
void futex_waiter_fini(struct futex_waiter *w);
void futex_enqueue(struct futex_waiter *w);
/* True if it was still queued and now is not; false if a waker took it. */
bool futex_dequeue(struct futex_waiter *w);
/* Takes a waiter off its bucket, whose lock is held. */
void futex_take_locked(struct futex_bucket *b, struct futex_waiter *w);
void futex_move_locked(struct futex_bucket *from, struct futex_bucket *to, struct futex_waiter *w,
		       const struct futex_key *key);
/* Wakes a waiter that was taken, for good; its bucket's lock is held. */
void futex_wake_locked(struct futex_waiter *w);
/* Sleeps until woken: 0, -ETIMEDOUT or -ERESTARTSYS; afterwards it is on no queue. Or
 * FUTEX_ORPHANED, still queued. */
#define FUTEX_ORPHANED 1
long futex_sleep(struct task *t, struct futex_waiter *w, uint64_t deadline);

/* Locks the bucket that the waiter is on. */
struct futex_bucket *futex_lock_bucket(struct futex_waiter *w);

/* task.robust_list of a task that exits, and of one that has done with its locks. */
#define FUTEX_ROBUST_EXITING UINT64_MAX
#define FUTEX_ROBUST_GONE (UINT64_MAX - 1)

/* Tells the waiters for locks of a task that is FUTEX_ROBUST_GONE. */
void futex_pi_owner_died(struct task *t);
bool futex_addr_ok(uaddr addr);

#endif
