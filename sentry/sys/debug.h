/* Looking inside: `garrison debug` and what a panic adds. */
#ifndef GARRISON_SENTRY_SYS_DEBUG_H
#define GARRISON_SENTRY_SYS_DEBUG_H

struct container;

/* A report on every task of the container, owned by the caller; NULL: out of memory. */
char *debug_report(struct container *c);
/* For panic_set_hook: the last syscalls of the task whose thread panics. */
void debug_panic_hook(void);

#endif
