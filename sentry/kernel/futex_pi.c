/*
 * Priority-inheritance futexes: FUTEX_LOCK_PI and its kin, as POSIX mutexes with
 * PTHREAD_PRIO_INHERIT use them.
 *
 * The word holds the owner's tid, FUTEX_WAITERS and FUTEX_OWNER_DIED. A lock is
 * never free while somebody waits: the unlocker hands it to the first waiter, by
 * writing that waiter's tid. The hand-over must write guest memory, which is not
 * done under the bucket's lock; so the waiter is taken off the queue and CLAIMED
 * first, then the word is written, then the waiter is told. If the write faults,
 * it goes back to the queue.
 *
 *     waiter                                owner
 *     queue                                 word is tid|WAITERS: FUTEX_UNLOCK_PI
 *     word: set WAITERS, or, if it has      claim first waiter; word = its tid
 *       no owner, make it ours              no waiter: word = 0
 *     sleep until owner, timeout, signal      (cmpxchg: else look again)
 *
 * A waiter that leaves while it is CLAIMED waits for the outcome, and owns the
 * lock if that is what it gets. When the owner dies, the waiters that recorded
 * it are told (`orphan`) and look at the word again, in their own space: the
 * first that swaps it has the lock, with FUTEX_OWNER_DIED.
 *
 * A thread that changes the word all the time keeps every compare-and-swap from
 * succeeding. So each call tries TRIES times only, lets go of whom it has
 * CLAIMED, and starts again from the guest, where signals are seen.
 *
 * Limits: no boosting, as the host schedules the threads; waiters are served
 * first come, first served.
 */
#include "sentry/kernel/futex_internal.h"
#include "sentry/kernel/tasklist.h"

#include <errno.h>
#include <linux/futex.h>

#include "common/host.h"
#include "sentry/abi/restart.h"
#include "sentry/fs/inode.h"

#define TRIES 64

/* PI waiters anywhere: the death of a task searches the buckets only if there are some. */
static atomic_uint pi_waiters;

/* The first waiter for the lock, other than `not`. */
static struct futex_waiter *first_waiter_locked(struct futex_bucket *b, const struct futex_key *key,
						const struct futex_waiter * not )
{
	struct futex_waiter *w;

	if (!b->waiters.next)
		return NULL;
	list_for_each (w, &b->waiters, node) {
		if (w != not &&w->kind == FUTEX_KIND_PI && futex_key_equal(&w->key, key))
			return w;
	}
	return NULL;
}

static bool has_waiters(const struct futex_key *key, const struct futex_waiter * not )
{
	struct futex_bucket *b = futex_bucket_of(key);
	SCOPED_LOCK(&b->lock);

	return first_waiter_locked(b, key, not ) != NULL;
}

/* Takes the first waiter off the queue for a hand-over; NULL if there is none. */
static struct futex_waiter *claim_first(const struct futex_key *key)
{
	struct futex_bucket *b = futex_bucket_of(key);
	SCOPED_LOCK(&b->lock);
	struct futex_waiter *w = first_waiter_locked(b, key, NULL);

	if (w) {
		futex_take_locked(b, w);
		atomic_store(&w->state, FUTEX_CLAIMED);
	}
	return w;
}

/* The hand-over failed: back to the head of the queue. */
static void unclaim(struct futex_waiter *w)
{
	struct futex_bucket *b = atomic_load(&w->bucket);
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&b->lock);

	atomic_fetch_add(&b->count, 1);
	list_add(&b->waiters, &w->node);
	atomic_store(&w->state, FUTEX_QUEUED);
	sleeper_wake(w->sleeper);
}

static void finish_claim(struct futex_waiter *w)
{
	struct futex_bucket *b = atomic_load(&w->bucket);
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&b->lock);

	futex_wake_locked(w);
}

/* Replaces the word if it still is `expect`: 0, -EAGAIN if it changed, -EFAULT. */
static int swap_word(struct task *t, uaddr addr, uint32_t expect, uint32_t value)
{
	uint32_t seen;
	int r = pf_thread_cmpxchg32(t->pt, addr, expect, value, &seen);

	return r ? r : seen == expect ? 0 : -EAGAIN;
}

enum owner_state { OWNER_ALIVE, OWNER_EXITING, OWNER_GONE };

static enum owner_state owner_state(struct task *t, int tid)
{
	struct task *owner = task_find(task_pids(t), tid);
	enum owner_state state = OWNER_ALIVE;
	uint64_t robust;

	if (!owner)
		return OWNER_GONE;
	robust = __atomic_load_n(&owner->robust_list.va, __ATOMIC_SEQ_CST);
	if (robust == FUTEX_ROBUST_EXITING)
		state = OWNER_EXITING;
	else if (robust == FUTEX_ROBUST_GONE)
		state = OWNER_GONE;
	task_put(owner);
	return state;
}

