/*
 * Where a packet goes: addresses of links, the routing table, source addresses
 * (RFC 6724), and path MTUs (RFC 1191, 8201).
 *
 * A sender asks once for a `struct ip_path` and keeps it as long as stack.route_gen is the
 * path's gen. Local addresses need no route: ip_route looks at the links' addresses first.
 */
#ifndef GARRISON_NETSTACK_ROUTE_H
#define GARRISON_NETSTACK_ROUTE_H

#include "netstack/addr.h"
#include "netstack/link.h"

struct ifaddr {
	struct list node; /* in ns_link.addrs */
	struct ns_link *link;
	struct ns_ip ip, bcast;
	uint8_t prefix;
	bool tentative, duplicate, dynamic;
	uint64_t valid_until, preferred_until; /* NS_NEVER: permanent */
	/* duplicate address detection and lifetimes (nd.c) */
	struct ns_timer timer;
	unsigned int probes;
};

struct route {
	struct list node;
	struct ns_route r;
	uint64_t expires; /* NS_NEVER */
};

struct ip_path {
	struct ns_link *link;
	struct ns_ip src;      /* the source to use */
	struct ns_ip next_hop; /* on the link */
	uint32_t mtu;	       /* of the path, IP header included */
	uint32_t gen;	       /* of stack.route_gen; 0: never valid */
	bool local;	       /* one of our own addresses */
	bool broadcast, multicast;
	bool diverted; /* over lo, to a gate */
};

struct ip_query {
	struct ns_ip dst;
	struct ns_ip src;    /* any: to be chosen */
	uint32_t ifindex;    /* 0: any */
	bool on_link;	     /* MSG_DONTROUTE */
	bool foreign_source; /* src need not be ours: transparent and gate endpoints */
};

/* -ENETUNREACH, -EHOSTUNREACH, -EACCES (prohibit), -EINVAL (blackhole, source), -ENETDOWN,
 * -EADDRNOTAVAIL: no source address of that family. */
int ip_route(struct ns_stack *st, const struct ip_query *q, struct ip_path *path) MUST_CHECK;
/* Makes the path lead over lo to a gate. */
void ip_path_divert(struct ns_stack *st, struct ip_path *path);
static inline bool ip_path_valid(const struct ns_stack *st, const struct ip_path *path)
{
	return path->gen == st->route_gen;
}

/* The address as one of ours: on `link` (NULL: on any). Tentative ones are not found. */
struct ifaddr *ifaddr_find(struct ns_stack *st, const struct ns_link *link, const struct ns_ip *ip);
/* The same with tentative ones. */
struct ifaddr *ifaddr_find_any(struct ns_stack *st, const struct ns_link *link,
			       const struct ns_ip *ip);
/* 127.0.0.0/8 as a whole is ours, too. */
bool ip_is_local(struct ns_stack *st, const struct ns_ip *ip);
/* Limited or directed broadcast on that link. */
bool ip_is_broadcast(const struct ns_link *link, const struct ns_ip *ip);
/* The source for a destination by RFC 6724 rules 1, 2, 3, 5, 8, or NULL. */
const struct ifaddr *ip_source(struct ns_stack *st, const struct ns_link *link,
			       const struct ns_ip *dst);

int ifaddr_add(struct ns_stack *st, struct ns_link *link, const struct ns_ifaddr *a,
	       struct ifaddr **out);
void ifaddr_remove(struct ifaddr *a);
int route_add(struct ns_stack *st, const struct ns_route *r, uint64_t expires);
int route_remove(struct ns_stack *st, const struct ns_route *r);
/* Drops what has expired. */
void route_expire(struct ns_stack *st, uint64_t now);
void route_changed(struct ns_stack *st);
void route_fini(struct ns_stack *st);

/* A router said that packets to dst may have `mtu` bytes at most: kept for ten minutes, never
 * raised; below 552 bytes it counts as 552, and for IPv6 a claim below 1280 is ignored. Only for
 * claims that quoted a live flow. True if it is news. */
bool path_mtu_learn(struct ns_stack *st, const struct ns_ip *dst, uint32_t mtu);
uint32_t path_mtu_get(struct ns_stack *st, const struct ns_ip *dst, uint32_t link_mtu);
void path_mtu_fini(struct ns_stack *st);

#endif
