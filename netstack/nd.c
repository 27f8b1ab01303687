/*
 * Neighbour discovery (RFC 4861) and address configuration (RFC 4862).
 *
 * Addresses are probed before use (DAD: one solicitation, one second). Router solicitations go
 * out up to three times after a link with autoconf comes up; advertisements give default
 * routes, prefixes (addresses by EUI-64), hop limit, timers and MTU. Everything is bounded: at
 * most 8 routers, the stack's limits for addresses and routes. Redirects are ignored. The hop
 * limit of 255 was checked, so the sender is on the link; that is all the trust there is.
 */
#include "netstack/nd.h"

#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "netstack/icmp.h"
#include "netstack/mcast.h"
#include "netstack/neigh.h"
#include "netstack/wire.h"

#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define OPTION_PREFIX 3
#define OPTION_MTU 5

#define NA_ROUTER 0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE 0x20000000u
#define PREFIX_ON_LINK 0x80
#define PREFIX_AUTONOMOUS 0x40

#define DAD_NS NSEC_PER_SEC
#define RS_INTERVAL_NS (4 * NSEC_PER_SEC) /* RFC 4861 RTR_SOLICITATION_INTERVAL */
#define RS_MAX 3
#define ROUTERS_MAX 8
#define TWO_HOURS_NS (7200 * NSEC_PER_SEC)

/* --- sending ----------------------------------------------------------------------------------- */

struct mac_option {
	uint8_t type, len, mac[6];
} PACKED;

static void push_mac(struct pkt *p, const struct ns_link *l, uint8_t type)
{
	struct mac_option *o = pkt_push(p, sizeof(*o));

	o->type = type;
	o->len = 1;
	memcpy(o->mac, l->mac, 6);
}

static bool speaks(const struct ns_link *l)
{
	return l->up && (l->features & NS_LINK_ETHERNET);
}

static void push_nd(struct pkt *p, uint8_t type, uint32_t flags, const struct ns_ip *target)
{
	struct nd_header *h = pkt_push(p, sizeof(*h));

	memset(h, 0, sizeof(*h));
	h->icmp.type = type;
	h->icmp.word = htonl(flags);
	memcpy(h->target, target->b, 16);
}

/* A solicitation from src (the unspecified address when probing our own). */
static void send_solicit(struct ns_link *l, const struct ns_ip *src, const struct ns_ip *dst,
			 const struct ns_ip *target)
{
	struct pkt *p = pkt_new(&l->st->pool);

	if (!p)
		return;
	if (!ns_ip_is_any(src))
		push_mac(p, l, OPTION_SOURCE_MAC);
	push_nd(p, ICMP6_NEIGHBOUR_SOLICIT, 0, target);
	icmp6_send(l, p, src, dst, false);
}

void nd_solicit(struct ns_link *l, const struct ns_ip *ip, const uint8_t *mac)
{
	const struct ifaddr *a = ip_source(l->st, l, ip);
	struct ns_ip group = ns_ip_solicited_node(ip);

	if (a && speaks(l))
		send_solicit(l, &a->ip, mac ? ip : &group, ip);
}

static void send_advert(struct ns_link *l, const struct ns_ip *target, const struct ns_ip *dst,
			bool solicited)
{
	struct pkt *p = speaks(l) ? pkt_new(&l->st->pool) : NULL;
	uint32_t flags = NA_OVERRIDE | (solicited ? NA_SOLICITED : 0) |
			 (l->features & NS_LINK_GATEWAY ? NA_ROUTER : 0);

	if (!p)
		return;
	push_mac(p, l, OPTION_TARGET_MAC);
	push_nd(p, ICMP6_NEIGHBOUR_ADVERT, flags, target);
	icmp6_send(l, p, target, dst, false);
}

