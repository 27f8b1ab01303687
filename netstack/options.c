/* Options: which endpoints have them, what values they may have, and their defaults. */
#include <errno.h>
#include <netinet/in.h>

#include "netstack/endpoint.h"

#define K(kind) (1u << (kind))
#define ALL (K(NS_TCP) | K(NS_UDP) | IP_ONLY | K(NS_PACKET) | K(NS_COOKED))
#define IP_ONLY (K(NS_PING) | K(NS_RAW))
#define INET (K(NS_TCP) | K(NS_UDP) | IP_ONLY)
#define GRAMS (K(NS_UDP) | IP_ONLY)

#define BUFFER_DEFAULT 212992
#define BUFFER_MAX (16 << 20)

struct opt_rule {
	unsigned int kinds;
	int low, high, initial;
	bool clamp;	/* a value out of range is brought into it, instead of -EINVAL */
	bool computed;	/* not to be set */
	bool ipv6_only; /* of IPv6 endpoints only */
};

#define BOOLEAN(k)                                                                                 \
	{                                                                                          \
		.kinds = (k), .high = 1, .clamp = true                                             \
	}
#define BOOLEAN_ON(k)                                                                              \
	{                                                                                          \
		.kinds = (k), .high = 1, .clamp = true, .initial = 1                               \
	}
#define BOOLEAN6(k)                                                                                \
	{                                                                                          \
		.kinds = (k), .high = 1, .clamp = true, .ipv6_only = true                          \
	}
#define RANGE(k, l, h, i)                                                                          \
	{                                                                                          \
		.kinds = (k), .low = (l), .high = (h), .initial = (i)                              \
	}
#define RANGE6(k, l, h, i)                                                                         \
	{                                                                                          \
		.kinds = (k), .low = (l), .high = (h), .initial = (i), .ipv6_only = true           \
	}
#define BUFFER(k, l)                                                                               \
	{                                                                                          \
		.kinds = (k), .low = (l), .high = BUFFER_MAX, .initial = BUFFER_DEFAULT,           \
		.clamp = true                                                                      \
	}
#define COMPUTED(k)                                                                                \
	{                                                                                          \
		.kinds = (k), .computed = true                                                     \
	}

