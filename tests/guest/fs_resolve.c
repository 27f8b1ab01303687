/* openat2(2)'s restrictions, and ".." where something was moved meanwhile. */
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <time.h>

#include "tests/guest/fs_util.h"

static int open2(int dir, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .resolve = resolve};
	int fd;

	if (flags & O_CREAT)
		how.mode = 0600;
	/* Any rename on the machine may make a ".." doubtful. */
	for (int i = 0; i < 100; i++) {
		fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN || (resolve & RESOLVE_CACHED))
			break;
	}
	return fd;
}

static void try(int dir, const char *name, uint64_t flags, uint64_t resolve)
{
	int fd, tries = 0;

	/* Linux says EAGAIN for any rename or mount on the host meanwhile. */
	do
		fd = open2(dir, name, flags, resolve);
	while (fd < 0 && errno == EAGAIN && !(resolve & RESOLVE_CACHED) && tries++ < 1000);

	printf("%s flags %llo resolve %llx: %s\n", name, (unsigned long long)flags,
	       (unsigned long long)resolve, ok(fd));
	if (fd >= 0)
		close(fd);
}

static void magic_links(void)
{
	static const char *const names[] = {
	    "/proc/self/fd/0", "/proc/self/cwd",    "/proc/self/root/tmp", "/proc/self/exe",
	    "/proc/self",      "/proc/thread-self", "/proc/self/ns/net",   "/proc/self/fd"};
	static const uint64_t rules[] = {RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
					 RESOLVE_NO_XDEV, RESOLVE_IN_ROOT, RESOLVE_BENEATH};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
			if (rules[r] == RESOLVE_NO_XDEV)
				continue; /* /proc is another mount already */
			try(AT_FDCWD, names[i], O_RDONLY | O_PATH, rules[r]);
		}
	/* Not followed: no matter. */
	try(AT_FDCWD, "/proc/self/exe", O_PATH | O_NOFOLLOW, RESOLVE_NO_MAGICLINKS);
	symlink("/proc/self/fd/0", "to_magic");
	try(AT_FDCWD, "to_magic", O_PATH, RESOLVE_NO_MAGICLINKS);
	try(AT_FDCWD, "to_magic", O_RDWR | O_CREAT, RESOLVE_NO_MAGICLINKS);
	try(AT_FDCWD, "to_magic", O_RDWR | O_CREAT, RESOLVE_NO_SYMLINKS);
}

static void scoped(int dir)
{
	static const char *const names[] = {
	    "f",   "sub/../f",	   "..",       "../f",	   "sub/../../f", "/f",
	    "abs", "up",	   "sub/in",   "chain",	   "/",		  ".",
	    "",	   "sub/../sub/f", "dangling", "sub/loop", "sub/../..",	  "f/..",
	};
	static const uint64_t rules[] = {RESOLVE_BENEATH, RESOLVE_IN_ROOT,
					 RESOLVE_BENEATH | RESOLVE_IN_ROOT,
					 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	mkdirat(dir, "sub", 0755);
	symlinkat("/f", dir, "abs");
	symlinkat("../f", dir, "up");
	symlinkat("../f", dir, "sub/in");
	symlinkat("sub/in", dir, "chain");
	symlinkat("none", dir, "dangling");
	symlinkat("loop", dir, "sub/loop");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
			try(dir, names[i], O_RDONLY, rules[r]);
			try(dir, names[i], O_RDWR | O_CREAT, rules[r]);
			unlinkat(dir, "none", 0);
		}
}

static void cached(int dir)
{
	struct stat st;

	fstatat(dir, "f", &st, 0);
	try(dir, "f", O_RDONLY, RESOLVE_CACHED | 64);
	try(dir, "f", O_RDONLY, RESOLVE_CACHED | RESOLVE_BENEATH | RESOLVE_IN_ROOT);
	try(dir, "f", O_RDWR | O_CREAT, RESOLVE_CACHED);
	try(dir, "f", O_RDWR | O_TRUNC, RESOLVE_CACHED);
	try(dir, ".", O_RDWR | O_TMPFILE, RESOLVE_CACHED);
}

static void mounts(int dir)
{
	int fd;

	mkdir("m", 0755);
	put_file("over", "over");
	printf("tmpfs: %s\n", ok(mount("none", "m", "tmpfs", 0, NULL)));
	printf("bind: %s\n", ok(mount("over", "top/root/f", NULL, MS_BIND, NULL)));
	put_file("m/f", "m");
	fd = open(".", O_PATH);
	try(fd, "m/f", O_RDONLY, RESOLVE_NO_XDEV);
	try(fd, "m", O_RDONLY, RESOLVE_NO_XDEV);
	try(fd, "m", O_RDWR | O_CREAT, RESOLVE_NO_XDEV);
	try(fd, "m/../over", O_RDONLY, RESOLVE_NO_XDEV);
	try(fd, "m/new", O_RDWR | O_CREAT, RESOLVE_NO_XDEV);
	try(dir, "f", O_RDONLY, RESOLVE_NO_XDEV);
	try(dir, "f", O_RDWR | O_CREAT, RESOLVE_NO_XDEV);
	try(dir, "f", O_RDWR | O_CREAT, 0);
	try(dir, "new", O_RDWR | O_CREAT, RESOLVE_NO_XDEV);
	close(fd);
	fd = open("m", O_PATH);
	try(fd, "..", O_RDONLY, RESOLVE_NO_XDEV);
	try(fd, "..", O_RDONLY, RESOLVE_BENEATH);
	try(fd, "..", O_RDONLY, RESOLVE_IN_ROOT);
	try(fd, "../over", O_RDONLY, 0);
	close(fd);
	SHOW_OK(umount("top/root/f"));
	SHOW_OK(umount("m"));
}

