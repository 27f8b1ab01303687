/* Host threads, futexes and epoll for the sentry, as -errno wrappers (see host.h). */
#ifndef GARRISON_COMMON_HOST_THREAD_H
#define GARRISON_COMMON_HOST_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "common/base.h"

/* Starts a detached helper thread with all signals blocked and a small stack (128 KiB).
 * `name` (at most 15 bytes, borrowed for ever) is what the host shows. */
MUST_CHECK int host_thread_start(const char *name, void *(*fn)(void *), void *arg);
/* The same with a stack of `stack` bytes; *thread names it. */
MUST_CHECK int host_thread_start_stack(const char *name, void *(*fn)(void *), void *arg,
				       size_t stack, pthread_t *thread);

/* Sleeps while *word == expect, until `deadline` (CLOCK_MONOTONIC ns, UINT64_MAX: for ever):
 * 0, -EAGAIN (the word differed), -EINTR, -ETIMEDOUT. Private to this process. */
int host_futex_wait(atomic_uint *word, unsigned int expect, uint64_t deadline);
void host_futex_wake(atomic_uint *word, int n);

MUST_CHECK int host_epoll_create(void);
int host_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
MUST_CHECK int host_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);

#endif
