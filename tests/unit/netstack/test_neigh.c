/* netstack/neigh.c, arp.c, nd.c: neighbours by both protocols, our addresses, routers, forgeries. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/unit/netstack/peer.h"

static const uint8_t EVIL_MAC[6] = {0x02, 0, 0, 0, 0, 0x66},
		     ALL_MAC[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t NO_MAC[6];
static struct peer p;

static void add_address(const char *text, uint8_t prefix, bool tentative)
{
	struct ns_ifaddr a = {.ifindex = 2,
			      .ip = peer_ip(text),
			      .prefix = prefix,
			      .tentative = tentative,
			      .valid_left = NS_NEVER,
			      .preferred_left = NS_NEVER};

	ck_assert_int_eq(ns_ifaddr_add(p.st, &a), 0);
}

static void setup(void)
{
	peer_open_bare(&p, 0, NULL);
	add_address("192.0.2.1", 24, false);
	add_address("2001:db8::1", 64, false);
	add_address("fe80::1", 64, false);
	peer_advance(&p, 5 * NSEC_PER_SEC);
	peer_drain(&p);
}

static void teardown(void)
{
	peer_close(&p);
}

/* --- ARP ------------------------------------------------------------------------------------------ */

struct arp {
	int op;
	const uint8_t *smac, *tmac, *dst; /* NULL: the peer's, zeros, ours */
	const char *sip, *tip;
};

static void send_arp(const struct arp *a)
{
	unsigned char m[28] = {0, 1, 8, 0, 6, 4, 0, (unsigned char)a->op};
	struct ns_ip sip = peer_ip(a->sip), tip = peer_ip(a->tip);

	memcpy(m + 8, a->smac ? a->smac : PEER_MAC, 6);
	memcpy(m + 14, sip.b + 12, 4);
	memcpy(m + 18, a->tmac ? a->tmac : NO_MAC, 6);
	memcpy(m + 24, tip.b + 12, 4);
	memcpy(p.mac, a->smac ? a->smac : PEER_MAC, 6);
	peer_send_ether(&p, a->dst, 0x0806, m, sizeof(m));
	memcpy(p.mac, PEER_MAC, 6);
}

static void reply(const uint8_t *mac, const char *ip)
{
	struct arp a = {.op = 2, .smac = mac, .tmac = OWN_MAC, .sip = ip, .tip = "192.0.2.1"};

	send_arp(&a);
}

static void expect_arp(int op, const uint8_t *dst, const char *sip, const char *tip)
{
	struct ns_ip s = peer_ip(sip), t = peer_ip(tip);
	struct peer_got g;

	peer_got(&p, &g);
	ck_assert_uint_eq(g.ethertype, 0x0806);
	ck_assert_int_eq(g.l3[7], op);
	ck_assert_int_eq(memcmp(g.dst_mac, dst, 6), 0);
	ck_assert_int_eq(memcmp(g.l3 + 8, OWN_MAC, 6), 0);
	ck_assert_int_eq(memcmp(g.l3 + 14, s.b + 12, 4), 0);
	ck_assert_int_eq(memcmp(g.l3 + 24, t.b + 12, 4), 0);
}

static struct ns_neighbour lookup(const char *text)
{
	struct ns_ip ip = peer_ip(text);
	struct ns_neighbour n[64];
	size_t count = ns_neighbours(p.st, n, 64);

	for (size_t i = 0; i < count; i++)
		if (ns_ip_equal(&n[i].ip, &ip))
			return n[i];
	return (struct ns_neighbour){.state = NUD_NONE};
}

static void expect_neighbour(const char *ip, uint16_t state, const uint8_t *mac)
{
	struct ns_neighbour n = lookup(ip);

	ck_assert_int_eq(n.state, state);
	if (mac)
		ck_assert_int_eq(memcmp(n.mac, mac, 6), 0);
}

static struct ns_ep *sender(void)
{
	return peer_ep(&p, NS_UDP, NS_IPV6, 0, NULL);
}

static int send_to(struct ns_ep *ep, const char *ip)
{
	struct ns_msg m = {.buf = "x", .len = 1, .has_addr = true, .addr = peer_addr(ip, 9)};

	return (int)ns_send(ep, &m);
}

