/*
 * Placement. A guest thread has two host threads that never run at the same
 * time but in the moment of the hand-over. Waking a thread on another, idle CPU
 * costs ten times as much as switching to it on the same CPU (on virtual
 * machines; less on metal), and the scheduler, which knows nothing of this,
 * prefers the idle CPU. So each pair is in one of three modes:
 *
 *   FREE   no pinning, sleep at once. For threads that compute.
 *   PAIR   both are pinned to the CPU where the stub was; the hand-over is a switch.
 *          For threads that make a system call every few microseconds to milliseconds.
 *   SPIN   pinned to two CPUs, both spin a little before they sleep. For threads that make
 *          system calls without a pause, while there are more CPUs than threads that want one,
 *          here and on the host.
 *
 * Pinning takes balancing away from the host, so it is kept short: a pair is let
 * go when guest code has run for OVERDUE_MS without an event, and after REPAIR_MS in
 * any case, so that the host can move it; a pair that shares its CPU for long while
 * another CPU has none moves there; pairs that wake each other in turn move together.
 *
 * `active` counts threads that want a CPU: from their first run until they exit,
 * but for the time in which their task sleeps (pf_task_sleeps). All counters
 * are hints; nothing but speed depends on them. What the stub says of its CPU
 * and times is hostile, and can only hurt its own speed.
 */
#include "sentry/platform/place.h"

#include <errno.h>
#include <sched.h>

#include "common/host.h"
#include "common/host_sched.h"
#include "common/host_stub.h"
#include "common/host_thread.h"
#include "sentry/core/sleeper.h"
#include "sentry/platform/pf.h"

#define MAX_CPUS 1024
#define OVERDUE_MS 8
#define REPAIR_US 50000
#define SHORT_US 500	  /* a round is short if guest code ran for less, ... */
#define PAIR_ROUNDS 4	  /* ... and so many in a row make a pair */
#define QUICK_US 20	  /* a round is quick if each side took less, ... */
#define NOT_QUICK 16	  /* ... and so many quick ones make up for one that was not; ... */
#define SPIN_ROUNDS 64	  /* ... so many more of them are worth two CPUs, ... */
#define MISS 16		  /* ... until one of so many finds the other side asleep, ... */
#define MISSES 128	  /* ... in the long run */
#define STOLEN_US 50	  /* a spinner whose clock jumps so far has lost its CPU to others: ... */
#define STOLEN_FOR 2	  /* ... nobody spins for so many times as long as that took; ... */
#define STOLEN_FOR_MAX 32 /* ... for twice as many each time if it ... */
#define STOLEN_AGAIN_US 50000 /* ... happens again so soon */
#define SPIN_US 40	      /* how long a spinner waits: less than waking another CPU takes */
#define CROWDED_US 1000	      /* a pair that shared its CPU for so long looks for another */
#define NO_PULL_US 100000     /* ... and stays there at least for so long */
#define BURST_US 100	      /* woken threads that sleep again within this time ... */
#define PULLS 3		      /* ... so often in a row are pulled to the waker's CPU */

/* Looks after pinned threads that compute (see keeper). */
static struct {
	pthread_mutex_t lock;
	struct list threads; /* guarded by lock */
	bool started;
	atomic_bool idle;
	atomic_uint wake;
} keep = {.lock = PTHREAD_MUTEX_INITIALIZER, .threads = LIST_INIT(keep.threads)};

static struct {
	unsigned int ncpus; /* this sandbox may use */
	unsigned int host_cpus;
	uint64_t cycles_per_us;
	uint32_t looks; /* at a word, with a pause after each, that take SPIN_US */
	bool pin, spin;
	bool allowed[MAX_CPUS];
	atomic_int active, spinners;
	atomic_ulong no_spin_until; /* cycles */
	atomic_uint stolen_for;
	atomic_int pairs[MAX_CPUS]; /* active pairs */
} place;

static __thread struct pf_thread *driven;
static uint64_t cycles(void)
{
	return __builtin_ia32_rdtsc();
}

static uint64_t us(uint64_t n)
{
	return n * place.cycles_per_us;
}

static uint64_t measure_cycles(void)
{
	uint64_t t0 = host_monotonic_ns(), c0 = cycles(), t;

	do
		t = host_monotonic_ns();
	while (t - t0 < 200 * NSEC_PER_USEC);
	return max((cycles() - c0) * 1000 / (t - t0), (uint64_t)1);
}

static uint32_t measure_looks(void)
{
	static uint32_t word;
	uint64_t start = cycles(), spent;

	for (int i = 0; i < 256; i++) {
		(void)__atomic_load_n(&word, __ATOMIC_ACQUIRE);
		__builtin_ia32_pause();
	}
	spent = max(cycles() - start, (uint64_t)1);
	return (uint32_t)max(us(SPIN_US) * 256 / spent, (uint64_t)1);
}

