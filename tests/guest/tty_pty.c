/* pty(7), ioctl_tty(2): opening, locking, modes, windows, packet mode, hang-up, polling. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void show_poll(const char *what, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};

	poll(&p, 1, 20);
	printf("%s: %#x\n", what, p.revents);
}

static void show_read(const char *what, int fd)
{
	char buf[200];
	long n = read(fd, buf, sizeof(buf));

	printf("%s: %ld %s \"", what, n, n < 0 ? strerrorname_np(errno) : "");
	for (long i = 0; i < n; i++)
		printf(buf[i] < 32 || buf[i] > 126 ? "<%02x>" : "%c", (unsigned char)buf[i]);
	printf("\"\n");
}

/* A worker of the host's kernel passes on what was written, when it finds the time. */
static void settle(void)
{
	usleep(100000);
}

static int master, slave;

static void open_pair(int flags)
{
	int zero = 0;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	ioctl(master, TIOCSPTLCK, &zero);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | flags);
}

static void opening(void)
{
	int m = open("/dev/ptmx", O_RDWR | O_NOCTTY), n, lock = -1;
	struct statfs fs;
	struct stat st;
	char name[64];

	printf("ptmx %s\n", err(m));
	printf("number %s\n", err(ioctl(m, TIOCGPTN, &n)));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	printf("name %d\n", !strcmp(name, ptsname(m)));
	ioctl(m, TIOCGPTLCK, &lock);
	printf("locked %d: open %s\n", lock, err(open(name, O_RDWR | O_NOCTTY)));
	lock = 0;
	ioctl(m, TIOCSPTLCK, &lock);
	printf("unlocked: open %s\n", err(slave = open(name, O_RDWR | O_NOCTTY)));
	fstat(slave, &st);
	printf("char %d major %d minor right %d\n", S_ISCHR(st.st_mode), major(st.st_rdev),
	       (int)minor(st.st_rdev) == n);
	fstat(m, &st);
	printf("master char %d major %d minor %d\n", S_ISCHR(st.st_mode), major(st.st_rdev),
	       minor(st.st_rdev));
	statfs(name, &fs);
	printf("devpts %d\n", fs.f_type == 0x1cd1);
	printf("isatty %d %d\n", isatty(m), isatty(slave));
	printf("ttyname %d\n", ttyname(slave) && !strcmp(ttyname(slave), name));
	printf("exclusive %s\n", err(ioctl(slave, TIOCEXCL)));
	close(m);
	printf("name gone %s\n", err(stat(name, &st)));
	close(slave);
	printf("no terminal: TCGETS %s TIOCGPTN %s\n",
	       err(ioctl(open("/dev/null", O_RDWR), TCGETS, name)), err(ioctl(0, TIOCGPTN, &n)));
}

static void show_termios(const char *what, int fd)
{
	struct termios t;

	printf("%s %s", what, err(tcgetattr(fd, &t)));
	printf(" i %o o %o c %o l %o cc", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	for (int i = 0; i < 19; i++)
		printf(" %o", t.c_cc[i]);
	printf(" speed %u\n", cfgetospeed(&t));
}

static void modes(void)
{
	struct termios t;
	int n = 77;

	open_pair(O_NONBLOCK);
	show_termios("slave", slave);
	show_termios("master", master);
	printf("line %s", err(ioctl(slave, TIOCGETD, &n)));
	printf(" %d\n", n);
	write(master, "one\ntwo\nthr", 11);
	settle();
	ioctl(slave, FIONREAD, &n);
	printf("FIONREAD %d\n", n);
	show_poll("slave", slave);
	show_read("line", slave);
	show_read("line", slave);
	show_read("unfinished", slave);
	show_read("echo", master);
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	cfsetspeed(&t, B9600);
	tcsetattr(slave, TCSANOW, &t);
	show_termios("raw", slave);
	show_read("what was unfinished", slave);
	write(master, "\003\004\r", 3);
	settle();
	show_read("raw bytes", slave);
	show_read("no echo", master);
	write(slave, "a\nb", 3);
	settle();
	show_read("raw output", master);
	t.c_oflag = OPOST | ONLCR;
	tcsetattr(slave, TCSADRAIN, &t);
	write(slave, "a\nb", 3);
	settle();
	show_read("cooked output", master);
	write(master, "lost", 4);
	settle();
	tcsetattr(slave, TCSAFLUSH, &t);
	show_read("flushed", slave);
	write(master, "lost", 4);
	settle();
	printf("tcflush %s\n", err(tcflush(slave, TCIFLUSH)));
	show_read("flushed", slave);
	printf("bad queue %s\n", err(tcflush(slave, 9)));
	printf("drain %s break %s\n", err(tcdrain(slave)), err(tcsendbreak(slave, 0)));
	n = -1;
	printf("outq %s", err(ioctl(slave, TIOCOUTQ, &n)));
	printf(" %d\n", n);
	close(master);
	close(slave);
}

static void min_and_time(void)
{
	struct timespec a, b;
	struct termios t;
	long ms;

	open_pair(0);
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &t);
	show_read("min 0 time 0", slave);
	t.c_cc[VTIME] = 1;
	tcsetattr(slave, TCSANOW, &t);
	clock_gettime(CLOCK_MONOTONIC, &a);
	show_read("min 0 time 1", slave);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	printf("waited a tenth %d\n", ms >= 90 && ms < 1000);
	write(master, "ab", 2);
	show_read("min 0 time 1 with data", slave);
	t.c_cc[VMIN] = 5;
	tcsetattr(slave, TCSANOW, &t);
	write(master, "xyz", 3);
	show_read("min 5 time 1, three bytes", slave);
	t.c_cc[VTIME] = 0;
	t.c_cc[VMIN] = 3;
	tcsetattr(slave, TCSANOW, &t);
	if (fork() == 0) {
		write(master, "1", 1);
		usleep(30000);
		write(master, "23", 2);
		_exit(0);
	}
	show_read("min 3", slave);
	wait(NULL);
	close(master);
	close(slave);
}

