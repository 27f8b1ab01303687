/*
 * Futexes: wait, wake, requeue.
 *
 * A fixed array of hash buckets, each a mutex and a list of waiters that live on
 * the sleeping threads' stacks. A private key is (mm, address) and takes no
 * reference; a shared one is (inode, offset) and holds the inode, so that the
 * identity cannot be reused. A shared operation on private memory gives the
 * same key as a private one, which only means that the two kinds of call meet.
 *
 * No wake-up is lost. Reading the guest's word may fault and sleep, so it is not
 * done under the bucket's lock. A waiter queues itself first, then loads the
 * word, compares, and leaves the queue on a mismatch; a waker has changed the
 * word before it calls us. With the counter (a full barrier on both sides):
 *
 *     waiter                              waker
 *     count++                             word = new
 *     lock; queue; unlock                 barrier; count == 0? -> nobody
 *     load word                           lock; look through the queue; unlock
 *
 * If the waker sees no count, or looks before the waiter is queued, the load
 * comes after the store and sees the new word. Otherwise it finds the waiter.
 * A waiter that was taken by a waker although its word did not match has stolen
 * a wake-up that Linux would have given to somebody else: it passes it on.
 *
 * Locking: one bucket lock (two in address order for a requeue), RANK_FUTEX; a
 * leaf in practice. Sleepers are woken under it, while they surely exist, but the
 * host call is put off until it is free (SCOPED_SLEEPER_HOLD).
 * Limits: waiters are served first come, first served, whatever their priority.
 */
#include "sentry/kernel/futex_internal.h"

#include <errno.h>
#include <linux/futex.h>

#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/fs/inode.h"

#define BUCKETS 1024
#define ADDR_END 0x7ffffffff000ULL /* as access_ok() sees it */

static struct futex_bucket buckets[BUCKETS] = {
    [0 ... BUCKETS - 1] = {.lock = MUTEX_INIT(RANK_FUTEX)},
};

/* Statically allocated list heads start zeroed: an empty bucket is made on first use. */
static void bucket_ready_locked(struct futex_bucket *b)
{
	if (!b->waiters.next)
		list_init(&b->waiters);
}

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
	uint64_t h = ((uint64_t)(uintptr_t)key->object >> 4) * 0x9e3779b97f4a7c15ULL;

	h = (h ^ (key->offset >> 2)) * 0xff51afd7ed558ccdULL;
	return &buckets[(h >> 40) % BUCKETS];
}

struct futex_bucket *futex_bucket_at(size_t i)
{
	return i < BUCKETS ? &buckets[i] : NULL;
}

bool futex_addr_ok(uaddr addr)
{
	return addr.va < ADDR_END;
}

int futex_key_get(struct mm *mm, uaddr addr, bool private, struct futex_key *key)
{
	struct mm_key shared;
	int r;

	if (addr.va % sizeof(uint32_t))
		return -EINVAL;
	if (!futex_addr_ok(addr))
		return -EFAULT;
	*key = (struct futex_key){.object = mm, .offset = addr.va};
	if (private)
		return 0;
	r = mm_shared_key(mm, addr, &shared);
	if (r)
		return r;
	*key = (struct futex_key){shared.object, shared.offset, shared.inode};
	return 0;
}

void futex_key_put(struct futex_key *key)
{
	if (key->inode)
		inode_put(key->inode);
	key->inode = NULL;
}

/* --- the queue ------------------------------------------------------------------------ */

void futex_waiter_init(struct futex_waiter *w, struct task *t, const struct futex_key *key,
		       enum futex_kind kind, uint32_t bitset)
{
	*w = (struct futex_waiter){.key = *key,
				   .kind = kind,
				   .bitset = bitset,
				   .sleeper = t->sleeper,
				   .tid = t->own_tid,
				   .space = t->container};
	list_init(&w->node);
	atomic_init(&w->state, FUTEX_QUEUED);
}

void futex_waiter_fini(struct futex_waiter *w)
{
	futex_key_put(&w->key);
}

void futex_enqueue(struct futex_waiter *w)
{
	struct futex_bucket *b = futex_bucket_of(&w->key);

	atomic_fetch_add(&b->count, 1);
	mutex_lock(&b->lock);
	bucket_ready_locked(b);
	atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
	list_add_tail(&b->waiters, &w->node);
	mutex_unlock(&b->lock);
}

void futex_take_locked(struct futex_bucket *b, struct futex_waiter *w)
{
	list_del(&w->node);
	atomic_fetch_sub(&b->count, 1);
}