void place_init(void)
{
	cpu_set_t set;

	place.ncpus = max(pf.config.ncpus, 1U);
	place.cycles_per_us = measure_cycles();
	place.looks = measure_looks();
	atomic_init(&place.stolen_for, STOLEN_FOR);
	place.host_cpus = 0;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int i = 0; i < CPU_SETSIZE; i++)
			place.host_cpus += place.allowed[i] = CPU_ISSET(i, &set);
	place.pin = place.host_cpus > 1;
	place.spin = pf.config.spin && !pf.ops->traces; /* a tracer cannot spin */
}

static bool host_is_crowded(void)
{
	uint64_t until = atomic_load_explicit(&place.no_spin_until, memory_order_relaxed);

	return until && cycles() < until;
}

/* --- pinning -------------------------------------------------------------------------- */

/* The calling sentry thread's CPU is sleeper_cpu. */
static void pin_self(int cpu)
{
	if (sleeper_cpu == cpu)
		return;
	host_set_cpu(0, cpu);
	sleeper_cpu = cpu;
}

static int pin_stub(struct pf_thread *t, int cpu)
{
	int r;

	if (!space_use(t->space))
		return -ESRCH;
	r = host_set_cpu(t->tid, cpu);
	space_unuse(t->space);
	return r;
}

static void count(int cpu, int n)
{
	atomic_fetch_add_explicit(&place.pairs[cpu], n, memory_order_relaxed);
}

static void count_pair(const struct place *p, int n)
{
	if (!p->active || p->mode == PLACE_FREE)
		return;
	count(p->cpu, n);
	if (p->mode == PLACE_SPIN)
		count(p->stub_cpu, n);
}

static void set_mode(struct place *p, enum place_mode mode, int cpu, int stub_cpu)
{
	count_pair(p, -1);
	p->mode = mode;
	p->cpu = cpu;
	p->stub_cpu = stub_cpu;
	p->crowded_at = 0;
	count_pair(p, 1);
}

/* Both to `cpu`, unless the host refuses. */
static void pair_up(struct pf_thread *t, int cpu)
{
	if (pin_stub(t, cpu) < 0)
		return;
	set_mode(&t->place, PLACE_PAIR, cpu, cpu);
	t->place.paired_at = cycles();
	pin_self(cpu);
}

static void let_go(struct pf_thread *t)
{
	if (t->place.stub_cpu >= 0)
		pin_stub(t, -1);
	set_mode(&t->place, PLACE_FREE, -1, -1);
	pin_self(-1);
}

/* A CPU without a pair, or -1. */
static int idle_cpu(void)
{
	for (int i = 0, seen = 0; i < MAX_CPUS && seen < (int)place.host_cpus; i++) {
		if (!place.allowed[i])
			continue;
		seen++;
		if (atomic_load_explicit(&place.pairs[i], memory_order_relaxed) == 0)
			return i;
	}
	return -1;
}

/* --- the keeper ---------------------------------------------------------------------------- */

static void keeper_wake(void)
{
	atomic_fetch_add(&keep.wake, 1);
	host_futex_wake(&keep.wake, 1);
}

/* Guest code that runs for long makes no events, so its driver cannot let it go. */
static void release_overdue(void)
{
	struct place *p;
	uint64_t now = cycles();

	pthread_mutex_lock(&keep.lock);
	list_for_each (p, &keep.threads, node) {
		struct pf_thread *t = container_of(p, struct pf_thread, place);
		uint64_t since = atomic_load(&p->running_since);

		if (since && since < now && now - since > us(1000 * OVERDUE_MS) &&
		    !atomic_exchange(&p->released, true))
			pin_stub(t, -1);
	}
	pthread_mutex_unlock(&keep.lock);
}

/* Ticks while there is an active thread; otherwise it sleeps until there is one. */
static void *keeper(void *arg)
{
	for (;;) {
		unsigned int seen = atomic_load(&keep.wake);
		bool idle = atomic_load_explicit(&place.active, memory_order_relaxed) == 0;

		atomic_store(&keep.idle, idle);
		if (idle && atomic_load(&place.active) > 0)
			continue;
		host_futex_wait(&keep.wake, seen,
				idle ? UINT64_MAX
				     : host_monotonic_ns() + OVERDUE_MS * NSEC_PER_MSEC);
		release_overdue();
	}
	return NULL;
}

static void keep_thread(struct pf_thread *t)
{
	pthread_mutex_lock(&keep.lock);
	if (!keep.started && host_thread_start("keeper", keeper, NULL) < 0)
		place.pin = false;
	keep.started = true;
	if (!t->place.node.next)
		list_init(&t->place.node);
	list_del(&t->place.node);
	list_add(&keep.threads, &t->place.node);
	pthread_mutex_unlock(&keep.lock);
}

