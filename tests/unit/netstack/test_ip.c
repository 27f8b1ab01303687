/* netstack/ip*.c, reassembly.c, icmp*.c, route.c, path_mtu.c: what is let in, put together, answered. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/netstack/peer.h"

static struct peer p;
static struct ns_ep *ep; /* UDP, both families, port 7 */

static void setup(void)
{
	struct ns_addr any = {.port = 7};

	peer_open(&p, 0);
	ep = peer_ep(&p, NS_UDP, NS_IPV6, 0, NULL);
	ck_assert_int_eq(ns_bind(ep, &any), 0);
}

static void teardown(void)
{
	ns_close(ep);
	peer_close(&p);
}

static ssize_t received(void)
{
	static char buf[70000];

	return peer_recv(ep, buf, sizeof(buf));
}

static void put16(unsigned char *to, unsigned int v)
{
	to[0] = (unsigned char)(v >> 8);
	to[1] = (unsigned char)v;
}

/* A whole UDP datagram of n payload bytes to port 7. */
static size_t datagram(unsigned char *to, size_t n)
{
	uint16_t sum;

	memset(to, 0, 8);
	put16(to, 60);
	put16(to + 2, 7);
	put16(to + 4, (unsigned int)(8 + n));
	for (size_t i = 0; i < n; i++)
		to[8 + i] = (unsigned char)(i * 5);
	sum = peer_checksum(&p.remote, &p.local, IPPROTO_UDP, to, 8 + n);
	memcpy(to + 6, &sum, 2);
	return 8 + n;
}

/* --- IPv4 ---------------------------------------------------------------------------------------- */

struct ip4_try {
	unsigned int ihl, total_delta;
	uint8_t version, ttl, protocol;
	bool bad_csum;
	const char *src, *dst;
	unsigned int frag;
	uint16_t id;
	const char *options;
	size_t options_len;
};

static void send_ip4(const struct ip4_try *t, const unsigned char *body, size_t n)
{
	unsigned char h[2000] = {};
	size_t hlen = 20 + t->options_len;
	struct ns_ip src = t->src ? peer_ip(t->src) : p.remote;
	struct ns_ip dst = t->dst ? peer_ip(t->dst) : p.local;
	uint16_t sum;

	h[0] = (unsigned char)((t->version ? t->version : 4) << 4 | (t->ihl ? t->ihl : hlen / 4));
	put16(h + 2, (unsigned int)(hlen + n + t->total_delta));
	put16(h + 4, t->id);
	put16(h + 6, t->frag);
	h[8] = t->ttl ? t->ttl : 64;
	h[9] = t->protocol ? t->protocol : IPPROTO_UDP;
	memcpy(h + 12, src.b + 12, 4);
	memcpy(h + 16, dst.b + 12, 4);
	if (t->options_len)
		memcpy(h + 20, t->options, t->options_len);
	sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, h, hlen);
	if (t->bad_csum)
		sum ^= 1;
	memcpy(h + 10, &sum, 2);
	memcpy(h + hlen, body, n);
	peer_send_ether(&p, NULL, 0x0800, h, hlen + n);
}

START_TEST(headers_that_are_wrong_are_dropped)
{
	static const struct ip4_try bad[] = {
	    {.version = 5},
	    {.ihl = 4},
	    {.ihl = 15},
	    {.total_delta = 1},
	    {.total_delta = (unsigned int)-29},
	    {.bad_csum = true},
	    {.src = "127.0.0.1"},
	    {.src = "192.0.2.1"}, /* ours */
	    {.src = "255.255.255.255"},
	    {.src = "224.0.0.1"},
	    {.src = "0.0.0.0"},
	    {.src = "240.1.1.1"},
	    {.dst = "127.0.0.1"},
	    {.dst = "192.0.2.9"},
	    {.dst = "224.9.9.9"},
	    {.options = "\x83\x07\x04\x01\x02\x03\x04\x00", .options_len = 8}, /* LSRR */
	    {.options = "\x89\x07\x04\x01\x02\x03\x04\x00", .options_len = 8}, /* SSRR */
	    {.options = "\x07\x00\x00\x00", .options_len = 4},
	    {.options = "\x07\x09\x00\x00", .options_len = 4},
	    {.options = "\x01\x01\x01\x07", .options_len = 4},
	};
	static const struct ip4_try good[] = {
	    {.id = 1},
	    {.options = "\x94\x04\x00\x00", .options_len = 4},
	    {.options = "\x01\x07\x03\x04", .options_len = 4},
	    {.options = "\x00\xff\xff\xff", .options_len = 4},
	    {.src = "10.1.2.3"},
	};
	unsigned char body[20];
	struct ns_stats s;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		send_ip4(&bad[i], body, datagram(body, 1));
		ck_assert_msg(received() == -EAGAIN, "bad %zu", i);
	}
	peer_got_nothing(&p);
	ns_stats(p.st, &s);
	ck_assert_uint_ge(s.ip4.in_hdr_errors, 10);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		size_t n = datagram(body, 1);

		memset(body + 6, 0, 2); /* no checksum: the source differs */
		send_ip4(&good[i], body, n);
		ck_assert_msg(received() == 1, "good %zu", i);
	}
}
END_TEST

