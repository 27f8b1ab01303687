/*
 * Processes that change a futex word all the time while another makes calls that
 * compare and swap it: no call may go on so long that it cannot be killed.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTILE 4

static uint32_t *word; /* and behind it the tid of who unlocks */

static long fx(int op, uint32_t val, uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, NULL, word, val3);
}

/* Now and then the word is as the calls want it. */
static void change(void)
{
	for (uint32_t n = 1;; n++)
		__atomic_store_n(word, n % 64 ? n * 2654435761U : word[1] | FUTEX_WAITERS,
				 __ATOMIC_RELAXED);
}

static void *wait_for_lock(void *arg)
{
	for (;;)
		fx(FUTEX_LOCK_PI, 0, 0);
	return NULL;
}

static void unlock(void)
{
	pthread_t t;

	word[0] = word[1] = (uint32_t)syscall(SYS_gettid);
	pthread_create(&t, NULL, wait_for_lock, NULL);
	for (;;)
		fx(FUTEX_UNLOCK_PI, 0, 0);
}

static void lock(void)
{
	for (;;)
		fx(FUTEX_LOCK_PI, 0, 0);
}

static void try_lock(void)
{
	for (;;)
		fx(FUTEX_TRYLOCK_PI, 0, 0);
}

static void wake_op(void)
{
	for (;;)
		fx(FUTEX_WAKE_OP, 1, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));
}

static void kill_it(const char *name, void (*victim)(void))
{
	pid_t pid = fork(), other[HOSTILE];
	int status;

	if (pid == 0)
		victim();
	usleep(20000);
	for (int i = 0; i < HOSTILE; i++) {
		other[i] = fork();
		if (other[i] == 0)
			change();
	}
	usleep(200000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	for (int i = 0; i < HOSTILE; i++)
		kill(other[i], SIGKILL);
	for (int i = 0; i < HOSTILE; i++)
		waitpid(other[i], NULL, 0);
	printf("%s: %s\n", name, WIFSIGNALED(status) ? "killed" : "ended");
	fflush(stdout);
}

int main(void)
{
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	kill_it("unlock", unlock);
	kill_it("lock", lock);
	kill_it("try_lock", try_lock);
	kill_it("wake_op", wake_op);
	return 0;
}
