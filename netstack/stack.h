/*
 * One stack: its lock, its tables, and what has to happen when the lock is dropped.
 *
 * A public function is stack_lock, work, stack_unlock. While it holds the lock, work may
 * queue frames on links, packets on lo, endpoints to wake, and timers. stack_unlock first
 * delivers what waits on lo (locked; it may queue more, a bounded number at a time), then
 * drops the lock, and without it transmits frames, runs wake callbacks and reports an
 * earlier deadline.
 *
 * Every other function in netstack/ that does not say otherwise needs the lock held.
 */
#ifndef GARRISON_NETSTACK_STACK_H
#define GARRISON_NETSTACK_STACK_H

#include <pthread.h>

#include "netstack/demux.h"
#include "netstack/pkt.h"
#include "netstack/timer.h"

#define LINKS_MAX 32

struct reassembly;
struct tcp_stack;

/* Bytes from ns_env.random, a block at a time. */
struct random_pool {
	unsigned char bytes[256];
	size_t left;
};

/* Permits so many per second, with a burst. */
struct rate_limit {
	uint64_t last; /* ns */
	uint64_t tokens;
};

struct ns_stack {
	/* immutable */
	struct ns_env *env;
	struct ns_limits limits;
	uint64_t secret[2]; /* keys of hashes */
	struct pkt_pool pool;

	pthread_mutex_t lock;	/* guards all of what follows */
	pthread_cond_t settled; /* a wake callback or a link's drain has ended */
	struct random_pool random;
	struct timer_queue timers;
	uint64_t announced; /* what ns_env.deadline was told last */
	struct ns_policy *policy;

	struct ns_link *link[LINKS_MAX]; /* by ifindex - 1; never freed before the stack */
	unsigned int nlinks;
	struct list to_drain; /* struct ns_link.drain_node: links with frames to transmit */
	struct list loop;     /* struct pkt: sent to lo, to be received */
	struct list to_wake;  /* struct ns_ep.wake_node */

	struct list routes; /* struct route, most specific first */
	unsigned int nroutes, naddrs;
	uint32_t route_gen;    /* grows whenever a path may have changed */
	struct list path_mtus; /* struct path_mtu, least recently learned first */
	unsigned int npath_mtus;
	struct list neighbours; /* struct neighbour, least recently used first */
	unsigned int nneighbours;
	struct reassembly *reassembly;
	struct rate_limit icmp_out, challenge_acks;
	uint16_t ip_id;

	struct demux demux;
	unsigned int nendpoints;
	struct list endpoints[NS_KINDS]; /* struct ns_ep.all_node */
	struct list gates;		 /* struct ns_ep.gate_node */
	struct tcp_stack *tcp;		 /* tcp's own state (tcp.h) */
	struct ns_stats stats;
};

void stack_lock(struct ns_stack *st);
void stack_unlock(struct ns_stack *st);
/* Waits, with the lock dropped meanwhile, until a wake callback or a drain has ended. */
void stack_settle(struct ns_stack *st);

static inline uint64_t stack_now(struct ns_stack *st)
{
	return st->env->now(st->env);
}
void stack_random(struct ns_stack *st, void *buf, size_t n);
uint32_t stack_random32(struct ns_stack *st);
/* A number below n, each equally likely. n > 0. */
uint32_t stack_random_below(struct ns_stack *st, uint32_t n);
/* A hash keyed by st->secret that peers cannot predict: for tables, ports, ISNs, flow labels. */
uint64_t stack_hash(const struct ns_stack *st, const void *data, size_t n);

/* Takes one of `per_second` tokens; false: none is left. */
bool rate_limit_take(struct rate_limit *r, uint64_t now, unsigned int per_second,
		     unsigned int burst);

#endif
