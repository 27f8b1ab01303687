/*
 * Host threads that run tasks. Making a host thread and ending it costs a dozen host calls, so
 * a thread whose task has ended stays for the next one: a few of them, asleep, and not for long.
 */
#ifndef GARRISON_SENTRY_CORE_WORKER_H
#define GARRISON_SENTRY_CORE_WORKER_H

#include "common/base.h"

struct worker;

/* A thread that waits for worker_run, which must follow. -EAGAIN or -ENOMEM: there is none. */
int worker_new(struct worker **out) MUST_CHECK;
/* Lets it run fn(arg), where the caller is pinned. If fn says true, the thread may run something
 * else afterwards; what it left in thread-local variables stays. Takes w. */
void worker_run(struct worker *w, bool (*fn)(void *arg), void *arg);

#endif
