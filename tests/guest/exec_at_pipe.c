/* execveat below something that is no directory and has no name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void try(const char *what, int fd, const char *path, int flags)
{
	char *const none[] = {NULL};
	long r = syscall(SYS_execveat, fd, path, none, none, flags);

	printf("%s: %s\n", what, r < 0 ? strerror(errno) : "ran");
}

int main(void)
{
	int p[2];

	if (pipe(p))
		return 1;
	try("below a pipe", p[0], "x", 0);
	try("a pipe", p[0], "", AT_EMPTY_PATH);
	try("a bad descriptor", 77, "x", 0);
	try("an empty name", p[0], "", 0);
	return 0;
}
