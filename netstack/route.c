/* The routing table, local addresses, source selection: see route.h. */
#include "netstack/route.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "common/mem.h"
#include "netstack/mcast.h"
#include "netstack/nd.h"
#include "netstack/neigh.h"

void route_changed(struct ns_stack *st)
{
	if (++st->route_gen == 0)
		st->route_gen = 1;
}

/* --- addresses ---------------------------------------------------------------------------- */

static struct ifaddr *find_on(const struct ns_link *l, const struct ns_ip *ip, bool tentative)
{
	struct ifaddr *a;

	list_for_each (a, &l->addrs, node) {
		if (ns_ip_equal(&a->ip, ip) && (tentative || !(a->tentative || a->duplicate)))
			return a;
	}
	return NULL;
}

static struct ifaddr *find_addr(struct ns_stack *st, const struct ns_link *link,
				const struct ns_ip *ip, bool tentative)
{
	struct ifaddr *a;

	if (link)
		return find_on(link, ip, tentative);
	for (unsigned int i = 0; i < st->nlinks; i++)
		if ((a = find_on(st->link[i], ip, tentative)))
			return a;
	return NULL;
}

struct ifaddr *ifaddr_find(struct ns_stack *st, const struct ns_link *link, const struct ns_ip *ip)
{
	return find_addr(st, link, ip, false);
}

struct ifaddr *ifaddr_find_any(struct ns_stack *st, const struct ns_link *link,
			       const struct ns_ip *ip)
{
	return find_addr(st, link, ip, true);
}

bool ip_is_local(struct ns_stack *st, const struct ns_ip *ip)
{
	return (ns_ip_is_v4(ip) && ns_ip_is_loopback(ip)) || find_addr(st, NULL, ip, false);
}

bool ip_is_broadcast(const struct ns_link *link, const struct ns_ip *ip)
{
	struct ifaddr *a;

	if (ns_ip_is_limited_broadcast(ip))
		return true;
	list_for_each (a, &link->addrs, node) {
		if (ns_ip_is_v4(&a->ip) && a->prefix < 31 && ns_ip_equal(&a->bcast, ip))
			return true;
	}
	return false;
}

/* Scope by RFC 6724 3.1: 2 link-local, 14 global. */
static int scope_of(const struct ns_ip *ip)
{
	if (ns_ip_is_multicast(ip) && !ns_ip_is_v4(ip))
		return ip->b[1] & 15;
	return ns_ip_is_link_local(ip) || ns_ip_is_loopback(ip) ? 2 : 14;
}

/* Is a the better source for dst than b (RFC 6724 5: rules 1, 2, 3, 8)? */
static bool better_source(const struct ifaddr *a, const struct ifaddr *b, const struct ns_ip *dst,
			  uint64_t now)
{
	int sa = scope_of(&a->ip), sb = scope_of(&b->ip), want = scope_of(dst);
	bool a_old = a->preferred_until <= now, b_old = b->preferred_until <= now;

	if (ns_ip_equal(&a->ip, dst) || ns_ip_equal(&b->ip, dst))
		return ns_ip_equal(&a->ip, dst);
	if (sa != sb)
		return sa < sb ? sa >= want : sb < want;
	if (a_old != b_old)
		return b_old;
	return ns_ip_common_prefix(&a->ip, dst) > ns_ip_common_prefix(&b->ip, dst);
}

static const struct ifaddr *best_on(const struct ns_link *l, const struct ns_ip *dst,
				    const struct ifaddr *best, uint64_t now)
{
	struct ifaddr *a;

	list_for_each (a, &l->addrs, node) {
		if (ns_ip_is_v4(&a->ip) != ns_ip_is_v4(dst) || a->tentative || a->duplicate)
			continue;
		if (!best || better_source(a, best, dst, now))
			best = a;
	}
	return best;
}

const struct ifaddr *ip_source(struct ns_stack *st, const struct ns_link *link,
			       const struct ns_ip *dst)
{
	uint64_t now = stack_now(st);
	const struct ifaddr *best = best_on(link, dst, NULL, now);

	if (best || ns_ip_is_link_local(dst))
		return best;
	/* A link without an address borrows one (rule 5 is only a preference). */
	for (unsigned int i = 1; i < st->nlinks && !best; i++)
		if (st->link[i]->up)
			best = best_on(st->link[i], dst, best, now);
	return best;
}

