/* futex(2): results and errors of each operation, alone and between threads. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long fx(uint32_t *u, int op, uint32_t val, const struct timespec *ts, uint32_t *u2,
	       uint32_t val3)
{
	long r = syscall(SYS_futex, u, op, val, ts, u2, val3);

	return r < 0 ? -errno : r;
}

#define SHOW(e) printf("%s = %ld\n", #e, (long)(e))

static uint32_t w1, w2, ready;

struct waiter {
	uint32_t *word;
	uint32_t bitset;
	long result;
	pthread_t t;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	w->result = fx(w->word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, w->bitset);
	return NULL;
}

static void start(struct waiter *w, uint32_t *word, uint32_t bitset)
{
	uint32_t now = ready;

	w->word = word;
	w->bitset = bitset;
	pthread_create(&w->t, NULL, wait_thread, w);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) == now)
		usleep(1000);
	usleep(30000);
}

static void errors(void)
{
	struct timespec bad = {0, 1000000000}, neg = {-1, 0}, little = {0, 1000000};
	uint32_t v = 5;

	SHOW(fx(&v, FUTEX_WAIT, 4, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_WAIT, 5, &little, NULL, 0));
	SHOW(fx(&v, FUTEX_WAIT, 5, &bad, NULL, 0));
	SHOW(fx(&v, FUTEX_WAIT, 5, &neg, NULL, 0));
	SHOW(fx((uint32_t *)((char *)&v + 1), FUTEX_WAIT, 5, NULL, NULL, 0));
	SHOW(fx((uint32_t *)8, FUTEX_WAIT, 5, NULL, NULL, 0));
	SHOW(fx((uint32_t *)0xffffffffffff0000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	SHOW(fx((uint32_t *)8, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(fx((uint32_t *)8, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_WAKE_BITSET, 5, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(fx(&v, 99, 1, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_FD, 1, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_CMP_REQUEUE, 1, (void *)1, &w2, 4));
	SHOW(fx(&v, FUTEX_CMP_REQUEUE, 1, (void *)-1L, &w2, 5));
	SHOW(fx(&v, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &w2, 5));
	SHOW(fx(&v, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	SHOW(fx(&v, FUTEX_WAIT_REQUEUE_PI, 5, NULL, &v, 0));
	SHOW(syscall(SYS_set_robust_list, NULL, 23) < 0 ? -errno : 0);
}

static void bitsets(void)
{
	struct waiter a, b;

	start(&a, &w1, 1);
	start(&b, &w1, 2);
	SHOW(fx(&w1, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 4));
	SHOW(fx(&w1, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2));
	pthread_join(b.t, NULL);
	SHOW(fx(&w1, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
	pthread_join(a.t, NULL);
	SHOW(a.result + b.result);
}

static void requeues(void)
{
	struct waiter a, b, c;

	start(&a, &w1, ~0u);
	start(&b, &w1, ~0u);
	start(&c, &w1, ~0u);
	SHOW(fx(&w1, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &w2, 0));
	SHOW(fx(&w2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
	SHOW(fx(&w1, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
	pthread_join(a.t, NULL);
	pthread_join(b.t, NULL);
	pthread_join(c.t, NULL);
	start(&a, &w1, ~0u);
	start(&b, &w1, ~0u);
	SHOW(fx(&w1, FUTEX_REQUEUE_PRIVATE, 0, (void *)10, &w2, 0));
	SHOW(fx(&w1, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
	SHOW(fx(&w2, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	SHOW(fx(&w2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
	pthread_join(a.t, NULL);
	pthread_join(b.t, NULL);
}

static void wake_ops(void)
{
	struct waiter a, b;
	uint32_t op = FUTEX_OP(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_EQ, 0);

	start(&a, &w1, ~0u);
	start(&b, &w2, ~0u);
	SHOW(fx(&w1, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &w2, op));
	SHOW(w2);
	pthread_join(a.t, NULL);
	pthread_join(b.t, NULL);
	op = FUTEX_OP((FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT), 1, FUTEX_OP_CMP_LT, 7);
	SHOW(fx(&w1, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &w2, op));
	SHOW(w2);
	SHOW(fx(&w1, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &w2, 5u << 28));
	w2 = 0;
}

static void on_usr1(int sig)
{
}

static void *signalled(void *arg)
{
	struct timespec ts = {2, 0};

	ready = 1;
	((long *)arg)[0] = fx(&w1, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	ready = 2;
	((long *)arg)[1] = fx(&w1, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0);
	return NULL;
}

static void interrupt(int flags)
{
	struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = flags};
	long r[2] = {77, 77};
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	ready = 0;
	pthread_create(&t, NULL, signalled, r);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != 1)
		usleep(1000);
	usleep(30000);
	pthread_kill(t, SIGUSR1);
	usleep(30000);
	if (flags & SA_RESTART)
		SHOW(fx(&w1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != 2)
		usleep(1000);
	usleep(30000);
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	printf("interrupted: %ld %ld\n", r[0], r[1]);
}

static void processes(void)
{
	uint32_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid = fork();

	if (!pid) {
		m[1] = 1;
		_exit((int)-fx(m, FUTEX_WAIT, 0, NULL, NULL, 0));
	}
	while (!__atomic_load_n(&m[1], __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(30000);
	printf("private wake finds %ld\n", fx(m, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	printf("shared wake finds %ld\n", fx(m, FUTEX_WAKE, 1, NULL, NULL, 0));
	waitpid(pid, &status, 0);
	printf("child %d\n", WEXITSTATUS(status));
}

static void absolute(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	SHOW(fx(&w1, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, ~0u));
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	SHOW(fx(&w1, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL, ~0u));
}

int main(void)
{
	alarm(20);
	errors();
	bitsets();
	requeues();
	wake_ops();
	interrupt(0);
	interrupt(SA_RESTART);
	processes();
	absolute();
	return 0;
}
