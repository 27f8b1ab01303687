/* netstack/raw.c, packet.c, link.c, gso.c: raw, ping and packet endpoints; links and their queues. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/netstack/peer.h"

static struct peer p;
static unsigned char buf[70000];

static void setup(void)
{
	peer_open(&p, 0);
}

static void teardown(void)
{
	peer_close(&p);
}

static ssize_t send_to(struct ns_ep *ep, const char *ip, const void *data, size_t n)
{
	struct ns_msg m = {
	    .buf = (void *)data, .len = n, .has_addr = true, .addr = peer_addr(ip, 0)};

	return ns_send(ep, &m);
}

static void send_echo_reply(const void *rest, size_t n)
{
	unsigned char m[100] = {0};
	bool v4 = ns_ip_is_v4(&p.local);
	uint8_t protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint16_t sum;

	m[0] = v4 ? 0 : 129;
	memcpy(m + 4, rest, n);
	sum = peer_checksum(&p.remote, &p.local, protocol, m, 4 + n);
	memcpy(m + 2, &sum, 2);
	peer_send_ip(&p, NULL, NULL, protocol, m, 4 + n);
}

/* --- ping ----------------------------------------------------------------------------------------- */

START_TEST(ping_owns_its_identifier)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct ns_ep *a = peer_ep(&p, NS_PING, v6 ? NS_IPV6 : NS_IPV4,
					  v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, NULL);
		struct ns_ep *b = peer_ep(&p, NS_PING, v6 ? NS_IPV6 : NS_IPV4,
					  v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, NULL);
		const char *to = v6 ? "2001:db8::2" : "192.0.2.2";
		unsigned char request[12] = {v6 ? 128 : 8, 0, 9, 9, 7, 7, 0, 1, 'p', 'i', 'n', 'g'};
		struct peer_got g;

		if (v6)
			peer_use_ipv6(&p);
		ck_assert_int_eq(send_to(a, to, request, sizeof(request)), sizeof(request));
		peer_got_protocol(&p, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &g);
		ck_assert(g.l4_len == 12 && memcmp(g.l4 + 6, request + 6, 6) == 0);
		send_echo_reply(g.l4 + 4, 8);
		ck_assert_int_eq(peer_recv(b, buf, sizeof(buf)), -EAGAIN);
		ck_assert_int_eq(peer_recv(a, buf, sizeof(buf)), 12);
		ck_assert(buf[0] == (v6 ? 129 : 0) && memcmp(buf + 6, "\0\1ping", 6) == 0);
		request[0] = v6 ? 129 : 0; /* only requests */
		ck_assert_int_eq(send_to(a, to, request, sizeof(request)), -EINVAL);
		ck_assert_int_eq(send_to(a, to, request, 7), -EINVAL);
		peer_got_nothing(&p);
		ns_close(a);
		ns_close(b);
	}
}
END_TEST

START_TEST(ping_of_ourselves_works)
{
	struct ns_ep *ep = peer_ep(&p, NS_PING, NS_IPV4, IPPROTO_ICMP, NULL);
	static const unsigned char request[9] = {8, [8] = 'x'};

	ck_assert_int_eq(send_to(ep, "127.0.0.1", request, 9), 9);
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), 9);
	ck_assert(buf[0] == 0 && buf[8] == 'x');
	peer_got_nothing(&p);
	ns_close(ep);
}
END_TEST

/* --- raw ------------------------------------------------------------------------------------------ */

