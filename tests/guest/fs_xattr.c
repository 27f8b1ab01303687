/* Extended attributes: names, sizes, flags, who may. */
#include <sys/xattr.h>

#include "tests/guest/fs_util.h"

/* Files of the host have none of these: they would speak to its kernel. */
static int with_trusted(void)
{
	return !getenv("FS_TEST_HOST_FILES");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *name)
{
	char buf[1024], *names[32];
	ssize_t n = listxattr(name, buf, sizeof(buf));
	int count = 0;

	printf("%s: %s:", name, res(n));
	for (char *p = buf; p < buf + n; p += strlen(p) + 1)
		names[count++] = p;
	qsort(names, (size_t)count, sizeof(*names), compare);
	for (int i = 0; i < count; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void as_user(void)
{
	char buf[64];

	SHOW(setxattr("f", "user.x", "1", 1, 0));
	SHOW(getxattr("f", "user.a", buf, sizeof(buf)));
	if (with_trusted()) {
		SHOW(getxattr("f", "trusted.t", buf, sizeof(buf)));
		if (with_trusted())
			SHOW(setxattr("f", "trusted.t", "1", 1, 0));
	}
	SHOW(setxattr("own", "user.x", "1", 1, 0));
	SHOW(setxattr("own", "security.x", "1", 1, 0));
	SHOW(removexattr("f", "user.a"));
	list("f");
}

int main(void)
{
	char buf[70000] = "", name[300];
	int fd;

	fs_begin();
	put_file("f", "x");
	put_file("own", "x");
	chown("own", 1000, 1000);
	symlink("f", "l");
	mkdir("d", 0755);
	SHOW(setxattr("f", "user.a", "value", 5, 0));
	SHOW(getxattr("f", "user.a", NULL, 0));
	SHOW(getxattr("f", "user.a", buf, 3));
	SHOW(getxattr("f", "user.a", buf, 64));
	printf("%.5s\n", buf);
	SHOW(getxattr("l", "user.a", buf, 64));
	SHOW(lgetxattr("l", "user.a", buf, 64));
	SHOW(lsetxattr("l", "user.a", "x", 1, 0));
	if (with_trusted())
		SHOW(lsetxattr("l", "trusted.a", "x", 1, 0));
	SHOW(setxattr("f", "user.a", "x", 1, XATTR_CREATE));
	SHOW(setxattr("f", "user.b", "x", 1, XATTR_REPLACE));
	SHOW(setxattr("f", "user.a", "xy", 2, XATTR_REPLACE));
	SHOW(setxattr("f", "user.a", "xy", 2, 77));
	SHOW(setxattr("f", "user.empty", NULL, 0, 0));
	SHOW(getxattr("f", "user.empty", buf, 64));
	if (with_trusted())
		SHOW(setxattr("f", "trusted.t", "1", 1, 0));
	SHOW(setxattr("d", "user.d", "1", 1, 0));
	SHOW(setxattr("f", "user.", "1", 1, 0));
	SHOW(setxattr("f", "nothing", "1", 1, 0));
	SHOW(setxattr("f", "other.x", "1", 1, 0));
	SHOW(setxattr("f", "", "1", 1, 0));
	SHOW(setxattr("f", "user.big", buf, 65537, 0));
	SHOW(setxattr("none", "user.a", "1", 1, 0));
	strcpy(name, "user.");
	memset(name + 5, 'n', 251);
	name[256] = 0;
	printf("long name: %s\n", res(setxattr("f", name, "1", 1, 0)));
	name[255] = 0;
	printf("longest name: %s\n", res(setxattr("f", name, "1", 1, 0)));
	SHOW(removexattr("f", name));
	SHOW(removexattr("f", "user.nothing"));
	SHOW(getxattr("f", "user.nothing", buf, 64));
	list("f");
	list("d");
	SHOW(listxattr("f", buf, 3));
	SHOW(listxattr("f", NULL, 0));
	fd = open("f", O_RDONLY);
	SHOW(fsetxattr(fd, "user.fd", "1", 1, 0));
	SHOW(fgetxattr(fd, "user.fd", buf, 64));
	SHOW(fremovexattr(fd, "user.fd"));
	SHOW(flistxattr(fd, NULL, 0));
	close(fd);
	SHOW(fgetxattr(fd, "user.fd", buf, 64));
	SHOW(getxattr("f", "user.a", (char *)8, 64));
	SHOW(setxattr("f", "user.a", (char *)8, 64, 0));
	fflush(stdout);
	if (fork() == 0) {
		if (setgid(1000) == 0 && setuid(1000) == 0)
			as_user();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	fs_end();
	return 0;
}
