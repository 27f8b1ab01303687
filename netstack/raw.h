/* Raw and ping endpoints, as IP sees them. */
#ifndef GARRISON_NETSTACK_RAW_H
#define GARRISON_NETSTACK_RAW_H

#include "netstack/endpoint.h"

/* Gives clones of a packet for us to the raw endpoints of its protocol; true: there were any. */
bool raw_deliver(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip);
/* An ICMP error about a packet of that protocol; about an echo request of a ping endpoint. */
void ping_error(struct ns_stack *st, const struct ip_error *e);
void raw_error(struct ns_stack *st, const struct ip_error *e);
/* An echo reply for a ping endpoint; does not take p. True: it was one of ours. */
bool ping_deliver(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip, uint16_t id);

#endif
