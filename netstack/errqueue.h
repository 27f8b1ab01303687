/* The error queue of an endpoint: what MSG_ERRQUEUE reads (ip(7), IP_RECVERR). */
#ifndef GARRISON_NETSTACK_ERRQUEUE_H
#define GARRISON_NETSTACK_ERRQUEUE_H

#include "netstack/endpoint.h"

#define ERRORS_MAX 32 /* for each endpoint; further ones are dropped */

/* Not locked. -EAGAIN: empty. */
ssize_t errqueue_recv(struct ns_ep *ep, struct ns_msg *m) MUST_CHECK;
void errqueue_clear(struct ns_ep *ep);

#endif
