/*
 * eater HOW: takes memory until something ends it. Prints what stopped it, if it
 * still can.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1UL << 20)

static void touch(size_t n)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(2);
	memset(p, 1, n);
}

/* Each smaller than the sentry. */
static void many_small(void)
{
	for (int i = 0; i < 60; i++) {
		if (fork() == 0) {
			touch(2 * MIB);
			sleep(20);
			_exit(0);
		}
		usleep(20000);
	}
	sleep(1);
}

static void write_all(int fd)
{
	static char block[1 << 16];

	memset(block, 1, sizeof(block));
	while (write(fd, block, sizeof(block)) > 0)
		;
	printf("stopped by %s\n", strerrorname_np(errno));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "one"))
		for (;;)
			touch(MIB);
	else if (!strcmp(how, "many"))
		many_small();
	else if (!strcmp(how, "memfd"))
		write_all(memfd_create("eater", 0));
	else
		write_all(open(how, O_CREAT | O_WRONLY, 0600));
	return 0;
}