START_TEST(raw_sees_its_protocol_with_the_header)
{
	struct ns_ep *raw = peer_ep(&p, NS_RAW, NS_IPV4, 200, NULL),
		     *bound = peer_ep(&p, NS_RAW, NS_IPV4, 200, NULL);
	struct ns_addr other = peer_addr("127.0.0.1", 0);
	struct peer_got g;

	ck_assert_int_eq(ns_bind(bound, &other), 0);
	peer_send_ip(&p, NULL, NULL, 200, "data", 4);
	peer_got_nothing(&p); /* somebody speaks it */
	ck_assert_int_eq(peer_recv(raw, buf, sizeof(buf)), 24);
	ck_assert(buf[0] == 0x45 && buf[9] == 200 && memcmp(buf + 20, "data", 4) == 0);
	ck_assert_int_eq(peer_recv(bound, buf, sizeof(buf)), -EAGAIN);
	ck_assert_int_eq(send_to(raw, "192.0.2.2", "out", 3), 3);
	peer_got_protocol(&p, 200, &g);
	ck_assert(g.l4_len == 3 && memcmp(g.l4, "out", 3) == 0);
	ns_close(raw);
	ns_close(bound);
}
END_TEST

START_TEST(raw_writes_headers_if_it_wants_to)
{
	struct ns_ep *raw = peer_ep(&p, NS_RAW, NS_IPV4, IPPROTO_RAW, NULL);
	unsigned char packet[24] = {0x45, 4, 0, 0, 0,	0, 0, 0, 9,   201, 0,	0,
				    0,	  0, 0, 0, 192, 0, 2, 2, 'd', 'a', 't', 'a'};
	struct peer_got g;

	ck_assert_int_eq(send_to(raw, "192.0.2.2", packet, sizeof(packet)), sizeof(packet));
	peer_got_protocol(&p, 201, &g); /* length and checksums are right */
	ck_assert(g.ttl == 9 && g.tos == 4 && ns_ip_equal(&g.src, &p.local) && g.ip_id);
	packet[0] = 0x4f;
	ck_assert_int_eq(send_to(raw, "192.0.2.2", packet, sizeof(packet)), -EINVAL);
	ck_assert_int_eq(send_to(raw, "192.0.2.2", packet, 19), -EINVAL);
	peer_got_nothing(&p);
	ns_close(raw);
}
END_TEST

START_TEST(raw_ipv6_gets_no_header_and_a_checksum)
{
	struct ns_ep *raw = peer_ep(&p, NS_RAW, NS_IPV6, IPPROTO_ICMPV6, NULL);
	static const unsigned char request[12] = {128, 0, 5, 5};
	struct peer_got g;

	peer_use_ipv6(&p);
	ck_assert_int_eq(send_to(raw, "2001:db8::2", request, sizeof(request)), 12);
	peer_got_protocol(&p, IPPROTO_ICMPV6, &g); /* and its sum is right */
	send_echo_reply("\0\1\0\2xy", 6);
	ck_assert_int_eq(peer_recv(raw, buf, sizeof(buf)), 10);
	ck_assert(buf[0] == 129 && memcmp(buf + 8, "xy", 2) == 0);
	ns_close(raw);
}
END_TEST

static uint32_t keep_24(struct ns_filter *f, const void *data, size_t len, size_t full)
{
	return ((const unsigned char *)data)[20] == 'd' ? 24 : 0;
}

START_TEST(filters_choose_and_cut)
{
	struct ns_ep *raw = peer_ep(&p, NS_RAW, NS_IPV4, 200, NULL);
	struct ns_filter f = {.run = keep_24};

	ns_filter_set(raw, &f);
	peer_send_ip(&p, NULL, NULL, 200, "xdata", 5);
	ck_assert_int_eq(peer_recv(raw, buf, sizeof(buf)), -EAGAIN);
	peer_send_ip(&p, NULL, NULL, 200, "dataabc", 7);
	ck_assert_int_eq(peer_recv(raw, buf, sizeof(buf)), 24);
	ns_close(raw);
}
END_TEST

/* --- packet ---------------------------------------------------------------------------------------- */

