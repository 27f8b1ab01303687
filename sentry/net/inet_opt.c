/*
 * Options of the levels IPPROTO_IP, IPPROTO_IPV6 and IPPROTO_TCP. Most mean nothing
 * on loopback: they are checked, kept and read back by a table. Joining multicast
 * groups is refused, as lo has no multicast.
 */
#include <errno.h>
#include <linux/in6.h>
#include <netinet/tcp.h>
#include <string.h>

#include "sentry/net/inet.h"

#define OPT_TCP_INQ 36
#define OPT_SEND_CSCOV 10
#define OPT_RECV_CSCOV 11
#define OPT_TCP_ULP 31
#define OPT_IP_BIND_NO_PORT 24
#define OPT_IP_LOCAL_PORT_RANGE 51
#define OPT_IPV6_DONTFRAG 62
#define OPT_IPV6_AUTOFLOWLABEL 70
#define OPT_IPV6_FREEBIND 78
#define OPT_IPV6_MULTICAST_ALL 29

#define FLAG_MAX -1 /* any value counts as true */

static const struct inet_opt {
	int level, name;
	int initial, smallest, largest; /* largest FLAG_MAX: a flag */
} table[] = {
    {IPPROTO_IP, IP_TOS, 0, 0, 255},
    {IPPROTO_IP, IP_TTL, 64, -1, 255},
    {IPPROTO_IP, IP_RECVOPTS, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_RETOPTS, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_PKTINFO, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, 0, 5},
    {IPPROTO_IP, IP_RECVERR, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_RECVTTL, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_RECVTOS, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_FREEBIND, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_RECVORIGDSTADDR, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_MINTTL, 0, 0, 255},
    {IPPROTO_IP, IP_NODEFRAG, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_CHECKSUM, 0, 0, FLAG_MAX},
    {IPPROTO_IP, OPT_IP_BIND_NO_PORT, 0, 0, FLAG_MAX},
    {IPPROTO_IP, IP_MULTICAST_TTL, 1, -1, 255},
    {IPPROTO_IP, IP_MULTICAST_LOOP, 1, 0, FLAG_MAX},
    {IPPROTO_IP, IP_MULTICAST_ALL, 1, 0, 1},
    {IPPROTO_IP, OPT_IP_LOCAL_PORT_RANGE, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, -1, 255},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, -1, 255},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 1},
    {IPPROTO_IPV6, OPT_IPV6_MULTICAST_ALL, 1, 0, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_IF, 0, 0, 1},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1, 0, 5},
    {IPPROTO_IPV6, IPV6_RECVERR, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_V6ONLY, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_RECVRTHDR, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_RECVHOPOPTS, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_RECVDSTOPTS, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, IPV6_TCLASS, 0, -1, 255},
    {IPPROTO_IPV6, OPT_IPV6_DONTFRAG, 0, 0, FLAG_MAX},
    {IPPROTO_IPV6, OPT_IPV6_AUTOFLOWLABEL, 1, 0, FLAG_MAX},
    {IPPROTO_IPV6, OPT_IPV6_FREEBIND, 0, 0, FLAG_MAX},
    {IPPROTO_TCP, TCP_NODELAY, 0, 0, FLAG_MAX},
    {IPPROTO_TCP, TCP_MAXSEG, 65483, 88, 32767},
    {IPPROTO_TCP, TCP_CORK, 0, 0, FLAG_MAX},
    {IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPCNT, 9, 1, 127},
    {IPPROTO_TCP, TCP_SYNCNT, 6, 1, 127},
    {IPPROTO_TCP, TCP_LINGER2, 60, INT32_MIN, INT32_MAX},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0, INT32_MAX},
    {IPPROTO_TCP, TCP_QUICKACK, 1, 0, FLAG_MAX},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0, 0, 1},
    {IPPROTO_TCP, TCP_THIN_DUPACK, 0, 0, 1},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, INT32_MAX},
    {IPPROTO_TCP, TCP_FASTOPEN, 0, 0, INT32_MAX},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, 0, 1},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_TCP, TCP_SAVE_SYN, 0, 0, 2},
    {IPPROTO_TCP, OPT_TCP_INQ, 0, 0, 1},
    {IPPROTO_UDPLITE, OPT_SEND_CSCOV, 0, 0, 65535},
    {IPPROTO_UDPLITE, OPT_RECV_CSCOV, 0, 0, 65535},
};
static_assert(ARRAY_SIZE(table) <= INET_OPTIONS, "room for all options");

