/* mkdir, rmdir, link, unlink, symlink, readlink, rename: results and errors. */
#include "tests/guest/fs_util.h"

static int renameat2_(const char *a, const char *b, unsigned int flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void links_of(const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%s: %s\n", name, res(-1));
	else
		printf("%s: type %o nlink %d\n", name, st.st_mode & S_IFMT, (int)st.st_nlink);
}

static void dirs(void)
{
	SHOW(mkdir("d", 0777));
	SHOW(mkdir("d", 0777));
	SHOW(mkdir("d/", 0777));
	SHOW(mkdir("e/", 0777));
	SHOW(mkdir("n/x", 0777));
	SHOW(mkdir(".", 0777));
	SHOW(mkdir("..", 0777));
	SHOW(mkdir("/", 0777));
	SHOW(mkdir("", 0777));
	put_file("f", "x");
	SHOW(mkdir("f", 0777));
	SHOW(mkdir("f/", 0777));
	SHOW(mkdir("f/x", 0777));
	symlink("nowhere", "dang");
	SHOW(mkdir("dang", 0777));
	SHOW(mkdir("dang/", 0777));
	SHOW(mkdir("d/sub", 0777));
	SHOW(rmdir("d"));
	SHOW(rmdir("d/sub/."));
	SHOW(rmdir("d/sub/.."));
	SHOW(rmdir("d/sub/"));
	SHOW(rmdir("d"));
	SHOW(rmdir("d"));
	SHOW(rmdir("f"));
	SHOW(rmdir("f/"));
	SHOW(rmdir("/"));
	SHOW(rmdir("."));
	SHOW(rmdir("e"));
}

static void unlinks(void)
{
	mkdir("d", 0755);
	symlink("d", "ld");
	symlink("f", "lf");
	SHOW(unlink("d"));
	SHOW(unlink("d/"));
	SHOW(unlink("f/"));
	SHOW(unlink("ld/"));
	SHOW(rmdir("ld"));
	SHOW(rmdir("ld/"));
	SHOW(unlink("."));
	SHOW(unlink(".."));
	SHOW(unlink("none"));
	SHOW(unlink("none/"));
	SHOW(unlink("ld"));
	SHOW(unlink("lf"));
	SHOW(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
	SHOW(unlinkat(AT_FDCWD, "f", 0x1000));
	links_of("f");
}

static void hard_links(void)
{
	mkdir("d", 0755);
	SHOW(link("f", "g"));
	SHOW(link("f", "g"));
	SHOW(link("f", "h/"));
	SHOW(link("d", "dd"));
	SHOW(link("none", "x"));
	SHOW(link("f", "none/x"));
	links_of("f");
	SHOW(unlink("g"));
	links_of("f");
	symlink("f", "l");
	SHOW(link("l", "l2"));
	links_of("l");
	links_of("l2");
	SHOW(linkat(AT_FDCWD, "l", AT_FDCWD, "l3", AT_SYMLINK_FOLLOW));
	links_of("l3");
	SHOW(linkat(AT_FDCWD, "l", AT_FDCWD, "l4", 0x8000));
	SHOW(link("f", "/proc/x"));
}

static void sym_links(void)
{
	char buf[64];

	SHOW(symlink("target", "s"));
	SHOW(symlink("target", "s"));
	SHOW(symlink("", "s2"));
	SHOW(symlink("t", "s3/"));
	memset(buf, '.', sizeof(buf));
	SHOW(readlink("s", buf, sizeof(buf)));
	printf("%.8s\n", buf);
	SHOW(readlink("s", buf, 3));
	SHOW(readlink("s", buf, 0));
	SHOW(readlink("f", buf, sizeof(buf)));
	SHOW(readlink("none", buf, sizeof(buf)));
	SHOW(readlink("d", buf, sizeof(buf)));
	int fd = open("s", O_PATH | O_NOFOLLOW);

	SHOW(readlinkat(fd, "", buf, sizeof(buf)));
	close(fd);
	fd = open("f", O_RDONLY);
	SHOW(readlinkat(fd, "", buf, sizeof(buf)));
	close(fd);
}

static void renames(void)
{
	put_file("a", "a");
	put_file("b", "bb");
	mkdir("d1", 0755);
	mkdir("d2", 0755);
	mkdir("d2/in", 0755);
	SHOW(rename("a", "b"));
	links_of("a");
	SHOW(rename("none", "x"));
	SHOW(rename("b", "d1"));
	SHOW(rename("d1", "b"));
	SHOW(rename("d1", "d2"));
	SHOW(rename("d2", "d1"));
	links_of("d1");
	SHOW(rename("d1", "d1/in/x"));
	SHOW(rename("d1/in", "d1"));
	SHOW(rename("d1", "d1"));
	SHOW(rename("b", "b"));
	SHOW(rename("b", "c/"));
	SHOW(rename("b/", "c"));
	SHOW(rename("d1", "d3/"));
	SHOW(rename("d3/", "d1"));
	SHOW(rename(".", "x"));
	SHOW(rename("d1/.", "x"));
	SHOW(rename("b", ".."));
	link("b", "b2");
	SHOW(rename("b", "b2"));
	links_of("b");
	unlink("b2");
	SHOW(renameat2_("b", "d1", RENAME_NOREPLACE));
	SHOW(renameat2_("b", "c", RENAME_NOREPLACE));
	SHOW(renameat2_("c", "none", RENAME_EXCHANGE));
	SHOW(renameat2_("c", "d1", RENAME_EXCHANGE));
	links_of("c");
	links_of("d1");
	SHOW(renameat2_("c", "d1", RENAME_EXCHANGE));
	SHOW(renameat2_("c", "d1", RENAME_EXCHANGE | RENAME_NOREPLACE));
	SHOW(renameat2_("c", "d1", 64));
	SHOW(renameat2_("d1", "d1/in/x", RENAME_EXCHANGE));
	SHOW(renameat2_("d1/in", "c", RENAME_EXCHANGE));
	links_of("d1");
	links_of("c");
	links_of("d1/in");
	SHOW(rename("c", "/proc/x"));
}

static void counts(void)
{
	mkdir("p", 0755);
	mkdir("q", 0755);
	mkdir("p/x", 0755);
	mkdir("p/y", 0755);
	links_of("p/x");
	SHOW(rename("p/x", "q/x"));
	SHOW(rename("p/y", "q/x"));
	SHOW(rmdir("q/x"));
	SHOW(rmdir("q"));
	SHOW(rmdir("p"));
}

static void open_and_gone(void)
{
	struct stat st;
	char buf[4];
	int fd;

	put_file("o", "abc");
	fd = open("o", O_RDWR);
	SHOW(unlink("o"));
	fstat(fd, &st);
	printf("nlink %d\n", (int)st.st_nlink);
	SHOW(read(fd, buf, 3));
	SHOW(write(fd, "more", 4));
	put_file("o", "new");
	fstat(fd, &st);
	printf("size %d\n", (int)st.st_size);
	close(fd);
	put_file("r1", "1");
	put_file("r2", "22");
	fd = open("r2", O_RDONLY);
	SHOW(rename("r1", "r2"));
	fstat(fd, &st);
	printf("size %d nlink %d\n", (int)st.st_size, (int)st.st_nlink);
	close(fd);
}

static void long_names(void)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	printf("255: %s\n", res(mkdir(name, 0755)));
	name[255] = 'n';
	name[256] = 0;
	printf("256: %s\n", res(mkdir(name, 0755)));
	char *path = malloc(5000);

	for (int i = 0; i < 4998; i += 2)
		memcpy(path + i, "./", 2);
	path[4094] = 0;
	printf("4094: %s\n", res(access(path, F_OK)));
	path[4094] = '.';
	path[4096] = 0;
	printf("4096: %s\n", res(access(path, F_OK)));
	free(path);
}

static void dirfds(void)
{
	int d, f = open("f", O_RDONLY);

	mkdir("dd", 0755);
	d = open("dd", O_RDONLY);
	SHOW(mkdirat(d, "in", 0755));
	SHOW(mkdirat(f, "in", 0755));
	SHOW(mkdirat(999, "in", 0755));
	SHOW(mkdirat(999, "/tmp", 0755));
	SHOW(symlinkat("x", d, "sym"));
	SHOW(renameat(d, "sym", AT_FDCWD, "moved"));
	SHOW(unlinkat(d, "in", 0));
	SHOW(unlinkat(d, "in", AT_REMOVEDIR));
	SHOW(rmdir("dd"));
	SHOW(mkdirat(d, "in", 0755));
	SHOW(openat(d, ".", O_RDONLY) >= 0);
	SHOW(openat(d, "..", O_RDONLY) >= 0);
	close(d);
	close(f);
}

int main(void)
{
	fs_begin();
	dirs();
	unlinks();
	hard_links();
	sym_links();
	renames();
	counts();
	open_and_gone();
	long_names();
	dirfds();
	fs_end();
	return 0;
}
