/* TCP, as the rest of the stack sees it. */
#ifndef GARRISON_NETSTACK_TCP_H
#define GARRISON_NETSTACK_TCP_H

#include "netstack/endpoint.h"

/* tcp's own part of a stack: st->tcp. */
int tcp_stack_init(struct ns_stack *st) MUST_CHECK;
/* Drops connections that still linger. */
void tcp_stack_fini(struct ns_stack *st);
/* For ns_tcp_info and ns_endpoints: what the base does not know. */
void tcp_info(struct ns_ep *ep, struct ns_tcp_info *out);
void tcp_ep_info(struct ns_ep *ep, struct ns_ep_info *out);
/* The policy does not allow the flow any more: RST to the peer, `error` to the user. */
void tcp_abort(struct ns_ep *ep, int error);

#endif
