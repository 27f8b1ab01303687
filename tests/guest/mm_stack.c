/* The stack: how far it goes, what it does at its end, that it grows when its limit is raised. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf jump;
static int code;

static void on_segv(int sig, siginfo_t *si, void *ctx)
{
	code = si->si_code;
	siglongjmp(jump, 1);
}

static __attribute__((noinline)) unsigned long use(unsigned long kib)
{
	volatile char page[1024];

	memset((void *)page, (int)kib, sizeof(page));
	return kib ? use(kib - 1) + page[7] : page[3];
}

static void try(const char *what, unsigned long kib)
{
	if (sigsetjmp(jump, 1))
		printf("%s: %s\n", what, code == SEGV_MAPERR ? "MAPERR" : "ACCERR");
	else {
		use(kib);
		printf("%s: ok\n", what);
	}
	fflush(stdout);
}

static void child(void (*fn)(void))
{
	int st;

	fflush(stdout);
	if (fork() == 0) {
		fn();
		exit(0);
	}
	wait(&st);
	if (WIFSIGNALED(st))
		printf("killed by %d\n", WTERMSIG(st));
}

static void within(void)
{
	try("4 MiB", 3 << 10);
	try("20 MiB of 8", 20 << 10);
	try("4 MiB again", 3 << 10);
}

static void raised(void)
{
	struct rlimit r = {40 << 20, RLIM_INFINITY};

	printf("raise %d\n", setrlimit(RLIMIT_STACK, &r));
	try("20 MiB of 40", 16 << 10);
	try("60 MiB of 40", 60 << 10);
}

static void no_handler(void)
{
	signal(SIGSEGV, SIG_DFL);
	use(20 << 10);
}

static void near(void)
{
	char *p = (char *)&p - (200 << 20);

	if (sigsetjmp(jump, 1))
		printf("far below: %s\n", code == SEGV_MAPERR ? "MAPERR" : "ACCERR");
	else {
		*(volatile char *)p = 1;
		printf("far below: ok\n");
	}
}

int main(void)
{
	static char alt[65536];
	stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct rlimit r;

	getrlimit(RLIMIT_STACK, &r);
	printf("limit %lu\n", r.rlim_cur);
	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	child(within);
	child(raised);
	child(no_handler);
	child(near);
	return 0;
}
