/*
 * Sizes, depths and names at their limits, and what goes away while it is used:
 * deep trees, odd names, a directory emptied while it is listed, sparse files,
 * a mapping cut off, nameless files, lock cycles.
 */
#include <limits.h>
#include <setjmp.h>
#include <sys/mman.h>

#include "tests/guest/fs_util.h"

#define DEPTH 500

static void deep_tree(void)
{
	char buf[2 * PATH_MAX];
	int made = 0, removed = 0;

	mkdir("deep", 0755);
	chdir("deep");
	while (made < DEPTH && mkdir("d", 0755) == 0 && chdir("d") == 0)
		made++;
	printf("made %d\n", made);
	printf("getcwd: %s\n", getcwd(buf, sizeof(buf)) ? "ok" : strerrorname_np(errno));
	printf("/proc/self/cwd: %s\n", ok(readlink("/proc/self/cwd", buf, sizeof(buf))));
	put_file("f", "deep");
	SHOW_OK(access("../d/f", F_OK));
	SHOW_OK(rename("f", "../f"));
	SHOW_OK(rename("../../d", "../../e"));
	SHOW_OK(chdir("../../e"));
	SHOW_OK(unlink("f"));
	SHOW_OK(chdir("d"));
	chdir("..");
	SHOW_OK(rmdir("d"));
	chdir("..");
	SHOW_OK(rmdir("e"));
	removed = 2;
	while (removed < made && chdir("..") == 0 && rmdir("d") == 0)
		removed++;
	printf("removed %d\n", removed);
	chdir(fs_dir);
	SHOW_OK(rmdir("deep"));
}

/* The whole tree goes with its top's name only in tmpfs terms: here bottom up, by its cwd. */
static void long_paths(void)
{
	char path[2 * PATH_MAX] = "", name[NAME_MAX + 1];

	memset(name, 'p', NAME_MAX);
	name[NAME_MAX] = '\0';
	chdir(fs_dir);
	for (int i = 0; i < 15; i++) {
		mkdir(name, 0755);
		chdir(name);
	}
	chdir(fs_dir);
	for (int i = 0; i < 15; i++) {
		strcat(path, name);
		strcat(path, "/");
	}
	SHOW_OK(access(path, F_OK));
	strcat(path, "x/");
	memset(path + strlen(path), '/', PATH_MAX - 1 - strlen(path));
	path[PATH_MAX - 1] = '\0';
	SHOW_OK(access(path, F_OK));
	path[PATH_MAX - 1] = '/';
	path[PATH_MAX] = '\0';
	SHOW_OK(access(path, F_OK));
}

static void odd_names(void)
{
	static const char *const names[] = {
	    "\n", " ",	  "\\",	  "\t\x7f",   "\xff\xfe", "a\nb", "...", "-rf",
	    "*",  "\x01", "%s%n", "\xc3\x28", "\"'`$(x)", ".. ",  "CON", "a:b",
	};
	char buf[PATH_MAX], link[64];
	int fd;

	mkdir("odd", 0755);
	chdir("odd");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fd = open(names[i], O_CREAT | O_EXCL | O_RDWR, 0644);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, buf, sizeof(buf) - 1);

		buf[n > 0 ? n : 0] = '\0';
		printf("%zu: %s, %s\n", i, ok(fd),
		       n > 0 && strrchr(buf, '/') && !strcmp(strrchr(buf, '/') + 1, names[i])
			   ? "its name"
			   : "another name");
		close(fd);
	}
	DIR *d = opendir(".");
	int seen = 0;

	while (readdir(d))
		seen++;
	closedir(d);
	printf("seen %d\n", seen);
	chdir(fs_dir);
}

/* Each name at most once, whatever goes meanwhile; and none that was gone before. */
static void emptied_while_listed(void)
{
	static char seen[1000];
	int twice = 0, count = 0, removed = 0;
	struct dirent *e;
	char name[32];
	DIR *d;

	mkdir("big", 0755);
	chdir("big");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	d = opendir(".");
	while ((e = readdir(d))) {
		int i = atoi(e->d_name);

		if (e->d_name[0] == '.')
			continue;
		twice += seen[i]++;
		count++;
		/* This one, and one that may come yet. */
		removed += unlink(e->d_name) == 0;
		snprintf(name, sizeof(name), "%d", (i * 7 + 3) % 1000);
		removed += unlink(name) == 0;
	}
	closedir(d);
	printf("listed %s, twice %d, removed %d\n", count >= 500 ? "enough" : "too few", twice,
	       removed);
	chdir("..");
	SHOW_OK(rmdir("big"));
}

