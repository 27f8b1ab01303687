/* Where the two threads of a guest thread run, and how they wait for each other (see place.c). */
#ifndef GARRISON_SENTRY_PLATFORM_PLACE_H
#define GARRISON_SENTRY_PLATFORM_PLACE_H

#include "common/base.h"

struct pf_thread;

enum place_mode { PLACE_FREE, PLACE_PAIR, PLACE_SPIN };

/* In struct pf_thread; its driver's. */
struct place {
	enum place_mode mode;
	bool active;	       /* counted as wanting a CPU */
	bool token;	       /* counted as a spinner */
	int cpu;	       /* PAIR: where both are pinned */
	uint32_t short_rounds; /* in a row */
	uint64_t paired_at;    /* cycles */
	uint64_t run_at;
};

void place_init(void);
/* The calling thread begins to drive t. */
void place_attach(struct pf_thread *t);
/* `child` was made by `parent`'s stub, whose pinning it inherits. */
void place_inherit(struct pf_thread *child, const struct pf_thread *parent);
/* t's driver will not run it any more. */
void place_leave(struct pf_thread *t);

/* Before guest code runs: decides how. The stub's share of spinning, in looks at its word. */
uint32_t place_before(struct pf_thread *t);
/* Waits for *word == value for as long as spinning is right. True: it came. */
bool place_spin(struct pf_thread *t, const uint32_t *word, uint32_t value) MUST_CHECK;
/* The driver sleeps; how long until place_overdue must be called, in ms (-1: never). */
int place_timeout(const struct pf_thread *t);
void place_overdue(struct pf_thread *t);
/* After an event. The stub says on which CPU it ran, and for how long. */
void place_after(struct pf_thread *t, uint32_t cpu, uint64_t guest_cycles);

#endif
