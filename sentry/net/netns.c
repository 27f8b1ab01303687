/* Network namespaces, and the text files of /proc/net. */
#include "sentry/net/netns.h"

#include "common/mem.h"
#include "sentry/net/unix.h"

struct net_namespace *net_namespace_new(void)
{
	static atomic_uint_fast64_t next_ino = 0xf0000098; /* in the range that Linux uses */
	struct net_namespace *ns = NEW(struct net_namespace);

	ref_init(&ns->ref);
	ns->ino = atomic_fetch_add(&next_ino, 1);
	mutex_init(&ns->lock, RANK_LEAF);
	for (size_t i = 0; i < UNIX_HASH; i++)
		list_init(&ns->abstract[i]);
	for (size_t p = 0; p < PORT_PROTOCOLS; p++)
		for (size_t i = 0; i < PORT_HASH; i++)
			list_init(&ns->ports[p][i]);
	list_init(&ns->unix_all);
	list_init(&ns->inet_all);
	list_init(&ns->netlink_all);
	return ns;
}

struct net_namespace *net_namespace_get(struct net_namespace *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void net_namespace_put(struct net_namespace *ns)
{
	if (!ref_put(&ns->ref))
		return;
	mutex_destroy(&ns->lock);
	free(ns);
}
