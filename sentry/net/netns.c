/* Network namespaces, and the text files of /proc/net. */
#include "sentry/net/netns.h"

#include "common/mem.h"
#include "sentry/net/unix.h"

static void net_release(struct ns_common *ns);
static const struct ns_kind net_kind = {"net", CLONE_NEWNET, NS_COUNT_NET, net_release};

static void net_release(struct ns_common *ns)
{
	struct net_namespace *n = container_of(ns, struct net_namespace, ns);

	mutex_destroy(&n->lock);
	ns_fini(ns);
	free(n);
}

static void init_tables(struct net_namespace *ns)
{
	mutex_init(&ns->lock, RANK_LEAF);
	for (size_t i = 0; i < UNIX_HASH; i++)
		list_init(&ns->abstract[i]);
	for (size_t p = 0; p < PORT_PROTOCOLS; p++)
		for (size_t i = 0; i < PORT_HASH; i++)
			list_init(&ns->ports[p][i]);
	list_init(&ns->unix_all);
	list_init(&ns->inet_all);
	list_init(&ns->netlink_all);
}

struct net_namespace *net_namespace_new(void)
{
	struct net_namespace *ns = NEW(struct net_namespace);

	ns_init(&ns->ns, &net_kind, &user_ns_first);
	init_tables(ns);
	return ns;
}

int net_namespace_unshare(struct user_ns *owner, struct net_namespace **out)
{
	struct net_namespace *ns = NEW(struct net_namespace);
	int r = ns_init_counted(&ns->ns, &net_kind, owner);

	if (r < 0) {
		free(ns);
		return r;
	}
	init_tables(ns);
	*out = ns;
	return 0;
}
