/* netstack/udp.c, dgram.c, demux.c, ports.c, bind.c, policy.c: UDP both ways and who gets what. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/netstack/peer.h"

static struct peer p;

static void setup(void)
{
	peer_open(&p, 0);
}

static void teardown(void)
{
	peer_close(&p);
}

static struct ns_ep *udp(enum ns_family family)
{
	return peer_ep(&p, NS_UDP, family, 0, NULL);
}

static int bind_to(struct ns_ep *ep, const char *ip, uint16_t port)
{
	struct ns_addr a = peer_addr(ip, port);

	return ns_bind(ep, &a);
}

static int connect_to(struct ns_ep *ep, const char *ip, uint16_t port)
{
	struct ns_addr a = peer_addr(ip, port);

	return ns_connect(ep, &a);
}

static ssize_t send_to(struct ns_ep *ep, const char *ip, uint16_t port, const char *text)
{
	struct ns_msg m = {.buf = (void *)text, .len = strlen(text), .has_addr = true};

	m.addr = peer_addr(ip, port);
	return ns_send(ep, &m);
}

static void expect_text(struct ns_ep *ep, const char *text)
{
	char buf[2048];
	ssize_t n = peer_recv(ep, buf, sizeof(buf));

	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_int_eq(memcmp(buf, text, strlen(text)), 0);
}

static void expect_none(struct ns_ep *ep)
{
	char c;

	ck_assert_int_eq(peer_recv(ep, &c, 1), -EAGAIN);
}

static void send_text(uint16_t sport, uint16_t dport, const char *text)
{
	peer_send_udp(&p, sport, dport, text, strlen(text));
}

START_TEST(a_datagram_goes_out_and_its_answer_comes_in)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct ns_ep *ep = udp(v6 ? NS_IPV6 : NS_IPV4);
		struct peer_got g;

		if (v6)
			peer_use_ipv6(&p);
		ck_assert_int_eq(send_to(ep, v6 ? "2001:db8::2" : "192.0.2.2", 53, "question"), 8);
		peer_got_protocol(&p, IPPROTO_UDP, &g);
		ck_assert(ns_ip_equal(&g.src, &p.local) && ns_ip_equal(&g.dst, &p.remote));
		ck_assert(g.dport == 53 && g.len == 8 && memcmp(g.data, "question", 8) == 0);
		ck_assert(g.ttl == 64 && memcmp(g.dst_mac, PEER_MAC, 6) == 0);
		ck_assert(g.sport >= 32768 && g.sport <= 60999);
		send_text(53, g.sport, "answer");
		expect_text(ep, "answer");
		expect_none(ep);
		ns_close(ep);
	}
}
END_TEST

START_TEST(meta_data_says_where_a_datagram_went)
{
	struct ns_ep *ep = udp(NS_IPV6); /* dual: IPv4 comes in mapped */
	char buf[3];
	struct ns_msg m = {.buf = buf, .len = sizeof(buf), .flags = MSG_PEEK};

	ck_assert_int_eq(bind_to(ep, "::", 7), 0);
	p.ttl = 33;
	p.tos = 0x28;
	send_text(1234, 7, "hello");
	ck_assert_int_eq(ns_recv(ep, &m), 3);
	ck_assert(m.full == 5 && m.out_flags == MSG_TRUNC && m.has_addr && m.addr.port == 1234);
	ck_assert(ns_ip_equal(&m.addr.ip, &p.remote) && ns_ip_equal(&m.meta.local, &p.local));
	ck_assert(m.meta.ttl == 33 && m.meta.tos == 0x28 && m.meta.ifindex == 2);
	ck_assert_uint_eq(m.meta.when, p.now);
	expect_text(ep, "hello");
	ns_close(ep);
}
END_TEST

