/*
 * A network namespace: the names under which sockets of one container (or pod)
 * find each other. Abstract AF_UNIX names and the list for /proc/net/unix are in
 * unix_names.c, ports in inet_ports.c.
 */
#ifndef GARRISON_SENTRY_NET_NETNS_H
#define GARRISON_SENTRY_NET_NETNS_H

#include "common/list.h"
#include "sentry/core/user_ns.h"
#include "sentry/locks.h"

#define UNIX_HASH 256
#define PORT_HASH 256
#define PORT_PROTOCOLS 3 /* TCP, UDP, UDP-Lite */

struct net_namespace {
	struct ns_common ns;
	struct mutex lock;			      /* RANK_LEAF; the tables below */
	struct list abstract[UNIX_HASH];	      /* struct unix_socket.name_node */
	struct list unix_all;			      /* struct unix_socket.all_node */
	struct list ports[PORT_PROTOCOLS][PORT_HASH]; /* struct inet_socket.port_node */
	struct list inet_all;			      /* struct inet_socket.all_node */
	struct list netlink_all;		      /* struct netlink_socket.node */
	uint32_t next_autobind;
};

/* The first one of a container. */
struct net_namespace *net_namespace_new(void);
/* Another one, of a guest's making: it has nothing but its own lo. -ENOSPC. */
int net_namespace_unshare(struct user_ns *owner, struct net_namespace **out) MUST_CHECK;
static inline struct net_namespace *net_namespace_get(struct net_namespace *ns)
{
	ns_get(&ns->ns);
	return ns;
}
static inline void net_namespace_put(struct net_namespace *ns)
{
	ns_put(&ns->ns);
}

#endif
