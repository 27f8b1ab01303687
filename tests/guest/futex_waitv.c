/* futex_waitv(2) and the futex2 calls; requeue to a PI lock. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (e);                                                                     \
		r_ < 0 ? -(long)errno : r_;                                                        \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

struct wv {
	uint64_t val, addr;
	uint32_t flags, reserved;
};
#define U32 2
#define PRIV 128
#define NR_WAITV 449
#define NR_WAKE 454
#define NR_WAIT 455
#define NR_REQUEUE 456

static uint32_t word[200], ready;
static struct wv w[200];

static long waitv(unsigned int n, unsigned int flags, struct timespec *ts, int clock)
{
	return syscall(NR_WAITV, w, n, flags, ts, clock);
}

static void *wait_three(void *arg)
{
	__atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
	return (void *)R(waitv(3, 0, NULL, 0));
}

static void *wait_one(void *arg)
{
	__atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
	return (void *)R(syscall(NR_WAIT, &word[0], 0L, (long)(uintptr_t)arg, U32 | PRIV, NULL, 0));
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	__atomic_store_n(&ready, 0, __ATOMIC_SEQ_CST);
	pthread_create(&t, NULL, fn, arg);
	while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(40000);
	return t;
}

static void init(uint32_t flags)
{
	for (int i = 0; i < 200; i++)
		w[i] = (struct wv){0, (uintptr_t)&word[i], flags, 0};
}

static void errors(void)
{
	struct timespec ts, bad = {0, -1};

	clock_gettime(CLOCK_MONOTONIC, &ts);
	init(U32 | PRIV);
	SHOW(waitv(0, 0, NULL, 0));
	SHOW(waitv(129, 0, NULL, 0));
	SHOW(waitv(2, 1, NULL, 0));
	SHOW(waitv(2, 0, &bad, CLOCK_MONOTONIC));
	SHOW(waitv(2, 0, &ts, 7));
	SHOW(waitv(2, 0, &ts, CLOCK_MONOTONIC));
	SHOW(waitv(2, 0, &ts, CLOCK_REALTIME));
	w[1].val = 1;
	SHOW(waitv(2, 0, NULL, 0));
	w[1].val = 0, w[1].reserved = 1;
	SHOW(waitv(2, 0, NULL, 0));
	w[1].reserved = 0, w[1].flags = 3;
	SHOW(waitv(2, 0, NULL, 0));
	w[1].flags = U32, w[1].addr = 8;
	SHOW(waitv(2, 0, NULL, 0));
	w[1].addr = (uintptr_t)&word[1] + 1;
	SHOW(waitv(2, 0, NULL, 0));
	SHOW(syscall(NR_WAIT, &word[0], 1L, ~0u, U32 | PRIV, NULL, 0));
	SHOW(syscall(NR_WAIT, &word[0], 0L, 0L, U32 | PRIV, NULL, 0));
	SHOW(syscall(NR_WAIT, &word[0], 0L, 1L, PRIV, NULL, 0));
	SHOW(syscall(NR_WAIT, &word[0], 0L, 1L, U32 | PRIV, &ts, CLOCK_MONOTONIC));
	SHOW(syscall(NR_WAKE, &word[0], 1L, 0, U32 | PRIV));
	SHOW(syscall(NR_WAKE, &word[0], 0L, 1, U32 | PRIV));
	SHOW(syscall(NR_WAKE, &word[0], 1L, 1, 0));
}

static void waking(void)
{
	pthread_t t;
	void *r;

	for (int i = 0; i < 3; i++) {
		init(U32 | (i == 2 ? 0 : PRIV));
		t = start(wait_three, NULL);
		SHOW(syscall(NR_WAKE, &word[i], ~0u, 5, i == 2 ? U32 : U32 | PRIV));
		pthread_join(t, &r);
		printf("woken by %ld\n", (long)r);
	}
	t = start(wait_one, (void *)4);
	SHOW(syscall(NR_WAKE, &word[0], 3L, 5, U32 | PRIV));
	init(U32 | PRIV);
	SHOW(syscall(NR_REQUEUE, w, 0, 0, 5));
	SHOW(syscall(NR_WAKE, &word[0], 4L, 5, U32 | PRIV));
	SHOW(syscall(NR_WAKE, &word[1], 4L, 5, U32 | PRIV));
	pthread_join(t, &r);
	printf("result %ld\n", (long)r);
}

/* FUTEX_WAIT_REQUEUE_PI: the waiter comes back as the owner of the lock. */
static uint32_t cond, lock;
static long outcome[3];

static void *requeued(void *arg)
{
	__atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
	long r = R(syscall(SYS_futex, &cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &lock, 0));
	int mine = (lock & FUTEX_TID_MASK) == (uint32_t)gettid();
	long u = R(syscall(SYS_futex, &lock, FUTEX_UNLOCK_PI_PRIVATE));

	outcome[0] = r, outcome[1] = mine, outcome[2] = u;
	return NULL;
}

static void requeue_pi(int held)
{
	pthread_t t = start(requeued, NULL);

	if (held)
		SHOW(syscall(SYS_futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	SHOW(syscall(SYS_futex, &cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0L, &lock, 1));
	SHOW(syscall(SYS_futex, &cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0L, &lock, 0));
	if (held) {
		printf("waiters bit %d\n", (lock & FUTEX_WAITERS) != 0);
		SHOW(syscall(SYS_futex, &lock, FUTEX_UNLOCK_PI_PRIVATE));
	}
	pthread_join(t, NULL);
	printf("requeued %ld mine %ld unlock %ld\n", outcome[0], outcome[1], outcome[2]);
	printf("owner now %d\n", lock & FUTEX_TID_MASK);
}

/* The owner of a PI lock without a robust list ends: its waiter gets the lock. */
static void *owner(void *arg)
{
	syscall(SYS_set_robust_list, NULL, 24);
	printf("owner: %ld\n", R(syscall(SYS_futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL)));
	__atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
	usleep(150000);
	return NULL;
}

static void owner_dies(void)
{
	pthread_t t = start(owner, NULL);

	SHOW(syscall(SYS_futex, &lock, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL));
	SHOW(syscall(SYS_futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	printf("mine %d died %d\n", (lock & FUTEX_TID_MASK) == (uint32_t)gettid(),
	       (lock & FUTEX_OWNER_DIED) != 0);
	SHOW(syscall(SYS_futex, &lock, FUTEX_UNLOCK_PI_PRIVATE));
	pthread_join(t, NULL);
	lock = 0x3ffffff0; /* nobody */
	SHOW(syscall(SYS_futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
}

int main(void)
{
	alarm(20);
	setvbuf(stdout, NULL, _IOLBF, 0);
	errors();
	waking();
	requeue_pi(0);
	requeue_pi(1);
	owner_dies();
	return 0;
}