static void unkeep_thread(struct pf_thread *t)
{
	pthread_mutex_lock(&keep.lock);
	if (t->place.node.next)
		list_del(&t->place.node);
	pthread_mutex_unlock(&keep.lock);
}

/* --- who wants a CPU ---------------------------------------------------------------------- */

static void set_active(struct pf_thread *t, bool active)
{
	if (t->place.active == active)
		return;
	count_pair(&t->place, -1);
	t->place.active = active;
	count_pair(&t->place, 1);
	atomic_fetch_add_explicit(&place.active, active ? 1 : -1, memory_order_relaxed);
	if (active && atomic_load(&keep.idle))
		keeper_wake();
}

/*
 * Threads that wake each other and sleep again at once (over a pipe, say) belong on one CPU. Of two
 * on different ones the one on the higher moves, so that they do not swap.
 */
static void woken_by(struct pf_thread *t, int cpu)
{
	struct place *p = &t->place;

	if (p->mode != PLACE_PAIR || cpu < 0 || cpu >= p->cpu) {
		p->pulls = 0;
		return;
	}
	if (++p->pulls < PULLS || cycles() < p->no_pull_until)
		return;
	p->pulls = 0;
	pair_up(t, cpu);
}

void pf_task_sleeps(bool asleep)
{
	struct pf_thread *t = driven;

	if (!t || !place.pin)
		return;
	set_active(t, !asleep);
	if (asleep) {
		if (cycles() - t->place.woken_at > us(BURST_US))
			t->place.pulls = 0;
	} else {
		t->place.woken_at = cycles();
		t->place.stopped_at = 0;
		woken_by(t, atomic_load_explicit(&sleeper_self()->waker_cpu, memory_order_relaxed));
	}
}

static bool take_token(struct pf_thread *t)
{
	int spinners = atomic_fetch_add_explicit(&place.spinners, 1, memory_order_relaxed);
	int active = atomic_load_explicit(&place.active, memory_order_relaxed);

	t->place.token = active + spinners < (int)min(place.ncpus, place.host_cpus);
	if (!t->place.token)
		atomic_fetch_sub_explicit(&place.spinners, 1, memory_order_relaxed);
	return t->place.token;
}

static void drop_token(struct pf_thread *t)
{
	if (t->place.token)
		atomic_fetch_sub_explicit(&place.spinners, 1, memory_order_relaxed);
	t->place.token = false;
}

void place_attach(struct pf_thread *t)
{
	driven = t;
	if (!place.pin)
		return;
	keep_thread(t);
	t->place.spin_rounds = SPIN_ROUNDS;
	if (t->place.mode == PLACE_PAIR && t->place.stub_cpu == t->place.cpu)
		pin_self(t->place.cpu);
	else if (t->place.mode == PLACE_PAIR)
		pair_up(t, t->place.cpu); /* born of a spinner, or its stub has been elsewhere */
	else if (sleeper_cpu >= 0)
		pair_up(t, sleeper_cpu); /* an exec: the new stub joins */
	else if (t->place.stub_cpu >= 0)
		let_go(t);
}

void place_inherit(struct pf_thread *child, const struct pf_thread *parent)
{
	if (parent->place.mode == PLACE_FREE)
		return;
	child->place.mode = PLACE_PAIR;
	child->place.cpu = parent->place.cpu;
	child->place.paired_at = cycles();
}

void place_leave(struct pf_thread *t)
{
	unkeep_thread(t);
	drop_token(t);
	set_active(t, false);
	if (driven == t)
		driven = NULL;
}

/* --- a round ------------------------------------------------------------------------------- */

/* The pair shares its CPU with another one, or has been pinned for long. */
static void review_pair(struct pf_thread *t)
{
	struct place *p = &t->place;
	uint64_t now = cycles();
	int cpu;

	if (atomic_load_explicit(&place.pairs[p->cpu], memory_order_relaxed) <= 1)
		p->crowded_at = 0;
	else if (p->crowded_at == 0)
		p->crowded_at = now;
	if (p->crowded_at && now - p->crowded_at > us(CROWDED_US)) {
		cpu = idle_cpu();
		p->crowded_at = now;
		if (cpu >= 0) {
			p->no_pull_until = now + us(NO_PULL_US);
			pair_up(t, cpu);
			return;
		}
	}
	if (now - p->paired_at > us(REPAIR_US))
		let_go(t);
}

/* On two CPUs: the driver stays, the stub moves. */
static void spread(struct pf_thread *t)
{
	struct place *p = &t->place;
	int cpu = idle_cpu();

	if (cpu < 0 || pin_stub(t, cpu) < 0)
		return;
	set_mode(p, PLACE_SPIN, p->cpu, cpu);
	p->misses = 0;
}

