/*
 * Which changes take set-id bits and file capabilities from a file: by root, by
 * its owner, and by somebody else in and out of its group.
 */
#include <grp.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "tests/guest/fs_util.h"

static int fd, other;

static long by_write(void)
{
	return write(fd, "x", 1);
}

static long by_pwritev(void)
{
	struct iovec v = {"yz", 2};

	return pwritev(fd, &v, 1, 3);
}

static long by_empty_write(void)
{
	return write(fd, "", 0);
}

static long by_ftruncate(void)
{
	return ftruncate(fd, 2);
}

static long by_truncate(void)
{
	return truncate("f", 4);
}

static long by_open(void)
{
	return try_open("f", O_WRONLY | O_TRUNC);
}

static long by_fallocate(void)
{
	return fallocate(fd, 0, 0, 100);
}

static long by_sendfile(void)
{
	off_t at = 0;

	return sendfile(fd, other, &at, 3);
}

static long by_copy_range(void)
{
	loff_t from = 0, to = 0;

	return copy_file_range(other, &from, fd, &to, 3, 0);
}

static long by_splice(void)
{
	int p[2];
	loff_t to = 1;
	long r;

	if (pipe(p) || write(p[1], "abc", 3) != 3)
		return -1;
	r = splice(p[0], NULL, fd, &to, 3, 0);
	close(p[0]);
	close(p[1]);
	return r;
}

static long by_chown_same(void)
{
	return chown("f", (uid_t)-1, (gid_t)-1);
}

static long by_chgrp(void)
{
	return chown("f", (uid_t)-1, 2000);
}

static long by_chown(void)
{
	return chown("f", 1000, 1000);
}

static long by_chmod(void)
{
	return chmod("f", 06755);
}

static long by_utimes(void)
{
	return utimensat(AT_FDCWD, "f", NULL, 0);
}

static const struct {
	const char *name;
	long (*change)(void);
} changes[] = {
    {"write", by_write},	 {"pwritev", by_pwritev},	{"empty write", by_empty_write},
    {"ftruncate", by_ftruncate}, {"truncate", by_truncate},	{"open", by_open},
    {"fallocate", by_fallocate}, {"sendfile", by_sendfile},	{"copy_range", by_copy_range},
    {"splice", by_splice},	 {"chown same", by_chown_same}, {"chgrp", by_chgrp},
    {"chown", by_chown},	 {"chmod", by_chmod},		{"utimes", by_utimes},
};

static void make(mode_t mode)
{
	/* CAP_NET_RAW, permitted, revision 2. */
	static const uint32_t cap[5] = {0x02000001, 1 << 13, 0, 0, 0};

	unlink("f");
	put_file("f", "hello world");
	if (chown("f", 1000, 1000) || setxattr("f", "security.capability", cap, sizeof(cap), 0) ||
	    chmod("f", mode))
		printf("preparing: %s\n", strerrorname_np(errno));
}

static void show(const char *name, const char *who, mode_t mode, const char *result)
{
	char buf[32];
	struct stat st;

	stat("f", &st);
	printf("%s by %s of %o: %s, then %o%s\n", name, who, mode, result, st.st_mode & 07777,
	       getxattr("f", "security.capability", buf, sizeof(buf)) > 0 ? " capable" : "");
}

static void become(uid_t uid, gid_t gid)
{
	if (uid && (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)))
		_exit(1);
}

static void round_of(const char *who, uid_t uid, gid_t gid, mode_t mode)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		pid_t pid;

		make(mode);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			become(uid, gid);
			fd = open("f", O_RDWR);
			other = open("other", O_RDONLY);
			show(changes[i].name, who, mode, ok(changes[i].change()));
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Capabilities that come after a write are taken by the next. */
static void again(void)
{
	make(06755);
	fd = open("f", O_RDWR);
	for (int i = 0; i < 2; i++) {
		by_write();
		show("write", "root", 06755, "again");
		chmod("f", 06755);
		setxattr("f", "security.capability", "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
			 20, 0);
		show("xattr", "root", 06755, "again");
	}
	close(fd);
}

/* Stores through a mapping are no writes. */
static void mapped(void)
{
	char *p;

	make(06755);
	fd = open("f", O_RDWR);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*p = 'M';
	munmap(p, 4096);
	show("mmap", "root", 06755, "ok");
	close(fd);
}

int main(void)
{
	static const mode_t modes[] = {06777, 06767, 02767, 0777};

	fs_begin();
	put_file("other", "content");
	for (size_t i = 0; i < 4; i++) {
		round_of("root", 0, 0, modes[i]);
		round_of("owner", 1000, 1000, modes[i]);
		round_of("owner, not its group", 1000, 3000, modes[i]);
		round_of("somebody", 3000, 3000, modes[i]);
	}
	again();
	mapped();
	fs_end();
	return 0;
}
