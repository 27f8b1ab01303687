/*
 * Feeds frames to a stack with endpoints of every kind open, a policy, an Ethernet link, a bare
 * one and a gateway. An input is a list of records: kind, length (16 bit, little endian), bytes.
 * Frames may have their checksums put right, so that mutations reach what is behind them. At
 * the end everything is closed, an hour passes, and nothing may be left allocated.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netstack/addr.h"
#include "netstack/checksum.h"
#include "netstack/wire.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define ENDPOINTS 24

enum record {
	RECORD_FRAME,	 /* as it is */
	RECORD_FIXED,	 /* checksums put right */
	RECORD_OFFLOAD,	 /* struct ns_offload's fields in 10 bytes, then a frame, fixed */
	RECORD_TIME,	 /* the length is how many milliseconds pass */
	RECORD_ENDPOINT, /* two bytes: which endpoint, what to do; then data to send */
	RECORD_BARE,	 /* an IP packet for the bare link, fixed */
	RECORD_GATEWAY,	 /* a frame for the gateway link, fixed */
	RECORD_KINDS
};

struct world {
	struct ns_env env;
	struct ns_link_port port[3];
	struct ns_policy policy;
	struct ns_watcher watcher;
	struct ns_stack *st;
	struct ns_link *link[3]; /* Ethernet, bare, gateway */
	struct ns_ep *ep[ENDPOINTS];
	unsigned int neps;
	uint64_t now, deadline, seed;
	unsigned long sent;
};

static uint64_t env_now(struct ns_env *env)
{
	return container_of(env, struct world, env)->now;
}

static void env_random(struct ns_env *env, void *buf, size_t n)
{
	struct world *w = container_of(env, struct world, env);
	unsigned char *to = buf;

	while (n-- > 0)
		*to++ = (unsigned char)((w->seed = w->seed * 6364136223846793005u + 1) >> 56);
}

static void env_deadline(struct ns_env *env, uint64_t when)
{
	struct world *w = container_of(env, struct world, env);

	w->deadline = min(w->deadline, when);
}

/* Reads every byte that is sent, so that a sanitizer sees what is not ours. */
static int transmit(struct ns_link_port *port, const struct ns_frame *f)
{
	static volatile unsigned char sink;
	size_t len = 0;

	for (int i = 0; i < f->niov; i++) {
		const unsigned char *p = f->iov[i].iov_base;

		for (size_t j = 0; j < f->iov[i].iov_len; j++)
			sink ^= p[j];
		len += f->iov[i].iov_len;
	}
	if (len != f->len || len > 65536 + 14)
		abort();
	return 0;
}

static const struct ns_link_ops link_ops = {.transmit = transmit};

static struct ns_verdict judge(struct ns_policy *policy, const struct ns_flow *flow)
{
	uint16_t port = flow->inbound ? flow->local.port : flow->remote.port;

	return (struct ns_verdict){(enum ns_verdict_kind)(port % 8 < 4 ? port % 8 : NS_ALLOW),
				   ECONNREFUSED};
}

static void wake(struct ns_watcher *w, uint32_t events)
{
}

/* --- the world ----------------------------------------------------------------------------- */

static struct ns_ip ip_of(const char *text)
{
	struct in_addr a4;
	struct ns_ip ip;

	if (inet_pton(AF_INET, text, &a4) == 1)
		return ns_ip4(a4.s_addr);
	if (inet_pton(AF_INET6, text, ip.b) != 1)
		abort();
	return ip;
}

static void add_link(struct world *w, int i, const char *name, uint32_t features, bool autoconf)
{
	struct ns_link_config c = {.mtu = 1500,
				   .mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
				   .features = features,
				   .autoconf = autoconf,
				   .port = &w->port[i]};

	snprintf(c.name, sizeof(c.name), "%s", name);
	w->port[i].ops = &link_ops;
	if (ns_link_add(w->st, &c, &w->link[i]) < 0)
		abort();
	ns_link_set_up(w->link[i], true);
}

static void add_address(struct world *w, uint32_t ifindex, const char *text, uint8_t prefix)
{
	struct ns_ifaddr a = {.ifindex = ifindex,
			      .ip = ip_of(text),
			      .prefix = prefix,
			      .valid_left = NS_NEVER,
			      .preferred_left = NS_NEVER};

	if (ns_ifaddr_add(w->st, &a) < 0)
		abort();
}

