/*
 * Addresses that endpoints may use, and where the policy is asked. Fail closed: a packet of an
 * endpoint leaves by a path from ep_route, and that is where the judgement is made.
 */
#include <errno.h>
#include <netinet/in.h>

#include "netstack/endpoint.h"
#include "netstack/tcp.h"

/* --- what bind and connect accept --------------------------------------------------------- */

static bool family_fits(const struct ns_ep *ep, const struct ns_ip *ip)
{
	return ns_ip_is_v4(ip) ? ep->family == NS_IPV4 || ep_is_dual(ep) : ep->family == NS_IPV6;
}

static bool may_be_foreign(const struct ns_ep *ep)
{
	return ep->gate || ep->opt[NS_IP_FREEBIND] || ep->opt[NS_IP_TRANSPARENT];
}

static bool is_group_address(struct ns_stack *st, const struct ns_ip *ip)
{
	if (ns_ip_is_multicast(ip) || ns_ip_is_limited_broadcast(ip))
		return true;
	for (unsigned int i = 0; i < st->nlinks; i++)
		if (ip_is_broadcast(st->link[i], ip))
			return true;
	return false;
}

int ep_check_local(struct ns_ep *ep, const struct ns_addr *local, struct ns_ip *ip)
{
	struct ns_stack *st = ep->st;
	uint32_t scope = local->ifindex ? local->ifindex : (uint32_t)ep->opt[NS_SO_BINDTODEVICE];

	*ip = local->ip;
	if (!family_fits(ep, ip))
		return ns_ip_is_v4(ip) ? -EINVAL : -EAFNOSUPPORT;
	if (ns_ip_is_any(ip) || may_be_foreign(ep))
		return 0;
	if (!ns_ip_is_v4(ip) && ns_ip_is_link_local(ip)) {
		if (!scope)
			return -EINVAL;
		ep->ifindex = scope;
		return ifaddr_find(st, link_by_index(st, scope), ip) ? 0 : -EADDRNOTAVAIL;
	}
	if (ip_is_local(st, ip))
		return 0;
	return ep->kind != NS_TCP && is_group_address(st, ip) ? 0 : -EADDRNOTAVAIL;
}

int ep_check_remote(struct ns_ep *ep, const struct ns_addr *remote, struct ns_ip *ip)
{
	*ip = remote->ip;
	if (!family_fits(ep, ip))
		return ns_ip_is_v4(ip) ? -ENETUNREACH : -EAFNOSUPPORT;
	if (!ns_ip_is_any(ip))
		return 0;
	if (ns_ip_is_v4(ip) || ns_ip_is_v4(&ep->conn.key.local))
		*ip = ns_ip4_host(INADDR_LOOPBACK);
	else
		*ip = (struct ns_ip){.b = {[15] = 1}};
	return 0;
}

/* --- the policy -------------------------------------------------------------------------------- */

static void count_verdict(struct ns_stack *st, enum ns_verdict_kind kind)
{
	st->stats.policy_refused += kind == NS_REFUSE;
	st->stats.policy_dropped += kind == NS_DROP;
	st->stats.policy_diverted += kind == NS_DIVERT;
}

static void ask(struct ns_stack *st, const struct ns_flow *flow, struct ns_verdict *v)
{
	*v = st->policy->judge(st->policy, flow);
	count_verdict(st, v->kind);
}

/* Is this traffic between endpoints of ours, which no policy is about? */
static bool stays_here(const struct ns_ep *ep, const struct ip_path *path)
{
	return !ep->st->policy || ep->gate || path->local;
}

static struct ns_verdict judge(struct ns_ep *ep, const struct ns_addr *remote,
			       const struct ip_path *path)
{
	struct ns_flow flow = {.protocol = (uint8_t)ep->protocol,
			       .inbound = ep->inbound,
			       .local = {path->src, ep->conn.key.lport, 0},
			       .remote = *remote,
			       .icmp_type = ep->icmp_type,
			       .link = path->link};
	struct ns_verdict v;

	ask(ep->st, &flow, &v);
	return v;
}

static bool same_addr(const struct ns_addr *a, const struct ns_addr *b)
{
	return a->port == b->port && ns_ip_equal(&a->ip, &b->ip);
}

static int apply(struct ns_stack *st, const struct ns_verdict *v, struct ip_path *path)
{
	switch (v->kind) {
	case NS_ALLOW:
		return 0;
	case NS_DIVERT:
		ip_path_divert(st, path);
		return 0;
	case NS_DROP:
		return -ETIMEDOUT;
	default:
		return v->error > 0 ? -v->error : -EACCES;
	}
}

