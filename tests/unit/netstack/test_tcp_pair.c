/* Two stacks back to back over a bad wire: loss, reordering, duplication, delay. What arrives is
 * what was sent, or the test fails. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/netstack/peer.h"

#define WIRE 8192

struct wire_frame {
	uint64_t when, order; /* of equal times, the first sent is the first to arrive */
	int to;
	size_t len;
	unsigned char *data;
	struct ns_offload offload;
};

struct side {
	struct ns_env env;
	struct ns_link_port port;
	struct ns_stack *st;
	struct ns_link *link;
	uint64_t deadline, seed;
	int index;
};

static struct {
	struct side side[2];
	struct wire_frame frame[WIRE];
	size_t count;
	uint64_t now, seed, sent;
	unsigned int loss, duplicate, jitter_us; /* per mille */
	uint64_t delay;
} net;

static uint32_t chance(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static uint64_t env_now(struct ns_env *env)
{
	return net.now;
}

static void env_random(struct ns_env *env, void *buf, size_t n)
{
	struct side *s = container_of(env, struct side, env);

	for (size_t i = 0; i < n; i++)
		((unsigned char *)buf)[i] = (unsigned char)chance(&s->seed);
}

static void env_deadline(struct ns_env *env, uint64_t when)
{
	struct side *s = container_of(env, struct side, env);

	s->deadline = min(s->deadline, when);
}

static void put_on_wire(int to, const struct ns_frame *f)
{
	struct wire_frame *w = &net.frame[net.count++];
	size_t at = 0;

	ck_assert_uint_lt(net.count, WIRE);
	*w = (struct wire_frame){
	    .to = to, .len = f->len, .offload = f->offload, .order = net.sent++};
	w->when = net.now + net.delay + chance(&net.seed) % (net.jitter_us + 1) * NSEC_PER_USEC;
	w->data = malloc(f->len);
	for (int i = 0; i < f->niov; i++) {
		memcpy(w->data + at, f->iov[i].iov_base, f->iov[i].iov_len);
		at += f->iov[i].iov_len;
	}
}

static int transmit(struct ns_link_port *port, const struct ns_frame *f)
{
	struct side *s = container_of(port, struct side, port);

	if (chance(&net.seed) % 1000 < net.loss)
		return 0;
	put_on_wire(!s->index, f);
	if (chance(&net.seed) % 1000 < net.duplicate)
		put_on_wire(!s->index, f);
	return 0;
}

static const struct ns_link_ops link_ops = {.transmit = transmit};

static void open_side(int i, uint32_t features)
{
	struct side *s = &net.side[i];
	struct ns_link_config c = {
	    .name = "wire0", .mtu = 1500, .features = features, .port = &s->port};
	struct ns_ifaddr a = {
	    .ifindex = 2, .prefix = 24, .valid_left = NS_NEVER, .preferred_left = NS_NEVER};
	struct ns_limits limits;

	*s = (struct side){.env = {env_now, env_random, env_deadline},
			   .port.ops = &link_ops,
			   .index = i,
			   .seed = 77 + (uint64_t)i};
	s->deadline = NS_NEVER;
	ns_limits_default(&limits);
	ck_assert_int_eq(ns_stack_new(&limits, &s->env, &s->st), 0);
	ck_assert_int_eq(ns_link_add(s->st, &c, &s->link), 0);
	ns_link_set_up(s->link, true);
	a.ip = peer_ip(i ? "192.0.2.2" : "192.0.2.1");
	ck_assert_int_eq(ns_ifaddr_add(s->st, &a), 0);
}

static void open_net(uint32_t features, uint64_t seed)
{
	memset(&net, 0, sizeof(net));
	net.now = 1000 * NSEC_PER_SEC;
	net.seed = seed;
	net.delay = 2 * NSEC_PER_MSEC;
	open_side(0, features);
	open_side(1, features);
}

static void deliver(size_t i)
{
	struct wire_frame w = net.frame[i];
	struct iovec iov = {w.data, w.len};

	net.frame[i] = net.frame[--net.count];
	ns_input(net.side[w.to].link, &iov, 1, &w.offload);
	free(w.data);
}

static void tick(struct side *s)
{
	if (s->deadline > net.now)
		return;
	s->deadline = NS_NEVER;
	s->deadline = min(s->deadline, ns_tick(s->st));
}

/* Lets the next thing happen that is due before `end`; false: nothing is. */
static bool step(uint64_t end)
{
	uint64_t next = min(net.side[0].deadline, net.side[1].deadline);
	size_t first = WIRE;

	for (size_t i = 0; i < net.count; i++) {
		const struct wire_frame *w = &net.frame[i];

		if (w->when < next ||
		    (first < WIRE && w->when == next && w->order < net.frame[first].order)) {
			next = w->when;
			first = i;
		}
	}
	if (next > end)
		return false;
	net.now = max(net.now, next);
	if (first < WIRE)
		deliver(first);
	else
		for (int i = 0; i < 2; i++)
			tick(&net.side[i]);
	return true;
}

static void pass(uint64_t ns)
{
	uint64_t end = net.now + ns;

	while (step(end))
		;
	net.now = end;
}

static void close_net(void)
{
	pass(1000 * NSEC_PER_SEC);
	for (int i = 0; i < 2; i++)
		ns_link_set_up(net.side[i].link, false);
	while (net.count)
		free(net.frame[--net.count].data);
	pass(1000 * NSEC_PER_SEC);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(ns_memory_used(net.side[i].st), 0);
		ns_stack_free(net.side[i].st);
	}
}

