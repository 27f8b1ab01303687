/*
 * Neighbours: from an on-link IP address to a MAC. One state machine for ARP and neighbour
 * discovery (RFC 4861 7.3; Linux's NUD_* names):
 *
 *   INCOMPLETE  asked, packets wait (bounded)         -> REACHABLE by an answer, or gone
 *   REACHABLE   confirmed not long ago                -> STALE by time
 *   STALE       used as it is; on use                 -> DELAY
 *   DELAY       5 s for upper layers to confirm       -> PROBE
 *   PROBE       asked by unicast, three times         -> REACHABLE, or gone
 *   FAILED      nobody answered; new packets are refused for a second
 *   PERMANENT   set by configuration; never changes
 *
 * Poisoning: an entry is made by our own need or by a request that was sent to us, never by an
 * unasked answer or announcement. A REACHABLE entry's MAC changes only by an answer to a
 * probe of ours; an announcement with another MAC makes it STALE and probed at the old MAC first.
 */
#ifndef GARRISON_NETSTACK_NEIGH_H
#define GARRISON_NETSTACK_NEIGH_H

#include <linux/neighbour.h>

#include "netstack/route.h"

#define NEIGH_QUEUE 16 /* packets that wait for one address */

struct neighbour {
	struct list node; /* in stack.neighbours */
	struct ns_link *link;
	struct ns_ip ip;
	uint8_t mac[6];
	uint16_t state; /* NUD_* */
	bool router;
	unsigned int probes;
	struct list waiting; /* struct pkt: IP packets */
	unsigned int nwaiting;
	uint64_t confirmed; /* ns */
	struct ns_timer timer;
};

/* Takes p, an IP packet for next_hop on an Ethernet link: sends it, or queues it until the
 * address is known. What is dropped because nobody answers is reported to ip_unreachable. */
void neigh_output(struct ns_link *l, struct pkt *p, const struct ns_ip *next_hop);
/* An upper layer has made progress with what went by that next hop (RFC 4861 7.3.1). */
void neigh_confirm(struct ns_link *l, const struct ns_ip *next_hop);

/* What a message from the neighbour said. */
struct neigh_claim {
	struct ns_ip ip;
	uint8_t mac[6];
	bool solicited; /* an answer to a request */
	bool override;	/* may replace a known MAC */
	bool router, router_known;
	bool create; /* it asked us something, so we will need its address */
};
void neigh_claim(struct ns_link *l, const struct neigh_claim *c);

struct neighbour *neigh_find(struct ns_link *l, const struct ns_ip *ip);
void neigh_flush_link(struct ns_link *l);
void neigh_fini(struct ns_stack *st);

/* Asks for the address: mac NULL by broadcast or multicast, else by unicast (arp.c, nd.c). */
void arp_solicit(struct ns_link *l, const struct ns_ip *ip, const uint8_t *mac);
void nd_solicit(struct ns_link *l, const struct ns_ip *ip, const uint8_t *mac);
/* Tells the neighbours of a new address of ours. */
void arp_announce(struct ifaddr *a);
/* Takes a received ARP packet, without link header. */
void arp_receive(struct ns_link *l, struct pkt *p);

#endif
