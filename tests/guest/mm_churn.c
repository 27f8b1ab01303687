/* Random layout calls over one arena against a model of it: alone, in children, in threads. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096UL
#define N 128

struct arena {
	char *base;
	int prot[N]; /* -1: not mapped */
	unsigned char value[N];
	unsigned int seed;
	int wrong;
};

static unsigned int rnd(struct arena *a, unsigned int n)
{
	a->seed = a->seed * 1103515245 + 12345;
	return (a->seed >> 16) % n;
}

static void check(struct arena *a)
{
	for (int i = 0; i < N; i++) {
		unsigned char v;
		int mapped = mincore(a->base + (long)i * P, P, &v) == 0;

		if (mapped != (a->prot[i] >= 0))
			a->wrong++;
		if (a->prot[i] > 0 && (unsigned char)a->base[(long)i * P] != a->value[i])
			a->wrong++;
	}
}

static void step(struct arena *a)
{
	int from = (int)rnd(a, N), n = 1 + (int)rnd(a, 10), op = (int)rnd(a, 6);
	char *p = a->base + (long)from * P;

	if (from + n > N)
		n = N - from;
	switch (op) {
	case 0:
		if (munmap(p, (size_t)n * P))
			a->wrong++;
		for (int i = from; i < from + n; i++)
			a->prot[i] = -1;
		break;
	case 1:
	case 2:
		if (mmap(p, (size_t)n * P, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
			a->wrong++;
		for (int i = from; i < from + n; i++) {
			a->prot[i] = 3;
			a->value[i] = 0;
		}
		break;
	case 3: {
		int prot = (int)rnd(a, 2) ? PROT_READ | PROT_WRITE : PROT_READ, last = from;

		while (last < from + n && a->prot[last] >= 0)
			last++;
		if ((mprotect(p, (size_t)n * P, prot) == 0) != (last == from + n))
			a->wrong++;
		for (int i = from; i < last; i++)
			a->prot[i] = prot;
		break;
	}
	case 4:
		madvise(p, (size_t)n * P, MADV_DONTNEED);
		for (int i = from; i < from + n; i++)
			a->value[i] = 0;
		break;
	default:
		for (int i = from; i < from + n; i++) {
			if (a->prot[i] == 3) {
				a->value[i] = (unsigned char)rnd(a, 255);
				a->base[(long)i * P] = (char)a->value[i];
			}
		}
	}
}

static void *churn(void *arg)
{
	struct arena *a = arg;

	for (int i = 0; i < 600; i++) {
		step(a);
		if (i % 20 == 0)
			check(a);
	}
	check(a);
	return NULL;
}

static struct arena *arena(unsigned int seed)
{
	struct arena *a = calloc(1, sizeof(*a));

	a->seed = seed;
	a->base =
	    mmap(NULL, (N + 2) * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	a->base += P;
	for (int i = 0; i < N; i++)
		a->prot[i] = 0;
	return a;
}

int main(void)
{
	struct arena *a[3];
	pthread_t t[3];
	int st;

	a[0] = arena(1);
	churn(a[0]);
	printf("alone: %d wrong\n", a[0]->wrong);
	fflush(stdout);
	if (fork() == 0) {
		churn(a[0]);
		printf("in a child: %d wrong\n", a[0]->wrong);
		fflush(stdout);
		_exit(0);
	}
	wait(&st);
	if (vfork() == 0) {
		churn(a[0]);
		_exit(a[0]->wrong);
	}
	wait(&st);
	printf("in vfork's child: %d wrong\n", WEXITSTATUS(st));
	for (int i = 0; i < 3; i++) {
		a[i] = arena((unsigned int)i + 5);
		pthread_create(&t[i], NULL, churn, a[i]);
		pthread_join(t[i], NULL);
	}
	printf("in threads: %d %d %d wrong\n", a[0]->wrong, a[1]->wrong, a[2]->wrong);
	churn(a[0]);
	printf("alone again: %d wrong\n", a[0]->wrong);
	return 0;
}
