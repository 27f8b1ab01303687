/*
 * Threads and vfork children one after another: each must start from what its creator has, not
 * from what an earlier thread left behind (host threads may be used again).
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xmmintrin.h>

static __thread int own = 17;
static int faults;

struct seen {
	int own, altstack, blocked, policy, slow_clock, slow_usage;
	unsigned int mxcsr;
	double xmm;
};

static int get_policy(void)
{
	int mode = -1;

	syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0);
	return mode;
}

static void look(struct seen *s)
{
	struct timespec ts;
	struct rusage u;
	stack_t ss;
	sigset_t set;

	sigaltstack(NULL, &ss);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	getrusage(RUSAGE_THREAD, &u);
	s->own = own;
	s->altstack = ss.ss_flags;
	s->blocked = sigismember(&set, SIGUSR1) * 2 + sigismember(&set, SIGUSR2);
	s->policy = get_policy();
	s->slow_clock = ts.tv_sec || ts.tv_nsec > 250000000;
	s->slow_usage = u.ru_utime.tv_sec + u.ru_stime.tv_sec || u.ru_utime.tv_usec > 250000 ||
			u.ru_stime.tv_usec > 250000;
	s->mxcsr = _mm_getcsr() & 0xffc0;
}

static void burn(int ms)
{
	struct timespec ts;

	do {
		for (volatile int i = 0; i < 1000; i++)
			;
		getppid();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	} while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < ms);
}

/* Leaves everything different. */
static void *litter(void *arg)
{
	static char stack[65536];
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigset_t set;
	uint64_t node = 1;

	own = 4711;
	sigaltstack(&ss, NULL);
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	syscall(SYS_set_mempolicy, MPOL_BIND, &node, 64);
	_mm_setcsr(0x1f80 | 0x6000 | 0x8000);
	if (arg)
		burn(400);
	return NULL;
}

static void *fresh(void *arg)
{
	look(arg);
	return NULL;
}

static void print(const char *what, const struct seen *s)
{
	printf("%s: own %d altstack %d blocked %d policy %d mxcsr %#x clock %d usage %d\n", what,
	       s->own, s->altstack, s->blocked, s->policy, s->mxcsr, s->slow_clock, s->slow_usage);
}

static void run(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg) || pthread_join(t, NULL))
		printf("no thread: %s\n", strerror(errno));
}

static void after_litter(void)
{
	struct seen s;

	run(litter, "burn");
	run(fresh, &s);
	print("after a thread that left its mark", &s);
	for (int i = 0; i < 5; i++)
		run(litter, NULL);
	run(fresh, &s);
	print("after five", &s);
}

static void from_changed_creator(void)
{
	struct seen s;
	uint64_t node = 1;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &node, 64);
	_mm_setcsr(0x1f80 | 0x2000);
	run(fresh, &s);
	print("of a creator with marks of its own", &s);
	_mm_setcsr(0x1f80);
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	sigemptyset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

/* Many at once, of which each ends while others begin. */
static void *nested(void *arg)
{
	long depth = (long)arg;

	own = (int)depth;
	if (depth > 0) {
		pthread_t a, b;

		pthread_create(&a, NULL, nested, (void *)(depth - 1));
		pthread_create(&b, NULL, nested, (void *)(depth - 1));
		pthread_join(a, NULL);
		pthread_join(b, NULL);
	}
	if (own != depth)
		__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void on_signal(int sig)
{
}

/* Interrupts that come while their thread ends must not hurt the next one. */
static void *short_lived(void *arg)
{
	own++;
	if (own != 18)
		__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void signalled(void)
{
	signal(SIGUSR2, on_signal);
	for (int i = 0; i < 200; i++) {
		pthread_t t;

		pthread_create(&t, NULL, short_lived, NULL);
		pthread_kill(t, SIGUSR2);
		pthread_join(t, NULL);
	}
}

static void vforks(void)
{
	int bad = 0;

	for (int i = 0; i < 30; i++) {
		int status = -1;
		pid_t pid = vfork();

		if (pid == 0) {
			if (i % 2)
				_exit(i);
			execl("/proc/self/exe", "proc_threads", "child", NULL);
			_exit(99);
		}
		waitpid(pid, &status, 0);
		bad += status != (i % 2 ? i << 8 : 33 << 8);
	}
	printf("vfork children with a wrong status: %d\n", bad);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 33;
	after_litter();
	from_changed_creator();
	for (int i = 0; i < 5; i++)
		nested((void *)4L);
	own = 17;
	signalled();
	printf("threads with strange memory: %d\n", faults);
	vforks();
	return 0;
}