static struct ns_ep *add_endpoint(struct world *w, enum ns_kind kind, enum ns_family family,
				  uint16_t protocol, bool gate)
{
	struct ns_ep_config c = {.kind = kind,
				 .family = family,
				 .protocol = protocol,
				 .gate = gate,
				 .watcher = &w->watcher};

	if (ns_ep_new(w->st, &c, &w->ep[w->neps]) < 0)
		return NULL;
	return w->ep[w->neps++];
}

static void bind_to(struct ns_ep *ep, const char *ip, uint16_t port)
{
	struct ns_addr a = {.ip = ip_of(ip), .port = port};

	if (ep && ns_bind(ep, &a) < 0)
		abort();
}

static void listen_on(struct ns_ep *ep, const char *ip, uint16_t port)
{
	bind_to(ep, ip, port);
	if (ep && ns_listen(ep, 8) < 0)
		abort();
}

static void connect_to(struct ns_ep *ep, const char *ip, uint16_t port)
{
	struct ns_addr a = {.ip = ip_of(ip), .port = port};

	/* Where the policy or the lack of a route refuses, there is one endpoint less. */
	if (ep && ns_connect(ep, &a) < 0)
		return;
}

static void open_endpoints(struct world *w)
{
	struct ns_group group = {.group = ip_of("224.1.2.3"), .ifindex = 2};
	struct ns_ep *ep;

	bind_to(add_endpoint(w, NS_UDP, NS_IPV6, 0, false), "::", 7);
	connect_to(add_endpoint(w, NS_UDP, NS_IPV4, 0, false), "192.0.2.2", 60);
	connect_to(add_endpoint(w, NS_UDP, NS_IPV6, 0, false), "2001:db8::2", 68);
	ep = add_endpoint(w, NS_UDP, NS_IPV4, 0, false);
	bind_to(ep, "0.0.0.0", 12);
	if (ns_group_join(ep, &group) < 0 || ns_setopt(ep, NS_IP_RECVERR, 1) < 0 ||
	    ns_setopt(ep, NS_UDP_GRO, 1) < 0)
		abort();
	bind_to(add_endpoint(w, NS_UDP, NS_IPV4, 0, true), "0.0.0.0", 0);
	add_endpoint(w, NS_PING, NS_IPV4, IPPROTO_ICMP, false);
	bind_to(w->ep[w->neps - 1], "0.0.0.0", 5);
	add_endpoint(w, NS_RAW, NS_IPV4, IPPROTO_ICMP, false);
	add_endpoint(w, NS_RAW, NS_IPV6, IPPROTO_ICMPV6, false);
	add_endpoint(w, NS_RAW, NS_IPV4, 200, false);
	add_endpoint(w, NS_PACKET, NS_IPV4, ETHERTYPE_ALL, false);
	add_endpoint(w, NS_COOKED, NS_IPV4, ETHERTYPE_ARP, false);
	listen_on(add_endpoint(w, NS_TCP, NS_IPV6, 0, false), "::", 7);
	listen_on(add_endpoint(w, NS_TCP, NS_IPV4, 0, true), "0.0.0.0", 0);
	connect_to(add_endpoint(w, NS_TCP, NS_IPV4, 0, false), "192.0.2.2", 60);
	connect_to(add_endpoint(w, NS_TCP, NS_IPV4, 0, false), "198.51.100.3", 61);
}

static void open_world(struct world *w, bool policy)
{
	struct ns_limits limits;
	struct ns_route r = {.gateway = ip_of("192.0.2.2"),
			     .family = NS_IPV4,
			     .dst = ip_of("0.0.0.0"),
			     .ifindex = 2};

	memset(w, 0, sizeof(*w));
	w->env = (struct ns_env){env_now, env_random, env_deadline};
	w->policy.judge = judge;
	w->watcher.wake = wake;
	w->now = NSEC_PER_SEC;
	w->seed = 1;
	ns_limits_default(&limits);
	limits.memory = 4 << 20;
	limits.fragments = 256 << 10;
	limits.neighbours = 16;
	limits.endpoints = 64;
	if (ns_stack_new(&limits, &w->env, &w->st) < 0)
		abort();
	if (policy)
		ns_policy_set(w->st, &w->policy);
	add_link(w, 0, "eth0", NS_LINK_ETHERNET, true);
	add_link(w, 1, "tun0", NS_LINK_CSUM | NS_LINK_TSO | NS_LINK_USO, false);
	add_link(w, 2, "vm0", NS_LINK_ETHERNET | NS_LINK_GATEWAY, false);
	add_address(w, 2, "192.0.2.1", 24);
	add_address(w, 2, "2001:db8::1", 64);
	add_address(w, 3, "198.51.100.1", 24);
	add_address(w, 4, "10.0.2.1", 24);
	if (ns_route_add(w->st, &r) < 0)
		abort();
	open_endpoints(w);
}

