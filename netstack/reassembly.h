/*
 * Incomplete datagrams of both IP versions. Bounds: memory (ns_limits.fragments), 64 fragments
 * a datagram, 30 s (IPv4, as Linux; RFC 791 leaves it open) and 60 s (IPv6, RFC 8200 4.5). A
 * fragment that overlaps another ends its datagram (RFC 5722 demands it for IPv6; teardrop and
 * evasion attacks are the reason to do it for IPv4 as well); an exact duplicate is ignored.
 */
#ifndef GARRISON_NETSTACK_REASSEMBLY_H
#define GARRISON_NETSTACK_REASSEMBLY_H

#include "netstack/ip.h"

struct frag_key {
	struct ns_ip src, dst;
	uint32_t id;
	uint32_t protocol; /* IPv4's; 0 for IPv6 */
	uint32_t ifindex;
};

struct fragment {
	struct frag_key key;
	uint32_t off;  /* bytes */
	bool more;     /* MF */
	uint32_t skip; /* where the payload begins in the packet: the headers */
	uint8_t next;  /* IPv6: the fragment header's next header; kept of the first fragment */
	uint8_t ecn;   /* of the IP header */
};

/* What is complete, or NULL. Takes p. Of the result, the headers of the first fragment come
 * first, f->skip bytes, then the whole payload; f is the first fragment's. */
struct pkt *reassembly_add(struct ns_stack *st, struct pkt *p, struct fragment *f) MUST_CHECK;

int reassembly_init(struct ns_stack *st) MUST_CHECK;
void reassembly_fini(struct ns_stack *st);

#endif
