/* wait4(2), waitid(2): statuses, options, errors, autoreaping, who may wait for whom. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void show(const char *what, int status)
{
	if (WIFEXITED(status))
		printf("%s: exit %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("%s: signal %d core %d\n", what, WTERMSIG(status), !!WCOREDUMP(status));
	else if (WIFSTOPPED(status))
		printf("%s: stopped %d\n", what, WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		printf("%s: continued\n", what);
	else
		printf("%s: status %#x\n", what, status);
}

static pid_t child(int code)
{
	pid_t p = fork();

	if (p == 0)
		_exit(code);
	return p;
}

static void exits(void)
{
	int status;
	pid_t p = child(300);

	printf("waitpid %d\n", waitpid(p, &status, 0) == p);
	show("300", status);
	p = fork();
	if (p == 0) {
		raise(SIGKILL);
		_exit(0);
	}
	waitpid(p, &status, 0);
	show("SIGKILL", status);
	p = fork();
	if (p == 0)
		abort();
	waitpid(p, &status, 0);
	show("abort", status);
	printf("no children: %s\n", err(wait(&status)));
	printf("a stranger: %s\n", err(waitpid(1, &status, 0)));
	printf("bad options: %s\n", err(waitpid(-1, &status, 0x100)));
	printf("min int: %s\n", err(syscall(SYS_wait4, (long)INT32_MIN, &status, 0, NULL)));
}

static void nohang(void)
{
	int pipes[2], status;
	pid_t p;
	char c;

	pipe(pipes);
	p = fork();
	if (p == 0) {
		close(pipes[1]);
		read(pipes[0], &c, 1);
		_exit(7);
	}
	close(pipes[0]);
	printf("WNOHANG: %d\n", waitpid(p, &status, WNOHANG));
	close(pipes[1]);
	waitpid(p, &status, 0);
	show("then", status);
}

static void stops(void)
{
	int status;
	siginfo_t si;
	pid_t p = fork();

	if (p == 0)
		for (;;)
			pause();
	kill(p, SIGSTOP);
	waitpid(p, &status, WUNTRACED);
	show("stop", status);
	printf("reported once: %d\n", waitpid(p, &status, WUNTRACED | WNOHANG));
	kill(p, SIGCONT);
	waitpid(p, &status, WCONTINUED);
	show("cont", status);
	kill(p, SIGSTOP);
	memset(&si, 0, sizeof(si));
	printf("waitid %d\n", waitid(P_PID, (id_t)p, &si, WSTOPPED | WNOWAIT));
	printf("code %d status %d pid %d\n", si.si_code, si.si_status, si.si_pid == p);
	printf("still there: %d\n", waitpid(p, &status, WUNTRACED | WNOHANG) == p);
	kill(p, SIGKILL);
	printf("waitid %d\n", waitid(P_ALL, 0, &si, WEXITED));
	printf("signo %d code %d status %d\n", si.si_signo, si.si_code, si.si_status);
}

static void ids(void)
{
	siginfo_t si;
	pid_t p = child(5), q;
	int status;

	waitid(P_PID, (id_t)p, &si, WEXITED | WNOWAIT);
	printf("exited: code %d status %d uid %d\n", si.si_code, si.si_status, (int)si.si_uid);
	printf("again: %d\n", waitpid(p, &status, 0) == p);
	printf("gone: %s\n", err(waitpid(p, &status, 0)));
	memset(&si, 0xff, sizeof(si));
	q = fork();
	if (q == 0) {
		pause();
		_exit(0);
	}
	printf("nothing: %d", waitid(P_PID, (id_t)q, &si, WEXITED | WNOHANG));
	printf(" signo %d pid %d\n", si.si_signo, si.si_pid);
	printf("no kind: %s\n", err(waitid(P_ALL, 0, &si, 0)));
	printf("bad kind: %s\n", err(waitid(99, 0, &si, WEXITED)));
	printf("bad pid: %s\n", err(waitid(P_PID, 0, &si, WEXITED)));
	kill(q, SIGKILL);
	waitpid(q, &status, 0);
}

static void groups(void)
{
	int status, sync[2];
	pid_t p, q;
	char c;

	pipe(sync);
	p = fork();
	if (p == 0) {
		setpgid(0, 0);
		write(sync[1], "x", 1);
		_exit(1);
	}
	read(sync[0], &c, 1);
	q = child(2);
	printf("own group: %d ", waitpid(0, &status, 0) == q);
	show("status", status);
	printf("its group: %d ", waitpid(-p, &status, 0) == p);
	show("status", status);
	printf("empty group: %s\n", err(waitpid(-p, &status, 0)));
}

static void autoreap(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	int status;

	signal(SIGCHLD, SIG_IGN);
	child(1);
	printf("SIG_IGN: %s\n", err(wait(&status)));
	sigaction(SIGCHLD, &sa, NULL);
	child(1);
	printf("SA_NOCLDWAIT: %s\n", err(wait(&status)));
	signal(SIGCHLD, SIG_DFL);
}

static int clone_child(void *arg)
{
	_exit((int)(long)arg);
}

static void clones(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t p = clone(clone_child, stack + sizeof(stack), CLONE_VM, (void *)4L);

	printf("no signal, plain wait: %s\n", err(waitpid(p, &status, 0)));
	printf("__WCLONE: %d ", waitpid(p, &status, __WCLONE) == p);
	show("status", status);
	signal(SIGUSR1, SIG_IGN);
	p = clone(clone_child, stack + sizeof(stack), CLONE_VM | SIGUSR1, (void *)6L);
	printf("__WALL: %d ", waitpid(p, &status, __WALL) == p);
	show("status", status);
	p = child(9);
	printf("ordinary, __WCLONE: %s\n", err(waitpid(p, &status, __WCLONE)));
	waitpid(p, &status, 0);
}

static volatile sig_atomic_t chld_code, chld_status, chld_count;

static void on_chld(int sig, siginfo_t *si, void *uc)
{
	chld_code = si->si_code;
	chld_status = si->si_status;
	chld_count++;
}

static void sigchld(void)
{
	struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
	int status;
	pid_t p;

	sigaction(SIGCHLD, &sa, NULL);
	p = child(42);
	waitpid(p, &status, 0);
	printf("SIGCHLD code %d status %d\n", chld_code, chld_status);
	p = fork();
	if (p == 0)
		for (;;)
			pause();
	chld_count = 0;
	kill(p, SIGSTOP);
	waitpid(p, &status, WUNTRACED);
	printf("SIGCHLD stop: %d code %d status %d\n", chld_count, chld_code, chld_status);
	kill(p, SIGCONT);
	waitpid(p, &status, WCONTINUED);
	while (chld_code == CLD_STOPPED)
		usleep(1000);
	printf("SIGCHLD cont: code %d status %d\n", chld_code, chld_status);
	sa.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
	chld_count = 0;
	kill(p, SIGSTOP);
	waitpid(p, &status, WUNTRACED);
	printf("SA_NOCLDSTOP: %d\n", chld_count);
	kill(p, SIGKILL);
	waitpid(p, &status, 0);
	printf("killed: %d code %d status %d\n", chld_count, chld_code, chld_status);
}

static void usage(void)
{
	struct rusage ru;
	int status;
	pid_t p = fork();

	if (p == 0) {
		for (volatile long i = 0; i < 60000000; i++)
			;
		_exit(0);
	}
	wait4(p, &status, 0, &ru);
	printf("child used CPU: %d\n", ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec > 5000);
	getrusage(RUSAGE_CHILDREN, &ru);
	printf("counted: %d\n", ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec > 5000);
}

int main(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	setvbuf(stdout, NULL, _IONBF, 0);
	exits();
	nohang();
	stops();
	ids();
	groups();
	autoreap();
	clones();
	sigchld();
	usage();
	return 0;
}
