/* The scripted peer: see peer.h. Builds and reads packets by its own means, not netstack's, so
 * that a mistake of one side is not made by the other as well. */
#include "tests/unit/netstack/peer.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

const uint8_t PEER_MAC[6] = {0x02, 0, 0, 0, 0, 0x02}, OWN_MAC[6] = {0x02, 0, 0, 0, 0, 0x01};

/* --- bytes ------------------------------------------------------------------------------------ */

static void put16(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static void put32(unsigned char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint16_t get16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* The plain sum of RFC 1071, in host order. */
static uint32_t simple_sum(uint32_t sum, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo_sum(const struct ns_ip *src, const struct ns_ip *dst, uint8_t protocol,
			   size_t n)
{
	bool v4 = ns_ip_is_v4(dst);
	uint32_t sum = simple_sum(protocol, src->b + (v4 ? 12 : 0), v4 ? 4 : 16);

	sum = simple_sum(sum, dst->b + (v4 ? 12 : 0), v4 ? 4 : 16);
	return simple_sum(sum + (uint32_t)(n & 0xffff) + (uint32_t)(n >> 16), NULL, 0);
}

uint16_t peer_checksum(const struct ns_ip *src, const struct ns_ip *dst, uint8_t protocol,
		       const void *segment, size_t n)
{
	bool plain = protocol == IPPROTO_ICMP || protocol == IPPROTO_IGMP;
	uint32_t sum = plain ? 0 : pseudo_sum(src, dst, protocol, n);

	sum = ~simple_sum(sum, segment, n) & 0xffff;
	return htons((uint16_t)sum);
}

/* --- environment ----------------------------------------------------------------------------- */

static uint64_t env_now(struct ns_env *env)
{
	return container_of(env, struct peer, env)->now;
}

static void env_random(struct ns_env *env, void *buf, size_t n)
{
	struct peer *p = container_of(env, struct peer, env);
	unsigned char *to = buf;

	while (n-- > 0) {
		p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
		*to++ = (unsigned char)(p->seed >> 56);
	}
}

static void env_deadline(struct ns_env *env, uint64_t when)
{
	struct peer *p = container_of(env, struct peer, env);

	p->deadline = min(p->deadline, when);
}

static int transmit(struct ns_link_port *port, const struct ns_frame *f)
{
	struct peer *p = container_of(port, struct peer, port);
	struct peer_frame *to = &p->frame[(p->first + p->count) % PEER_FRAMES];
	size_t at = 0;

	if (p->full)
		return -EAGAIN;
	ck_assert_uint_lt(p->count, PEER_FRAMES);
	p->count++;
	to->data = malloc(f->len ? f->len : 1);
	to->len = f->len;
	to->offload = f->offload;
	for (int i = 0; i < f->niov; i++) {
		memcpy(to->data + at, f->iov[i].iov_base, f->iov[i].iov_len);
		at += f->iov[i].iov_len;
	}
	ck_assert_uint_eq(at, f->len);
	return 0;
}

static const struct ns_link_ops link_ops = {.transmit = transmit};

struct ns_ip peer_ip(const char *text)
{
	struct in_addr a4;
	struct ns_ip ip;

	if (inet_pton(AF_INET, text, &a4) == 1)
		return ns_ip4(a4.s_addr);
	ck_assert_int_eq(inet_pton(AF_INET6, text, ip.b), 1);
	return ip;
}

struct ns_addr peer_addr(const char *text, uint16_t port)
{
	return (struct ns_addr){.ip = peer_ip(text), .port = port};
}

void peer_open_bare(struct peer *p, uint32_t features, const struct ns_limits *limits)
{
	struct ns_limits standard;
	struct ns_link_config c = {.name = "eth0", .mtu = 1500, .port = &p->port};

	memset(p, 0, sizeof(*p));
	p->env = (struct ns_env){env_now, env_random, env_deadline};
	p->port.ops = &link_ops;
	p->now = 1000 * NSEC_PER_SEC;
	p->deadline = NS_NEVER;
	p->seed = 1;
	p->ttl = p->tos = -1;
	memcpy(p->mac, PEER_MAC, 6);
	memcpy(p->own_mac, OWN_MAC, 6);
	p->local = peer_ip("192.0.2.1");
	p->remote = peer_ip("192.0.2.2");
	ns_limits_default(&standard);
	ck_assert_int_eq(ns_stack_new(limits ? limits : &standard, &p->env, &p->st), 0);
	c.features = features | NS_LINK_ETHERNET;
	memcpy(c.mac, OWN_MAC, 6);
	ck_assert_int_eq(ns_link_add(p->st, &c, &p->link), 0);
	ns_link_set_up(p->link, true);
}

static void add_address(struct peer *p, const char *text, uint8_t prefix)
{
	struct ns_ifaddr a = {.ifindex = 2,
			      .ip = peer_ip(text),
			      .prefix = prefix,
			      .valid_left = NS_NEVER,
			      .preferred_left = NS_NEVER};

	ck_assert_int_eq(ns_ifaddr_add(p->st, &a), 0);
}

static void add_peer(struct peer *p, const char *text)
{
	struct ns_neighbour n = {.ifindex = 2, .ip = peer_ip(text), .state = NUD_PERMANENT};

	memcpy(n.mac, PEER_MAC, 6);
	ck_assert_int_eq(ns_neighbour_set(p->st, &n), 0);
}

static void add_default_route(struct peer *p, const char *gateway, const char *any)
{
	struct ns_route r = {.type = NS_ROUTE_UNICAST,
			     .gateway = peer_ip(gateway),
			     .dst = peer_ip(any),
			     .ifindex = 2};

	r.family = ns_ip_family(&r.dst);
	ck_assert_int_eq(ns_route_add(p->st, &r), 0);
}

void peer_open(struct peer *p, uint32_t features)
{
	peer_open_bare(p, features, NULL);
	add_address(p, "192.0.2.1", 24);
	add_address(p, "2001:db8::1", 64);
	add_address(p, "fe80::1", 64);
	add_peer(p, "192.0.2.2");
	add_peer(p, "2001:db8::2");
	add_peer(p, "fe80::2");
	add_default_route(p, "192.0.2.2", "0.0.0.0");
	add_default_route(p, "fe80::2", "::");
	peer_advance(p, 5 * NSEC_PER_SEC); /* announcements and membership reports */
	peer_drain(p);
}

void peer_use_ipv6(struct peer *p)
{
	p->local = peer_ip("2001:db8::1");
	p->remote = peer_ip("2001:db8::2");
}

void peer_close(struct peer *p)
{
	peer_drain(p);
	ns_link_set_up(p->link, false);
	/* What lingers (fragments, TIME-WAIT, learned MTUs) goes by time. */
	peer_advance(p, 3600 * NSEC_PER_SEC);
	peer_drain(p);
	for (int i = 0; i < 3; i++) { /* the permanent neighbours are configuration */
		static const char *const known[] = {"192.0.2.2", "2001:db8::2", "fe80::2"};
		struct ns_ip ip = peer_ip(known[i]);
		int err = ns_neighbour_del(p->st, 2, &ip);

		ck_assert(err == 0 || err == -ENOENT);
	}
	while (true) { /* so are addresses, which have groups */
		struct ns_ifaddr a[32];
		size_t n = ns_ifaddrs(p->st, a, 32), i;

		for (i = 0; i < n && a[i].ifindex == 1; i++)
			;
		if (i == n)
			break;
		ck_assert_int_eq(ns_ifaddr_del(p->st, a[i].ifindex, &a[i].ip), 0);
	}
	ck_assert_uint_eq(ns_memory_used(p->st), 0);
	ns_stack_free(p->st);
	p->st = NULL;
}

void peer_advance(struct peer *p, uint64_t ns)
{
	uint64_t end = p->now + ns;

	p->deadline = ns_tick(p->st);
	while (p->deadline <= end) {
		p->now = max(p->now, p->deadline);
		p->deadline = NS_NEVER;
		p->deadline = min(ns_tick(p->st), p->deadline);
	}
	p->now = end;
}

/* --- to the stack ------------------------------------------------------------------------ */

void peer_send_frame_offload(struct peer *p, const void *frame, size_t n,
			     const struct ns_offload *off)
{
	struct iovec iov = {(void *)frame, n};

	ns_input(p->link, &iov, 1, off);
}

void peer_send_frame(struct peer *p, const void *frame, size_t n)
{
	struct ns_offload off = {};

	peer_send_frame_offload(p, frame, n, &off);
}

void peer_send_ether(struct peer *p, const uint8_t *dst, uint16_t ethertype, const void *data,
		     size_t n)
{
	unsigned char *frame = malloc(14 + n);

	memcpy(frame, dst ? dst : p->own_mac, 6);
	memcpy(frame + 6, p->mac, 6);
	put16(frame + 12, ethertype);
	memcpy(frame + 14, data, n);
	peer_send_frame(p, frame, 14 + n);
	free(frame);
}

static void group_mac(const struct ns_ip *ip, uint8_t mac[6])
{
	if (!ns_ip_is_v4(ip)) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, ip->b + 12, 4);
	} else if (ip->b[12] == 255) {
		memset(mac, 0xff, 6);
	} else {
		memcpy(mac, (uint8_t[]){1, 0, 0x5e, ip->b[13] & 0x7f, ip->b[14], ip->b[15]}, 6);
	}
}

static size_t ip4_header(struct peer *p, unsigned char *h, const struct ns_ip *src,
			 const struct ns_ip *dst, uint8_t protocol, size_t n)
{
	memset(h, 0, 20);
	h[0] = 0x45;
	h[1] = (unsigned char)max(p->tos, 0);
	put16(h + 2, (uint32_t)(20 + n));
	put16(h + 4, ++p->ip_id);
	h[8] = p->ttl < 0 ? 64 : (unsigned char)p->ttl;
	h[9] = protocol;
	memcpy(h + 12, src->b + 12, 4);
	memcpy(h + 16, dst->b + 12, 4);
	put16(h + 10, ~simple_sum(0, h, 20));
	return 20;
}

static size_t ip6_header(struct peer *p, unsigned char *h, const struct ns_ip *src,
			 const struct ns_ip *dst, uint8_t protocol, size_t n)
{
	memset(h, 0, 40);
	put32(h, 6u << 28 | (uint32_t)max(p->tos, 0) << 20);
	put16(h + 4, (uint32_t)n);
	h[6] = protocol;
	h[7] = p->ttl < 0 ? 64 : (unsigned char)p->ttl;
	memcpy(h + 8, src->b, 16);
	memcpy(h + 24, dst->b, 16);
	return 40;
}

void peer_send_ip(struct peer *p, const struct ns_ip *src, const struct ns_ip *dst,
		  uint8_t protocol, const void *segment, size_t n)
{
	unsigned char *packet = malloc(40 + n);
	uint8_t mac[6];
	size_t hlen;

	src = src ? src : &p->remote;
	dst = dst ? dst : &p->local;
	hlen = ns_ip_is_v4(dst) ? ip4_header(p, packet, src, dst, protocol, n)
				: ip6_header(p, packet, src, dst, protocol, n);
	memcpy(packet + hlen, segment, n);
	memcpy(mac, p->own_mac, 6);
	if (ns_ip_is_multicast(dst) || ns_ip_is_limited_broadcast(dst))
		group_mac(dst, mac);
	peer_send_ether(p, mac, ns_ip_is_v4(dst) ? 0x0800 : 0x86dd, packet, hlen + n);
	free(packet);
}

static void send_checked(struct peer *p, uint8_t protocol, unsigned char *segment, size_t n,
			 size_t field)
{
	uint16_t sum = peer_checksum(&p->remote, &p->local, protocol, segment, n);

	if (p->bad_checksum)
		sum ^= 0x5555;
	memcpy(segment + field, &sum, 2);
	peer_send_ip(p, NULL, NULL, protocol, segment, n);
	free(segment);
}

void peer_send_udp(struct peer *p, uint16_t sport, uint16_t dport, const void *data, size_t n)
{
	unsigned char *s = calloc(1, 8 + n);

	put16(s, sport);
	put16(s + 2, dport);
	put16(s + 4, (uint32_t)(8 + n));
	memcpy(s + 8, data, n);
	send_checked(p, IPPROTO_UDP, s, 8 + n, 6);
}

/* The options in their usual order, padded; how many bytes. */
static size_t put_tcp_options(unsigned char *o, const struct peer_tcp *s)
{
	size_t n = 0;

	if (s->mss) {
		o[n] = 2;
		o[n + 1] = 4;
		put16(o + n + 2, s->mss);
		n += 4;
	}
	if (s->sack_ok) {
		o[n++] = 4;
		o[n++] = 2;
	}
	if (s->timestamp) {
		o[n] = 8;
		o[n + 1] = 10;
		put32(o + n + 2, s->tsval);
		put32(o + n + 6, s->tsecr);
		n += 10;
	}
	if (s->wscale) {
		o[n] = 3;
		o[n + 1] = 3;
		o[n + 2] = (unsigned char)(s->wscale - 1);
		n += 3;
	}
	if (s->nsack) {
		o[n] = 5;
		o[n + 1] = (unsigned char)(2 + 8 * s->nsack);
		for (unsigned int i = 0; i < s->nsack; i++) {
			put32(o + n + 2 + 8 * i, s->sack[i][0]);
			put32(o + n + 6 + 8 * i, s->sack[i][1]);
		}
		n += 2 + 8 * s->nsack;
	}
	if (s->raw_len)
		memcpy(o + n, s->raw, s->raw_len);
	n += s->raw_len;
	while (n % 4)
		o[n++] = 1;
	ck_assert_uint_le(n, 40);
	return n;
}

void peer_send_tcp(struct peer *p, const struct peer_tcp *s)
{
	unsigned char *h = calloc(1, 128 + s->len);
	size_t hlen = 20 + put_tcp_options(h + 20, s);

	put16(h, s->sport);
	put16(h + 2, s->dport);
	put32(h + 4, s->seq);
	put32(h + 8, s->ack);
	h[12] = (unsigned char)(hlen / 4 << 4);
	h[13] = (unsigned char)s->flags;
	put16(h + 14, s->window);
	put16(h + 18, s->urgent);
	if (s->len)
		memcpy(h + hlen, s->data, s->len);
	send_checked(p, IPPROTO_TCP, h, hlen + s->len, 16);
}

/* --- from the stack ------------------------------------------------------------------------- */

unsigned int peer_pending(const struct peer *p)
{
	return p->count;
}

static struct peer_frame pop(struct peer *p)
{
	struct peer_frame f;

	ck_assert_msg(p->count > 0, "the stack sent nothing");
	f = p->frame[p->first];
	p->first = (p->first + 1) % PEER_FRAMES;
	p->count--;
	return f;
}

unsigned int peer_drain(struct peer *p)
{
	unsigned int n = p->count;

	while (p->count)
		free(pop(p).data);
	return n;
}

void peer_got_nothing(struct peer *p)
{
	ck_assert_uint_eq(p->count, 0);
}

static void read_tcp_options(struct peer_got *g, size_t hlen)
{
	const unsigned char *o = g->l4 + 20, *end = g->l4 + hlen;

	while (o < end && *o != 0) {
		if (*o == 1) {
			o++;
			continue;
		}
		ck_assert(o + 1 < end && o[1] >= 2 && o + o[1] <= end);
		switch (*o) {
		case 2:
			g->tcp.mss = get16(o + 2);
			break;
		case 3:
			g->tcp.wscale = o[2] + 1;
			break;
		case 4:
			g->tcp.sack_ok = true;
			break;
		case 5:
			g->tcp.nsack = (o[1] - 2u) / 8;
			for (unsigned int i = 0; i < g->tcp.nsack && i < 4; i++) {
				g->tcp.sack[i][0] = get32(o + 2 + 8 * i);
				g->tcp.sack[i][1] = get32(o + 6 + 8 * i);
			}
			break;
		case 8:
			g->tcp.timestamp = true;
			g->tcp.tsval = get32(o + 2);
			g->tcp.tsecr = get32(o + 6);
			break;
		default:
			break;
		}
		o += o[1];
	}
}

static void read_tcp(struct peer_got *g)
{
	size_t hlen;

	ck_assert_uint_ge(g->l4_len, 20);
	hlen = (size_t)(g->l4[12] >> 4) * 4;
	ck_assert(hlen >= 20 && hlen <= g->l4_len);
	g->data = g->l4 + hlen;
	g->len = g->l4_len - hlen;
	g->tcp = (struct peer_tcp){.sport = get16(g->l4),
				   .dport = get16(g->l4 + 2),
				   .seq = get32(g->l4 + 4),
				   .ack = get32(g->l4 + 8),
				   .flags = g->l4[13],
				   .window = get16(g->l4 + 14),
				   .urgent = get16(g->l4 + 18),
				   .data = g->data,
				   .len = g->len};
	g->sport = g->tcp.sport;
	g->dport = g->tcp.dport;
	read_tcp_options(g, hlen);
}

static size_t checksum_field(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	default:
		return 2;
	}
}

