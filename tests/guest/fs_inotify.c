/* inotify: which events come, in which order, with which names. */
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "tests/guest/fs_util.h"

static const struct {
	uint32_t bit;
	const char *name;
} names[] = {
    {IN_ACCESS, "ACCESS"},
    {IN_MODIFY, "MODIFY"},
    {IN_ATTRIB, "ATTRIB"},
    {IN_CLOSE_WRITE, "CLOSE_WRITE"},
    {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"},
    {IN_OPEN, "OPEN"},
    {IN_MOVED_FROM, "MOVED_FROM"},
    {IN_MOVED_TO, "MOVED_TO"},
    {IN_CREATE, "CREATE"},
    {IN_DELETE, "DELETE"},
    {IN_DELETE_SELF, "DELETE_SELF"},
    {IN_MOVE_SELF, "MOVE_SELF"},
    {IN_UNMOUNT, "UNMOUNT"},
    {IN_Q_OVERFLOW, "Q_OVERFLOW"},
    {IN_IGNORED, "IGNORED"},
    {IN_ISDIR, "ISDIR"},
};

static int in;

static void drain(const char *what)
{
	char buf[65536] __attribute__((aligned(8)));
	uint32_t first_cookie = 0;
	ssize_t n = read(in, buf, sizeof(buf));

	printf("-- %s\n", what);
	for (ssize_t at = 0; at < n;) {
		struct inotify_event *e = (void *)(buf + at);

		printf("wd %d", e->wd);
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (e->mask & names[i].bit)
				printf(" %s", names[i].name);
		if (e->cookie) {
			if (!first_cookie)
				first_cookie = e->cookie;
			printf(" cookie%u", e->cookie - first_cookie);
		}
		if (e->len)
			printf(" %s (%u)", e->name, e->len);
		printf("\n");
		at += (ssize_t)sizeof(*e) + e->len;
	}
}

static void directory(void)
{
	char buf[8];
	int fd;

	mkdir("d", 0755);
	SHOW(inotify_add_watch(in, "d", IN_ALL_EVENTS));
	put_file("d/a", "x");
	drain("create and write");
	fd = open("d/a", O_RDONLY);
	read(fd, buf, 8);
	read(fd, buf, 8);
	close(fd);
	drain("read");
	chmod("d/a", 0600);
	truncate("d/a", 0);
	drain("chmod, truncate");
	rename("d/a", "d/b");
	drain("rename inside");
	rename("d/b", "out");
	drain("rename out");
	rename("out", "d/c");
	drain("rename in");
	put_file("d/e", "");
	drain("another");
	rename("d/c", "d/e");
	drain("rename over");
	link("d/e", "d/f");
	drain("link");
	unlink("d/f");
	unlink("d/e");
	drain("unlink");
	mkdir("d/s", 0755);
	symlink("x", "d/l");
	mkfifo("d/p", 0600);
	drain("mkdir, symlink, mkfifo");
	rmdir("d/s");
	unlink("d/l");
	unlink("d/p");
	drain("and away");
	closedir(opendir("d"));
	drain("opendir");
	chmod("d", 0700);
	drain("chmod itself");
	rename("d", "dd");
	drain("move itself");
	rmdir("dd");
	drain("rmdir itself");
}

static void file(void)
{
	int fd, wd;

	put_file("f", "x");
	wd = inotify_add_watch(in, "f", IN_ALL_EVENTS);
	printf("wd %d\n", wd);
	printf("again %d\n", inotify_add_watch(in, "f", IN_ALL_EVENTS));
	SHOW(inotify_add_watch(in, "f", IN_OPEN | IN_MASK_CREATE));
	fd = open("f", O_RDWR);
	write(fd, "1", 1);
	write(fd, "2", 1);
	ftruncate(fd, 5);
	fchmod(fd, 0600);
	drain("open, writes, truncate, chmod");
	link("f", "f2");
	unlink("f2");
	drain("link, unlink");
	unlink("f");
	drain("unlink while open");
	close(fd);
	drain("close");
}

static void options(void)
{
	int wd, fd;

	put_file("f", "x");
	mkdir("d", 0755);
	symlink("f", "l");
	SHOW(inotify_add_watch(in, "f", IN_OPEN | IN_ONLYDIR) >= 0);
	SHOW(inotify_add_watch(in, "f", 0));
	SHOW(inotify_add_watch(in, "none", IN_OPEN));
	SHOW(inotify_add_watch(in, "f", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE));
	SHOW(inotify_add_watch(0, "f", IN_OPEN));
	SHOW(inotify_add_watch(999, "f", IN_OPEN));
	SHOW(inotify_rm_watch(in, 12345));
	wd = inotify_add_watch(in, "f", IN_OPEN | IN_ONESHOT);
	try_open("f", O_RDONLY);
	try_open("f", O_RDONLY);
	drain("oneshot");
	SHOW(inotify_rm_watch(in, wd));
	wd = inotify_add_watch(in, "f", IN_OPEN);
	inotify_add_watch(in, "f", IN_ATTRIB | IN_MASK_ADD);
	try_open("f", O_RDONLY);
	chmod("f", 0611);
	drain("mask add");
	SHOW(inotify_rm_watch(in, wd));
	drain("removed");
	wd = inotify_add_watch(in, "l", IN_DELETE_SELF | IN_DONT_FOLLOW);
	unlink("l");
	drain("link itself");
	wd = inotify_add_watch(in, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
	put_file("d/x", "");
	fd = open("d/x", O_RDWR);
	drain("open");
	unlink("d/x");
	write(fd, "x", 1);
	close(fd);
	drain("excl unlink");
}

static void reading(void)
{
	char buf[64];
	int n = -1, wd;

	SHOW(read(in, buf, sizeof(buf)));
	wd = inotify_add_watch(in, "d", IN_CREATE);
	(void)wd;
	put_file("d/a-rather-long-name", "");
	SHOW(ioctl(in, FIONREAD, &n));
	printf("%d\n", n);
	SHOW(read(in, buf, 10));
	SHOW(write(in, buf, 10));
	SHOW(lseek(in, 0, SEEK_SET));
	drain("long");
	SHOW(inotify_init1(77));
}

static void overflow(void)
{
	char buf[65536];
	int events = 0, over = 0;
	ssize_t n;

	inotify_add_watch(in, "d", IN_OPEN | IN_CLOSE);
	/* alternating events do not merge */
	for (int i = 0; i < 9000; i++)
		try_open("d/a-rather-long-name", O_RDONLY);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			struct inotify_event *e = (void *)(buf + at);

			events++;
			over += !!(e->mask & IN_Q_OVERFLOW);
			at += (ssize_t)sizeof(*e) + e->len;
		}
	printf("events %d overflow %d\n", events, over);
}

int main(void)
{
	fs_begin();
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	directory();
	file();
	options();
	reading();
	overflow();
	fs_end();
	return 0;
}
