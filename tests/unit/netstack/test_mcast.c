/* netstack/mcast.c, igmp.c, mld.c: who is in which group, and who is told. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <netinet/in.h>
#include <stdio.h>

#include "tests/unit/netstack/peer.h"

static struct peer p;
static struct ns_ep *ep;

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

static int join(struct ns_ep *e, const char *group, const char *source, uint32_t ifindex)
{
	struct ns_group g = {.group = peer_ip(group), .ifindex = ifindex};

	if (source)
		g.source = peer_ip(source);
	return ns_group_join(e, &g);
}

static int leave(struct ns_ep *e, const char *group, const char *source)
{
	struct ns_group g = {.group = peer_ip(group), .ifindex = 2};

	if (source)
		g.source = peer_ip(source);
	return ns_group_leave(e, &g);
}

/* An IGMPv3 report of one record. */
static void expect_igmp3(int kind, const char *group)
{
	struct ns_ip ip = peer_ip(group), routers = peer_ip("224.0.0.22");
	struct peer_got g;

	peer_got_protocol(&p, IPPROTO_IGMP, &g);
	ck_assert(g.ttl == 1 && ns_ip_equal(&g.dst, &routers) && ns_ip_equal(&g.src, &p.local));
	ck_assert_int_eq(g.l4 - g.l3, 24); /* router alert */
	ck_assert_int_eq(memcmp(g.l3 + 20, "\x94\4\0\0", 4), 0);
	ck_assert(g.l4_len == 16 && g.l4[0] == 0x22 && g.l4[7] == 1 && g.l4[8] == kind);
	ck_assert_int_eq(memcmp(g.l4 + 12, ip.b + 12, 4), 0);
}

static void expect_mld2(int kind, const char *group)
{
	struct ns_ip ip = peer_ip(group), routers = peer_ip("ff02::16");
	struct peer_got g;

	peer_got_protocol(&p, IPPROTO_ICMPV6, &g);
	ck_assert(g.ttl == 1 && ns_ip_equal(&g.dst, &routers));
	ck_assert(g.l4 - g.l3 == 48 && g.l3[6] == 0); /* hop-by-hop with router alert */
	ck_assert_int_eq(memcmp(g.l3 + 40, "\x3a\0\5\2\0\0", 6), 0);
	ck_assert(g.l4_len == 28 && g.l4[0] == 143 && g.l4[7] == 1 && g.l4[8] == kind);
	ck_assert_int_eq(memcmp(g.l4 + 12, ip.b, 16), 0);
}

static void send_to_group(const char *group, const char *source)
{
	p.local = peer_ip(group);
	p.remote = peer_ip(source);
	peer_send_udp(&p, 60, 7, "g", 1);
	p.local = peer_ip("192.0.2.1");
	p.remote = peer_ip("192.0.2.2");
}

static bool received(struct ns_ep *e)
{
	char c;

	return peer_recv(e, &c, 1) == 1;
}

START_TEST(members_are_announced_twice_and_leave_once)
{
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	expect_igmp3(4, "239.1.2.3");
	peer_advance(&p, 3 * NSEC_PER_SEC);
	expect_igmp3(4, "239.1.2.3");
	peer_advance(&p, 10 * NSEC_PER_SEC);
	peer_got_nothing(&p);
	ck_assert_int_eq(leave(ep, "239.1.2.3", NULL), 0);
	expect_igmp3(3, "239.1.2.3");
	ck_assert_int_eq(join(ep, "ff05::77", NULL, 2), 0);
	expect_mld2(4, "ff05::77");
	peer_advance(&p, 3 * NSEC_PER_SEC);
	expect_mld2(4, "ff05::77");
	ck_assert_int_eq(leave(ep, "ff05::77", NULL), 0);
	expect_mld2(3, "ff05::77");
	peer_advance(&p, 10 * NSEC_PER_SEC);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(two_members_make_one_announcement)
{
	struct ns_ep *other = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);

	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	ck_assert_int_eq(join(other, "239.1.2.3", NULL, 0), 0);
	peer_advance(&p, 3 * NSEC_PER_SEC);
	ck_assert_uint_eq(peer_drain(&p), 2);
	ns_close(other);
	peer_got_nothing(&p);
	ck_assert_int_eq(leave(ep, "239.1.2.3", NULL), 0);
	expect_igmp3(3, "239.1.2.3");
}
END_TEST