START_TEST(checksums_are_checked)
{
	struct ns_ep *ep = udp(NS_IPV6);
	struct ns_stats s;

	ck_assert_int_eq(bind_to(ep, "::", 7), 0);
	p.bad_checksum = true;
	send_text(1, 7, "bad");
	peer_use_ipv6(&p);
	send_text(1, 7, "bad");
	expect_none(ep);
	ns_stats(p.st, &s);
	ck_assert(s.udp4.in_csum_errors == 1 && s.udp6.in_csum_errors == 1);
	ns_close(ep);
}
END_TEST

START_TEST(lengths_that_lie_are_refused)
{
	static const uint16_t claimed[] = {0, 7, 13, 65535};
	struct ns_ep *ep = udp(NS_IPV4);

	ck_assert_int_eq(bind_to(ep, "0.0.0.0", 7), 0);
	for (size_t i = 0; i < ARRAY_SIZE(claimed); i++) {
		unsigned char s[12] = {
		    0, 1, 0, 7, (unsigned char)(claimed[i] >> 8), (unsigned char)claimed[i]};

		peer_send_ip(&p, NULL, NULL, IPPROTO_UDP, s, sizeof(s));
	}
	expect_none(ep);
	/* Trailing bytes that the length does not cover are padding. */
	peer_send_ip(&p, NULL, NULL, IPPROTO_UDP, "\0\1\0\7\0\012\0\0ok....", 14);
	expect_text(ep, "ok");
	ns_close(ep);
}
END_TEST

START_TEST(nobody_there_is_said_once_and_not_to_groups)
{
	struct peer_got g;

	send_text(9, 99, "x");
	peer_got_protocol(&p, IPPROTO_ICMP, &g);
	ck_assert(g.l4[0] == 3 && g.l4[1] == 3);
	ck_assert_int_eq(memcmp(g.l4 + 8 + 20, "\0\x09\0\x63", 4), 0);
	p.local = peer_ip("192.0.2.255");
	send_text(9, 99, "x");
	p.local = peer_ip("224.0.0.1");
	send_text(9, 99, "x");
	peer_got_nothing(&p);
	peer_use_ipv6(&p);
	send_text(9, 99, "x");
	peer_got_protocol(&p, IPPROTO_ICMPV6, &g);
	ck_assert(g.l4[0] == 1 && g.l4[1] == 4);
}
END_TEST

START_TEST(errors_are_limited_in_rate)
{
	for (int i = 0; i < 500; i++)
		send_text(9, 99, "x");
	ck_assert_uint_le(peer_drain(&p), 60);
	peer_advance(&p, NSEC_PER_SEC);
	send_text(9, 99, "x");
	ck_assert_uint_eq(peer_drain(&p), 1);
}
END_TEST

