/*
 * Accounts; see account.h.
 *
 * Charging memory is on the path of every message, so it touches one cache line,
 * its account's: an account draws from the pool that all share in chunks, and
 * asks it (under its lock) only when it needs more, or has far too much.
 *
 * An account lives while anything is charged to it. A reference is a charge too,
 * of one byte, and so is each unit of a count; so one counter says when it ends.
 *
 * Locking: `lock` guards the table, the pool and every account's `drawn` (read
 * without). It is a plain mutex, inside of all ranks: charges are made under any
 * lock, and nothing is taken under it.
 */
#include "sentry/core/account.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/list.h"
#include "common/mem.h"

#define CHUNK (64L << 10)
#define BUCKETS 64
/* Without a memory limit: a sixteenth of the host's memory, up to this. */
#define UNLIMITED_MAX (1ULL << 30)
#define LEAST (8ULL << 20)
/* A task takes up to four of the mappings that the sentry may have (vm.max_map_count, 65530):
 * its thread's stack with a guard, and its stub's mailboxes. */
#define TASKS_MAX 16000L

struct account {
	struct list node;    /* in its bucket: lock */
	unsigned int domain; /* immutable, as is uid */
	uint32_t uid;
	atomic_long memory; /* bytes; 0: it is being freed */
	atomic_long drawn;  /* of the pool; memory may exceed it for a moment */
	atomic_long fds, tasks;
	atomic_long count[COUNT_KINDS];
};

