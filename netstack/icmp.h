/* Between icmp.c (ICMP for IPv4, and errors that we send) and icmp6.c. */
#ifndef GARRISON_NETSTACK_ICMP_H
#define GARRISON_NETSTACK_ICMP_H

#include "netstack/ip.h"

#define ICMP4_ECHO_REPLY 0
#define ICMP4_UNREACHABLE 3
#define ICMP4_ECHO 8
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER 12

#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAMETER 4
#define ICMP6_ECHO 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_MLD_QUERY 130
#define ICMP6_MLD_REPORT 131
#define ICMP6_MLD_DONE 132
#define ICMP6_ROUTER_SOLICIT 133
#define ICMP6_ROUTER_ADVERT 134
#define ICMP6_NEIGHBOUR_SOLICIT 135
#define ICMP6_NEIGHBOUR_ADVERT 136
#define ICMP6_REDIRECT 137
#define ICMP6_MLD2_REPORT 143

struct icmp_error_kind {
	int error;
	bool hard;
};

/* Answers the echo request at ip->l4 with the given reply type. Does not take p. */
void icmp_echo_reply(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
		     uint8_t type);
/* An error message about a packet of ours: finds the quote and reports it. */
void icmp_report(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
		 const struct icmp_error_kind *kind, uint32_t mtu);
/* Sends an ICMPv6 message, header and all; takes p. */
void icmp6_send(struct ns_link *l, struct pkt *p, const struct ns_ip *src, const struct ns_ip *dst,
		bool router_alert);

#endif
