/* Many writers and readers on one pipe, rings of pipes between processes, splices in between:
 * every byte arrives once. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define RECORDS 2000

struct record {
	uint32_t writer, number, check, fill;
};

static int shared[2];
static uint32_t counts[THREADS], bad;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *writer(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < RECORDS; i++) {
		struct record r = {me, i, me * 31 + i, ~i};

		if (write(shared[1], &r, sizeof(r)) != sizeof(r))
			bad++;
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct record r;
	ssize_t n;

	while ((n = read(shared[0], &r, sizeof(r))) > 0) {
		pthread_mutex_lock(&lock);
		if (n != sizeof(r) || r.check != r.writer * 31 + r.number || r.fill != ~r.number)
			bad++;
		else
			counts[r.writer]++;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void many_to_many(int flags)
{
	pthread_t w[THREADS], r[THREADS];

	bad = 0;
	memset(counts, 0, sizeof(counts));
	pipe2(shared, flags);
	fcntl(shared[1], F_SETPIPE_SZ, 4096);
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_create(&r[i], NULL, reader, NULL);
		pthread_create(&w[i], NULL, writer, (void *)i);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(w[i], NULL);
	close(shared[1]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(r[i], NULL);
	close(shared[0]);
	printf("many to many: bad %u", bad);
	for (int i = 0; i < THREADS; i++)
		printf(" %u", counts[i]);
	printf("\n");
}

/* A chain of processes that pass on what they read, in pieces of their own size. */
static void chain(int links, int by_splice)
{
	int in[2], out[2], first;
	static unsigned char buf[70000];
	unsigned long sum = 0, sent = 0;
	long total = 0, n;

	pipe(in);
	first = in[1];
	for (int i = 0; i < links; i++) {
		pipe(out);
		if (fork() == 0) {
			close(first);
			close(out[0]);
			if (by_splice)
				while (splice(in[0], NULL, out[1], NULL, 1000 + i * 7777, 0) > 0)
					;
			else
				while ((n = read(in[0], buf, 500 + i * 3001)) > 0)
					if (write(out[1], buf, n) != n)
						_exit(1);
			_exit(0);
		}
		close(in[0]);
		close(out[1]);
		in[0] = out[0];
	}
	if (fork() == 0) {
		for (int round = 0; round < 20; round++) {
			for (size_t i = 0; i < sizeof(buf); i++)
				buf[i] = i * 13 + round;
			write(first, buf, sizeof(buf));
		}
		_exit(0);
	}
	close(first);
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < sizeof(buf); i++)
			sent +=
			    (unsigned char)(i * 13 + round) * (1 + (round * sizeof(buf) + i) % 17);
	while ((n = read(in[0], buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i++)
			sum += buf[i] * (1 + (total + i) % 17);
		total += n;
	}
	while (wait(NULL) > 0)
		;
	printf("chain of %d by %s: %ld bytes, right %d\n", links, by_splice ? "splice" : "read",
	       total, sum == sent);
	close(in[0]);
}

/* Non-blocking ends driven by poll. */
static void polled(void)
{
	static char out[3000], in[5000];
	int p[2], sent = 0, got = 0;

	pipe2(p, O_NONBLOCK);
	while (got < 1000000) {
		struct pollfd fds[2] = {{p[0], POLLIN, 0}, {p[1], sent < 1000000 ? POLLOUT : 0, 0}};
		ssize_t n;

		poll(fds, 2, 1000);
		if ((fds[1].revents & POLLOUT) && (n = write(p[1], out, sizeof(out))) > 0)
			sent += n;
		if ((fds[0].revents & POLLIN) && (n = read(p[0], in, sizeof(in))) > 0)
			got += n;
	}
	printf("polled: all %d\n", got == sent || got >= 1000000);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	many_to_many(0);
	many_to_many(O_DIRECT);
	chain(5, 0);
	chain(3, 1);
	polled();
	return 0;
}