static int add_prefix_route(struct ifaddr *a)
{
	struct ns_ip net = ns_ip_network(&a->ip, a->prefix);
	bool v4 = ns_ip_is_v4(&a->ip);
	struct ns_route r = {.type = NS_ROUTE_UNICAST,
			     .family = v4 ? NS_IPV4 : NS_IPV6,
			     .dst = net,
			     .prefix = a->prefix,
			     .ifindex = a->link->ifindex,
			     .metric = v4 ? 0 : 256,
			     .protocol = RTPROT_KERNEL};
	int err;

	if (v4)
		r.src = a->ip;
	if (link_is_loopback(a->link) || a->prefix == (v4 ? 32 : 128))
		return 0;
	err = route_add(a->link->st, &r, NS_NEVER);
	return err == -EEXIST ? 0 : err;
}

static uint64_t until(uint64_t now, uint64_t left)
{
	return left >= NS_NEVER - now ? NS_NEVER : now + left;
}

int ifaddr_add(struct ns_stack *st, struct ns_link *link, const struct ns_ifaddr *from,
	       struct ifaddr **out)
{
	unsigned int max_prefix = ns_ip_is_v4(&from->ip) ? 32 : 128;
	struct ifaddr *a;
	int err;

	if (from->prefix > max_prefix || ns_ip_is_any(&from->ip) || ns_ip_is_bad_source(&from->ip))
		return -EINVAL;
	if (find_on(link, &from->ip, true))
		return -EEXIST;
	if (st->naddrs >= st->limits.addresses)
		return -ENOSPC;
	a = NEW(struct ifaddr);
	a->link = link;
	a->ip = from->ip;
	a->prefix = from->prefix;
	a->bcast = ns_ip_is_zero(&from->bcast) && max_prefix == 32
		       ? ns_ip_broadcast(&a->ip, a->prefix)
		       : from->bcast;
	a->tentative = from->tentative && max_prefix == 128;
	a->dynamic = from->dynamic;
	a->valid_until = until(stack_now(st), from->valid_left);
	a->preferred_until = until(stack_now(st), from->preferred_left);
	list_add_tail(&link->addrs, &a->node);
	st->naddrs++;
	err = add_prefix_route(a);
	if (err < 0) {
		list_del(&a->node);
		st->naddrs--;
		free(a);
		return err;
	}
	nd_addr_start(a);
	arp_announce(a);
	route_changed(st);
	*out = a;
	return 0;
}

static void drop_prefix_route(struct ifaddr *a)
{
	struct ns_ip net = ns_ip_network(&a->ip, a->prefix);
	struct ns_route r = {.family = ns_ip_family(&a->ip), .dst = net, .prefix = a->prefix};
	struct ifaddr *other;

	r.ifindex = a->link->ifindex;
	list_for_each (other, &a->link->addrs, node) {
		if (other != a && other->prefix == a->prefix &&
		    ns_ip_in_prefix(&other->ip, &net, a->prefix))
			return;
	}
	(void)route_remove(a->link->st, &r);
}

void ifaddr_remove(struct ifaddr *a)
{
	struct ns_stack *st = a->link->st;

	drop_prefix_route(a);
	nd_addr_stop(a);
	list_del(&a->node);
	st->naddrs--;
	free(a);
	route_changed(st);
}

int ns_ifaddr_add(struct ns_stack *st, const struct ns_ifaddr *addr)
{
	struct ns_link *l;
	struct ifaddr *a;
	int err;

	stack_lock(st);
	l = link_by_index(st, addr->ifindex);
	err = l ? ifaddr_add(st, l, addr, &a) : -ENODEV;
	stack_unlock(st);
	return err;
}