START_TEST(padding_is_cut_and_short_frames_survive)
{
	unsigned char frame[60] = {};
	struct ns_offload off = {};

	for (size_t n = 0; n < sizeof(frame); n++)
		peer_send_frame(&p, frame, n);
	memcpy(frame, OWN_MAC, 6);
	memcpy(frame + 6, PEER_MAC, 6);
	for (unsigned int type = 0; type < 0x10000; type += 0x86dd - 0x806)
		for (size_t n = 14; n < sizeof(frame); n++) {
			put16(frame + 12, type + 0x806);
			peer_send_frame_offload(&p, frame, n, &off);
		}
	peer_send_udp(&p, 1, 7, "abc", 3); /* 45 bytes; now with padding */
	ck_assert_int_eq(received(), 3);
	peer_drain(&p);
}
END_TEST

START_TEST(fragments_in_any_order_make_a_datagram)
{
	static const unsigned int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {1, 0, 2}};
	unsigned char body[3000];
	size_t n = datagram(body, 2492);

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		for (size_t j = 0; j < 3; j++) {
			unsigned int k = orders[i][j];
			struct ip4_try t = {.id = (uint16_t)i,
					    .frag = k * 125 | (k < 2 ? 0x2000 : 0)};

			ck_assert_int_eq(received(), -EAGAIN);
			send_ip4(&t, body + k * 1000, k < 2 ? 1000 : n - 2000);
		}
		ck_assert_int_eq(received(), 2492);
	}
}
END_TEST

START_TEST(overlaps_spoil_the_datagram_and_duplicates_do_not)
{
	/* the second fragment, before the last: offset / 8, length; does the datagram survive? */
	static const struct {
		unsigned int off, len;
		bool survives;
	} cases[] = {{100, 800, true}, {99, 800, false}, {101, 800, false},
		     {0, 1600, false}, {0, 800, true},	 {50, 160, false}};
	unsigned char body[3000];
	size_t n = datagram(body, 1592);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip4_try first = {.id = (uint16_t)i, .frag = 0x2000};
		struct ip4_try second = {.id = (uint16_t)i, .frag = cases[i].off | 0x2000};
		struct ip4_try last = {.id = (uint16_t)i, .frag = 100};

		send_ip4(&first, body, 800);
		if (!(cases[i].off == 100))
			send_ip4(&second, body + min(cases[i].off * 8u, 1400u), cases[i].len);
		send_ip4(&last, body + 800, n - 800);
		ck_assert_msg((received() == 1592) == cases[i].survives, "case %zu", i);
	}
}
END_TEST