START_TEST(joins_that_are_refused)
{
	struct ns_ep *raw = peer_ep(&p, NS_PACKET, NS_IPV4, 3, NULL);
	char ip[32];

	ck_assert_int_eq(join(ep, "192.0.2.9", NULL, 2), -EINVAL);
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 9), -ENODEV);
	ck_assert_int_eq(join(raw, "239.1.2.3", NULL, 2), -ENOPROTOOPT);
	ck_assert_int_eq(leave(ep, "239.1.2.3", NULL), -EADDRNOTAVAIL);
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), -EADDRINUSE);
	for (int i = 1; i < 30; i++) {
		snprintf(ip, sizeof(ip), "239.1.3.%d", i);
		ck_assert_int_eq(join(ep, ip, NULL, 2), i < 20 ? 0 : -ENOBUFS);
	}
	ns_close(raw);
}
END_TEST

START_TEST(only_members_and_their_sources_are_heard)
{
	send_to_group("239.1.2.3", "192.0.2.2");
	ck_assert(!received(ep)); /* no member on this link */
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	send_to_group("239.1.2.3", "192.0.2.2");
	ck_assert(received(ep));
	ck_assert_int_eq(leave(ep, "239.1.2.3", NULL), 0);
	ck_assert_int_eq(join(ep, "239.1.2.3", "192.0.2.8", 2), 0);
	ck_assert_int_eq(join(ep, "239.1.2.3", "192.0.2.7", 2), 0);
	send_to_group("239.1.2.3", "192.0.2.2");
	ck_assert(!received(ep));
	send_to_group("239.1.2.3", "192.0.2.8");
	ck_assert(received(ep));
	ck_assert_int_eq(leave(ep, "239.1.2.3", "192.0.2.8"), 0);
	send_to_group("239.1.2.3", "192.0.2.8");
	ck_assert(!received(ep));
	ck_assert_int_eq(leave(ep, "239.1.2.3", "192.0.2.8"), -EADDRNOTAVAIL);
	ck_assert_int_eq(leave(ep, "239.1.2.3", "192.0.2.7"), 0);
}
END_TEST

