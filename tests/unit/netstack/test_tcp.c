/* netstack/tcp*.c: connections against a scripted peer and over loopback. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/netstack/peer.h"

static struct peer p;
static struct ns_ep *ep;
static struct peer_watcher w;
static uint32_t us, them; /* the next sequence numbers */
static uint16_t port;	  /* ours */
static char buf[1 << 20];

static void setup(void)
{
	peer_open(&p, 0);
}

static void teardown(void)
{
	peer_close(&p);
}

static void tcp_in(unsigned int flags, uint32_t seq, uint32_t ack, const char *data)
{
	struct peer_tcp s = {.sport = 80,
			     .dport = port,
			     .seq = seq,
			     .ack = ack,
			     .flags = flags,
			     .window = 65535,
			     .data = data,
			     .len = data ? strlen(data) : 0};

	peer_send_tcp(&p, &s);
}

static struct peer_got tcp_out(unsigned int flags, uint32_t seq, uint32_t ack, size_t len)
{
	struct peer_got g;

	peer_got_protocol(&p, IPPROTO_TCP, &g);
	ck_assert_uint_eq(g.tcp.flags, flags);
	ck_assert_uint_eq(g.tcp.seq, seq);
	if (flags & PEER_ACK)
		ck_assert_uint_eq(g.tcp.ack, ack);
	ck_assert_uint_eq(g.len, len);
	return g;
}

/* Connects to the peer's port 80. */
static void open_active(void)
{
	struct ns_addr to = {.ip = p.remote, .port = 80};
	struct peer_tcp s = {
	    .sport = 80, .flags = PEER_SYN | PEER_ACK, .seq = 1000, .window = 65535, .mss = 1460};
	struct peer_got g;

	ep = peer_ep(&p, NS_TCP, ns_ip_family(&p.remote), 0, &w);
	ck_assert_int_eq(ns_connect(ep, &to), -EINPROGRESS);
	ck_assert_int_eq(ns_connect(ep, &to), -EALREADY);
	peer_got_protocol(&p, IPPROTO_TCP, &g);
	ck_assert_uint_eq(g.tcp.flags, PEER_SYN);
	ck_assert(g.tcp.mss == 1460 && g.tcp.wscale && g.tcp.sack_ok && g.tcp.timestamp);
	us = g.tcp.seq + 1;
	them = 1001;
	port = g.sport;
	s.dport = port;
	s.ack = us;
	s.sack_ok = true;
	ck_assert(!(ns_poll(ep) & POLLOUT));
	peer_send_tcp(&p, &s);
	tcp_out(PEER_ACK, us, them, 0);
	ck_assert(ns_poll(ep) & POLLOUT);
}

static int state(struct ns_ep *e)
{
	int value = -1;

	ck_assert_int_eq(ns_getopt(e, NS_TCP_STATE, &value), 0);
	return value;
}