START_TEST(hopeless_fragments_are_refused)
{
	unsigned char body[1480] = {};
	struct ip4_try huge = {.id = 1, .frag = 8190}, empty = {.id = 2, .frag = 0x2001};
	struct ip4_try odd = {.id = 3, .frag = 0x2000}, tail = {.id = 3, .frag = 2};
	struct ip4_try end = {.id = 4, .frag = 1}, beyond = {.id = 4, .frag = 0x2002};

	send_ip4(&huge, body, 100);
	send_ip4(&empty, body, 0);
	send_ip4(&odd, body, 9);
	send_ip4(&tail, body, 9);
	send_ip4(&end, body, 8);
	send_ip4(&beyond, body, 8);
	ck_assert_int_eq(received(), -EAGAIN);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(incomplete_datagrams_time_out_and_are_bounded)
{
	unsigned char body[1480] = {};
	size_t before = ns_memory_used(p.st);
	struct ip4_try t = {.frag = 0x2000};
	struct peer_got g;

	datagram(body, 1400);
	send_ip4(&t, body, 800);
	peer_advance(&p, 31 * NSEC_PER_SEC);
	peer_got_protocol(&p, IPPROTO_ICMP, &g);
	ck_assert(g.l4[0] == 11 && g.l4[1] == 1);
	for (unsigned int i = 0; i < 20000; i++) {
		t.id = (uint16_t)i;
		t.frag = 0x2000 | i % 3;
		send_ip4(&t, body, 1480);
		ck_assert_uint_lt(ns_memory_used(p.st), before + (6 << 20));
	}
	peer_advance(&p, 31 * NSEC_PER_SEC);
	peer_drain(&p);
	ck_assert_uint_eq(ns_memory_used(p.st), before);
}
END_TEST

/* --- IPv6 ---------------------------------------------------------------------------------------- */

static void send_ip6(uint8_t next, const void *body, size_t n)
{
	peer_send_ip(&p, NULL, NULL, next, body, n);
}

/* Extension headers, then a datagram of one byte. */
static void send_extended(uint8_t next, const char *ext, size_t n)
{
	unsigned char body[200];

	memcpy(body, ext, n);
	send_ip6(next, body, n + datagram(body + n, 1));
}

START_TEST(extension_headers_are_walked)
{
	static const struct {
		uint8_t next;
		const char *ext;
		size_t n;
		int type, code; /* of the ICMPv6 error; -1: none, delivered; -2: dropped silently */
	} cases[] = {
	    {0, "\x11\0\5\2\0\0\1\0", 8, -1, 0},
	    {60, "\x11\0\1\4\0\0\0\0", 8, -1, 0},
	    {0, "\x3c\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0", 16, -1, 0},
	    {43, "\x11\0\0\0\0\0\0\0", 8, -1, 0},		  /* route used up */
	    {43, "\x11\0\0\1\0\0\0\0", 8, 4, 0},		  /* RFC 5095 */
	    {60, "\0\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0", 16, 4, 1}, /* hop-by-hop not first */
	    {60, "\x11\0\x05\7\0\0\0\0", 8, 4, 0},		  /* option too long */
	    {60, "\x11\0\x3f\4\0\0\0\0", 8, -1, 0},		  /* unknown: skip */
	    {60, "\x11\0\x7f\4\0\0\0\0", 8, -2, 0},		  /* discard */
	    {60, "\x11\0\xbf\4\0\0\0\0", 8, 4, 2},		  /* discard and say so */
	    {60, "\x11\x20\1\4\0\0\0\0", 8, 4, 0},		  /* longer than the packet */
	    {44, "\x11\0\0\0\0\0\0\1", 8, -1, 0},		  /* atomic */
	    {59, "\x11\0\0\0\0\0\0\1", 8, -2, 0},		  /* no next header */
	    {99, "\x11\0\0\0\0\0\0\1", 8, 4, 1},		  /* unknown protocol */
	};

	peer_use_ipv6(&p);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct peer_got g;

		send_extended(cases[i].next, cases[i].ext, cases[i].n);
		ck_assert_msg((received() == 1) == (cases[i].type == -1), "case %zu", i);
		if (cases[i].type < 0) {
			peer_got_nothing(&p);
			continue;
		}
		peer_got_protocol(&p, IPPROTO_ICMPV6, &g);
		ck_assert_msg(g.l4[0] == cases[i].type && g.l4[1] == cases[i].code, "case %zu", i);
	}
}
END_TEST

START_TEST(endless_header_chains_are_refused)
{
	char ext[16 * 8];

	peer_use_ipv6(&p);
	for (int i = 0; i < 16; i++)
		memcpy(ext + 8 * i, i == 15 ? "\x11\0\1\4\0\0\0\0" : "\x3c\0\1\4\0\0\0\0", 8);
	send_extended(60, ext, sizeof(ext));
	ck_assert_int_eq(received(), -EAGAIN);
	send_extended(60, ext + 13 * 8, 3 * 8);
	ck_assert_int_eq(received(), 1);
}
END_TEST

