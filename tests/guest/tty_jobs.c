/* Job control: controlling terminals, foreground groups, SIGTTIN, SIGTTOU, SIGHUP, ^C, ^Z. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static int master;
static char name[64];

static void open_master(void)
{
	int zero = 0;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	ioctl(master, TIOCSPTLCK, &zero);
	strcpy(name, ptsname(master));
}

static const char *how(int status)
{
	static char text[64];

	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exit %d", WEXITSTATUS(status));
	else if (WIFSTOPPED(status))
		snprintf(text, sizeof(text), "stopped by %s", sigabbrev_np(WSTOPSIG(status)));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "killed by %s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(text, sizeof(text), "continued");
	return text;
}

static void wait_show(const char *what, pid_t pid)
{
	int status;

	waitpid(pid, &status, WUNTRACED | WCONTINUED);
	printf("%s: %s\n", what, how(status));
	fflush(stdout);
}

/* A group of its own; reads, writes or sets attributes in the background. */
static pid_t background(int tty, int what)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct termios t;
		char c;

		setpgid(0, 0);
		signal(SIGTTOU, what == 4 ? SIG_IGN : SIG_DFL);
		if (what == 5)
			signal(SIGTTIN, SIG_IGN);
		tcgetattr(tty, &t);
		if (what == 0 || what == 5)
			_exit(read(tty, &c, 1) == 1 ? 1 : errno == EIO ? 2 : 3);
		if (what == 1 || what == 4)
			_exit(tcsetattr(tty, TCSANOW, &t) == 0 ? 1 : 2);
		if (what == 2)
			_exit(write(tty, "w", 1) == 1 ? 1 : 2);
		_exit(tcsetpgrp(tty, getpid()) == 0 ? 1 : 2);
	}
	setpgid(pid, pid);
	return pid;
}

static volatile int got;

static void note(int sig)
{
	got |= 1 << sig;
}

static void session(void)
{
	struct termios t;
	int tty, tty2, pgrp = 0;
	pid_t pid;

	printf("setsid %d\n", setsid() == getpid());
	printf("no terminal yet %s\n", err(open("/dev/tty", O_RDWR)));
	tty2 = open(name, O_RDWR | O_NOCTTY);
	printf("noctty %s\n", err(open("/dev/tty", O_RDWR)));
	printf("tcgetpgrp %s\n", err(tcgetpgrp(tty2)));
	tty = open(name, O_RDWR);
	printf("with ctty %s\n", err(open("/dev/tty", O_RDWR)));
	printf("pgrp mine %d sid mine %d\n", tcgetpgrp(tty) == getpgrp(),
	       tcgetsid(tty) == getpid());
	ioctl(master, TIOCGPGRP, &pgrp);
	printf("master agrees %d\n", pgrp == getpgrp());
	printf("TIOCSCTTY again %s\n", err(ioctl(tty, TIOCSCTTY, 0)));
	printf("tcsetpgrp bad %s\n", err(tcsetpgrp(tty, 99999)));
	printf("tcsetpgrp other session %s\n", err(tcsetpgrp(tty, getppid())));
	fflush(stdout);

	pid = background(tty, 0);
	wait_show("background read", pid);
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(tty, pid);
	kill(pid, SIGCONT);
	wait_show("continued", pid);
	write(master, "k\n", 2); /* not before: who has ended is no longer told as continued */
	wait_show("in the foreground", pid);
	tcsetpgrp(tty, getpgrp());
	pid = background(tty, 5);
	wait_show("background read, TTIN ignored", pid);
	pid = background(tty, 1);
	wait_show("background tcsetattr", pid);
	kill(pid, SIGKILL);
	wait_show("", pid);
	pid = background(tty, 4);
	wait_show("background tcsetattr, TTOU ignored", pid);
	pid = background(tty, 2);
	wait_show("background write", pid);
	tcgetattr(tty, &t);
	t.c_lflag |= TOSTOP;
	tcsetattr(tty, TCSANOW, &t);
	pid = background(tty, 2);
	wait_show("background write, TOSTOP", pid);
	kill(pid, SIGKILL);
	wait_show("", pid);
	pid = background(tty, 3);
	wait_show("background tcsetpgrp", pid);
	kill(pid, SIGKILL);
	wait_show("", pid);
	t.c_lflag &= ~TOSTOP;
	tcsetattr(tty, TCSANOW, &t);

	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		tcsetpgrp(tty, getpid());
		for (;;)
			pause();
	}
	while (tcgetpgrp(tty) != pid)
		usleep(1000);
	write(master, "\032", 1);
	wait_show("^Z", pid);
	kill(pid, SIGCONT);
	wait_show("", pid);
	write(master, "\003", 1);
	wait_show("^C", pid);
	tcsetpgrp(tty, getpgrp());

	signal(SIGWINCH, note);
	ioctl(master, TIOCSWINSZ, &(struct winsize){.ws_row = 11, .ws_col = 22});
	usleep(20000);
	printf("SIGWINCH %d\n", got >> SIGWINCH & 1);
	got = 0;
	ioctl(master, TIOCSWINSZ, &(struct winsize){.ws_row = 11, .ws_col = 22});
	usleep(20000);
	printf("same size again %d\n", got >> SIGWINCH & 1);
	signal(SIGQUIT, note);
	ioctl(master, TIOCSIG, SIGQUIT);
	usleep(20000);
	printf("TIOCSIG %d bad %s\n", got >> SIGQUIT & 1, err(ioctl(master, TIOCSIG, SIGKILL)));

	signal(SIGHUP, note);
	signal(SIGCONT, note);
	got = 0;
	printf("TIOCNOTTY %s\n", err(ioctl(tty, TIOCNOTTY)));
	usleep(20000);
	printf("HUP %d CONT %d\n", got >> SIGHUP & 1, got >> SIGCONT & 1);
	printf("gone %s\n", err(open("/dev/tty", O_RDWR)));
	printf("TIOCSCTTY %s\n", err(ioctl(tty, TIOCSCTTY, 0)));
	printf("back %s\n", err(open("/dev/tty", O_RDWR)));
	fflush(stdout);
	_exit(5);
}

