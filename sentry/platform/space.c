/*
 * Stub processes and their threads as the sentry holds them: slots and spaces,
 * the table of pids, and the reaper that notices deaths.
 *
 * Life of a process: alive -> (killed) -> zombie -> reaped. The table holds the
 * space until the process is reaped, the callers' references until the last
 * put; the struct is freed when both are gone. A pid is used only between
 * space_use and space_unuse, for which the reaper waits before it reaps, so no
 * call ever reaches another process that got the same pid.
 */
#include "sentry/platform/pf.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "common/host.h"
#include "common/host_ptrace.h"
#include "common/host_shared.h"
#include "common/host_stub.h"
#include "common/host_thread.h"
#include "common/log.h"
#include "common/mem.h"

#define HASH_SIZE 256U

static struct {
	pthread_mutex_t lock;
	struct list hash[HASH_SIZE]; /* guarded by lock */
	atomic_uint births;
	atomic_bool childless; /* the reaper sleeps until the next birth */
	bool started;
	atomic_uint deaths, waiting; /* for space_wait_dead */
	int epoll;		     /* pidfds, where waiting for any child is wrong */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- arenas and slots ----------------------------------------------------------------------- */

int space_arena_new(struct pf_space *s, struct arena **out, int *fd)
{
	int r = arena_new(out, fd);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	if (s->narenas < BANK_ARENAS)
		(*out)->stub_base = pf.bank[s->bank] + s->narenas++ * ARENA_SIZE;
	else
		r = -EAGAIN;
	pthread_mutex_unlock(&s->lock);
	if (r < 0) {
		arena_free(*out);
		host_close(*fd);
	}
	return r;
}

void space_arena_add(struct pf_space *s, struct arena *a)
{
	pthread_mutex_lock(&s->lock);
	list_add_tail(&s->arenas, &a->node);
	pthread_mutex_unlock(&s->lock);
}

/* A slot that an exiting thread has not handed over yet is not free. */
static bool slot_free(struct arena *a, unsigned int slot)
{
	struct mbox *m = (struct mbox *)(a->base + slot * SLOT_SIZE);
	uint32_t turn;

	if (a->used & (1U << slot))
		return false;
	turn = __atomic_load_n(&m->turn, __ATOMIC_ACQUIRE);
	return turn == 0 || turn == TURN_SENTRY;
}

static struct pf_thread *thread_make(struct pf_space *s, struct arena *a, unsigned int slot)
{
	struct pf_thread *t = NEW(struct pf_thread);

	t->space = pf_space_get(s);
	t->arena = a;
	t->slot = slot;
	t->mbox = (struct mbox *)(a->base + slot * SLOT_SIZE);
	t->stub_mbox = a->stub_base + slot * SLOT_SIZE;
	t->place.cpu = t->place.stub_cpu = -1;
	list_add_tail(&s->threads, &t->space_node);
	return t;
}

static struct pf_thread *thread_in_slot(struct pf_space *s, struct arena *a, unsigned int slot)
{
	struct pf_thread *t = thread_make(s, a, slot);

