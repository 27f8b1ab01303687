/* Properties of addresses. Sources: RFC 1122, 1112, 4291, 2464. */
#include "netstack/addr.h"

const struct ns_ip NS_ALL_NODES = {.b = {0xff, 2, [15] = 1}};
const struct ns_ip NS_ALL_ROUTERS = {.b = {0xff, 2, [15] = 2}};

struct ns_ip ns_ip_any(enum ns_family family)
{
	return family == NS_IPV4 ? ns_ip4(0) : (struct ns_ip){};
}

bool ns_ip_is_loopback(const struct ns_ip *a)
{
	if (ns_ip_is_v4(a))
		return a->b[12] == 127;
	return a->q[0] == 0 && a->w[2] == 0 && a->w[3] == htonl(1);
}

bool ns_ip_is_multicast(const struct ns_ip *a)
{
	return ns_ip_is_v4(a) ? a->b[12] >> 4 == 0xe : a->b[0] == 0xff;
}

bool ns_ip_is_link_local(const struct ns_ip *a)
{
	if (ns_ip_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ns_ip_is_limited_broadcast(const struct ns_ip *a)
{
	return ns_ip_is_v4(a) && a->w[3] == 0xffffffff;
}

bool ns_ip_is_bad_source(const struct ns_ip *a)
{
	return ns_ip_is_multicast(a) || ns_ip_is_limited_broadcast(a) ||
	       (ns_ip_is_v4(a) && a->b[12] >= 240);
}

/* Where the family's own bits begin. */
static unsigned int first_bit(const struct ns_ip *a)
{
	return ns_ip_is_v4(a) ? 96 : 0;
}

static unsigned int common_bits(const struct ns_ip *a, const struct ns_ip *b)
{
	unsigned int bit = 0;

	for (int i = 0; i < 4; i++, bit += 32) {
		uint32_t diff = ntohl(a->w[i] ^ b->w[i]);

		if (diff)
			return bit + (unsigned int)__builtin_clz(diff);
	}
	return 128;
}

unsigned int ns_ip_common_prefix(const struct ns_ip *a, const struct ns_ip *b)
{
	if (ns_ip_is_v4(a) != ns_ip_is_v4(b))
		return 0;
	return common_bits(a, b) - first_bit(a);
}

bool ns_ip_in_prefix(const struct ns_ip *a, const struct ns_ip *net, unsigned int prefix)
{
	return ns_ip_is_v4(a) == ns_ip_is_v4(net) && ns_ip_common_prefix(a, net) >= prefix;
}

/* Sets or clears all bits from `bit` on. */
static void fill(struct ns_ip *a, unsigned int bit, bool ones)
{
	for (; bit < 128; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		a->b[bit / 8] = (uint8_t)(ones ? a->b[bit / 8] | mask : a->b[bit / 8] & ~mask);
	}
}

struct ns_ip ns_ip_network(const struct ns_ip *a, unsigned int prefix)
{
	struct ns_ip net = *a;

	fill(&net, first_bit(a) + prefix, false);
	return net;
}

struct ns_ip ns_ip_broadcast(const struct ns_ip *a, unsigned int prefix)
{
	struct ns_ip bcast = *a;

	fill(&bcast, first_bit(a) + prefix, true);
	return bcast;
}

struct ns_ip ns_ip_solicited_node(const struct ns_ip *a)
{
	struct ns_ip ip = {.b = {0xff, 2, [11] = 1, [12] = 0xff}};

	memcpy(ip.b + 13, a->b + 13, 3);
	return ip;
}

void ns_ip_multicast_mac(const struct ns_ip *a, uint8_t mac[6])
{
	if (ns_ip_is_v4(a)) {
		memcpy(mac, (uint8_t[]){0x01, 0x00, 0x5e, a->b[13] & 0x7f, a->b[14], a->b[15]}, 6);
	} else {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, a->b + 12, 4);
	}
}