int ns_ifaddr_del(struct ns_stack *st, uint32_t ifindex, const struct ns_ip *ip)
{
	struct ns_link *l;
	struct ifaddr *a;

	stack_lock(st);
	l = link_by_index(st, ifindex);
	a = l ? find_on(l, ip, true) : NULL;
	if (a)
		ifaddr_remove(a);
	stack_unlock(st);
	return a ? 0 : -EADDRNOTAVAIL;
}

static uint64_t left_of(uint64_t when, uint64_t now)
{
	return when == NS_NEVER ? NS_NEVER : when - min(when, now);
}

size_t ns_ifaddrs(struct ns_stack *st, struct ns_ifaddr *out, size_t max)
{
	struct ifaddr *a;
	uint64_t now;
	size_t n = 0;

	stack_lock(st);
	now = stack_now(st);
	for (unsigned int i = 0; i < st->nlinks; i++) {
		list_for_each (a, &st->link[i]->addrs, node) {
			if (n++ >= max)
				continue;
			out[n - 1] = (struct ns_ifaddr){.ifindex = st->link[i]->ifindex,
							.ip = a->ip,
							.prefix = a->prefix,
							.bcast = a->bcast,
							.tentative = a->tentative,
							.dynamic = a->dynamic};
			out[n - 1].valid_left = left_of(a->valid_until, now);
			out[n - 1].preferred_left = left_of(a->preferred_until, now);
		}
	}
	stack_unlock(st);
	return n;
}

/* --- the table ------------------------------------------------------------------------------ */

static bool route_ok(struct ns_stack *st, const struct ns_route *r)
{
	bool v4 = r->family == NS_IPV4;

	if ((r->family != NS_IPV6 && !v4) || ns_ip_is_v4(&r->dst) != v4 ||
	    r->prefix > (v4 ? 32 : 128))
		return false;
	if (!ns_ip_is_zero(&r->gateway) && ns_ip_is_v4(&r->gateway) != v4)
		return false;
	return r->type != NS_ROUTE_UNICAST || link_by_index(st, r->ifindex);
}

static bool same_route(const struct ns_route *a, const struct ns_route *b)
{
	return a->family == b->family && a->prefix == b->prefix && ns_ip_equal(&a->dst, &b->dst) &&
	       a->metric == b->metric && a->ifindex == b->ifindex &&
	       ns_ip_equal(&a->gateway, &b->gateway) && a->type == b->type;
}

/* More specific routes stand first, among equals the one with the least metric. */
static bool goes_before(const struct ns_route *a, const struct ns_route *b)
{
	return a->prefix != b->prefix ? a->prefix > b->prefix : a->metric < b->metric;
}

int route_add(struct ns_stack *st, const struct ns_route *r, uint64_t expires)
{
	struct route *new, *other;
	struct list *before = &st->routes;

	if (!route_ok(st, r))
		return -EINVAL;
	list_for_each (other, &st->routes, node)
		if (same_route(&other->r, r))
			return -EEXIST;
	if (st->nroutes >= st->limits.routes)
		return -ENOSPC;
	list_for_each (other, &st->routes, node) {
		if (goes_before(r, &other->r)) {
			before = &other->node;
			break;
		}
	}
	new = NEW(struct route);
	new->r = *r;
	new->r.dst = ns_ip_network(&r->dst, r->prefix);
	new->expires = expires;
	list_add_tail(before, &new->node);
	st->nroutes++;
	route_changed(st);
	return 0;
}

static void route_drop(struct ns_stack *st, struct route *r)
{
	list_del(&r->node);
	free(r);
	st->nroutes--;
	route_changed(st);
}

static bool route_matches(const struct ns_route *r, const struct ns_route *want)
{
	struct ns_ip net = ns_ip_network(&want->dst, want->prefix);

	return r->type == want->type && r->family == want->family && r->prefix == want->prefix &&
	       ns_ip_equal(&r->dst, &net) &&
	       (ns_ip_is_zero(&want->gateway) || ns_ip_equal(&r->gateway, &want->gateway)) &&
	       (!want->ifindex || r->ifindex == want->ifindex) &&
	       (!want->metric || r->metric == want->metric);
}