START_TEST(multicast_all_decides_for_non_members)
{
	struct ns_ep *other = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	struct ns_addr a = peer_addr("239.1.2.3", 7);

	ck_assert_int_eq(ns_setopt(other, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(ns_setopt(ep, NS_SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(ns_bind(other, &a), 0);
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	send_to_group("239.1.2.3", "192.0.2.2");
	ck_assert(received(ep) && received(other));
	ck_assert_int_eq(ns_setopt(other, NS_IP_MULTICAST_ALL, 0), 0);
	send_to_group("239.1.2.3", "192.0.2.2");
	ck_assert(received(ep) && !received(other));
	ns_close(other);
}
END_TEST

static int send_to(const char *ip)
{
	struct ns_msg m = {.buf = "m", .len = 1, .has_addr = true, .addr = peer_addr(ip, 7)};

	return (int)ns_send(ep, &m);
}

START_TEST(our_own_datagrams_come_back_to_members)
{
	struct peer_got g;

	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	ck_assert_int_eq(join(ep, "ff05::77", NULL, 2), 0);
	peer_drain(&p);
	ck_assert_int_eq(send_to("239.1.2.3"), 1);
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	ck_assert(g.ttl == 1 && memcmp(g.dst_mac, "\1\0\x5e\1\2\3", 6) == 0);
	ck_assert(received(ep));
	ck_assert_int_eq(ns_setopt(ep, NS_IPV6_MULTICAST_LOOP, 0), 0);
	ck_assert_int_eq(ns_setopt(ep, NS_IPV6_MULTICAST_HOPS, 9), 0);
	ck_assert_int_eq(send_to("ff05::77"), 1);
	peer_got_protocol(&p, IPPROTO_UDP, &g);
	ck_assert(g.ttl == 9 && memcmp(g.dst_mac, "\x33\x33\0\0\0\x77", 6) == 0);
	ck_assert(!received(ep));
}
END_TEST

static void send_query(uint8_t code, const char *group, size_t n)
{
	unsigned char m[12] = {0x11, code};
	struct ns_ip g = peer_ip(group), all = peer_ip("224.0.0.1");
	uint16_t sum;

	memcpy(m + 4, g.b + 12, 4);
	sum = peer_checksum(NULL, NULL, IPPROTO_IGMP, m, n);
	memcpy(m + 2, &sum, 2);
	p.ttl = 1;
	peer_send_ip(&p, NULL, &all, IPPROTO_IGMP, m, n);
	p.ttl = -1;
}

START_TEST(queries_are_answered_in_time_and_in_their_version)
{
	struct peer_got g;

	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	ck_assert_int_eq(join(ep, "239.1.2.4", NULL, 2), 0);
	peer_advance(&p, 5 * NSEC_PER_SEC);
	peer_drain(&p);
	send_query(100, "0.0.0.0", 12);
	peer_got_nothing(&p);
	peer_advance(&p, 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(peer_drain(&p), 2);
	send_query(10, "239.1.2.4", 12);
	peer_advance(&p, NSEC_PER_SEC);
	expect_igmp3(2, "239.1.2.4");
	peer_got_nothing(&p);
	send_query(10, "239.1.2.4", 8); /* version 2 */
	peer_advance(&p, NSEC_PER_SEC);
	peer_got_protocol(&p, IPPROTO_IGMP, &g);
	ck_assert(g.l4[0] == 0x16 && g.l4_len == 8);
	ck_assert_int_eq(leave(ep, "239.1.2.4", NULL), 0);
	peer_got_protocol(&p, IPPROTO_IGMP, &g);
	ck_assert_int_eq(g.l4[0], 0x17);
	send_query(0, "0.0.0.0", 8); /* version 1 */
	peer_advance(&p, 10 * NSEC_PER_SEC);
	peer_got_protocol(&p, IPPROTO_IGMP, &g);
	ck_assert_int_eq(g.l4[0], 0x12);
	peer_advance(&p, 401 * NSEC_PER_SEC); /* the old queriers are gone */
	ck_assert_int_eq(leave(ep, "239.1.2.3", NULL), 0);
	expect_igmp3(3, "239.1.2.3");
}
END_TEST

START_TEST(mld_queries_are_answered)
{
	static const unsigned char all[24] = {130, 0, 0, 0, 0x03, 0xe8};
	unsigned char m[28];
	struct ns_ip src = peer_ip("fe80::2"), dst = peer_ip("ff02::1");
	uint16_t sum;

	ck_assert_int_eq(join(ep, "ff05::77", NULL, 2), 0);
	peer_advance(&p, 5 * NSEC_PER_SEC);
	peer_drain(&p);
	memset(m, 0, sizeof(m));
	memcpy(m, all, sizeof(all));
	sum = peer_checksum(&src, &dst, IPPROTO_ICMPV6, m, sizeof(m));
	memcpy(m + 2, &sum, 2);
	p.ttl = 64;
	peer_send_ip(&p, &src, &dst, IPPROTO_ICMPV6, m, sizeof(m));
	peer_advance(&p, 2 * NSEC_PER_SEC);
	peer_got_nothing(&p); /* not from this link */
	p.ttl = 1;
	peer_send_ip(&p, &src, &dst, IPPROTO_ICMPV6, m, sizeof(m));
	peer_advance(&p, 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(peer_drain(&p), 2); /* the solicited-node group and ours */
}
END_TEST

static struct ns_verdict allow(struct ns_policy *policy, const struct ns_flow *flow)
{
	return (struct ns_verdict){NS_ALLOW, 0};
}

START_TEST(under_a_policy_groups_are_nobody_elses_business)
{
	struct ns_policy policy = {.judge = allow};

	ns_policy_set(p.st, &policy);
	ck_assert_int_eq(join(ep, "239.1.2.3", NULL, 2), 0);
	ck_assert_int_eq(join(ep, "ff05::77", NULL, 2), 0);
	send_query(10, "0.0.0.0", 12);
	peer_advance(&p, 20 * NSEC_PER_SEC);
	ck_assert_int_eq(leave(ep, "239.1.2.3", NULL), 0);
	peer_got_nothing(&p);
	ns_policy_set(p.st, NULL);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {members_are_announced_twice_and_leave_once,
				two_members_make_one_announcement,
				joins_that_are_refused,
				only_members_and_their_sources_are_heard,
				multicast_all_decides_for_non_members,
				our_own_datagrams_come_back_to_members,
				queries_are_answered_in_time_and_in_their_version,
				mld_queries_are_answered,
				under_a_policy_groups_are_nobody_elses_business};

	return peer_main("mcast", tests, ARRAY_SIZE(tests), setup, teardown);
}
