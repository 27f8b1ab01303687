/* TCP over loopback: binding, connecting (also without blocking), data, ends, options. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (e);                                                                     \
		r_ < 0 ? -(long)errno : r_;                                                        \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

static struct sockaddr_in at(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static struct sockaddr_in6 at6(const char *ip, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	inet_pton(AF_INET6, ip, &a.sin6_addr);
	return a;
}

static long bind4(int s, const char *ip, int port)
{
	struct sockaddr_in a = at(ip, port);

	return R(bind(s, (void *)&a, sizeof(a)));
}

static long bind6(int s, const char *ip, int port)
{
	struct sockaddr_in6 a = at6(ip, port);

	return R(bind(s, (void *)&a, sizeof(a)));
}

static long conn4(int s, const char *ip, int port)
{
	struct sockaddr_in a = at(ip, port);

	return R(connect(s, (void *)&a, sizeof(a)));
}

static long conn6(int s, const char *ip, int port)
{
	struct sockaddr_in6 a = at6(ip, port);

	return R(connect(s, (void *)&a, sizeof(a)));
}

static int port_of(int s)
{
	struct sockaddr_in6 a;
	socklen_t n = sizeof(a);

	getsockname(s, (void *)&a, &n);
	return ntohs(a.sin6_port);
}

static void name(const char *what, int s, int peer)
{
	struct sockaddr_in6 a;
	socklen_t n = sizeof(a);
	char text[64] = "?";
	int r = peer ? getpeername(s, (void *)&a, &n) : getsockname(s, (void *)&a, &n);

	if (r) {
		printf("%s: errno %d\n", what, errno);
		return;
	}
	if (a.sin6_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof(text));
	printf("%s: family %d len %u %s port %s\n", what, a.sin6_family, n, text,
	       a.sin6_port ? "set" : "0");
}

static int on(int s, int level, int opt, int v)
{
	return setsockopt(s, level, opt, &v, sizeof(v));
}

static int get(int s, int level, int opt)
{
	int v = -99;
	socklen_t n = sizeof(v);

	if (getsockopt(s, level, opt, &v, &n))
		return -errno;
	return v;
}

static short polled(int s)
{
	struct pollfd p = {s, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static int tcp(int family)
{
	return socket(family, SOCK_STREAM, 0);
}

/* A listener on 127.0.0.1 and a connected pair through it. */
static int listener(void)
{
	int s = tcp(AF_INET);

	bind4(s, "127.0.0.1", 0);
	listen(s, 8);
	return s;
}

static void pair(int s[2])
{
	int l = listener();

	s[0] = tcp(AF_INET);
	conn4(s[0], "127.0.0.1", port_of(l));
	s[1] = accept(l, NULL, NULL);
	close(l);
}

