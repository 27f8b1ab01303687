/* Neighbour discovery, router discovery and address configuration of IPv6 (RFC 4861, 4862). */
#ifndef GARRISON_NETSTACK_ND_H
#define GARRISON_NETSTACK_ND_H

#include "netstack/ip.h"

void nd_link_init(struct ns_link *l);
void nd_link_fini(struct ns_link *l);
void nd_link_up(struct ns_link *l);
void nd_link_down(struct ns_link *l);
/* A new address: probes it if it is tentative, and watches its lifetime. */
void nd_addr_start(struct ifaddr *a);
void nd_addr_stop(struct ifaddr *a);
/* Takes a neighbour discovery message whose checksum and hop limit (255) were checked. */
void nd_receive(struct ns_stack *st, struct pkt *p, const struct ip_info *ip, uint8_t type);

#endif
