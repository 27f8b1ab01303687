/* Where the two threads of a guest thread run, and how they wait for each other (see place.c). */
#ifndef GARRISON_SENTRY_PLATFORM_PLACE_H
#define GARRISON_SENTRY_PLATFORM_PLACE_H

#include <stdatomic.h>

#include "common/list.h"

struct pf_thread;

enum place_mode { PLACE_FREE, PLACE_PAIR, PLACE_SPIN };

/* In struct pf_thread; its driver's. */
struct place {
	enum place_mode mode;
	bool active;  /* counted as wanting a CPU */
	bool token;   /* counted as a spinner */
	bool missed;  /* spun in vain since the last event */
	int cpu;      /* PAIR: where both are pinned; SPIN: the driver */
	int stub_cpu; /* where the stub is pinned, or -1 */

	uint32_t short_rounds; /* in a row: worth a pair */
	uint32_t quick_rounds; /* less many for each that was not: worth spinning */
	uint32_t misses;       /* SPIN: grows by many when the other side slept */
	uint32_t spin_rounds;  /* quick rounds before spinning is tried (again) */
	uint32_t pulls;	       /* short bursts in a row that a thread on another CPU began */
	/* The keeper's: since when guest code runs (cycles, 0: it does not), and whether the keeper
	 * has let the stub go. */
	atomic_ulong running_since;
	atomic_bool released;
	struct list node; /* guarded by the keeper's lock */
	/* cycles */
	uint64_t stop_cycles; /* how long the last stop took; 0: the task slept */
	uint64_t paired_at, stopped_at, woken_at, crowded_at, no_pull_until;
};

void place_init(void);
/* The calling thread begins to drive t. */
void place_attach(struct pf_thread *t);
/* `child` is to run where `parent` does; its stub_cpu is the caller's business. */
void place_inherit(struct pf_thread *child, const struct pf_thread *parent);
/* t's driver will not run it any more. */
void place_leave(struct pf_thread *t);

/* Before guest code runs: decides how. The stub's share of spinning, in looks at its word. */
uint32_t place_before(struct pf_thread *t);
/* Waits for *word == value for as long as spinning is right. True: it came. */
bool place_spin(struct pf_thread *t, const uint32_t *word, uint32_t value) MUST_CHECK;
/* t is about to be told to ask: with two CPUs that takes several slow wake-ups. */
void place_ask(struct pf_thread *t);
/* After an event. The stub says on which CPU it ran, and for how long. */
void place_after(struct pf_thread *t, uint32_t cpu, uint64_t guest_cycles);

#endif
