/* poll(2), ppoll(2), select(2), pselect(2): results, timeouts, signals, masks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int p[2];
static volatile int signals;

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void on_signal(int sig)
{
	signals++;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void *write_later(void *arg)
{
	usleep(50000);
	write(p[1], "x", 1);
	return NULL;
}

static volatile int came_back;

/* Until it has interrupted something: the first may come before the other thread sleeps. */
static void *signal_later(void *arg)
{
	while (!came_back) {
		usleep(50000);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	return NULL;
}

static pthread_t signaller;

static void signals_start(void)
{
	static pthread_t self;

	self = pthread_self();
	came_back = 0;
	pthread_create(&signaller, NULL, signal_later, &self);
}

static void signals_stop(void)
{
	came_back = 1;
	pthread_join(signaller, NULL);
}

static void polls(void)
{
	struct pollfd fds[5] = {
	    {.fd = p[0], .events = POLLIN}, {.fd = p[1], .events = POLLOUT},
	    {.fd = -1, .events = POLLIN},   {.fd = 999, .events = POLLIN},
	    {.fd = p[0], .events = 0},
	};
	struct rlimit lim;
	int r = poll(fds, 5, 0);

	printf("poll %d: %#x %#x %#x %#x %#x\n", r, fds[0].revents, fds[1].revents, fds[2].revents,
	       fds[3].revents, fds[4].revents);
	printf("nothing %d\n", poll(NULL, 0, 0));
	printf("bad address %s\n", err(syscall(SYS_poll, 8L, 1L, 0L)));
	getrlimit(RLIMIT_NOFILE, &lim);
	printf("too many %s\n", err(syscall(SYS_poll, fds, lim.rlim_cur + 1, 0)));
	fds[0].fd = open("/dev/null", O_RDWR);
	fds[0].events = POLLIN | POLLOUT;
	fds[1].fd = open("/proc/self/exe", O_RDONLY);
	fds[1].events = POLLIN | POLLOUT;
	r = poll(fds, 2, 0);
	printf("null and file %d: %#x %#x\n", r, fds[0].revents, fds[1].revents);
}

static void timeouts(void)
{
	struct pollfd fd = {.fd = p[0], .events = POLLIN};
	struct timespec ts = {0, 60000000};
	struct timeval tv = {0, 60000};
	long start = now_ms(), took;
	fd_set set;
	int r;

	r = poll(&fd, 1, 60);
	took = now_ms() - start;
	printf("timeout %d in time %d\n", r, took >= 60 && took < 5000);
	start = now_ms();
	r = ppoll(&fd, 1, &ts, NULL);
	took = now_ms() - start;
	printf("ppoll %d in time %d, libc keeps the timeout %ld\n", r, took >= 60 && took < 5000,
	       ts.tv_nsec);
	r = syscall(SYS_ppoll, &fd, 1, &ts, NULL, 8);
	printf("raw ppoll %d leaves %ld %ld\n", r, ts.tv_sec, ts.tv_nsec);
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	r = select(p[0] + 1, &set, NULL, NULL, &tv);
	printf("select %d leaves %ld %ld set %d\n", r, tv.tv_sec, tv.tv_usec, FD_ISSET(p[0], &set));
	ts.tv_nsec = 1000000000;
	printf("bad nsec %s\n", err(ppoll(&fd, 1, &ts, NULL)));
	ts.tv_nsec = -1;
	printf("negative nsec %s\n", err(syscall(SYS_ppoll, &fd, 1, &ts, NULL, 8)));
	tv.tv_sec = -1;
	printf("negative select %s\n", err(select(0, NULL, NULL, NULL, &tv)));
	printf("bad mask size %s\n", err(syscall(SYS_ppoll, &fd, 1, NULL, &set, 4)));
}

static void wake_ups(void)
{
	struct pollfd fd = {.fd = p[0], .events = POLLIN};
	pthread_t t;
	fd_set set;
	char c;
	int r;

	pthread_create(&t, NULL, write_later, NULL);
	r = poll(&fd, 1, -1);
	printf("woken %d %#x\n", r, fd.revents);
	pthread_join(t, NULL);
	read(p[0], &c, 1);
	pthread_create(&t, NULL, write_later, NULL);
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	r = select(p[0] + 1, &set, NULL, NULL, NULL);
	printf("select woken %d %d\n", r, FD_ISSET(p[0], &set));
	pthread_join(t, NULL);
	read(p[0], &c, 1);
}

static void selects(void)
{
	fd_set in, out, ex;
	int r;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	FD_SET(p[1], &ex);
	write(p[1], "y", 1);
	r = select(p[1] + 1, &in, &out, &ex, NULL);
	printf("select %d: in %d out %d ex %d\n", r, FD_ISSET(p[0], &in), FD_ISSET(p[1], &out),
	       FD_ISSET(p[1], &ex));
	read(p[0], &r, 1);
	FD_SET(60, &in);
	printf("closed fd %s\n", err(select(61, &in, NULL, NULL, NULL)));
	printf("still set %d\n", FD_ISSET(60, &in));
	printf("negative n %s\n", err(select(-1, &in, NULL, NULL, NULL)));
	printf("bad address %s\n", err(select(10, (void *)8, NULL, NULL, NULL)));
}

static void interrupted(int restart)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
	struct pollfd fd = {.fd = p[0], .events = POLLIN};
	struct timespec ts = {5, 0};
	struct timeval tv = {5, 0};
	fd_set set;
	int r;

	sigaction(SIGUSR1, &sa, NULL);
	signals_start();
	r = poll(&fd, 1, 5000);
	printf("restart %d: poll %s", restart, err(r));
	signals_stop();
	signals_start();
	r = ppoll(&fd, 1, &ts, NULL);
	printf(" ppoll %s", err(r));
	signals_stop();
	signals_start();
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	r = select(p[0] + 1, &set, NULL, NULL, &tv);
	printf(" select %s\n", err(r));
	signals_stop();
}

