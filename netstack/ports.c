/* Conflicts between holders of a port, and free ports: see demux.h. */
#include <errno.h>

#include "netstack/addr.h"
#include "netstack/demux.h"
#include "netstack/stack.h"

/* Is there an address that both are bound to? */
static bool addresses_overlap(const struct port_holder *a, const struct port_holder *b)
{
	bool a_any = ns_ip_is_any(&a->ip), b_any = ns_ip_is_any(&b->ip);
	bool a4 = ns_ip_is_v4(&a->ip), b4 = ns_ip_is_v4(&b->ip);

	if (!a_any && !b_any)
		return ns_ip_equal(&a->ip, &b->ip);
	if (a4 == b4)
		return true;
	/* Families differ: only a wildcard "::" without V6ONLY reaches over. */
	return a4 ? b_any && !b->v6only : a_any && !a->v6only;
}

static bool may_share(const struct port_holder *a, const struct port_holder *b)
{
	if (a->reuse_addr && b->reuse_addr && !a->listening && !b->listening)
		return true;
	return a->reuse_port && b->reuse_port && a->uid == b->uid;
}

static bool clash(const struct port_holder *a, const struct port_holder *b)
{
	bool devices = a->ifindex == 0 || b->ifindex == 0 || a->ifindex == b->ifindex;

	return a != b && a->port == b->port && devices && !may_share(a, b) &&
	       addresses_overlap(a, b);
}

static bool any_clash(struct list *bucket, const struct port_holder *h)
{
	struct port_holder *other;

	list_for_each (other, bucket, node)
		if (clash(other, h))
			return true;
	return false;
}

void port_share(struct ns_stack *st, enum demux_proto proto, struct port_holder *h)
{
	list_add(port_bucket(st, proto, h->port), &h->node);
}

int port_claim(struct ns_stack *st, enum demux_proto proto, struct port_holder *h)
{
	if (any_clash(port_bucket(st, proto, h->port), h))
		return -EADDRINUSE;
	port_share(st, proto, h);
	return 0;
}

void port_release(struct port_holder *h)
{
	list_del(&h->node);
}

int port_check_listen(struct ns_stack *st, struct port_holder *h)
{
	struct port_holder as = *h;
	struct port_holder *other;

	as.listening = true;
	list_for_each (other, port_bucket(st, DEMUX_TCP, h->port), node) {
		/* A connection on the port, or one that is bound only, bothers nobody who may
		 * share. */
		if (other != h && other->listening && clash(other, &as))
			return -EADDRINUSE;
	}
	return 0;
}

/* May a connect to `remote` use h->port: all others on it are connects elsewhere. */
static bool free_for_connect(struct ns_stack *st, enum demux_proto proto,
			     const struct port_holder *h, const struct flow_key *remote)
{
	struct flow_key key = *remote;
	struct port_holder *other;

	list_for_each (other, port_bucket(st, proto, h->port), node)
		if (other->port == h->port && !other->ephemeral)
			return false;
	key.lport = h->port;
	return !conn_find(st, proto, &key, h->ifindex);
}

static bool port_is_free(struct ns_stack *st, enum demux_proto proto, const struct port_holder *h,
			 const struct flow_key *remote)
{
	return remote ? free_for_connect(st, proto, h, remote)
		      : !any_clash(port_bucket(st, proto, h->port), h);
}

/* Where in the range the search begins (RFC 6056 3.3.3); without a remote it is random. */
static uint32_t first_offset(struct ns_stack *st, const struct flow_key *remote)
{
	struct flow_key key;
	uint64_t hash;

	if (!remote)
		return stack_random32(st);
	key = *remote;
	key.lport = 0;
	hash = flow_hash(st, &key);
	return (uint32_t)hash +
	       st->demux.port_counter[hash >> 32 & (ARRAY_SIZE(st->demux.port_counter) - 1)]++;
}

int port_claim_any(struct ns_stack *st, enum demux_proto proto, struct port_holder *h,
		   const struct flow_key *remote)
{
	uint32_t low = st->limits.port_low, range = st->limits.port_high - low + 1u;
	uint32_t start = first_offset(st, remote);

	h->ephemeral = remote != NULL;
	for (uint32_t i = 0; i < range; i++) {
		h->port = (uint16_t)(low + (start + i) % range);
		if (port_is_free(st, proto, h, remote)) {
			port_share(st, proto, h);
			return 0;
		}
	}
	h->port = 0;
	h->ephemeral = false;
	return -EADDRINUSE;
}
