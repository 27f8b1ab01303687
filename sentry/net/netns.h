/*
 * A network namespace: the names under which sockets of one container (or pod)
 * find each other. Abstract AF_UNIX names and the list for /proc/net/unix are in
 * unix_names.c, ports in inet_ports.c.
 */
#ifndef GARRISON_SENTRY_NET_NETNS_H
#define GARRISON_SENTRY_NET_NETNS_H

#include "common/list.h"
#include "common/refcount.h"
#include "sentry/locks.h"

#define UNIX_HASH 256
#define PORT_HASH 256
#define PORT_PROTOCOLS 3 /* TCP, UDP, UDP-Lite */

struct net_namespace {
	struct refcount ref;
	uint64_t ino;				      /* immutable: what /proc/PID/ns/net shows */
	struct mutex lock;			      /* RANK_LEAF; the tables below */
	struct list abstract[UNIX_HASH];	      /* struct unix_socket.name_node */
	struct list unix_all;			      /* struct unix_socket.all_node */
	struct list ports[PORT_PROTOCOLS][PORT_HASH]; /* struct inet_socket.port_node */
	struct list inet_all;			      /* struct inet_socket.all_node */
	struct list netlink_all;		      /* struct netlink_socket.node */
	uint32_t next_autobind;
};

struct net_namespace *net_namespace_new(void);
struct net_namespace *net_namespace_get(struct net_namespace *ns);
void net_namespace_put(struct net_namespace *ns);

#endif
