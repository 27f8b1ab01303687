/* Shared by the fs_*.c guest tests: a fresh directory, and results as text. */
#ifndef GARRISON_TESTS_GUEST_FS_UTIL_H
#define GARRISON_TESTS_GUEST_FS_UTIL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not every program uses everything, and bad buffers are passed on purpose. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"

static char fs_dir[64];

static int fs_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)remove(path);
	return 0;
}

static void fs_remove(void)
{
	if (chdir("/") == 0)
		nftw(fs_dir, fs_remove_one, 64, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Makes a directory under /tmp (or $FS_TEST_DIR), goes there, and removes it at exit. */
static void fs_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	snprintf(fs_dir, sizeof(fs_dir), "%s/fs-test.XXXXXX",
		 getenv("FS_TEST_DIR") ? getenv("FS_TEST_DIR") : "/tmp");
	if (!mkdtemp(fs_dir) || chdir(fs_dir) < 0 || chmod(".", 0755) < 0) {
		printf("no directory: %s\n", strerror(errno));
		exit(1);
	}
}

static void fs_end(void)
{
	fs_remove();
}

/* The value if >= 0, else the name of errno. */
static const char *res(long r)
{
	static char buf[8][32];
	static int n;
	char *p = buf[n++ % 8];

	if (r >= 0)
		snprintf(p, 32, "%ld", r);
	else
		snprintf(p, 32, "%s", strerrorname_np(errno));
	return p;
}

static const char *ok(long r)
{
	return r >= 0 ? "ok" : res(r);
}

#define SHOW(expr) printf("%s: %s\n", #expr, res((long)(expr)))
#define SHOW_OK(expr) printf("%s: %s\n", #expr, ok((long)(expr)))

static int put_file(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	if (fd < 0)
		return -1;
	if (write(fd, text, strlen(text)) < 0)
		return -1;
	return close(fd);
}

static int try_open(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

#endif