START_TEST(the_most_specific_endpoint_gets_it)
{
	struct ns_ep *any = udp(NS_IPV4), *addr = udp(NS_IPV4), *conn = udp(NS_IPV4);
	struct ns_ep *six = udp(NS_IPV6);

	ck_assert_int_eq(ns_setopt(any, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(ns_setopt(addr, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(ns_setopt(conn, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(ns_setopt(six, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(bind_to(any, "0.0.0.0", 7), 0);
	ck_assert_int_eq(bind_to(six, "::", 7), 0);
	send_text(1, 7, "any");
	ck_assert_int_eq(bind_to(addr, "192.0.2.1", 7), 0);
	send_text(1, 7, "addr");
	ck_assert_int_eq(bind_to(conn, "192.0.2.1", 7), 0);
	ck_assert_int_eq(connect_to(conn, "192.0.2.2", 1), 0);
	send_text(1, 7, "conn");
	send_text(2, 7, "addr2");
	peer_use_ipv6(&p);
	send_text(1, 7, "six");
	expect_text(any, "any");
	expect_text(addr, "addr");
	expect_text(addr, "addr2");
	expect_text(conn, "conn");
	expect_text(six, "six");
	expect_none(any);
	expect_none(conn);
	ns_close(any);
	ns_close(addr);
	ns_close(conn);
	ns_close(six);
}
END_TEST

START_TEST(ports_clash_as_on_linux)
{
	/* first: address, v6only, reuse; second: the same; result */
	static const struct {
		const char *a;
		bool a_only, a_reuse;
		const char *b;
		bool b_only, b_reuse;
		int err;
	} cases[] = {
	    {"0.0.0.0", 0, 0, "0.0.0.0", 0, 0, -EADDRINUSE},
	    {"0.0.0.0", 0, 0, "192.0.2.1", 0, 0, -EADDRINUSE},
	    {"127.0.0.1", 0, 0, "192.0.2.1", 0, 0, 0},
	    {"0.0.0.0", 0, 1, "0.0.0.0", 0, 0, -EADDRINUSE},
	    {"0.0.0.0", 0, 1, "0.0.0.0", 0, 1, 0},
	    {"::", 0, 0, "0.0.0.0", 0, 0, -EADDRINUSE},
	    {"::", 1, 0, "0.0.0.0", 0, 0, 0},
	    {"0.0.0.0", 0, 0, "::", 1, 0, 0},
	    {"0.0.0.0", 0, 0, "::", 0, 0, -EADDRINUSE},
	    {"192.0.2.1", 0, 0, "::", 0, 0, -EADDRINUSE},
	    {"192.0.2.1", 0, 0, "2001:db8::1", 0, 0, 0},
	    {"::", 0, 0, "2001:db8::1", 0, 0, -EADDRINUSE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ns_ep *a = udp(strchr(cases[i].a, ':') ? NS_IPV6 : NS_IPV4);
		struct ns_ep *b = udp(strchr(cases[i].b, ':') ? NS_IPV6 : NS_IPV4);

		if (cases[i].a_only)
			ck_assert_int_eq(ns_setopt(a, NS_IPV6_V6ONLY, 1), 0);
		if (cases[i].b_only)
			ck_assert_int_eq(ns_setopt(b, NS_IPV6_V6ONLY, 1), 0);
		ck_assert_int_eq(ns_setopt(a, NS_SO_REUSEADDR, cases[i].a_reuse), 0);
		ck_assert_int_eq(ns_setopt(b, NS_SO_REUSEADDR, cases[i].b_reuse), 0);
		ck_assert_int_eq(bind_to(a, cases[i].a, 7), 0);
		ck_assert_msg(bind_to(b, cases[i].b, 7) == cases[i].err, "case %zu", i);
		ns_close(a);
		ns_close(b);
	}
}
END_TEST

START_TEST(reuseport_spreads_flows_and_keeps_owners_apart)
{
	struct ns_ep_config other = {.kind = NS_UDP, .family = NS_IPV4, .uid = 5};
	struct ns_addr a = peer_addr("0.0.0.0", 7);
	unsigned int got[4] = {};
	struct ns_ep *ep[4], *foreign;

	for (int i = 0; i < 4; i++) {
		ep[i] = udp(NS_IPV4);
		ck_assert_int_eq(ns_setopt(ep[i], NS_SO_REUSEPORT, 1), 0);
		ck_assert_int_eq(ns_bind(ep[i], &a), 0);
	}
	ck_assert_int_eq(ns_ep_new(p.st, &other, &foreign), 0);
	ck_assert_int_eq(ns_setopt(foreign, NS_SO_REUSEPORT, 1), 0);
	ck_assert_int_eq(ns_bind(foreign, &a), -EADDRINUSE);
	for (int twice = 0; twice < 2; twice++)
		for (uint16_t port = 1; port <= 200; port++)
			send_text(port, 7, "x");
	for (int i = 0; i < 4; i++) {
		char c;

		while (peer_recv(ep[i], &c, 1) == 1)
			got[i]++;
		ck_assert_uint_gt(got[i], 40);
		ck_assert_uint_eq(got[i] % 2, 0); /* a flow stays where it is */
		ns_close(ep[i]);
	}
	ck_assert_uint_eq(got[0] + got[1] + got[2] + got[3], 400);
	ns_close(foreign);
}
END_TEST

START_TEST(connected_endpoints_hear_their_peer_only)
{
	struct ns_ep *ep = udp(NS_IPV4);
	struct ns_addr a;

	ck_assert_int_eq(ns_remote(ep, &a), -ENOTCONN);
	ck_assert_int_eq(peer_send(ep, "x", 1), -EDESTADDRREQ);
	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 53), 0);
	ns_local(ep, &a);
	ck_assert(ns_ip_equal(&a.ip, &p.local) && a.port);
	send_text(54, a.port, "other port");
	send_text(53, a.port, "peer");
	expect_text(ep, "peer");
	expect_none(ep);
	ck_assert_int_eq(ns_connect(ep, NULL), 0);
	ns_local(ep, &a);
	ck_assert(ns_ip_is_any(&a.ip) && a.port == 0);
	ns_close(ep);
}
END_TEST

START_TEST(icmp_errors_reach_connected_endpoints)
{
	struct ns_ep *ep = udp(NS_IPV4);
	struct peer_got g;
	unsigned char icmp[8 + 28] = {3, 3};
	uint16_t sum;
	char c;

	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 53), 0);
	ck_assert_int_eq(peer_send(ep, "x", 1), 1);
	peer_got(&p, &g);
	memcpy(icmp + 8, g.l3, 28);
	icmp[8 + 20] ^= 0x40; /* another source port: not ours */
	sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, icmp, sizeof(icmp));
	memcpy(icmp + 2, &sum, 2);
	peer_send_ip(&p, NULL, NULL, IPPROTO_ICMP, icmp, sizeof(icmp));
	expect_none(ep);
	icmp[8 + 20] ^= 0x40;
	memset(icmp + 2, 0, 2);
	sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, icmp, sizeof(icmp));
	memcpy(icmp + 2, &sum, 2);
	peer_send_ip(&p, NULL, NULL, IPPROTO_ICMP, icmp, sizeof(icmp));
	ck_assert(ns_poll(ep) & POLLERR);
	ck_assert_int_eq(peer_recv(ep, &c, 1), -ECONNREFUSED);
	expect_none(ep);
	ns_close(ep);
}
END_TEST

START_TEST(the_error_queue_tells_all)
{
	struct ns_ep *ep = udp(NS_IPV4);
	struct peer_got g;
	unsigned char icmp[8 + 29] = {11, 0}, buf[10];
	uint16_t sum;
	struct ns_msg m = {.buf = buf, .len = sizeof(buf), .flags = MSG_ERRQUEUE};

	ck_assert_int_eq(ns_setopt(ep, NS_IP_RECVERR, 1), 0);
	ck_assert_int_eq(ns_recv(ep, &m), -EAGAIN);
	ck_assert_int_eq(send_to(ep, "198.51.100.7", 33434, "t"), 1);
	peer_got(&p, &g);
	memcpy(icmp + 8, g.l3, 29);
	sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, icmp, sizeof(icmp));
	memcpy(icmp + 2, &sum, 2);
	peer_send_ip(&p, NULL, NULL, IPPROTO_ICMP, icmp, sizeof(icmp));
	ck_assert_int_eq(ns_take_error(ep), EHOSTUNREACH);
	ck_assert_int_eq(ns_recv(ep, &m), 1);
	ck_assert(buf[0] == 't' && m.out_flags == MSG_ERRQUEUE && m.addr.port == 33434);
	ck_assert(m.meta.err.error == EHOSTUNREACH && m.meta.err.origin == 2);
	ck_assert(m.meta.err.type == 11 && ns_ip_equal(&m.meta.err.offender.ip, &p.remote));
	ns_close(ep);
}
END_TEST

START_TEST(loopback_carries_both_families)
{
	static const char *const addrs[] = {"127.0.0.1", "127.9.8.7",	"192.0.2.1", "0.0.0.0",
					    "::1",	 "2001:db8::1", "::"};

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct peer_watcher w;
		struct ns_ep *a = udp(NS_IPV6), *b = peer_ep(&p, NS_UDP, NS_IPV6, 0, &w);

		ck_assert_int_eq(bind_to(b, "::", 7), 0);
		ck_assert_int_eq(send_to(a, addrs[i], 7, "loop"), 4);
		ck_assert(w.wakes == 1 && (w.events & POLLIN));
		expect_text(b, "loop");
		peer_got_nothing(&p);
		ns_close(a);
		ns_close(b);
	}
}
END_TEST

START_TEST(a_large_datagram_is_fragmented_unless_forbidden)
{
	static char big[5000];
	struct ns_ep *ep = udp(NS_IPV4);
	unsigned int frames = 0, bytes = 0;
	struct peer_got g;

	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 9), 0);
	ck_assert_int_eq(peer_send(ep, big, sizeof(big)), sizeof(big));
	while (peer_pending(&p)) {
		peer_got_protocol(&p, IPPROTO_UDP, &g);
		ck_assert(!g.df && g.frag_off == bytes);
		ck_assert_int_eq(g.mf, peer_pending(&p) > 0);
		bytes += (unsigned int)g.l4_len;
		frames++;
	}
	ck_assert(frames == 4 && bytes == 5008);
	ck_assert_int_eq(ns_setopt(ep, NS_IP_MTU_DISCOVER, 2), 0);
	ck_assert_int_eq(peer_send(ep, big, sizeof(big)), -EMSGSIZE);
	ck_assert_int_eq(peer_send(ep, big, 1472), 1472);
	peer_got(&p, &g);
	ck_assert(g.df);
	ck_assert_int_eq(peer_send(ep, big, 65508), -EMSGSIZE);
	ns_close(ep);
}
END_TEST