void inet_option_defaults(struct inet_socket *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		s->option[i] = table[i].initial;
}

static int find(int level, int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].level == level && table[i].name == name)
			return (int)i;
	return -1;
}

int inet_option_value(const struct inet_socket *s, int level, int name)
{
	int i = find(level, name);

	return i < 0 ? 0 : s->option[i];
}

/* At level IP an option may also be a single byte. */
static int value_in(const struct sock_option *o, int *value)
{
	if (o->level == IPPROTO_IP && o->len >= 1 && o->len < sizeof(int)) {
		*value = *(unsigned char *)o->value;
		return 0;
	}
	return sock_option_get_int(o, value);
}

static int value_out(struct sock_option *o, int value)
{
	unsigned char byte = (unsigned char)value;

	if (o->level == IPPROTO_IP && o->len >= 1 && o->len < sizeof(int) && value >= 0 &&
	    value <= 255)
		return sock_option_bytes(o, &byte, 1);
	return sock_option_int(o, value);
}

/* Best effort, bulk, interactive, interactive bulk: by the old type-of-service bits. */
static int tos_priority(int tos)
{
	static const int priority[] = {0, 2, 6, 4};

	return priority[(tos >> 3) & 3];
}

static int table_set(struct inet_socket *s, int i, const struct sock_option *o)
{
	const struct inet_opt *t = &table[i];
	int value, r = value_in(o, &value);

	if (r)
		return r;
	if (t->level == IPPROTO_IPV6 && t->name == IPV6_V6ONLY && s->bound)
		return -EINVAL;
	if (t->largest == FLAG_MAX)
		value = value != 0;
	else if (value < t->smallest || value > t->largest)
		return -EINVAL;
	if (t->level == IPPROTO_IP && t->name == IP_TTL && !value)
		return -EINVAL;
	if (t->level == IPPROTO_UDPLITE && value && value < 8) /* the header at least */
		value = 8;
	if (value == -1 && t->smallest == -1) /* back to the default */
		value = t->initial;
	s->option[i] = value;
	if (t->level == IPPROTO_IP && t->name == IP_TOS)
		s->sock.set.priority = tos_priority(value);
	return 0;
}

/* --- the others --------------------------------------------------------------------------------- */

static int tcp_info(struct inet_socket *s, struct sock_option *o)
{
	struct tcp_info info = {
	    .tcpi_state = (uint8_t)inet_tcp_state(s),
	    .tcpi_options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE,
	    .tcpi_snd_wscale = 7,
	    .tcpi_rcv_wscale = 7,
	    .tcpi_rto = 200000,
	    .tcpi_ato = 40000,
	    .tcpi_snd_mss = 32768,
	    .tcpi_rcv_mss = 536,
	    .tcpi_pmtu = 65535,
	    .tcpi_rcv_ssthresh = 65483,
	    .tcpi_rtt = 30,
	    .tcpi_rttvar = 15,
	    .tcpi_snd_ssthresh = INT32_MAX,
	    .tcpi_snd_cwnd = 10,
	    .tcpi_advmss = 65483,
	    .tcpi_reordering = 3,
	    .tcpi_rcv_space = 65495,
	};

	if (atomic_load(&s->sock.state) == SOCK_LISTENING) {
		info.tcpi_unacked = s->sock.accept_count;
		info.tcpi_sacked = s->sock.backlog;
	}
	return sock_option_bytes(o, &info, sizeof(info));
}

