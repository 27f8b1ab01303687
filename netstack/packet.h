/* Packet endpoints (AF_PACKET), as the links see them. */
#ifndef GARRISON_NETSTACK_PACKET_H
#define GARRISON_NETSTACK_PACKET_H

#include "netstack/endpoint.h"

/* Shows a frame, complete with link header, to the packet endpoints that want it. pkttype:
 * PACKET_*. */
void packet_tap(struct ns_link *l, const struct pkt *p, uint8_t pkttype);

#endif
