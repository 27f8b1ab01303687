/* The neighbour cache: see neigh.h for the states and who may make or change an entry. */
#include "netstack/neigh.h"

#include <errno.h>

#include "common/mem.h"
#include "netstack/ip.h"
#include "netstack/wire.h"

#define PROBES_MAX 3
#define DELAY_NS (5 * NSEC_PER_SEC)   /* RFC 4861 DELAY_FIRST_PROBE_TIME */
#define FAILED_NS (1 * NSEC_PER_SEC)  /* how long nobody asks again */
#define STALE_NS (600 * NSEC_PER_SEC) /* unused entries go */

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct neighbour *neigh_find(struct ns_link *l, const struct ns_ip *ip)
{
	struct neighbour *n;

	list_for_each (n, &l->st->neighbours, node) {
		if (n->link == l && ns_ip_equal(&n->ip, ip))
			return n;
	}
	return NULL;
}

static void forget(struct neighbour *n)
{
	struct ns_stack *st = n->link->st;

	ns_timer_cancel(&st->timers, &n->timer);
	pkt_free_list(&n->waiting);
	list_del(&n->node);
	st->nneighbours--;
	pool_free(&st->pool, n, sizeof(*n));
}

/* Makes room by dropping the entry that was not used for longest; false: all are permanent. */
static bool evict(struct ns_stack *st)
{
	struct neighbour *n;

	list_for_each (n, &st->neighbours, node) {
		if (n->state == NUD_PERMANENT)
			continue;
		forget(n);
		return true;
	}
	return false;
}

static void timeout(struct ns_timer *t, uint64_t now);

static struct neighbour *make(struct ns_link *l, const struct ns_ip *ip)
{
	struct ns_stack *st = l->st;
	struct neighbour *n;

	if (st->nneighbours >= st->limits.neighbours && !evict(st))
		return NULL;
	n = pool_alloc(&st->pool, sizeof(*n));
	if (!n)
		return NULL;
	*n = (struct neighbour){.link = l, .ip = *ip, .state = NUD_NONE};
	list_init(&n->waiting);
	ns_timer_init(&n->timer, timeout);
	list_add_tail(&st->neighbours, &n->node);
	st->nneighbours++;
	return n;
}

static void arm(struct neighbour *n, uint64_t ns)
{
	struct ns_stack *st = n->link->st;

	ns_timer_arm(&st->timers, &n->timer, stack_now(st) + ns);
}

/* Between 0.5 and 1.5 of the link's base time (RFC 4861 6.3.2). */
static uint64_t reachable_time(struct ns_link *l)
{
	uint64_t base = l->reachable_ns;

	return base / 2 + base / 1000 * stack_random_below(l->st, 1000);
}

static void enter(struct neighbour *n, uint16_t state)
{
	n->state = state;
	switch (state) {
	case NUD_REACHABLE:
		n->confirmed = stack_now(n->link->st);
		n->probes = 0;
		arm(n, reachable_time(n->link));
		break;
	case NUD_STALE:
		arm(n, STALE_NS);
		break;
	case NUD_DELAY:
		arm(n, DELAY_NS);
		break;
	case NUD_FAILED:
		arm(n, FAILED_NS);
		break;
	default:
		ns_timer_cancel(&n->link->st->timers, &n->timer);
		break;
	}
}

/* --- asking ------------------------------------------------------------------------------------ */

static void solicit(struct neighbour *n)
{
	const uint8_t *mac = n->state == NUD_PROBE ? n->mac : NULL;

	n->probes++;
	arm(n, n->link->retrans_ns);
	if (ns_ip_is_v4(&n->ip))
		arp_solicit(n->link, &n->ip, mac);
	else
		nd_solicit(n->link, &n->ip, mac);
}

/* Reports what waited. The reports may make packets for this neighbour again, which FAILED
 * refuses. */
static void give_up(struct neighbour *n)
{
	struct ns_stack *st = n->link->st;
	struct list waiting = LIST_INIT(waiting);

	enter(n, NUD_FAILED);
	list_splice_tail(&waiting, &n->waiting);
	n->nwaiting = 0;
	while (!list_empty(&waiting)) {
		struct pkt *p = list_first(&waiting, struct pkt, node);

		list_del(&p->node);
		ip_unreachable(st, p);
	}
}

static void timeout(struct ns_timer *t, uint64_t now)
{
	struct neighbour *n = container_of(t, struct neighbour, timer);

	switch (n->state) {
	case NUD_INCOMPLETE:
	case NUD_PROBE:
		if (n->probes < PROBES_MAX)
			solicit(n);
		else
			give_up(n);
		break;
	case NUD_REACHABLE:
		enter(n, NUD_STALE);
		break;
	case NUD_DELAY:
		n->state = NUD_PROBE;
		n->probes = 0;
		solicit(n);
		break;
	default: /* STALE, FAILED */
		forget(n);
		break;
	}
}

/* --- sending ------------------------------------------------------------------------------------ */

static void transmit(struct neighbour *n, struct pkt *p)
{
	ether_send(n->link, p, n->mac, p->ethertype);
}

static void wait_for(struct neighbour *n, struct pkt *p)
{
	if (n->nwaiting == NEIGH_QUEUE) { /* the oldest goes */
		struct pkt *old = list_first(&n->waiting, struct pkt, node);

		list_del(&old->node);
		pkt_free(old);
		n->nwaiting--;
	}
	list_add_tail(&n->waiting, &p->node);
	n->nwaiting++;
}