static void leader_exit(void)
{
	int p[2], status;
	pid_t leader;
	char c = 0;

	open_master();
	pipe(p);
	leader = fork();
	if (leader == 0) {
		setsid();
		open(name, O_RDWR);
		if (fork() == 0) {
			close(master);
			for (;;)
				pause(); /* in the foreground group: dies of SIGHUP */
		}
		usleep(20000);
		_exit(0);
	}
	close(p[1]);
	waitpid(leader, &status, 0);
	printf("the foreground dies with the leader: %zd\n", read(p[0], &c, 1));
	close(p[0]);
	close(master);
}

static void master_closes(void)
{
	int status, p[2];
	pid_t leader;
	char c;

	open_master();
	pipe(p);
	leader = fork();
	if (leader == 0) {
		int tty;

		close(master);
		setsid();
		tty = open(name, O_RDWR);
		signal(SIGHUP, note);
		signal(SIGCONT, note);
		write(p[1], "r", 1);
		while (!(got & 1 << SIGHUP))
			usleep(1000);
		usleep(10000);
		printf("leader: HUP, CONT %d, read %zd, /dev/tty %s\n", got >> SIGCONT & 1,
		       read(tty, &c, 1), err(open("/dev/tty", O_RDWR)));
		fflush(stdout);
		_exit(0);
	}
	read(p[0], &c, 1);
	close(master);
	waitpid(leader, &status, 0);
	printf("master closed: leader %s\n", how(status));
}

/* The leader dies of the hang-up; its foreground goes with it. */
static void master_closes_on_a_job(void)
{
	int p[2], q[2], status;
	pid_t leader;
	char c = 0;

	open_master();
	pipe(p);
	pipe(q);
	leader = fork();
	if (leader == 0) {
		close(master);
		close(p[0]);
		setsid();
		open(name, O_RDWR);
		if (fork() == 0) {
			write(q[1], "r", 1);
			for (;;)
				pause();
		}
		for (;;)
			pause();
	}
	close(p[1]);
	read(q[0], &c, 1);
	close(master);
	waitpid(leader, &status, 0);
	printf("leader %s", how(status));
	printf(", its job ends too: %zd\n", read(p[0], &c, 1));
}

static void stealing(void)
{
	int status, p[2], hold[2];
	pid_t other;
	char c;

	open_master();
	pipe(p);
	pipe(hold);
	if (fork() == 0) {
		setsid();
		open(name, O_RDWR);
		write(p[1], "x", 1);
		close(hold[1]);
		read(hold[0], &c, 1); /* until the other has tried */
		_exit(0);
	}
	read(p[0], &c, 1);
	other = fork();
	if (other == 0) {
		int tty;

		setsid();
		tty = open(name, O_RDWR);
		printf("opened by another session: /dev/tty %s\n", err(open("/dev/tty", O_RDWR)));
		printf("TIOCSCTTY %s\n", err(ioctl(tty, TIOCSCTTY, 0)));
		fflush(stdout);
		_exit(0);
	}
	waitpid(other, &status, 0);
	close(hold[1]);
	wait(NULL);
	close(hold[0]);
	close(master);
}

int main(void)
{
	pid_t pid;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	open_master();
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	pid = fork();
	if (pid == 0)
		session();
	waitpid(pid, &status, 0);
	printf("session leader: %s\n", how(status));
	close(master);
	leader_exit();
	master_closes();
	master_closes_on_a_job();
	stealing();
	return 0;
}
