/* signalfd(2): reading signals, siginfo fields, poll, masks, fork. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static int ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	poll(&p, 1, 0);
	return p.revents;
}

static void take(const char *what, int fd)
{
	struct signalfd_siginfo si = {0};
	long r = read(fd, &si, sizeof(si));

	printf("%s: %s", what, r == sizeof(si) ? "got" : err(r));
	if (r > 0)
		printf(" signo %u code %d mine %d int %d status %d", si.ssi_signo, si.ssi_code,
		       si.ssi_pid == (unsigned)getpid(), si.ssi_int, si.ssi_status);
	printf("\n");
}

static void *later(void *arg)
{
	usleep(30000);
	kill(getpid(), SIGUSR1);
	return NULL;
}

int main(void)
{
	struct signalfd_siginfo several[4];
	struct epoll_event ev = {.events = EPOLLIN};
	sigset_t set, one;
	pthread_t t;
	int fd, ep, status;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	printf("create %s flags %d %#x\n", err(fd), fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
	take("empty", fd);
	printf("ready %d\n", ready(fd));
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	printf("ready %d\n", ready(fd));
	take("merged", fd);
	take("merged", fd);
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 11});
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 12});
	raise(SIGUSR2);
	printf("several %zd\n", read(fd, several, sizeof(several)) / (long)sizeof(several[0]));
	printf("order %u %u %u ints %d %d\n", several[0].ssi_signo, several[1].ssi_signo,
	       several[2].ssi_signo, several[1].ssi_int, several[2].ssi_int);
	printf("short read %s\n", err(read(fd, several, 100)));
	printf("write %s\n", err(write(fd, several, 128)));
	if (fork() == 0)
		_exit(9);
	waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOWAIT);
	take("child", fd);
	wait(NULL);
	alarm(1);
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	printf("epoll %d\n", epoll_wait(ep, &ev, 1, 3000));
	take("alarm", fd);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	printf("change mask %d\n", signalfd(fd, &one, 0) == fd);
	kill(getpid(), SIGUSR1);
	take("not in mask", fd);
	printf("still pending %d\n", sigpending(&set) == 0 && sigismember(&set, SIGUSR1));
	kill(getpid(), SIGUSR2);
	take("in mask", fd);
	sigaddset(&one, SIGUSR1);
	signalfd(fd, &one, 0);
	take("back in mask", fd);
	printf("not a signalfd %s\n", err(signalfd(0, &one, 0)));
	printf("bad fd %s\n", err(signalfd(99, &one, 0)));
	printf("bad flags %s\n", err(signalfd(-1, &one, 1)));
	fflush(stdout);
	kill(getpid(), SIGUSR1);
	if (fork() == 0) {
		take("a child does not see its parent's", fd);
		raise(SIGUSR2);
		take("but its own", fd);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	take("parent's", fd);
	fcntl(fd, F_SETFL, 0);
	pthread_create(&t, NULL, later, NULL);
	take("blocking", fd);
	pthread_join(t, NULL);
	return 0;
}