static void sockets(void)
{
	SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	SHOW(socket(AF_INET, SOCK_STREAM, 132));
	SHOW(socket(AF_INET, SOCK_SEQPACKET, 0));
	SHOW(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	SHOW(socket(AF_INET, SOCK_STREAM, -1));
	SHOW(socket(AF_INET, SOCK_STREAM, 9999));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	printf("type %d proto %d domain %d\n", get(s, SOL_SOCKET, SO_TYPE),
	       get(s, SOL_SOCKET, SO_PROTOCOL), get(s, SOL_SOCKET, SO_DOMAIN));
	printf("new: poll %x\n", polled(s));
	SHOW(send(s, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s, &s, 1, 0));
	SHOW(shutdown(s, SHUT_WR));
	name("new", s, 0);
	name("peer", s, 1);
	SHOW(accept(s, NULL, NULL));
	close(s);
}

static void binding(void)
{
	int a = tcp(AF_INET), b = tcp(AF_INET), c = tcp(AF_INET6), d = tcp(AF_INET6), p;

	SHOW(bind4(a, "1.2.3.4", 0));
	SHOW(bind6(c, "::2", 0));
	SHOW(bind(a, (void *)&(struct sockaddr_in){AF_INET}, 8));
	SHOW(bind(a, (void *)&(struct sockaddr_in){AF_UNIX}, 16));
	SHOW(bind4(a, "127.0.0.1", 0));
	name("bound", a, 0);
	p = port_of(a);
	SHOW(bind4(a, "127.0.0.1", 0));
	SHOW(bind4(b, "127.0.0.1", p));
	SHOW(bind4(b, "0.0.0.0", p));
	SHOW(bind6(c, "::", p));
	on(c, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	SHOW(bind6(c, "::", p));
	SHOW(on(c, IPPROTO_IPV6, IPV6_V6ONLY, 0));
	SHOW(bind4(b, "127.0.0.2", p));
	close(b);
	b = tcp(AF_INET);
	on(a, SOL_SOCKET, SO_REUSEADDR, 1);
	on(b, SOL_SOCKET, SO_REUSEADDR, 1);
	SHOW(bind4(b, "127.0.0.1", p));
	SHOW(listen(a, 1));
	SHOW(listen(b, 1));
	close(b);
	b = tcp(AF_INET);
	on(b, SOL_SOCKET, SO_REUSEADDR, 1);
	SHOW(bind4(b, "127.0.0.1", p));
	close(a);
	close(b);
	a = tcp(AF_INET), b = tcp(AF_INET);
	on(a, SOL_SOCKET, SO_REUSEPORT, 1);
	on(b, SOL_SOCKET, SO_REUSEPORT, 1);
	SHOW(bind4(a, "0.0.0.0", 0));
	SHOW(bind4(b, "0.0.0.0", port_of(a)));
	SHOW(listen(a, 1));
	SHOW(listen(b, 1));
	close(a);
	close(b);
	close(c);
	SHOW(bind6(d, "::1", 0));
	name("six", d, 0);
	close(d);
}

static void connecting(void)
{
	int l = listener(), a = tcp(AF_INET), p = port_of(l), c, v;
	struct sockaddr_in none = {.sin_family = AF_UNSPEC};

	SHOW(conn4(a, "127.0.0.1", 1));
	SHOW(conn4(a, "192.0.2.1", 80) == -ENETUNREACH);
	SHOW(connect(a, (void *)&none, 4));
	SHOW(conn4(a, "0.0.0.0", p));
	name("client", a, 0);
	name("its peer", a, 1);
	c = accept(l, NULL, NULL);
	name("server", c, 0);
	name("its peer", c, 1);
	SHOW(conn4(a, "127.0.0.1", p));
	SHOW(listen(a, 1));
	SHOW(conn4(l, "127.0.0.1", p));
	SHOW(send(l, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(l, &v, 1, MSG_DONTWAIT));
	close(a);
	close(c);
	a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SHOW(conn4(a, "127.0.0.1", p));
	struct pollfd pf = {a, POLLOUT, 0};
	SHOW(poll(&pf, 1, 1000));
	printf("SO_ERROR %d poll %x\n", get(a, SOL_SOCKET, SO_ERROR), polled(a));
	SHOW(conn4(a, "127.0.0.1", p));
	SHOW(conn4(a, "127.0.0.1", p));
	close(a);
	close(accept(l, NULL, NULL));
	a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SHOW(conn4(a, "127.0.0.1", 1));
	pf.fd = a;
	poll(&pf, 1, 1000);
	printf("refused: poll %x\n", polled(a));
	printf("SO_ERROR %d\n", get(a, SOL_SOCKET, SO_ERROR));
	printf("SO_ERROR %d poll %x\n", get(a, SOL_SOCKET, SO_ERROR), polled(a));
	SHOW(conn4(a, "127.0.0.1", 1));
	SHOW(conn4(a, "127.0.0.1", 1));
	poll(&pf, 1, 1000);
	SHOW(conn4(a, "127.0.0.1", 1));
	close(a);
	fcntl(l, F_SETFL, O_NONBLOCK);
	SHOW(accept(l, NULL, NULL));
	close(l);
}

static void dual(void)
{
	int l = tcp(AF_INET6), a = tcp(AF_INET), b = tcp(AF_INET6), c, p;

	SHOW(bind6(l, "::", 0));
	SHOW(listen(l, 5));
	p = port_of(l);
	SHOW(conn4(a, "127.0.0.1", p));
	c = accept(l, NULL, NULL);
	name("mapped", c, 0);
	name("mapped peer", c, 1);
	close(c);
	SHOW(conn6(b, "::1", p));
	c = accept(l, NULL, NULL);
	name("six", c, 0);
	name("six peer", c, 1);
	close(c);
	close(b);
	b = tcp(AF_INET6);
	SHOW(conn6(b, "::ffff:127.0.0.1", p));
	name("mapped client", b, 0);
	close(accept(l, NULL, NULL));
	close(l);
	close(a);
	close(b);
	a = listener();
	b = tcp(AF_INET6);
	SHOW(conn6(b, "::1", port_of(a)));
	SHOW(conn4(b, "127.0.0.1", port_of(a)));
	close(a);
	close(b);
}

static void ends(void)
{
	char buf[16];
	int s[2], l, a;
	struct linger zero = {1, 0};

	pair(s);
	printf("connected %x\n", polled(s[0]));
	SHOW(send(s[0], "hello", 5, 0));
	SHOW(recv(s[1], buf, 2, MSG_PEEK));
	SHOW(recv(s[1], NULL, 2, MSG_TRUNC));
	SHOW(recv(s[1], buf, 16, 0));
	SHOW(shutdown(s[0], SHUT_WR));
	usleep(10000);
	printf("half closed %x %x\n", polled(s[0]), polled(s[1]));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s[1], buf, 16, 0));
	SHOW(send(s[1], "back", 4, 0));
	SHOW(recv(s[0], buf, 16, 0));
	close(s[1]);
	usleep(10000);
	printf("closed %x\n", polled(s[0]));
	SHOW(recv(s[0], buf, 16, 0));
	close(s[0]);
	/* Data for one that has gone. */
	pair(s);
	close(s[1]);
	usleep(10000);
	SHOW(recv(s[0], buf, 16, 0));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	usleep(10000);
	printf("after the reset %x\n", polled(s[0]));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s[0], buf, 16, 0));
	close(s[0]);
	/* Unread data. */
	pair(s);
	send(s[0], "unread", 6, 0);
	usleep(10000);
	close(s[1]);
	usleep(10000);
	printf("reset %x\n", polled(s[0]));
	name("peer after a reset", s[0], 1);
	SHOW(recv(s[0], buf, 16, 0));
	SHOW(recv(s[0], buf, 16, 0));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	close(s[0]);
	pair(s);
	shutdown(s[0], SHUT_RDWR);
	name("peer after shutdown", s[0], 1);
	close(s[1]);
	usleep(10000);
	name("peer after its close", s[0], 1);
	close(s[0]);
	pair(s);
	setsockopt(s[1], SOL_SOCKET, SO_LINGER, &zero, sizeof(zero));
	send(s[1], "last words", 10, 0);
	close(s[1]);
	usleep(10000);
	name("peer after linger 0", s[0], 1);
	SHOW(recv(s[0], buf, 16, 0));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	close(s[0]);
	/* A listener that closes before it accepts. */
	l = listener();
	a = tcp(AF_INET);
	conn4(a, "127.0.0.1", port_of(l));
	close(l);
	usleep(10000);
	SHOW(recv(a, buf, 1, 0));
	close(a);
	/* Gone before it was accepted. */
	l = listener();
	a = tcp(AF_INET);
	conn4(a, "127.0.0.1", port_of(l));
	setsockopt(a, SOL_SOCKET, SO_LINGER, &zero, sizeof(zero));
	close(a);
	usleep(10000);
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	a = accept(l, (void *)&from, &n);
	printf("accepted %d from %s\n", a >= 0, inet_ntoa(from.sin_addr));
	SHOW(recv(a, buf, 1, 0));
	close(a);
	close(l);
	pair(s);
	SHOW(shutdown(s[0], SHUT_RD));
	SHOW(recv(s[0], buf, 1, 0));
	SHOW(send(s[1], "late", 4, 0));
	usleep(10000);
	SHOW(recv(s[0], buf, 4, 0));
	close(s[0]);
	close(s[1]);
}