/* A complete checksum must be right; a partial one must be the pseudo header's, at its place. */
static void verify_checksum(const struct peer_got *g)
{
	bool plain = g->protocol == IPPROTO_ICMP || g->protocol == IPPROTO_IGMP;
	uint32_t sum = plain ? 0 : pseudo_sum(&g->src, &g->dst, g->protocol, g->l4_len);
	size_t field = checksum_field(g->protocol);

	if (g->protocol == IPPROTO_UDP && get16(g->l4 + 6) == 0)
		return;
	if (g->offload.csum_partial) {
		ck_assert_uint_eq(g->offload.csum_start, g->l4 - g->frame);
		ck_assert_uint_eq(g->offload.csum_offset, field);
		ck_assert_uint_eq(get16(g->l4 + field), sum);
	} else {
		ck_assert_uint_eq(simple_sum(sum, g->l4, g->l4_len), 0xffff);
	}
}

static void read_ip4(struct peer_got *g, size_t len)
{
	const unsigned char *h = g->l3;
	size_t hlen = (size_t)(h[0] & 15) * 4, total = get16(h + 2);

	ck_assert(h[0] >> 4 == 4 && hlen >= 20 && total >= hlen);
	ck_assert_uint_eq(total, len);
	ck_assert_uint_eq(simple_sum(0, h, hlen), 0xffff);
	memcpy(&g->src.w[3], h + 12, 4);
	memcpy(&g->dst.w[3], h + 16, 4);
	g->src.w[2] = g->dst.w[2] = htonl(0xffff);
	g->tos = h[1];
	g->ip_id = get16(h + 4);
	g->df = h[6] & 0x40;
	g->mf = h[6] & 0x20;
	g->frag_off = (get16(h + 6) & 0x1fffu) * 8;
	g->ttl = h[8];
	g->protocol = h[9];
	g->l4 = h + hlen;
	g->l4_len = total - hlen;
}