static int judge_path(struct ns_ep *ep, const struct ns_addr *remote, struct ip_path *path)
{
	if (stays_here(ep, path))
		return 0;
	if (!ep->judged || !same_addr(&ep->judged_addr, remote)) {
		ep->verdict = judge(ep, remote, path);
		ep->judged_addr = *remote;
		/* What is refused is asked anew each time: the audit log shall see it. */
		ep->judged = ep->verdict.kind == NS_ALLOW || ep->verdict.kind == NS_DIVERT;
	}
	return apply(ep->st, &ep->verdict, path);
}

static uint32_t out_device(const struct ns_ep *ep, const struct ns_ip *dst, uint32_t ifindex)
{
	if (ep->opt[NS_SO_BINDTODEVICE])
		return (uint32_t)ep->opt[NS_SO_BINDTODEVICE];
	if (ifindex)
		return ifindex;
	if (ns_ip_is_multicast(dst))
		return (uint32_t)
		    ep->opt[ns_ip_is_v4(dst) ? NS_IP_MULTICAST_IF : NS_IPV6_MULTICAST_IF];
	if (!ns_ip_is_v4(dst) && ns_ip_is_link_local(dst))
		return ep->ifindex;
	return 0;
}

int ep_route(struct ns_ep *ep, const struct ns_ip *local, const struct ns_addr *remote,
	     uint32_t ifindex, struct ip_path *path)
{
	struct ip_query q = {
	    .dst = remote->ip,
	    .src = *local,
	    .ifindex = out_device(ep, &remote->ip, remote->ifindex ? remote->ifindex : ifindex),
	    .on_link = ep->opt[NS_SO_DONTROUTE],
	    .foreign_source = may_be_foreign(ep)};
	int err;

	if (!ns_ip_is_v4(&q.dst) && ns_ip_is_link_local(&q.dst) && !q.ifindex)
		return -EINVAL;
	err = ip_route(ep->st, &q, path);
	if (err < 0)
		return err;
	if (path->broadcast && !ep->opt[NS_SO_BROADCAST])
		return -EACCES;
	return judge_path(ep, remote, path);
}

struct ns_verdict flow_judge_inbound(struct ns_stack *st, const struct ip_info *ip, uint16_t lport,
				     uint16_t rport)
{
	struct ns_flow flow = {.protocol = ip->protocol,
			       .inbound = true,
			       .local = {ip->dst, lport, 0},
			       .remote = {ip->src, rport, ip->link->ifindex},
			       .link = ip->link};
	struct ns_verdict v = {NS_ALLOW, 0};

	if (st->policy && !link_is_loopback(ip->link))
		ask(st, &flow, &v);
	return v;
}

/* --- another policy ------------------------------------------------------------------------- */

static void end_flow(struct ns_ep *ep, const struct ns_verdict *v)
{
	if (ep->kind == NS_TCP) {
		tcp_abort(ep, v->error > 0 ? v->error : ECONNABORTED);
	} else {
		(void)ep->ops->connect(ep, NULL);
		ep_set_error(ep, v->error > 0 ? v->error : EACCES);
	}
}

/* Ends a flow of which another verdict holds now. */
static void rejudge(struct ns_ep *ep)
{
	enum ns_verdict_kind was = ep->judged ? ep->verdict.kind : NS_ALLOW;
	struct ns_addr remote = {ep->conn.key.remote, ep->conn.key.rport, ep->ifindex};

	ep->judged = false;
	if (!ep->connected || stays_here(ep, &ep->path))
		return;
	ep->verdict = judge(ep, &remote, &ep->path);
	ep->judged_addr = remote;
	ep->judged = true;
	if (ep->verdict.kind != was)
		end_flow(ep, &ep->verdict);
}

/* Ending a flow frees no other endpoint at once: what it sends to one on lo waits. */
static void rejudge_all(struct ns_stack *st)
{
	struct ns_ep *ep, *next;

	for (size_t kind = 0; kind < NS_PACKET; kind++)
		list_for_each_safe (ep, next, &st->endpoints[kind], all_node)
			rejudge(ep);
}

void ns_policy_set(struct ns_stack *st, struct ns_policy *policy)
{
	stack_lock(st);
	st->policy = policy;
	rejudge_all(st);
	stack_unlock(st);
}

void ns_policy_changed(struct ns_stack *st)
{
	stack_lock(st);
	rejudge_all(st);
	stack_unlock(st);
}