static void send_fragment6(uint32_t id, unsigned int off, bool more, const unsigned char *body,
			   size_t n)
{
	unsigned char f[1500] = {17, 0};

	put16(f + 2, off | more);
	put16(f + 6, id);
	memcpy(f + 8, body, n);
	send_ip6(44, f, 8 + n);
}

START_TEST(ipv6_fragments_are_joined_and_overlaps_refused)
{
	unsigned char body[3000];
	struct peer_got g;
	size_t n;

	peer_use_ipv6(&p);
	n = datagram(body, 2000);
	send_fragment6(1, 1000, false, body + 1000, n - 1000);
	send_fragment6(1, 0, true, body, 1000);
	ck_assert_int_eq(received(), 2000);
	send_fragment6(2, 0, true, body, 1000);
	send_fragment6(2, 992, true, body + 992, 800); /* overlaps */
	send_fragment6(2, 1000, false, body + 1000, n - 1000);
	ck_assert_int_eq(received(), -EAGAIN);
	send_fragment6(3, 0, true, body, 1001); /* not a multiple of 8 */
	peer_got_protocol(&p, IPPROTO_ICMPV6, &g);
	ck_assert(g.l4[0] == 4 && g.l4[1] == 0);
}
END_TEST

START_TEST(mapped_and_foreign_addresses_do_not_travel)
{
	static const char *const sources[] = {"::ffff:192.0.2.2", "::1", "ff02::1", "2001:db8::1"};
	unsigned char body[20];

	peer_use_ipv6(&p);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct ns_ip src = i ? peer_ip(sources[i]) : p.remote;
		unsigned char packet[60] = {0x60, 0, 0, 0, 0, 9, 17, 64};

		if (i == 0)
			inet_pton(AF_INET6, sources[0], src.b);
		memcpy(packet + 8, src.b, 16);
		memcpy(packet + 24, p.local.b, 16);
		memcpy(packet + 40, body, datagram(body, 1));
		peer_send_ether(&p, NULL, 0x86dd, packet, 49);
		ck_assert_int_eq(received(), -EAGAIN);
	}
	peer_got_nothing(&p);
}
END_TEST

/* --- ICMP ---------------------------------------------------------------------------------------- */

static void send_icmp(uint8_t protocol, const char *message, size_t n)
{
	unsigned char m[1500];
	uint16_t sum;

	memcpy(m, message, n);
	memset(m + 2, 0, 2);
	sum = peer_checksum(&p.remote, &p.local, protocol, m, n);
	memcpy(m + 2, &sum, 2);
	peer_send_ip(&p, NULL, NULL, protocol, m, n);
}

START_TEST(echo_is_answered_but_not_to_groups)
{
	struct peer_got g;

	send_icmp(IPPROTO_ICMP, "\x08\0\0\0\x12\x34\0\1payload", 15);
	peer_got_protocol(&p, IPPROTO_ICMP, &g);
	ck_assert(g.l4_len == 15 && g.l4[0] == 0 &&
		  memcmp(g.l4 + 4, "\x12\x34\0\1payload", 11) == 0);
	ck_assert(ns_ip_equal(&g.src, &p.local) && ns_ip_equal(&g.dst, &p.remote));
	p.local = peer_ip("192.0.2.255");
	send_icmp(IPPROTO_ICMP, "\x08\0\0\0\x12\x34\0\1payload", 15);
	peer_got_nothing(&p);
	peer_use_ipv6(&p);
	send_icmp(IPPROTO_ICMPV6, "\x80\0\0\0\x12\x34\0\1payload", 15);
	peer_got_protocol(&p, IPPROTO_ICMPV6, &g);
	ck_assert(g.l4[0] == 129 && memcmp(g.l4 + 4, "\x12\x34\0\1payload", 11) == 0);
}
END_TEST

