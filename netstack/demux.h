/*
 * Which endpoint a packet is for, and who has which port.
 *
 * Two tables for each of TCP and UDP. `conns` has connected flows by their 4-tuple;
 * struct conn_entry is embedded in endpoints and in what TCP keeps besides them
 * (requests, TIME-WAIT). `ports` has everything that holds a local port, by port: for
 * lookups of listeners and unconnected endpoints, and for conflicts.
 *
 * Conflicts are Linux's: two holders of a port clash if their addresses overlap (the same, or
 * a wildcard that covers the other; "::" covers IPv4 unless V6ONLY), and their devices overlap,
 * unless both have SO_REUSEADDR (and, TCP, neither listens), or both SO_REUSEPORT and the same
 * owner. Among SO_REUSEPORT listeners a packet's 4-tuple chooses (keyed hash).
 *
 * Ephemeral ports: RFC 6056 algorithm 3 with a keyed hash of the destination, and a counter.
 */
#ifndef GARRISON_NETSTACK_DEMUX_H
#define GARRISON_NETSTACK_DEMUX_H

#include "common/list.h"
#include "netstack/netstack.h"

#define CONN_BUCKETS 1024
#define PORT_BUCKETS 256

enum demux_proto { DEMUX_TCP, DEMUX_UDP, DEMUX_PROTOS };

struct flow_key {
	struct ns_ip local, remote;
	uint16_t lport, rport; /* host order */
};

enum conn_type { CONN_ENDPOINT, CONN_REQUEST, CONN_TIME_WAIT };

struct conn_entry {
	struct list node; /* linked while in the table */
	struct flow_key key;
	uint32_t ifindex; /* bound device; 0: any */
	enum conn_type type;
};

struct port_holder {
	struct list node; /* linked while in the table */
	struct ns_ip ip;  /* any: all */
	uint16_t port;	  /* host order */
	uint32_t ifindex; /* bound device; 0: any */
	uint32_t uid;
	bool v6only, reuse_addr, reuse_port;
	bool listening;	  /* TCP: in LISTEN */
	bool connected;	  /* found by its 4-tuple only */
	bool ephemeral;	  /* claimed for a connect: may be shared with other remotes */
	bool is_endpoint; /* embedded in struct ns_ep; else TCP's affair */
	bool gate;	  /* of a gate endpoint that was bound: not in the table; port 0: all */
};

struct demux {
	struct list conns[DEMUX_PROTOS][CONN_BUCKETS];
	struct list ports[DEMUX_PROTOS][PORT_BUCKETS];
	uint32_t port_counter[256]; /* RFC 6056: table of counters */
};

struct ns_stack;
struct ns_ep;

void demux_init(struct demux *d);

uint64_t flow_hash(const struct ns_stack *st, const struct flow_key *key);
struct list *port_bucket(struct ns_stack *st, enum demux_proto proto, uint16_t port);

/* -EADDRINUSE: that flow exists (TCP; of UDP endpoints with one flow the last one gets it). */
int conn_insert(struct ns_stack *st, enum demux_proto proto, struct conn_entry *c) MUST_CHECK;
void conn_remove(struct conn_entry *c);
/* The flow that a packet from remote to local on that link belongs to, or NULL. */
struct conn_entry *conn_find(struct ns_stack *st, enum demux_proto proto,
			     const struct flow_key *key, uint32_t ifindex);

/* Gives the holder its port (h->port, h->ip, ... are filled in). -EADDRINUSE. */
int port_claim(struct ns_stack *st, enum demux_proto proto, struct port_holder *h) MUST_CHECK;
/* The same for port 0: any free one by RFC 6056; remote may be NULL. With a remote, a port
 * whose holders are all connected elsewhere is free enough (TCP). -EADDRINUSE: none. */
int port_claim_any(struct ns_stack *st, enum demux_proto proto, struct port_holder *h,
		   const struct flow_key *remote) MUST_CHECK;
/* Shares a port without asking: an accepted connection, a time-wait entry. */
void port_share(struct ns_stack *st, enum demux_proto proto, struct port_holder *h);
void port_release(struct port_holder *h);
/* A holder is about to listen: -EADDRINUSE if that clashes now. */
int port_check_listen(struct ns_stack *st, struct port_holder *h) MUST_CHECK;

/* The listener or unconnected endpoint that a packet is for: bound to the address before
 * wildcards, to the device before any, IPv6's own before dual-stack. NULL: none. */
struct ns_ep *port_find(struct ns_stack *st, enum demux_proto proto, const struct flow_key *key,
			uint32_t ifindex);
/* The gate endpoint for a diverted flow or one of a gateway link. NULL: none. */
struct ns_ep *gate_find(struct ns_stack *st, enum demux_proto proto, const struct flow_key *key);
/* Calls f for each UDP endpoint that a multicast or broadcast packet matches. */
void port_each_match(struct ns_stack *st, enum demux_proto proto, const struct flow_key *key,
		     uint32_t ifindex, void (*f)(struct ns_ep *ep, void *arg), void *arg);

#endif