static void read_ip6(struct peer_got *g, size_t len)
{
	const unsigned char *h = g->l3;
	size_t at = 40;

	ck_assert(h[0] >> 4 == 6);
	ck_assert_uint_eq(get16(h + 4) + 40u, len);
	memcpy(g->src.b, h + 8, 16);
	memcpy(g->dst.b, h + 24, 16);
	g->tos = (uint8_t)(get32(h) >> 20);
	g->ttl = h[7];
	g->protocol = h[6];
	while (g->protocol == 0 || g->protocol == 44 || g->protocol == 60) {
		ck_assert_uint_le(at + 8, len);
		if (g->protocol == 44) {
			g->frag_off = get16(h + at + 2) & 0xfff8;
			g->mf = h[at + 3] & 1;
			g->ip_id = get32(h + at + 4);
		}
		g->protocol = h[at];
		at += 8;
	}
	g->l4 = h + at;
	g->l4_len = len - at;
}

static void read_transport(struct peer_got *g)
{
	if (g->mf || g->frag_off)
		return;
	if (g->protocol == IPPROTO_TCP || g->protocol == IPPROTO_UDP ||
	    g->protocol == IPPROTO_ICMP || g->protocol == IPPROTO_ICMPV6 ||
	    g->protocol == IPPROTO_IGMP)
		verify_checksum(g);
	if (g->protocol == IPPROTO_TCP)
		read_tcp(g);
	if (g->protocol != IPPROTO_UDP)
		return;
	g->sport = get16(g->l4);
	g->dport = get16(g->l4 + 2);
	ck_assert_uint_eq(get16(g->l4 + 4), g->l4_len);
	g->data = g->l4 + 8;
	g->len = g->l4_len - 8;
}

