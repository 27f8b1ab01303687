/*
 * A child that stops itself is seized and continued at once, as strace(1) starts its
 * programs: whatever overtakes what, the child comes to its end and the tracer hears of it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 300

static int follow(pid_t p)
{
	int status;

	while (waitpid(p, &status, __WALL) == p && WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status);

		if (status >> 16 != PTRACE_EVENT_STOP)
			ptrace(PTRACE_CONT, p, 0, sig);
		else if (sig == SIGTRAP)
			ptrace(PTRACE_CONT, p, 0, 0);
		else
			ptrace(PTRACE_LISTEN, p, 0, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int once(void)
{
	int status;
	pid_t p = fork();

	if (p == 0) {
		kill(getpid(), SIGSTOP);
		_exit(7);
	}
	waitpid(p, &status, WUNTRACED);
	ptrace(PTRACE_SEIZE, p, 0, 0);
	kill(p, SIGCONT);
	return follow(p);
}

int main(void)
{
	int ended = 0;

	alarm(20);
	for (int i = 0; i < ROUNDS; i++)
		ended += once() == 7;
	printf("%d of %d ended\n", ended, ROUNDS);
	return 0;
}
