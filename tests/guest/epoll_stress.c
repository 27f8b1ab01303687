/* epoll under load: edge-triggered readers in several threads, one-shot hand-over, watches that
 * come and go while events arrive. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PIPES 8
#define BYTES 3000
#define THREADS 3

static int ep, pipes[PIPES][2];
static atomic_long got;
static atomic_int done, overlaps, busy[PIPES];

static void *feeder(void *arg)
{
	long base = (long)arg;

	for (int i = 0; i < BYTES; i++)
		for (int k = 0; k < PIPES / 2; k++)
			while (write(pipes[base + k][1], "x", 1) != 1)
				usleep(100);
	return NULL;
}

static void *edge_reader(void *arg)
{
	struct epoll_event ev[4];
	char buf[100];

	while (atomic_load(&got) < (long)PIPES * BYTES) {
		int n = epoll_wait(ep, ev, 4, 100);

		for (int i = 0; i < n; i++) {
			ssize_t r;

			while ((r = read(ev[i].data.fd, buf, sizeof(buf))) > 0)
				atomic_fetch_add(&got, r);
		}
	}
	return NULL;
}

/* EPOLLONESHOT: never two threads on one file. */
static void *oneshot_reader(void *arg)
{
	struct epoll_event ev;
	char buf[100];

	while (atomic_load(&got) < (long)PIPES * BYTES) {
		uint32_t i;
		ssize_t r;

		if (epoll_wait(ep, &ev, 1, 100) != 1)
			continue;
		i = ev.data.u32;
		if (atomic_exchange(&busy[i], 1))
			atomic_fetch_add(&overlaps, 1);
		r = read(pipes[i][0], buf, sizeof(buf));
		if (r > 0)
			atomic_fetch_add(&got, r);
		atomic_store(&busy[i], 0);
		ev.events = EPOLLIN | EPOLLONESHOT;
		epoll_ctl(ep, EPOLL_CTL_MOD, pipes[i][0], &ev);
	}
	return NULL;
}

static void run(const char *what, uint32_t flags, void *(*reader)(void *))
{
	pthread_t f[2], r[THREADS];

	ep = epoll_create1(0);
	atomic_store(&got, 0);
	for (int i = 0; i < PIPES; i++) {
		struct epoll_event ev = {.events = EPOLLIN | flags};

		pipe2(pipes[i], O_NONBLOCK);
		if (flags & EPOLLET)
			ev.data.fd = pipes[i][0];
		else
			ev.data.u32 = i;
		epoll_ctl(ep, EPOLL_CTL_ADD, pipes[i][0], &ev);
	}
	for (long i = 0; i < THREADS; i++)
		pthread_create(&r[i], NULL, reader, NULL);
	for (long i = 0; i < 2; i++)
		pthread_create(&f[i], NULL, feeder, (void *)(i * PIPES / 2));
	for (int i = 0; i < 2; i++)
		pthread_join(f[i], NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(r[i], NULL);
	printf("%s: %ld bytes, overlaps %d\n", what, atomic_load(&got), atomic_load(&overlaps));
	for (int i = 0; i < PIPES; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	close(ep);
}

static void *churn(void *arg)
{
	while (!atomic_load(&done)) {
		struct epoll_event ev = {.events = EPOLLIN};
		int fd = eventfd(1, EFD_NONBLOCK), inner = epoll_create1(0);

		epoll_ctl(inner, EPOLL_CTL_ADD, fd, &ev);
		epoll_ctl(ep, EPOLL_CTL_ADD, inner, &ev);
		ev.data.u64 = 1;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
		close(fd);
		close(inner);
	}
	return NULL;
}

static void come_and_go(void)
{
	struct epoll_event ev[8];
	pthread_t t[3];
	int n = 0;

	ep = epoll_create1(0);
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, churn, NULL);
	for (int i = 0; i < 2000; i++)
		n += epoll_wait(ep, ev, 8, 1) >= 0;
	atomic_store(&done, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("watches come and go: %d waits, left %d\n", n, epoll_wait(ep, ev, 8, 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	run("edge", EPOLLET, edge_reader);
	run("one-shot", EPOLLONESHOT, oneshot_reader);
	come_and_go();
	return 0;
}