/* Who wants a lock, and whose death it may inherit. */
struct pi_claim {
	struct task *t; /* makes the memory accesses */
	uaddr addr;
	int tid;
	int heir_of;			   /* a dead owner whom it waited for, or 0 */
	const struct futex_key *key;	   /* of the lock */
	const struct futex_waiter *waiter; /* its place in the queue, or NULL */
};

static int take(const struct pi_claim *c, uint32_t word, uint32_t died)
{
	uint32_t others = has_waiters(c->key, c->waiter) ? FUTEX_WAITERS : 0;

	return swap_word(c->t, c->addr, word, (uint32_t)c->tid | died | others) ?: 1;
}

/*
 * One attempt with the word as loaded: 1 if the lock is ours, 0 if it has an owner and
 * FUTEX_WAITERS is set (so that the owner will come to us), -EAGAIN to look again.
 */
static int try_own(const struct pi_claim *c, uint32_t word)
{
	int owner = (int)(word & FUTEX_TID_MASK);

	if (owner == c->tid)
		return -EDEADLK;
	if (!owner)
		return take(c, word, word & FUTEX_OWNER_DIED);
	switch (owner_state(c->t, owner)) {
	case OWNER_EXITING: /* its robust list is being walked: soon the word tells */
		(void)!sleeper_sleep(c->t->sleeper, host_monotonic_ns() + NSEC_PER_MSEC);
		return -EAGAIN;
	case OWNER_GONE:
		if (owner == c->heir_of)
			return take(c, word, FUTEX_OWNER_DIED);
		return swap_word(c->t, c->addr, word, word) ?: -ESRCH;
	case OWNER_ALIVE:
		break;
	}
	if (word & FUTEX_WAITERS)
		return 0;
	return swap_word(c->t, c->addr, word, word | FUTEX_WAITERS);
}

/* Repeats try_own until the word holds still. *owner is whom we wait for (result 0). */
static int own_or_mark(const struct pi_claim *c, int *owner)
{
	int r, tries = TRIES;
	uint32_t word;

	do {
		r = pf_space_load32(c->t->mm->space, c->addr, &word);
		if (r)
			return r;
		r = try_own(c, word);
	} while (r == -EAGAIN && tries-- > 0 && !task_interrupted(c->t));
	*owner = (int)(word & FUTEX_TID_MASK);
	return r == -EAGAIN ? -ERESTARTNOINTR : r;
}

/* Records whom a queued waiter waits for, so that this one's death finds it; if it came
 * before, the waiter is an orphan at once. A hand-over may have been faster than both. */
static void set_owner(struct task *t, struct futex_waiter *w, int owner)
{
	struct futex_bucket *b = futex_lock_bucket(w);

	if (atomic_load(&w->state) == FUTEX_QUEUED)
		w->owner = owner;
	mutex_unlock(&b->lock);
	if (owner_state(t, owner) != OWNER_ALIVE)
		atomic_store(&w->orphan, true);
}

/* Waits for the lock with w queued: 0 when it is ours. */
static long wait_for_lock(struct task *t, struct futex_waiter *w, const struct futex_key *key,
			  int heir_of, uint64_t deadline)
{
	struct pi_claim c = {t, w->lock, t->own_tid, heir_of, key, w};
	long r;

	do {
		int owner = 0;

		r = own_or_mark(&c, &owner);
		if (r) { /* ours or an error; or handed over meanwhile, as the word says */
			bool queued = futex_dequeue(w);

			return r > 0 || !queued ? 0 : r;
		}
		c.heir_of = owner;
		atomic_store(&w->orphan, false);
		set_owner(t, w, owner);
		r = futex_sleep(t, w, deadline);
	} while (r == FUTEX_ORPHANED);
	return r;
}

static long lock_pi_wait(struct task *t, uaddr addr, const struct futex_key *key, uint64_t deadline)
{
	struct futex_waiter w;
	long r;

	futex_waiter_init(&w, t, key, FUTEX_KIND_PI, FUTEX_ANY);
	if (key->inode)
		inode_get(key->inode);
	w.lock = addr;
	atomic_fetch_add(&pi_waiters, 1);
	futex_enqueue(&w);
	r = wait_for_lock(t, &w, key, 0, deadline);
	atomic_fetch_sub(&pi_waiters, 1);
	futex_waiter_fini(&w);
	return r;
}

