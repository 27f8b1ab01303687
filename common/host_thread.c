#include "common/host_thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"

#define HELPER_STACK (128 * 1024)

struct start {
	const char *name;
	void *(*fn)(void *);
	void *arg;
};

static void *run(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	prctl(PR_SET_NAME, s.name, 0, 0, 0);
	return s.fn(s.arg);
}

int host_thread_start(const char *name, void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	return host_thread_start_stack(name, fn, arg, HELPER_STACK, &thread);
}

/* What libc does to start a thread is tagged in host_libc.c. Its name:
 * #host: prctl[0&0xffffffff=15] sentry gofer
 */
int host_thread_start_stack(const char *name, void *(*fn)(void *), void *arg, size_t stack,
			    pthread_t *thread)
{
	static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
	struct start *start = xmalloc(sizeof(*start));
	pthread_attr_t attr;
	sigset_t all, old;
	int err;

	*start = (struct start){.name = name, .fn = fn, .arg = arg};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, stack);
	sigfillset(&all);
	/* Faults and forbidden calls are ours: a blocked one would kill without a word. */
	for (size_t i = 0; i < ARRAY_SIZE(synchronous); i++)
		sigdelset(&all, synchronous[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, &attr, run, start);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		free(start);
	return -err;
}

/* #host: futex sentry */
int host_futex_wait(atomic_uint *word, unsigned int expect, uint64_t deadline)
{
	struct timespec ts = {
	    .tv_sec = (time_t)(deadline / NSEC_PER_SEC),
	    .tv_nsec = (long)(deadline % NSEC_PER_SEC),
	};
	long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expect,
			 deadline == UINT64_MAX ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);

	return r < 0 ? -errno : 0;
}

void host_futex_wake(atomic_uint *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
}

/* #host: epoll_create1 sentry */
int host_epoll_create(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* #host: epoll_ctl sentry */
int host_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return epoll_ctl(epfd, op, fd, event) < 0 ? -errno : 0;
}

/* #host: epoll_wait sentry */
int host_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	int n = epoll_wait(epfd, events, max, timeout_ms);

	return n < 0 ? -errno : n;
}
