/* AF_UNIX datagrams: addresses, boundaries, connected peers, full queues. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (e);                                                                     \
		r_ < 0 ? -(long)errno : r_;                                                        \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

static socklen_t addr(struct sockaddr_un *un, const char *name)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path + 1, name);
	return 3 + strlen(name);
}

static int made(const char *name)
{
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un un;

	if (name)
		bind(s, (void *)&un, addr(&un, name));
	return s;
}

static long send_to(int s, const char *name, const char *text)
{
	struct sockaddr_un un;
	socklen_t n = addr(&un, name);

	return R(sendto(s, text, strlen(text), 0, (void *)&un, n));
}

static long link_to(int s, const char *name)
{
	struct sockaddr_un un;
	socklen_t n = addr(&un, name);

	return R(connect(s, (void *)&un, n));
}

static void receive(const char *what, int s)
{
	struct sockaddr_un un;
	socklen_t n = sizeof(un);
	char buf[32] = "";
	long r = R(recvfrom(s, buf, sizeof(buf) - 1, 0, (void *)&un, &n));

	printf("%s: %ld '%s' from %u '%s'\n", what, r, r > 0 ? buf : "", r < 0 ? 0 : n,
	       r >= 0 && n > 3 ? un.sun_path + 1 : "");
}

static short polled(int s)
{
	struct pollfd p = {s, POLLIN | POLLOUT | POLLRDHUP, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void addresses(void)
{
	int a = made("ga"), b = made("gb"), c = made(NULL);

	printf("%ld\n", send_to(a, "gb", "one"));
	printf("%ld\n", send_to(c, "gb", "two"));
	printf("%ld\n", send_to(a, "nobody", "x"));
	receive("first", b);
	receive("second", b);
	receive("none", b);
	SHOW(send(a, "x", 1, 0));
	printf("connect %ld\n", link_to(a, "gb"));
	SHOW(send(a, "via connect", 11, 0));
	SHOW(send(a, "", 0, 0));
	receive("connected", b);
	receive("empty", b);
	printf("connect back %ld\n", link_to(b, "ga"));
	printf("stranger %ld\n", send_to(c, "gb", "no"));
	printf("stranger connects %ld\n", link_to(c, "gb"));
	SHOW(listen(a, 1));
	SHOW(accept(a, NULL, NULL));
	close(b);
	SHOW(send(a, "x", 1, 0));
	SHOW(send(a, "x", 1, 0));
	printf("poll %x\n", polled(a));
	close(a);
	close(c);
}

static void boundaries(void)
{
	struct iovec iov[2] = {{"ab", 2}, {"cde", 3}};
	char small[2], big[300000];
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	struct iovec in = {small, sizeof(small)};
	int s[2];

	memset(big, 0, sizeof(big));
	SHOW(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	SHOW(sendmsg(s[0], &m, 0));
	m.msg_iov = &in, m.msg_iovlen = 1;
	SHOW(recvmsg(s[1], &m, MSG_PEEK));
	printf("flags %x\n", m.msg_flags);
	SHOW(recvmsg(s[1], &m, MSG_TRUNC));
	printf("flags %x\n", m.msg_flags);
	SHOW(send(s[0], big, sizeof(big), 0));
	SHOW(send(s[0], big, 100000, 0));
	SHOW(recv(s[1], big, sizeof(big), 0));
	SHOW(shutdown(s[0], SHUT_WR));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(shutdown(s[1], SHUT_RD));
	close(s[0]);
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	close(s[1]);
}

static void *reader(void *arg)
{
	char buf[10];

	usleep(50000);
	for (int i = 0; i < 5; i++)
		recv(*(int *)arg, buf, sizeof(buf), 0);
	return NULL;
}

/* The queue of a receiver is bounded for strangers. */
static void full(void)
{
	int to = made("gfull"), from = made(NULL), n = 0;
	pthread_t t;
	struct pollfd p;

	link_to(from, "gfull");
	while (send(from, "x", 1, 0) == 1)
		n++;
	printf("took %d, then %d\n", n, errno);
	printf("poll %x\n", polled(from));
	fcntl(from, F_SETFL, 0);
	fcntl(to, F_SETFL, 0);
	pthread_create(&t, NULL, reader, &to);
	p = (struct pollfd){from, POLLOUT, 0};
	SHOW(poll(&p, 1, 2000));
	pthread_join(t, NULL);
	SHOW(send(from, "y", 1, 0));
	close(to);
	close(from);
}

int main(void)
{
	alarm(20);
	addresses();
	boundaries();
	full();
	return 0;
}
