/*
 * Endpoints: what all kinds have in common. struct udp_ep, tcp_ep, ... embed it.
 *
 * Life: the user's handle is one reference until ns_close; wake-ups under way, packets in a
 * link's queue and TCP's timers hold others (plain counts, under the stack's lock). ops->close
 * runs in ns_close, ops->free with the last reference. After ns_close `watcher` is NULL and
 * nothing is reported any more.
 *
 * Sending: a packet with `owner` is charged to the endpoint's send buffer until it is freed,
 * that is until its frame was transmitted (ep_charge); when the charge falls below half of the
 * buffer after it was refused, the endpoint wakes with POLLOUT.
 *
 * Copying: ops->send and ops->recv are called without the lock, so that they can copy payload
 * before they take it (send) or after they dropped it (recv: packets are taken off the queue,
 * or cloned for MSG_PEEK, under the lock). All other ops run locked.
 */
#ifndef GARRISON_NETSTACK_ENDPOINT_H
#define GARRISON_NETSTACK_ENDPOINT_H

#include <errno.h>
#include <poll.h>

#include "netstack/ip.h"
#include "netstack/stack.h"

#define SHUT_IN 1
#define SHUT_OUT 2

struct ep_ops {
	int (*bind)(struct ns_ep *ep, const struct ns_addr *local);
	int (*connect)(struct ns_ep *ep, const struct ns_addr *remote); /* NULL: dissolve */
	int (*listen)(struct ns_ep *ep, unsigned int backlog);		/* NULL: -EOPNOTSUPP */
	int (*accept)(struct ns_ep *ep, struct ns_ep **out);		/* NULL: -EOPNOTSUPP */
	ssize_t (*send)(struct ns_ep *ep, struct ns_msg *m);		/* not locked */
	ssize_t (*recv)(struct ns_ep *ep, struct ns_msg *m);		/* not locked */
	int (*shutdown)(struct ns_ep *ep, int how);
	uint32_t (*poll)(struct ns_ep *ep);
	/* After the value was checked and stored in ep->opt; NULL: nothing to do. */
	int (*set)(struct ns_ep *ep, enum ns_opt opt, int value);
	/* For the options that are computed; -ENOPROTOOPT: take it from ep->opt. */
	int (*get)(struct ns_ep *ep, enum ns_opt opt, int *value);
	void (*close)(struct ns_ep *ep);
	void (*free)(struct ns_ep *ep); /* frees the memory of the embedding object */
};

struct ns_ep {
	/* immutable */
	const struct ep_ops *ops;
	struct ns_stack *st;
	enum ns_kind kind;
	enum ns_family family;
	uint16_t protocol; /* IPPROTO_*, or an Ethertype */
	uint32_t uid;
	bool gate;

	/* guarded by stack.lock, as all that follows */
	unsigned int refs;
	bool closed;
	struct ns_watcher *watcher;
	uint32_t wake_events;  /* to be reported */
	unsigned int waking;   /* wake callbacks that run now */
	struct list wake_node; /* on stack.to_wake, with a reference */
	struct list all_node;  /* on stack.endpoints */
	struct list gate_node; /* on stack.gates */

	/* addresses: conn.key has them; in the table only while connected */
	struct conn_entry conn;
	struct port_holder port;
	bool bound;	    /* has a port, or an address (raw) */
	bool explicit_port; /* bind chose it */
	bool explicit_ip;
	bool connected;	  /* has a remote */
	uint32_t ifindex; /* scope of a link-local remote */

	int shutdown; /* SHUT_* */
	int error;    /* pending, positive */
	int opt[NS_OPTS];
	struct ip_path path; /* to the remote */
	/* policy.c: what the policy said of judged_addr, while `judged` */
	bool judged;
	struct ns_addr judged_addr;
	struct ns_verdict verdict;
	bool inbound;	   /* the peer began the flow */
	uint8_t icmp_type; /* of what is being sent, for the policy */

	size_t wmem;	 /* bytes charged to the send buffer */
	bool wants_room; /* a send was refused */
	struct list rx;	 /* received: struct pkt */
	size_t rx_bytes; /* what they cost */
	unsigned int rx_count;
	uint32_t drops;
	struct list errors; /* struct ep_error: the error queue */
	unsigned int nerrors;
	struct list groups; /* struct ep_group: memberships (mcast.h) */
	unsigned int ngroups;
	struct ns_filter *filter;
};

/* --- life ---------------------------------------------------------------------------------- */

/* Creates an endpoint of one kind; -ENOMEM. What stack's bounds have to say was checked. */
int udp_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out) MUST_CHECK;
int tcp_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out) MUST_CHECK;
int raw_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out) MUST_CHECK;
int packet_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out) MUST_CHECK;

/* Allocates `size` zeroed bytes that begin with a struct ns_ep, and charges them; with one
 * reference, counted and listed. NULL: a bound or no memory. */