START_TEST(corked_pieces_become_one_datagram)
{
	struct ns_ep *ep = udp(NS_IPV4);
	struct ns_msg m = {.buf = "ab", .len = 2, .flags = MSG_MORE};
	struct peer_got g;

	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 9), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(ns_send(ep, &m), 2);
	peer_got_nothing(&p);
	ck_assert_int_eq(peer_send(ep, "c", 1), 1);
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	ck_assert(g.len == 41 && memcmp(g.data + 36, "ababc", 5) == 0);
	ck_assert_int_eq(ns_setopt(ep, NS_UDP_CORK, 1), 0);
	ck_assert_int_eq(peer_send(ep, "1", 1), 1);
	ck_assert_int_eq(peer_send(ep, "2", 1), 1);
	peer_got_nothing(&p);
	ck_assert_int_eq(ns_setopt(ep, NS_UDP_CORK, 0), 0);
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	ck_assert(g.len == 2 && memcmp(g.data, "12", 2) == 0);
	ck_assert_int_eq(ns_send(ep, &m), 2); /* left corked: close drops it */
	ns_close(ep);
}
END_TEST

START_TEST(segments_are_cut_here_or_by_the_link)
{
	static char data[2500];
	struct ns_ep *ep = udp(NS_IPV4);
	struct peer_got g;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 11);
	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 9), 0);
	ck_assert_int_eq(ns_setopt(ep, NS_UDP_SEGMENT, 1000), 0);
	ck_assert_int_eq(peer_send(ep, data, sizeof(data)), sizeof(data));
	for (size_t at = 0; at < sizeof(data); at += 1000) {
		peer_got_protocol(&p, IPPROTO_UDP, &g);
		ck_assert_uint_eq(g.len, min((size_t)1000, sizeof(data) - at));
		ck_assert_int_eq(memcmp(g.data, data + at, g.len), 0);
	}
	peer_got_nothing(&p);
	ck_assert_int_eq(ns_setopt(ep, NS_UDP_SEGMENT, 1473), 0);
	ck_assert_int_eq(peer_send(ep, data, sizeof(data)), -EINVAL);
	ns_close(ep);
}
END_TEST