static void connect_pair(struct ns_ep *ep[2])
{
	struct ns_ep_config c = {.kind = NS_TCP, .family = NS_IPV4};
	struct ns_addr at = peer_addr("192.0.2.2", 7);
	struct ns_ep *l;

	ck_assert_int_eq(ns_ep_new(net.side[1].st, &c, &l), 0);
	ck_assert_int_eq(ns_bind(l, &at), 0);
	ck_assert_int_eq(ns_listen(l, 5), 0);
	ck_assert_int_eq(ns_ep_new(net.side[0].st, &c, &ep[0]), 0);
	ck_assert_int_eq(ns_connect(ep[0], &at), -EINPROGRESS);
	for (int i = 0; i < 1000 && ns_accept(l, &ep[1]) < 0; i++)
		pass(100 * NSEC_PER_MSEC);
	ns_close(l);
}

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8) * 3 + (i >> 16));
}

/* One direction of a transfer. */
struct flow {
	struct ns_ep *from, *to;
	size_t sent, got, total, wrong;
	bool ended;
};

static void work(struct flow *f)
{
	static unsigned char buf[50000];
	ssize_t n = 1;

	while (f->sent < f->total && n > 0) {
		size_t k = min(f->total - f->sent, (size_t)1 + chance(&net.seed) % sizeof(buf));

		for (size_t i = 0; i < k; i++)
			buf[i] = byte_at(f->sent + i);
		n = peer_send(f->from, buf, k);
		f->sent += n > 0 ? (size_t)n : 0;
		if (f->sent == f->total)
			ck_assert_int_eq(ns_shutdown(f->from, 2), 0);
	}
	while ((n = peer_recv(f->to, buf, 1 + chance(&net.seed) % sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			f->wrong += buf[i] != byte_at(f->got + (size_t)i);
		f->got += (size_t)n;
	}
	f->ended |= n == 0;
}

static void transfer(size_t total, uint64_t limit_s)
{
	uint64_t end = net.now + limit_s * NSEC_PER_SEC;
	struct ns_ep *ep[2];
	struct flow f[2];

	connect_pair(ep);
	for (int i = 0; i < 2; i++)
		f[i] = (struct flow){.from = ep[i], .to = ep[!i], .total = total};
	while (net.now < end && !(f[0].ended && f[1].ended)) {
		work(&f[0]);
		work(&f[1]);
		pass(NSEC_PER_MSEC);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(f[i].got, total);
		ck_assert_uint_eq(f[i].wrong, 0);
		ck_assert(f[i].ended);
	}
	ns_close(ep[0]);
	ns_close(ep[1]);
}

#define PLAIN NS_LINK_ETHERNET
#define LARGE (NS_LINK_ETHERNET | NS_LINK_CSUM | NS_LINK_TSO | NS_LINK_USO)

static uint64_t resent(void)
{
	struct ns_stats a, b;

	ns_stats(net.side[0].st, &a);
	ns_stats(net.side[1].st, &b);
	return a.tcp.retrans_segs + b.tcp.retrans_segs;
}

START_TEST(a_good_wire)
{
	open_net(_i ? LARGE : PLAIN, 1);
	transfer(3 << 20, 60);
	ck_assert_uint_eq(resent(), 0);
	close_net();
}
END_TEST

START_TEST(loss)
{
	open_net(_i & 1 ? LARGE : PLAIN, 100 + (uint64_t)_i);
	net.loss = _i < 4 ? 10 : 50;
	transfer(_i & 1 ? 5 << 20 : 300000, 3000);
	ck_assert_uint_gt(resent(), 0);
	close_net();
}
END_TEST

START_TEST(reordering_and_duplicates)
{
	open_net(_i & 1 ? LARGE : PLAIN, 200 + (uint64_t)_i);
	net.jitter_us = 3000;
	net.duplicate = 50;
	transfer(500000, 1000);
	close_net();
}
END_TEST

START_TEST(everything_at_once)
{
	open_net(_i & 1 ? LARGE : PLAIN, 300 + (uint64_t)_i);
	net.jitter_us = 5000;
	net.duplicate = 20;
	net.loss = 100;
	transfer(_i & 1 ? 3 << 20 : 100000, 10000);
	ck_assert_uint_gt(resent(), 5);
	close_net();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tcp_pair");
	TCase *tc = tcase_create("tcp_pair");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_good_wire, 0, 2);
	tcase_add_loop_test(tc, loss, 0, 8);
	tcase_add_loop_test(tc, reordering_and_duplicates, 0, 6);
	tcase_add_loop_test(tc, everything_at_once, 0, 6);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