/* FUTEX_TRYLOCK_PI also takes a lock whose owner died, which user space cannot. */
static long trylock_pi(struct task *t, uaddr addr, const struct futex_key *key)
{
	struct pi_claim c = {t, addr, t->own_tid, 0, key, NULL};
	int r, tries = TRIES;
	uint32_t word;

	do {
		r = pf_space_load32(t->mm->space, addr, &word);
		if (r)
			return r;
		if ((word & FUTEX_TID_MASK) == (uint32_t)t->own_tid)
			return -EDEADLK;
		if (word & FUTEX_TID_MASK)
			return -EWOULDBLOCK;
		r = try_own(&c, word);
	} while (r == -EAGAIN && tries-- > 0);
	return r > 0 ? 0 : r == -EAGAIN ? -ERESTARTNOINTR : r;
}

long futex_lock_pi(struct task *t, uaddr addr, bool private, bool try, uint64_t deadline)
{
	struct futex_key key;
	long r = futex_key_get(t->mm, addr, private, &key);

	if (r)
		return r;
	r = try ? trylock_pi(t, addr, &key) : lock_pi_wait(t, addr, &key, deadline);
	futex_key_put(&key);
	return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

/* Writes the claimed waiter's tid into the word and tells it. A waiter may set FUTEX_WAITERS in
 * between; that somebody else put another owner there is an error. */
static int hand_over(struct task *t, uaddr addr, struct futex_waiter *w)
{
	int r, tries = TRIES;
	uint32_t word;

	do {
		r = pf_space_load32(t->mm->space, addr, &word);
		if (!r && (word & FUTEX_TID_MASK) != (uint32_t)t->own_tid)
			r = -EINVAL;
		if (!r)
			r = swap_word(t, addr, word, (uint32_t)w->tid | FUTEX_WAITERS);
	} while (r == -EAGAIN && tries-- > 0);
	if (r)
		unclaim(w);
	else
		finish_claim(w);
	return r;
}

long futex_unlock_pi(struct task *t, uaddr addr, bool private)
{
	struct futex_waiter *w;
	struct futex_key key;
	uint32_t word;
	long r = futex_key_get(t->mm, addr, private, &key);

	if (r)
		return r;
	r = pf_space_load32(t->mm->space, addr, &word);
	if (!r && (word & FUTEX_TID_MASK) != (uint32_t)t->own_tid)
		r = -EPERM;
	if (!r) {
		w = claim_first(&key);
		r = w ? hand_over(t, addr, w) : swap_word(t, addr, word, 0);
	}
	futex_key_put(&key);
	return r == -EAGAIN ? -ERESTARTNOINTR : r;
}

/* --- requeue to a lock -------------------------------------------------------------------- */

/* After the sleep on the condition: what a waiter that did not get the lock is told. */
static long requeue_result(long r, enum futex_kind kind)
{
	if (r != -ERESTARTSYS)
		return r;
	/* Once it was moved, the call cannot be restarted as it was. */
	return kind == FUTEX_KIND_PI ? -EWOULDBLOCK : -ERESTARTNOINTR;
}

static long wait_requeue(struct task *t, struct futex_waiter *w, uaddr addr, uint32_t val,
			 uint64_t deadline)
{
	uint32_t now;
	long r;

	futex_enqueue(w);
	r = pf_space_load32(t->mm->space, addr, &now);
	if (r || now != val) {
		/* Only a requeue can have taken it, and that has made us the owner. */
		return futex_dequeue(w) ? (r ? r : -EAGAIN) : 0;
	}
	r = futex_sleep(t, w, deadline);
	if (r == FUTEX_ORPHANED)
		r = wait_for_lock(t, w, &w->target, w->owner, deadline);
	return requeue_result(r, w->kind);
}

long futex_wait_requeue_pi(struct task *t, const struct futex_word *from,
			   const struct futex_word *to, uint32_t val, uint32_t bitset,
			   uint64_t deadline)
{
	struct futex_key key, target;
	struct futex_waiter w;
	long r;

	if (!bitset || from->addr.va == to->addr.va)
		return -EINVAL;
	r = futex_key_get(t->mm, from->addr, from->private, &key);
	if (r)
		return r;
	r = futex_key_get(t->mm, to->addr, to->private, &target);
	if (r) {
		futex_key_put(&key);
		return r;
	}
	futex_waiter_init(&w, t, &key, FUTEX_KIND_REQUEUE_PI, bitset);
	w.target = target;
	w.lock = to->addr;
	atomic_fetch_add(&pi_waiters, 1);
	r = wait_requeue(t, &w, from->addr, val, deadline);
	atomic_fetch_sub(&pi_waiters, 1);
	futex_waiter_fini(&w);
	futex_key_put(&target);
	return r;
}

static struct futex_waiter *first_requeue_locked(struct futex_bucket *b,
						 const struct futex_key *key)
{
	struct futex_waiter *w;

	if (!b->waiters.next)
		return NULL;
	list_for_each (w, &b->waiters, node) {
		if (futex_key_equal(&w->key, key))
			return w;
	}
	return NULL;
}

/* Claims the first waiter on the condition: 0 with *out (NULL: none), or -EINVAL. */
static int claim_requeue(const struct futex_key key[2], struct futex_waiter **out)
{
	struct futex_bucket *b = futex_bucket_of(&key[0]);
	SCOPED_LOCK(&b->lock);

	*out = first_requeue_locked(b, &key[0]);
	if (!*out)
		return 0;
	if ((*out)->kind != FUTEX_KIND_REQUEUE_PI || !futex_key_equal(&(*out)->target, &key[1]))
		return -EINVAL;
	futex_take_locked(b, *out);
	atomic_store(&(*out)->state, FUTEX_CLAIMED);
	return 0;
}

/* A claimed waiter on the condition becomes a waiter for the lock. */
static void queue_for_lock(struct futex_waiter *w, const struct futex_key *lock, int owner,
			   bool alive)
{
	struct futex_bucket *b = futex_bucket_of(lock);

	/* The key of the condition goes with the waiter's own reference: swap it for one on
	 * the lock. The requeuer holds both keys, so neither is the last. */
	futex_key_put(&w->key);
	w->key = *lock;
	if (lock->inode)
		inode_get(lock->inode);
	w->kind = FUTEX_KIND_PI;
	w->owner = owner;
	atomic_store(&w->orphan, !alive);
	atomic_store(&w->bucket, b);
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&b->lock);
	if (!b->waiters.next)
		list_init(&b->waiters);
	atomic_fetch_add(&b->count, 1);
	list_add_tail(&b->waiters, &w->node);
	atomic_store(&w->state, FUTEX_QUEUED);
	sleeper_wake(w->sleeper); /* in case it awaits the claim, or is an orphan */
}