static const struct opt_rule rules[NS_OPTS] = {
    [NS_SO_REUSEADDR] = BOOLEAN(ALL),
    [NS_SO_REUSEPORT] = BOOLEAN(ALL),
    [NS_SO_BROADCAST] = BOOLEAN(ALL),
    [NS_SO_DONTROUTE] = BOOLEAN(ALL),
    [NS_SO_KEEPALIVE] = BOOLEAN(ALL),
    [NS_SO_OOBINLINE] = BOOLEAN(ALL),
    [NS_SO_LINGER] = RANGE(ALL, -1, INT32_MAX, -1),
    [NS_SO_RCVBUF] = BUFFER(ALL, 2304),
    [NS_SO_SNDBUF] = BUFFER(ALL, 4608),
    [NS_SO_RCVLOWAT] = RANGE(ALL, 0, INT32_MAX, 1),
    [NS_SO_BINDTODEVICE] = RANGE(ALL, 0, LINKS_MAX, 0),
    [NS_SO_NO_CHECK] = BOOLEAN(ALL),
    [NS_IP_TTL] = RANGE(INET, -1, 255, -1),
    [NS_IP_TOS] = RANGE(INET, 0, 255, 0),
    [NS_IP_MTU_DISCOVER] = RANGE(INET, IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT, IP_PMTUDISC_WANT),
    [NS_IP_MTU] = COMPUTED(INET),
    [NS_IP_RECVERR] = BOOLEAN(INET),
    [NS_IP_FREEBIND] = BOOLEAN(INET),
    [NS_IP_TRANSPARENT] = BOOLEAN(INET),
    [NS_IP_HDRINCL] = BOOLEAN(K(NS_RAW)),
    [NS_IP_MULTICAST_TTL] = RANGE(GRAMS, 0, 255, 1),
    [NS_IP_MULTICAST_LOOP] = BOOLEAN_ON(GRAMS),
    [NS_IP_MULTICAST_IF] = RANGE(GRAMS, 0, LINKS_MAX, 0),
    [NS_IP_MULTICAST_ALL] = BOOLEAN_ON(GRAMS),
    [NS_IPV6_V6ONLY] = BOOLEAN6(INET),
    [NS_IPV6_HOPS] = RANGE6(INET, -1, 255, -1),
    [NS_IPV6_TCLASS] = RANGE6(INET, 0, 255, 0),
    [NS_IPV6_MTU_DISCOVER] =
	RANGE6(INET, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_OMIT, IPV6_PMTUDISC_WANT),
    [NS_IPV6_RECVERR] = BOOLEAN6(INET),
    [NS_IPV6_MULTICAST_HOPS] = RANGE6(GRAMS, 0, 255, 1),
    [NS_IPV6_MULTICAST_LOOP] =
	{.kinds = GRAMS, .high = 1, .initial = 1, .clamp = true, .ipv6_only = true},
    [NS_IPV6_MULTICAST_IF] = RANGE6(GRAMS, 0, LINKS_MAX, 0),
    [NS_IPV6_MULTICAST_ALL] =
	{.kinds = GRAMS, .high = 1, .initial = 1, .clamp = true, .ipv6_only = true},
    [NS_IPV6_CHECKSUM] = RANGE6(K(NS_RAW), -1, 65534, -1),
    [NS_IPV6_DONTFRAG] = BOOLEAN6(INET),
    [NS_UDP_SEGMENT] = RANGE(K(NS_UDP), 0, 65535, 0),
    [NS_UDP_GRO] = BOOLEAN(K(NS_UDP)),
    [NS_UDP_CORK] = BOOLEAN(K(NS_UDP)),
    [NS_TCP_NODELAY] = BOOLEAN(K(NS_TCP)),
    [NS_TCP_CORK] = BOOLEAN(K(NS_TCP)),
    [NS_TCP_MAXSEG] = RANGE(K(NS_TCP), 0, 32767, 0),
    [NS_TCP_KEEPIDLE] = RANGE(K(NS_TCP), 1, 32767, 7200),
    [NS_TCP_KEEPINTVL] = RANGE(K(NS_TCP), 1, 32767, 75),
    [NS_TCP_KEEPCNT] = RANGE(K(NS_TCP), 1, 127, 9),
    [NS_TCP_SYNCNT] = RANGE(K(NS_TCP), 1, 127, 6),
    [NS_TCP_LINGER2] = RANGE(K(NS_TCP), -1, 120, 60),
    [NS_TCP_DEFER_ACCEPT] = RANGE(K(NS_TCP), 0, INT32_MAX, 0),
    [NS_TCP_WINDOW_CLAMP] = RANGE(K(NS_TCP), 0, INT32_MAX, 0),
    [NS_TCP_QUICKACK] = BOOLEAN_ON(K(NS_TCP)),
    [NS_TCP_USER_TIMEOUT] = RANGE(K(NS_TCP), 0, INT32_MAX, 0),
    [NS_TCP_NOTSENT_LOWAT] = RANGE(K(NS_TCP), INT32_MIN, INT32_MAX, -1),
    [NS_TCP_CONGESTION] = RANGE(K(NS_TCP), 0, 1, 1),
    [NS_TCP_FASTOPEN] = RANGE(K(NS_TCP), 0, INT32_MAX, 0),
    [NS_INQ] = COMPUTED(ALL),
    [NS_OUTQ] = COMPUTED(ALL),
    [NS_OUTQ_NSD] = COMPUTED(K(NS_TCP)),
    [NS_AT_MARK] = COMPUTED(K(NS_TCP)),
    [NS_TCP_STATE] = COMPUTED(K(NS_TCP) | K(NS_UDP)),
};

void ep_default_options(struct ns_ep *ep)
{
	for (size_t i = 0; i < NS_OPTS; i++)
		ep->opt[i] = rules[i].initial;
}

static const struct opt_rule *rule_for(const struct ns_ep *ep, enum ns_opt opt)
{
	const struct opt_rule *r = (unsigned int)opt < NS_OPTS ? &rules[opt] : NULL;

	if (!r || !(r->kinds & K(ep->kind)) || (r->ipv6_only && ep->family != NS_IPV6))
		return NULL;
	return r;
}

/* A device that is named must be there. */
static bool device_ok(const struct ns_ep *ep, enum ns_opt opt, int value)
{
	if (opt != NS_SO_BINDTODEVICE && opt != NS_IP_MULTICAST_IF && opt != NS_IPV6_MULTICAST_IF)
		return true;
	return value == 0 || link_by_index(ep->st, (uint32_t)value);
}

/* What other structures keep copies of. */
static void follow(struct ns_ep *ep, enum ns_opt opt, int value)
{
	switch (opt) {
	case NS_SO_REUSEADDR:
		ep->port.reuse_addr = value;
		break;
	case NS_SO_REUSEPORT:
		ep->port.reuse_port = value;
		break;
	case NS_SO_BINDTODEVICE:
		ep->port.ifindex = ep->conn.ifindex = (uint32_t)value;
		ep->path.gen = 0;
		break;
	case NS_IPV6_V6ONLY:
		ep->port.v6only = value;
		break;
	case NS_SO_DONTROUTE:
	case NS_IP_FREEBIND:
	case NS_IP_TRANSPARENT:
		ep->path.gen = 0;
		break;
	default:
		break;
	}
}