void futex_move_locked(struct futex_bucket *from, struct futex_bucket *to, struct futex_waiter *w,
		       const struct futex_key *key)
{
	list_del(&w->node);
	atomic_fetch_sub(&from->count, 1);
	atomic_fetch_add(&to->count, 1);
	bucket_ready_locked(to);
	list_add_tail(&to->waiters, &w->node);
	atomic_store(&w->bucket, to);
	/* Not the last reference: the caller holds one on the old key too. */
	futex_key_put(&w->key);
	w->key = *key;
	if (key->inode)
		inode_get(key->inode);
}

/* A requeue may change the bucket under our hands. */
struct futex_bucket *futex_lock_bucket(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = atomic_load(&w->bucket);

		mutex_lock(&b->lock);
		if (b == atomic_load(&w->bucket))
			return b;
		mutex_unlock(&b->lock);
	}
}

/* A claimed waiter learns soon whether it got the lock; nothing else can end this wait. */
static void await_claim(struct futex_waiter *w)
{
	while (atomic_load(&w->state) == FUTEX_CLAIMED)
		(void)!sleeper_sleep(w->sleeper, SLEEP_FOREVER);
}

/* Whoever woke us has let go of us. */
static void await_waker(struct futex_waiter *w)
{
	struct futex_bucket *b = atomic_load(&w->bucket);

	mutex_lock(&b->lock);
	mutex_unlock(&b->lock);
}

bool futex_dequeue(struct futex_waiter *w)
{
	struct futex_bucket *b;
	bool queued;

	do {
		await_claim(w);
		if (atomic_load(&w->state) == FUTEX_WOKEN) {
			await_waker(w);
			return false;
		}
		b = futex_lock_bucket(w);
		queued = atomic_load(&w->state) == FUTEX_QUEUED;
		if (queued)
			futex_take_locked(b, w);
		mutex_unlock(&b->lock);
	} while (!queued);
	return true;
}

void futex_wake_locked(struct futex_waiter *w)
{
	atomic_store(&w->state, FUTEX_WOKEN);
	sleeper_wake(w->sleeper);
}

long futex_sleep(struct task *t, struct futex_waiter *w, uint64_t deadline)
{
	while (atomic_load(&w->state) != FUTEX_WOKEN) {
		int r;

		if (atomic_load(&w->orphan))
			return FUTEX_ORPHANED;
		r = task_sleep(t, deadline);
		if (r && futex_dequeue(w))
			return r;
	}
	await_waker(w);
	return 0;
}

/* --- wake ---------------------------------------------------------------------------------- */

static bool matches(const struct futex_waiter *w, const struct futex_key *key)
{
	return futex_key_equal(&w->key, key);
}

static long wake_locked(struct futex_bucket *b, const struct futex_key *key, int n, uint32_t bitset)
{
	struct futex_waiter *w, *tmp;
	long woken = 0;

	bucket_ready_locked(b);
	list_for_each_safe (w, tmp, &b->waiters, node) {
		if (woken >= n)
			break;
		if (!matches(w, key) || !(w->bitset & bitset))
			continue;
		if (w->kind != FUTEX_KIND_PLAIN)
			return -EINVAL;
		futex_take_locked(b, w);
		w->wake_bits = bitset;
		futex_wake_locked(w);
		woken++;
	}
	return woken;
}

static long wake_key(const struct futex_key *key, int n, uint32_t bitset)
{
	struct futex_bucket *b = futex_bucket_of(key);

	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&b->count))
		return 0;
	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&b->lock);
	return wake_locked(b, key, n, bitset);
}

long futex_wake(struct task *t, uaddr addr, bool private, int n, uint32_t bitset)
{
	struct futex_key key;
	long r;

	if (!bitset)
		return -EINVAL;
	r = futex_key_get(t->mm, addr, private, &key);
	if (r)
		return r;
	/* Linux wakes one even if asked for none. */
	r = wake_key(&key, n < 1 ? 1 : n, bitset);
	futex_key_put(&key);
	return r;
}

void futex_wake_addr(struct mm *mm, uaddr addr, int n)
{
	struct futex_key key;

	if (futex_key_get(mm, addr, false, &key))
		return;
	wake_key(&key, n, FUTEX_ANY);
	futex_key_put(&key);
}

/* --- wait ----------------------------------------------------------------------------------- */

/* Loads the word behind a waiter that is queued: 0 if it has the value, else off the queue. */
static long check_word(struct task *t, struct futex_waiter *w, uaddr addr, uint32_t val)
{
	uint32_t now;
	long r = pf_space_load32(t->mm->space, addr, &now);

	if (!r && now == val)
		return 0;
	if (!futex_dequeue(w))
		wake_key(&w->key, 1, w->wake_bits);
	return r ? r : -EAGAIN;
}

