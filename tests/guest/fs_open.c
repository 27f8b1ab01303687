/* open(2), openat2(2): flags, errors, types of files. */
#include <linux/openat2.h>

#include "tests/guest/fs_util.h"

static long openat2_(const char *name, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
	long fd = syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how));

	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? -1 : 0;
}

static void flags_of(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	printf("flags %s %o: %o %d\n", name, flags, fd < 0 ? errno : fcntl(fd, F_GETFL),
	       fd < 0 ? -1 : fcntl(fd, F_GETFD));
	if (fd >= 0)
		close(fd);
}

static void plain(void)
{
	SHOW(try_open("f", O_RDONLY));
	SHOW(try_open("f", O_CREAT | O_EXCL | O_WRONLY));
	SHOW(try_open("f", O_CREAT | O_EXCL | O_WRONLY));
	SHOW(try_open("f", O_CREAT | O_WRONLY));
	SHOW(try_open("f", O_RDONLY | O_DIRECTORY));
	SHOW(try_open("f/", O_RDONLY));
	SHOW(try_open("f/x", O_RDONLY));
	SHOW(try_open("new/", O_CREAT | O_WRONLY));
	SHOW(try_open("", O_RDONLY));
	SHOW(try_open("none/x", O_CREAT | O_WRONLY));
	SHOW(try_open(".", O_RDONLY));
	SHOW(try_open(".", O_WRONLY));
	SHOW(try_open(".", O_RDWR));
	SHOW(try_open(".", O_RDONLY | O_CREAT));
	SHOW(try_open("..", O_RDONLY | O_CREAT | O_EXCL));
	SHOW(try_open(".", O_RDONLY | O_DIRECTORY));
	SHOW(try_open("d2", O_RDONLY | O_CREAT | O_DIRECTORY));
	mkdir("d", 0755);
	SHOW(try_open("d", O_RDONLY | O_CREAT));
	SHOW(try_open("d", O_RDONLY | O_TRUNC));
	SHOW(try_open("d/", O_RDONLY));
	SHOW(try_open("d", O_PATH));
	SHOW(try_open("f", O_PATH | O_DIRECTORY));
}