START_TEST(requests_for_us_are_answered_and_remembered)
{
	struct arp a = {.op = 1, .dst = ALL_MAC, .sip = "192.0.2.2", .tip = "192.0.2.1"};

	send_arp(&a);
	expect_arp(2, PEER_MAC, "192.0.2.1", "192.0.2.2");
	expect_neighbour("192.0.2.2", NUD_STALE, PEER_MAC);
	a.sip = "192.0.2.3";
	a.tip = "192.0.2.4"; /* not for us: neither answered nor remembered */
	send_arp(&a);
	expect_neighbour("192.0.2.3", NUD_NONE, NULL);
	a.sip = "0.0.0.0"; /* somebody probes our address (RFC 5227) */
	a.tip = "192.0.2.1";
	send_arp(&a);
	expect_arp(2, PEER_MAC, "192.0.2.1", "0.0.0.0");
	peer_got_nothing(&p);
}
END_TEST

START_TEST(packets_wait_for_the_answer)
{
	struct ns_ep *ep = sender();
	struct peer_got g;

	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(send_to(ep, "192.0.2.2"), 1);
	expect_arp(1, ALL_MAC, "192.0.2.1", "192.0.2.2");
	peer_got_nothing(&p);
	expect_neighbour("192.0.2.2", NUD_INCOMPLETE, NULL);
	reply(NULL, "192.0.2.2");
	ck_assert_uint_eq(peer_pending(&p), 16); /* the oldest were dropped */
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	ck_assert_int_eq(memcmp(g.dst_mac, PEER_MAC, 6), 0);
	expect_neighbour("192.0.2.2", NUD_REACHABLE, PEER_MAC);
	ns_close(ep);
}
END_TEST

START_TEST(who_does_not_answer_is_unreachable)
{
	struct ns_ep *ep = sender();
	struct ns_addr to = peer_addr("192.0.2.2", 9);

	ck_assert_int_eq(ns_setopt(ep, NS_IP_RECVERR, 1), 0);
	ck_assert_int_eq(ns_connect(ep, &to), 0);
	ck_assert_int_eq(peer_send(ep, "x", 1), 1);
	peer_advance(&p, 3500 * NSEC_PER_MSEC);
	ck_assert_uint_eq(peer_drain(&p), 3);
	expect_neighbour("192.0.2.2", NUD_FAILED, NULL);
	ck_assert_int_eq(ns_take_error(ep), EHOSTUNREACH);
	ck_assert_int_eq(peer_send(ep, "x", 1), 1); /* at once now */
	ck_assert_int_eq(ns_take_error(ep), EHOSTUNREACH);
	peer_got_nothing(&p);
	peer_advance(&p, 1100 * NSEC_PER_MSEC);
	ck_assert_int_eq(peer_send(ep, "x", 1), 1); /* asked again */
	ck_assert_uint_eq(peer_drain(&p), 1);
	ns_close(ep);
}
END_TEST

START_TEST(states_follow_time_and_use)
{
	struct ns_ep *ep = sender();
	struct peer_got g;

	ck_assert_int_eq(send_to(ep, "192.0.2.2"), 1);
	reply(NULL, "192.0.2.2");
	peer_drain(&p);
	expect_neighbour("192.0.2.2", NUD_REACHABLE, NULL);
	peer_advance(&p, 46 * NSEC_PER_SEC);
	expect_neighbour("192.0.2.2", NUD_STALE, NULL);
	ck_assert_int_eq(send_to(ep, "192.0.2.2"), 1); /* goes out all the same */
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	expect_neighbour("192.0.2.2", NUD_DELAY, NULL);
	peer_advance(&p, 5100 * NSEC_PER_MSEC);
	expect_arp(1, PEER_MAC, "192.0.2.1", "192.0.2.2"); /* unicast */
	expect_neighbour("192.0.2.2", NUD_PROBE, NULL);
	reply(NULL, "192.0.2.2");
	expect_neighbour("192.0.2.2", NUD_REACHABLE, NULL);
	peer_advance(&p, 700 * NSEC_PER_SEC);
	expect_neighbour("192.0.2.2", NUD_NONE, NULL); /* unused, so forgotten */
	ns_close(ep);
}
END_TEST