static void send_router_solicit(struct ns_link *l)
{
	const struct ifaddr *a = ip_source(l->st, l, &NS_ALL_ROUTERS);
	struct pkt *p = speaks(l) ? pkt_new(&l->st->pool) : NULL;
	struct ns_ip none = {};
	struct icmp_header *h;

	if (!p)
		return;
	if (a)
		push_mac(p, l, OPTION_SOURCE_MAC);
	h = pkt_push(p, sizeof(*h));
	*h = (struct icmp_header){.type = ICMP6_ROUTER_SOLICIT};
	icmp6_send(l, p, a ? &a->ip : &none, &NS_ALL_ROUTERS, false);
}

static void solicit_routers(struct ns_timer *t, uint64_t now)
{
	struct ns_link *l = container_of(t, struct ns_link, rs_timer);

	send_router_solicit(l);
	if (++l->rs_sent < RS_MAX)
		ns_timer_arm(&l->st->timers, t, now + RS_INTERVAL_NS);
}

/* --- our addresses ------------------------------------------------------------------------------- */

static void arm_lifetime(struct ifaddr *a)
{
	struct timer_queue *q = &a->link->st->timers;

	if (a->valid_until == NS_NEVER)
		ns_timer_cancel(q, &a->timer);
	else
		ns_timer_arm(q, &a->timer, a->valid_until);
}

static void addr_timer(struct ns_timer *t, uint64_t now)
{
	struct ifaddr *a = container_of(t, struct ifaddr, timer);
	struct ns_stack *st = a->link->st;

	if (a->tentative) { /* nobody objected */
		a->tentative = false;
		route_changed(st);
		send_advert(a->link, &a->ip, &NS_ALL_NODES, false);
	} else if (a->valid_until <= now) {
		ifaddr_remove(a);
		return;
	}
	arm_lifetime(a);
}

static void probe(struct ifaddr *a)
{
	struct ns_ip group = ns_ip_solicited_node(&a->ip), none = {};
	struct ns_stack *st = a->link->st;

	send_solicit(a->link, &none, &group, &a->ip);
	ns_timer_arm(&st->timers, &a->timer, stack_now(st) + DAD_NS);
}

void nd_addr_start(struct ifaddr *a)
{
	struct ns_ip group = ns_ip_solicited_node(&a->ip);

	ns_timer_init(&a->timer, addr_timer);
	if (!ns_ip_is_v4(&a->ip) && !link_is_loopback(a->link))
		(void)mcast_link_join(a->link, &group, true);
	if (a->tentative && speaks(a->link)) {
		probe(a);
	} else {
		a->tentative = a->tentative && !a->link->up; /* is probed when the link comes up */
		arm_lifetime(a);
	}
}

void nd_addr_stop(struct ifaddr *a)
{
	struct ns_ip group = ns_ip_solicited_node(&a->ip);

	ns_timer_cancel(&a->link->st->timers, &a->timer);
	if (!ns_ip_is_v4(&a->ip) && !link_is_loopback(a->link))
		mcast_link_leave(a->link, &group);
}

/* The interface identifier of RFC 2464 4. */
static struct ns_ip eui64(const struct ns_link *l, const struct ns_ip *prefix)
{
	struct ns_ip ip = *prefix;
	const uint8_t *m = l->mac;

	memcpy(ip.b + 8, (uint8_t[]){m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}, 8);
	return ip;
}

static void add_address(struct ns_link *l, const struct ns_ip *ip, uint8_t prefix, uint64_t valid,
			uint64_t preferred)
{
	struct ns_ifaddr a = {.ip = *ip,
			      .prefix = prefix,
			      .tentative = true,
			      .dynamic = valid != NS_NEVER,
			      .valid_left = valid,
			      .preferred_left = preferred};
	struct ifaddr *made;

	(void)ifaddr_add(l->st, l, &a, &made); /* full: then there is none */
}

/* --- links ---------------------------------------------------------------------------------------- */

void nd_link_init(struct ns_link *l)
{
	l->hop_limit = 64;
	l->reachable_ns = 30 * NSEC_PER_SEC;
	l->retrans_ns = NSEC_PER_SEC;
	ns_timer_init(&l->rs_timer, solicit_routers);
}