static int set_locked(struct ns_ep *ep, enum ns_opt opt, int value)
{
	const struct opt_rule *r = rule_for(ep, opt);
	int old, err;

	if (!r || r->computed)
		return -ENOPROTOOPT;
	if (r->clamp)
		value = r->high == 1 ? value != 0 : max(min(value, r->high), r->low);
	if (value < r->low || value > r->high)
		return -EINVAL;
	if (!device_ok(ep, opt, value))
		return -ENODEV;
	if (opt == NS_IPV6_V6ONLY && ep->bound)
		return -EINVAL;
	old = ep->opt[opt];
	ep->opt[opt] = value;
	err = ep->ops->set ? ep->ops->set(ep, opt, value) : 0;
	if (err < 0)
		ep->opt[opt] = old;
	else
		follow(ep, opt, value);
	return err;
}

int ns_setopt(struct ns_ep *ep, enum ns_opt opt, int value)
{
	int err;

	stack_lock(ep->st);
	err = set_locked(ep, opt, value);
	stack_unlock(ep->st);
	return err;
}

/* IP_MTU: of the path to the peer. */
static int path_mtu(struct ns_ep *ep, int *value)
{
	struct ns_addr remote = {ep->conn.key.remote, ep->conn.key.rport, ep->ifindex};

	if (!ep->connected)
		return -ENOTCONN;
	if (!ip_path_valid(ep->st, &ep->path) &&
	    ep_route(ep, &ep->conn.key.local, &remote, 0, &ep->path) < 0)
		return -ENOTCONN;
	*value = (int)ep->path.mtu;
	return 0;
}

static int first_size(const struct ns_ep *ep)
{
	const struct pkt *p;

	if (list_empty(&ep->rx))
		return 0;
	p = list_first(&ep->rx, struct pkt, node);
	return (int)(p->len - p->payload);
}

static int get_locked(struct ns_ep *ep, enum ns_opt opt, int *value)
{
	int err = -ENOPROTOOPT;

	if (!rule_for(ep, opt))
		return -ENOPROTOOPT;
	if (ep->ops->get)
		err = ep->ops->get(ep, opt, value);
	if (err != -ENOPROTOOPT)
		return err;
	switch (opt) {
	case NS_IP_MTU:
		return path_mtu(ep, value);
	case NS_INQ:
		*value = first_size(ep);
		return 0;
	case NS_OUTQ:
		*value = (int)ep->wmem;
		return 0;
	default:
		*value = ep->opt[opt];
		return rules[opt].computed ? -ENOPROTOOPT : 0;
	}
}

int ns_getopt(struct ns_ep *ep, enum ns_opt opt, int *value)
{
	int err;

	stack_lock(ep->st);
	err = get_locked(ep, opt, value);
	stack_unlock(ep->st);
	return err;
}

int ep_ttl(const struct ns_ep *ep, const struct ns_ip *dst)
{
	bool v4 = ns_ip_is_v4(dst);

	if (ns_ip_is_multicast(dst) && ep->kind != NS_TCP)
		return ep->opt[v4 ? NS_IP_MULTICAST_TTL : NS_IPV6_MULTICAST_HOPS];
	return ep->opt[v4 ? NS_IP_TTL : NS_IPV6_HOPS];
}

uint8_t ep_tos(const struct ns_ep *ep, const struct ns_ip *dst)
{
	return (uint8_t)ep->opt[ns_ip_is_v4(dst) ? NS_IP_TOS : NS_IPV6_TCLASS];
}

int ep_pmtudisc(const struct ns_ep *ep, const struct ns_ip *dst)
{
	return ep->opt[ns_ip_is_v4(dst) ? NS_IP_MTU_DISCOVER : NS_IPV6_MTU_DISCOVER];
}

void ep_ip_send(const struct ns_ep *ep, const struct ns_meta *meta, const struct ns_ip *dst,
		struct ip_send *out)
{
	int disc = ep_pmtudisc(ep, dst);
	bool v4 = ns_ip_is_v4(dst);

	*out = (struct ip_send){
	    .dst = *dst,
	    .protocol = (uint8_t)ep->protocol,
	    .ttl = meta->have & NS_META_TTL ? meta->ttl : ep_ttl(ep, dst),
	    .tos = meta->have & NS_META_TOS ? (uint8_t)meta->tos : ep_tos(ep, dst),
	    .dont_fragment = disc == IP_PMTUDISC_DO || disc == IP_PMTUDISC_PROBE ||
			     (!v4 && ep->opt[NS_IPV6_DONTFRAG]),
	    .prefer_df = disc == IP_PMTUDISC_WANT,
	    .ignore_path_mtu = disc >= IP_PMTUDISC_PROBE,
	    .no_multicast_loop = !ep->opt[v4 ? NS_IP_MULTICAST_LOOP : NS_IPV6_MULTICAST_LOOP],
	};
}
