/* Threads that send, receive, open, close and tick at the same time, for the thread sanitizer:
 * callers own no lock, wakes stop with ns_close, a link's frames leave in order. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/netstack/peer.h"

#define ROUNDS 2000
#define PAIRS 3

static struct {
	struct ns_env env;
	struct ns_link_port port;
	struct ns_stack *st;
	struct ns_link *link;
	atomic_uint_fast64_t now;
	atomic_int in_transmit;
	atomic_uint frames, wakes;
	atomic_bool stop;
	uint64_t seed; /* under the stack's lock */
} net;

static uint64_t env_now(struct ns_env *env)
{
	return atomic_fetch_add(&net.now, 1000);
}

static void env_random(struct ns_env *env, void *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)buf)[i] = (unsigned char)(net.seed = net.seed * 5 + 3);
}

static void env_deadline(struct ns_env *env, uint64_t when)
{
}

static int transmit(struct ns_link_port *port, const struct ns_frame *f)
{
	ck_assert_int_eq(atomic_fetch_add(&net.in_transmit, 1), 0);
	atomic_fetch_add(&net.frames, 1);
	atomic_fetch_sub(&net.in_transmit, 1);
	return 0;
}

static const struct ns_link_ops link_ops = {.transmit = transmit};

struct watched {
	struct ns_watcher w;
	atomic_bool closed;
};

static void wake(struct ns_watcher *w, uint32_t events)
{
	ck_assert(!atomic_load(&container_of(w, struct watched, w)->closed));
	atomic_fetch_add(&net.wakes, 1);
}

static struct ns_ep *udp(struct watched *w, uint16_t port)
{
	struct ns_ep_config c = {.kind = NS_UDP, .family = NS_IPV4, .watcher = &w->w};
	struct ns_addr a = peer_addr("0.0.0.0", port);
	struct ns_ep *ep;

	w->w.wake = wake;
	atomic_store(&w->closed, false);
	ck_assert_int_eq(ns_ep_new(net.st, &c, &ep), 0);
	ck_assert_int_eq(ns_bind(ep, &a), 0);
	return ep;
}

static void send_to(struct ns_ep *ep, const char *ip, uint16_t port)
{
	char data[500] = "x";
	struct ns_msg m = {
	    .buf = data, .len = sizeof(data), .has_addr = true, .addr = peer_addr(ip, port)};
	ssize_t n = ns_send(ep, &m);

	ck_assert(n == sizeof(data) || n == -EAGAIN || n == -ECONNREFUSED);
}

/* Sends over lo and out of the link. */
static void *sender(void *arg)
{
	uint16_t port = (uint16_t)(100 + (intptr_t)arg);
	struct watched w = {};
	struct ns_ep *ep = udp(&w, 0);

	for (int i = 0; i < ROUNDS; i++) {
		send_to(ep, "127.0.0.1", port);
		send_to(ep, "192.0.2.2", port);
	}
	ns_close(ep);
	atomic_store(&w.closed, true);
	return NULL;
}

/* Receives, and begins anew with another endpoint from time to time: close against wake. */
static void *receiver(void *arg)
{
	uint16_t port = (uint16_t)(100 + (intptr_t)arg);
	struct watched w[2] = {};
	char buf[600];

	for (int i = 0; !atomic_load(&net.stop); i++) {
		struct ns_ep *ep = udp(&w[i % 2], port);

		for (int j = 0; j < 50; j++) {
			ssize_t n = peer_recv(ep, buf, sizeof(buf));

			ck_assert(n == 500 || n == -EAGAIN);
			(void)ns_poll(ep);
		}
		ns_close(ep);
		atomic_store(&w[i % 2].closed, true);
	}
	return NULL;
}

static void *ticker(void *arg)
{
	struct ns_ep_info info[16];

	while (!atomic_load(&net.stop)) {
		ns_tick(net.st);
		(void)ns_endpoints(net.st, NS_UDP, info, 16);
	}
	return NULL;
}

static void open_net(void)
{
	struct ns_link_config c = {.name = "eth0", .mtu = 1500, .port = &net.port};
	struct ns_ifaddr a = {.ifindex = 2,
			      .ip = peer_ip("192.0.2.1"),
			      .prefix = 24,
			      .valid_left = NS_NEVER,
			      .preferred_left = NS_NEVER};
	struct ns_limits limits;

	net.env = (struct ns_env){env_now, env_random, env_deadline};
	net.port.ops = &link_ops;
	atomic_store(&net.now, NSEC_PER_SEC);
	ns_limits_default(&limits);
	ck_assert_int_eq(ns_stack_new(&limits, &net.env, &net.st), 0);
	ck_assert_int_eq(ns_link_add(net.st, &c, &net.link), 0); /* bare: no neighbours */
	ns_link_set_up(net.link, true);
	ck_assert_int_eq(ns_ifaddr_add(net.st, &a), 0);
}

START_TEST(many_threads_do_everything_at_once)
{
	pthread_t send[PAIRS], recv[PAIRS], tick;
	unsigned int before;

	open_net();
	before = atomic_load(&net.frames);
	pthread_create(&tick, NULL, ticker, NULL);
	for (intptr_t i = 0; i < PAIRS; i++) {
		pthread_create(&recv[i], NULL, receiver, (void *)i);
		pthread_create(&send[i], NULL, sender, (void *)i);
	}
	for (int i = 0; i < PAIRS; i++)
		pthread_join(send[i], NULL);
	atomic_store(&net.stop, true);
	for (int i = 0; i < PAIRS; i++)
		pthread_join(recv[i], NULL);
	pthread_join(tick, NULL);
	ck_assert_uint_gt(atomic_load(&net.frames) - before, PAIRS * ROUNDS / 2);
	ck_assert_uint_gt(atomic_load(&net.wakes), 0);
	ns_link_set_up(net.link, false);
	atomic_fetch_add(&net.now, 1000 * NSEC_PER_SEC);
	ns_tick(net.st);
	ck_assert_uint_eq(ns_memory_used(net.st), 0);
	ns_stack_free(net.st);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {many_threads_do_everything_at_once};

	return peer_main("threads", tests, ARRAY_SIZE(tests), NULL, NULL);
}
