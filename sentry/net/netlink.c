/* AF_NETLINK: not there yet. */
#include "sentry/net/netlink.h"

#include <errno.h>

int netlink_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		   struct socket **out)
{
	return -EAFNOSUPPORT;
}