START_TEST(a_known_neighbour_is_not_taken_over)
{
	struct arp forged[] = {
	    {.op = 2, .smac = EVIL_MAC, .tmac = OWN_MAC, .sip = "192.0.2.2", .tip = "192.0.2.1"},
	    {.op = 1, .smac = EVIL_MAC, .sip = "192.0.2.2", .tip = "192.0.2.1"},
	    {.op = 1, .smac = EVIL_MAC, .dst = ALL_MAC, .sip = "192.0.2.2", .tip = "192.0.2.2"},
	    {.op = 2,
	     .smac = EVIL_MAC,
	     .dst = ALL_MAC,
	     .tmac = ALL_MAC,
	     .sip = "192.0.2.2",
	     .tip = "192.0.2.2"},
	};
	struct ns_ep *ep = sender();
	struct peer_got g;

	for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
		ck_assert_int_eq(send_to(ep, "192.0.2.2"), 1);
		reply(NULL, "192.0.2.2");
		peer_drain(&p);
		send_arp(&forged[i]);
		/* The one we know is asked, and as long as it answers nothing changes. */
		expect_arp(1, PEER_MAC, "192.0.2.1", "192.0.2.2");
		peer_drain(&p);
		send_arp(&forged[i]);
		ck_assert_int_eq(send_to(ep, "192.0.2.2"), 1);
		while (peer_pending(&p)) {
			peer_got(&p, &g);
			ck_assert(g.ethertype == 0x0806 || memcmp(g.dst_mac, PEER_MAC, 6) == 0);
		}
		reply(NULL, "192.0.2.2");
		expect_neighbour("192.0.2.2", NUD_REACHABLE, PEER_MAC);
	}
	ns_close(ep);
}
END_TEST

