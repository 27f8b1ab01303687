/* What UDP, raw, ping and packet endpoints do alike. */
#ifndef GARRISON_NETSTACK_DGRAM_H
#define GARRISON_NETSTACK_DGRAM_H

#include "netstack/endpoint.h"

/* ops->recv: the next datagram; describe fills in where it came from (not locked). */
ssize_t dgram_recv(struct ns_ep *ep, struct ns_msg *m,
		   void (*describe)(const struct pkt *p, struct ns_msg *m)) MUST_CHECK;
/* The addresses and meta data of an IP packet; the port is 0. */
void dgram_describe(const struct pkt *p, struct ns_msg *m);
int dgram_shutdown(struct ns_ep *ep, int how);
uint32_t dgram_poll(struct ns_ep *ep);
/* What has to be true before anything is sent: no pending error, not shut down, room. */
int dgram_may_send(struct ns_ep *ep) MUST_CHECK;

#endif
