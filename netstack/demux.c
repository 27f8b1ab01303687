/* The tables of flows and ports: see demux.h. Ports are allocated in ports.c. */
#include "netstack/demux.h"

#include <errno.h>

#include "netstack/addr.h"
#include "netstack/endpoint.h"
#include "netstack/stack.h"

void demux_init(struct demux *d)
{
	for (int proto = 0; proto < DEMUX_PROTOS; proto++) {
		for (int i = 0; i < CONN_BUCKETS; i++)
			list_init(&d->conns[proto][i]);
		for (int i = 0; i < PORT_BUCKETS; i++)
			list_init(&d->ports[proto][i]);
	}
}

/* --- flows --------------------------------------------------------------------------------- */

static bool key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->lport == b->lport && a->rport == b->rport &&
	       ns_ip_equal(&a->remote, &b->remote) && ns_ip_equal(&a->local, &b->local);
}

uint64_t flow_hash(const struct ns_stack *st, const struct flow_key *key)
{
	size_t n = offsetof(struct flow_key, rport) + sizeof(key->rport); /* without the padding */

	return stack_hash(st, key, n);
}

static struct list *conn_bucket(struct ns_stack *st, enum demux_proto proto,
				const struct flow_key *key)
{
	return &st->demux.conns[proto][flow_hash(st, key) % CONN_BUCKETS];
}

static bool same_device(uint32_t a, uint32_t b)
{
	return a == 0 || b == 0 || a == b;
}

static struct conn_entry *find_in(struct list *bucket, const struct flow_key *key, uint32_t ifindex)
{
	struct conn_entry *c;

	list_for_each (c, bucket, node)
		if (key_equal(&c->key, key) && same_device(c->ifindex, ifindex))
			return c;
	return NULL;
}

int conn_insert(struct ns_stack *st, enum demux_proto proto, struct conn_entry *c)
{
	struct list *bucket = conn_bucket(st, proto, &c->key);

	if (proto == DEMUX_TCP && find_in(bucket, &c->key, c->ifindex))
		return -EADDRINUSE;
	list_add(bucket, &c->node);
	return 0;
}

void conn_remove(struct conn_entry *c)
{
	list_del(&c->node);
}

struct conn_entry *conn_find(struct ns_stack *st, enum demux_proto proto,
			     const struct flow_key *key, uint32_t ifindex)
{
	return find_in(conn_bucket(st, proto, key), key, ifindex);
}

/* --- who listens on a port ------------------------------------------------------------------- */

struct list *port_bucket(struct ns_stack *st, enum demux_proto proto, uint16_t port)
{
	return &st->demux.ports[proto][port % PORT_BUCKETS];
}

/* Does the holder's address cover the packet's? */
static bool holder_covers(const struct port_holder *h, const struct ns_ip *ip)
{
	if (!ns_ip_is_any(&h->ip))
		return ns_ip_equal(&h->ip, ip);
	if (ns_ip_is_v4(&h->ip))
		return ns_ip_is_v4(ip);
	return !ns_ip_is_v4(ip) || !h->v6only;
}

static bool holder_takes(const struct port_holder *h, enum demux_proto proto,
			 const struct flow_key *key, uint32_t ifindex)
{
	if (h->port != key->lport || !h->is_endpoint || h->connected)
		return false;
	if (proto == DEMUX_TCP && !h->listening)
		return false;
	return holder_covers(h, &key->local) && (h->ifindex == 0 || h->ifindex == ifindex);
}

static int holder_score(const struct port_holder *h, const struct ns_ip *local)
{
	int score = 1;

	if (!ns_ip_is_any(&h->ip))
		score += 4;
	if (h->ifindex)
		score += 2;
	if (ns_ip_is_v4(&h->ip) == ns_ip_is_v4(local))
		score++;
	return score;
}

/* One of the n members of the best SO_REUSEPORT group. */
static struct port_holder *pick(struct list *bucket, enum demux_proto proto,
				const struct flow_key *key, uint32_t ifindex, int score,
				uint64_t which)
{
	struct port_holder *h;

	list_for_each (h, bucket, node) {
		if (!holder_takes(h, proto, key, ifindex) || !h->reuse_port ||
		    holder_score(h, &key->local) != score)
			continue;
		if (which-- == 0)
			return h;
	}
	return NULL;
}

struct ns_ep *port_find(struct ns_stack *st, enum demux_proto proto, const struct flow_key *key,
			uint32_t ifindex)
{
	struct list *bucket = port_bucket(st, proto, key->lport);
	struct port_holder *h, *best = NULL;
	unsigned int group = 0;
	int best_score = 0;

	list_for_each (h, bucket, node) {
		int score;

		if (!holder_takes(h, proto, key, ifindex))
			continue;
		score = holder_score(h, &key->local);
		if (score > best_score) {
			best = h;
			best_score = score;
			group = h->reuse_port;
		} else if (score == best_score && h->reuse_port) {
			group++;
		}
	}
	if (best && best->reuse_port && group > 1)
		best = pick(bucket, proto, key, ifindex, best_score, flow_hash(st, key) % group);
	return best ? container_of(best, struct ns_ep, port) : NULL;
}

void port_each_match(struct ns_stack *st, enum demux_proto proto, const struct flow_key *key,
		     uint32_t ifindex, void (*f)(struct ns_ep *ep, void *arg), void *arg)
{
	struct port_holder *h;

	list_for_each (h, port_bucket(st, proto, key->lport), node) {
		struct ns_ep *ep = container_of(h, struct ns_ep, port);

		if (h->port != key->lport || !h->is_endpoint || !holder_covers(h, &key->local) ||
		    (h->ifindex && h->ifindex != ifindex))
			continue;
		if (h->connected && !(ep->conn.key.rport == key->rport &&
				      ns_ip_equal(&ep->conn.key.remote, &key->remote)))
			continue;
		f(ep, arg);
	}
}

struct ns_ep *gate_find(struct ns_stack *st, enum demux_proto proto, const struct flow_key *key)
{
	enum ns_kind kind = proto == DEMUX_TCP ? NS_TCP : NS_UDP;
	struct ns_ep *ep, *any = NULL;

	list_for_each (ep, &st->gates, gate_node) {
		if (ep->kind != kind || !ep->port.gate ||
		    (proto == DEMUX_TCP && !ep->port.listening))
			continue;
		if (ep->port.port == key->lport)
			return ep;
		if (ep->port.port == 0)
			any = ep;
	}
	return any;
}
