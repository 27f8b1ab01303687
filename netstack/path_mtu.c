/* Path MTUs that routers told us (route.h). A bounded list, the oldest goes first. */
#include <errno.h>

#include "netstack/route.h"

#define PATH_MTUS_MAX 256
#define PATH_MTU_NS (600 * NSEC_PER_SEC) /* RFC 1191 6.3: ten minutes */
#define IPV4_MTU_FLOOR 552		 /* as Linux: no path of today is narrower */
#define IPV6_MTU_FLOOR 1280		 /* RFC 8200 5 */

struct path_mtu {
	struct list node; /* in stack.path_mtus */
	struct ns_stack *st;
	struct ns_ip dst;
	uint32_t mtu;
	struct ns_timer timer;
};

static void drop(struct path_mtu *m)
{
	struct ns_stack *st = m->st;

	ns_timer_cancel(&st->timers, &m->timer);
	list_del(&m->node);
	st->npath_mtus--;
	pool_free(&st->pool, m, sizeof(*m));
	route_changed(st);
}

static void expire(struct ns_timer *t, uint64_t now)
{
	drop(container_of(t, struct path_mtu, timer));
}

static struct path_mtu *find(struct ns_stack *st, const struct ns_ip *dst)
{
	struct path_mtu *m;

	list_for_each (m, &st->path_mtus, node)
		if (ns_ip_equal(&m->dst, dst))
			return m;
	return NULL;
}

static struct path_mtu *make(struct ns_stack *st, const struct ns_ip *dst)
{
	struct path_mtu *m;

	if (st->npath_mtus >= PATH_MTUS_MAX)
		drop(list_first(&st->path_mtus, struct path_mtu, node));
	m = pool_alloc(&st->pool, sizeof(*m));
	if (!m)
		return NULL;
	*m = (struct path_mtu){.st = st, .dst = *dst, .mtu = UINT32_MAX};
	ns_timer_init(&m->timer, expire);
	list_add_tail(&st->path_mtus, &m->node);
	st->npath_mtus++;
	return m;
}

bool path_mtu_learn(struct ns_stack *st, const struct ns_ip *dst, uint32_t mtu)
{
	struct path_mtu *m = find(st, dst);

	if (!ns_ip_is_v4(dst) && mtu < IPV6_MTU_FLOOR)
		return false;
	mtu = max(mtu, (uint32_t)IPV4_MTU_FLOOR);
	if (m && m->mtu <= mtu)
		return false;
	if (!m && !(m = make(st, dst)))
		return false;
	m->mtu = mtu;
	ns_timer_arm(&st->timers, &m->timer, stack_now(st) + PATH_MTU_NS);
	route_changed(st);
	return true;
}

uint32_t path_mtu_get(struct ns_stack *st, const struct ns_ip *dst, uint32_t link_mtu)
{
	struct path_mtu *m = find(st, dst);

	return m ? min(m->mtu, link_mtu) : link_mtu;
}

void path_mtu_fini(struct ns_stack *st)
{
	while (!list_empty(&st->path_mtus))
		drop(list_first(&st->path_mtus, struct path_mtu, node));
}
