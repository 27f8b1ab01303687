/* Addresses: what kind they are, comparison, prefixes. IPv4 is mapped (netstack.h). */
#ifndef GARRISON_NETSTACK_ADDR_H
#define GARRISON_NETSTACK_ADDR_H

#include <arpa/inet.h>
#include <string.h>

#include "netstack/netstack.h"

static inline bool ns_ip_equal(const struct ns_ip *a, const struct ns_ip *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static inline bool ns_ip_is_v4(const struct ns_ip *a)
{
	return a->q[0] == 0 && a->w[2] == htonl(0xffff);
}

/* `be` in network order. */
static inline struct ns_ip ns_ip4(uint32_t be)
{
	return (struct ns_ip){.w = {0, 0, htonl(0xffff), be}};
}

static inline struct ns_ip ns_ip4_host(uint32_t host)
{
	return ns_ip4(htonl(host));
}

/* The IPv4 address in host order. */
static inline uint32_t ns_ip4_value(const struct ns_ip *a)
{
	return ntohl(a->w[3]);
}

static inline struct ns_ip ns_ip6(const void *bytes)
{
	struct ns_ip ip;

	memcpy(ip.b, bytes, 16);
	return ip;
}

static inline enum ns_family ns_ip_family(const struct ns_ip *a)
{
	return ns_ip_is_v4(a) ? NS_IPV4 : NS_IPV6;
}

/* All zero: not given at all, and IPv6's "::". */
static inline bool ns_ip_is_zero(const struct ns_ip *a)
{
	return a->q[0] == 0 && a->q[1] == 0;
}

/* The wildcard of either family. */
static inline bool ns_ip_is_any(const struct ns_ip *a)
{
	return a->q[0] == 0 && (a->q[1] == 0 || (ns_ip_is_v4(a) && a->w[3] == 0));
}

struct ns_ip ns_ip_any(enum ns_family family);
bool ns_ip_is_loopback(const struct ns_ip *a);
bool ns_ip_is_multicast(const struct ns_ip *a);
bool ns_ip_is_link_local(const struct ns_ip *a); /* unicast */
bool ns_ip_is_limited_broadcast(const struct ns_ip *a);
/* Can be no host's address: a source like this is a forgery (RFC 1122 3.2.1.3, RFC 4291). */
bool ns_ip_is_bad_source(const struct ns_ip *a);
/* The first `prefix` bits, counted within the family's own address, are the same. Different
 * families never match. */
bool ns_ip_in_prefix(const struct ns_ip *a, const struct ns_ip *net, unsigned int prefix);
/* a with all bits after the prefix cleared. */
struct ns_ip ns_ip_network(const struct ns_ip *a, unsigned int prefix);
/* The number of leading bits that are the same, within the family. */
unsigned int ns_ip_common_prefix(const struct ns_ip *a, const struct ns_ip *b);
/* IPv4: the directed broadcast address of the prefix. */
struct ns_ip ns_ip_broadcast(const struct ns_ip *a, unsigned int prefix);
/* ff02::1:ffXX:XXXX */
struct ns_ip ns_ip_solicited_node(const struct ns_ip *a);
/* The Ethernet group of a multicast address (RFC 1112 6.4, RFC 2464 7). */
void ns_ip_multicast_mac(const struct ns_ip *a, uint8_t mac[6]);

extern const struct ns_ip NS_ALL_NODES, NS_ALL_ROUTERS; /* ff02::1, ff02::2 */

#endif