void peer_got(struct peer *p, struct peer_got *g)
{
	static unsigned char *last;
	struct peer_frame f = pop(p);

	free(last);
	last = f.data;
	*g = (struct peer_got){.frame = f.data, .frame_len = f.len, .offload = f.offload};
	ck_assert_uint_ge(f.len, 14);
	memcpy(g->dst_mac, f.data, 6);
	memcpy(g->src_mac, f.data + 6, 6);
	g->ethertype = get16(f.data + 12);
	g->l3 = f.data + 14;
	if (g->ethertype == 0x0800)
		read_ip4(g, f.len - 14);
	else if (g->ethertype == 0x86dd)
		read_ip6(g, f.len - 14);
	else
		return;
	read_transport(g);
}

void peer_got_protocol(struct peer *p, uint8_t protocol, struct peer_got *g)
{
	peer_got(p, g);
	ck_assert(g->ethertype == 0x0800 || g->ethertype == 0x86dd);
	ck_assert_uint_eq(g->protocol, protocol);
}

/* --- endpoints ---------------------------------------------------------------------------- */

static void count_wake(struct ns_watcher *w, uint32_t events)
{
	struct peer_watcher *pw = container_of(w, struct peer_watcher, w);

	pw->wakes++;
	pw->events |= events;
}

void peer_watcher_init(struct peer_watcher *w)
{
	*w = (struct peer_watcher){.w.wake = count_wake};
}

struct ns_ep *peer_ep(struct peer *p, enum ns_kind kind, enum ns_family family, uint16_t protocol,
		      struct peer_watcher *w)
{
	struct ns_ep_config c = {.kind = kind, .family = family, .protocol = protocol};
	struct ns_ep *ep;

	if (w) {
		peer_watcher_init(w);
		c.watcher = &w->w;
	}
	ck_assert_int_eq(ns_ep_new(p->st, &c, &ep), 0);
	return ep;
}

ssize_t peer_recv(struct ns_ep *ep, void *buf, size_t n)
{
	struct ns_msg m = {.buf = buf, .len = n};

	return ns_recv(ep, &m);
}

ssize_t peer_send(struct ns_ep *ep, const void *buf, size_t n)
{
	struct ns_msg m = {.buf = (void *)buf, .len = n};

	return ns_send(ep, &m);
}

int peer_main(const char *name, const TTest *const *tests, size_t n, void (*setup)(void),
	      void (*teardown)(void))
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	if (setup)
		tcase_add_checked_fixture(tc, setup, teardown);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
