/*
 * Whom the host's out-of-memory killer takes first: guests, never their sentry.
 */
#ifndef GARRISON_SENTRY_CONTROL_OOM_H
#define GARRISON_SENTRY_CONTROL_OOM_H

#include <limits.h>

#define OOM_AS_IT_IS INT_MAX

struct oom {
	int fd;	 /* /proc/self/oom_score_adj; -1: none */
	int own; /* the sentry's */
};

/* While the host's /proc is there: sets the sentry's oom_score_adj to what the configuration
 * wants (or OOM_AS_IT_IS), but so that there is room above it for the stubs'. */
void oom_begin(struct oom *o, int wanted);
/* Around the start of the first stub, which hands its score on to all others: it gets more. */
void oom_raise(const struct oom *o);
void oom_end(struct oom *o);

#endif
