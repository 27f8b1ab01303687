/* A stack's life, its lock, its clock and its randomness: see stack.h. */
#include "netstack/stack.h"

#include <errno.h>

#include "common/mem.h"
#include "netstack/endpoint.h"
#include "netstack/link.h"
#include "netstack/neigh.h"
#include "netstack/reassembly.h"
#include "netstack/route.h"
#include "netstack/siphash.h"
#include "netstack/tcp.h"

#define WAKE_BATCH 32
#define LOOP_BATCH 64

/* --- randomness ------------------------------------------------------------------------- */

void stack_random(struct ns_stack *st, void *buf, size_t n)
{
	unsigned char *to = buf;

	while (n > 0) {
		struct random_pool *r = &st->random;
		size_t k;

		if (r->left == 0) {
			st->env->random(st->env, r->bytes, sizeof(r->bytes));
			r->left = sizeof(r->bytes);
		}
		k = min(n, r->left);
		r->left -= k;
		memcpy(to, r->bytes + r->left, k);
		memset(r->bytes + r->left, 0, k); /* used once */
		to += k;
		n -= k;
	}
}

uint32_t stack_random32(struct ns_stack *st)
{
	uint32_t v;

	stack_random(st, &v, sizeof(v));
	return v;
}

uint32_t stack_random_below(struct ns_stack *st, uint32_t n)
{
	/* The bias is below n / 2^64. */
	uint64_t v;

	assert(n > 0);
	stack_random(st, &v, sizeof(v));
	return (uint32_t)(v % n);
}

uint64_t stack_hash(const struct ns_stack *st, const void *data, size_t n)
{
	return siphash(st->secret, data, n);
}

bool rate_limit_take(struct rate_limit *r, uint64_t now, unsigned int per_second,
		     unsigned int burst)
{
	uint64_t interval = NSEC_PER_SEC / per_second, fresh = (now - r->last) / interval;

	if (r->last == 0 || fresh >= burst) {
		r->tokens = burst;
		r->last = now;
	} else {
		r->tokens = min(r->tokens + fresh, (uint64_t)burst);
		r->last += fresh * interval;
	}
	if (r->tokens == 0)
		return false;
	r->tokens--;
	return true;
}

/* --- the lock ------------------------------------------------------------------------------- */

void stack_lock(struct ns_stack *st)
{
	int err = pthread_mutex_lock(&st->lock);

	assert(err == 0);
}

static void drop_lock(struct ns_stack *st)
{
	int err = pthread_mutex_unlock(&st->lock);

	assert(err == 0);
}

void stack_settle(struct ns_stack *st)
{
	pthread_cond_wait(&st->settled, &st->lock);
}

/* Delivers packets that were sent to lo, and copies of what was sent to groups on other links;
 * they may send more. */
static void deliver_loop(struct ns_stack *st)
{
	for (int i = 0; i < LOOP_BATCH && !list_empty(&st->loop); i++) {
		struct pkt *p = list_first(&st->loop, struct pkt, node);

		list_del(&p->node);
		if (p->link)
			ip_receive(p->link, p);
		else
			link_receive(link_loopback(st), p);
	}
}

struct wake {
	struct ns_ep *ep;
	struct ns_watcher *watcher;
	uint32_t events;
};

static unsigned int take_wakes(struct ns_stack *st, struct wake *wakes)
{
	unsigned int n = 0;

	while (n < WAKE_BATCH && !list_empty(&st->to_wake)) {
		struct ns_ep *ep = list_first(&st->to_wake, struct ns_ep, wake_node);

		list_del(&ep->wake_node);
		wakes[n++] = (struct wake){ep, ep->watcher, ep->wake_events};
		ep->wake_events = 0;
		ep->waking++;
	}
	return n;
}

static void run_wakes(const struct wake *wakes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (wakes[i].watcher)
			wakes[i].watcher->wake(wakes[i].watcher, wakes[i].events);
}

static void end_wakes(struct ns_stack *st, const struct wake *wakes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		wakes[i].ep->waking--;
		ep_put(wakes[i].ep); /* the reference that to_wake had */
	}
	if (n)
		pthread_cond_broadcast(&st->settled);
}

/* The deadline to report, or NS_NEVER. */
static uint64_t take_deadline(struct ns_stack *st)
{
	uint64_t next = timer_next(&st->timers);

	if (next >= st->announced)
		return NS_NEVER;
	st->announced = next;
	return next;
}

