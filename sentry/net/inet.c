/* AF_INET and AF_INET6: not there yet. */
#include "sentry/net/inet.h"

#include <errno.h>

int inet_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		struct socket **out)
{
	return -EAFNOSUPPORT;
}

int inet_create6(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		 struct socket **out)
{
	return -EAFNOSUPPORT;
}
