/* epoll(7): level, edge, one-shot, exclusive, nested, closed files, errors. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static int ctl(int ep, int op, int fd, unsigned int events, unsigned long data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	return epoll_ctl(ep, op, fd, &ev);
}

static void wait_show(const char *what, int ep, int max, int ms)
{
	struct epoll_event ev[16];
	unsigned long all = 0;
	int n = epoll_wait(ep, ev, max, ms);

	printf("%s: %d", what, n);
	for (int i = 0; i < n; i++)
		all += ev[i].data.u64;
	if (n > 0)
		printf(" events %#x data sum %lu", ev[0].events, all);
	printf("\n");
}

static void modes(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
	char buf[10];

	pipe2(p, O_NONBLOCK);
	printf("add %s\n", err(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1)));
	wait_show("empty", ep, 4, 0);
	write(p[1], "ab", 2);
	wait_show("level", ep, 4, 0);
	wait_show("level again", ep, 4, 0);
	read(p[0], buf, 10);
	wait_show("drained", ep, 4, 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2);
	write(p[1], "a", 1);
	wait_show("edge", ep, 4, 0);
	wait_show("edge again", ep, 4, 0);
	write(p[1], "b", 1);
	wait_show("edge, more", ep, 4, 0);
	read(p[0], buf, 1);
	wait_show("edge, part read", ep, 4, 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 3);
	wait_show("edge, modified", ep, 4, 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4);
	wait_show("one-shot", ep, 4, 0);
	write(p[1], "c", 1);
	wait_show("spent", ep, 4, 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 5);
	wait_show("armed again", ep, 4, 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLOUT, 6);
	wait_show("wrong direction", ep, 4, 0);
	ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT, 10);
	wait_show("writer", ep, 4, 0);
	close(p[1]);
	wait_show("writer closed: hang-up without asking", ep, 4, 0);
	printf("del %s\n", err(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL)));
	wait_show("deleted", ep, 4, 0);
	close(p[0]);
	close(ep);
}

static void descriptions(void)
{
	int ep = epoll_create(1), fd = eventfd(1, 0), copy = dup(fd);

	ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1);
	printf("dup is another entry %s\n", err(ctl(ep, EPOLL_CTL_ADD, copy, EPOLLIN, 2)));
	wait_show("both", ep, 4, 0);
	close(fd);
	wait_show("closed, but the description lives", ep, 4, 0);
	printf("del by closed fd %s\n", err(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)));
	close(copy);
	wait_show("all closed", ep, 4, 0);
	fd = eventfd(1, 0);
	printf("same number, new file %s\n", err(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 3)));
	wait_show("new", ep, 4, 0);
	close(fd);
	close(ep);
}

static void many(void)
{
	int ep = epoll_create1(0), fds[8];
	struct epoll_event ev[4];
	unsigned int seen = 0;

	for (int i = 0; i < 8; i++) {
		fds[i] = eventfd(1, 0);
		ctl(ep, EPOLL_CTL_ADD, fds[i], EPOLLIN, 1ul << i);
	}
	for (int round = 0; round < 2; round++) {
		int n = epoll_wait(ep, ev, 4, 0);

		for (int i = 0; i < n; i++)
			seen |= ev[i].data.u64;
	}
	printf("fair: all seen in two rounds of four %d\n", seen == 0xff);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	close(ep);
}

static void nested(void)
{
	int ep[7], fd = eventfd(0, 0), i;
	unsigned long one = 1;

	for (i = 0; i < 7; i++)
		ep[i] = epoll_create1(0);
	ctl(ep[0], EPOLL_CTL_ADD, fd, EPOLLIN, 1);
	printf("into itself %s\n", err(ctl(ep[0], EPOLL_CTL_ADD, ep[0], EPOLLIN, 1)));
	for (i = 1; i < 7; i++)
		printf("level %d: %s\n", i, err(ctl(ep[i], EPOLL_CTL_ADD, ep[i - 1], EPOLLIN, 1)));
	printf("loop %s\n", err(ctl(ep[0], EPOLL_CTL_ADD, ep[2], EPOLLIN, 1)));
	wait_show("outer, nothing", ep[3], 4, 0);
	write(fd, &one, 8);
	wait_show("outer", ep[3], 4, 0);
	wait_show("inner", ep[0], 4, 0);
	wait_show("outer again", ep[3], 4, 0);
	read(fd, &one, 8);
	wait_show("outer, drained", ep[3], 4, 0);
	for (i = 0; i < 7; i++)
		close(ep[i]);
	close(fd);
}

static void errors(void)
{
	int ep = epoll_create1(0), fd = eventfd(0, 0), file = open("/proc/self/exe", O_RDONLY);
	int null = open("/dev/null", O_RDWR), ep2 = epoll_create1(0);
	struct epoll_event ev;

	printf("size 0 %s\n", err(epoll_create(0)));
	printf("flags %s\n", err(epoll_create1(1)));
	printf("file %s\n", err(ctl(ep, EPOLL_CTL_ADD, file, EPOLLIN, 0)));
	printf("null %s\n", err(ctl(ep, EPOLL_CTL_ADD, null, EPOLLIN, 0)));
	printf("bad fd %s\n", err(ctl(ep, EPOLL_CTL_ADD, 999, EPOLLIN, 0)));
	printf("bad ep %s\n", err(ctl(999, EPOLL_CTL_ADD, fd, EPOLLIN, 0)));
	printf("not an ep %s\n", err(ctl(fd, EPOLL_CTL_ADD, ep, EPOLLIN, 0)));
	printf("bad op %s\n", err(ctl(ep, 77, fd, EPOLLIN, 0)));
	printf("mod absent %s\n", err(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 0)));
	printf("del absent %s\n", err(ctl(ep, EPOLL_CTL_DEL, fd, EPOLLIN, 0)));
	ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 0);
	printf("add twice %s\n", err(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 0)));
	printf("null event %s\n", err(epoll_ctl(ep, EPOLL_CTL_MOD, fd, NULL)));
	printf("exclusive by mod %s\n",
	       err(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLEXCLUSIVE, 0)));
	printf("exclusive ep %s\n", err(ctl(ep, EPOLL_CTL_ADD, ep2, EPOLLIN | EPOLLEXCLUSIVE, 0)));
	epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
	printf("exclusive one-shot %s\n",
	       err(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 0)));
	printf("exclusive %s\n", err(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, 0)));
	printf("mod of exclusive %s\n", err(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 0)));
	printf("no room %s\n", err(epoll_wait(ep, &ev, 0, 0)));
	printf("wait on a file %s\n", err(epoll_wait(fd, &ev, 1, 0)));
	printf("wait on nothing %s\n", err(epoll_wait(999, &ev, 1, 0)));
	printf("read an ep %s\n", err(read(ep, &ev, 1)));
}

static int shared_ep, shared_fd;
static volatile int started, returned, stop;

static void on_signal(int sig)
{
}

static void *waiter(void *arg)
{
	struct epoll_event ev;

	__sync_fetch_and_add(&started, 1);
	while (!stop)
		if (epoll_wait(shared_ep, &ev, 1, 3000) == 1)
			__sync_fetch_and_add(&returned, 1);
	return NULL;
}

static void one_event_wakes_one(void)
{
	unsigned long one = 1;
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t t[4];

	sigaction(SIGUSR1, &sa, NULL);
	shared_ep = epoll_create1(0);
	shared_fd = eventfd(0, 0);
	ctl(shared_ep, EPOLL_CTL_ADD, shared_fd, EPOLLIN | EPOLLET, 1);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	while (started < 4)
		usleep(1000);
	usleep(50000);
	write(shared_fd, &one, 8);
	for (int i = 0; i < 1000 && !returned; i++)
		usleep(2000);
	usleep(50000);
	stop = 1;
	for (int i = 0; i < 4; i++) {
		pthread_kill(t[i], SIGUSR1);
		pthread_join(t[i], NULL);
	}
	printf("edge-triggered, four threads: %d returned\n", returned);
}

static void *write_later(void *arg)
{
	unsigned long one = 1;

	usleep(50000);
	write(*(int *)arg, &one, 8);
	return NULL;
}

static void waiting(void)
{
	int ep = epoll_create1(0), fd = eventfd(0, 0);
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	/* Again and again: the first may come before we wait. */
	struct itimerval again = {{0, 100000}, {0, 100000}}, never = {{0}};
	struct timespec ts = {0, 20000000};
	struct epoll_event ev;
	sigset_t mask, old;
	pthread_t t;

	ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 7);
	pthread_create(&t, NULL, write_later, &fd);
	wait_show("woken", ep, 1, -1);
	pthread_join(t, NULL);
	ctl(ep, EPOLL_CTL_MOD, fd, 0, 7);
	wait_show("timeout", ep, 1, 20);
	printf("pwait2 %ld\n", syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8));
	ts.tv_nsec = -1;
	printf("pwait2 bad time %s\n", err(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8)));
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &again, NULL);
	printf("signal %s\n", err(epoll_wait(ep, &ev, 1, 5000)));
	setitimer(ITIMER_REAL, &never, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_BLOCK, &mask, &old);
	raise(SIGALRM);
	printf("pwait with the signal let through %s\n", err(epoll_pwait(ep, &ev, 1, 1000, &old)));
	raise(SIGALRM);
	printf("pwait with it blocked %d\n", epoll_pwait(ep, &ev, 1, 20, &mask));
	pthread_create(&t, NULL, write_later, &fd);
	usleep(80000);
	ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 8);
	wait_show("modified while ready", ep, 1, 0);
	pthread_join(t, NULL);
}

int main(void)
{
	modes();
	descriptions();
	many();
	nested();
	errors();
	one_event_wakes_one();
	waiting();
	return 0;
}
