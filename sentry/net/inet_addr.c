/* Internet addresses: from and to guests, and what kind they are. */
#include <errno.h>
#include <string.h>

#include "sentry/net/inet.h"

#define SIN6_LEN_RFC2133 24

static void map_v4(uint32_t net_order, struct in6_addr *out)
{
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], &net_order, 4);
}

static uint32_t v4_host(const struct inet_addr *a)
{
	uint32_t net_order;

	memcpy(&net_order, &a->ip.s6_addr[12], 4);
	return ntohl(net_order);
}

bool inet_is_v4(const struct inet_addr *a)
{
	return IN6_IS_ADDR_V4MAPPED(&a->ip);
}

bool inet_is_any(const struct inet_addr *a)
{
	return inet_is_v4(a) ? v4_host(a) == 0 : IN6_IS_ADDR_UNSPECIFIED(&a->ip);
}

bool inet_is_loopback(const struct inet_addr *a)
{
	return inet_is_v4(a) ? v4_host(a) >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(&a->ip);
}

bool inet_is_multicast(const struct inet_addr *a)
{
	return inet_is_v4(a) ? v4_host(a) >> 28 == 14 : IN6_IS_ADDR_MULTICAST(&a->ip);
}

bool inet_ip_equal(const struct inet_addr *a, const struct inet_addr *b)
{
	return !memcmp(&a->ip, &b->ip, sizeof(a->ip));
}

void inet_addr_any(int domain, struct inet_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (domain == AF_INET)
		map_v4(0, &out->ip);
}

int inet_destination(struct inet_addr *a)
{
	if (inet_is_any(a)) {
		if (inet_is_v4(a))
			map_v4(htonl(INADDR_LOOPBACK), &a->ip);
		else
			a->ip = in6addr_loopback;
	}
	return inet_is_loopback(a) ? 0 : -ENETUNREACH;
}

void inet_source(const struct inet_addr *to, struct inet_addr *out)
{
	if (inet_is_v4(to))
		map_v4(htonl(INADDR_LOOPBACK), &out->ip);
	else
		out->ip = in6addr_loopback;
}

int inet_addr_parse(const struct inet_socket *s, const struct sock_addr *from,
		    struct inet_addr *out)
{
	bool v6 = s->sock.domain == AF_INET6;

	if (from->len < (v6 ? SIN6_LEN_RFC2133 : sizeof(struct sockaddr_in)))
		return -EINVAL;
	/* Linux takes AF_UNSPEC with the wildcard as AF_INET, for old programs' sake. */
	if (!v6 && (from->sa.sa_family == AF_INET ||
		    (from->sa.sa_family == AF_UNSPEC && !from->in.sin_addr.s_addr))) {
		map_v4(from->in.sin_addr.s_addr, &out->ip);
		out->port = ntohs(from->in.sin_port);
		return 0;
	}
	if (!v6 || from->sa.sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	out->ip = from->in6.sin6_addr;
	out->port = ntohs(from->in6.sin6_port);
	return 0;
}

void inet_addr_format(int domain, const struct inet_addr *addr, struct sock_addr *out)
{
	memset(out->raw, 0, sizeof(out->in6));
	if (domain == AF_INET) {
		out->len = sizeof(out->in);
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(addr->port);
		memcpy(&out->in.sin_addr, &addr->ip.s6_addr[12], 4);
		return;
	}
	out->len = sizeof(out->in6);
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons(addr->port);
	out->in6.sin6_addr = addr->ip;
}