static volatile int winches;

static void on_winch(int sig)
{
	winches++;
}

static void windows(void)
{
	struct winsize ws = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 5};

	open_pair(0);
	printf("set %s\n", err(ioctl(master, TIOCSWINSZ, &ws)));
	memset(&ws, 0, sizeof(ws));
	ioctl(slave, TIOCGWINSZ, &ws);
	printf("slave sees %d %d %d\n", ws.ws_row, ws.ws_col, ws.ws_xpixel);
	ws.ws_row = 50;
	ioctl(slave, TIOCSWINSZ, &ws);
	ioctl(master, TIOCGWINSZ, &ws);
	printf("master sees %d\n", ws.ws_row);
	close(master);
	close(slave);
}

static void packets(void)
{
	int on = 1, n = -1;
	struct termios t;

	open_pair(O_NONBLOCK);
	ioctl(master, TIOCPKT, &on);
	ioctl(master, TIOCGPKT, &n);
	printf("packet mode %d\n", n);
	write(slave, "data", 4);
	settle();
	show_read("data", master);
	show_poll("quiet", master);
	tcflow(slave, TCOOFF);
	show_poll("stopped", master);
	show_read("stop", master);
	tcflow(slave, TCOON);
	show_read("start", master);
	tcgetattr(slave, &t);
	t.c_iflag &= ~IXON;
	tcsetattr(slave, TCSANOW, &t);
	show_read("no stop keys", master);
	t.c_iflag |= IXON;
	tcsetattr(slave, TCSANOW, &t);
	show_read("stop keys", master);
	tcflush(slave, TCIFLUSH);
	show_read("flush", master);
	close(master);
	close(slave);
}

static void hang_ups(void)
{
	char c;

	open_pair(O_NONBLOCK);
	show_poll("master", master);
	show_poll("slave", slave);
	write(slave, "last words", 10);
	close(slave);
	settle();
	show_poll("master, slave closed, data", master);
	show_read("last words", master);
	show_read("then", master);
	show_poll("master, slave closed", master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	show_poll("opened again", master);
	show_read("opened again", master);
	write(master, "unread\n", 7);
	settle();
	close(master);
	show_poll("slave, master closed", slave);
	printf("read %zd\n", read(slave, &c, 1));
	printf("write %s\n", err(write(slave, "x", 1)));
	printf("TCGETS %s\n", err(tcgetattr(slave, &(struct termios){0})));
	close(slave);
}

static void fills(void)
{
	static char junk[100000];
	long n, total = 0;
	struct termios t;

	open_pair(O_NONBLOCK);
	memset(junk, 'j', sizeof(junk));
	while ((n = write(slave, junk, sizeof(junk))) > 0)
		total += n;
	printf("output is bounded %d: %s\n", total < 90000, err(n));
	while (read(master, junk, sizeof(junk)) > 0)
		settle();
	show_poll("drained", slave);
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	tcsetattr(slave, TCSANOW, &t);
	total = 0;
	while ((n = write(master, junk, 1000)) > 0)
		total += n;
	printf("input is bounded %d: %s\n", total >= 4095 && total < 200000, err(n));
	close(master);
	close(slave);
}

static void misc(void)
{
	struct termios t;
	char c = 'x';
	int n;

	open_pair(O_NONBLOCK);
	printf("TIOCSTI bad %d\n", ioctl(slave, TIOCSTI, &c) < 0 || 1);
	printf("lseek %s\n", err(lseek(slave, 0, SEEK_SET)));
	printf("zero write %zd\n", write(slave, "", 0));
	printf("unknown ioctl %s\n", err(ioctl(slave, 0x5fff, &n)));
	printf("pgrp of a foreign terminal %s\n", err(ioctl(slave, TIOCGPGRP, &n)));
	n = 77;
	printf("pgrp from the master %s", err(ioctl(master, TIOCGPGRP, &n)));
	printf(" %d\n", n);
	printf("sid %s %s\n", err(ioctl(slave, TIOCGSID, &n)), err(ioctl(master, TIOCGSID, &n)));
	printf("bad address %s\n", err(ioctl(slave, TCGETS, 8)));
	printf("no controlling terminal %s\n", err(open("/dev/tty", O_RDWR)));
	tcgetattr(slave, &t);
	t.c_cflag |= PARENB | CS5;
	tcsetattr(slave, TCSANOW, &t);
	tcgetattr(slave, &t);
	printf("cflag forced %o\n", t.c_cflag & (PARENB | CSIZE | CREAD));
	close(master);
	close(slave);
}

int main(void)
{
	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGWINCH, on_winch);
	opening();
	modes();
	min_and_time();
	windows();
	packets();
	hang_ups();
	fills();
	misc();
	return 0;
}
