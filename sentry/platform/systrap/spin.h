/* Bounded spinning on a hand-over word (see spin.c). */
#ifndef GARRISON_SENTRY_PLATFORM_SYSTRAP_SPIN_H
#define GARRISON_SENTRY_PLATFORM_SYSTRAP_SPIN_H

#include "common/base.h"

/* Waits a short while for *word == value: true if it came. *score is the caller's memory of
 * how well spinning went; 0 at first. */
bool spin_for(const uint32_t *word, uint32_t value, uint32_t *score) MUST_CHECK;
/* How long a stub should spin, in looks at its word. */
uint32_t spin_stub(uint32_t score);

#endif
