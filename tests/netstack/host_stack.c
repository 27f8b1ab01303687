/*
 * A stack on one interface of the host, as the sentry will have it: AF_PACKET with
 * PACKET_VNET_HDR, so large segments and partial checksums travel both ways. It echoes UDP and
 * TCP on port 7, and does what stdin says:
 *
 *     send ADDRESS PORT TEXT     a datagram; the answer is printed as `got TEXT`
 *     ping ADDRESS SIZE          an echo request; its reply is printed as `pong SIZE`
 *
 * host_stack INTERFACE MAC ADDRESS/PREFIX...
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netstack/addr.h"
#include "netstack/netstack.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define CONNECTIONS 32

/* An echoed TCP connection: what was received and is not sent back yet. */
struct connection {
	struct ns_ep *ep; /* NULL: free */
	char data[65536];
	size_t off, len;
	bool ended; /* the peer has sent its FIN */
};

struct host {
	struct ns_env env;
	struct ns_link_port port;
	struct ns_watcher watcher;
	struct ns_stack *st;
	struct ns_link *link;
	struct ns_ep *echo, *client, *ping4, *ping6, *listener;
	struct connection connection[CONNECTIONS];
	uint64_t deadline;
	int fd;
};

static uint64_t now(struct ns_env *env)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void random_bytes(struct ns_env *env, void *buf, size_t n)
{
	if (getrandom(buf, n, 0) != (ssize_t)n)
		err(1, "getrandom");
}

static void deadline(struct ns_env *env, uint64_t when)
{
	struct host *h = container_of(env, struct host, env);

	h->deadline = min(h->deadline, when);
}

static void wake(struct ns_watcher *w, uint32_t events)
{
}

/* --- frames -------------------------------------------------------------------------------- */