void nd_link_fini(struct ns_link *l)
{
	ns_timer_cancel(&l->st->timers, &l->rs_timer);
}

void nd_link_up(struct ns_link *l)
{
	struct ns_ip link_local = {.b = {0xfe, 0x80}};
	struct ifaddr *a;

	list_for_each (a, &l->addrs, node) {
		if (a->tentative && speaks(l))
			probe(a);
		arp_announce(a);
	}
	if (!l->autoconf || !speaks(l))
		return;
	link_local = eui64(l, &link_local);
	add_address(l, &link_local, 64, NS_NEVER, NS_NEVER);
	l->rs_sent = 0;
	/* After the link-local address has been probed, so that it can be the source. */
	ns_timer_arm(&l->st->timers, &l->rs_timer, stack_now(l->st) + DAD_NS + NSEC_PER_MSEC);
}

void nd_link_down(struct ns_link *l)
{
	ns_timer_cancel(&l->st->timers, &l->rs_timer);
}

/* --- options ------------------------------------------------------------------------------------- */

/* Calls f for each option; false: malformed (RFC 4861 4.6: a length of zero, or cut off). */
static bool each_option(const struct pkt *p, size_t at,
			void (*f)(void *arg, const uint8_t *option, size_t len), void *arg)
{
	uint8_t buf[32];

	while (at < p->len) {
		const uint8_t *head = pkt_peek(p, at, 2, buf);
		size_t len = head ? head[1] * 8u : 0;

		if (len == 0 || len > p->len - at)
			return false;
		if (f)
			f(arg, pkt_peek(p, at, min(len, sizeof(buf)), buf), min(len, sizeof(buf)));
		at += len;
	}
	return true;
}

struct mac_search {
	uint8_t type;
	bool found;
	uint8_t mac[6];
};

static void find_mac(void *arg, const uint8_t *o, size_t len)
{
	struct mac_search *s = arg;

	if (o[0] != s->type || len != 8)
		return;
	s->found = true;
	memcpy(s->mac, o + 2, 6);
}

/* --- neighbours ------------------------------------------------------------------------------------ */

/* Somebody else has our address, or probes it at the same time. */
static void conflict(struct ifaddr *a)
{
	if (!a->tentative)
		return;
	a->tentative = false;
	a->duplicate = true;
	ns_timer_cancel(&a->link->st->timers, &a->timer);
	route_changed(a->link->st);
}

static void claim(const struct ip_info *ip, const struct mac_search *mac, struct neigh_claim *c)
{
	memcpy(c->mac, mac->mac, sizeof(c->mac));
	neigh_claim(ip->link, c);
}

static bool is_ours(const struct ns_link *l, const struct ns_ip *target)
{
	return ifaddr_find(l->st, l, target) || (l->features & NS_LINK_GATEWAY);
}

static void solicitation(const struct pkt *p, const struct ip_info *ip, const struct nd_header *h)
{
	struct ns_link *l = ip->link;
	struct ns_ip target = ns_ip6(h->target), group = ns_ip_solicited_node(&target);
	struct ifaddr *a = ifaddr_find_any(l->st, l, &target);
	struct mac_search mac = {.type = OPTION_SOURCE_MAC};
	struct neigh_claim c = {.ip = ip->src, .create = true, .override = true};
	bool probing = ns_ip_is_any(&ip->src);

	if (ns_ip_is_multicast(&target) || !each_option(p, ip->l4 + sizeof(*h), find_mac, &mac) ||
	    (probing && (mac.found || !ns_ip_equal(&ip->dst, &group))))
		return;
	if (a && a->tentative) {
		if (probing)
			conflict(a);
		return;
	}
	if (!is_ours(l, &target) || ns_ip_equal(&target, &ip->src))
		return;
	if (probing) {
		if (a) /* a gateway link does not defend what it only relays */
			send_advert(l, &target, &NS_ALL_NODES, false);
		return;
	}
	if (mac.found)
		claim(ip, &mac, &c);
	send_advert(l, &target, &ip->src, true);
}

