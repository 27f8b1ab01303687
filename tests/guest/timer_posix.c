/* Clocks, sleeping, itimers, POSIX timers. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static volatile int count, code, value, overrun, last_tid;

static void note(int sig, siginfo_t *si, void *uc)
{
	count++;
	code = si->si_code;
	value = si->si_value.sival_int;
	overrun = si->si_overrun;
	last_tid = gettid();
}

static void handle(int sig)
{
	struct sigaction sa = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};

	sigaction(sig, &sa, NULL);
}

static long ms_since(struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000;
}

static void clocks(void)
{
	const int ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 16};
	struct timespec ts, a, b;
	clockid_t id;

	for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		printf("clock %d: %s\n", ids[i], err(syscall(SYS_clock_gettime, ids[i], &ts)));
	printf("set %s\n", err(clock_settime(CLOCK_MONOTONIC, &ts)));
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &a);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("vDSO and syscall agree: %d\n", b.tv_sec - a.tv_sec <= 1 && b.tv_sec >= a.tv_sec);
	printf("cpu clock of self %d", clock_getcpuclockid(0, &id));
	printf(" %s\n", err(clock_gettime(id, &ts)));
	printf("of nobody %s\n", strerrorname_np(clock_getcpuclockid(999999, &id)));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (volatile int i = 0; i < 50000000; i++)
		;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	printf("CPU time grows: %d\n",
	       (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec > 1000000);
	struct tms tms;
	printf("times %d\n", times(&tms) > 0);
}

static void sleeps(void)
{
	struct timespec start, ts = {0, 30000000}, abs;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &start);
	nanosleep(&ts, NULL);
	ms = ms_since(&start);
	printf("nanosleep 30 ms: %d\n", ms >= 30 && ms < 5000);
	clock_gettime(CLOCK_REALTIME, &abs);
	abs.tv_nsec += 30000000;
	if (abs.tv_nsec >= 1000000000)
		abs.tv_sec++, abs.tv_nsec -= 1000000000;
	clock_gettime(CLOCK_MONOTONIC, &start);
	printf("absolute %d", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &abs, NULL));
	ms = ms_since(&start);
	printf(" %d\n", ms >= 28 && ms < 5000);
	printf("past %d\n",
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL));
	ts.tv_nsec = 1000000000;
	printf("bad nsec %s\n", err(nanosleep(&ts, NULL)));
	ts = (struct timespec){-1, 0};
	printf("negative %s\n", err(nanosleep(&ts, NULL)));
	printf("NULL %s\n", err(syscall(SYS_nanosleep, NULL, NULL)));
	ts = (struct timespec){0, 1};
	printf("thread clock %s\n",
	       strerrorname_np(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL)));
	printf("coarse %s\n",
	       strerrorname_np(clock_nanosleep(CLOCK_MONOTONIC_COARSE, 0, &ts, NULL)));
}

static void itimers(void)
{
	struct itimerval it = {.it_value.tv_usec = 20000}, now;

	handle(SIGALRM);
	count = 0;
	printf("setitimer %s", err(setitimer(ITIMER_REAL, &it, NULL)));
	getitimer(ITIMER_REAL, &now);
	printf(" left %d\n", now.it_value.tv_usec > 0 && now.it_value.tv_usec <= 20000);
	pause();
	printf("SIGALRM %d code %d\n", count, code);
	getitimer(ITIMER_REAL, &now);
	printf("over %d\n", now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0);
	it.it_interval.tv_usec = 10000;
	setitimer(ITIMER_REAL, &it, NULL);
	count = 0;
	while (count < 5)
		pause();
	printf("periodic %d\n", count);
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, &now);
	printf("interval %ld\n", (long)now.it_interval.tv_usec);
	printf("alarm %u", alarm(10));
	printf(" %u", alarm(5));
	printf(" %u\n", alarm(0));
	it.it_value.tv_usec = 1000000;
	printf("bad usec %s\n", err(setitimer(ITIMER_REAL, &it, NULL)));
	printf("bad which %s\n", err(setitimer(9, &now, NULL)));
	handle(SIGVTALRM);
	handle(SIGPROF);
	for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
		it = (struct itimerval){.it_value.tv_usec = 30000};
		count = 0;
		setitimer(which, &it, NULL);
		while (!count)
			;
		printf("CPU timer %d: %d\n", which, count);
	}
	alarm(1);
	pid_t p = fork();
	if (p == 0)
		_exit((int)alarm(0));
	int status;
	waitpid(p, &status, 0);
	printf("not inherited: %d\n", WEXITSTATUS(status));
	alarm(0);
}

static void *other(void *arg)
{
	*(volatile int *)arg = gettid();
	for (int i = 0; i < 200 && !count; i++)
		usleep(5000);
	return NULL;
}

static int create(int clock, int how, int sig, int val, int tid, int *id)
{
	struct sigevent ev = {.sigev_notify = how, .sigev_signo = sig};

	ev.sigev_value.sival_int = val;
	ev._sigev_un._tid = tid;
	return (int)syscall(SYS_timer_create, clock, &ev, id);
}

static void posix(void)
{
	struct itimerspec it = {.it_value.tv_nsec = 20000000}, now;
	int id, tid = 0;
	pthread_t t;
	sigset_t set;

	handle(SIGRTMIN + 2);
	count = 0;
	printf("create %s\n", err(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 2, 42, 0, &id)));
	printf("set %s\n", err(syscall(SYS_timer_settime, id, 0, &it, NULL)));
	pause();
	printf("fired %d code %d value %d overrun %d\n", count, code, value, overrun);
	syscall(SYS_timer_gettime, id, &now);
	printf("over %d\n", now.it_value.tv_nsec == 0 && now.it_value.tv_sec == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	it.it_interval.tv_nsec = 10000000;
	count = 0;
	syscall(SYS_timer_settime, id, 0, &it, NULL);
	usleep(105000);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	printf("blocked: one %d with overruns %d same %d\n", count, overrun >= 5 && overrun <= 9,
	       syscall(SYS_timer_getoverrun, id) == overrun);
	count = 0;
	while (count < 3)
		pause();
	printf("periodic %d\n", count);
	printf("delete %s", err(syscall(SYS_timer_delete, id)));
	printf(" again %s\n", err(syscall(SYS_timer_delete, id)));
	count = 0;
	pthread_create(&t, NULL, other, &tid);
	while (!*(volatile int *)&tid)
		;
	printf("for a thread %s\n",
	       err(create(CLOCK_REALTIME, SIGEV_THREAD_ID, SIGRTMIN + 2, 1, tid, &id)));
	count = 0;
	it.it_interval.tv_nsec = 0;
	syscall(SYS_timer_settime, id, 0, &it, NULL);
	pthread_join(t, NULL);
	printf("in that thread %d\n", last_tid == tid);
	syscall(SYS_timer_delete, id);
	printf("bad clock %s\n", err(create(99, SIGEV_SIGNAL, 10, 0, 0, &id)));
	printf("bad signal %s\n", err(create(1, SIGEV_SIGNAL, 100, 0, 0, &id)));
	printf("bad notify %s\n", err(create(1, 77, 10, 0, 0, &id)));
	printf("bad thread %s\n", err(create(1, SIGEV_THREAD_ID, 10, 0, 999999, &id)));
	printf("bad id %s\n", err(syscall(SYS_timer_gettime, 12345, &now)));
	printf("none %s", err(create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0, &id)));
	it.it_value.tv_sec = 100;
	syscall(SYS_timer_settime, id, 0, &it, NULL);
	syscall(SYS_timer_gettime, id, &now);
	printf(" left %d\n", now.it_value.tv_sec == 100 || now.it_value.tv_sec == 99);
	handle(SIGUSR1);
	printf("cpu timer %s\n",
	       err(create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, 5, 0, &id)));
	it = (struct itimerspec){.it_value.tv_nsec = 30000000};
	count = 0;
	syscall(SYS_timer_settime, id, 0, &it, NULL);
	while (!count)
		;
	printf("fired %d value %d\n", count, value);
	it.it_value.tv_nsec = -1;
	printf("bad time %s\n", err(syscall(SYS_timer_settime, id, 0, &it, NULL)));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	clocks();
	sleeps();
	posix();
	itimers();
	return 0;
}