int route_remove(struct ns_stack *st, const struct ns_route *want)
{
	struct route *r;

	if (want->prefix > (ns_ip_is_v4(&want->dst) ? 32 : 128))
		return -EINVAL;
	list_for_each (r, &st->routes, node) {
		if (route_matches(&r->r, want)) {
			route_drop(st, r);
			return 0;
		}
	}
	return -ESRCH;
}

void route_expire(struct ns_stack *st, uint64_t now)
{
	struct route *r, *next;

	list_for_each_safe (r, next, &st->routes, node)
		if (r->expires <= now)
			route_drop(st, r);
}

void route_fini(struct ns_stack *st)
{
	struct route *r, *next;

	list_for_each_safe (r, next, &st->routes, node)
		route_drop(st, r);
	path_mtu_fini(st);
}

int ns_route_add(struct ns_stack *st, const struct ns_route *route)
{
	int err;

	stack_lock(st);
	err = route_add(st, route, NS_NEVER);
	stack_unlock(st);
	return err;
}

int ns_route_del(struct ns_stack *st, const struct ns_route *route)
{
	int err;

	stack_lock(st);
	err = route_remove(st, route);
	stack_unlock(st);
	return err;
}

size_t ns_routes(struct ns_stack *st, struct ns_route *out, size_t max)
{
	struct route *r;
	size_t n = 0;

	stack_lock(st);
	list_for_each (r, &st->routes, node) {
		if (n < max)
			out[n] = r->r;
		n++;
	}
	stack_unlock(st);
	return n;
}

/* --- lookups --------------------------------------------------------------------------------- */

/* The best usable route, or NULL. */
static const struct ns_route *lookup(struct ns_stack *st, const struct ns_ip *dst, uint32_t ifindex,
				     bool on_link)
{
	uint64_t now = stack_now(st);
	struct route *r;

	list_for_each (r, &st->routes, node) {
		struct ns_link *l = link_by_index(st, r->r.ifindex);

		if (r->expires <= now || !ns_ip_in_prefix(dst, &r->r.dst, r->r.prefix))
			continue;
		if (r->r.type == NS_ROUTE_UNICAST &&
		    (!l->up || (ifindex && ifindex != r->r.ifindex) ||
		     (on_link && !ns_ip_is_zero(&r->r.gateway))))
			continue;
		return &r->r;
	}
	return NULL;
}

static int no_route(const struct ns_route *r)
{
	if (!r)
		return -ENETUNREACH;
	switch (r->type) {
	case NS_ROUTE_BLACKHOLE:
		return -EINVAL;
	case NS_ROUTE_UNREACHABLE:
		return -EHOSTUNREACH;
	case NS_ROUTE_PROHIBIT:
		return -EACCES;
	default:
		return 0;
	}
}

static int choose_source(struct ns_stack *st, const struct ip_query *q, const struct ns_route *r,
			 struct ip_path *path)
{
	const struct ifaddr *a;

	if (!ns_ip_is_any(&q->src)) {
		path->src = q->src;
		return q->foreign_source || ip_is_local(st, &q->src) ||
			       (!ns_ip_is_v4(&q->src) && ifaddr_find(st, path->link, &q->src))
			   ? 0
			   : -EINVAL;
	}
	if (r && !ns_ip_is_zero(&r->src)) {
		path->src = r->src;
		return 0;
	}
	a = ip_source(st, path->link, &q->dst);
	path->src = a ? a->ip : ns_ip_any(ns_ip_family(&q->dst));
	/* Without an address one can still shout (DHCP). */
	return a || path->broadcast || path->multicast ? 0 : -ENETUNREACH;
}

static bool route_local(struct ns_stack *st, const struct ip_query *q, struct ip_path *path)
{
	struct ns_link *l = link_by_index(st, q->ifindex);

	if (!ip_is_local(st, &q->dst))
		return false;
	/* A link-local address counts on its own link only. */
	if (l && !link_is_loopback(l) && !ns_ip_is_v4(&q->dst) && ns_ip_is_link_local(&q->dst) &&
	    !ifaddr_find(st, l, &q->dst))
		return false;
	path->link = link_loopback(st);
	path->src = ns_ip_is_any(&q->src) ? q->dst : q->src;
	path->next_hop = q->dst;
	path->local = true;
	path->mtu = path->link->mtu;
	path->gen = st->route_gen;
	return true;
}