START_TEST(packet_endpoints_see_both_directions)
{
	struct ns_ep *all = peer_ep(&p, NS_PACKET, NS_IPV4, 3, NULL),
		     *cooked = peer_ep(&p, NS_COOKED, NS_IPV4, 0x0800, NULL);
	struct ns_ep *udp = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	struct ns_msg m = {.buf = buf, .len = sizeof(buf)};
	struct ns_addr to = peer_addr("192.0.2.2", 9);

	ck_assert_int_eq(ns_connect(udp, &to), 0);
	ck_assert_int_eq(peer_send(udp, "out", 3), 3);
	ck_assert_int_eq(ns_recv(all, &m), 14 + 28 + 3);
	ck_assert(m.ll.pkttype == PACKET_OUTGOING && m.ll.ifindex == 2 && m.ll.protocol == 0x800);
	ck_assert_int_eq(memcmp(buf, PEER_MAC, 6), 0);
	ck_assert_int_eq(ns_recv(cooked, &m), -EAGAIN);
	peer_send_udp(&p, 9, 77, "in", 2);
	ck_assert_int_eq(ns_recv(cooked, &m), 28 + 2);
	ck_assert(m.ll.pkttype == PACKET_HOST && memcmp(m.ll.mac, PEER_MAC, 6) == 0 &&
		  buf[0] == 0x45);
	ck_assert_int_eq(ns_recv(all, &m), 14 + 28 + 2);
	ck_assert_int_gt(ns_recv(all, &m), 0); /* port unreachable */
	to = peer_addr("127.0.0.1", 9);
	ck_assert_int_eq(ns_connect(udp, &to), 0);
	ck_assert_int_eq(peer_send(udp, "lo", 2), 2);
	ck_assert_int_eq(ns_recv(all, &m), 14 + 28 + 2); /* out and in again, with zeros */
	ck_assert(m.ll.pkttype == PACKET_OUTGOING && buf[0] == 0 && buf[12] == 8);
	ck_assert_int_eq(ns_recv(all, &m), 14 + 28 + 2);
	ck_assert_int_eq(m.ll.pkttype, PACKET_HOST);
	ns_close(all);
	ns_close(cooked);
	ns_close(udp);
}
END_TEST

static struct ns_verdict allow(struct ns_policy *policy, const struct ns_flow *flow)
{
	return (struct ns_verdict){NS_ALLOW, 0};
}

START_TEST(packet_endpoints_send_unless_there_is_a_policy)
{
	struct ns_ep *packet = peer_ep(&p, NS_PACKET, NS_IPV4, 3, NULL),
		     *cooked = peer_ep(&p, NS_COOKED, NS_IPV4, 0x88b5, NULL);
	struct ns_ep *raw = peer_ep(&p, NS_RAW, NS_IPV4, IPPROTO_RAW, NULL);
	static const unsigned char frame[20] = {1, 2, 3, 4, 5,	  6,	7,  7,
						7, 7, 7, 7, 0x88, 0xb5, 'x'};
	static const unsigned char ip[20] = {0x45, [16] = 192, 0, 2, 2};
	struct ns_msg m = {.buf = (void *)frame, .len = sizeof(frame), .has_addr = true};
	struct ns_policy policy = {.judge = allow};
	struct peer_got g;

	ck_assert_int_eq(ns_send(packet, &m), -ENXIO);
	m.ll.ifindex = 2;
	ck_assert_int_eq(ns_send(packet, &m), sizeof(frame));
	peer_got(&p, &g);
	ck_assert(g.frame_len == 20 && memcmp(g.frame, frame, 20) == 0);
	memcpy(m.ll.mac, PEER_MAC, 6);
	m.len = 3;
	ck_assert_int_eq(ns_send(cooked, &m), 3);
	peer_got(&p, &g);
	ck_assert(g.ethertype == 0x88b5 && memcmp(g.src_mac, OWN_MAC, 6) == 0 && g.frame_len == 17);
	m.len = 13;
	ck_assert_int_eq(ns_send(packet, &m), -EINVAL);
	ns_policy_set(p.st, &policy);
	m.len = sizeof(frame);
	ck_assert_int_eq(ns_send(packet, &m), -EPERM);
	ck_assert_int_eq(ns_send(cooked, &m), -EPERM);
	ck_assert_int_eq(send_to(raw, "192.0.2.2", ip, sizeof(ip)), -EPERM);
	peer_got_nothing(&p);
	ns_policy_set(p.st, NULL);
	ns_close(packet);
	ns_close(cooked);
	ns_close(raw);
}
END_TEST

