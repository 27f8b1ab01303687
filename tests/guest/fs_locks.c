/* POSIX locks, open file description locks, flock: conflicts, ranges, waiting, deadlock. */
#include <sys/file.h>

#include "tests/guest/fs_util.h"

static int lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = {.l_type = (short)type, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &fl);
}

static void get(int fd, int cmd, int type, off_t start, off_t len, pid_t who)
{
	struct flock fl = {.l_type = (short)type, .l_start = start, .l_len = len};
	int r = fcntl(fd, cmd, &fl);

	printf("get %d [%ld,%ld]: %s type %d start %ld len %ld pid %s\n", type, (long)start,
	       (long)len, res(r), fl.l_type, (long)fl.l_start, (long)fl.l_len,
	       fl.l_pid == who	? "owner"
	       : fl.l_pid == 0	? "0"
	       : fl.l_pid == -1 ? "-1"
				: "other");
}

/* A child that runs fn and is waited for. */
static void in_child(void (*fn)(pid_t parent))
{
	pid_t parent = getpid();

	fflush(stdout);
	if (fork() == 0) {
		fn(parent);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static int fd;

static void probe(pid_t parent)
{
	int mine = open("l", O_RDWR);

	get(mine, F_GETLK, F_WRLCK, 0, 0, parent);
	get(mine, F_GETLK, F_RDLCK, 0, 0, parent);
	get(mine, F_GETLK, F_WRLCK, 15, 5, parent);
	get(mine, F_GETLK, F_WRLCK, 100, 0, parent);
	SHOW(lock(mine, F_SETLK, F_WRLCK, 12, 1));
	SHOW(lock(mine, F_SETLK, F_RDLCK, 12, 1));
	SHOW(lock(mine, F_SETLK, F_WRLCK, 0, 10));
	/* inherited descriptors, but not locks */
	SHOW(lock(fd, F_SETLK, F_WRLCK, 12, 1));
	close(mine);
}

static void ranges(void)
{
	fd = open("l", O_CREAT | O_RDWR, 0644);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 10, 10));
	get(fd, F_GETLK, F_WRLCK, 0, 0, getpid());
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_UNLCK, 14, 2));
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_RDLCK, 0, 0));
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_UNLCK, 5, 0));
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_WRLCK, -5, 10));
	SHOW(lock(fd, F_SETLK, F_WRLCK, 20, -10));
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 5, -10));
	SHOW(lock(fd, F_SETLK, F_WRLCK, INT64_MAX, 2));
	SHOW(lock(fd, F_SETLK, 17, 0, 1));
	SHOW(lock(fd, F_OFD_GETLK, F_WRLCK, 0, 1));
	SHOW(lock(999, F_SETLK, F_WRLCK, 0, 1));
}

/* Any close of the file by the owner drops its locks. */
static void close_drops(void)
{
	SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 100));
	close(open("l", O_RDONLY));
	in_child(probe);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 100));
	close(dup(fd));
	in_child(probe);
}

static void modes(void)
{
	int r = open("l", O_RDONLY), w = open("l", O_WRONLY);

	SHOW(lock(r, F_SETLK, F_WRLCK, 0, 1));
	SHOW(lock(r, F_SETLK, F_RDLCK, 0, 1));
	SHOW(lock(w, F_SETLK, F_RDLCK, 0, 1));
	SHOW(flock(r, LOCK_EX | LOCK_NB));
	SHOW(flock(w, LOCK_SH | LOCK_NB));
	SHOW(flock(r, LOCK_SH | LOCK_NB));
	SHOW(flock(w, LOCK_SH | LOCK_NB));
	SHOW(flock(r, LOCK_EX | LOCK_NB));
	SHOW(flock(r, 77));
	SHOW(flock(999, LOCK_SH));
	close(r);
	close(w);
}

static void descriptions(void)
{
	int a = open("l", O_RDWR), b = open("l", O_RDWR), c;

	SHOW(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	SHOW(lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	SHOW(lock(b, F_SETLK, F_WRLCK, 5, 10));
	get(b, F_GETLK, F_WRLCK, 0, 0, getpid());
	get(b, F_OFD_GETLK, F_WRLCK, 0, 0, getpid());
	c = dup(a);
	close(a);
	SHOW(lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	close(c);
	SHOW(lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	close(b);
	a = open("l", O_RDWR);
	b = open("l", O_RDWR);
	SHOW(flock(a, LOCK_EX));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	c = dup(a);
	close(a);
	SHOW(flock(b, LOCK_SH | LOCK_NB));
	SHOW(flock(c, LOCK_UN));
	SHOW(flock(b, LOCK_SH | LOCK_NB));
	close(b);
	close(c);
}

static void on_alarm(int sig)
{
}

static void wait_for_parent(pid_t parent)
{
	int mine = open("l", O_RDWR);
	struct sigaction sa = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	SHOW(lock(mine, F_SETLKW, F_WRLCK, 0, 1));
	alarm(1);
	SHOW(flock(mine, LOCK_EX));
	alarm(0);
	close(mine);
}

static void waiting(void)
{
	int p[2], mine;
	char c;

	SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	SHOW(flock(fd, LOCK_EX));
	in_child(wait_for_parent);
	pipe(p);
	fflush(stdout);
	if (fork() == 0) {
		mine = open("l", O_RDWR);
		write(p[1], "x", 1);
		SHOW(lock(mine, F_SETLKW, F_WRLCK, 0, 1));
		SHOW(flock(mine, LOCK_EX));
		fflush(stdout);
		_exit(0);
	}
	read(p[0], &c, 1);
	usleep(100000);
	printf("unlocking\n");
	fflush(stdout);
	lock(fd, F_SETLK, F_UNLCK, 0, 1);
	usleep(100000);
	flock(fd, LOCK_UN);
	wait(NULL);
}

static void deadlock(void)
{
	int p[2];
	char c;

	lock(fd, F_SETLK, F_UNLCK, 0, 0);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pipe(p);
	fflush(stdout);
	if (fork() == 0) {
		int mine = open("l", O_RDWR);

		lock(mine, F_SETLK, F_WRLCK, 1, 1);
		write(p[1], "x", 1);
		/* the parent waits for us by then */
		usleep(200000);
		SHOW(lock(mine, F_SETLKW, F_WRLCK, 0, 1));
		fflush(stdout);
		_exit(0);
	}
	read(p[0], &c, 1);
	int r = lock(fd, F_SETLKW, F_WRLCK, 1, 1);

	wait(NULL);
	printf("parent: %s\n", res(r));
}

static void exit_drops(void)
{
	fflush(stdout);
	lock(fd, F_SETLK, F_UNLCK, 0, 0);
	if (fork() == 0) {
		int mine = open("l", O_RDWR);

		lock(mine, F_SETLK, F_WRLCK, 0, 0);
		flock(mine, LOCK_EX);
		_exit(0);
	}
	wait(NULL);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	SHOW(flock(fd, LOCK_EX | LOCK_NB));
}

int main(void)
{
	fs_begin();
	ranges();
	close_drops();
	modes();
	close(fd);
	fd = open("l", O_RDWR);
	descriptions();
	waiting();
	deadlock();
	exit_drops();
	fs_end();
	return 0;
}