START_TEST(protocols_that_nobody_speaks_are_refused)
{
	struct peer_got g;

	peer_send_ip(&p, NULL, NULL, 132, "SCTP", 4);
	peer_got_protocol(&p, IPPROTO_ICMP, &g);
	ck_assert(g.l4[0] == 3 && g.l4[1] == 2);
	peer_send_ip(&p, NULL, NULL, IPPROTO_ICMPV6, "\x80xxxxxxx", 8); /* of the other family */
	peer_got_protocol(&p, IPPROTO_ICMP, &g);
	/* No error about an error, nor about a redirect. */
	send_icmp(IPPROTO_ICMP, "\x03\x03\0\0\0\0\0\0E", 9);
	send_icmp(IPPROTO_ICMP, "\x05\0\0\0\0\0\0\0E", 9);
	peer_got_nothing(&p);
}
END_TEST

static void send_too_big(const struct peer_got *g, uint16_t mtu, size_t quoted)
{
	unsigned char m[8 + 60] = {3, 4};
	uint16_t sum;

	put16(m + 6, mtu);
	memcpy(m + 8, g->l3, quoted);
	sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, m, 8 + quoted);
	memcpy(m + 2, &sum, 2);
	peer_send_ip(&p, NULL, NULL, IPPROTO_ICMP, m, 8 + quoted);
}

static int mtu_of(struct ns_ep *e)
{
	int mtu = 0;

	ck_assert_int_eq(ns_getopt(e, NS_IP_MTU, &mtu), 0);
	return mtu;
}

START_TEST(path_mtus_are_learned_from_those_who_saw_the_packet)
{
	struct ns_ep *e = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	struct ns_addr to = peer_addr("198.51.100.1", 9);
	static char data[1400];
	struct peer_got g;

	ck_assert_int_eq(ns_connect(e, &to), 0);
	ck_assert_int_eq(mtu_of(e), 1500);
	ck_assert_int_eq(peer_send(e, data, sizeof(data)), sizeof(data));
	peer_got(&p, &g);
	((unsigned char *)g.l3)[21] ^= 1; /* a source port that nobody has */
	send_too_big(&g, 1000, 28);
	ck_assert_int_eq(mtu_of(e), 1500);
	((unsigned char *)g.l3)[21] ^= 1;
	send_too_big(&g, 1000, 28);
	ck_assert_int_eq(mtu_of(e), 1000);
	ck_assert_int_eq(ns_take_error(e), EMSGSIZE);
	send_too_big(&g, 1200, 28); /* never upwards */
	ck_assert_int_eq(mtu_of(e), 1000);
	send_too_big(&g, 68, 28); /* nor absurdly low */
	ck_assert_int_eq(mtu_of(e), 552);
	(void)ns_take_error(e);
	ck_assert_int_eq(peer_send(e, data, sizeof(data)), sizeof(data));
	ck_assert_uint_gt(peer_drain(&p), 2);
	peer_advance(&p, 601 * NSEC_PER_SEC);
	ck_assert_int_eq(mtu_of(e), 1500);
	ns_close(e);
}
END_TEST

/* --- routes ---------------------------------------------------------------------------------------- */

static int add_route(enum ns_route_type type, const char *dst, uint8_t prefix, const char *gateway,
		     uint32_t metric)
{
	struct ns_route r = {.type = type,
			     .dst = peer_ip(dst),
			     .prefix = prefix,
			     .metric = metric,
			     .ifindex = type == NS_ROUTE_UNICAST ? 2 : 0};

	r.family = ns_ip_family(&r.dst);
	if (gateway)
		r.gateway = peer_ip(gateway);
	return ns_route_add(p.st, &r);
}

static void expect_route(const char *dst, int err, const char *gateway, const char *src)
{
	struct ns_ip ip = peer_ip(dst);
	struct ns_route r;

	ck_assert_int_eq(ns_route_get(p.st, &ip, 0, &r), err);
	if (err == 0 && gateway) {
		ip = peer_ip(gateway);
		ck_assert(ns_ip_equal(&r.gateway, &ip));
	} else if (err == 0) {
		ck_assert(ns_ip_is_zero(&r.gateway));
	}
	if (err == 0 && src) {
		ip = peer_ip(src);
		ck_assert(ns_ip_equal(&r.src, &ip));
	}
}