static long wait_once(struct task *t, uaddr addr, bool private, uint32_t val, uint32_t bitset,
		      uint64_t deadline)
{
	struct futex_waiter w;
	struct futex_key key;
	long r = futex_key_get(t->mm, addr, private, &key);

	if (r)
		return r;
	futex_waiter_init(&w, t, &key, FUTEX_KIND_PLAIN, bitset);
	futex_enqueue(&w);
	r = check_word(t, &w, addr, val);
	if (!r)
		r = futex_sleep(t, &w, deadline);
	futex_waiter_fini(&w);
	return r;
}

/* restart_syscall(2): the deadline stands, so a restarted wait does not grow. */
static long wait_restart(struct task *t)
{
	return futex_wait(t, UADDR(t->restart_data[0]), t->restart_data[3] & 1,
			  (uint32_t)t->restart_data[1], (uint32_t)(t->restart_data[1] >> 32),
			  t->restart_data[2]);
}

long futex_wait(struct task *t, uaddr addr, bool private, uint32_t val, uint32_t bitset,
		uint64_t deadline)
{
	long r;

	if (!bitset)
		return -EINVAL;
	r = wait_once(t, addr, private, val, bitset, deadline);
	if (r != -ERESTARTSYS || deadline == SLEEP_FOREVER)
		return r;
	t->restart_fn = wait_restart;
	t->restart_data[0] = addr.va;
	t->restart_data[1] = val | (uint64_t)bitset << 32;
	t->restart_data[2] = deadline;
	t->restart_data[3] = private;
	return -ERESTART_RESTARTBLOCK;
}

/* --- wait for several ---------------------------------------------------------------------- */

/* Takes the first n off their queues; the index of the last that a waker got first, or -1. */
static long dequeue_multiple(struct futex_waiter *w, unsigned int n)
{
	long woken = -1;

	for (unsigned int i = 0; i < n; i++)
		if (!futex_dequeue(&w[i]))
			woken = i;
	return woken;
}

static long sleep_multiple(struct task *t, struct futex_waiter *w, unsigned int n,
			   uint64_t deadline)
{
	long r = 0, woken;

	for (;;) {
		for (unsigned int i = 0; i < n; i++)
			if (atomic_load(&w[i].state) == FUTEX_WOKEN)
				return dequeue_multiple(w, n);
		if (r)
			break;
		r = task_sleep(t, deadline);
	}
	woken = dequeue_multiple(w, n);
	return woken >= 0 ? woken : r;
}

/* Queues and checks all: 0, or the first error with the words before it still queued. */
static long queue_multiple(struct task *t, struct futex_waiter *w,
			   const struct futex_waitv_word *words, unsigned int n,
			   unsigned int *queued)
{
	for (*queued = 0; *queued < n; ++*queued) {
		const struct futex_waitv_word *x = &words[*queued];
		struct futex_waiter *this = &w[*queued];
		struct futex_key key;
		long r = futex_key_get(t->mm, x->word.addr, x->word.private, &key);

		if (r)
			return r;
		futex_waiter_init(this, t, &key, FUTEX_KIND_PLAIN, FUTEX_ANY);
		futex_enqueue(this);
		r = check_word(t, this, x->word.addr, x->val);
		if (r) {
			futex_waiter_fini(this);
			return r;
		}
	}
	return 0;
}

long futex_wait_multiple(struct task *t, const struct futex_waitv_word *words, unsigned int n,
			 uint64_t deadline)
{
	SCOPED_FREE struct futex_waiter *w = try_calloc(n, sizeof(*w));
	unsigned int queued;
	long r, woken;

	if (!w)
		return -ENOMEM;
	r = queue_multiple(t, w, words, n, &queued);
	if (!r) {
		r = sleep_multiple(t, w, n, deadline);
	} else {
		woken = dequeue_multiple(w, queued);
		r = woken >= 0 ? woken : r;
	}
	for (unsigned int i = 0; i < queued; i++)
		futex_waiter_fini(&w[i]);
	return r;
}

/* --- requeue ---------------------------------------------------------------------------------- */

static long requeue_locked(struct futex_bucket *from, struct futex_bucket *to,
			   const struct futex_key key[2], int nr_wake, int nr_requeue)
{
	struct futex_waiter *w, *tmp;
	struct list *end;
	long done = 0;

	bucket_ready_locked(from);
	/* What is moved within one bucket goes behind this end, and is not seen again. */
	end = from->waiters.prev;
	list_for_each_safe (w, tmp, &from->waiters, node) {
		bool last = &w->node == end;

		if (matches(w, &key[0])) {
			if (done >= (long)nr_wake + nr_requeue)
				break;
			if (w->kind != FUTEX_KIND_PLAIN)
				return -EINVAL;
			if (done < nr_wake) {
				futex_take_locked(from, w);
				w->wake_bits = FUTEX_ANY;
				futex_wake_locked(w);
			} else if (!futex_key_equal(&key[0], &key[1])) {
				futex_move_locked(from, to, w, &key[1]);
			}
			done++;
		}
		if (last)
			break;
	}
	return done;
}

