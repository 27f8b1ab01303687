/*
 * Headers as they lie in packets: packed, network order, so that they may stand at any
 * address. Sources: RFC 791, 792, 826, 768, 8200, 4443, 4861, 9293, IEEE 802.3.
 */
#ifndef GARRISON_NETSTACK_WIRE_H
#define GARRISON_NETSTACK_WIRE_H

#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>

#define PACKED __attribute__((packed))

#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IP6 0x86dd
#define ETHERTYPE_ALL 0x0003 /* ETH_P_ALL: packet endpoints that see everything */

struct ether_header {
	uint8_t dst[6], src[6];
	uint16_t type;
} PACKED;

struct arp_header {
	uint16_t hardware, protocol;
	uint8_t hardware_len, protocol_len;
	uint16_t op;
	uint8_t sender_mac[6];
	uint32_t sender_ip;
	uint8_t target_mac[6];
	uint32_t target_ip;
} PACKED;

#define ARP_REQUEST 1
#define ARP_REPLY 2

struct ip4_header {
	uint8_t version_ihl, tos;
	uint16_t total_len, id, frag;
	uint8_t ttl, protocol;
	uint16_t csum;
	uint32_t src, dst;
} PACKED;

#define IP4_DF 0x4000
#define IP4_MF 0x2000
#define IP4_OFFSET 0x1fff

struct ip6_header {
	uint32_t version_class_label;
	uint16_t payload_len;
	uint8_t next, hops;
	uint8_t src[16], dst[16];
} PACKED;

struct ip6_frag_header {
	uint8_t next, reserved;
	uint16_t off; /* offset << 3 | more */
	uint32_t id;
} PACKED;

struct icmp_header {
	uint8_t type, code;
	uint16_t csum;
	union {
		struct {
			uint16_t id, seq;
		} PACKED echo;
		struct {
			uint16_t unused, mtu;
		} PACKED frag;
		uint32_t word; /* IPv6: MTU, pointer */
	} PACKED;
} PACKED;

struct udp_header {
	uint16_t sport, dport, len, csum;
} PACKED;

struct tcp_header {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t off; /* data offset << 4 */
	uint8_t flags;
	uint16_t window, csum, urgent;
} PACKED;

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

/* neighbour discovery */
struct nd_header {		 /* solicitation, advertisement */
	struct icmp_header icmp; /* word: flags of an advertisement */
	uint8_t target[16];
} PACKED;

struct nd_ra_header {
	uint8_t type, code;
	uint16_t csum;
	uint8_t hop_limit, flags;
	uint16_t lifetime;
	uint32_t reachable_ms, retrans_ms;
} PACKED;

struct nd_prefix_option {
	uint8_t type, len, prefix_len, flags;
	uint32_t valid, preferred, reserved;
	uint8_t prefix[16];
} PACKED;

static_assert(sizeof(struct ether_header) == 14 && sizeof(struct arp_header) == 28, "");
static_assert(sizeof(struct ip4_header) == 20 && sizeof(struct ip6_header) == 40, "");
static_assert(sizeof(struct icmp_header) == 8 && sizeof(struct udp_header) == 8, "");
static_assert(sizeof(struct tcp_header) == 20 && sizeof(struct nd_ra_header) == 16, "");
static_assert(sizeof(struct nd_prefix_option) == 32 && sizeof(struct nd_header) == 24, "");

#endif
