/* clone(2), clone3(2), vfork(2): what is shared, tids, pidfds, errors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char stack[1 << 16] __attribute__((aligned(16)));
static volatile int shared;

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static int touch(void *arg)
{
	int fd = open("/dev/null", O_RDONLY);

	shared++;
	chdir("/");
	umask(0123);
	if (arg)
		*(int *)arg = fd;
	_exit(0);
}

static void sharing(const char *what, int flags)
{
	int status, old = shared, mask, fd = -1;
	char cwd[100];
	pid_t p;

	chdir("/tmp");
	umask(022);
	p = clone(touch, stack + sizeof(stack), flags | SIGCHLD, &fd);
	waitpid(p, &status, 0);
	getcwd(cwd, sizeof(cwd));
	mask = umask(022);
	printf("%s: memory %d cwd %s umask %o file %s\n", what, shared - old, cwd, mask,
	       fd >= 0 ? err(fcntl(fd, F_GETFD)) : "-");
	if (fd >= 0)
		close(fd);
}

static void tids(void)
{
	pid_t ptid = 0, ctid = 0, *page, p;
	int status;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &ptid,
			   &page[0], 0);
	if (p == 0) {
		page[1] = page[0] == getpid();
		page[2] = gettid() == getpid();
		_exit(0);
	}
	waitpid(p, &status, 0);
	printf("parent_tid %d child_tid %d gettid %d\n", ptid == p, page[1], page[2]);
	page[3] = 77;
	p = (pid_t)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0,
			   &page[3], 0);
	if (p == 0)
		_exit(0);
	waitpid(p, &status, 0);
	printf("cleared: %d\n", page[3]);
	(void)ctid;
}

static long clone3(struct clone_args *a, size_t size)
{
	return syscall(SYS_clone3, a, size);
}

static void third(void)
{
	struct clone_args a = {.exit_signal = SIGCHLD};
	char big[200] = {0};
	int pidfd = -1, status;
	struct pollfd pfd;
	siginfo_t si;
	pid_t p;

	a.flags = CLONE_PIDFD;
	a.pidfd = (unsigned long)&pidfd;
	p = (pid_t)clone3(&a, sizeof(a));
	if (p == 0)
		_exit(3);
	printf("pidfd %d cloexec %d\n", pidfd >= 0, fcntl(pidfd, F_GETFD));
	pfd = (struct pollfd){pidfd, POLLIN, 0};
	printf("poll %d revents %d\n", poll(&pfd, 1, 3000), pfd.revents);
	printf("waitid %d", waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED));
	printf(" status %d\n", si.si_status);
	printf("signal a dead one: %s\n", err(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0)));
	close(pidfd);

	memset(&a, 0, sizeof(a));
	printf("short: %s\n", err(clone3(&a, 32)));
	memcpy(big, &a, sizeof(a));
	big[150] = 1;
	printf("long: %s\n", err(clone3((struct clone_args *)big, sizeof(big))));
	a.exit_signal = 200;
	printf("signal: %s\n", err(clone3(&a, sizeof(a))));
	a.exit_signal = SIGCHLD;
	a.flags = CLONE_THREAD;
	printf("thread with signal: %s\n", err(clone3(&a, sizeof(a))));
	a.exit_signal = 0;
	printf("thread alone: %s\n", err(clone3(&a, sizeof(a))));
	a.flags = CLONE_SIGHAND;
	printf("sighand alone: %s\n", err(clone3(&a, sizeof(a))));
	a.flags = CLONE_FS | CLONE_NEWNS;
	printf("fs and newns: %s\n", err(clone3(&a, sizeof(a))));
	a.flags = 0;
	a.stack = 4096;
	printf("stack without size: %s\n", err(clone3(&a, sizeof(a))));
	a.stack = 0;
	a.flags = 1ULL << 60;
	printf("unknown flag: %s\n", err(clone3(&a, sizeof(a))));
	a.flags = 0;
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, (void (*)(int))touch);
	a.flags = 0x100000000ULL; /* CLONE_CLEAR_SIGHAND */
	a.exit_signal = SIGCHLD;
	p = (pid_t)clone3(&a, sizeof(a));
	if (p == 0) {
		struct sigaction u1, u2;

		sigaction(SIGUSR1, NULL, &u1);
		sigaction(SIGUSR2, NULL, &u2);
		_exit((u1.sa_handler == SIG_IGN) | (u2.sa_handler == SIG_DFL) << 1);
	}
	waitpid(p, &status, 0);
	printf("clear sighand: %d\n", WEXITSTATUS(status));
}

