/* AF_NETLINK: routing dumps for the loopback device; silent kobject events. */
#ifndef GARRISON_SENTRY_NET_NETLINK_H
#define GARRISON_SENTRY_NET_NETLINK_H

#include "sentry/net/socket.h"

int netlink_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		   struct socket **out) MUST_CHECK;

/* A message from the kernel to a netlink socket: mq_notify(2)'s cookies. */
void netlink_deliver(struct socket *s, const void *data, size_t n);

#endif
