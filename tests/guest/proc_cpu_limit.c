/* RLIMIT_CPU: SIGXCPU after a second of CPU time. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	struct rlimit r = {1, 2};
	int status;
	pid_t p = fork();

	if (p == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		setrlimit(RLIMIT_CPU, &r);
		for (;;)
			;
	}
	waitpid(p, &status, 0);
	printf("SIGXCPU %d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	return 0;
}
