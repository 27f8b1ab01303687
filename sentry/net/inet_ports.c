/*
 * Ports: who is bound to what, and who is meant by an address.
 *
 * Every bound socket is in a hash by port in its namespace, an accepted connection
 * under its listener's port. Addresses of a bound socket are guarded by net.lock
 * (RANK_LEAF); whether it listens, and its reuse flags, are read without its lock.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/host.h"
#include "sentry/net/inet.h"

#define EPHEMERAL_FIRST 32768 /* net.ipv4.ip_local_port_range */
#define EPHEMERAL_COUNT 28232
#define RESERVED_PORTS 1024

static struct list *port_list(struct net_namespace *net, enum inet_protocol p, uint16_t port)
{
	return &net->ports[p][port % PORT_HASH];
}

static bool v6only(const struct inet_socket *s)
{
	return inet_option_value(s, IPPROTO_IPV6, IPV6_V6ONLY);
}

/* A dual-stack wildcard: takes IPv4 too. */
static bool takes_all(const struct inet_socket *s, const struct inet_addr *a)
{
	return inet_is_any(a) && !inet_is_v4(a) && !v6only(s);
}

static bool overlap(const struct inet_socket *a, const struct inet_addr *addr,
		    const struct inet_socket *b)
{
	if (takes_all(a, addr) || takes_all(b, &b->local))
		return true;
	if (inet_is_v4(addr) != inet_is_v4(&b->local))
		return false;
	return inet_is_any(addr) || inet_is_any(&b->local) || inet_ip_equal(addr, &b->local);
}

static bool listens(const struct inet_socket *s)
{
	return atomic_load(&((struct inet_socket *)s)->sock.state) == SOCK_LISTENING;
}

/* May both be bound? */
static bool may_share(const struct inet_socket *a, const struct inet_socket *b)
{
	const struct sock_settings *x = &a->sock.set, *y = &b->sock.set;

	if (x->reuse_port && y->reuse_port && a->sock.file.cred->fsuid == b->sock.file.cred->fsuid)
		return true;
	if (!x->reuse_addr || !y->reuse_addr)
		return false;
	return a->protocol != INET_TCP || (!listens(a) && !listens(b));
}

static bool conflict_locked(struct inet_socket *s, const struct inet_addr *addr)
{
	struct inet_socket *o;

	list_for_each (o, port_list(s->sock.net, s->protocol, addr->port), port_node) {
		if (o != s && o->local.port == addr->port && overlap(s, addr, o) &&
		    !may_share(s, o))
			return true;
	}
	return false;
}

static void insert_locked(struct inet_socket *s, const struct inet_addr *addr)
{
	s->local = *addr;
	s->bound = true;
	list_add(port_list(s->sock.net, s->protocol, addr->port), &s->port_node);
}

static uint32_t random_start(const struct inet_socket *s)
{
	uint64_t x = host_monotonic_ns() ^ (uint64_t)(uintptr_t)s;

	x *= 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(x >> 33);
}

/* Finds a free ephemeral port for the address and takes it. */
static int pick_port_locked(struct inet_socket *s, struct inet_addr *addr)
{
	uint32_t start = random_start(s);

	for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
		addr->port = (uint16_t)(EPHEMERAL_FIRST + (start + i) % EPHEMERAL_COUNT);
		if (!conflict_locked(s, addr)) {
			insert_locked(s, addr);
			return 0;
		}
	}
	return -EADDRINUSE;
}

int inet_autobind(struct inet_socket *s)
{
	SCOPED_LOCK(&s->sock.net->lock);
	struct inet_addr any;

	if (s->bound)
		return 0;
	inet_addr_any(s->sock.domain, &any);
	/* -EAGAIN is what Linux says when the ports are used up. */
	return pick_port_locked(s, &any) ? -EAGAIN : 0;
}

