/* Directories: reading, cookies, many names, the working directory. */
#include "tests/guest/fs_util.h"

#define MANY 20000

struct dirent64_ {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names with their types, sorted. */
static void list(const char *name)
{
	char *names[64];
	int n = 0;
	DIR *d = opendir(name);
	struct dirent *e;

	while (d && (e = readdir(d)) && n < 64)
		asprintf(&names[n++], "%s:%d", e->d_name, e->d_type);
	qsort(names, (size_t)n, sizeof(*names), compare);
	printf("%s:", name);
	for (int i = 0; i < n; i++)
		printf(" %s", names[i]);
	printf("\n");
	if (d)
		closedir(d);
}

static void kinds(void)
{
	mkdir("k", 0755);
	put_file("k/file", "x");
	mkdir("k/dir", 0755);
	symlink("x", "k/link");
	mkfifo("k/fifo", 0600);
	mknod("k/sock", S_IFSOCK | 0600, 0);
	mknod("k/null", S_IFCHR | 0600, 0x103);
	list("k");
	list(".");
}

static void many(void)
{
	char name[32], *seen = calloc(1, MANY);
	int n = 0, twice = 0, fd;
	struct dirent *e;
	DIR *d;

	mkdir("many", 0755);
	fd = open("many", O_RDONLY);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		close(openat(fd, name, O_CREAT | O_WRONLY, 0644));
	}
	close(fd);
	d = opendir("many");
	while ((e = readdir(d)))
		if (e->d_name[0] == 'n') {
			int i = atoi(e->d_name + 1);

			twice += seen[i]++;
			n++;
		}
	printf("entries %d twice %d\n", n, twice);
	rewinddir(d);
	/* removed while being read: none is missed */
	n = 0;
	while ((e = readdir(d)))
		if (e->d_name[0] == 'n') {
			n++;
			if (unlinkat(dirfd(d), e->d_name, 0) < 0)
				printf("unlink %s\n", res(-1));
		}
	printf("removed %d\n", n);
	closedir(d);
	SHOW(rmdir("many"));
	free(seen);
}

/* A position taken before the removal of what lies around it still finds the rest. */
static void cookies(void)
{
	char name[16], rest[32][16];
	int n = 0, found = 0;
	struct dirent *e;
	long where = 0;
	DIR *d;

	mkdir("c", 0755);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "c/%d", i);
		put_file(name, "");
	}
	d = opendir("c");
	for (int i = 0; i < 12; i++)
		readdir(d);
	where = telldir(d);
	while ((e = readdir(d)))
		strcpy(rest[n++], e->d_name);
	printf("rest %d\n", n);
	for (int i = 0; i < n; i += 2) {
		snprintf(name, sizeof(name), "c/%.10s", rest[i]);
		if (strcmp(rest[i], ".") && strcmp(rest[i], ".."))
			unlink(name);
	}
	seekdir(d, where);
	while ((e = readdir(d)))
		for (int i = 1; i < n; i += 2)
			found += !strcmp(e->d_name, rest[i]);
	printf("found %d\n", found);
	closedir(d);
}

static void raw(void)
{
	char buf[4096];
	int d = open("k", O_RDONLY), f = open("k/file", O_RDONLY), gone;
	long n;

	SHOW(syscall(SYS_getdents64, d, buf, 10));
	SHOW(syscall(SYS_getdents64, f, buf, sizeof(buf)));
	SHOW(syscall(SYS_getdents64, 999, buf, sizeof(buf)));
	n = syscall(SYS_getdents64, d, buf, 24);
	printf("one entry: %ld\n", n);
	SHOW(syscall(SYS_getdents64, d, (char *)8, 4096));
	SHOW(lseek(d, 0, SEEK_SET));
	int entries = 0;

	n = syscall(SYS_getdents64, d, buf, sizeof(buf));
	for (long at = 0; at < n; at += ((struct dirent64_ *)(buf + at))->reclen) {
		struct dirent64_ *e = (void *)(buf + at);

		entries++;
		if (e->reclen % 8 || !e->ino)
			printf("odd entry %s\n", e->name);
	}
	printf("entries %d\n", entries);
	SHOW(syscall(SYS_getdents64, d, buf, sizeof(buf)));
	SHOW(lseek(d, 0, SEEK_SET));
	SHOW(syscall(SYS_getdents, d, buf, sizeof(buf)) > 0);
	close(d);
	close(f);
	mkdir("gone", 0755);
	gone = open("gone", O_RDONLY);
	rmdir("gone");
	SHOW(syscall(SYS_getdents64, gone, buf, sizeof(buf)));
	close(gone);
}

static void cwd(void)
{
	char buf[256];

	mkdir("w", 0755);
	mkdir("w/x", 0755);
	SHOW(chdir("w/x"));
	SHOW(getcwd(buf, sizeof(buf)) != NULL);
	printf("%s\n", buf + strlen(fs_dir));
	SHOW(syscall(SYS_getcwd, buf, 3));
	SHOW(syscall(SYS_getcwd, (char *)8, 200));
	printf("length %d\n", (int)syscall(SYS_getcwd, buf, 200) - (int)strlen(fs_dir));
	SHOW(rename("../x", "../y"));
	getcwd(buf, sizeof(buf));
	printf("%s\n", buf + strlen(fs_dir));
	SHOW(rmdir("../y"));
	SHOW(syscall(SYS_getcwd, buf, 200));
	SHOW(access(".", F_OK));
	SHOW(access("..", F_OK));
	SHOW(mkdir("z", 0755));
	SHOW(try_open("z", O_CREAT | O_WRONLY));
	SHOW(chdir(".."));
	SHOW(chdir("../k/file"));
	SHOW(chdir("none"));
	SHOW(chdir(""));
	chdir("..");
	int fd = open("k", O_RDONLY), f = open("k/file", O_RDONLY);

	SHOW(fchdir(fd));
	SHOW(access("file", F_OK));
	SHOW(fchdir(f));
	SHOW(fchdir(999));
	chdir("..");
	close(fd);
	close(f);
	/* chroot: ".." stops, names are below */
	fflush(stdout);
	if (fork() == 0) {
		SHOW(chroot("k"));
		SHOW(access("/file", F_OK));
		SHOW(syscall(SYS_getcwd, buf, 200) > 0);
		printf("%.13s\n", buf);
		SHOW(chdir("/"));
		SHOW(syscall(SYS_getcwd, buf, 200));
		SHOW(access("../../file", F_OK));
		SHOW(chroot("file"));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

int main(void)
{
	fs_begin();
	kinds();
	many();
	cookies();
	raw();
	cwd();
	fs_end();
	return 0;
}