static void sparse(void)
{
	int fd = open("sparse", O_CREAT | O_RDWR, 0644);
	struct stat st;
	char c = 'x';

	/* As large as every file system can. */
	SHOW_OK(ftruncate(fd, 1LL << 40));
	SHOW(pwrite(fd, &c, 1, (1LL << 40) - 1));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(pread(fd, &c, 1, 1LL << 39));
	printf("%d\n", c);
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(pread(fd, &c, 1, -1));
	SHOW(pwrite(fd, &c, 1, LLONG_MIN));
	SHOW(ftruncate(fd, -1));
	SHOW(pread(fd, &c, 1, LLONG_MAX));
	SHOW(lseek(fd, LLONG_MAX, SEEK_CUR) < 0 ? -1 : 0);
	printf("end of the world: %s\n",
	       pwrite(fd, &c, 1, LLONG_MAX) < 0 && (errno == EFBIG || errno == EINVAL) ? "no"
										       : "?");
	fstat(fd, &st);
	printf("size %lld, blocks %s\n", (long long)st.st_size,
	       st.st_blocks < 1000 ? "few" : "many");
	SHOW_OK(ftruncate(fd, 0));
	close(fd);
}

static sigjmp_buf back;

static void on_bus(int sig)
{
	siglongjmp(back, sig);
}

static void cut_mapping(void)
{
	int fd = open("mapped", O_CREAT | O_RDWR, 0644), sig;
	char *p;

	ftruncate(fd, 8192);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p[0] = p[4096] = 'a';
	signal(SIGBUS, on_bus);
	SHOW_OK(ftruncate(fd, 100));
	printf("first page %c, behind the end %d\n", p[0], p[200]);
	sig = sigsetjmp(back, 1);
	if (sig == 0)
		p[4096] = 'b';
	printf("second page: signal %d\n", sig);
	SHOW_OK(ftruncate(fd, 8192));
	printf("again: %d\n", p[4096]);
	/* A call that would write there gets an error, not a signal. */
	SHOW_OK(ftruncate(fd, 100));
	SHOW(read(open("/dev/zero", O_RDONLY), p + 4096, 10));
	munmap(p, 8192);
	close(fd);
	signal(SIGBUS, SIG_DFL);
}

static void nameless(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600), excl;
	char link[64];
	struct stat st;

	SHOW(write(fd, "tmp", 3));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	SHOW_OK(linkat(AT_FDCWD, link, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	SHOW_OK(linkat(fd, "", AT_FDCWD, "named2", AT_EMPTY_PATH));
	fstat(fd, &st);
	printf("links %ld\n", (long)st.st_nlink);
	SHOW_OK(unlink("named"));
	SHOW_OK(unlink("named2"));
	/* Its last name is gone for good. */
	SHOW_OK(linkat(AT_FDCWD, link, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
	excl = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", excl);
	SHOW_OK(linkat(AT_FDCWD, link, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
	close(fd);
	close(excl);
}

static int lock(int fd, int cmd, int at)
{
	struct flock l = {.l_type = F_WRLCK, .l_start = at, .l_len = 1};

	return fcntl(fd, cmd, &l);
}

/* A ring of three: exactly one is told of the deadlock. */
static void lock_ring(void)
{
	int fd, status, deadlocks = 0, ready[2], go[2];
	char c;

	pipe(ready);
	pipe(go);
	put_file("locks", "abc");
	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			fd = open("locks", O_RDWR);
			lock(fd, F_SETLK, i);
			write(ready[1], "r", 1);
			read(go[0], &c, 1);
			_exit(lock(fd, F_SETLKW, (i + 1) % 3) < 0 ? errno == EDEADLK ? 1 : 2 : 0);
		}
	for (int i = 0; i < 3; i++)
		read(ready[0], &c, 1);
	write(go[1], "ggg", 3);
	for (int i = 0; i < 3; i++) {
		wait(&status);
		deadlocks += WEXITSTATUS(status) == 1;
	}
	printf("deadlocks %d\n", deadlocks);
	/* Exits of the first let the others go on. */
}

static void own_children(void)
{
	/* A directory into itself, over itself, over its parent. */
	mkdir("x", 0755);
	mkdir("x/y", 0755);
	mkdir("x/y/z", 0755);
	SHOW_OK(rename("x", "x/y/z/w"));
	SHOW_OK(rename("x", "x"));
	SHOW_OK(rename("x/y/z", "x"));
	SHOW_OK(rename("x/y/z", "x/y"));
	SHOW_OK(renameat2(AT_FDCWD, "x", AT_FDCWD, "x/y/z", RENAME_EXCHANGE));
	SHOW_OK(renameat2(AT_FDCWD, "x/y/z", AT_FDCWD, "x", RENAME_EXCHANGE));
	SHOW_OK(rename("x/y/..", "q"));
	SHOW_OK(rename("x/y/.", "q"));
	SHOW_OK(link("x", "hard"));
	SHOW_OK(unlink("x"));
	SHOW_OK(rmdir("x/."));
	SHOW_OK(rmdir("x/y/.."));
}

int main(void)
{
	fs_begin();
	deep_tree();
	long_paths();
	odd_names();
	emptied_while_listed();
	sparse();
	cut_mapping();
	nameless();
	lock_ring();
	own_children();
	fs_end();
	return 0;
}
