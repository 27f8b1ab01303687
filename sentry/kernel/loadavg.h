/* The load average of a container (proc_loadavg(5), getloadavg(3)). */
#ifndef GARRISON_SENTRY_KERNEL_LOADAVG_H
#define GARRISON_SENTRY_KERNEL_LOADAVG_H

#include <stdatomic.h>

#include "sentry/core/timer.h"
#include "sentry/locks.h"

#define LOAD_SHIFT 16 /* the averages are in 1/65536, as sysinfo(2) has them */

struct container;

struct loadavg {
	struct mutex lock; /* RANK_OBJECT */
	struct ktimer timer;
	atomic_ullong dead_ns; /* run by tasks that are gone */
	atomic_ullong rests;   /* 0: the timer is armed; else when the last sample was, ns */
	/* guarded by lock */
	uint64_t sampled, ran; /* when, and how much had run until then, ns */
	unsigned long load[3]; /* over 1, 5 and 15 minutes */
};

void loadavg_init(struct container *c);
void loadavg_fini(struct container *c);
/* A task of it has woken up. Cheap; no locks held. */
void loadavg_woken(struct container *c);
/* A task's life is over: it ran that long. Any lock. */
void loadavg_account(struct container *c, uint64_t ns);
/* No locks held. */
void loadavg_get(struct container *c, unsigned long load[3]);

#endif