START_TEST(an_active_open_carries_data_both_ways_and_closes)
{
	open_active();
	ck_assert_int_eq(peer_send(ep, "hello", 5), 5);
	tcp_out(PEER_ACK | PEER_PSH, us, them, 5);
	tcp_in(PEER_ACK | PEER_PSH, them, us + 5, "world");
	us += 5;
	them += 5;
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), 5);
	ck_assert_int_eq(memcmp(buf, "world", 5), 0);
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), -EAGAIN);
	peer_advance(&p, 100 * NSEC_PER_MSEC);
	tcp_out(PEER_ACK, us, them, 0); /* delayed */
	tcp_in(PEER_ACK | PEER_FIN, them, us, NULL);
	tcp_out(PEER_ACK, us, ++them, 0);
	ck_assert_int_eq(state(ep), TCP_CLOSE_WAIT);
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), 0);
	ns_close(ep);
	tcp_out(PEER_ACK | PEER_FIN, us, them, 0);
	tcp_in(PEER_ACK, them, us + 1, NULL);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(a_listener_accepts_and_waits_out_its_close)
{
	struct ns_ep *l = peer_ep(&p, NS_TCP, NS_IPV6, 0, &w), *c;
	struct ns_addr any = {.port = 7}, who;
	struct peer_tcp s = {.sport = 80,
			     .dport = 7,
			     .flags = PEER_SYN,
			     .seq = 500,
			     .window = 1000,
			     .mss = 1000,
			     .wscale = 3};
	struct peer_got g;

	port = 7;
	ck_assert_int_eq(ns_accept(l, &c), -EINVAL);
	ck_assert_int_eq(ns_bind(l, &any), 0);
	ck_assert_int_eq(ns_listen(l, 5), 0);
	peer_send_tcp(&p, &s);
	peer_got_protocol(&p, IPPROTO_TCP, &g);
	ck_assert(g.tcp.flags == (PEER_SYN | PEER_ACK) && g.tcp.ack == 501 && g.tcp.wscale &&
		  !g.tcp.sack_ok && !g.tcp.timestamp);
	us = g.tcp.seq + 1;
	ck_assert_int_eq(ns_accept(l, &c), -EAGAIN);
	tcp_in(PEER_ACK, 501, us, NULL);
	ck_assert(w.events & POLLIN);
	ck_assert_int_eq(ns_accept(l, &c), 0);
	ck_assert_int_eq(ns_remote(c, &who), 0);
	ck_assert(who.port == 80 && ns_ip_equal(&who.ip, &p.remote));
	ns_close(l);
	ns_close(c);
	tcp_out(PEER_ACK | PEER_FIN, us, 501, 0);
	tcp_in(PEER_ACK, 501, us + 1, NULL);
	tcp_in(PEER_ACK | PEER_FIN, 501, us + 1, NULL);
	tcp_out(PEER_ACK, us + 1, 502, 0);
	tcp_in(PEER_ACK | PEER_FIN, 501, us + 1, NULL); /* our ACK was lost */
	tcp_out(PEER_ACK, us + 1, 502, 0);
}
END_TEST

START_TEST(closed_ports_answer_with_a_reset)
{
	port = 99;
	tcp_in(PEER_SYN, 5, 0, NULL);
	tcp_out(PEER_RST | PEER_ACK, 0, 6, 0);
	tcp_in(PEER_ACK, 5, 77, NULL);
	tcp_out(PEER_RST, 77, 0, 0);
	tcp_in(PEER_RST, 5, 0, NULL);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(refused_and_unanswered_connects_fail)
{
	struct ns_addr to = {.ip = p.remote, .port = 80};
	struct peer_got g;

	for (int refused = 0; refused < 2; refused++) {
		ep = peer_ep(&p, NS_TCP, NS_IPV4, 0, &w);
		ck_assert_int_eq(ns_connect(ep, &to), -EINPROGRESS);
		peer_got_protocol(&p, IPPROTO_TCP, &g);
		port = g.sport;
		tcp_in(PEER_RST | PEER_ACK, 0, g.tcp.seq + 7, NULL); /* of something else */
		peer_drain(&p);
		if (refused) {
			tcp_in(PEER_RST | PEER_ACK, 0, g.tcp.seq + 1, NULL);
			ck_assert_int_eq(ns_take_error(ep), ECONNREFUSED);
		} else {
			peer_advance(&p, 300 * NSEC_PER_SEC);
			ck_assert_uint_eq(peer_drain(&p), 6);
			ck_assert_int_eq(ns_take_error(ep), ETIMEDOUT);
		}
		ck_assert(ns_poll(ep) & POLLHUP);
		ns_close(ep);
	}
}
END_TEST

START_TEST(what_is_lost_is_sent_again)
{
	open_active();
	ck_assert_int_eq(peer_send(ep, "data", 4), 4);
	tcp_out(PEER_ACK | PEER_PSH, us, them, 4);
	peer_advance(&p, 1100 * NSEC_PER_MSEC);
	tcp_out(PEER_ACK | PEER_PSH, us, them, 4);
	peer_advance(&p, 2100 * NSEC_PER_MSEC); /* backed off */
	tcp_out(PEER_ACK | PEER_PSH, us, them, 4);
	tcp_in(PEER_ACK, them, us + 4, NULL);
	peer_advance(&p, 100 * NSEC_PER_SEC);
	peer_got_nothing(&p);
	ns_close(ep);
	peer_drain(&p);
}
END_TEST

START_TEST(three_duplicates_bring_the_hole_at_once)
{
	open_active();
	ck_assert_int_eq(peer_send(ep, buf, 5 * 1460), 5 * 1460);
	for (uint32_t i = 0; i < 5; i++)
		tcp_out(PEER_ACK | (i == 4 ? PEER_PSH : 0), us + i * 1460, them, 1460);
	for (uint32_t i = 1; i <= 3; i++) {
		struct peer_tcp s = {.sport = 80,
				     .dport = port,
				     .seq = them,
				     .ack = us,
				     .flags = PEER_ACK,
				     .window = 65535,
				     .nsack = 1};

		s.sack[0][0] = us + 1460;
		s.sack[0][1] = us + 1460 * (i + 1);
		peer_send_tcp(&p, &s);
	}
	tcp_out(PEER_ACK, us, them, 1460);
	peer_got_nothing(&p);
	tcp_in(PEER_ACK, them, us + 5 * 1460, NULL);
	ns_close(ep);
	peer_drain(&p);
}
END_TEST

START_TEST(segments_are_put_in_order_and_overlaps_change_nothing)
{
	open_active();
	tcp_in(PEER_ACK, them + 3, us, "def");
	tcp_in(PEER_ACK, them + 2, us, "XYZef"); /* what is there stays */
	tcp_in(PEER_ACK, them + 9, us, "jkl");
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), -EAGAIN);
	tcp_in(PEER_ACK, them, us, "ab");
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), 6);
	ck_assert_int_eq(memcmp(buf, "abXdef", 6), 0);
	tcp_in(PEER_ACK, them + 5, us, "fghi");
	ck_assert_int_eq(peer_recv(ep, buf, sizeof(buf)), 6);
	ck_assert_int_eq(memcmp(buf, "ghijkl", 6), 0);
	ns_close(ep);
	peer_drain(&p);
}
END_TEST