/* --- links ----------------------------------------------------------------------------------------- */

START_TEST(links_that_can_get_large_frames_and_partial_sums)
{
	struct ns_ep *ep;
	struct peer_got g;
	struct ns_addr to = peer_addr("192.0.2.2", 9);

	peer_close(&p);
	peer_open(&p, NS_LINK_CSUM | NS_LINK_TSO | NS_LINK_USO);
	ep = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	ck_assert_int_eq(ns_connect(ep, &to), 0);
	ck_assert_int_eq(ns_setopt(ep, NS_UDP_SEGMENT, 1000), 0);
	ck_assert_int_eq(peer_send(ep, buf, 2500), 2500);
	peer_got_protocol(&p, IPPROTO_UDP, &g); /* verifies the partial checksum */
	ck_assert(g.len == 2500 && g.offload.csum_partial && g.offload.gso == NS_GSO_UDP);
	ck_assert(g.offload.gso_size == 1000 && g.offload.hdr_len == 14 + 20 + 8);
	peer_got_nothing(&p);
	ns_close(ep);
}
END_TEST

START_TEST(large_frames_that_come_in_are_cut_for_those_who_do_not_ask)
{
	struct ns_ep *plain = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL),
		     *gro = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	unsigned char frame[14 + 28 + 2500] = {};
	struct ns_offload off = {.csum_partial = true,
				 .csum_start = 34,
				 .csum_offset = 6,
				 .gso = NS_GSO_UDP,
				 .gso_size = 1000,
				 .hdr_len = 42};
	static const struct {
		uint16_t port;
	} ports[2] = {{7}, {8}};
	struct ns_msg m = {.buf = buf, .len = sizeof(buf)};
	struct ns_addr a = peer_addr("0.0.0.0", 7);
	uint16_t sum;

	ck_assert_int_eq(ns_bind(plain, &a), 0);
	a.port = 8;
	ck_assert_int_eq(ns_bind(gro, &a), 0);
	ck_assert_int_eq(ns_setopt(gro, NS_UDP_GRO, 1), 0);
	for (int i = 0; i < 2; i++) {
		static const unsigned char ip[20] = {0x45,
						     0,
						     (28 + 2500) >> 8,
						     (28 + 2500) & 255,
						     0,
						     0,
						     0,
						     0,
						     64,
						     17,
						     0,
						     0,
						     192,
						     0,
						     2,
						     2,
						     192,
						     0,
						     2,
						     1};

		memcpy(frame, OWN_MAC, 6);
		memcpy(frame + 6, PEER_MAC, 6);
		memcpy(frame + 12, "\x08\0", 2);
		memcpy(frame + 14, ip, 20);
		sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, frame + 14, 20);
		memcpy(frame + 24, &sum, 2);
		memcpy(frame + 34,
		       (unsigned char[]){0, 9, 0, (unsigned char)ports[i].port, 2508 >> 8,
					 2508 & 255, 1, 1},
		       8);
		peer_send_frame_offload(&p, frame, sizeof(frame), &off);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(peer_recv(plain, buf, sizeof(buf)), i < 2 ? 1000 : 500);
	ck_assert_int_eq(ns_recv(gro, &m), 2500);
	ck_assert((m.meta.have & NS_META_GSO) && m.meta.gso == 1000);
	ns_close(plain);
	ns_close(gro);
}
END_TEST