	__atomic_store_n(&t->mbox->turn, TURN_SENTRY, __ATOMIC_SEQ_CST);
	t->mbox->stub_sleeps = 0;
	t->mbox->sentry_sleeps = 0;
	t->mbox->spin = 0;
	a->used |= 1U << slot;
	return t;
}

int space_slot_new(struct pf_space *s, struct pf_thread **out)
{
	struct arena *a;

	*out = NULL;
	pthread_mutex_lock(&s->lock);
	list_for_each (a, &s->arenas, node) {
		for (unsigned int i = 0; i < ARENA_SLOTS && !*out; i++)
			if (slot_free(a, i))
				*out = thread_in_slot(s, a, i);
		if (*out)
			break;
	}
	pthread_mutex_unlock(&s->lock);
	return *out ? 0 : -EAGAIN;
}

void space_thread_free(struct pf_thread *t)
{
	struct pf_space *s = t->space;

	pthread_mutex_lock(&s->lock);
	list_del(&t->space_node);
	if (!t->parked)
		t->arena->used &= ~(1U << t->slot);
	pthread_mutex_unlock(&s->lock);
	free(t);
	pf_space_put(s);
}

/*
 * Parked stub threads. The stub thread of a guest thread that has ended waits in its slot for a
 * command, as it would for the result of a system call. A new guest thread of the same process
 * takes it over: its first frame is put into the slot, above the stack on which the stub thread
 * waits. That saves making a thread and ending it, and two hand-overs with the creator.
 */
static atomic_uint parked_in_all;

bool space_park(struct pf_thread *t)
{
	struct pf_space *s = t->space;
	bool pinned = t->place.mode != PLACE_FREE && !atomic_load(&t->place.released);

	if (pf.ops->traces || t->leader || atomic_load(&s->dead))
		return false;
	if (atomic_fetch_add(&parked_in_all, 1) >= PARKED_IN_ALL) {
		atomic_fetch_sub(&parked_in_all, 1);
		return false;
	}
	pthread_mutex_lock(&s->lock);
	if (s->nparked < PARKED_MAX) {
		s->parked[s->nparked++] = (struct parked){.arena = t->arena,
							  .slot = t->slot,
							  .tid = t->tid,
							  .frame = t->frame,
							  .cpu = pinned ? t->place.stub_cpu : -1};
		t->parked = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (!t->parked)
		atomic_fetch_sub(&parked_in_all, 1);
	return t->parked;
}

static bool take_parked(struct pf_space *s, uint32_t frame, struct parked *out)
{
	for (unsigned int i = s->nparked; i > 0; i--) {
		*out = s->parked[i - 1];
		if (out->frame <= frame) {
			s->parked[i - 1] = s->parked[--s->nparked];
			return true;
		}
	}
	return false;
}

struct pf_thread *space_unpark(struct pf_space *s, uint32_t frame)
{
	struct pf_thread *t = NULL;
	struct parked p;

	pthread_mutex_lock(&s->lock);
	if (take_parked(s, frame, &p)) {
		t = thread_make(s, p.arena, p.slot);
		t->tid = p.tid;
		t->place.stub_cpu = p.cpu;
	}
	pthread_mutex_unlock(&s->lock);
	if (t)
		atomic_fetch_sub(&parked_in_all, 1);
	return t;
}

/* --- spaces --------------------------------------------------------------------------------------
 */

int space_alloc(int bank, struct pf_space **space, struct pf_thread **thread, int *fd)
{
	struct pf_space *s;
	struct arena *a;
	int r = arena_new(&a, fd);

	if (r < 0)
		return r;
	s = NEW(struct pf_space);
	ref_init(&s->ref);
	s->bank = bank;
	s->narenas = 1;
	s->reaped = true;
	s->pidfd = -1;
	list_init(&s->arenas);
	list_init(&s->threads);
	list_init(&s->hash_node);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->fd_lock, NULL);
	a->stub_base = pf.bank[bank];
	list_add(&s->arenas, &a->node);
	*space = s;
	*thread = thread_in_slot(s, a, 0);
	(*thread)->leader = true;
	return 0;
}

static void space_free(struct pf_space *s)
{
	struct arena *a, *tmp;

	atomic_fetch_sub(&parked_in_all, s->nparked);
	list_for_each_safe (a, tmp, &s->arenas, node) {
		list_del(&a->node);
		if (s->forked || !s->dead || !arena_recycle(a))
			arena_free(a);
	}
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->fd_lock);
	if (s->pidfd >= 0)
		host_close(s->pidfd);
	free(s);
}

void space_discard(struct pf_thread *t)
{
	struct pf_space *s = t->space;

	space_thread_free(t);
	pf_space_put(s);
}

static struct list *bucket(pid_t pid)
{
	struct list *head = &table.hash[(unsigned int)pid % HASH_SIZE];

	if (!head->next)
		list_init(head);
	return head;
}

/* Waiting for any child would take the stops of traced threads from their tracers. */
static void watch_pidfd(struct pf_space *s)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};

	s->pidfd = host_pidfd_open(s->pid);
	if (s->pidfd < 0 || host_epoll_ctl(table.epoll, EPOLL_CTL_ADD, s->pidfd, &e) < 0)
		log_warn("cannot watch stub %d", (int)s->pid);
}

int space_born(struct pf_space *s, pid_t pid)
{
	int status;
	bool ours;

	pthread_mutex_lock(&table.lock);
	ours = host_wait_peek(pid, false, &status) >= 0;
	if (ours) {
		s->pid = pid;
		s->reaped = false;
		list_add(bucket(pid), &s->hash_node);
	}
	pthread_mutex_unlock(&table.lock);
	if (!ours)
		return -ESRCH;
	if (pf.ops->traces)
		watch_pidfd(s);
	/* The reaper says that it is childless, then sleeps only if nobody was born meanwhile. */
	atomic_fetch_add(&table.births, 1);
	if (atomic_load(&table.childless))
		host_futex_wake(&table.births, 1);
	return 0;
}

struct pf_space *pf_space_get(struct pf_space *s)
{
	ref_get(&s->ref);
	return s;
}

void pf_space_kill(struct pf_space *s)
{
	if (atomic_exchange(&s->kill_sent, true) || !space_use(s))
		return;
	host_kill(s->pid, SIGKILL);
	space_unuse(s);
}

void space_kill_all(void)
{
	struct pf_space *s;

	pthread_mutex_lock(&table.lock);
	for (unsigned int i = 0; i < HASH_SIZE; i++) {
		if (!table.hash[i].next)
			continue;
		list_for_each (s, &table.hash[i], hash_node)
			pf_space_kill(s);
	}
	pthread_mutex_unlock(&table.lock);
}

