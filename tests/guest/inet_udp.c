/* UDP over loopback, ancillary data, and what the lo device tells by ioctl and netlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
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

static int bound(const char *ip, int *port)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = at(ip, 0);
	socklen_t n = sizeof(a);

	bind(s, (void *)&a, n);
	getsockname(s, (void *)&a, &n);
	*port = ntohs(a.sin_port);
	return s;
}

static long to(int s, const char *ip, int port, const char *text)
{
	struct sockaddr_in a = at(ip, port);

	return R(sendto(s, text, strlen(text), 0, (void *)&a, sizeof(a)));
}

static long link_to(int s, const char *ip, int port)
{
	struct sockaddr_in a = at(ip, port);

	return R(connect(s, (void *)&a, sizeof(a)));
}

static void take(const char *what, int s)
{
	char buf[64] = "", ip[64] = "";
	struct sockaddr_in a = {0};
	socklen_t n = sizeof(a);
	struct pollfd p = {s, POLLIN, 0};

	poll(&p, 1, 200);
	long r = R(recvfrom(s, buf, 63, 0, (void *)&a, &n));
	inet_ntop(AF_INET, &a.sin_addr, ip, sizeof(ip));
	printf("%s: %ld '%s' from %s\n", what, r, buf, r >= 0 ? ip : "");
}

static short polled(int s)
{
	struct pollfd p = {s, POLLIN | POLLOUT | POLLRDHUP, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void basics(void)
{
	int pa, pb, a = bound("127.0.0.1", &pa), b = bound("0.0.0.0", &pb),
		    c = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), v;
	struct sockaddr_in none = {.sin_family = AF_UNSPEC};
	char big[70000] = "";

	SHOW(send(c, "x", 1, 0));
	printf("%ld\n", to(c, "127.0.0.1", 0, "x"));
	printf("%ld\n", to(c, "127.0.0.1", pa, "one"));
	take("one", a);
	printf("%ld\n", to(a, "127.0.0.5", pb, "two"));
	take("two", b);
	printf("%ld\n", to(a, "0.0.0.0", pb, ""));
	take("empty", b);
	take("nothing", b);
	printf("big %ld\n", R(sendto(c, big, 65507, 0, (void *)&(struct sockaddr_in){0}, 4)));
	struct sockaddr_in t = at("127.0.0.1", pa);
	SHOW(sendto(c, big, 65508, 0, (void *)&t, sizeof(t)));
	SHOW(sendto(c, big, 65507, 0, (void *)&t, sizeof(t)));
	SHOW(recv(a, big, 100, MSG_TRUNC));
	printf("connect %ld\n", link_to(c, "127.0.0.1", pa));
	SHOW(send(c, "three", 5, 0));
	take("three", a);
	printf("stranger %ld\n", to(a, "127.0.0.1", pb, "first"));
	printf("b connects %ld\n", link_to(b, "127.0.0.1", pa));
	printf("to connected %ld\n", to(c, "127.0.0.1", pb, "lost"));
	take("queued before", b);
	take("filtered", b);
	close(a);
	SHOW(send(c, "x", 1, 0));
	usleep(10000);
	printf("unreachable: poll %x\n", polled(c));
	SHOW(send(c, "x", 1, 0));
	SHOW(recv(c, &v, 1, 0));
	SHOW(connect(c, (void *)&none, sizeof(none)));
	printf("%ld\n", to(c, "127.0.0.1", pa, "nobody"));
	SHOW(recv(c, &v, 1, 0));
	SHOW(shutdown(c, SHUT_RD));
	SHOW(listen(c, 1));
	SHOW(accept(c, NULL, NULL));
	printf("%d\n", to(c, "192.0.2.1", 9, "x") == -ENETUNREACH);
	printf("poll %x\n", polled(c));
	close(b);
	close(c);
}

static void reuse(void)
{
	int p, a = bound("127.0.0.1", &p), b = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_in t = at("127.0.0.1", p);

	SHOW(bind(b, (void *)&t, sizeof(t)));
	setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, 4);
	setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, 4);
	SHOW(bind(b, (void *)&t, sizeof(t)));
	t.sin_addr.s_addr = inet_addr("10.99.88.77");
	close(b);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	SHOW(bind(b, (void *)&t, sizeof(t)));
	close(a);
	close(b);
}

static void ancillary(void)
{
	int p, a = bound("0.0.0.0", &p), c = socket(AF_INET, SOCK_DGRAM, 0), one = 1, ttl = 9;
	char buf[16], control[256];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *h;

	SHOW(setsockopt(a, IPPROTO_IP, IP_PKTINFO, &one, 4));
	SHOW(setsockopt(a, IPPROTO_IP, IP_RECVTTL, &one, 4));
	SHOW(setsockopt(a, IPPROTO_IP, IP_RECVTOS, &one, 4));
	SHOW(setsockopt(a, SOL_SOCKET, SO_TIMESTAMP, &one, 4));
	SHOW(setsockopt(c, IPPROTO_IP, IP_TTL, &ttl, 4));
	to(c, "127.0.0.1", p, "x");
	SHOW(recvmsg(a, &m, 0));
	for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		printf("cmsg %d/%d len %zu", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
		if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_TTL)
			printf(" ttl %d", *(int *)CMSG_DATA(h));
		if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *i = (void *)CMSG_DATA(h);

			printf(" if %d dst %s", i->ipi_ifindex, inet_ntoa(i->ipi_addr));
		}
		printf("\n");
	}
	close(a);
	close(c);
}

static void device(void)
{
	struct ifaddrs *list, *i;
	struct ifreq r[8];
	struct ifconf conf = {.ifc_len = sizeof(r), .ifc_req = r};
	char ip[64];
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	SHOW(getifaddrs(&list));
	for (i = list; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : 0;

		if (strcmp(i->ifa_name, "lo"))
			continue;
		if (family == AF_INET || family == AF_INET6) {
			getnameinfo(i->ifa_addr,
				    family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6),
				    ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
			printf("lo %d %s", family, ip);
			getnameinfo(i->ifa_netmask,
				    family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6),
				    ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
			printf(" mask %s flags %x\n", ip, i->ifa_flags);
		} else {
			printf("lo %d flags %x\n", family, i->ifa_flags);
		}
	}
	freeifaddrs(list);
	SHOW(ioctl(s, SIOCGIFCONF, &conf));
	printf("%d %s\n", conf.ifc_len / (int)sizeof(r[0]), r[0].ifr_name);
	SHOW(if_nametoindex("lo"));
	SHOW(if_nametoindex("nosuch0"));
	memset(r, 0, sizeof(r));
	strcpy(r[0].ifr_name, "lo");
	SHOW(ioctl(s, SIOCGIFFLAGS, r));
	printf("flags %x\n", r[0].ifr_flags);
	SHOW(ioctl(s, SIOCGIFMTU, r));
	printf("mtu %d\n", r[0].ifr_mtu);
	SHOW(ioctl(s, SIOCGIFHWADDR, r));
	printf("hw %d\n", r[0].ifr_hwaddr.sa_family);
	strcpy(r[0].ifr_name, "eth99");
	SHOW(ioctl(s, SIOCGIFFLAGS, r));
	SHOW(ioctl(s, 0x89ff, r));
	SHOW(socket(AF_NETLINK, SOCK_STREAM, 0));
	close(s);
}

static void many(void)
{
	int p, a = bound("127.0.0.1", &p), c = socket(AF_INET, SOCK_DGRAM, 0);
	struct mmsghdr mm[4] = {0};
	struct iovec iov[4];
	char text[4][4] = {"aa", "bb", "cc", "dd"};
	struct sockaddr_in t = at("127.0.0.1", p);
	struct timespec zero = {0, 0};

	connect(c, (void *)&t, sizeof(t));
	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){text[i], 2};
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
	}
	SHOW(sendmmsg(c, mm, 3, 0));
	printf("len %u %u\n", mm[0].msg_len, mm[2].msg_len);
	SHOW(recvmmsg(a, mm, 2, 0, NULL));
	SHOW(recvmmsg(a, mm, 4, MSG_WAITFORONE, &zero));
	SHOW(recvmmsg(a, mm, 4, 0, NULL));
	close(a);
	close(c);
}

int main(void)
{
	alarm(20);
	setvbuf(stdout, NULL, _IOLBF, 0);
	basics();
	reuse();
	ancillary();
	device();
	many();
	return 0;
}