/* What the sentry charges to itself. Never freed. */
static struct account own = {.memory = 1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list buckets[BUCKETS]; /* guarded by lock */
static struct {
	atomic_long max;   /* 0: no bound (before the first container comes) */
	atomic_long drawn; /* changed under lock */
} pool;

static struct {
	long max;			  /* immutable after the start; 0: no bound */
	_Atomic(struct account *) *payer; /* by number of the descriptor */
	atomic_long used;
} fds;

static atomic_long tasks;
static atomic_long pages, pages_max; /* max 0: no bound */

static __thread struct {
	struct account *account; /* owned; NULL: the sentry */
	bool privileged;
} payer;

static struct account *self(struct account *a)
{
	return a ? a : &own;
}

/* --- bounds ---------------------------------------------------------------------------------- */

/* Whether an account that has `mine` of something, of which `all` of `max` are taken, may have n
 * more. */
static bool within(const struct account *a, long mine, long all, long max, long n)
{
	bool privileged = a->uid == 0 || (payer.account == a && payer.privileged);

	if (!max || a == &own)
		return true;
	if (privileged)
		return all + n <= max - max / 16;
	return mine + n <= max / 2 && all + n <= max - max / 4;
}

/* Gets a chunk that makes the account's `memory` of `now` good. */
static int draw(struct account *a, long now, bool always)
{
	long want, all, max;
	int r = 0;

	pthread_mutex_lock(&lock);
	want = ROUND_UP(now - atomic_load(&a->drawn), CHUNK);
	all = atomic_load(&pool.drawn);
	max = atomic_load(&pool.max);
	if (want <= 0)
		want = 0;
	else if (!always && !within(a, atomic_load(&a->drawn), all, max, want))
		r = -ENOMEM;
	if (r == 0) {
		atomic_fetch_add(&a->drawn, want);
		atomic_store(&pool.drawn, all + want);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static int charge(struct account *a, long n, bool always)
{
	long now = atomic_fetch_add(&a->memory, n) + n;
	int r;

	if (now <= atomic_load_explicit(&a->drawn, memory_order_relaxed))
		return 0;
	r = draw(a, now, always);
	if (r < 0)
		atomic_fetch_sub(&a->memory, n);
	return r;
}

/* Gives back what is left over once n bytes less are charged. */
static void shrink(struct account *a, long n)
{
	pthread_mutex_lock(&lock);
	long keep = ROUND_UP(max(atomic_load(&a->memory) - n, 0L), CHUNK) + CHUNK;
	long spare = atomic_load(&a->drawn) - keep;

	if (spare > 0) {
		atomic_fetch_sub(&a->drawn, spare);
		atomic_fetch_sub(&pool.drawn, spare);
	}
	pthread_mutex_unlock(&lock);
}

static void account_free(struct account *a)
{
	pthread_mutex_lock(&lock);
	list_del(&a->node);
	atomic_fetch_sub(&pool.drawn, atomic_load(&a->drawn));
	pthread_mutex_unlock(&lock);
	free(a);
}

static void uncharge(struct account *a, long n)
{
	/* What is being uncharged keeps the account alive up to the subtraction. */
	long left = atomic_load_explicit(&a->memory, memory_order_relaxed) - n;

	if (atomic_load_explicit(&a->drawn, memory_order_relaxed) - left > 3 * CHUNK)
		shrink(a, n);
	if (atomic_fetch_sub(&a->memory, n) == n)
		account_free(a);
}

/* --- accounts ---------------------------------------------------------------------------------- */

static struct list *bucket_locked(unsigned int domain, uint32_t uid)
{
	struct list *b = &buckets[(domain * 31 + uid) % BUCKETS];

	if (!b->next)
		list_init(b);
	return b;
}

/* A reference, unless it is being freed. */
static bool revive(struct account *a)
{
	long n = atomic_load(&a->memory);

	while (n > 0)
		if (atomic_compare_exchange_weak(&a->memory, &n, n + 1))
			return true;
	return false;
}

static struct account *find_locked(unsigned int domain, uint32_t uid)
{
	struct account *a;

	list_for_each (a, bucket_locked(domain, uid), node)
		if (a->domain == domain && a->uid == uid && revive(a))
			return a;
	return NULL;
}

struct account *account_of(unsigned int domain, uint32_t uid)
{
	struct account *new = NEW(struct account), *a;

	pthread_mutex_lock(&lock);
	a = find_locked(domain, uid);
	if (!a) {
		a = new;
		new = NULL;
		a->domain = domain;
		a->uid = uid;
		atomic_init(&a->memory, 1);
		list_add(bucket_locked(domain, uid), &a->node);
	}
	pthread_mutex_unlock(&lock);
	free(new);
	return a;
}

struct account *account_sibling(struct account *like, uint32_t uid)
{
	if (!like)
		return NULL;
	return like->uid == uid ? account_get(like) : account_of(like->domain, uid);
}

struct account *account_get(struct account *a)
{
	if (a)
		(void)!charge(a, 1, true);
	return a;
}

void account_put(struct account *a)
{
	if (a)
		uncharge(a, 1);
}

void account_set_payer(struct account *a, bool privileged)
{
	struct account *old = payer.account;

	payer.account = account_get(a);
	payer.privileged = privileged;
	account_put(old);
}

struct account *account_payer(void)
{
	return payer.account;
}

bool account_payer_privileged(void)
{
	return !payer.account || payer.account->uid == 0 || payer.privileged;
}

/* --- memory --------------------------------------------------------------------------------------- */

int account_charge(size_t n, struct account **out)
{
	*out = payer.account;
	return n > LONG_MAX ? -ENOMEM : charge(self(payer.account), (long)n, false);
}

struct account *account_charge_always(size_t n)
{
	(void)!charge(self(payer.account), (long)n, true);
	return payer.account;
}

void account_uncharge(struct account *a, size_t n)
{
	uncharge(self(a), (long)n);
}

int account_admit(void)
{
	struct account *a = self(payer.account);
	long drawn = atomic_load_explicit(&a->drawn, memory_order_relaxed);
	bool needs_more = atomic_load_explicit(&a->memory, memory_order_relaxed) >= drawn;

	return within(a, drawn, atomic_load(&pool.drawn), atomic_load(&pool.max),
		      needs_more ? CHUNK : 0)
		   ? 0
		   : -ENOMEM;
}

long account_memory(struct account *a)
{
	return atomic_load(&self(a)->memory);
}

/* --- tasks ---------------------------------------------------------------------------------------------- */

int account_task_admit(void)
{
	struct account *a = self(payer.account);

	return within(a, atomic_load(&a->tasks), atomic_load(&tasks), TASKS_MAX, 1) ? 0 : -EAGAIN;
}

void account_task_add(struct account *a)
{
	(void)!charge(self(a), 1, true);
	atomic_fetch_add(&self(a)->tasks, 1);
	atomic_fetch_add(&tasks, 1);
}

void account_task_del(struct account *a)
{
	atomic_fetch_sub(&tasks, 1);
	atomic_fetch_sub(&self(a)->tasks, 1);
	uncharge(self(a), 1);
}

/* --- host descriptors -------------------------------------------------------------------------------- */

void account_set_fds(unsigned int max)
{
	fds.payer = try_calloc(max, sizeof(*fds.payer));
	fds.max = fds.payer ? (long)max : 0;
}

int account_fd_admit(void)
{
	struct account *a = self(payer.account);

	return within(a, atomic_load(&a->fds), atomic_load(&fds.used), fds.max, 1) ? 0 : -ENFILE;
}

void account_fd_add(int fd)
{
	struct account *a = self(payer.account);

	if (fd >= fds.max)
		return;
	(void)!charge(a, 1, true);
	atomic_fetch_add(&a->fds, 1);
	atomic_fetch_add(&fds.used, 1);
	atomic_store(&fds.payer[fd], a);
}

void account_fd_del(int fd)
{
	struct account *a = fd < fds.max ? atomic_exchange(&fds.payer[fd], NULL) : NULL;

	if (!a)
		return;
	atomic_fetch_sub(&fds.used, 1);
	atomic_fetch_sub(&a->fds, 1);
	uncharge(a, 1);
}

/* --- pages ------------------------------------------------------------------------------------------- */

void account_take_pages_always(uint64_t n)
{
	atomic_fetch_add(&pages, (long)n);
}

bool account_take_pages(uint64_t n)
{
	long max = atomic_load(&pages_max);

	if (n > LONG_MAX / 2)
		return false;
	if (atomic_fetch_add(&pages, (long)n) + (long)n <= max || !max)
		return true;
	account_give_pages(n);
	return false;
}

void account_give_pages(uint64_t n)
{
	atomic_fetch_sub(&pages, (long)n);
}

/* --- counts ------------------------------------------------------------------------------------------- */

void account_take_always(struct account *a, enum account_count what, uint64_t n)
{
	a = self(a);
	(void)!charge(a, (long)n, true);
	atomic_fetch_add(&a->count[what], (long)n);
}

bool account_take(struct account *a, enum account_count what, uint64_t n, uint64_t limit)
{
	a = self(a);
	account_take_always(a, what, n);
	if ((uint64_t)atomic_load(&a->count[what]) <= limit)
		return true;
	account_give(a, what, n);
	return false;
}

void account_give(struct account *a, enum account_count what, uint64_t n)
{
	a = self(a);
	atomic_fetch_sub(&a->count[what], (long)n);
	uncharge(a, (long)n);
}

uint64_t account_count(struct account *a, enum account_count what)
{
	return (uint64_t)max(atomic_load(&self(a)->count[what]), 0L);
}

/* --- what there is --------------------------------------------------------------------------------------- */

uint64_t account_add_container(uint64_t memory_limit, uint64_t total_ram)
{
	uint64_t bytes =
	    memory_limit ? min(memory_limit, total_ram) / 4 : min(total_ram / 16, UNLIMITED_MAX);

	if (memory_limit)
		atomic_fetch_add(&pages_max, (long)(bytes / 4096));
	bytes = max(bytes, (uint64_t)LEAST);
	atomic_fetch_add(&pool.max, (long)bytes);
	return bytes;
}

void account_remove_container(uint64_t bytes)
{
	atomic_fetch_sub(&pool.max, (long)bytes);
}

uint64_t account_memory_max(void)
{
	long bytes = atomic_load(&pool.max);

	return bytes ? (uint64_t)bytes : UNLIMITED_MAX;
}