static long requeue_keys(struct task *t, uaddr addr, const struct futex_key key[2], int nr_wake,
			 int nr_requeue, const uint32_t *cmp)
{
	struct futex_bucket *from = futex_bucket_of(&key[0]), *to = futex_bucket_of(&key[1]);
	uint32_t now;
	long r;

	if (cmp) {
		r = pf_space_load32(t->mm->space, addr, &now);
		if (r || now != *cmp)
			return r ? r : -EAGAIN;
	}
	sleeper_hold();
	mutex_lock_pair(&from->lock, &to->lock);
	r = requeue_locked(from, to, key, nr_wake, nr_requeue);
	mutex_unlock_pair(&from->lock, &to->lock);
	sleeper_release();
	return r;
}

long futex_requeue(struct task *t, const struct futex_word *from, const struct futex_word *to,
		   int nr_wake, int nr_requeue, const uint32_t *cmp)
{
	struct futex_key key[2];
	long r;

	if (nr_wake < 0 || nr_requeue < 0)
		return -EINVAL;
	r = futex_key_get(t->mm, from->addr, from->private, &key[0]);
	if (r)
		return r;
	r = futex_key_get(t->mm, to->addr, to->private, &key[1]);
	if (!r) {
		r = requeue_keys(t, from->addr, key, nr_wake, nr_requeue, cmp);
		futex_key_put(&key[1]);
	}
	futex_key_put(&key[0]);
	return r;
}

/* --- wake-op ------------------------------------------------------------------------------------
 */

static int wake_op_apply(uint32_t op, uint32_t arg, uint32_t old, uint32_t *new)
{
	switch (op) {
	case FUTEX_OP_SET:
		*new = arg;
		return 0;
	case FUTEX_OP_ADD:
		*new = old + arg;
		return 0;
	case FUTEX_OP_OR:
		*new = old | arg;
		return 0;
	case FUTEX_OP_ANDN:
		*new = old & ~arg;
		return 0;
	case FUTEX_OP_XOR:
		*new = old ^ arg;
		return 0;
	}
	return -ENOSYS;
}

static int wake_op_compare(uint32_t cmp, int32_t old, int32_t arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	}
	return -ENOSYS;
}

#define WAKE_OP_TRIES 64 /* then again from the guest, where signals are seen */

/* Changes the word as `op` says: whether its old value passes the comparison, or -errno. */
static int wake_op_word(struct task *t, uaddr addr, uint32_t op)
{
	uint32_t kind = (op >> 28) & 7, cmp = (op >> 24) & 15;
	int32_t op_arg = (int32_t)(op << 8) >> 20, cmp_arg = (int32_t)(op << 20) >> 20;
	uint32_t old, seen, new;
	int r = pf_space_load32(t->mm->space, addr, &old), tries = WAKE_OP_TRIES;

	if (op & ((uint32_t)FUTEX_OP_OPARG_SHIFT << 28))
		op_arg = 1 << (op_arg & 31);
	while (!r) {
		r = wake_op_apply(kind, (uint32_t)op_arg, old, &new);
		if (r)
			break;
		r = pf_thread_cmpxchg32(t->pt, addr, old, new, &seen);
		if (!r && seen == old)
			return wake_op_compare(cmp, (int32_t)old, cmp_arg);
		if (!r && tries-- == 0)
			r = -ERESTARTNOINTR;
		old = seen;
	}
	return r;
}

long futex_wake_op(struct task *t, uaddr addr1, uaddr addr2, bool private, int n1, int n2,
		   uint32_t op)
{
	struct futex_key key[2];
	long woken, more;
	int r = futex_key_get(t->mm, addr1, private, &key[0]);

	if (r)
		return r;
	r = futex_key_get(t->mm, addr2, private, &key[1]);
	if (r) {
		futex_key_put(&key[0]);
		return r;
	}
	woken = r = wake_op_word(t, addr2, op);
	if (r >= 0)
		woken = wake_key(&key[0], n1 < 1 ? 1 : n1, FUTEX_ANY);
	if (r > 0 && woken >= 0) {
		more = wake_key(&key[1], n2 < 1 ? 1 : n2, FUTEX_ANY);
		woken = more < 0 ? more : woken + more;
	}
	futex_key_put(&key[1]);
	futex_key_put(&key[0]);
	return woken;
}