static void pass_time(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	w->deadline = ns_tick(w->st);
	while (w->deadline <= end) {
		w->now = max(w->now, w->deadline);
		w->deadline = NS_NEVER;
		w->deadline = min(w->deadline, ns_tick(w->st));
	}
	w->now = end;
}

static void close_world(struct world *w)
{
	struct ns_ifaddr a[64];
	size_t n;

	for (unsigned int i = 0; i < w->neps; i++)
		if (w->ep[i])
			ns_close(w->ep[i]);
	for (int i = 0; i < 3; i++) {
		ns_link_set_up(w->link[i], false);
		ns_rx_cancel(w->link[i]);
	}
	n = ns_ifaddrs(w->st, a, 64);
	for (size_t i = 0; i < n; i++)
		if (a[i].ifindex > 1 && ns_ifaddr_del(w->st, a[i].ifindex, &a[i].ip) < 0)
			abort();
	pass_time(w, 3600 * NSEC_PER_SEC);
	if (ns_memory_used(w->st) != 0) {
		fprintf(stderr, "%zu bytes are left\n", ns_memory_used(w->st));
		abort();
	}
	ns_stack_free(w->st);
}

/* --- frames -------------------------------------------------------------------------------- */

static void fix_transport(unsigned char *l4, size_t n, uint8_t protocol, const struct ns_ip *src,
			  const struct ns_ip *dst)
{
	size_t field = protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
	bool plain = protocol == IPPROTO_ICMP || protocol == IPPROTO_IGMP;
	uint32_t sum;
	uint16_t folded;

	if (n < field + 2 || (!plain && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP &&
			      protocol != IPPROTO_ICMPV6))
		return;
	memset(l4 + field, 0, 2);
	sum = plain ? 0 : csum_pseudo(src, dst, protocol, (uint32_t)n);
	folded = csum_finish(csum_add(sum, l4, n));
	memcpy(l4 + field, &folded, 2);
}

static void fix_ip4(unsigned char *ip, size_t n)
{
	struct ip4_header *h = (struct ip4_header *)ip;
	struct ns_ip src = ns_ip4(h->src), dst = ns_ip4(h->dst);
	size_t hlen = (size_t)(h->version_ihl & 15) * 4, total = ntohs(h->total_len);

	if (hlen < 20 || hlen > n || total > n || total < hlen)
		return;
	h->csum = 0;
	h->csum = csum_finish(csum_add(0, ip, hlen));
	if (!(h->frag & htons(IP4_MF | IP4_OFFSET)))
		fix_transport(ip + hlen, total - hlen, h->protocol, &src, &dst);
}

static void fix_ip6(unsigned char *ip, size_t n)
{
	struct ip6_header *h = (struct ip6_header *)ip;
	struct ns_ip src = ns_ip6(h->src), dst = ns_ip6(h->dst);
	size_t at = 40, end = 40u + ntohs(h->payload_len);
	uint8_t next = h->next;

	if (end > n)
		return;
	while ((next == 0 || next == 43 || next == 60 || next == 44) && at + 8 <= end) {
		size_t len = next == 44 ? 8 : (ip[at + 1] + 1u) * 8;

		if (next == 44 && (ip[at + 2] || (ip[at + 3] & 0xf9)))
			return;
		next = ip[at];
		at += len;
	}
	if (at < end)
		fix_transport(ip + at, end - at, next, &src, &dst);
}

static void fix(unsigned char *ip, size_t n)
{
	if (n >= sizeof(struct ip4_header) && ip[0] >> 4 == 4)
		fix_ip4(ip, n);
	else if (n >= sizeof(struct ip6_header) && ip[0] >> 4 == 6)
		fix_ip6(ip, n);
}

static void input(struct ns_link *l, const unsigned char *frame, size_t n, bool fixed, size_t l2,
		  const struct ns_offload *off)
{
	unsigned char *copy = malloc(n ? n : 1); /* of the exact size, for the sanitizer */
	struct iovec iov[NS_RX_IOV] = {{copy, n}};
	bool ring = n % 2 == 0;

	memcpy(copy, frame, n);
	if (fixed && n > l2)
		fix(copy + l2, n - l2);
	if (!ring) {
		ns_input(l, iov, 1, off);
	} else if (ns_rx_prepare(l, iov) == 0) {
		size_t first = min(n, iov[0].iov_len);

		memcpy(iov[0].iov_base, copy, first);
		memcpy(iov[1].iov_base, copy + first, n - first);
		ns_rx_commit(l, n, off);
	}
	free(copy);
}