START_TEST(nothing_is_learned_unasked)
{
	struct arp gratuitous = {.op = 1, .dst = ALL_MAC, .sip = "192.0.2.8", .tip = "192.0.2.8"};
	struct arp answer = {.op = 2, .tmac = OWN_MAC, .sip = "192.0.2.8", .tip = "192.0.2.1"};
	struct arp ours = {
	    .op = 2, .smac = EVIL_MAC, .tmac = OWN_MAC, .sip = "192.0.2.1", .tip = "192.0.2.1"};

	send_arp(&gratuitous);
	send_arp(&answer);
	send_arp(&ours);
	expect_neighbour("192.0.2.8", NUD_NONE, NULL);
	expect_neighbour("192.0.2.1", NUD_NONE, NULL);
	peer_got_nothing(&p);
	/* The frame's sender is not the message's. */
	memcpy(p.mac, EVIL_MAC, 6);
	peer_send_ether(&p, NULL, 0x0806,
			"\0\1\10\0\6\4\0\1\2\0\0\0\0\2\300\0\2\10\0\0\0\0\0\0\300\0\2\1", 28);
	memcpy(p.mac, PEER_MAC, 6);
	expect_neighbour("192.0.2.8", NUD_NONE, NULL);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(the_cache_is_bounded_and_keeps_what_is_used)
{
	struct ns_ep *ep = sender();
	char ip[32];

	for (int i = 0; i < 5000; i++) {
		struct arp a = {.op = 1, .sip = ip, .tip = "192.0.2.1"};

		snprintf(ip, sizeof(ip), "192.0.%d.%d", 3 + i / 250, 1 + i % 250);
		send_arp(&a);
		if (i % 100 == 0 && i)
			ck_assert_int_eq(send_to(ep, "192.0.2.2"), 1);
		peer_drain(&p);
		if (i == 100)
			reply(NULL, "192.0.2.2");
	}
	ck_assert_uint_le(ns_neighbours(p.st, NULL, 0), 1024);
	ns_close(ep);
	peer_drain(&p);
}
END_TEST

START_TEST(announcements_go_out_for_new_addresses)
{
	add_address("192.0.2.50", 24, false);
	expect_arp(1, ALL_MAC, "192.0.2.50", "192.0.2.50");
	peer_got_nothing(&p);
}
END_TEST

/* --- neighbour discovery -------------------------------------------------------------------------- */

static void send_icmp6(const char *src, const char *dst, const void *message, size_t n, int hops)
{
	struct ns_ip s = peer_ip(src), d = peer_ip(dst);
	unsigned char m[256];
	uint16_t sum;

	memcpy(m, message, n);
	memset(m + 2, 0, 2);
	sum = peer_checksum(&s, &d, IPPROTO_ICMPV6, m, n);
	memcpy(m + 2, &sum, 2);
	p.ttl = hops;
	peer_send_ip(&p, &s, &d, IPPROTO_ICMPV6, m, n);
	p.ttl = -1;
}

/* A solicitation or advertisement with one MAC option (none if mac is NULL). */
static void send_nd(int type, uint8_t flags, const char *src, const char *dst, const char *target,
		    const uint8_t *mac, int hops)
{
	unsigned char m[32] = {(unsigned char)type, 0, 0, 0, flags};
	struct ns_ip t = peer_ip(target);

	memcpy(m + 8, t.b, 16);
	m[24] = type == 135 ? 1 : 2;
	m[25] = 1;
	if (mac)
		memcpy(m + 26, mac, 6);
	send_icmp6(src, dst, m, mac ? 32 : 24, hops);
}

static void expect_nd(int type, const char *dst, const char *target, struct peer_got *g)
{
	struct ns_ip d = peer_ip(dst), t = peer_ip(target);

	peer_got_protocol(&p, IPPROTO_ICMPV6, g);
	ck_assert_int_eq(g->l4[0], type);
	ck_assert(g->ttl == 255 && ns_ip_equal(&g->dst, &d));
	ck_assert_int_eq(memcmp(g->l4 + 8, t.b, 16), 0);
}

START_TEST(solicitations_are_answered_with_our_mac)
{
	struct peer_got g;

	send_nd(135, 0, "2001:db8::2", "ff02::1:ff00:1", "2001:db8::1", PEER_MAC, 255);
	expect_nd(136, "2001:db8::2", "2001:db8::1", &g);
	ck_assert_int_eq(g.l4[4], 0x60); /* solicited, override */
	ck_assert(g.l4[24] == 2 && memcmp(g.l4 + 26, OWN_MAC, 6) == 0);
	expect_neighbour("2001:db8::2", NUD_DELAY, PEER_MAC);		   /* the answer used it */
	send_nd(135, 0, "::", "ff02::1:ff00:1", "2001:db8::1", NULL, 255); /* a probe of ours */
	expect_nd(136, "ff02::1", "2001:db8::1", &g);
	ck_assert_int_eq(g.l4[4], 0x20);
}
END_TEST

START_TEST(solicitations_that_are_forged_are_not)
{
	static const uint8_t broken[26] = {135, [8] = 0x20, 1, 0x0d, 0xb8, [23] = 1, 1, 0};

	send_nd(135, 0, "2001:db8::2", "ff02::1:ff00:1", "2001:db8::1", PEER_MAC, 64);
	send_nd(135, 0, "2001:db8::2", "2001:db8::1", "ff02::1:ff00:1", PEER_MAC, 255);
	send_nd(135, 0, "::", "ff02::1:ff00:1", "2001:db8::1", PEER_MAC, 255); /* with an option */
	send_nd(135, 0, "::", "2001:db8::1", "2001:db8::1", NULL, 255);
	send_icmp6("2001:db8::2", "2001:db8::1", broken, sizeof(broken),
		   255); /* option of length 0 */
	send_nd(135, 0, "2001:db8::2", "2001:db8::1", "2001:db8::9", PEER_MAC, 255);
	peer_got_nothing(&p);
	expect_neighbour("2001:db8::2", NUD_NONE, NULL);
}
END_TEST

START_TEST(ipv6_packets_wait_for_an_advertisement)
{
	struct ns_ep *ep = sender();
	struct peer_got g;

	ck_assert_int_eq(send_to(ep, "2001:db8::2"), 1);
	expect_nd(135, "ff02::1:ff00:2", "2001:db8::2", &g);
	ck_assert(g.l4[24] == 1 && memcmp(g.l4 + 26, OWN_MAC, 6) == 0);
	ck_assert_int_eq(memcmp(g.dst_mac, "\x33\x33\xff\0\0\2", 6), 0);
	send_nd(136, 0x60, "2001:db8::2", "ff02::1", "2001:db8::2", EVIL_MAC,
		255); /* bad: solicited to a group */
	peer_got_nothing(&p);
	send_nd(136, 0x60, "2001:db8::2", "2001:db8::1", "2001:db8::2", PEER_MAC, 255);
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	expect_neighbour("2001:db8::2", NUD_REACHABLE, PEER_MAC);
	send_nd(136, 0x20, "2001:db8::2", "2001:db8::1", "2001:db8::2", EVIL_MAC, 255);
	expect_nd(135, "2001:db8::2", "2001:db8::2", &g); /* the old one is asked */
	ck_assert_int_eq(memcmp(g.dst_mac, PEER_MAC, 6), 0);
	ns_close(ep);
}
END_TEST

static bool has_address(const char *text, bool *tentative)
{
	struct ns_ip ip = peer_ip(text);
	struct ns_ifaddr a[64];
	size_t n = ns_ifaddrs(p.st, a, 64);

	for (size_t i = 0; i < n; i++)
		if (ns_ip_equal(&a[i].ip, &ip)) {
			*tentative = a[i].tentative;
			return true;
		}
	return false;
}

/* Frames may be membership reports as well. */
static bool find_nd(int type, struct peer_got *g)
{
	while (peer_pending(&p)) {
		peer_got(&p, g);
		if (g->ethertype == 0x86dd && g->protocol == IPPROTO_ICMPV6 && g->l4[0] == type)
			return true;
	}
	return false;
}

START_TEST(addresses_are_probed_before_they_are_used)
{
	struct ns_ep *ep = sender();
	struct ns_addr a = peer_addr("2001:db8::5", 9);
	struct peer_got g;
	bool tentative;

	add_address("2001:db8::5", 64, true);
	ck_assert(find_nd(135, &g) && ns_ip_is_any(&g.src) && g.l4_len == 24);
	ck_assert(has_address("2001:db8::5", &tentative) && tentative);
	ck_assert_int_eq(ns_bind(ep, &a), -EADDRNOTAVAIL);
	send_nd(135, 0, "2001:db8::2", "2001:db8::5", "2001:db8::5", PEER_MAC, 255);
	ck_assert(!find_nd(136, &g));
	peer_advance(&p, 1100 * NSEC_PER_MSEC);
	ck_assert(has_address("2001:db8::5", &tentative) && !tentative);
	ck_assert_int_eq(ns_bind(ep, &a), 0);
	ns_close(ep);
}
END_TEST

START_TEST(addresses_of_others_are_not_used)
{
	struct ns_ep *ep = sender();
	struct ns_addr a = peer_addr("2001:db8::5", 9), b = peer_addr("2001:db8::6", 9);

	add_address("2001:db8::5", 64, true);
	add_address("2001:db8::6", 64, true);
	send_nd(136, 0x20, "2001:db8::5", "ff02::1", "2001:db8::5", PEER_MAC, 255);
	send_nd(135, 0, "::", "ff02::1:ff00:6", "2001:db8::6", NULL, 255); /* both probe at once */
	peer_advance(&p, 5 * NSEC_PER_SEC);
	ck_assert_int_eq(ns_bind(ep, &a), -EADDRNOTAVAIL);
	ck_assert_int_eq(ns_bind(ep, &b), -EADDRNOTAVAIL);
	ns_close(ep);
}
END_TEST

/* --- routers -------------------------------------------------------------------------------------- */

static struct peer q; /* a link that configures itself */

static void open_auto(void)
{
	struct ns_link_config c = {.name = "auto0",
				   .mtu = 1500,
				   .features = NS_LINK_ETHERNET,
				   .autoconf = true,
				   .port = &p.port};

	memcpy(c.mac, "\x02\0\0\0\0\x10", 6);
	ck_assert_int_eq(ns_link_add(p.st, &c, &q.link), 0);
	ns_link_set_up(q.link, true);
}

/* lifetime of the router; one prefix with its lifetimes; an MTU */
static void send_ra(const char *src, uint16_t lifetime, uint32_t valid, uint32_t preferred,
		    uint32_t mtu, int hops)
{
	unsigned char m[16 + 8 + 32 + 8] = {134, 0, 0, 0, 50, 0};
	struct ns_ip prefix = peer_ip("2001:db8:77::");
	struct ns_link *link = p.link;

	m[6] = (unsigned char)(lifetime >> 8);
	m[7] = (unsigned char)lifetime;
	memcpy(m + 16, (unsigned char[]){1, 1}, 2);
	memcpy(m + 18, PEER_MAC, 6);
	memcpy(m + 24, (unsigned char[]){3, 4, 64, 0xc0}, 4);
	*(uint32_t *)(m + 28) = htonl(valid);
	*(uint32_t *)(m + 32) = htonl(preferred);
	memcpy(m + 40, prefix.b, 16);
	memcpy(m + 56, (unsigned char[]){5, 1}, 2);
	*(uint32_t *)(m + 60) = htonl(mtu);
	p.link = q.link;
	send_icmp6(src, "ff02::1", m, sizeof(m), hops);
	p.link = link;
}

static bool default_route(const char *gateway)
{
	struct ns_ip gw = peer_ip(gateway);
	struct ns_route r[64];
	size_t n = ns_routes(p.st, r, 64);

	for (size_t i = 0; i < n; i++)
		if (r[i].prefix == 0 && ns_ip_equal(&r[i].gateway, &gw))
			return true;
	return false;
}

START_TEST(a_link_finds_its_routers_and_prefixes)
{
	struct ns_link_info info[4];
	struct peer_got g;
	bool tentative;

	open_auto();
	ck_assert(has_address("fe80::ff:fe00:10", &tentative) && tentative);
	peer_advance(&p, 2 * NSEC_PER_SEC);
	ck_assert(find_nd(133, &g) && !ns_ip_is_any(&g.src));
	send_ra("fe80::9", 1800, 7200, 3600, 1400, 255);
	ck_assert(default_route("fe80::9"));
	ck_assert(has_address("2001:db8:77::ff:fe00:10", &tentative) && tentative);
	ck_assert(ns_links(p.st, info, 4) == 3 && info[2].mtu == 1400);
	peer_advance(&p, 20 * NSEC_PER_SEC);
	ck_assert(!find_nd(133, &g));		  /* no more solicitations */
	send_ra("fe80::9", 0, 10, 10, 1400, 255); /* the router leaves; two-hour rule */
	ck_assert(!default_route("fe80::9"));
	peer_advance(&p, 100 * NSEC_PER_SEC);
	ck_assert(has_address("2001:db8:77::ff:fe00:10", &tentative));
	peer_advance(&p, 7200 * NSEC_PER_SEC);
	ck_assert(!has_address("2001:db8:77::ff:fe00:10", &tentative));
}
END_TEST

START_TEST(routers_from_afar_are_not_believed)
{
	bool tentative;
	char ip[32];

	open_auto();
	peer_advance(&p, 2 * NSEC_PER_SEC);
	send_ra("fe80::9", 1800, 7200, 3600, 1400, 64);
	send_ra("2001:db8::9", 1800, 7200, 3600, 1400, 255);
	ck_assert(!default_route("fe80::9") && !default_route("2001:db8::9"));
	ck_assert(!has_address("2001:db8:77::ff:fe00:10", &tentative));
	for (int i = 0; i < 50; i++) {
		snprintf(ip, sizeof(ip), "fe80::%x", 100 + i);
		send_ra(ip, 1800, 0, 0, 100, 255);
	}
	ck_assert(default_route("fe80::64") && default_route("fe80::6b") &&
		  !default_route("fe80::6c"));
	peer_advance(&p, 2000 * NSEC_PER_SEC);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {requests_for_us_are_answered_and_remembered,
				packets_wait_for_the_answer,
				who_does_not_answer_is_unreachable,
				states_follow_time_and_use,
				a_known_neighbour_is_not_taken_over,
				nothing_is_learned_unasked,
				the_cache_is_bounded_and_keeps_what_is_used,
				announcements_go_out_for_new_addresses,
				solicitations_are_answered_with_our_mac,
				solicitations_that_are_forged_are_not,
				ipv6_packets_wait_for_an_advertisement,
				addresses_are_probed_before_they_are_used,
				addresses_of_others_are_not_used,
				a_link_finds_its_routers_and_prefixes,
				routers_from_afar_are_not_believed};

	return peer_main("neigh", tests, ARRAY_SIZE(tests), setup, teardown);
}
