/*
 * Processes that make, move, link, mount, run and remove the same few names at
 * random, for a second: nothing may hang or break, and all of it can be removed.
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <time.h>

#include "tests/guest/fs_util.h"

#define PROCESSES 6

static unsigned int seed;
static int yard; /* where the names are: their ".." is still the test's own directory */

static unsigned int pick(unsigned int n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static const char *name(void)
{
	static const char *const names[] = {
	    "a",    "b",   "c",	  "d",	 "d/a",	  "d/b",  "d/e",    "d/e/a", "e",
	    "e/a",  "e/d", "l",	  "l/a", "l/d/b", "a/..", "d/../e", "e/d/a", "d/l",
	    "up/a", "m",   "m/a", "m/d", "m/d/a", "f",	  "prog",
	};
	static char copies[4][64];
	static int at;
	char *p = copies[at++ % 4];

	strcpy(p, names[pick(sizeof(names) / sizeof(names[0]))]);
	return p;
}

static void with_file(void)
{
	static const int flags[] = {O_RDONLY,
				    O_RDWR | O_CREAT,
				    O_WRONLY | O_CREAT | O_EXCL,
				    O_WRONLY | O_TRUNC,
				    O_PATH,
				    O_RDWR | O_CREAT | O_APPEND,
				    O_RDONLY | O_DIRECTORY};
	int fd = open(name(), flags[pick(7)] | O_NONBLOCK, 0644);
	char buf[64] = "content";
	struct stat st;
	char *p;

	if (fd < 0)
		return;
	(void)!write(fd, buf, sizeof(buf));
	(void)!pread(fd, buf, sizeof(buf), 0);
	fstat(fd, &st);
	(void)!ftruncate(fd, pick(10000));
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		munmap(p, 4096);
	fsetxattr(fd, "user.x", "1", 1, 0);
	fchmod(fd, 0600 | pick(0200));
	syscall(SYS_getdents64, fd, buf, sizeof(buf));
	close(fd);
}

static void nameless(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	linkat(AT_FDCWD, link, AT_FDCWD, name(), AT_SYMLINK_FOLLOW);
	close(fd);
}

static void run(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl("prog", "prog", "child", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void walk_up(void)
{
	char buf[4096];

	if (chdir(name()) == 0) {
		(void)!getcwd(buf, sizeof(buf));
		access("../../d/a", F_OK);
		(void)!fchdir(yard);
	}
}

static void act(void)
{
	switch (pick(20)) {
	case 0 ... 4:
		with_file();
		break;
	case 5:
		unlink(name());
		break;
	case 6:
		mkdir(name(), 0755);
		break;
	case 7:
		rmdir(name());
		break;
	case 8 ... 9:
		rename(name(), name());
		break;
	case 10 ... 11:
		renameat2(AT_FDCWD, name(), AT_FDCWD, name(), RENAME_EXCHANGE);
		break;
	case 12:
		symlink(name(), name());
		break;
	case 13:
		link(name(), name());
		break;
	case 14:
		nameless();
		break;
	case 15:
		if (pick(3))
			mount("none", "m", "tmpfs", 0, "size=1m");
		else
			mount(name(), "m", NULL, MS_BIND | MS_REC, NULL);
		break;
	case 16:
		umount2("m", pick(2) ? MNT_DETACH : 0);
		break;
	case 17:
		if (pick(4) == 0)
			run();
		break;
	case 18:
		walk_up();
		break;
	case 19:
		renameat2(AT_FDCWD, name(), AT_FDCWD, name(), RENAME_NOREPLACE);
		break;
	}
}

static void storm(unsigned int n)
{
	struct timespec begun, now;

	seed = n * 7919 + 1;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		for (int i = 0; i < 50; i++)
			act();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begun.tv_sec + (now.tv_nsec - begun.tv_nsec) / 1e9 < 1.2);
}

/* In a mount namespace of their own, with which all mounts go. */
static int all_processes(void)
{
	int status, well = 0;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		printf("no mount namespace: %s\n", strerrorname_np(errno));
	for (unsigned int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			storm(i);
			_exit(0);
		}
	for (int i = 0; i < PROCESSES; i++) {
		wait(&status);
		well += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	return well;
}

int main(int argc, char **argv)
{
	char self[4096];
	int status;
	ssize_t n;

	if (argc > 1 && !strcmp(argv[1], "child"))
		return 0;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	fs_begin();
	mkdir("yard", 0755);
	yard = open("yard", O_PATH | O_CLOEXEC);
	(void)!fchdir(yard);
	symlink(self, "prog");
	mkdir("m", 0755);
	mkdir("d", 0755);
	symlink("..", "up");
	if (fork() == 0)
		_exit(all_processes());
	wait(&status);
	printf("%d of %d are well\n", WEXITSTATUS(status), PROCESSES);
	fs_remove();
	printf("the directory: %s\n", access(fs_dir, F_OK) < 0 ? "gone" : "stays");
	return 0;
}