static void vforks(void)
{
	static volatile int order;
	pid_t p = vfork();

	if (p == 0) {
		usleep(20000);
		order = 1;
		_exit(8);
	}
	printf("vfork: order %d\n", order);
	waitpid(p, NULL, 0);
	p = vfork();
	if (p == 0) {
		execl("/nonexistent", "x", NULL);
		_exit(errno == ENOENT ? 9 : 1);
	}
	int status;
	waitpid(p, &status, 0);
	printf("vfork and failed exec: %d\n", WEXITSTATUS(status));
}

static void *thread(void *arg)
{
	int *out = arg;

	out[0] = getpid() == *(pid_t *)(out + 2);
	out[1] = gettid() != getpid();
	return (void *)5L;
}

static void threads(void)
{
	pthread_t t[20];
	int out[20][3];
	void *r;
	long sum = 0;

	for (int i = 0; i < 20; i++) {
		out[i][2] = getpid();
		pthread_create(&t[i], NULL, thread, out[i]);
	}
	for (int i = 0; i < 20; i++) {
		pthread_join(t[i], &r);
		sum += (long)r + out[i][0] + out[i][1];
	}
	printf("threads: %ld\n", sum);
}

static void *exit_thread(void *arg)
{
	usleep(30000);
	syscall(SYS_exit_group, 33);
	return NULL;
}

static void *sleep_thread(void *arg)
{
	pause();
	return NULL;
}

static void leader_exit(void)
{
	pthread_t t;
	int status;
	pid_t p = fork();

	if (p == 0) {
		pthread_create(&t, NULL, sleep_thread, NULL);
		pthread_create(&t, NULL, exit_thread, NULL);
		syscall(SYS_exit, 1);
	}
	waitpid(p, &status, 0);
	printf("leader left, group status: %d\n", WEXITSTATUS(status));
	p = fork();
	if (p == 0) {
		pthread_create(&t, NULL, exit_thread, NULL);
		for (;;)
			;
	}
	waitpid(p, &status, 0);
	printf("busy leader: %d\n", WEXITSTATUS(status));
}

static void *exec_thread(void *arg)
{
	execl("/proc/self/exe", "proc_clone", "pid", (char *)NULL);
	_exit(1);
}

static void exec_from_thread(void)
{
	pthread_t t;
	char arg[20];
	int status;
	pid_t p = fork();

	if (p == 0) {
		snprintf(arg, sizeof(arg), "%d", getpid());
		setenv("WANT_PID", arg, 1);
		pthread_create(&t, NULL, sleep_thread, NULL);
		pthread_create(&t, NULL, exec_thread, NULL);
		for (;;)
			;
	}
	waitpid(p, &status, 0);
	printf("exec from a thread keeps the pid: %d\n", WEXITSTATUS(status));
}

static void orphans(void)
{
	int pipes[2], n = 0;
	char buf[10];
	pid_t p;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pipe(pipes);
	p = fork();
	if (p == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, 0);
			while (getppid() == p)
				;
			usleep(10000);
			write(pipes[1], getppid() == atoi(getenv("SELF")) ? "y" : "n", 1);
			_exit(4);
		}
		_exit(0);
	}
	waitpid(p, NULL, 0);
	read(pipes[0], buf, 1);
	printf("subreaper: %c\n", buf[0]);
	while (wait(NULL) > 0)
		n++;
	printf("adopted: %d\n", n);
	p = fork();
	if (p == 0) {
		int q[2];

		pipe(q);
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGUSR1);
			signal(SIGUSR1, SIG_DFL);
			write(q[1], "x", 1);
			for (;;)
				pause();
		}
		read(q[0], buf, 1);
		_exit(0);
	}
	waitpid(p, NULL, 0);
	int status;
	wait(&status);
	printf("parent death signal: %d\n", WTERMSIG(status));
}

int main(int argc, char **argv)
{
	char self[20];

	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 1)
		return getpid() == atoi(getenv("WANT_PID")) && gettid() == getpid() ? 1 : 2;
	snprintf(self, sizeof(self), "%d", getpid());
	setenv("SELF", self, 1);
	sharing("nothing", 0);
	sharing("VM", CLONE_VM);
	sharing("VM FS", CLONE_VM | CLONE_FS);
	sharing("VM FILES", CLONE_VM | CLONE_FILES);
	tids();
	third();
	vforks();
	threads();
	leader_exit();
	exec_from_thread();
	orphans();
	return 0;
}
