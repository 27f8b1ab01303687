/*
 * What transport protocols see of IP, of either version.
 *
 * Receiving: a protocol's `input` gets the packet with all headers still there and the offset
 * of its own; it owns the packet. Checksums are its affair (csum_verify). Before that, IP has
 * checked the header, the addresses (no forged sources), that the packet is for us, and has
 * reassembled it. `error` gets what an ICMP message quoted of a packet of ours, already
 * matched to our address; the protocol must check that it belongs to a live flow before it
 * believes anything.
 *
 * Sending: fill in a packet's payload and transport header, csum_partial, then ip_output with
 * the path from ip_route.
 */
#ifndef GARRISON_NETSTACK_IP_H
#define GARRISON_NETSTACK_IP_H

#include "netstack/route.h"

/* Of a received packet. */
struct ip_info {
	struct ns_link *link;
	struct ns_ip src, dst;
	enum ns_family family;
	uint8_t protocol, ttl, tos; /* tos: traffic class */
	uint32_t flow_label;
	uint32_t l4; /* where the transport header begins in the packet */
	bool broadcast, multicast;
	bool gateway;		/* to an address that is not ours, for a gate */
	const uint8_t *options; /* IPv4, raw; valid during the call */
	uint8_t options_len;
};

/* An ICMP error about a packet that we sent. */
struct ip_error {
	struct ns_ip local, remote; /* of the quoted packet: its source and destination */
	uint8_t protocol;
	int error; /* positive errno */
	bool hard; /* fatal for unconnected or connected datagrams alike (RFC 1122 4.2.3.9) */
	/* Too big: the path MTU that it claims, to be learned once the flow is known to be alive. */
	uint32_t mtu;
	uint8_t origin, type, code; /* as struct sock_extended_err */
	struct ns_ip offender;	    /* who said so; any: we ourselves */
	struct ns_link *link;
	const struct pkt *quote; /* borrowed: at l4 the first bytes of the transport header */
	size_t l4;
};

struct ip_proto {
	uint8_t number;
	void (*input)(struct ns_stack *st, struct pkt *p, const struct ip_info *ip);
	void (*error)(struct ns_stack *st, const struct ip_error *e);
};

extern const struct ip_proto icmp_proto, icmp6_proto, igmp_proto, udp_proto, tcp_proto;

/* How a packet is to be sent. */
struct ip_send {
	const struct ip_path *path;
	struct ns_ip src, dst; /* src any: path->src */
	uint8_t protocol;
	int ttl; /* -1: default (64; multicast 1) */
	uint8_t tos;
	uint32_t flow_label;
	bool dont_fragment;   /* IPv4: DF; IPv6: no fragment header */
	bool prefer_df;	      /* IPv4: DF if it fits, fragments if it does not (IP_PMTUDISC_WANT) */
	bool ignore_path_mtu; /* IP_PMTUDISC_PROBE, INTERFACE: only the link's MTU counts */
	bool router_alert;    /* IGMP, MLD */
	bool no_multicast_loop; /* our own members do not get it */
};

/* Takes p, a transport segment. 0, -EMSGSIZE (with dont_fragment), -ENOBUFS. The packet is
 * gone in any case. Large segments (off.gso) count with gso_size. */
int ip_output(struct ns_stack *st, struct pkt *p, const struct ip_send *s);
/* Takes a whole IP packet with its header, as raw endpoints with IP_HDRINCL write it. */
int ip_output_raw(struct ns_stack *st, struct pkt *p, const struct ip_path *path) MUST_CHECK;
/* The header that ip_output puts before a packet, without extension headers. */
static inline uint32_t ip_header_size(const struct ns_ip *dst)
{
	return ns_ip_is_v4(dst) ? 20 : 40;
}

/* Takes a packet that could not be delivered to its neighbour: tells who sent it. */
void ip_unreachable(struct ns_stack *st, struct pkt *p);

/* A packet for us that nobody wants, or that policy refuses: an ICMP error to its sender, if
 * one may be sent at all (RFC 1122 3.2.2, RFC 4443 2.4 (e)) and the rate permits. Does not take
 * p. */
enum icmp_reason {
	ICMP_NO_PORT,
	ICMP_NO_PROTOCOL,
	ICMP_PROHIBITED,
	ICMP_REASSEMBLY_TIMEOUT,
	ICMP_BAD_HEADER, /* parameter problem; `where` is the pointer */
	ICMP_BAD_NEXT_HEADER,
	ICMP_BAD_OPTION,
};
void icmp_send_error(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
		     enum icmp_reason reason, uint32_t where);

/* per version: takes p at its IP header */
void ip4_receive(struct ns_link *l, struct pkt *p);
void ip6_receive(struct ns_link *l, struct pkt *p);
int ip4_output(struct ns_stack *st, struct pkt *p, const struct ip_send *s);
int ip6_output(struct ns_stack *st, struct pkt *p, const struct ip_send *s);
/* Takes a complete IP packet to dst and gives it to the link: lo, Ethernet by neighbour or group;
 * a copy for our own members of the group unless no_loop. */
void ip_transmit(struct ns_stack *st, struct pkt *p, const struct ip_path *path,
		 const struct ns_ip *dst, bool no_loop);
/* Whose is a received packet of which src, dst are known? Sets broadcast, multicast, gateway. */
enum ip_fate { IP_MINE, IP_OTHERS, IP_FORGED };
enum ip_fate ip_classify(struct ns_link *l, const struct pkt *p, struct ip_info *ip);
/* Moves *at over IPv6 extension headers and sets *next; -EINVAL: malformed, or a later fragment. */
int ip6_skip_extensions(const struct pkt *p, size_t *at, uint8_t *next) MUST_CHECK;
/* Fills in local, remote, protocol, quote, l4 from an IP packet at `off`; false: unusable. */
bool ip_parse_quote(const struct pkt *p, size_t off, struct ip_error *e) MUST_CHECK;
/* Tells raw endpoints and the protocol. */
void ip_report(struct ns_stack *st, const struct ip_error *e);
const struct ip_proto *ip_proto_find(uint8_t number);
/* Reads the header of a packet that was received before: what a receive queue needs to know. */
void ip_reread(const struct pkt *p, struct ip_info *ip);
/* Hands a packet to raw endpoints and its protocol; takes it. */
void ip_deliver(struct ns_stack *st, struct pkt *p, const struct ip_info *ip);

#endif