START_TEST(full_buffers_make_senders_wait_and_receivers_drop)
{
	static char data[1400];
	struct peer_watcher w;
	struct ns_ep *ep = peer_ep(&p, NS_UDP, NS_IPV4, 0, &w);
	struct ns_stats s;
	unsigned int sent = 0, got = 0;
	ssize_t n;

	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 9), 0);
	p.full = true;
	while ((n = peer_send(ep, data, sizeof(data))) > 0)
		sent++;
	ck_assert(n == -EAGAIN && sent > 20 && !(ns_poll(ep) & POLLOUT));
	ck_assert_uint_eq(w.wakes, 0);
	p.full = false;
	ns_link_writable(p.link);
	ck_assert_uint_eq(peer_drain(&p), sent);
	ck_assert((w.events & POLLOUT) && (ns_poll(ep) & POLLOUT));
	ck_assert_int_eq(ns_connect(ep, NULL), 0);
	ck_assert_int_eq(bind_to(ep, "0.0.0.0", 7), 0);
	ck_assert_int_eq(ns_setopt(ep, NS_SO_RCVBUF, 20000), 0);
	for (int i = 0; i < 100; i++)
		peer_send_udp(&p, 1, 7, data, sizeof(data));
	while (peer_recv(ep, data, sizeof(data)) > 0)
		got++;
	ns_stats(p.st, &s);
	ck_assert(got > 5 && got < 20 && s.udp4.rcvbuf_errors == 100 - got);
	ns_close(ep);
}
END_TEST