static void advertisement(const struct pkt *p, const struct ip_info *ip, const struct nd_header *h)
{
	struct ns_ip target = ns_ip6(h->target);
	struct ifaddr *a = ifaddr_find_any(ip->link->st, ip->link, &target);
	uint32_t flags = ntohl(h->icmp.word);
	struct mac_search mac = {.type = OPTION_TARGET_MAC};
	struct neigh_claim c = {.ip = target,
				.solicited = flags & NA_SOLICITED,
				.override = flags & NA_OVERRIDE,
				.router = flags & NA_ROUTER,
				.router_known = true};

	if (ns_ip_is_multicast(&target) || (ip->multicast && c.solicited) ||
	    !each_option(p, ip->l4 + sizeof(*h), find_mac, &mac))
		return;
	if (a) {
		conflict(a);
		return;
	}
	if (!mac.found) /* allowed in answers to unicast probes: the frame says who it is */
		memcpy(mac.mac, p->src_mac, sizeof(mac.mac));
	claim(ip, &mac, &c);
}

/* --- routers ------------------------------------------------------------------------------------- */

struct router_advert {
	struct ns_link *l;
	const struct ip_info *ip;
	uint64_t now;
	struct mac_search mac;
};

static uint64_t seconds(uint32_t be)
{
	uint32_t s = ntohl(be);

	return s == UINT32_MAX ? NS_NEVER : s * NSEC_PER_SEC;
}

static unsigned int count_routers(const struct ns_link *l)
{
	struct route *r;
	unsigned int n = 0;

	list_for_each (r, &l->st->routes, node)
		n += r->r.protocol == RTPROT_RA && r->r.prefix == 0 && r->r.ifindex == l->ifindex;
	return n;
}

static struct ns_route ra_route(const struct ns_link *l)
{
	return (struct ns_route){.type = NS_ROUTE_UNICAST,
				 .family = NS_IPV6,
				 .ifindex = l->ifindex,
				 .metric = 1024,
				 .protocol = RTPROT_RA};
}

static void default_router(const struct router_advert *ra, uint16_t lifetime)
{
	struct ns_route r = ra_route(ra->l);

	r.gateway = ra->ip->src;
	(void)route_remove(ra->l->st, &r);
	if (lifetime && count_routers(ra->l) < ROUTERS_MAX)
		(void)route_add(ra->l->st, &r, ra->now + lifetime * NSEC_PER_SEC);
}

static void on_link_prefix(const struct router_advert *ra, const struct ns_ip *prefix, uint8_t len,
			   uint64_t valid)
{
	struct ns_route r = ra_route(ra->l);

	r.dst = *prefix;
	r.prefix = len;
	r.metric = 256;
	(void)route_remove(ra->l->st, &r);
	if (valid)
		(void)route_add(ra->l->st, &r, valid == NS_NEVER ? NS_NEVER : ra->now + valid);
}

/* RFC 4862 5.5.3 (e): a short lifetime may not take away an address at once. */
static void refresh(struct ifaddr *a, uint64_t valid, uint64_t preferred, uint64_t now)
{
	uint64_t left = a->valid_until == NS_NEVER ? NS_NEVER : a->valid_until - now;

	if (!a->dynamic)
		return;
	a->preferred_until = preferred == NS_NEVER ? NS_NEVER : now + preferred;
	if (valid <= TWO_HOURS_NS && valid <= left)
		valid = min(left, (uint64_t)TWO_HOURS_NS);
	a->valid_until = valid == NS_NEVER ? NS_NEVER : now + valid;
	if (!a->tentative)
		arm_lifetime(a);
}