static void urgent(void)
{
	char buf[16] = "";
	int s[2], mark = 9;

	pair(s);
	SHOW(recv(s[1], buf, 1, MSG_OOB));
	SHOW(send(s[0], "ab", 2, 0));
	SHOW(send(s[0], "cU", 2, MSG_OOB));
	SHOW(send(s[0], "de", 2, 0));
	usleep(20000);
	printf("poll %x\n", polled(s[1]));
	SHOW(recv(s[1], buf, 1, MSG_OOB));
	printf("urgent '%c'\n", buf[0]);
	ioctl(s[1], SIOCATMARK, &mark);
	printf("at mark %d\n", mark);
	SHOW(recv(s[1], buf, 16, 0));
	ioctl(s[1], SIOCATMARK, &mark);
	printf("at mark %d\n", mark);
	SHOW(recv(s[1], buf, 16, 0));
	printf("'%.2s'\n", buf);
	close(s[0]);
	close(s[1]);
}

static void options(void)
{
	static const struct {
		int level, name, value;
	} o[] = {{IPPROTO_TCP, TCP_NODELAY, 1},	  {IPPROTO_TCP, TCP_CORK, 1},
		 {IPPROTO_TCP, TCP_KEEPIDLE, 33}, {IPPROTO_TCP, TCP_KEEPINTVL, 0},
		 {IPPROTO_TCP, TCP_KEEPCNT, 5},	  {IPPROTO_TCP, TCP_USER_TIMEOUT, 900},
		 {IPPROTO_TCP, 999, 1},		  {IPPROTO_IP, IP_TOS, 16},
		 {IPPROTO_IP, IP_TTL, 0},	  {IPPROTO_IP, IP_TTL, 44},
		 {IPPROTO_IP, IP_PKTINFO, 7},	  {SOL_SOCKET, SO_KEEPALIVE, 1},
		 {SOL_SOCKET, SO_REUSEADDR, 5},	  {SOL_SOCKET, SO_BROADCAST, 1},
		 {IPPROTO_IPV6, IPV6_V6ONLY, 1},  {IPPROTO_UDP, 1, 1},
		 {SOL_SOCKET, SO_OOBINLINE, 1},	  {SOL_SOCKET, SO_PRIORITY, 3}};
	struct tcp_info info;
	socklen_t n = sizeof(info);
	char name[32] = "";
	int s = tcp(AF_INET);

	for (unsigned int i = 0; i < sizeof(o) / sizeof(o[0]); i++)
		printf("%d/%d: set %ld get %d\n", o[i].level, o[i].name,
		       R(on(s, o[i].level, o[i].name, o[i].value)), get(s, o[i].level, o[i].name));
	SHOW(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &n));
	printf("state %d\n", info.tcpi_state);
	n = sizeof(name);
	SHOW(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	SHOW(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6));
	SHOW(getsockopt(s, SOL_SOCKET, SO_PEERCRED, name, &n));
	close(s);
}

#define TOTAL (8 << 20)
static void *sink(void *arg)
{
	static unsigned char in[65536];
	unsigned long sum = 0, got = 0;
	ssize_t n;

	while ((n = read(*(int *)arg, in, sizeof(in))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum += (in[i] == (unsigned char)((got + i) % 251));
		got += n;
	}
	printf("sink got %lu right %lu\n", got, sum);
	return NULL;
}

static void bulk(void)
{
	static unsigned char out[251 * 400];
	size_t sent = 0;
	int s[2];
	pthread_t t;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i % 251);
	pair(s);
	pthread_create(&t, NULL, sink, &s[1]);
	while (sent < TOTAL) {
		ssize_t n = write(s[0], out, sizeof(out));

		if (n != sizeof(out))
			break;
		sent += n;
	}
	shutdown(s[0], SHUT_WR);
	pthread_join(t, NULL);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	alarm(20);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sockets();
	binding();
	connecting();
	dual();
	ends();
	urgent();
	options();
	bulk();
	return 0;
}