/* Moves one waiter: 1, 0 if there is none, or -errno. The waiter owns the lock at once if it
 * is free. */
static long requeue_one(struct task *t, uaddr lock, const struct futex_key key[2])
{
	struct pi_claim c = {.t = t, .addr = lock, .key = &key[1]};
	struct futex_waiter *w;
	int owner = 0;
	long r = claim_requeue(key, &w);

	if (r || !w)
		return r;
	c.tid = w->tid;
	r = own_or_mark(&c, &owner);
	if (r < 0) {
		unclaim(w);
		return r;
	}
	if (r > 0) {
		finish_claim(w);
		return 1;
	}
	queue_for_lock(w, &key[1], owner, owner_state(t, owner) == OWNER_ALIVE);
	return 1;
}

long futex_cmp_requeue_pi(struct task *t, const struct futex_word *from,
			  const struct futex_word *to, int nr_requeue, uint32_t cmp)
{
	struct futex_key key[2];
	long r, moved = 0;
	uint32_t now;

	if (nr_requeue < 0 || from->addr.va == to->addr.va)
		return -EINVAL;
	r = futex_key_get(t->mm, from->addr, from->private, &key[0]);
	if (r)
		return r;
	r = futex_key_get(t->mm, to->addr, to->private, &key[1]);
	if (r) {
		futex_key_put(&key[0]);
		return r;
	}
	r = pf_space_load32(t->mm->space, from->addr, &now);
	if (!r && now != cmp)
		r = -EAGAIN;
	while (!r && moved <= nr_requeue) { /* one to wake, the rest to requeue */
		long one = requeue_one(t, to->addr, key);

		if (one <= 0) {
			r = one;
			break;
		}
		moved++;
	}
	futex_key_put(&key[1]);
	futex_key_put(&key[0]);
	return moved ? moved : r;
}

/* --- the owner's death ------------------------------------------------------------------------ */

static void orphan_locked(struct futex_bucket *b, struct task *t)
{
	struct futex_waiter *w;

	if (!b->waiters.next)
		return;
	list_for_each (w, &b->waiters, node) {
		if (w->kind != FUTEX_KIND_PI || w->owner != t->own_tid || w->space != t->container)
			continue;
		atomic_store(&w->orphan, true);
		sleeper_wake(w->sleeper);
	}
}

void futex_pi_owner_died(struct task *t)
{
	struct futex_bucket *b;

	if (!atomic_load(&pi_waiters))
		return;
	for (size_t i = 0; (b = futex_bucket_at(i)); i++) {
		if (!atomic_load(&b->count))
			continue;
		SCOPED_SLEEPER_HOLD;
		SCOPED_LOCK(&b->lock);
		orphan_locked(b, t);
	}
}
