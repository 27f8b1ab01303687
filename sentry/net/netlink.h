/* AF_NETLINK: routing dumps for the loopback device; silent kobject events. */
#ifndef GARRISON_SENTRY_NET_NETLINK_H
#define GARRISON_SENTRY_NET_NETLINK_H

#include "sentry/net/socket.h"

int netlink_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		   struct socket **out) MUST_CHECK;

#endif