/* One round of what is done without the lock; false: there was nothing to do. */
static bool settle_once(struct ns_stack *st)
{
	struct list frames = LIST_INIT(frames);
	struct wake wakes[WAKE_BATCH];
	struct ns_link *link;
	unsigned int nwakes;
	uint64_t deadline;

	deliver_loop(st);
	nwakes = take_wakes(st, wakes);
	link = link_drain_begin(st, &frames);
	deadline = take_deadline(st);
	if (!nwakes && !link && deadline == NS_NEVER && list_empty(&st->loop))
		return false;
	drop_lock(st);
	run_wakes(wakes, nwakes);
	if (link)
		link_drain(link, &frames);
	if (deadline != NS_NEVER)
		st->env->deadline(st->env, deadline);
	stack_lock(st);
	end_wakes(st, wakes, nwakes);
	if (link)
		link_drain_end(link, &frames);
	return true;
}

void stack_unlock(struct ns_stack *st)
{
	while (settle_once(st))
		;
	drop_lock(st);
}

/* --- life --------------------------------------------------------------------------------- */

void ns_limits_default(struct ns_limits *limits)
{
	*limits = (struct ns_limits){
	    .memory = 256u << 20,
	    .endpoints = 65536,
	    .neighbours = 1024,
	    .routes = 256,
	    .addresses = 64,
	    .fragments = 4u << 20,
	    .half_open = 1024,
	    .time_wait = 16384,
	    .port_low = 32768,
	    .port_high = 60999,
	};
}

static bool limits_ok(const struct ns_limits *l)
{
	return l->memory >= 1u << 20 && l->endpoints && l->neighbours && l->routes >= 8 &&
	       l->addresses >= 4 && l->fragments <= l->memory && l->port_low &&
	       l->port_low < l->port_high;
}

static void init_lists(struct ns_stack *st)
{
	struct list *lists[] = {&st->to_drain,	&st->loop,	 &st->to_wake, &st->routes,
				&st->path_mtus, &st->neighbours, &st->gates};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		list_init(lists[i]);
	for (size_t i = 0; i < NS_KINDS; i++)
		list_init(&st->endpoints[i]);
}

int ns_stack_new(const struct ns_limits *limits, struct ns_env *env, struct ns_stack **out)
{
	struct ns_stack *st;
	int err;

	if (!limits_ok(limits))
		return -EINVAL;
	st = try_calloc(1, sizeof(*st));
	if (!st)
		return -ENOMEM;
	st->env = env;
	st->limits = *limits;
	st->pool.limit = limits->memory;
	pthread_mutex_init(&st->lock, NULL);
	pthread_cond_init(&st->settled, NULL);
	stack_random(st, st->secret, sizeof(st->secret));
	st->ip_id = (uint16_t)stack_random32(st);
	st->announced = NS_NEVER;
	st->route_gen = 1;
	timer_queue_init(&st->timers);
	demux_init(&st->demux);
	init_lists(st);
	err = reassembly_init(st);
	if (err == 0)
		err = tcp_stack_init(st);
	if (err == 0)
		err = stack_add_loopback(st);
	if (err < 0) {
		ns_stack_free(st);
		return err;
	}
	*out = st;
	return 0;
}

void ns_stack_free(struct ns_stack *st)
{
	stack_lock(st);
	st->policy = NULL;
	tcp_stack_fini(st);
	pkt_free_list(&st->loop);
	for (unsigned int i = 0; i < st->nlinks; i++)
		link_free(st->link[i]);
	neigh_fini(st);
	route_fini(st);
	reassembly_fini(st);
	assert(list_empty(&st->to_wake));
	drop_lock(st);
	pthread_cond_destroy(&st->settled);
	pthread_mutex_destroy(&st->lock);
	free(st);
}

uint64_t ns_tick(struct ns_stack *st)
{
	uint64_t next;

	stack_lock(st);
	while (timer_fire_one(&st->timers, stack_now(st)))
		;
	next = st->announced = timer_next(&st->timers);
	stack_unlock(st);
	return next;
}

size_t ns_memory_used(struct ns_stack *st)
{
	return atomic_load(&st->pool.used);
}

void ns_stats(struct ns_stack *st, struct ns_stats *out)
{
	stack_lock(st);
	*out = st->stats;
	stack_unlock(st);
}
