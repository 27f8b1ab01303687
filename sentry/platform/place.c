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
 *   SPIN   no pinning, both spin a little before they sleep, on two CPUs. For threads
 *          that make system calls without a pause, while there are more CPUs than
 *          threads that want one.
 *
 * Pinning takes balancing away from the host, so it is kept short: a pair is let
 * go when guest code has run for OVERDUE_MS without an event, and after REPAIR_MS in
 * any case, so that the host can move it; a pair that finds another one on its CPU
 * while a CPU has none moves there.
 *
 * `active` counts threads that want a CPU: from their first run until they exit,
 * but for the time in which their task sleeps (pf_task_sleeps). All counters
 * are hints; nothing but speed depends on them. What the stub says of its CPU
 * and times is hostile, and can only hurt its own speed.
 */
#include "sentry/platform/place.h"

#include <sched.h>
#include <string.h>

#include "common/host.h"
#include "common/host_stub.h"
#include "sentry/platform/pf.h"

#define MAX_CPUS 1024
#define OVERDUE_MS 4
#define REPAIR_US 50000
#define SHORT_US 50    /* a round is short if guest code ran for less */
#define SPIN_US 10     /* how long a spinner waits */
#define PAIR_ROUNDS 4  /* so many short rounds make a pair, ... */
#define SPIN_ROUNDS 64 /* ... and so many spinners */

static struct {
	unsigned int ncpus; /* this sandbox may use */
	unsigned int host_cpus;
	uint64_t cycles_per_us;
	bool pin;
	bool allowed[MAX_CPUS];
	atomic_int active, spinners;
	atomic_int pairs[MAX_CPUS]; /* active pairs */
} place;

static __thread struct pf_thread *driven;
static __thread int pinned = -1; /* the calling sentry thread's CPU */

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

void place_init(void)
{
	cpu_set_t set;

	place.ncpus = max(pf.config.ncpus, 1U);
	place.cycles_per_us = measure_cycles();
	place.host_cpus = 0;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int i = 0; i < CPU_SETSIZE; i++)
			place.host_cpus += place.allowed[i] = CPU_ISSET(i, &set);
	place.pin = place.host_cpus > 1;
}

/* --- pinning -------------------------------------------------------------------------- */

static void pin_self(int cpu)
{
	if (pinned == cpu)
		return;
	host_set_cpu(0, cpu);
	pinned = cpu;
}

static void count_pair(struct pf_thread *t, int n)
{
	if (t->place.mode == PLACE_PAIR && t->place.active)
		atomic_fetch_add_explicit(&place.pairs[t->place.cpu], n, memory_order_relaxed);
}

static void set_mode(struct pf_thread *t, enum place_mode mode, int cpu)
{
	count_pair(t, -1);
	t->place.mode = mode;
	t->place.cpu = cpu;
	count_pair(t, 1);
}

/* Both to `cpu`, or nowhere in particular if the host refuses. */
static void pair_up(struct pf_thread *t, int cpu)
{
	if (!space_use(t->space))
		return;
	if (host_set_cpu(t->tid, cpu) == 0) {
		set_mode(t, PLACE_PAIR, cpu);
		t->place.paired_at = cycles();
		pin_self(cpu);
	}
	space_unuse(t->space);
}

static void let_go(struct pf_thread *t, enum place_mode mode)
{
	if (t->place.mode == PLACE_PAIR && space_use(t->space)) {
		host_set_cpu(t->tid, -1);
		space_unuse(t->space);
	}
	set_mode(t, mode, -1);
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

/* --- who wants a CPU ---------------------------------------------------------------------- */

static void set_active(struct pf_thread *t, bool active)
{
	if (t->place.active == active)
		return;
	count_pair(t, -1);
	t->place.active = active;
	count_pair(t, 1);
	atomic_fetch_add_explicit(&place.active, active ? 1 : -1, memory_order_relaxed);
}

void pf_task_sleeps(bool asleep)
{
	if (driven)
		set_active(driven, !asleep);
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
	if (t->place.mode == PLACE_PAIR)
		pin_self(t->place.cpu);
	else if (pinned >= 0)
		pair_up(t, pinned); /* an exec: the new stub joins */
}

void place_inherit(struct pf_thread *child, const struct pf_thread *parent)
{
	if (parent->place.mode != PLACE_PAIR)
		return;
	child->place.mode = PLACE_PAIR;
	child->place.cpu = parent->place.cpu;
	child->place.paired_at = cycles();
}

void place_leave(struct pf_thread *t)
{
	drop_token(t);
	set_active(t, false);
	if (driven == t)
		driven = NULL;
}

/* --- a round ------------------------------------------------------------------------------- */

/* The pair is on the CPU of another one, or has been on its own for long. */
static void review_pair(struct pf_thread *t)
{
	uint64_t age = cycles() - t->place.paired_at;
	int cpu = -1;

	if (age < us(200))
		return;
	if (atomic_load_explicit(&place.pairs[t->place.cpu], memory_order_relaxed) > 1)
		cpu = idle_cpu();
	if (cpu >= 0)
		pair_up(t, cpu);
	else if (age > us(REPAIR_US))
		let_go(t, PLACE_FREE);
}

uint32_t place_before(struct pf_thread *t)
{
	struct place *p = &t->place;

	set_active(t, true);
	if (!place.pin)
		return 0;
	if (pf.config.spin && p->short_rounds >= SPIN_ROUNDS && take_token(t)) {
		if (p->mode != PLACE_SPIN)
			let_go(t, PLACE_SPIN);
		return SPIN_US * 20;
	}
	if (p->mode == PLACE_SPIN)
		set_mode(t, PLACE_FREE, -1);
	if (p->mode == PLACE_PAIR)
		review_pair(t);
	return 0;
}

bool place_spin(struct pf_thread *t, const uint32_t *word, uint32_t value)
{
	uint64_t end;

	if (t->place.mode != PLACE_SPIN)
		return __atomic_load_n(word, __ATOMIC_ACQUIRE) == value;
	end = cycles() + us(SPIN_US);
	do {
		for (int i = 0; i < 16; i++) {
			if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
				COUNT(spins_won);
				return true;
			}
			__builtin_ia32_pause();
		}
	} while (cycles() < end);
	/* Not the thread that it seemed to be. */
	t->place.short_rounds = PAIR_ROUNDS;
	return false;
}

int place_timeout(const struct pf_thread *t)
{
	return t->place.mode == PLACE_PAIR ? OVERDUE_MS : -1;
}

void place_overdue(struct pf_thread *t)
{
	let_go(t, PLACE_FREE);
	t->place.short_rounds = 0;
}

void place_after(struct pf_thread *t, uint32_t cpu, uint64_t guest_cycles)
{
	struct place *p = &t->place;

	drop_token(t);
	if (guest_cycles < us(SHORT_US))
		p->short_rounds = min(p->short_rounds + 1, 1000000U);
	else if (guest_cycles > us(1000 * OVERDUE_MS))
		p->short_rounds = 0;
	else
		p->short_rounds = min(p->short_rounds, (uint32_t)PAIR_ROUNDS);
	if (place.pin && p->mode == PLACE_FREE && p->short_rounds >= PAIR_ROUNDS &&
	    cpu < MAX_CPUS && place.allowed[cpu])
		pair_up(t, (int)cpu);
}