static void input_offload(struct world *w, const unsigned char *d, size_t n)
{
	struct ns_offload off;

	if (n < 10)
		return;
	off = (struct ns_offload){.csum_partial = d[0] & 1,
				  .csum_valid = d[0] & 2,
				  .gso_ecn = d[0] & 4,
				  .gso = (enum ns_gso)(d[1] & 3),
				  .csum_start = (uint16_t)(d[2] | d[3] << 8),
				  .csum_offset = (uint16_t)(d[4] | d[5] << 8),
				  .gso_size = (uint16_t)(d[6] | d[7] << 8),
				  .hdr_len = (uint16_t)(d[8] | d[9] << 8)};
	input(w->link[0], d + 10, n - 10, d[0] & 8, 14, &off);
}

/* --- endpoints -------------------------------------------------------------------------------- */

static void receive(struct ns_ep *ep, int flags)
{
	static unsigned char buf[70000];
	struct ns_msg m = {.buf = buf, .len = sizeof(buf), .flags = flags};

	for (int i = 0; i < 64 && ns_recv(ep, &m) > 0; i++)
		;
}

static void send_some(struct ns_ep *ep, const unsigned char *d, size_t n, bool to)
{
	struct ns_msg m = {.buf = (void *)d, .len = n, .has_addr = to};

	if (to && n >= 3)
		m.addr = (struct ns_addr){.ip = ip_of(d[0] & 1 ? "192.0.2.9" : "2001:db8::9"),
					  .port = (uint16_t)(d[1] | d[2] << 8)};
	if (ns_send(ep, &m) < 0)
		return;
}

static void accept_one(struct world *w, struct ns_ep *ep)
{
	if (w->neps < ENDPOINTS && ns_accept(ep, &w->ep[w->neps]) == 0)
		ns_watch(w->ep[w->neps++], &w->watcher);
}

static void endpoint_op(struct world *w, const unsigned char *d, size_t n)
{
	struct ns_ep *ep;
	int value;

	if (n < 2)
		return;
	ep = w->ep[d[0] % w->neps];
	switch (d[1] % 8) {
	case 0:
		receive(ep, 0);
		break;
	case 1:
		receive(ep, MSG_ERRQUEUE);
		break;
	case 2:
		send_some(ep, d + 2, n - 2, false);
		break;
	case 3:
		send_some(ep, d + 2, n - 2, true);
		break;
	case 4:
		accept_one(w, ep);
		break;
	case 5:
		if (n > 2 && ns_shutdown(ep, 1 + d[2] % 3) < 0)
			return;
		break;
	case 6:
		if (n > 4 && ns_setopt(ep, (enum ns_opt)(d[2] % NS_OPTS), d[3] | d[4] << 8) < 0)
			return;
		break;
	default:
		if (n > 2 && ns_getopt(ep, (enum ns_opt)(d[2] % NS_OPTS), &value) < 0)
			return;
		break;
	}
}

static void record(struct world *w, unsigned char kind, const unsigned char *d, size_t n,
		   size_t len)
{
	struct ns_offload none = {};

	switch (kind % RECORD_KINDS) {
	case RECORD_FRAME:
		input(w->link[0], d, n, false, 14, &none);
		break;
	case RECORD_FIXED:
		input(w->link[0], d, n, true, 14, &none);
		break;
	case RECORD_OFFLOAD:
		input_offload(w, d, n);
		break;
	case RECORD_TIME:
		pass_time(w, len * NSEC_PER_MSEC);
		break;
	case RECORD_ENDPOINT:
		endpoint_op(w, d, n);
		break;
	case RECORD_BARE:
		input(w->link[1], d, n, true, 0, &none);
		break;
	default:
		input(w->link[2], d, n, true, 14, &none);
		break;
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct world *w = malloc(sizeof(*w));

	if (size < 1) {
		free(w);
		return 0;
	}
	open_world(w, data[0] & 1);
	data++;
	size--;
	while (size >= 3) {
		size_t len = (size_t)(data[1] | data[2] << 8);
		bool timed = data[0] % RECORD_KINDS == RECORD_TIME;
		size_t n = timed ? 0 : min(len, size - 3);

		record(w, data[0], data + 3, n, len);
		data += 3 + n;
		size -= 3 + n;
	}
	for (unsigned int i = 0; i < w->neps; i++) {
		receive(w->ep[i], 0);
		receive(w->ep[i], MSG_ERRQUEUE);
	}
	close_world(w);
	free(w);
	return 0;
}