START_TEST(the_longest_prefix_and_the_least_metric_win)
{
	ck_assert_int_eq(add_route(NS_ROUTE_UNICAST, "10.0.0.0", 8, "192.0.2.8", 5), 0);
	ck_assert_int_eq(add_route(NS_ROUTE_UNICAST, "10.0.0.0", 8, "192.0.2.9", 1), 0);
	ck_assert_int_eq(add_route(NS_ROUTE_UNICAST, "10.1.0.0", 16, "192.0.2.10", 9), 0);
	ck_assert_int_eq(add_route(NS_ROUTE_BLACKHOLE, "10.2.0.0", 16, NULL, 0), 0);
	ck_assert_int_eq(add_route(NS_ROUTE_UNREACHABLE, "10.3.0.0", 16, NULL, 0), 0);
	ck_assert_int_eq(add_route(NS_ROUTE_PROHIBIT, "10.4.0.0", 16, NULL, 0), 0);
	ck_assert_int_eq(add_route(NS_ROUTE_PROHIBIT, "10.4.0.0", 16, NULL, 0), -EEXIST);
	ck_assert_int_eq(add_route(NS_ROUTE_UNICAST, "10.4.0.0", 33, NULL, 0), -EINVAL);
	expect_route("10.0.0.1", 0, "192.0.2.9", "192.0.2.1");
	expect_route("10.1.0.1", 0, "192.0.2.10", NULL);
	expect_route("10.2.0.1", -EINVAL, NULL, NULL);
	expect_route("10.3.0.1", -EHOSTUNREACH, NULL, NULL);
	expect_route("10.4.0.1", -EACCES, NULL, NULL);
	expect_route("192.0.2.77", 0, NULL, "192.0.2.1");
	expect_route("8.8.8.8", 0, "192.0.2.2", NULL);
	expect_route("2001:db8::77", 0, NULL, "2001:db8::1");
	expect_route("2600::1", 0, "fe80::2", "2001:db8::1");
	expect_route("127.3.2.1", 0, NULL, "127.3.2.1");
	ns_link_set_up(p.link, false);
	expect_route("8.8.8.8", -ENETUNREACH, NULL, NULL);
	expect_route("192.0.2.1", 0, NULL, "192.0.2.1");
}
END_TEST

START_TEST(sources_fit_their_destination)
{
	struct ns_ifaddr a = {.ifindex = 2,
			      .ip = peer_ip("2001:db9::1"),
			      .prefix = 64,
			      .valid_left = NS_NEVER,
			      .preferred_left = NS_NEVER};

	ck_assert_int_eq(ns_ifaddr_add(p.st, &a), 0);
	ck_assert_int_eq(ns_ifaddr_add(p.st, &a), -EEXIST);
	expect_route("2001:db9::5", 0, NULL, "2001:db9::1");
	expect_route("2001:db8::5", 0, NULL, "2001:db8::1");
	a.ip = peer_ip("2001:db9::2");
	a.preferred_left = 0; /* deprecated */
	ck_assert_int_eq(ns_ifaddr_add(p.st, &a), 0);
	expect_route("2001:db9::6", 0, NULL, "2001:db9::1");
	ck_assert_int_eq(ns_ifaddr_del(p.st, 2, &a.ip), 0);
	ck_assert_int_eq(ns_ifaddr_del(p.st, 2, &a.ip), -EADDRNOTAVAIL);
	a.ip = peer_ip("2001:db9::1");
	ck_assert_int_eq(ns_ifaddr_del(p.st, 2, &a.ip), 0);
	expect_route("2001:db9::5", 0, "fe80::2", "2001:db8::1");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {headers_that_are_wrong_are_dropped,
				padding_is_cut_and_short_frames_survive,
				fragments_in_any_order_make_a_datagram,
				overlaps_spoil_the_datagram_and_duplicates_do_not,
				hopeless_fragments_are_refused,
				incomplete_datagrams_time_out_and_are_bounded,
				extension_headers_are_walked,
				endless_header_chains_are_refused,
				ipv6_fragments_are_joined_and_overlaps_refused,
				mapped_and_foreign_addresses_do_not_travel,
				echo_is_answered_but_not_to_groups,
				protocols_that_nobody_speaks_are_refused,
				path_mtus_are_learned_from_those_who_saw_the_packet,
				the_longest_prefix_and_the_least_metric_win,
				sources_fit_their_destination};

	return peer_main("ip", tests, ARRAY_SIZE(tests), setup, teardown);
}