START_TEST(resets_must_hit_exactly)
{
	struct peer_got g;

	open_active();
	tcp_in(PEER_RST, them + 10, us, NULL); /* in the window, not at its edge */
	peer_got_protocol(&p, IPPROTO_TCP, &g);
	ck_assert_uint_eq(g.tcp.flags, PEER_ACK);
	ck_assert_int_eq(state(ep), TCP_ESTABLISHED);
	tcp_in(PEER_SYN, them + 10, us, NULL);
	tcp_out(PEER_ACK, us, them, 0);
	tcp_in(PEER_RST, them - 10, us, NULL);
	peer_got_nothing(&p);
	tcp_in(PEER_ACK, them, us + 100, "x"); /* acknowledges what was never sent */
	tcp_out(PEER_ACK, us, them, 0);
	ck_assert_int_eq(peer_recv(ep, buf, 1), -EAGAIN);
	tcp_in(PEER_RST, them, us, NULL);
	ck_assert_int_eq(peer_recv(ep, buf, 1), -ECONNRESET);
	ns_close(ep);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(a_shut_window_is_probed)
{
	struct peer_tcp s = {.flags = PEER_ACK};

	open_active();
	s = (struct peer_tcp){
	    .sport = 80, .dport = port, .seq = them, .ack = us, .flags = PEER_ACK};
	peer_send_tcp(&p, &s);
	ck_assert_int_eq(peer_send(ep, "wait", 4), 4);
	peer_got_nothing(&p);
	for (int i = 0; i < 20; i++) {
		peer_advance(&p, 121 * NSEC_PER_SEC);
		ck_assert_uint_ge(peer_drain(&p), 1);
		peer_send_tcp(&p, &s); /* still shut, but alive */
	}
	s.window = 1000;
	peer_send_tcp(&p, &s);
	tcp_out(PEER_ACK | PEER_PSH, us, them, 4);
	ns_close(ep);
	peer_drain(&p);
}
END_TEST

/* --- loopback --------------------------------------------------------------------------------------- */

static void transfer(struct ns_ep *from, struct ns_ep *to, size_t total)
{
	size_t sent = 0, got = 0, wrong = 0;

	for (int idle = 0; got < total && idle < 1000; idle++) {
		static unsigned char out[100000], in[70000];
		size_t n = min(total - sent, (size_t)1 + rand() % sizeof(out));
		ssize_t k;

		for (size_t i = 0; i < n; i++)
			out[i] = (unsigned char)((sent + i) * 7 + ((sent + i) >> 9));
		k = n ? peer_send(from, out, n) : -EAGAIN;
		if (k > 0)
			sent += (size_t)k;
		while ((k = peer_recv(to, in, 1 + (size_t)rand() % sizeof(in))) > 0) {
			for (ssize_t i = 0; i < k; i++)
				wrong += in[i] != (unsigned char)((got + (size_t)i) * 7 +
								  ((got + (size_t)i) >> 9));
			got += (size_t)k;
			idle = 0;
		}
		if (idle > 2)
			peer_advance(&p, 50 * NSEC_PER_MSEC);
	}
	ck_assert_uint_eq(got, total);
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(loopback_carries_megabytes)
{
	struct ns_ep *l = peer_ep(&p, NS_TCP, NS_IPV6, 0, NULL),
		     *a = peer_ep(&p, NS_TCP, NS_IPV6, 0, NULL), *b;
	struct ns_addr any = {.port = 7}, to = {.ip = peer_ip("::1"), .port = 7};

	ck_assert_int_eq(ns_bind(l, &any), 0);
	ck_assert_int_eq(ns_listen(l, 5), 0);
	ck_assert_int_eq(ns_connect(a, &to), -EINPROGRESS);
	ck_assert(ns_poll(a) & POLLOUT);
	ck_assert_int_eq(ns_accept(l, &b), 0);
	transfer(a, b, 5 << 20);
	transfer(b, a, 5 << 20);
	ck_assert_int_eq(ns_shutdown(a, 2), 0);
	ck_assert_int_eq(peer_recv(b, buf, 1), 0);
	transfer(b, a, 100000);
	ns_close(b);
	ck_assert_int_eq(peer_recv(a, buf, 1), 0);
	ns_close(a);
	ns_close(l);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(connections_that_linger_are_bounded)
{
	struct ns_addr any = {.port = 7}, to = {.ip = peer_ip("::1"), .port = 7};
	struct ns_limits limits;
	struct ns_ep *l, *a, *b;
	struct peer q;

	ns_limits_default(&limits);
	limits.time_wait = 3;
	peer_open_bare(&q, 0, &limits);
	l = peer_ep(&q, NS_TCP, NS_IPV6, 0, NULL);
	ck_assert_int_eq(ns_bind(l, &any), 0);
	ck_assert_int_eq(ns_listen(l, 5), 0);
	for (int i = 0; i < 10; i++) {
		a = peer_ep(&q, NS_TCP, NS_IPV6, 0, NULL);
		ck_assert_int_eq(ns_connect(a, &to), -EINPROGRESS);
		ck_assert_int_eq(ns_accept(l, &b), 0);
		ns_close(a);
		ns_close(b);
	}
	ck_assert_uint_eq(ns_endpoints(q.st, NS_TCP, NULL, 0), 1 + 3);
	ns_close(l);
	peer_advance(&q, 61 * NSEC_PER_SEC);
	ck_assert_uint_eq(ns_endpoints(q.st, NS_TCP, NULL, 0), 0);
	peer_close(&q);
}
END_TEST

/* --- policy ------------------------------------------------------------------------------------- */

struct test_policy {
	struct ns_policy policy;
	struct ns_verdict verdict;
	unsigned int asked;
};

static struct ns_verdict judge(struct ns_policy *policy, const struct ns_flow *flow)
{
	struct test_policy *t = container_of(policy, struct test_policy, policy);

	t->asked++;
	return t->verdict;
}

START_TEST(diverted_connections_end_in_a_gate)
{
	struct test_policy t = {.policy.judge = judge, .verdict = {NS_DIVERT, 0}};
	struct ns_ep_config c = {.kind = NS_TCP, .family = NS_IPV4, .gate = true};
	struct ns_addr all = {.ip = peer_ip("0.0.0.0")}, to = peer_addr("198.18.0.5", 443), got;
	struct ns_ep *gate, *guest, *behind;

	ck_assert_int_eq(ns_ep_new(p.st, &c, &gate), 0);
	ck_assert_int_eq(ns_bind(gate, &all), 0);
	ck_assert_int_eq(ns_listen(gate, 5), 0);
	ns_policy_set(p.st, &t.policy);
	guest = peer_ep(&p, NS_TCP, NS_IPV4, 0, NULL);
	ck_assert_int_eq(ns_connect(guest, &to), -EINPROGRESS);
	ck_assert_int_eq(ns_accept(gate, &behind), 0);
	ns_local(behind, &got); /* as whom it was dialled */
	ck_assert(got.port == 443 && ns_ip_equal(&got.ip, &to.ip));
	ck_assert_int_eq(ns_remote(guest, &got), 0);
	ck_assert(got.port == 443 && ns_ip_equal(&got.ip, &to.ip));
	transfer(guest, behind, 300000);
	transfer(behind, guest, 300000);
	ck_assert_uint_eq(t.asked, 1);
	/* The address's owner outside cannot mix in. */
	ns_local(guest, &got);
	port = got.port;
	p.remote = to.ip;
	for (uint32_t seq = 0; seq < 10; seq++)
		tcp_in(PEER_RST, seq << 28, 0, NULL);
	ck_assert_int_eq(state(guest), TCP_ESTABLISHED);
	peer_got_nothing(&p);
	/* Tightening ends it. */
	t.verdict = (struct ns_verdict){NS_REFUSE, EACCES};
	ns_policy_changed(p.st);
	ck_assert_int_eq(peer_recv(guest, buf, 1), -EACCES);
	ck_assert_int_eq(peer_recv(behind, buf, 1), -ECONNRESET);
	ns_policy_set(p.st, NULL);
	ns_close(guest);
	ns_close(behind);
	ns_close(gate);
	peer_got_nothing(&p);
}
END_TEST

START_TEST(refused_connections_send_nothing)
{
	struct test_policy t = {.policy.judge = judge, .verdict = {NS_REFUSE, ECONNREFUSED}};
	struct ns_addr to = {.ip = p.remote, .port = 80},
		       any = {.ip = peer_ip("0.0.0.0"), .port = 7};
	struct ns_ep *l = peer_ep(&p, NS_TCP, NS_IPV4, 0, NULL);

	ep = peer_ep(&p, NS_TCP, NS_IPV4, 0, NULL);
	ns_policy_set(p.st, &t.policy);
	ck_assert_int_eq(ns_connect(ep, &to), -ECONNREFUSED);
	t.verdict.kind = NS_DROP;
	ck_assert_int_eq(ns_connect(ep, &to), -ETIMEDOUT);
	peer_got_nothing(&p);
	ck_assert_int_eq(ns_bind(l, &any), 0);
	ck_assert_int_eq(ns_listen(l, 5), 0);
	port = 7;
	tcp_in(PEER_SYN, 5, 0, NULL);
	peer_got_nothing(&p);
	t.verdict.kind = NS_REFUSE;
	tcp_in(PEER_SYN, 5, 0, NULL);
	tcp_out(PEER_RST | PEER_ACK, 0, 6, 0);
	ns_policy_set(p.st, NULL);
	ns_close(ep);
	ns_close(l);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {an_active_open_carries_data_both_ways_and_closes,
				a_listener_accepts_and_waits_out_its_close,
				closed_ports_answer_with_a_reset,
				refused_and_unanswered_connects_fail,
				what_is_lost_is_sent_again,
				three_duplicates_bring_the_hole_at_once,
				segments_are_put_in_order_and_overlaps_change_nothing,
				resets_must_hit_exactly,
				a_shut_window_is_probed,
				loopback_carries_megabytes,
				connections_that_linger_are_bounded,
				diverted_connections_end_in_a_gate,
				refused_connections_send_nothing};

	return peer_main("tcp", tests, ARRAY_SIZE(tests), setup, teardown);
}