static int congestion(struct sock_option *o)
{
	char name[16] = "cubic";

	if (!o->set)
		return sock_option_bytes(o, name, sizeof(name));
	memset(name, 0, sizeof(name));
	memcpy(name, o->value, o->len < sizeof(name) ? o->len : sizeof(name) - 1);
	return !strcmp(name, "cubic") || !strcmp(name, "reno") ? 0 : -ENOENT;
}

static int tcp_special(struct inet_socket *s, struct sock_option *o)
{
	switch (o->name) {
	case TCP_INFO:
		return o->set ? -ENOPROTOOPT : tcp_info(s, o);
	case TCP_CONGESTION:
		return congestion(o);
	case OPT_TCP_ULP:
		return o->set ? -ENOENT : sock_option_bytes(o, "", 0);
	}
	return -ENOPROTOOPT;
}

static int ip_special(struct inet_socket *s, struct sock_option *o)
{
	struct in_addr any = {0};

	switch (o->name) {
	case IP_MULTICAST_IF:
		return o->set ? 0 : sock_option_bytes(o, &any, sizeof(any));
	case IP_ADD_MEMBERSHIP:
	case IP_ADD_SOURCE_MEMBERSHIP:
	case MCAST_JOIN_GROUP:
	case MCAST_JOIN_SOURCE_GROUP:
		return o->set ? -ENODEV : -ENOPROTOOPT;
	case IP_DROP_MEMBERSHIP:
	case MCAST_LEAVE_GROUP:
		return o->set ? -EADDRNOTAVAIL : -ENOPROTOOPT;
	case IP_TRANSPARENT:
		return o->set ? -EPERM : sock_option_int(o, 0);
	case IP_MTU:
		return o->set		? -ENOPROTOOPT
		       : s->remote.port ? sock_option_int(o, 65535)
					: -ENOTCONN;
	case IP_OPTIONS:
		return o->set ? (o->len ? -EINVAL : 0) : sock_option_bytes(o, "", 0);
	}
	return -ENOPROTOOPT;
}

static int ip6_special(struct inet_socket *s, struct sock_option *o)
{
	switch (o->name) {
	case IPV6_ADD_MEMBERSHIP:
	case MCAST_JOIN_GROUP:
		return o->set ? -ENODEV : -ENOPROTOOPT;
	case IPV6_DROP_MEMBERSHIP:
	case MCAST_LEAVE_GROUP:
		return o->set ? -EADDRNOTAVAIL : -ENOPROTOOPT;
	case IPV6_TRANSPARENT:
		return o->set ? -EPERM : sock_option_int(o, 0);
	case IPV6_MTU:
		return o->set ? 0 : s->remote.port ? sock_option_int(o, 65536) : -ENOTCONN;
	}
	return -ENOPROTOOPT;
}

int inet_option(struct socket *sock, struct sock_option *o)
{
	struct inet_socket *s = inet_of(sock);
	int i = find(o->level, o->name);

	if ((o->level == IPPROTO_TCP && s->protocol != INET_TCP) ||
	    (o->level == IPPROTO_UDP && s->protocol != INET_UDP) ||
	    (o->level == IPPROTO_UDPLITE && s->protocol != INET_UDPLITE) ||
	    (o->level == IPPROTO_IPV6 && sock->domain != AF_INET6))
		return o->set ? -ENOPROTOOPT : -EOPNOTSUPP;
	if (i >= 0)
		return o->set ? table_set(s, i, o) : value_out(o, s->option[i]);
	switch (o->level) {
	case IPPROTO_TCP:
		return tcp_special(s, o);
	case IPPROTO_IP:
		return ip_special(s, o);
	case IPPROTO_IPV6:
		return ip6_special(s, o);
	case IPPROTO_UDP:
		return -ENOPROTOOPT;
	}
	return o->set ? -ENOPROTOOPT : -EOPNOTSUPP;
}
