/*
 * Links: what frames come in by and go out by. Link 1 is lo, whose frames are bare IP
 * packets that come back (stack.h).
 *
 * Sending: link_send takes a packet with its link header (if the link has one), taps it to
 * packet endpoints, cuts it or completes its checksum where the link cannot, and queues it.
 * The queue is bounded in bytes and packets; beyond that packets are dropped, unless their
 * owner looks at link_has_room first.
 */
#ifndef GARRISON_NETSTACK_LINK_H
#define GARRISON_NETSTACK_LINK_H

#include "netstack/stack.h"

#define LINK_QUEUE_BYTES (4u << 20)
#define LINK_QUEUE_PACKETS 4096

struct ns_link {
	/* immutable */
	struct ns_stack *st;
	struct ns_link_port *port;
	uint32_t ifindex;
	uint32_t features;
	char name[16];
	uint8_t mac[6];
	bool autoconf;

	/* guarded by stack.lock */
	bool up;
	uint32_t mtu;
	struct list addrs;  /* struct ifaddr */
	struct list groups; /* struct link_group (mcast.h) */
	struct ns_link_stats stats;

	struct list queue; /* frames to transmit */
	size_t queued_bytes, queued_packets;
	struct list drain_node; /* on stack.to_drain */
	bool draining;		/* a thread is in transmit */
	bool stalled;		/* transmit said -EAGAIN */
	bool kicked;		/* ns_link_writable was called since the drain began */

	/* IPv6 (nd.c) */
	uint8_t hop_limit;		   /* learned; 64 */
	uint64_t reachable_ns, retrans_ns; /* RFC 4861 6.3.2 */
	struct ns_timer rs_timer;	   /* router solicitations */
	unsigned int rs_sent;
	struct ns_timer report_timer;			     /* IGMP, MLD */
	uint64_t igmp_v1_until, igmp_v2_until, mld_v1_until; /* older queriers (mcast.c) */

	/* the receiving thread's */
	struct chunk *rx_small, *rx_big;
};

static inline bool link_is_loopback(const struct ns_link *l)
{
	return l->features & NS_LINK_LOOPBACK;
}

struct ns_link *link_by_index(struct ns_stack *st, uint32_t ifindex);
static inline struct ns_link *link_loopback(struct ns_stack *st)
{
	return st->link[0];
}

/* Takes p, complete with link header. */
void link_send(struct ns_link *l, struct pkt *p);
/* Takes p, an IP packet, puts the Ethernet header before it and sends it. */
void ether_send(struct ns_link *l, struct pkt *p, const uint8_t dst[6], uint16_t ethertype);
/* Takes a received frame. */
void link_receive(struct ns_link *l, struct pkt *p);
/* The same for links other than lo (ether.c). */
void ether_receive(struct ns_link *l, struct pkt *p);
/* Takes a received IP packet, without link header. */
void ip_receive(struct ns_link *l, struct pkt *p);

/* Cuts a large segment into packets of off.gso_size payload, complete with checksums if
 * `finish`. p, an IP packet behind a link header of l2 bytes, is freed; what could be made is
 * appended to out (RFC 9293 headers: sequence, PSH, FIN; UDP: one datagram each). */
void gso_segment(struct pkt *p, size_t l2, bool finish, struct list *out);

int stack_add_loopback(struct ns_stack *st) MUST_CHECK;
void link_free(struct ns_link *l);
/* For stack_unlock: takes the frames that may be transmitted now; NULL: none, or another
 * thread is at it. */
struct ns_link *link_drain_begin(struct ns_stack *st, struct list *frames);
/* Transmits without the lock; what is left in `frames` found no room. */
void link_drain(struct ns_link *l, struct list *frames);
/* Locked again. `frames` as link_drain left it. */
void link_drain_end(struct ns_link *l, struct list *frames);

#endif