static void masks(void)
{
	struct timespec none = {0, 0}, some = {1, 0};
	sigset_t block, empty, now;
	struct pollfd fd = {.fd = p[0], .events = POLLIN};
	int r;

	sigemptyset(&empty);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGUSR1);
	signals = 0;
	r = poll(&fd, 1, 0);
	printf("blocked: poll %d, signals %d\n", r, signals);
	r = ppoll(&fd, 1, &some, &empty);
	printf("unblocked for ppoll: %s, signals %d\n", err(r), signals);
	sigprocmask(SIG_BLOCK, NULL, &now);
	printf("mask restored %d\n", sigismember(&now, SIGUSR1));
	raise(SIGUSR1);
	r = pselect(0, NULL, NULL, NULL, &some, &empty);
	printf("pselect: %s, signals %d\n", err(r), signals);
	raise(SIGUSR1);
	r = ppoll(&fd, 1, &none, &empty);
	printf("ppoll without waiting: %d %s, signals %d\n", r, err(r), signals);
	write(p[1], "z", 1);
	raise(SIGUSR1);
	r = ppoll(&fd, 1, &some, &empty);
	printf("ready and signal: %d, signals %d\n", r, signals);
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	printf("signals %d\n", signals);
	read(p[0], &r, 1);
}

static void job_stop(void)
{
	struct pollfd fd = {.fd = p[0], .events = POLLIN};
	long start;
	pid_t pid;
	int r;

	pid = fork();
	if (pid == 0) {
		usleep(50000);
		kill(getppid(), SIGSTOP);
		usleep(50000);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	start = now_ms();
	r = poll(&fd, 1, 200);
	printf("stopped and continued: %s after at least 200 ms %d\n", r == 0 ? "timeout" : err(r),
	       now_ms() - start >= 200);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pipe(p);
	polls();
	timeouts();
	wake_ups();
	selects();
	interrupted(0);
	interrupted(1);
	masks();
	job_stop();
	return 0;
}