struct ns_ep *ep_alloc(struct ns_stack *st, const struct ns_ep_config *c, const struct ep_ops *ops,
		       size_t size) MUST_CHECK;
/* For ops->free: releases what the base holds, and the memory. */
void ep_release(struct ns_ep *ep, size_t size);
static inline void ep_get(struct ns_ep *ep)
{
	assert(ep->refs > 0);
	ep->refs++;
}
void ep_put(struct ns_ep *ep);

/* --- events --------------------------------------------------------------------------------- */

/* After the lock is dropped the watcher is told that these POLL* bits came true. */
void ep_wake(struct ns_ep *ep, uint32_t events);
/* Sets SO_ERROR, and wakes with POLLERR and what it makes possible. */
void ep_set_error(struct ns_ep *ep, int error);
int ep_take_error(struct ns_ep *ep);
/* Puts it into the error queue if that is asked for (IP_RECVERR); true if it was. */
bool ep_queue_error(struct ns_ep *ep, const struct ip_error *e);
void ep_default_options(struct ns_ep *ep);

/* --- addresses and policy ---------------------------------------------------------------- */

/* What bind(2) checks of an address: family, ours or FREEBIND or gate, scope. May store the
 * wildcard of the endpoint's family. */
int ep_check_local(struct ns_ep *ep, const struct ns_addr *local, struct ns_ip *ip) MUST_CHECK;
/* bind(2) for TCP and UDP: checks, then claims the port (0: any) and sets conn.key's local part. A
 * gate only notes it: port 0 means all. -EINVAL: bound already. */
int ep_bind_port(struct ns_ep *ep, enum demux_proto proto, const struct ns_addr *local) MUST_CHECK;
/* An unbound endpoint gets a port; remote as for port_claim_any. */
int ep_autobind(struct ns_ep *ep, enum demux_proto proto, const struct flow_key *remote) MUST_CHECK;
/* What a destination must be: of a usable family, the wildcard meaning loopback. */
int ep_check_remote(struct ns_ep *ep, const struct ns_addr *remote, struct ns_ip *ip) MUST_CHECK;
/* Finds the way to remote and asks the policy. local: any, or the source to use. The verdict is
 * in the path (diverted) or the result; NS_DROP is -ETIMEDOUT: to the caller it looks as if
 * nobody answers. Not judged twice in a row for one remote. */
int ep_route(struct ns_ep *ep, const struct ns_ip *local, const struct ns_addr *remote,
	     uint32_t ifindex, struct ip_path *path) MUST_CHECK;
/* An inbound flow's first packet. ALLOW where there is no policy, and over lo. */
struct ns_verdict flow_judge_inbound(struct ns_stack *st, const struct ip_info *ip, uint16_t lport,
				     uint16_t rport);

/* --- buffers ------------------------------------------------------------------------------- */

/* Charges a packet to the endpoint's send buffer, and makes it its owner, with a reference. */
void ep_charge(struct ns_ep *ep, struct pkt *p);
/* For pkt_free. */
void ep_uncharge(struct ns_ep *ep, size_t charge);
static inline size_t ep_sndbuf(const struct ns_ep *ep)
{
	return (size_t)ep->opt[NS_SO_SNDBUF];
}
static inline size_t ep_rcvbuf(const struct ns_ep *ep)
{
	return (size_t)ep->opt[NS_SO_RCVBUF];
}
/* Room in the send buffer; if there is none, notes that it is wanted. */
bool ep_has_room(struct ns_ep *ep);
/* Appends a received datagram, or drops it for lack of room (false). Takes p. */
bool ep_rx_push(struct ns_ep *ep, struct pkt *p);
/* The first one: taken, or cloned with peek. NULL: none, or no memory for the clone. */
struct pkt *ep_rx_pop(struct ns_ep *ep, bool peek);

/* How much of the packet from `off` on the endpoint's filter takes; 0: none, drop it. */
size_t ep_filter(struct ns_ep *ep, const struct pkt *p, size_t off) MUST_CHECK;

static inline bool ep_is_dual(const struct ns_ep *ep)
{
	return ep->family == NS_IPV6 && !ep->opt[NS_IPV6_V6ONLY];
}
/* Options that differ by the packet's family: hop limit and class of service. */
int ep_ttl(const struct ns_ep *ep, const struct ns_ip *dst);
uint8_t ep_tos(const struct ns_ep *ep, const struct ns_ip *dst);
/* IP_MTU_DISCOVER as IP_PMTUDISC_*. */
int ep_pmtudisc(const struct ns_ep *ep, const struct ns_ip *dst);
/* How a datagram endpoint's packets go out by its options; src as in ip_send. */
void ep_ip_send(const struct ns_ep *ep, const struct ns_meta *meta, const struct ns_ip *dst,
		struct ip_send *out);

#endif
