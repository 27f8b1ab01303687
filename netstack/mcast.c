/* Memberships of links and endpoints, and when to report them: see mcast.h. */
#include "netstack/mcast.h"

#include <netinet/in.h>

#define JOIN_REPORTS 2 /* RFC 3376 8.1: the robustness variable */

/* --- links ---------------------------------------------------------------------------------- */

static struct link_group *find(const struct ns_link *l, const struct ns_ip *group)
{
	struct link_group *g;

	list_for_each (g, &l->groups, node)
		if (ns_ip_equal(&g->group, group))
			return g;
	return NULL;
}

/* 224.0.0.1, and IPv6's interface- and link-local "all nodes". */
static bool is_implied(const struct ns_ip *group)
{
	if (ns_ip_is_v4(group))
		return ns_ip4_value(group) == 0xe0000001;
	return ns_ip_equal(group, &NS_ALL_NODES) || (group->b[1] & 15) <= 1;
}

bool mcast_link_has(const struct ns_link *l, const struct ns_ip *group)
{
	return find(l, group) || is_implied(group);
}

static void report(struct ns_link *l, const struct link_group *g, enum report_kind kind)
{
	if ((l->st->policy && !g->own) || !l->up || link_is_loopback(l) || is_implied(&g->group))
		return;
	if (ns_ip_is_v4(&g->group))
		igmp_report(l, &g->group, kind);
	else
		mld_report(l, &g->group, kind);
}

static void arm(struct ns_link *l, uint64_t when)
{
	if (when < l->report_timer.expires)
		ns_timer_arm(&l->st->timers, &l->report_timer, when);
}

static uint64_t random_delay(struct ns_link *l, uint64_t max_delay)
{
	return max_delay / 1000 * stack_random_below(l->st, 1001);
}

static void send_due(struct ns_timer *t, uint64_t now)
{
	struct ns_link *l = container_of(t, struct ns_link, report_timer);
	struct link_group *g;

	list_for_each (g, &l->groups, node) {
		if (g->due <= now) {
			g->due = NS_NEVER;
			report(l, g, g->joins_left ? REPORT_JOIN : REPORT_IS_MEMBER);
			if (g->joins_left && --g->joins_left)
				g->due = now + random_delay(l, NSEC_PER_SEC);
		}
		arm(l, g->due);
	}
}

void mcast_answer(struct ns_link *l, const struct ns_ip *group, uint64_t max_delay)
{
	struct link_group *g;
	uint64_t now = stack_now(l->st);

	list_for_each (g, &l->groups, node) {
		if (ns_ip_is_v4(&g->group) != ns_ip_is_v4(group) ||
		    (!ns_ip_is_any(group) && !ns_ip_equal(group, &g->group)))
			continue;
		g->due = min(g->due, now + random_delay(l, max_delay));
		arm(l, g->due);
	}
}

void mcast_link_init(struct ns_link *l)
{
	ns_timer_init(&l->report_timer, send_due);
}

int mcast_link_join(struct ns_link *l, const struct ns_ip *group, bool own)
{
	struct link_group *g = find(l, group);

	if (g) {
		g->users++;
		g->own |= own;
		return 0;
	}
	g = pool_alloc(&l->st->pool, sizeof(*g));
	if (!g)
		return -ENOBUFS;
	*g = (struct link_group){
	    .group = *group, .users = 1, .own = own, .joins_left = JOIN_REPORTS - 1};
	list_add_tail(&l->groups, &g->node);
	report(l, g, REPORT_JOIN);
	g->due = stack_now(l->st) + random_delay(l, NSEC_PER_SEC);
	arm(l, g->due);
	return 0;
}

static void drop(struct ns_link *l, struct link_group *g)
{
	list_del(&g->node);
	pool_free(&l->st->pool, g, sizeof(*g));
}

void mcast_link_leave(struct ns_link *l, const struct ns_ip *group)
{
	struct link_group *g = find(l, group);

	if (!g || --g->users)
		return;
	report(l, g, REPORT_LEAVE);
	drop(l, g);
}

void mcast_link_fini(struct ns_link *l)
{
	ns_timer_cancel(&l->st->timers, &l->report_timer);
	while (!list_empty(&l->groups))
		drop(l, list_first(&l->groups, struct link_group, node));
}

/* --- endpoints ------------------------------------------------------------------------------ */

static struct ep_group *ep_find(const struct ns_ep *ep, const struct ns_link *l,
				const struct ns_ip *group)
{
	struct ep_group *g;

	list_for_each (g, &ep->groups, node) {
		if (g->link == l && ns_ip_equal(&g->group, group))
			return g;
	}
	return NULL;
}

