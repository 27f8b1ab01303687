/* TCP endpoints. */
#include "netstack/tcp.h"

int tcp_stack_init(struct ns_stack *st)
{
	return 0;
}

void tcp_stack_fini(struct ns_stack *st)
{
}

void tcp_info(struct ns_ep *ep, struct ns_tcp_info *out)
{
}

void tcp_ep_info(struct ns_ep *ep, struct ns_ep_info *out)
{
}

void tcp_abort(struct ns_ep *ep, int error)
{
}

int tcp_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out)
{
	return -EPROTONOSUPPORT;
}

static void tcp_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	pkt_free(p);
}

static void tcp_error(struct ns_stack *st, const struct ip_error *e)
{
}

const struct ip_proto tcp_proto = {IPPROTO_TCP, tcp_input, tcp_error};