START_TEST(shutdown_ends_either_direction)
{
	struct ns_ep *ep = udp(NS_IPV4);
	char c;

	ck_assert_int_eq(ns_shutdown(ep, 1), -ENOTCONN);
	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 9), 0);
	ck_assert_int_eq(ns_shutdown(ep, 2), 0);
	ck_assert_int_eq(peer_send(ep, "x", 1), -EPIPE);
	ck_assert_int_eq(ns_shutdown(ep, 1), 0);
	ck_assert_int_eq(peer_recv(ep, &c, 1), 0);
	ck_assert(ns_poll(ep) & POLLHUP);
	ns_close(ep);
}
END_TEST

START_TEST(addresses_that_bind_refuses)
{
	struct ns_ep *four = udp(NS_IPV4), *six = udp(NS_IPV6);

	ck_assert_int_eq(bind_to(four, "192.0.2.9", 1), -EADDRNOTAVAIL);
	ck_assert_int_eq(bind_to(four, "::1", 1), -EAFNOSUPPORT);
	ck_assert_int_eq(bind_to(six, "2001:db8::9", 1), -EADDRNOTAVAIL);
	ck_assert_int_eq(bind_to(six, "fe80::1", 1), -EINVAL); /* no scope */
	ck_assert_int_eq(ns_setopt(four, NS_IP_FREEBIND, 1), 0);
	ck_assert_int_eq(bind_to(four, "192.0.2.9", 1), 0);
	ck_assert_int_eq(bind_to(four, "192.0.2.1", 1), -EINVAL); /* bound */
	ck_assert_int_eq(bind_to(six, "::ffff:192.0.2.1", 1), 0);
	ns_close(four);
	ns_close(six);
}
END_TEST