static void to_virtio(const struct ns_offload *o, struct virtio_net_hdr *v)
{
	static const uint8_t types[] = {
	    [NS_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
	    [NS_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
	    [NS_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
	    [NS_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4,
	};

	*v = (struct virtio_net_hdr){.gso_type = types[o->gso]};
	if (o->csum_partial) {
		v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v->csum_start = o->csum_start;
		v->csum_offset = o->csum_offset;
	}
	if (o->gso) {
		v->gso_size = o->gso_size;
		v->hdr_len = o->hdr_len;
	}
}

static void from_virtio(const struct virtio_net_hdr *v, struct ns_offload *o)
{
	*o = (struct ns_offload){.csum_partial = v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
				 .csum_valid = v->flags & VIRTIO_NET_HDR_F_DATA_VALID,
				 .csum_start = v->csum_start,
				 .csum_offset = v->csum_offset,
				 .gso_size = v->gso_size,
				 .hdr_len = v->hdr_len};
	switch (v->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		o->gso = NS_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		o->gso = NS_GSO_TCP6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		o->gso = NS_GSO_UDP;
		break;
	default:
		break;
	}
}

static int transmit(struct ns_link_port *port, const struct ns_frame *f)
{
	struct host *h = container_of(port, struct host, port);
	struct virtio_net_hdr v;
	struct iovec iov[16] = {{&v, sizeof(v)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)f->niov + 1};

	to_virtio(&f->offload, &v);
	memcpy(iov + 1, f->iov, (size_t)f->niov * sizeof(*iov));
	if (sendmsg(h->fd, &msg, 0) >= 0)
		return 0;
	warn("sendmsg of %zu bytes, gso %d", f->len, f->offload.gso);
	return -errno;
}

static const struct ns_link_ops link_ops = {.transmit = transmit};

static void receive_frame(struct host *h)
{
	struct virtio_net_hdr v;
	struct iovec iov[NS_RX_IOV + 1] = {{&v, sizeof(v)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = NS_RX_IOV + 1};
	struct ns_offload off;
	ssize_t n;

	if (ns_rx_prepare(h->link, iov + 1) < 0)
		errx(1, "no memory for a frame");
	n = recvmsg(h->fd, &msg, 0);
	if (n < (ssize_t)sizeof(v)) {
		if (n < 0 && errno != ENETDOWN)
			err(1, "recvmsg");
		return;
	}
	from_virtio(&v, &off);
	ns_rx_commit(h->link, (size_t)n - sizeof(v), &off);
}

static int open_interface(const char *name)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(3)};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(3)), one = 1;

	for (int i = 0; i < 100 && !(a.sll_ifindex = (int)if_nametoindex(name)); i++)
		usleep(50000); /* it may still be on its way into this namespace */
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		err(1, "%s", name);
	return fd;
}

/* --- set-up --------------------------------------------------------------------------------- */

static struct ns_ip parse_ip(const char *text)
{
	struct in_addr a4;
	struct ns_ip ip;

	if (inet_pton(AF_INET, text, &a4) == 1)
		return ns_ip4(a4.s_addr);
	if (inet_pton(AF_INET6, text, ip.b) != 1)
		errx(1, "%s is no address", text);
	return ip;
}

static void add_address(struct host *h, char *text)
{
	char *slash = strchr(text, '/');
	struct ns_ifaddr a = {.ifindex = 2, .valid_left = NS_NEVER, .preferred_left = NS_NEVER};

	if (!slash)
		errx(1, "%s has no prefix", text);
	*slash = 0;
	a.ip = parse_ip(text);
	a.prefix = (uint8_t)atoi(slash + 1);
	if (ns_ifaddr_add(h->st, &a) < 0)
		errx(1, "address %s", text);
}

static struct ns_ep *endpoint(struct host *h, enum ns_kind kind, enum ns_family family,
			      uint16_t protocol)
{
	struct ns_ep_config c = {
	    .kind = kind, .family = family, .protocol = protocol, .watcher = &h->watcher};
	struct ns_ep *ep;

	if (ns_ep_new(h->st, &c, &ep) < 0)
		errx(1, "no endpoint");
	return ep;
}

static void open_stack(struct host *h, char **argv)
{
	struct ns_link_config c = {.mtu = 1500, .port = &h->port};
	struct ns_addr any = {.port = 7};
	struct ns_limits limits;
	unsigned int mac[6];

	h->env = (struct ns_env){now, random_bytes, deadline};
	h->watcher.wake = wake;
	h->port.ops = &link_ops;
	h->deadline = NS_NEVER;
	ns_limits_default(&limits);
	c.features = NS_LINK_ETHERNET | NS_LINK_CSUM | NS_LINK_TSO | NS_LINK_USO;
	c.autoconf = true;
	snprintf(c.name, sizeof(c.name), "%s", argv[1]);
	if (sscanf(argv[2], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4,
		   mac + 5) != 6)
		errx(1, "%s is no MAC", argv[2]);
	for (int i = 0; i < 6; i++)
		c.mac[i] = (uint8_t)mac[i];
	if (ns_stack_new(&limits, &h->env, &h->st) < 0 || ns_link_add(h->st, &c, &h->link) < 0)
		errx(1, "no stack");
	ns_link_set_up(h->link, true);
	for (char **a = argv + 3; *a; a++)
		add_address(h, *a);
	h->echo = endpoint(h, NS_UDP, NS_IPV6, 0);
	h->client = endpoint(h, NS_UDP, NS_IPV6, 0);
	h->ping4 = endpoint(h, NS_PING, NS_IPV4, IPPROTO_ICMP);
	h->ping6 = endpoint(h, NS_PING, NS_IPV6, IPPROTO_ICMPV6);
	h->listener = endpoint(h, NS_TCP, NS_IPV6, 0);
	if (ns_bind(h->listener, &any) < 0 || ns_listen(h->listener, 16) < 0)
		errx(1, "no listener");
	if (ns_bind(h->echo, &any) < 0 || ns_setopt(h->echo, NS_SO_RCVBUF, 4 << 20) < 0)
		errx(1, "no echo");
}

/* --- traffic -------------------------------------------------------------------------------- */

static char data[70000];

static void echo_all(struct host *h)
{
	struct ns_msg m = {.buf = data};
	ssize_t n;

	for (;;) {
		m.len = sizeof(data);
		n = ns_recv(h->echo, &m);
		if (n == -EAGAIN)
			return;
		if (n < 0)
			continue; /* an ICMP error about an earlier one */
		m.len = (size_t)n;
		m.meta.have = NS_META_LOCAL;
		n = ns_send(h->echo, &m);
		if (n < 0)
			warnx("echo of %zu bytes: %s", m.len, strerror((int)-n));
	}
}

static void accept_all(struct host *h)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		struct connection *c = &h->connection[i];

		if (c->ep || ns_accept(h->listener, &c->ep) < 0)
			continue;
		c->off = c->len = 0;
		c->ended = false;
	}
}