static bool has_family(const struct ns_link *l, bool v4)
{
	struct ifaddr *a;

	list_for_each (a, &l->addrs, node)
		if (ns_ip_is_v4(&a->ip) == v4)
			return true;
	return false;
}

/* The link for groups and link-local addresses: the one asked for, or the default route's. */
static struct ns_link *link_for(struct ns_stack *st, const struct ip_query *q,
				const struct ns_route *r)
{
	struct ns_link *l = link_by_index(st, q->ifindex ? q->ifindex : r ? r->ifindex : 0);

	if (q->ifindex || l)
		return l && l->up ? l : NULL;
	for (unsigned int i = 1; i < st->nlinks && ns_ip_is_multicast(&q->dst); i++)
		if (st->link[i]->up && has_family(st->link[i], ns_ip_is_v4(&q->dst)))
			return st->link[i];
	return NULL;
}

static void fill_hop(struct ns_stack *st, const struct ip_query *q, const struct ns_route *r,
		     struct ip_path *path)
{
	uint32_t mtu = path->link->mtu;
	bool via = r && !ns_ip_is_zero(&r->gateway) && !path->multicast && !path->broadcast;

	path->next_hop = via ? r->gateway : q->dst;
	if (r && r->mtu)
		mtu = min(mtu, r->mtu);
	path->mtu = path_mtu_get(st, &q->dst, mtu);
	path->gen = st->route_gen;
}

int ip_route(struct ns_stack *st, const struct ip_query *q, struct ip_path *path)
{
	const struct ns_route *r;
	bool direct;
	int err;

	*path = (struct ip_path){};
	if (!ns_ip_is_any(&q->src) && ns_ip_is_v4(&q->src) != ns_ip_is_v4(&q->dst))
		return -ENETUNREACH;
	if (q->ifindex && !link_by_index(st, q->ifindex))
		return -ENODEV;
	if (route_local(st, q, path))
		return q->foreign_source || ns_ip_is_any(&q->src) || ip_is_local(st, &q->src)
			   ? 0
			   : -EINVAL;
	r = lookup(st, &q->dst, q->ifindex, q->on_link);
	path->multicast = ns_ip_is_multicast(&q->dst);
	/* What needs no route: groups, and where the device says it all. */
	direct = path->multicast || ns_ip_is_limited_broadcast(&q->dst) ||
		 (q->ifindex && (ns_ip_is_v4(&q->dst) || ns_ip_is_link_local(&q->dst)));
	if ((!r && !direct) || (err = no_route(r), r && err < 0))
		return no_route(r);
	path->link = link_for(st, q, r);
	if (!path->link)
		return -ENETUNREACH;
	path->broadcast = ns_ip_is_v4(&q->dst) && ip_is_broadcast(path->link, &q->dst);
	fill_hop(st, q, r, path);
	return choose_source(st, q, r, path);
}

void ip_path_divert(struct ns_stack *st, struct ip_path *path)
{
	path->link = link_loopback(st);
	path->next_hop = path->src;
	path->mtu = path->link->mtu;
	path->diverted = true;
}

int ns_route_get(struct ns_stack *st, const struct ns_ip *dst, uint32_t ifindex,
		 struct ns_route *out)
{
	struct ip_query q = {.dst = *dst, .src = ns_ip_any(ns_ip_family(dst)), .ifindex = ifindex};
	struct ip_path path;
	int err;

	stack_lock(st);
	err = ip_route(st, &q, &path);
	stack_unlock(st);
	if (err < 0)
		return err;
	*out = (struct ns_route){.type = NS_ROUTE_UNICAST,
				 .family = ns_ip_family(dst),
				 .dst = *dst,
				 .prefix = ns_ip_is_v4(dst) ? 32 : 128,
				 .src = path.src,
				 .ifindex = path.link->ifindex,
				 .mtu = path.mtu};
	if (!ns_ip_equal(&path.next_hop, dst))
		out->gateway = path.next_hop;
	return 0;
}