START_TEST(broadcast_needs_leave_and_reaches_all)
{
	struct ns_ep *a = udp(NS_IPV4), *b = udp(NS_IPV4), *c = udp(NS_IPV4);
	struct peer_got g;

	ck_assert_int_eq(send_to(a, "192.0.2.255", 7, "x"), -EACCES);
	ck_assert_int_eq(ns_setopt(a, NS_SO_BROADCAST, 1), 0);
	ck_assert_int_eq(ns_setopt(b, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(ns_setopt(c, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(bind_to(b, "0.0.0.0", 7), 0);
	ck_assert_int_eq(bind_to(c, "0.0.0.0", 7), 0);
	ck_assert_int_eq(send_to(a, "192.0.2.255", 7, "all"), 3);
	peer_got(&p, &g);
	ck_assert_int_eq(memcmp(g.dst_mac, "\xff\xff\xff\xff\xff\xff", 6), 0);
	expect_text(b, "all");
	expect_text(c, "all");
	p.local = peer_ip("255.255.255.255");
	send_text(1, 7, "in");
	expect_text(b, "in");
	expect_text(c, "in");
	ns_close(a);
	ns_close(b);
	ns_close(c);
}
END_TEST

START_TEST(ephemeral_ports_are_spread_and_run_out)
{
	struct ns_limits limits;
	struct ns_ep *ep[5];
	struct ns_addr a;
	struct peer q;

	ns_limits_default(&limits);
	limits.port_low = 40000;
	limits.port_high = 40003;
	peer_open_bare(&q, 0, &limits);
	for (int i = 0; i < 5; i++) {
		ep[i] = peer_ep(&q, NS_UDP, NS_IPV4, 0, NULL);
		a = peer_addr("0.0.0.0", 0);
		ck_assert_int_eq(ns_bind(ep[i], &a), i < 4 ? 0 : -EADDRINUSE);
		ns_local(ep[i], &a);
		ck_assert(i == 4 || (a.port >= 40000 && a.port <= 40003));
	}
	for (int i = 0; i < 5; i++)
		ns_close(ep[i]);
	peer_close(&q);
}
END_TEST

/* --- policy ------------------------------------------------------------------------------------- */

struct test_policy {
	struct ns_policy policy;
	struct ns_verdict verdict;
	unsigned int asked;
	struct ns_flow last;
};

static struct ns_verdict judge(struct ns_policy *policy, const struct ns_flow *flow)
{
	struct test_policy *t = container_of(policy, struct test_policy, policy);

	t->asked++;
	t->last = *flow;
	return t->verdict;
}

START_TEST(the_policy_is_asked_once_a_flow_and_obeyed)
{
	struct test_policy t = {.policy.judge = judge, .verdict = {NS_ALLOW, 0}};
	struct ns_ep *ep = udp(NS_IPV4);

	ns_policy_set(p.st, &t.policy);
	ck_assert_int_eq(send_to(ep, "192.0.2.2", 53, "a"), 1);
	ck_assert_int_eq(send_to(ep, "192.0.2.2", 53, "b"), 1);
	ck_assert(t.asked == 1 && !t.last.inbound && t.last.remote.port == 53);
	ck_assert_int_eq(send_to(ep, "127.0.0.1", 53, "not judged"), 10);
	t.verdict = (struct ns_verdict){NS_REFUSE, ECONNREFUSED};
	ck_assert_int_eq(send_to(ep, "192.0.2.2", 54, "c"), -ECONNREFUSED);
	ck_assert_int_eq(connect_to(ep, "192.0.2.3", 54), -ECONNREFUSED);
	ck_assert_uint_eq(peer_drain(&p), 2);
	t.verdict = (struct ns_verdict){NS_ALLOW, 0};
	ck_assert_int_eq(connect_to(ep, "192.0.2.2", 55), 0);
	t.verdict = (struct ns_verdict){NS_REFUSE, EACCES};
	ns_policy_changed(p.st);
	ck_assert_int_eq(ns_take_error(ep), EACCES);
	ck_assert_int_eq(peer_send(ep, "x", 1), -EDESTADDRREQ);
	ck_assert_uint_eq(peer_drain(&p), 0);
	ns_policy_set(p.st, NULL);
	ns_close(ep);
}
END_TEST

START_TEST(inbound_flows_are_judged_too)
{
	struct test_policy t = {.policy.judge = judge, .verdict = {NS_REFUSE, 0}};
	struct ns_ep *ep = udp(NS_IPV4);
	struct peer_got g;

	ck_assert_int_eq(bind_to(ep, "0.0.0.0", 7), 0);
	ns_policy_set(p.st, &t.policy);
	send_text(1, 7, "refused");
	ck_assert(t.asked == 1 && t.last.inbound && t.last.local.port == 7);
	peer_got_protocol(&p, IPPROTO_ICMP, &g);
	t.verdict.kind = NS_DROP;
	send_text(1, 7, "dropped");
	peer_got_nothing(&p);
	expect_none(ep);
	t.verdict.kind = NS_ALLOW;
	send_text(1, 7, "let in");
	expect_text(ep, "let in");
	ns_policy_set(p.st, NULL);
	ns_close(ep);
}
END_TEST

START_TEST(diverted_datagrams_meet_a_gate_that_answers_as_the_address)
{
	struct test_policy t = {.policy.judge = judge, .verdict = {NS_DIVERT, 0}};
	struct ns_ep_config c = {.kind = NS_UDP, .family = NS_IPV4, .gate = true};
	struct ns_ep *guest = udp(NS_IPV4), *gate;
	char buf[20];
	struct ns_msg m = {.buf = buf, .len = sizeof(buf)};

	ck_assert_int_eq(ns_ep_new(p.st, &c, &gate), 0);
	ck_assert_int_eq(bind_to(gate, "0.0.0.0", 53), 0);
	ns_policy_set(p.st, &t.policy);
	ck_assert_int_eq(connect_to(guest, "198.18.0.5", 53), 0);
	ck_assert_int_eq(peer_send(guest, "who?", 4), 4);
	peer_got_nothing(&p);
	ck_assert_int_eq(ns_recv(gate, &m), 4);
	ck_assert(
	    ns_ip_equal(&m.meta.local, &(struct ns_ip){.b = {[10] = 0xff, 0xff, 198, 18, 0, 5}}));
	m.len = 3; /* back to where it came from, as whom it was sent to */
	ck_assert_int_eq(ns_send(gate, &m), 3);
	ck_assert_int_eq(peer_recv(guest, buf, sizeof(buf)), 3);
	/* The address's owner outside cannot mix in. */
	p.remote = peer_ip("198.18.0.5");
	ns_local(guest, &m.addr);
	send_text(53, m.addr.port, "forged");
	ck_assert_int_eq(peer_recv(guest, buf, sizeof(buf)), -EAGAIN);
	ns_policy_set(p.st, NULL);
	ns_close(guest);
	ns_close(gate);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {a_datagram_goes_out_and_its_answer_comes_in,
				meta_data_says_where_a_datagram_went,
				checksums_are_checked,
				lengths_that_lie_are_refused,
				nobody_there_is_said_once_and_not_to_groups,
				errors_are_limited_in_rate,
				the_most_specific_endpoint_gets_it,
				ports_clash_as_on_linux,
				reuseport_spreads_flows_and_keeps_owners_apart,
				connected_endpoints_hear_their_peer_only,
				icmp_errors_reach_connected_endpoints,
				the_error_queue_tells_all,
				loopback_carries_both_families,
				a_large_datagram_is_fragmented_unless_forbidden,
				corked_pieces_become_one_datagram,
				segments_are_cut_here_or_by_the_link,
				full_buffers_make_senders_wait_and_receivers_drop,
				shutdown_ends_either_direction,
				addresses_that_bind_refuses,
				broadcast_needs_leave_and_reaches_all,
				ephemeral_ports_are_spread_and_run_out,
				the_policy_is_asked_once_a_flow_and_obeyed,
				inbound_flows_are_judged_too,
				diverted_datagrams_meet_a_gate_that_answers_as_the_address};

	return peer_main("udp", tests, ARRAY_SIZE(tests), setup, teardown);
}