/* False: nothing more can be done now. */
static bool echo_some(struct connection *c)
{
	struct ns_msg m = {.buf = c->data, .len = sizeof(c->data)};
	ssize_t n;

	if (c->off == c->len && !c->ended) {
		n = ns_recv(c->ep, &m);
		if (n == -EAGAIN)
			return false;
		c->off = 0;
		c->len = n > 0 ? (size_t)n : 0;
		c->ended = n <= 0;
	}
	if (c->off == c->len) {
		ns_close(c->ep);
		c->ep = NULL;
		return false;
	}
	m = (struct ns_msg){.buf = c->data + c->off, .len = c->len - c->off};
	n = ns_send(c->ep, &m);
	if (n == -EAGAIN)
		return false;
	c->ended |= n < 0;
	c->off = n < 0 ? c->len : c->off + (size_t)n;
	return true;
}

static void echo_connections(struct host *h)
{
	accept_all(h);
	for (int i = 0; i < CONNECTIONS; i++)
		while (h->connection[i].ep && echo_some(&h->connection[i]))
			;
}

static void print_answers(struct ns_ep *ep, const char *what)
{
	struct ns_msg m = {.buf = data, .len = sizeof(data)};
	ssize_t n;

	while ((n = ns_recv(ep, &m)) != -EAGAIN) {
		if (n < 0)
			printf("error %s\n", strerror((int)-n));
		else if (strcmp(what, "pong") == 0)
			printf("pong %zd\n", n - 8);
		else
			printf("%s %.*s\n", what, (int)n, data);
		fflush(stdout);
	}
}

static void send_to(struct ns_ep *ep, const char *ip, uint16_t port, size_t n)
{
	struct ns_msg m = {.buf = data, .len = n, .has_addr = true};
	ssize_t got;

	m.addr = (struct ns_addr){.ip = parse_ip(ip), .port = port};
	got = ns_send(ep, &m);
	if (got < 0)
		printf("error %s\n", strerror((int)-got));
	fflush(stdout);
}

static void command(struct host *h, char *line)
{
	char ip[64], text[256];
	unsigned int number;
	bool v6;

	if (sscanf(line, "send %63s %u %255s", ip, &number, text) == 3) {
		memcpy(data, text, strlen(text));
		send_to(h->client, ip, (uint16_t)number, strlen(text));
	} else if (sscanf(line, "ping %63s %u", ip, &number) == 2 && number < 60000) {
		v6 = strchr(ip, ':');
		memset(data, 0, 8);
		data[0] = (char)(v6 ? 128 : 8);
		send_to(v6 ? h->ping6 : h->ping4, ip, 0, number + 8);
	} else {
		errx(1, "what is: %s", line);
	}
}

/* What is left of the time until the deadline, in ms, rounded up. */
static int timeout(const struct host *h)
{
	uint64_t t = now(NULL);

	if (h->deadline == NS_NEVER)
		return -1;
	return h->deadline <= t ? 0
				: (int)min((h->deadline - t) / NSEC_PER_MSEC + 1, (uint64_t)60000);
}

int main(int argc, char **argv)
{
	static struct host h;
	char line[512];

	if (argc < 4)
		errx(2, "usage: host_stack INTERFACE MAC ADDRESS/PREFIX...");
	setvbuf(stdin, NULL, _IONBF, 0);
	h.fd = open_interface(argv[1]);
	open_stack(&h, argv);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[2] = {{h.fd, POLLIN, 0}, {0, POLLIN, 0}};

		if (poll(fds, 2, timeout(&h)) < 0)
			err(1, "poll");
		if (fds[0].revents)
			receive_frame(&h);
		if (fds[1].revents) {
			if (!fgets(line, sizeof(line), stdin))
				break;
			command(&h, line);
		}
		h.deadline = NS_NEVER;
		deadline(&h.env, ns_tick(h.st));
		echo_all(&h);
		echo_connections(&h);
		print_answers(h.client, "got");
		print_answers(h.ping4, "pong");
		print_answers(h.ping6, "pong");
	}
	return 0;
}