void pf_space_put(struct pf_space *s)
{
	bool gone;

	if (!ref_put(&s->ref))
		return;
	pf_space_kill(s);
	pthread_mutex_lock(&table.lock);
	s->released = true;
	gone = s->reaped;
	pthread_mutex_unlock(&table.lock);
	if (gone)
		space_free(s);
}

bool space_use(struct pf_space *s)
{
	atomic_fetch_add(&s->users, 1);
	if (!atomic_load(&s->dead) && s->pid > 0)
		return true;
	atomic_fetch_sub(&s->users, 1);
	return false;
}

void space_unuse(struct pf_space *s)
{
	atomic_fetch_sub(&s->users, 1);
}

/* --- the reaper
 * ------------------------------------------------------------------------------------ */

static struct pf_space *lookup(pid_t pid)
{
	struct pf_space *s;

	list_for_each (s, bucket(pid), hash_node)
		if (s->pid == pid)
			return s;
	return NULL;
}

/* Wakes the drivers that wait for the dead process. Nobody else writes its slots any more. */
static void wake_drivers(struct pf_space *s)
{
	struct pf_thread *t;

	pthread_mutex_lock(&s->lock);
	list_for_each (t, &s->threads, space_node) {
		__atomic_store_n(&t->mbox->turn, TURN_SENTRY, __ATOMIC_SEQ_CST);
		host_shared_futex_wake(&t->mbox->turn);
	}
	pthread_mutex_unlock(&s->lock);
}

static void space_died(struct pf_space *s, int status)
{
	s->wait_status = status;
	atomic_store(&s->dead, true);
	while (atomic_load(&s->users) > 0)
		sched_yield();
	wake_drivers(s);
	atomic_fetch_add(&table.deaths, 1);
	if (atomic_load(&table.waiting))
		host_futex_wake(&table.deaths, INT_MAX);
	if (pf.config.stub_died && !s->zygote && !atomic_load(&s->kill_sent))
		pf.config.stub_died(s);
}

static void space_reaped(struct pf_space *s)
{
	bool gone;

	if (s->pidfd >= 0)
		host_epoll_ctl(table.epoll, EPOLL_CTL_DEL, s->pidfd, NULL);
	pthread_mutex_lock(&table.lock);
	list_del(&s->hash_node);
	s->reaped = true;
	gone = s->released;
	pthread_mutex_unlock(&table.lock);
	if (gone)
		space_free(s);
}

static void bury(struct pf_space *s, int status)
{
	space_died(s, status);
	host_reap(s->pid);
	space_reaped(s);
}

/* An unknown child is reaped under the lock, so that space_born cannot enter a pid that is gone. */
static void reap_one(pid_t pid, int status)
{
	struct pf_space *s;

	pthread_mutex_lock(&table.lock);
	s = lookup(pid);
	if (!s)
		host_reap(pid);
	pthread_mutex_unlock(&table.lock);
	if (s)
		bury(s, status);
}

void space_wait_dead(struct pf_space *s)
{
	atomic_fetch_add(&table.waiting, 1);
	for (;;) {
		unsigned int deaths = atomic_load(&table.deaths);

		if (atomic_load(&s->dead))
			break;
		host_futex_wait(&table.deaths, deaths, UINT64_MAX);
	}
	atomic_fetch_sub(&table.waiting, 1);
}

static void *pidfd_reaper(void *arg)
{
	for (;;) {
		struct epoll_event e[16];
		int n = host_epoll_wait(table.epoll, e, ARRAY_SIZE(e), -1);

		for (int i = 0; i < n; i++) {
			struct pf_space *s = e[i].data.ptr;
			int status = SIGKILL;

			/* A tracer may have reaped it already. */
			if (host_wait_peek(s->pid, false, &status) != 0)
				bury(s, status);
		}
	}
	return NULL;
}

static void *reaper(void *arg)
{
	for (;;) {
		unsigned int births = atomic_load(&table.births);
		int status = 0;
		pid_t pid = host_wait_peek(0, true, &status);

		if (pid > 0) {
			reap_one(pid, status);
			continue;
		}
		atomic_store(&table.childless, true);
		host_futex_wait(&table.births, births, UINT64_MAX);
		atomic_store(&table.childless, false);
	}
	return NULL;
}

void reaper_init(void)
{
	table.epoll = pf.ops->traces ? host_epoll_create() : -1;
	if (pf.ops->traces && table.epoll < 0)
		panic("no epoll");
}

void reaper_start(void)
{
	void *(*fn)(void *) = pf.ops->traces ? pidfd_reaper : reaper;

	pthread_mutex_lock(&table.lock);
	if (!table.started && host_thread_start("reaper", fn, NULL) < 0)
		panic("cannot start the reaper");
	table.started = true;
	pthread_mutex_unlock(&table.lock);
}