/* Spinning does not pay (any more): together again, and not soon spread again. */
static void unspread(struct pf_thread *t)
{
	struct place *p = &t->place;

	if (!host_is_crowded())
		p->spin_rounds = min(p->spin_rounds * 2, 1U << 16);
	p->quick_rounds = 0;
	pair_up(t, p->cpu);
}

static void judge(struct place *p, uint64_t guest_cycles, uint64_t now)
{
	bool quick = guest_cycles < us(QUICK_US) && p->stop_cycles < us(QUICK_US);
	bool miss = p->missed || p->stop_cycles > us(SPIN_US);

	p->missed = false;
	p->stopped_at = now;
	if (quick)
		p->quick_rounds = min(p->quick_rounds + 1, 1U << 20);
	else
		p->quick_rounds -= min(p->quick_rounds, (uint32_t)NOT_QUICK);
	if (miss)
		p->misses += MISS;
	else if (p->misses)
		p->misses--;
}

uint32_t place_before(struct pf_thread *t)
{
	struct place *p = &t->place;

	if (!place.pin)
		return 0;
	set_active(t, true);
	p->stop_cycles = p->stopped_at ? cycles() - p->stopped_at : 0;
	if (p->mode == PLACE_SPIN && (p->misses > MISSES || host_is_crowded() || !take_token(t)))
		unspread(t);
	else if (p->mode == PLACE_PAIR)
		review_pair(t);
	if (place.spin && p->mode == PLACE_PAIR && p->quick_rounds >= p->spin_rounds &&
	    !host_is_crowded() && take_token(t))
		spread(t);
	if (p->mode != PLACE_FREE)
		atomic_store_explicit(&p->running_since, cycles(), memory_order_relaxed);
	return p->mode == PLACE_SPIN ? place.looks : 0;
}

void place_ask(struct pf_thread *t)
{
	struct place *p = &t->place;

	if (p->mode != PLACE_SPIN)
		return;
	p->misses += MISSES / 2;
	if (p->misses > MISSES)
		unspread(t);
}

/* Somebody else who now and then wants the CPU does not matter, a crowd does. */
static void note_stolen(uint64_t now, uint64_t last)
{
	uint64_t gap = now - last, until;
	unsigned int times;

	if (gap < us(STOLEN_US))
		return;
	until = atomic_load_explicit(&place.no_spin_until, memory_order_relaxed);
	times = atomic_load_explicit(&place.stolen_for, memory_order_relaxed);
	if (last > until + us(STOLEN_AGAIN_US))
		times = STOLEN_FOR;
	else
		times = min(times * 2, (unsigned int)STOLEN_FOR_MAX);
	atomic_store_explicit(&place.stolen_for, times, memory_order_relaxed);
	atomic_store_explicit(&place.no_spin_until, now + times * gap, memory_order_relaxed);
}

bool place_spin(struct pf_thread *t, const uint32_t *word, uint32_t value)
{
	uint64_t end, now, last;
	bool came = __atomic_load_n(word, __ATOMIC_ACQUIRE) == value;

	if (came || t->place.mode != PLACE_SPIN)
		return came;
	now = cycles();
	end = now + us(SPIN_US);
	do {
		for (int i = 0; i < 16 && !came; i++) {
			__builtin_ia32_pause();
			came = __atomic_load_n(word, __ATOMIC_ACQUIRE) == value;
		}
		last = now;
		now = cycles();
		note_stolen(now, last);
	} while (!came && now < end);
	if (came)
		COUNT(spins_won);
	t->place.missed |= !came;
	return came;
}

void place_after(struct pf_thread *t, uint32_t cpu, uint64_t guest_cycles)
{
	struct place *p = &t->place;

	if (!place.pin)
		return;
	drop_token(t);
	atomic_store_explicit(&p->running_since, 0, memory_order_relaxed);
	if (atomic_load_explicit(&p->released, memory_order_relaxed)) {
		atomic_store(&p->released, false);
		p->short_rounds = 0;
		let_go(t);
	}
	judge(p, guest_cycles, cycles());
	if (guest_cycles < us(SHORT_US))
		p->short_rounds = min(p->short_rounds + 1, 1U << 20);
	else if (guest_cycles > us(1000 * OVERDUE_MS))
		p->short_rounds = 0;
	if (p->mode == PLACE_FREE && p->short_rounds >= PAIR_ROUNDS && cpu < MAX_CPUS &&
	    place.allowed[cpu])
		pair_up(t, (int)cpu);
	if (p->mode == PLACE_SPIN && p->quick_rounds > 100 * p->spin_rounds)
		p->spin_rounds = SPIN_ROUNDS; /* it did pay */
}
