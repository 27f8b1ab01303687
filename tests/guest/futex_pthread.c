/* Mutexes, conditions, barriers and semaphores of libc over futexes: robust, PI, shared. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N 8
#define ROUNDS 4000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *adder(void *arg)
{
	pthread_mutex_t *m = arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(m);
		counter++;
		pthread_mutex_unlock(m);
	}
	return NULL;
}

static void contend(pthread_mutex_t *m, const char *name)
{
	pthread_t t[N];

	counter = 0;
	for (int i = 0; i < N; i++)
		pthread_create(&t[i], NULL, adder, m);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	printf("%s: %ld\n", name, counter);
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;

static void *pinger(void *arg)
{
	int me = *(int *)arg;

	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&cond, &mutex);
		turn = !me;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void ping_pong(void)
{
	static int id[2] = {0, 1};
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, pinger, &id[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	printf("ping-pong done, turn %d\n", turn);
}

static pthread_mutex_t *shared_mutex(int robust, int protocol)
{
	pthread_mutex_t *m =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, robust);
	pthread_mutexattr_setprotocol(&a, protocol);
	printf("init %d\n", pthread_mutex_init(m, &a));
	return m;
}

/* A child dies with the lock while the parent waits, and after. */
static void robust(int protocol)
{
	pthread_mutex_t *m = shared_mutex(PTHREAD_MUTEX_ROBUST, protocol);
	int r;

	for (int late = 0; late < 2; late++) {
		pid_t pid = fork();

		if (!pid) {
			pthread_mutex_lock(m);
			usleep(late ? 0 : 60000);
			_exit(0);
		}
		usleep(30000);
		if (late)
			waitpid(pid, NULL, 0);
		r = pthread_mutex_lock(m);
		printf("owner died: %d\n", r == EOWNERDEAD);
		printf("consistent: %d\n", pthread_mutex_consistent(m));
		printf("unlock: %d\n", pthread_mutex_unlock(m));
		if (!late)
			waitpid(pid, NULL, 0);
	}
	printf("lock again: %d\n", pthread_mutex_lock(m));
	pthread_mutex_unlock(m);
}

static sem_t tried;

static void *pi_timed(void *arg)
{
	struct timespec ts;
	pthread_mutex_t *m = arg;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 30000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	printf("timed lock: %d\n", pthread_mutex_timedlock(m, &ts) == ETIMEDOUT);
	printf("try lock: %d\n", pthread_mutex_trylock(m) == EBUSY);
	sem_post(&tried);
	printf("lock: %d\n", pthread_mutex_lock(m));
	printf("unlock: %d\n", pthread_mutex_unlock(m));
	return NULL;
}

static void pi(void)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	pthread_t t;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &a);
	pthread_mutex_lock(&m);
	printf("relock: %d\n", pthread_mutex_lock(&m) == EDEADLK);
	pthread_create(&t, NULL, pi_timed, &m);
	sem_wait(&tried);
	usleep(30000);
	pthread_mutex_unlock(&m);
	pthread_join(t, NULL);
	pthread_mutex_destroy(&m);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_NORMAL);
	pthread_mutex_init(&m, &a);
	contend(&m, "PI");
}

static void semaphores(void)
{
	sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, v;

	sem_init(&s[0], 1, 0);
	sem_init(&s[1], 1, 0);
	if (!fork()) {
		for (int i = 0; i < 500; i++) {
			sem_wait(&s[0]);
			sem_post(&s[1]);
		}
		_exit(3);
	}
	for (int i = 0; i < 500; i++) {
		sem_post(&s[0]);
		sem_wait(&s[1]);
	}
	wait(&status);
	sem_getvalue(&s[0], &v);
	printf("semaphores %d %d\n", WEXITSTATUS(status), v);
}

static pthread_barrier_t barrier;
static int serials;

static void *at_barrier(void *arg)
{
	for (int i = 0; i < 200; i++)
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_fetch_add(&serials, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void barriers(void)
{
	pthread_t t[4];

	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, at_barrier, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("barriers %d\n", serials);
}

int main(void)
{
	alarm(20);
	setvbuf(stdout, NULL, _IOLBF, 0);
	contend(&mutex, "plain");
	ping_pong();
	robust(PTHREAD_PRIO_NONE);
	robust(PTHREAD_PRIO_INHERIT);
	pi();
	semaphores();
	barriers();
	return 0;
}