static void links(void)
{
	symlink("f", "l");
	symlink("nowhere", "dangling");
	symlink("loop", "loop");
	symlink("d", "ld");
	SHOW(try_open("l", O_RDONLY));
	SHOW(try_open("l", O_RDONLY | O_NOFOLLOW));
	SHOW(try_open("l", O_PATH | O_NOFOLLOW));
	SHOW(try_open("l/", O_RDONLY));
	SHOW(try_open("ld/", O_RDONLY | O_NOFOLLOW));
	SHOW(try_open("ld", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	SHOW(try_open("loop", O_RDONLY));
	SHOW(try_open("loop", O_RDONLY | O_CREAT));
	SHOW(try_open("dangling", O_RDONLY));
	SHOW(try_open("dangling", O_CREAT | O_EXCL | O_WRONLY));
	SHOW(try_open("dangling", O_CREAT | O_NOFOLLOW | O_WRONLY));
	SHOW(try_open("dangling", O_CREAT | O_WRONLY));
	SHOW(access("nowhere", F_OK));
}

static void openat2s(void)
{
	SHOW(openat2_("f", O_RDONLY, 0, 0));
	SHOW(openat2_("f", O_RDONLY, 0644, 0));
	SHOW(openat2_("f", O_RDONLY | (1ULL << 40), 0, 0));
	SHOW(openat2_("f", O_RDONLY, 0, 1 << 20));
	SHOW(openat2_("l", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
	SHOW(openat2_("../f", O_RDONLY, 0, RESOLVE_BENEATH));
	SHOW(openat2_("d/../f", O_RDONLY, 0, RESOLVE_BENEATH));
	SHOW(openat2_("/f", O_RDONLY, 0, RESOLVE_BENEATH));
	SHOW(openat2_("/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
	SHOW(openat2_("/../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
	SHOW(openat2_("f", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH));
	SHOW(openat2_("c", O_CREAT | O_WRONLY, 0600, RESOLVE_BENEATH));
	SHOW(openat2_("/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
	SHOW(openat2_("f", O_PATH | O_RDWR, 0, 0));
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", "", 8));
}

static void o_path(void)
{
	int fd = open("f", O_PATH), d = open("d", O_PATH | O_DIRECTORY), other;
	char buf[4];
	struct stat st;

	SHOW(read(fd, buf, 1));
	SHOW(write(fd, buf, 1));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(fchmod(fd, 0600));
	SHOW(fchown(fd, 0, 0));
	SHOW(ftruncate(fd, 0));
	SHOW(fsync(fd));
	SHOW(fstat(fd, &st));
	SHOW(fchdir(d));
	SHOW(chdir(".."));
	other = fcntl(fd, F_DUPFD, 100);
	SHOW(other);
	SHOW(fcntl(fd, F_SETFL, 0));
	SHOW(openat(d, "../f", O_RDONLY) >= 0);
	SHOW(openat(fd, "x", O_RDONLY));
	SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH));
	SHOW(faccessat(fd, "", R_OK, 0));
	close(fd);
	close(d);
	close(other);
}

static void tmpfile_(void)
{
	char name[64], buf[8] = "";
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0) {
		printf("O_TMPFILE: %s\n", res(fd));
		return;
	}
	SHOW(write(fd, "hello", 5));
	fstat(fd, &st);
	printf("nlink %d mode %o size %d\n", (int)st.st_nlink, st.st_mode, (int)st.st_size);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, name, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	fstat(fd, &st);
	printf("nlink %d\n", (int)st.st_nlink);
	close(fd);
	fd = open("linked", O_RDONLY);
	SHOW(read(fd, buf, 8));
	printf("%s\n", buf);
	close(fd);
	SHOW(try_open(".", O_TMPFILE | O_RDONLY));
	SHOW(try_open("f", O_TMPFILE | O_RDWR));
	SHOW(try_open("nodir", O_TMPFILE | O_RDWR));
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, name, AT_FDCWD, "linked2", AT_SYMLINK_FOLLOW));
	close(fd);
}

static void modes(void)
{
	struct stat st;
	int fd;

	umask(027);
	fd = open("m1", O_CREAT | O_WRONLY, 0666);
	fstat(fd, &st);
	printf("mode %o\n", st.st_mode);
	close(fd);
	umask(0);
	fd = open("m2", O_CREAT | O_RDWR, 07777);
	fstat(fd, &st);
	printf("mode %o\n", st.st_mode);
	close(fd);
	/* the mode does not bind the descriptor that made the file */
	fd = open("m3", O_CREAT | O_RDWR, 0);
	SHOW(write(fd, "x", 1));
	close(fd);
	umask(022);
}

static void special(void)
{
	char buf[4];
	int fd;

	SHOW(mknod("null", S_IFCHR | 0666, 0x103));
	SHOW(mkfifo("fifo", 0644));
	SHOW(try_open("fifo", O_WRONLY | O_NONBLOCK));
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	SHOW(read(fd, buf, 1));
	SHOW(try_open("fifo", O_WRONLY | O_NONBLOCK));
	close(fd);
	SHOW(mknod("sock", S_IFSOCK | 0644, 0));
	SHOW(try_open("sock", O_RDONLY));
	SHOW(try_open("fifo", O_RDONLY | O_NONBLOCK | O_DIRECTORY));
}

static void truncation(void)
{
	struct stat st;
	int fd;

	put_file("t", "0123456789");
	fd = open("t", O_RDONLY | O_TRUNC);
	fstat(fd, &st);
	printf("size after O_RDONLY|O_TRUNC: %d\n", (int)st.st_size);
	close(fd);
	put_file("t", "0123456789");
	fd = open("t", O_WRONLY | O_APPEND);
	SHOW(write(fd, "abc", 3));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(pwrite(fd, "Z", 1, 0));
	fstat(fd, &st);
	printf("size %d\n", (int)st.st_size);
	close(fd);
}

int main(void)
{
	fs_begin();
	plain();
	links();
	openat2s();
	o_path();
	tmpfile_();
	modes();
	special();
	truncation();
	flags_of("f", O_RDONLY);
	flags_of("f", O_RDWR | O_APPEND | O_NONBLOCK | O_CLOEXEC);
	flags_of("f", O_WRONLY | O_CREAT | O_TRUNC | O_SYNC);
	flags_of("d", O_RDONLY | O_DIRECTORY);
	flags_of("f", O_PATH | O_CLOEXEC);
	SHOW(try_open((char *)8, O_RDONLY));
	fs_end();
	return 0;
}