START_TEST(queues_are_bounded_and_keep_their_order)
{
	struct ns_ep *ep = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	struct ns_addr to = peer_addr("192.0.2.2", 9);
	struct ns_link_info info[2];
	struct peer_got g;
	uint32_t next = 0;

	ck_assert_int_eq(ns_connect(ep, &to), 0);
	ck_assert_int_eq(ns_setopt(ep, NS_SO_SNDBUF, 16 << 20), 0);
	p.full = true;
	for (uint32_t i = 0; i < 3000; i++)
		ck_assert_int_eq(peer_send(ep, &i, 4), 4);
	p.full = false;
	ns_link_writable(p.link);
	while (peer_pending(&p)) {
		peer_got(&p, &g);
		ck_assert_int_eq(memcmp(g.data, &next, 4), 0);
		next++;
	}
	ck_assert_uint_eq(next, 3000);
	p.full = true;
	for (uint32_t i = 0; i < 6000; i++)
		ck_assert_int_eq(peer_send(ep, &i, 4), 4);
	p.full = false;
	ns_link_writable(p.link);
	ck_assert_uint_eq(peer_drain(&p), 4096);
	ns_links(p.st, info, 2);
	ck_assert_uint_eq(info[1].stats.tx_dropped, 6000 - 4096);
	ns_close(ep);
}
END_TEST

START_TEST(receive_buffers_are_kept_small_for_small_frames)
{
	struct ns_ep *ep = peer_ep(&p, NS_UDP, NS_IPV4, 0, NULL);
	struct ns_offload off = {.csum_valid = true};
	struct ns_addr a = peer_addr("0.0.0.0", 7);
	struct iovec iov[NS_RX_IOV];
	size_t before;

	ck_assert_int_eq(ns_bind(ep, &a), 0);
	ck_assert_int_eq(ns_rx_prepare(p.link, iov), 0);
	before = ns_memory_used(p.st);
	for (int i = 0; i < 20; i++) {
		static const unsigned char ip[28] = {0x45, 0, 0,   29, 0, 0, 0,	  0, 64, 17,
						     0,	   0, 192, 0,  2, 2, 192, 0, 2,	 1,
						     0,	   9, 0,   7,  0, 9, 1,	  1};
		unsigned char *f = iov[0].iov_base;
		uint16_t sum;

		memcpy(f, OWN_MAC, 6);
		memcpy(f + 6, PEER_MAC, 6);
		memcpy(f + 12, "\x08\0", 2);
		memcpy(f + 14, ip, 28);
		sum = peer_checksum(NULL, NULL, IPPROTO_ICMP, ip, 20);
		memcpy(f + 24, &sum, 2);
		ns_rx_commit(p.link, 43, &off);
		ck_assert_int_eq(ns_rx_prepare(p.link, iov), 0);
	}
	ck_assert_uint_lt(ns_memory_used(p.st) - before, 20 * 3000);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), 1);
	ns_rx_cancel(p.link);
	ns_close(ep);
}
END_TEST

START_TEST(bounds_of_the_stack_hold)
{
	struct ns_limits limits;
	struct ns_ep *ep[20];
	struct ns_ep_config c = {.kind = NS_UDP, .family = NS_IPV4};
	struct peer q;

	ns_limits_default(&limits);
	limits.endpoints = 10;
	limits.memory = 1 << 20;
	limits.fragments = 1 << 18;
	peer_open_bare(&q, 0, &limits);
	for (int i = 0; i < 11; i++)
		ck_assert_int_eq(ns_ep_new(q.st, &c, &ep[i]), i < 10 ? 0 : -ENOBUFS);
	for (int i = 0; i < 10; i++)
		ns_close(ep[i]);
	peer_close(&q);
	limits.port_low = 5;
	limits.port_high = 4;
	ck_assert_int_eq(ns_stack_new(&limits, &q.env, &q.st), -EINVAL);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {ping_owns_its_identifier,
				ping_of_ourselves_works,
				raw_sees_its_protocol_with_the_header,
				raw_writes_headers_if_it_wants_to,
				raw_ipv6_gets_no_header_and_a_checksum,
				filters_choose_and_cut,
				packet_endpoints_see_both_directions,
				packet_endpoints_send_unless_there_is_a_policy,
				links_that_can_get_large_frames_and_partial_sums,
				large_frames_that_come_in_are_cut_for_those_who_do_not_ask,
				queues_are_bounded_and_keep_their_order,
				receive_buffers_are_kept_small_for_small_frames,
				bounds_of_the_stack_hold};

	return peer_main("raw", tests, ARRAY_SIZE(tests), setup, teardown);
}