static bool has_source(const struct ep_group *g, const struct ns_ip *src)
{
	for (unsigned int i = 0; i < g->nsources; i++)
		if (ns_ip_equal(&g->source[i], src))
			return true;
	return false;
}

bool mcast_ep_wants(const struct ns_ep *ep, const struct ns_link *l, const struct ns_ip *group,
		    const struct ns_ip *src)
{
	const struct ep_group *g = ep_find(ep, l, group);

	if (!g)
		return ep->opt[ns_ip_is_v4(group) ? NS_IP_MULTICAST_ALL : NS_IPV6_MULTICAST_ALL];
	return g->nsources == 0 || has_source(g, src);
}

static struct ns_link *group_link(struct ns_ep *ep, const struct ns_group *g)
{
	struct ip_query q = {.dst = g->group, .src = ns_ip_any(ns_ip_family(&g->group))};
	struct ip_path path;

	if (g->ifindex)
		return link_by_index(ep->st, g->ifindex);
	return ip_route(ep->st, &q, &path) == 0 ? path.link : NULL;
}

static int check(struct ns_ep *ep, const struct ns_group *g)
{
	if (ep->kind != NS_UDP && ep->kind != NS_RAW && ep->kind != NS_PING)
		return -ENOPROTOOPT;
	if (!ns_ip_is_multicast(&g->group) || (!ns_ip_is_v4(&g->group) && ep->family != NS_IPV6))
		return -EINVAL;
	return 0;
}

static int add_source(struct ep_group *g, const struct ns_ip *source)
{
	if (has_source(g, source))
		return -EADDRNOTAVAIL;
	if (g->nsources == SOURCES_MAX)
		return -ENOBUFS;
	g->source[g->nsources++] = *source;
	return 0;
}

static int join(struct ns_ep *ep, const struct ns_group *want)
{
	struct ns_link *l = group_link(ep, want);
	struct ep_group *g;
	bool any_source = ns_ip_is_zero(&want->source);
	int err;

	if (!l)
		return -ENODEV;
	g = ep_find(ep, l, &want->group);
	if (g)
		return any_source || !g->nsources ? -EADDRINUSE : add_source(g, &want->source);
	if (ep->ngroups >= GROUPS_MAX)
		return -ENOBUFS;
	g = pool_alloc(&ep->st->pool, sizeof(*g));
	if (!g)
		return -ENOBUFS;
	*g = (struct ep_group){.group = want->group, .link = l};
	if (!any_source)
		(void)add_source(g, &want->source);
	err = mcast_link_join(l, &g->group, false);
	if (err < 0) {
		pool_free(&ep->st->pool, g, sizeof(*g));
		return err;
	}
	list_add_tail(&ep->groups, &g->node);
	ep->ngroups++;
	return 0;
}

static void leave_all(struct ns_ep *ep, struct ep_group *g)
{
	mcast_link_leave(g->link, &g->group);
	list_del(&g->node);
	ep->ngroups--;
	pool_free(&ep->st->pool, g, sizeof(*g));
}

static int leave_source(struct ns_ep *ep, struct ep_group *g, const struct ns_ip *source)
{
	for (unsigned int i = 0; i < g->nsources; i++) {
		if (!ns_ip_equal(&g->source[i], source))
			continue;
		g->source[i] = g->source[--g->nsources];
		if (g->nsources == 0)
			leave_all(ep, g);
		return 0;
	}
	return -EADDRNOTAVAIL;
}

static int leave(struct ns_ep *ep, const struct ns_group *want)
{
	struct ep_group *g;

	list_for_each (g, &ep->groups, node) {
		if (!ns_ip_equal(&g->group, &want->group) ||
		    (want->ifindex && want->ifindex != g->link->ifindex))
			continue;
		if (!ns_ip_is_zero(&want->source))
			return leave_source(ep, g, &want->source);
		leave_all(ep, g);
		return 0;
	}
	return -EADDRNOTAVAIL;
}

int ns_group_join(struct ns_ep *ep, const struct ns_group *g)
{
	int err = check(ep, g);

	if (err < 0)
		return err;
	stack_lock(ep->st);
	err = join(ep, g);
	stack_unlock(ep->st);
	return err;
}

int ns_group_leave(struct ns_ep *ep, const struct ns_group *g)
{
	int err = check(ep, g);

	if (err < 0)
		return err;
	stack_lock(ep->st);
	err = leave(ep, g);
	stack_unlock(ep->st);
	return err;
}

void mcast_ep_fini(struct ns_ep *ep)
{
	while (!list_empty(&ep->groups))
		leave_all(ep, list_first(&ep->groups, struct ep_group, node));
}
