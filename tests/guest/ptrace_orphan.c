/*
 * A thread that is traced by its process's parent exits, then its leader, then
 * the parent, which is init in a sandbox: all must end though nobody waits for
 * the tracee.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *traced(void *arg)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	syscall(SYS_exit, 0);
	return arg;
}

int main(void)
{
	if (fork() == 0) {
		pthread_t t;

		pthread_create(&t, NULL, traced, NULL);
		usleep(200000);
		syscall(SYS_exit, 0);
	}
	usleep(600000);
	puts("the parent ends");
	return 0;
}
