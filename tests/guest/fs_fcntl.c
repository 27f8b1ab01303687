/* dup, fcntl, close_range, ioctl on descriptors. */
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "tests/guest/fs_util.h"

static int opens(int fd)
{
	return fcntl(fd, F_GETFD);
}

static void dups(void)
{
	int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0644), other;

	printf("first %d\n", fd);
	SHOW(dup(fd));
	SHOW(dup2(fd, 20));
	SHOW(opens(20));
	SHOW(dup2(fd, fd));
	SHOW(opens(fd));
	SHOW(dup2(999, 5));
	SHOW(dup2(999, 999));
	SHOW(dup2(fd, -1));
	SHOW(dup3(fd, fd, 0));
	SHOW(dup3(fd, 21, O_CLOEXEC));
	SHOW(opens(21));
	SHOW(dup3(fd, 21, 77));
	SHOW(fcntl(fd, F_DUPFD, 10));
	SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 10));
	SHOW(opens(11));
	SHOW(fcntl(fd, F_DUPFD, -1));
	SHOW(fcntl(fd, F_DUPFD, 1 << 30));
	/* one position for all */
	write(fd, "hello", 5);
	SHOW(lseek(20, 0, SEEK_CUR));
	other = open("f", O_RDONLY);
	SHOW(lseek(other, 0, SEEK_CUR));
	close(other);
	SHOW(close(20));
	SHOW(close(20));
	SHOW(close(-1));
}

static void flags(void)
{
	int fd = open("f", O_RDWR);

	printf("%o\n", fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT));
	printf("%o\n", fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_SETFL, 0));
	printf("%o\n", fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_SETFD, 77));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_SETFD, 0));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, 7777));
	SHOW(fcntl(999, F_GETFD));
	SHOW(fcntl(fd, F_GETPIPE_SZ));
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(fcntl(fd, F_GETLEASE));
	SHOW(fcntl(fd, F_NOTIFY, 0));
	SHOW(fcntl(fd, F_GETOWN));
	SHOW(fcntl(fd, F_SETOWN, getpid()) == 0 && fcntl(fd, F_GETOWN) == getpid());
	SHOW(fcntl(fd, F_SETOWN, 0));
	SHOW(fcntl(fd, F_SETSIG, SIGRTMIN));
	SHOW(fcntl(fd, F_GETSIG) == SIGRTMIN);
	SHOW(fcntl(fd, F_SETSIG, 999));
	close(fd);
}

static void ranges(void)
{
	int fd = open("f", O_RDONLY);

	for (int i = 30; i < 40; i++)
		dup2(fd, i);
	SHOW(close_range(32, 34, 0));
	printf("%d %d %d %d %d\n", opens(31), opens(32), opens(33), opens(34), opens(35));
	SHOW(close_range(36, 37, CLOSE_RANGE_CLOEXEC));
	printf("%d %d %d %d\n", opens(35), opens(36), opens(37), opens(38));
	SHOW(close_range(39, 38, 0));
	SHOW(close_range(30, 40, 99));
	SHOW(close_range(1000, ~0U, 0));
	SHOW(close_range(30, ~0U, CLOSE_RANGE_UNSHARE));
	printf("%d %d\n", opens(30), opens(38));
	close(fd);
}

static void ioctls(void)
{
	int fd = open("f", O_RDONLY), n = 1, p[2];

	SHOW(ioctl(fd, FIOCLEX));
	SHOW(opens(fd));
	SHOW(ioctl(fd, FIONCLEX));
	SHOW(opens(fd));
	SHOW(ioctl(fd, FIONBIO, &n));
	printf("%o\n", fcntl(fd, F_GETFL));
	n = 0;
	SHOW(ioctl(fd, FIONBIO, &n));
	printf("%o\n", fcntl(fd, F_GETFL));
	SHOW(ioctl(fd, FIONREAD, &n));
	printf("%d\n", n);
	SHOW(ioctl(fd, TCGETS, &n));
	SHOW(ioctl(999, FIOCLEX));
	SHOW(ioctl(fd, FIONREAD, 8));
	SHOW(isatty(fd));
	pipe(p);
	write(p[1], "abc", 3);
	SHOW(ioctl(p[0], FIONREAD, &n));
	printf("%d\n", n);
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void limits(void)
{
	struct rlimit lim = {50, 50}, old;
	int fd, n = 0;

	close_range(3, ~0U, 0);
	getrlimit(RLIMIT_NOFILE, &old);
	lim.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	while ((fd = open("f", O_RDONLY)) >= 0)
		n++;
	printf("opened %d: %s\n", n, res(fd));
	SHOW(dup(0));
	SHOW(dup2(0, 49));
	SHOW(dup2(0, 50));
	SHOW(fcntl(0, F_DUPFD, 50));
	SHOW(close(10));
	SHOW(dup(0));
	setrlimit(RLIMIT_NOFILE, &old);
	SHOW(dup2(0, 200));
	close_range(3, ~0U, 0);
}

static volatile sig_atomic_t got;
static void on_io(int sig, siginfo_t *si, void *ctx)
{
	got = sig;
}

static void async(void)
{
	struct sigaction sa = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO};
	int p[2];

	sigaction(SIGIO, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	pipe(p);
	fcntl(p[0], F_SETOWN, getpid());
	SHOW(fcntl(p[0], F_SETFL, O_ASYNC));
	write(p[1], "x", 1);
	for (int i = 0; i < 100 && !got; i++)
		usleep(10000);
	printf("SIGIO %d\n", got == SIGIO);
	got = 0;
	SHOW(fcntl(p[0], F_SETSIG, SIGUSR1));
	write(p[1], "x", 1);
	for (int i = 0; i < 100 && !got; i++)
		usleep(10000);
	printf("SIGUSR1 %d\n", got == SIGUSR1);
	got = 0;
	SHOW(fcntl(p[0], F_SETFL, 0));
	write(p[1], "x", 1);
	usleep(50000);
	printf("none %d\n", got == 0);
}

int main(void)
{
	fs_begin();
	close_range(3, ~0U, 0);
	dups();
	flags();
	ranges();
	ioctls();
	limits();
	async();
	fs_end();
	return 0;
}
