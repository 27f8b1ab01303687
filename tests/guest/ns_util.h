/* Shared by the ns_*.c guest tests: results as text, and things done in a child. */
#ifndef GARRISON_TESTS_GUEST_NS_UTIL_H
#define GARRISON_TESTS_GUEST_NS_UTIL_H

#include <errno.h>
#include <grp.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wunused-function"

#define NOBODY 12345

static void result(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
	fflush(stdout);
}

/* Runs fn in a child, as uid and gid NOBODY if `drop`. */
static void in_child(const char *name, int drop, void (*fn)(void))
{
	pid_t pid;
	int status;

	printf("--- %s%s\n", name, drop ? " (unprivileged)" : "");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (drop && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			     setresuid(NOBODY, NOBODY, NOBODY) < 0))
			_exit(99);
		if (drop)
			prctl(PR_SET_DUMPABLE, 1); /* or /proc/self is root's */
		fn();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		printf("status %x\n", status);
}

static long put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	int saved = errno;
	close(fd);
	errno = saved;
	return n;
}

static void cat(const char *path)
{
	char buf[512];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n < 0) {
		result(path, -1);
	} else {
		buf[n] = 0;
		printf("%s: %s", path, n ? buf : "(empty)\n");
	}
	if (fd >= 0)
		close(fd);
}

/* The link of a namespace of this process. */
static void ns_name(const char *kind, char *buf, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	n = readlink(path, buf, size - 1);
	buf[n < 0 ? 0 : n] = 0;
}

#endif
