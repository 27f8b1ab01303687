/* System V semaphores: operations, undo, waiting, control. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (long)(e);                                                               \
		r_ == -1 ? -(long)errno : r_;                                                      \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static int id;

static long op1(int num, int op, int flags)
{
	struct sembuf b = {num, op, flags};

	return R(semop(id, &b, 1));
}

static void values(void)
{
	unsigned short v[3];

	semctl(id, 0, GETALL, (union semun){.array = v});
	printf("values %u %u %u\n", v[0], v[1], v[2]);
}

static void on_alarm(int sig)
{
}

static void await(int num, int cmd, int want)
{
	for (int i = 0; i < 1000 && semctl(id, num, cmd) != want; i++)
		usleep(1000);
	printf("waiters %d\n", semctl(id, num, cmd));
}

int main(void)
{
	struct sembuf two[2] = {{0, -1, 0}, {1, -1, IPC_NOWAIT}}, many[501];
	struct sembuf swap[2] = {{0, -2, 0}, {1, 1, 0}};
	struct timespec ts = {0, 30000000}, bad = {0, -1};
	struct itimerval it = {.it_value.tv_usec = 50000};
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	unsigned short set[3] = {5, 6, 7};
	struct semid_ds ds;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(many, 0, sizeof(many));
	SHOW(semget(0x77, 3, 0));
	SHOW(semget(0x77, 0, IPC_CREAT | 0600));
	SHOW(semget(IPC_PRIVATE, 40000, 0600));
	SHOW(semget(IPC_PRIVATE, -1, 0600));
	id = semget(0x77, 3, IPC_CREAT | 0600);
	SHOW(semget(0x77, 4, 0));
	printf("same %d\n", semget(0x77, 0, 0) == id);
	values();
	printf("%ld\n", op1(0, 3, 0));
	printf("%ld\n", op1(0, -1, 0));
	printf("%ld\n", op1(0, -3, IPC_NOWAIT));
	printf("%ld\n", op1(3, 1, 0));
	printf("%ld\n", op1(0, 32767, 0));
	SHOW(semop(id, two, 2));
	values();
	SHOW(semop(id, two, 0));
	SHOW(semop(id, many, 501));
	SHOW(semop(id + 1000000, two, 1));
	printf("zero %ld %ld\n", op1(1, 0, IPC_NOWAIT), op1(0, 0, IPC_NOWAIT));
	SHOW(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &ts));
	SHOW(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &bad));
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	printf("signal %ld\n", op1(1, -1, 0));
	SHOW(semctl(id, 0, SETALL, (union semun){.array = set}));
	values();
	SHOW(semctl(id, 1, SETVAL, (union semun){.val = 40000}));
	SHOW(semctl(id, 1, SETVAL, (union semun){.val = 1}));
	SHOW(semctl(id, 1, GETVAL));
	SHOW(semctl(id, 9, GETVAL));
	SHOW(semctl(id, 0, 99));
	printf("pid %d\n", semctl(id, 1, GETPID) == getpid());
	/* A waiter for several at once, woken by two steps. */
	semctl(id, 0, SETVAL, (union semun){.val = 0});
	if (!fork())
		_exit(semop(id, swap, 2) ? errno : 0);
	await(0, GETNCNT, 1);
	op1(0, 1, 0);
	values();
	op1(0, 1, 0);
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	values();
	/* Waiting for zero. */
	op1(0, 1, 0);
	if (!fork())
		_exit(op1(0, 0, 0));
	await(0, GETZCNT, 1);
	op1(0, -1, 0);
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	/* Undo. */
	semctl(id, 2, SETVAL, (union semun){.val = 4});
	if (!fork()) {
		op1(2, -3, SEM_UNDO);
		op1(2, 1, SEM_UNDO);
		op1(0, 5, SEM_UNDO);
		values();
		_exit(0);
	}
	wait(&status);
	values();
	if (!fork()) {
		op1(2, -4, SEM_UNDO);
		kill(getpid(), SIGKILL);
	}
	wait(&status);
	op1(2, -4, 0);
	printf("after a killed holder %d\n", WTERMSIG(status));
	/* Removal wakes the waiters. */
	if (!fork())
		_exit(-op1(2, -1, 0) == EIDRM);
	await(2, GETNCNT, 1);
	semctl(id, 0, IPC_STAT, (union semun){.buf = &ds});
	printf("stat %lu mode %o otime %d\n", ds.sem_nsems, ds.sem_perm.mode, ds.sem_otime != 0);
	SHOW(semctl(id, 0, IPC_RMID));
	wait(&status);
	printf("removed under it: %d\n", WEXITSTATUS(status));
	SHOW(semctl(id, 0, GETVAL));
	id = semget(IPC_PRIVATE, 1, 0600);
	if (!fork()) {
		setresuid(1000, 1000, 1000);
		SHOW(semctl(id, 0, GETVAL));
		SHOW(semctl(id, 0, IPC_RMID));
		printf("%ld\n", op1(0, 1, 0));
		_exit(0);
	}
	wait(&status);
	SHOW(semctl(id, 0, IPC_RMID));
	return 0;
}
