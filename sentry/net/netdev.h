/* The one network device there is so far, lo, as ioctls show it. */
#ifndef GARRISON_SENTRY_NET_NETDEV_H
#define GARRISON_SENTRY_NET_NETDEV_H

#include "sentry/core/guest_access.h"
#include "sentry/net/netns.h"

#define LO_INDEX 1
#define LO_MTU 65536

/* SIOCGIF... of netdevice(7); -ENOTTY for others. */
long netdev_ioctl(struct net_namespace *net, unsigned int cmd, uint64_t arg,
		  struct guest_access *ga);

#endif