void neigh_output(struct ns_link *l, struct pkt *p, const struct ns_ip *next_hop)
{
	static const uint8_t none[6];
	struct neighbour *n;

	if (!(l->features & NS_LINK_ETHERNET)) {
		ether_send(l, p, none, p->ethertype);
		return;
	}
	n = neigh_find(l, next_hop);
	if (!n)
		n = make(l, next_hop);
	if (!n) {
		pkt_free(p);
		return;
	}
	list_del(&n->node); /* the most recently used is the last */
	list_add_tail(&l->st->neighbours, &n->node);
	if (n->state & NUD_USABLE) {
		if (n->state == NUD_STALE)
			enter(n, NUD_DELAY);
		transmit(n, p);
		return;
	}
	if (n->state == NUD_FAILED) {
		ip_unreachable(l->st, p);
		return;
	}
	wait_for(n, p);
	if (n->state == NUD_NONE) {
		n->state = NUD_INCOMPLETE;
		solicit(n);
	}
}

void neigh_confirm(struct ns_link *l, const struct ns_ip *next_hop)
{
	struct neighbour *n;

	if (!(l->features & NS_LINK_ETHERNET))
		return;
	n = neigh_find(l, next_hop);
	if (n && (n->state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)))
		enter(n, NUD_REACHABLE);
}

/* --- what neighbours say ---------------------------------------------------------------------- */

static void flush_waiting(struct neighbour *n)
{
	while (!list_empty(&n->waiting)) {
		struct pkt *p = list_first(&n->waiting, struct pkt, node);

		list_del(&p->node);
		n->nwaiting--;
		transmit(n, p);
	}
}

static void resolve(struct neighbour *n, const struct neigh_claim *c, uint16_t state)
{
	memcpy(n->mac, c->mac, sizeof(n->mac));
	enter(n, state);
	flush_waiting(n);
}

/* An entry with a MAC, and somebody claims another one. */
static void dispute(struct neighbour *n, const struct neigh_claim *c)
{
	if (n->state == NUD_PROBE && c->solicited && c->override) {
		/* The old MAC does not answer, this one does. */
		if (n->probes > 1)
			resolve(n, c, NUD_REACHABLE);
		return;
	}
	/* Ask the one we know first. */
	if (n->state != NUD_PROBE) {
		n->state = NUD_PROBE;
		n->probes = 0;
		solicit(n);
	}
}

static void hear(struct neighbour *n, const struct neigh_claim *c)
{
	if (c->router_known)
		n->router = c->router;
	if (n->state == NUD_PERMANENT)
		return;
	if (n->state & NUD_USABLE) {
		if (memcmp(n->mac, c->mac, sizeof(n->mac)) != 0)
			dispute(n, c);
		else if (c->solicited)
			enter(n, NUD_REACHABLE);
		return;
	}
	if (n->state == NUD_INCOMPLETE && c->solicited)
		resolve(n, c, NUD_REACHABLE);
	else if (n->state == NUD_INCOMPLETE || c->create)
		resolve(n, c, NUD_STALE);
}

void neigh_claim(struct ns_link *l, const struct neigh_claim *c)
{
	struct neighbour *n = neigh_find(l, &c->ip);

	if ((c->mac[0] & 1) || ns_ip_is_multicast(&c->ip) || ns_ip_is_any(&c->ip))
		return;
	if (!n && c->create)
		n = make(l, &c->ip);
	if (n)
		hear(n, c);
}

/* --- configuration ------------------------------------------------------------------------------ */

void neigh_flush_link(struct ns_link *l)
{
	struct neighbour *n, *next;

	list_for_each_safe (n, next, &l->st->neighbours, node) {
		if (n->link == l && n->state != NUD_PERMANENT)
			forget(n);
	}
}

void neigh_fini(struct ns_stack *st)
{
	while (!list_empty(&st->neighbours))
		forget(list_first(&st->neighbours, struct neighbour, node));
}

static int set(struct ns_stack *st, const struct ns_neighbour *from)
{
	struct ns_link *l = link_by_index(st, from->ifindex);
	struct neighbour *n;

	if (!l)
		return -ENODEV;
	if (!(l->features & NS_LINK_ETHERNET) || (from->mac[0] & 1))
		return -EINVAL;
	n = neigh_find(l, &from->ip);
	if (!n)
		n = make(l, &from->ip);
	if (!n)
		return -ENOBUFS;
	memcpy(n->mac, from->mac, sizeof(n->mac));
	n->router = from->router;
	enter(n, NUD_PERMANENT);
	flush_waiting(n);
	return 0;
}

int ns_neighbour_set(struct ns_stack *st, const struct ns_neighbour *n)
{
	int err;

	stack_lock(st);
	err = set(st, n);
	stack_unlock(st);
	return err;
}

int ns_neighbour_del(struct ns_stack *st, uint32_t ifindex, const struct ns_ip *ip)
{
	struct ns_link *l;
	struct neighbour *n;

	stack_lock(st);
	l = link_by_index(st, ifindex);
	n = l ? neigh_find(l, ip) : NULL;
	if (n)
		forget(n);
	stack_unlock(st);
	return n ? 0 : -ENOENT;
}

size_t ns_neighbours(struct ns_stack *st, struct ns_neighbour *out, size_t max)
{
	struct neighbour *n;
	size_t count = 0;

	stack_lock(st);
	list_for_each (n, &st->neighbours, node) {
		if (count++ >= max)
			continue;
		out[count - 1] = (struct ns_neighbour){.ifindex = n->link->ifindex,
						       .ip = n->ip,
						       .state = n->state,
						       .router = n->router};
		memcpy(out[count - 1].mac, n->mac, sizeof(n->mac));
	}
	stack_unlock(st);
	return count;
}
