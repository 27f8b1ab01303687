/* AF_INET and AF_INET6, over loopback only (inet.c says how). */
#ifndef GARRISON_SENTRY_NET_INET_H
#define GARRISON_SENTRY_NET_INET_H

#include "sentry/net/socket.h"

int inet_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		struct socket **out) MUST_CHECK;
int inet_create6(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		 struct socket **out) MUST_CHECK;

#endif