/* A directory that is moved out of the bind mount through which it was reached. */
static void disconnected(void)
{
	char buf[4096];
	int fd;

	mkdir("a", 0755);
	mkdir("a/b", 0755);
	mkdir("a/b/c", 0755);
	mkdir("a/b/c/d", 0755);
	printf("bind: %s\n", ok(mount("a/b", "m", NULL, MS_BIND, NULL)));
	fd = open("m/c", O_PATH);
	fchdir(fd);
	SHOW_OK(chdir("../c"));
	SHOW_OK(rename("../../a/b/c", "../../a/c"));
	fchdir(fd);
	SHOW_OK(chdir("d"));
	SHOW_OK(chdir(".."));
	SHOW_OK(chdir(".."));
	SHOW_OK(access("..", F_OK));
	SHOW_OK(access("../..", F_OK));
	SHOW_OK(access("d/..", F_OK));
	SHOW_OK(access("d/../..", F_OK));
	SHOW_OK(mkdir("../new", 0755));
	printf("getcwd: %s\n", getcwd(buf, sizeof(buf)) && *buf == '/' ? "a path" : "none");
	chdir(fs_dir);
	close(fd);
	SHOW_OK(umount2("m", MNT_DETACH));
}

static void no_follow_mount(void)
{
	SHOW_OK(mount("none", "m", "tmpfs", 256 /* MS_NOSYMFOLLOW */, NULL));
	put_file("m/f", "f");
	symlink("f", "m/l");
	try(AT_FDCWD, "m/l", O_RDONLY, 0);
	try(AT_FDCWD, "m/l", O_PATH | O_NOFOLLOW, 0);
	try(AT_FDCWD, "m/l", O_RDWR | O_CREAT, 0);
	try(AT_FDCWD, "m/f", O_RDONLY, 0);
	umount("m");
}

static void swap_for_ever(void)
{
	for (;;)
		syscall(SYS_renameat2, AT_FDCWD, "top/root/c", AT_FDCWD, "top/b", RENAME_EXCHANGE);
}

static void mount_for_ever(void)
{
	for (;;) {
		mount("top/root/c", "top/b", NULL, MS_MOVE, NULL);
		mount("top/b", "top/root/c", NULL, MS_MOVE, NULL);
	}
}

/* Does a walk that must stay in top/root ever end in top, or above? */
static void race(const char *what, int dir, void (*other)(void), uint64_t resolve)
{
	struct stat root, st;
	long escaped = 0, inside = 0;
	struct timespec begun, now;
	pid_t pid = fork();

	if (pid == 0)
		other();
	fstat(dir, &root);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		for (int i = 0; i < 100; i++) {
			int fd = open2(dir, "c/../c/../c/..", O_PATH, resolve);

			if (fd < 0)
				continue;
			fstat(fd, &st);
			if (st.st_ino == root.st_ino)
				inside++;
			else
				escaped++;
			close(fd);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begun.tv_sec + (now.tv_nsec - begun.tv_nsec) / 1e9 < 0.7);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("%s resolve %llx: escaped %ld, %s\n", what, (unsigned long long)resolve, escaped,
	       inside ? "arrived" : "never arrived");
}

int main(void)
{
	int dir;

	fs_begin();
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		printf("no mount namespace: %s\n", strerrorname_np(errno));
	mkdir("top", 0755);
	mkdir("top/root", 0755);
	mkdir("top/root/c", 0755);
	mkdir("top/b", 0755);
	put_file("top/root/f", "inside");
	put_file("top/f", "outside");
	dir = open("top/root", O_PATH);
	magic_links();
	scoped(dir);
	cached(dir);
	mounts(dir);
	disconnected();
	no_follow_mount();
	race("rename", dir, swap_for_ever, RESOLVE_IN_ROOT);
	race("rename", dir, swap_for_ever, RESOLVE_BENEATH);
	if (mount("none", "top/root/c", "tmpfs", 0, NULL) == 0)
		race("mount", dir, mount_for_ever, RESOLVE_IN_ROOT);
	umount2("top/root/c", MNT_DETACH);
	umount2("top/b", MNT_DETACH);
	fs_end();
	return 0;
}
