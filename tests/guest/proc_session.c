/* Sessions and process groups: setsid, setpgid, their errors, orphaned groups, group signals. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void in_child(void (*fn)(void))
{
	pid_t p = fork();

	if (p == 0) {
		fn();
		_exit(0);
	}
	waitpid(p, NULL, 0);
}

static void basics(void)
{
	printf("leader %d\n", getpgrp() == getpid());
	printf("setsid %d", setsid() == getpid());
	printf(" sid %d pgrp %d\n", getsid(0) == getpid(), getpgrp() == getpid());
	printf("again %s\n", err(setsid()));
	printf("move a session leader %s\n", err(setpgid(0, 0)));
	printf("nobody %s %s\n", err(getsid(999999)), err(getpgid(999999)));
	printf("negative %s\n", err(setpgid(0, -1)));
}

static void groups(void)
{
	int fds[2];
	pid_t a, b;
	char c;

	setsid();
	a = fork();
	if (a == 0)
		for (;;)
			pause();
	b = fork();
	if (b == 0)
		for (;;)
			pause();
	printf("new group %s %d\n", err(setpgid(a, a)), getpgid(a) == a);
	printf("join it %s %d\n", err(setpgid(b, a)), getpgid(b) == a);
	printf("absent group %s\n", err(setpgid(b, 999999)));
	printf("back %s\n", err(setpgid(b, getpgrp())));
	printf("setpgid of a stranger %s\n", err(setpgid(getppid(), 0)));
	setpgid(b, a);
	kill(-a, SIGTERM);
	int s1, s2;
	waitpid(a, &s1, 0);
	waitpid(b, &s2, 0);
	printf("group signal %d %d\n", WTERMSIG(s1), WTERMSIG(s2));
	printf("empty %s\n", err(kill(-a, 0)));
	pipe(fds);
	a = fork();
	if (a == 0) {
		setsid();
		write(fds[1], "x", 1);
		for (;;)
			pause();
	}
	read(fds[0], &c, 1);
	printf("other session %s\n", err(setpgid(a, a)));
	kill(a, SIGKILL);
	waitpid(a, NULL, 0);
	a = fork();
	if (a == 0) {
		execl("/proc/self/exe", "proc_session", "sleep", (char *)NULL);
		_exit(1);
	}
	usleep(100000);
	for (int i = 0; i < 50 && setpgid(a, a) == 0; i++) {
		setpgid(a, getpgrp());
		usleep(20000);
	}
	printf("after exec %s\n", err(setpgid(a, a)));
	kill(a, SIGKILL);
	waitpid(a, NULL, 0);
}

/* A stopped member of a group that loses its last parent in the session gets SIGHUP, SIGCONT. */
static void orphaned(void)
{
	int fds[2], status;
	pid_t p;
	char c;

	pipe(fds);
	p = fork();
	if (p == 0) {
		pid_t child;

		setsid();
		child = fork();
		if (child == 0) {
			setpgid(0, 0);
			signal(SIGHUP, SIG_DFL);
			close(fds[0]);
			kill(getpid(), SIGSTOP);
			pause();
			_exit(0);
		}
		waitpid(child, &status, WUNTRACED);
		_exit(WIFSTOPPED(status) ? 3 : 4);
	}
	close(fds[1]);
	waitpid(p, &status, 0);
	printf("stopped %d\n", WEXITSTATUS(status) == 3);
	/* The pipe closes when the orphan is killed by SIGHUP. */
	printf("orphan ended %zd\n", read(fds[0], &c, 1));
}

static void terminal_stop(void)
{
	int status;
	pid_t p = fork();

	if (p == 0) {
		setsid(); /* its group is orphaned: SIGTSTP has no effect, SIGSTOP does */
		raise(SIGTSTP);
		raise(SIGSTOP);
		_exit(7);
	}
	waitpid(p, &status, WUNTRACED);
	printf("stopped by %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
	kill(p, SIGCONT);
	waitpid(p, &status, 0);
	printf("exit %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 1) {
		pause();
		return 0;
	}
	in_child(basics);
	in_child(groups);
	in_child(orphaned);
	in_child(terminal_stop);
	return 0;
}