static void prefix_option(const struct router_advert *ra, const uint8_t *o)
{
	struct nd_prefix_option pi;
	uint64_t valid, preferred;
	struct ns_ip prefix, ip;
	struct ifaddr *a;

	memcpy(&pi, o, sizeof(pi));
	prefix = ns_ip6(pi.prefix);
	valid = seconds(pi.valid);
	preferred = seconds(pi.preferred);
	if (pi.prefix_len > 128 || ns_ip_is_link_local(&prefix) || ns_ip_is_multicast(&prefix) ||
	    ns_ip_is_v4(&prefix) || preferred > valid)
		return;
	if (pi.flags & PREFIX_ON_LINK)
		on_link_prefix(ra, &prefix, pi.prefix_len, valid);
	if (!(pi.flags & PREFIX_AUTONOMOUS) || pi.prefix_len != 64)
		return;
	ip = eui64(ra->l, &prefix);
	a = ifaddr_find_any(ra->l->st, ra->l, &ip);
	if (a)
		refresh(a, valid, preferred, ra->now);
	else if (valid)
		add_address(ra->l, &ip, 64, valid, preferred);
}

static void ra_option(void *arg, const uint8_t *o, size_t len)
{
	struct router_advert *ra = arg;
	uint32_t mtu;

	find_mac(&ra->mac, o, len);
	if (o[0] == OPTION_PREFIX && len == sizeof(struct nd_prefix_option)) {
		prefix_option(ra, o);
	} else if (o[0] == OPTION_MTU && len == 8) {
		memcpy(&mtu, o + 4, sizeof(mtu));
		mtu = ntohl(mtu);
		if (mtu >= 1280 && mtu < ra->l->mtu) {
			ra->l->mtu = mtu;
			route_changed(ra->l->st);
		}
	}
}

static void router_advert(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip)
{
	struct router_advert ra = {.l = ip->link, .ip = ip, .now = stack_now(st)};
	struct neigh_claim c = {
	    .ip = ip->src, .create = true, .override = true, .router = true, .router_known = true};
	struct nd_ra_header copy;
	const struct nd_ra_header *h = PKT_PEEK(p, ip->l4, &copy);

	ra.mac.type = OPTION_SOURCE_MAC;
	if (!h || !ip->link->autoconf || !ns_ip_is_link_local(&ip->src) ||
	    !each_option(p, ip->l4 + sizeof(*h), NULL, NULL))
		return;
	ns_timer_cancel(&st->timers, &ip->link->rs_timer);
	route_expire(st, ra.now);
	if (h->hop_limit)
		ip->link->hop_limit = h->hop_limit;
	/* At most an hour (RFC 4861 6.2.1), and retransmissions not faster than ten a second. */
	if (h->reachable_ms && ntohl(h->reachable_ms) <= 3600000)
		ip->link->reachable_ns = ntohl(h->reachable_ms) * NSEC_PER_MSEC;
	if (ntohl(h->retrans_ms) >= 100 && ntohl(h->retrans_ms) <= 10000)
		ip->link->retrans_ns = ntohl(h->retrans_ms) * NSEC_PER_MSEC;
	default_router(&ra, ntohs(h->lifetime));
	(void)each_option(p, ip->l4 + sizeof(*h), ra_option, &ra);
	if (ra.mac.found)
		claim(ip, &ra.mac, &c);
}

void nd_receive(struct ns_stack *st, struct pkt *p, const struct ip_info *ip, uint8_t type)
{
	struct nd_header copy;
	const struct nd_header *h = PKT_PEEK(p, ip->l4, &copy);

	if (link_is_loopback(ip->link)) {
		pkt_free(p);
		return;
	}
	if (type == ICMP6_ROUTER_ADVERT)
		router_advert(st, p, ip);
	else if (h && type == ICMP6_NEIGHBOUR_SOLICIT)
		solicitation(p, ip, h);
	else if (h && type == ICMP6_NEIGHBOUR_ADVERT)
		advertisement(p, ip, h);
	pkt_free(p);
}