int inet_bind(struct socket *sock, const struct sock_addr *from, const struct sock_caller *c)
{
	struct inet_socket *s = inet_of(sock);
	struct inet_addr addr;
	int r = inet_addr_parse(s, from, &addr);

	if (r)
		return r;
	if (v6only(s) && sock->domain == AF_INET6 && inet_is_v4(&addr))
		return -EINVAL;
	if (!inet_is_any(&addr) && !inet_is_loopback(&addr) && !inet_is_multicast(&addr))
		return -EADDRNOTAVAIL;
	if (addr.port && addr.port < RESERVED_PORTS &&
	    !cred_ns_capable(c->cred, sock->net->ns.owner, CAP_NET_BIND_SERVICE))
		return -EACCES;
	SCOPED_LOCK(&sock->net->lock);
	if (s->bound || atomic_load(&sock->state) != SOCK_NEW)
		return -EINVAL;
	if (!addr.port)
		return pick_port_locked(s, &addr);
	if (conflict_locked(s, &addr))
		return -EADDRINUSE;
	insert_locked(s, &addr);
	s->explicit_port = true;
	return 0;
}

int inet_listen_check(struct inet_socket *s)
{
	struct inet_socket *o;
	SCOPED_LOCK(&s->sock.net->lock);

	list_for_each (o, port_list(s->sock.net, s->protocol, s->local.port), port_node) {
		if (o == s || o->local.port != s->local.port || !listens(o) ||
		    !overlap(s, &s->local, o))
			continue;
		if (!s->sock.set.reuse_port || !o->sock.set.reuse_port)
			return -EADDRINUSE;
	}
	return 0;
}

void inet_share_port(struct inet_socket *s)
{
	SCOPED_LOCK(&s->sock.net->lock);

	insert_locked(s, &s->local);
}

/* How well a bound socket fits a destination: 0 not at all. */
static int score(const struct inet_socket *s, const struct inet_addr *to,
		 const struct inet_addr *from)
{
	int points = 1;

	if (s->local.port != to->port)
		return 0;
	if (inet_is_any(&s->local)) {
		if (inet_is_v4(&s->local) != inet_is_v4(to) && !takes_all(s, &s->local))
			return 0;
		if (inet_is_v4(&s->local) == inet_is_v4(to))
			points++;
	} else {
		if (!inet_ip_equal(&s->local, to))
			return 0;
		points += 4;
	}
	if (s->protocol == INET_TCP)
		return listens(s) ? points : 0;
	if (s->remote.port) {
		if (s->remote.port != from->port || !inet_ip_equal(&s->remote, from))
			return 0;
		points += 8;
	}
	return points;
}

struct socket *inet_lookup(struct net_namespace *net, enum inet_protocol protocol,
			   const struct inet_addr *to, const struct inet_addr *from)
{
	static atomic_uint turn;
	struct inet_socket *s, *best = NULL;
	unsigned int equals = 0;
	int points, most = 0;
	SCOPED_LOCK(&net->lock);

	list_for_each (s, port_list(net, protocol, to->port), port_node) {
		points = score(s, to, from);
		if (points > most) {
			most = points;
			best = s;
			equals = 1;
		} else if (points && points == most && s->sock.set.reuse_port &&
			   atomic_fetch_add(&turn, 1) % ++equals == 0) {
			best = s; /* SO_REUSEPORT spreads over all */
		}
	}
	return best ? socket_get(&best->sock) : NULL;
}

void inet_unbind(struct inet_socket *s)
{
	SCOPED_LOCK(&s->sock.net->lock);

	list_del(&s->port_node);
	list_del(&s->all_node);
}

void inet_set_addrs(struct inet_socket *s, const struct inet_addr *local,
		    const struct inet_addr *remote)
{
	SCOPED_LOCK(&s->sock.net->lock);

	if (inet_is_any(&s->local))
		s->local.ip = local->ip;
	s->remote = *remote;
}

void inet_forget_remote(struct inet_socket *s)
{
	SCOPED_LOCK(&s->sock.net->lock);

	memset(&s->remote, 0, sizeof(s->remote));
	if (s->explicit_port)
		return;
	list_del(&s->port_node);
	s->bound = false;
	inet_addr_any(s->sock.domain, &s->local);
}

int inet_name(struct socket *sock, int which, struct sock_addr *out)
{
	struct inet_socket *s = inet_of(sock);
	SCOPED_LOCK(&sock->net->lock);

	if (which == NAME_OWN) {
		inet_addr_format(sock->domain, &s->local, out);
		return 0;
	}
	if (!s->remote.port || atomic_load(&sock->state) == SOCK_NEW)
		return -ENOTCONN;
	if (which == NAME_PEER && s->protocol == INET_TCP && inet_tcp_state(s) == TCP_CLOSE)
		return -ENOTCONN;
	inet_addr_format(sock->domain, &s->remote, out);
	return 0;
}
