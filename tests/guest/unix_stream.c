/* AF_UNIX streams and seqpackets: names, connections, shutdown, errors, buffers, flags. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (e);                                                                     \
		r_ < 0 ? -(long)errno : r_;                                                        \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

static char dir[] = "/tmp/unixXXXXXX";

static socklen_t addr(struct sockaddr_un *un, const char *name)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (name[0] == '@') {
		strcpy(un->sun_path + 1, name + 1);
		return offsetof(struct sockaddr_un, sun_path) + strlen(name);
	}
	strcpy(un->sun_path, name);
	return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
}

static int bind_to(int s, const char *name)
{
	struct sockaddr_un un;
	socklen_t n = addr(&un, name);

	return bind(s, (void *)&un, n);
}

static int connect_to(int s, const char *name)
{
	struct sockaddr_un un;
	socklen_t n = addr(&un, name);

	return connect(s, (void *)&un, n);
}

static void show_name(const char *what, int s, int peer)
{
	struct sockaddr_un un;
	socklen_t n = sizeof(un);
	int r = peer ? getpeername(s, (void *)&un, &n) : getsockname(s, (void *)&un, &n);

	if (r) {
		printf("%s: %s\n", what, strerror(errno));
		return;
	}
	printf("%s: %d %u '", what, un.sun_family, n);
	for (unsigned int i = 2; i < n && i < sizeof(un); i++)
		putchar(un.sun_path[i - 2] ? un.sun_path[i - 2] : '@');
	printf("'\n");
}

static short polled(int s)
{
	struct pollfd p = {s, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void names(void)
{
	int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct stat st;

	SHOW(socket(AF_UNIX, SOCK_STREAM, 5));
	SHOW(socket(AF_UNIX, SOCK_RDM, 0));
	SHOW(socket(AF_UNIX, 77, 0));
	SHOW(socket(99, SOCK_STREAM, 0));
	SHOW(socket(AF_UNIX, SOCK_STREAM | 0x100000, 0));
	show_name("unbound", a, 0);
	show_name("no peer", a, 1);
	SHOW(listen(a, 5));
	SHOW(accept(a, NULL, NULL));
	SHOW(bind_to(a, "s"));
	SHOW(bind_to(b, "s"));
	SHOW(bind_to(a, "t"));
	SHOW(bind_to(b, "no/such/dir"));
	SHOW(bind(b, (void *)&un, 1));
	SHOW(bind(b, (void *)&un, 200));
	un.sun_family = AF_INET;
	SHOW(bind(b, (void *)&un, 20));
	SHOW(stat("s", &st));
	printf("mode %o\n", st.st_mode);
	SHOW(open("s", O_RDWR));
	show_name("bound", a, 0);
	SHOW(connect_to(b, "s"));
	SHOW(connect_to(b, "absent"));
	close(open("plain", O_CREAT | O_RDWR, 0644));
	SHOW(connect_to(b, "plain"));
	SHOW(listen(a, 5));
	SHOW(connect_to(a, "s"));
	SHOW(connect_to(b, "s"));
	SHOW(connect_to(b, "s"));
	show_name("client", b, 0);
	show_name("client's peer", b, 1);
	un.sun_family = AF_UNIX;
	SHOW(bind(b, (void *)&un, 2));
	int c = accept(a, NULL, NULL);
	show_name("server", c, 0);
	un.sun_path[0] = 0;
	struct sockaddr_un p;
	socklen_t n = sizeof(p);
	getpeername(c, (void *)&p, &n);
	printf("autobound peer %u %d\n", n, p.sun_path[0]);
	close(a);
	int d = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect_to(d, "s"));
	SHOW(unlink("s"));
	SHOW(connect_to(d, "s"));
	close(b);
	close(c);
	close(d);
}

static void abstract(void)
{
	int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0),
	    d = socket(AF_UNIX, SOCK_DGRAM, 0), q = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	SHOW(bind_to(a, "@garrison-test"));
	SHOW(bind_to(b, "@garrison-test"));
	SHOW(bind_to(d, "@garrison-test"));
	show_name("abstract", a, 0);
	SHOW(connect_to(b, "@garrison-test"));
	SHOW(listen(a, 0));
	SHOW(connect_to(q, "@garrison-test"));
	SHOW(connect_to(b, "@garrison-test"));
	fcntl(q, F_SETFL, O_NONBLOCK);
	int e = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SHOW(connect_to(e, "@garrison-test"));
	printf("poll unconnected %x listener %x connected %x\n", polled(e), polled(a), polled(b));
	int c = accept4(a, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	printf("accepted flags %x %x\n", fcntl(c, F_GETFL), fcntl(c, F_GETFD));
	SHOW(connect_to(e, "@garrison-test"));
	close(a);
	SHOW(read(e, &a, 1));
	SHOW(send(e, "x", 1, MSG_NOSIGNAL));
	printf("reset %x\n", polled(e));
	close(b);
	printf("closed peer %x\n", polled(c));
	SHOW(read(c, &a, 1));
	close(c);
	close(d);
	close(e);
	close(q);
}

static void data(int type)
{
	int s[2], n, v;
	char buf[64];

	printf("type %d\n", type);
	SHOW(socketpair(AF_UNIX, type, 0, s));
	printf("poll %x\n", polled(s[0]));
	SHOW(write(s[0], "hello", 5));
	SHOW(write(s[0], "world", 5));
	SHOW(ioctl(s[1], FIONREAD, &n));
	printf("readable %d\n", n);
	SHOW(recv(s[1], buf, 3, MSG_PEEK));
	SHOW(recv(s[1], buf, 7, MSG_PEEK | MSG_TRUNC));
	memset(buf, 0, sizeof(buf));
	SHOW(recv(s[1], buf, 3, 0));
	SHOW(recv(s[1], buf + 3, 60, 0));
	printf("got '%s'\n", buf);
	SHOW(recv(s[1], buf, 60, MSG_DONTWAIT));
	SHOW(write(s[0], "", 0));
	SHOW(recv(s[1], buf, 10, MSG_DONTWAIT));
	SHOW(sendto(s[0], "x", 1, 0, (void *)&(struct sockaddr_un){AF_UNIX, "x"}, 4));
	while (recv(s[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	SHOW(shutdown(s[0], 7));
	SHOW(shutdown(s[0], SHUT_WR));
	printf("poll %x %x\n", polled(s[0]), polled(s[1]));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s[1], buf, 1, 0));
	SHOW(send(s[1], "back", 4, 0));
	SHOW(recv(s[0], buf, 10, 0));
	SHOW(shutdown(s[1], SHUT_WR));
	printf("poll %x %x\n", polled(s[0]), polled(s[1]));
	close(s[0]);
	SHOW(read(s[1], buf, 1));
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
	close(s[1]);
	socketpair(AF_UNIX, type, 0, s);
	write(s[0], "unread", 6);
	write(s[1], "unread", 6);
	close(s[1]);
	SHOW(read(s[0], buf, 3));
	v = -1;
	socklen_t vl = 4;
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &vl));
	printf("SO_ERROR %d\n", v);
	SHOW(read(s[0], buf, 9));
	SHOW(read(s[0], buf, 9));
	close(s[0]);
	socketpair(AF_UNIX, type, 0, s);
	write(s[1], "unread", 6);
	close(s[0]);
	SHOW(read(s[1], buf, 9));
	SHOW(read(s[1], buf, 9));
	close(s[1]);
}

static void options(void)
{
	static const int names[] = {
	    SO_TYPE,	  SO_DOMAIN,   SO_PROTOCOL,  SO_ACCEPTCONN, SO_SNDBUF,	 SO_RCVBUF,
	    SO_RCVLOWAT,  SO_SNDLOWAT, SO_KEEPALIVE, SO_REUSEADDR,  SO_PASSCRED, SO_BROADCAST,
	    SO_OOBINLINE, SO_PRIORITY, SO_ERROR,     SO_TIMESTAMP,  SO_PEEK_OFF};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), v, small = 1000, one = 1;
	socklen_t n;
	struct timeval tv = {3, 500000}, bad = {0, 2000000};
	struct linger l = {1, 7};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		n = sizeof(v);
		v = -7;
		printf("option %d: %ld", names[i], R(getsockopt(s, SOL_SOCKET, names[i], &v, &n)));
		printf(" value %d len %u\n", v, n);
	}
	SHOW(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &small, 4));
	n = 4, getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &n), printf("sndbuf %d\n", v);
	small = 1 << 30;
	SHOW(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &small, 4));
	SHOW(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	SHOW(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof(bad)));
	n = sizeof(tv), tv.tv_sec = 0;
	SHOW(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, &n));
	printf("timeout %ld %ld %u\n", (long)tv.tv_sec, (long)tv.tv_usec, n);
	SHOW(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	n = 6;
	SHOW(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &n));
	printf("linger len %u\n", n);
	SHOW(setsockopt(s, SOL_SOCKET, SO_TYPE, &one, 4));
	SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 2));
	SHOW(setsockopt(s, SOL_SOCKET, 9999, &one, 4));
	SHOW(getsockopt(s, SOL_SOCKET, 9999, &v, &n));
	SHOW(getsockopt(s, 6, 1, &v, &n));
	SHOW(setsockopt(s, 6, 1, &one, 4));
	SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &v, &n) < 0 && errno == ENOTSOCK);
	SHOW(getsockopt(99, SOL_SOCKET, SO_TYPE, &v, &n));
	close(s);
}

static void timeouts(void)
{
	int s[2];
	struct timeval tv = {0, 30000};
	char buf[4096];

	memset(buf, 0, sizeof(buf));
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	SHOW(recv(s[0], buf, 1, 0));
	SHOW(read(s[0], buf, 1));
	while (write(s[0], buf, sizeof(buf)) == sizeof(buf))
		;
	printf("write stopped: %d\n", errno);
	close(s[0]);
	close(s[1]);
}

static void *late_writer(void *arg)
{
	int s = *(int *)arg;

	for (int i = 0; i < 4; i++) {
		usleep(10000);
		write(s, "abcd", 4);
	}
	return NULL;
}

static void on_alarm(int sig)
{
}

static void waitall(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval it = {.it_value.tv_usec = 30000};
	int s[2];
	pthread_t t;
	char buf[32];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pthread_create(&t, NULL, late_writer, &s[1]);
	SHOW(recv(s[0], buf, 16, MSG_WAITALL));
	pthread_join(t, NULL);
	write(s[1], "xy", 2);
	shutdown(s[1], SHUT_WR);
	SHOW(recv(s[0], buf, 16, MSG_WAITALL));
	sigaction(SIGALRM, &sa, NULL);
	close(s[0]);
	close(s[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setitimer(ITIMER_REAL, &it, NULL);
	SHOW(recv(s[0], buf, 16, 0));
	signal(SIGPIPE, SIG_IGN);
	close(s[1]);
	SHOW(send(s[0], "x", 1, 0));
	signal(SIGPIPE, SIG_DFL);
	if (!fork()) {
		send(s[0], "x", 1, 0);
		_exit(0);
	}
	int status;
	wait(&status);
	printf("killed by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	close(s[0]);
}

/* A megabyte through a pair, in both directions, with other chunk sizes on each side. */
static void *pump(void *arg)
{
	int s = *(int *)arg;
	static unsigned char buf[1 << 20];
	unsigned char in[1777];
	size_t sum = 0, got = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 7 >> 3);
	while (got < sizeof(buf) && (n = read(s, in, sizeof(in))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum += (in[i] == buf[got + i]);
		got += n;
	}
	printf("pumped %zu right %zu\n", got, sum);
	SHOW(write(s, buf, sizeof(buf)));
	return NULL;
}

static void bulk(void)
{
	static unsigned char buf[1 << 20], in[1 << 20];
	size_t got = 0;
	ssize_t n;
	int s[2];
	pthread_t t;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 7 >> 3);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pthread_create(&t, NULL, pump, &s[1]);
	SHOW(send(s[0], buf, sizeof(buf), 0));
	while (got < sizeof(in) && (n = recv(s[0], in + got, sizeof(in) - got, 0)) > 0)
		got += n;
	pthread_join(t, NULL);
	printf("back %zu same %d\n", got, !memcmp(in, buf, sizeof(buf)));
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	alarm(20);
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdtemp(dir);
	chdir(dir);
	umask(022);
	names();
	abstract();
	data(SOCK_STREAM);
	data(SOCK_SEQPACKET);
	options();
	timeouts();
	waitall();
	bulk();
	unlink("plain");
	chdir("/");
	rmdir(dir);
	return 0;
}
