/*
 * What rtnetlink(7) tells about the one device, lo: its link, its two addresses
 * and the routes of the local table. Requests that would change something get
 * -EPERM. Requests are hostile: lengths are checked before anything is read.
 */
#include "sentry/net/rtnetlink.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "sentry/net/netdev.h"

#define ANSWER_MAX 4096
#define LOWER_UP 0x10000
#define FOREVER 0xffffffffU

struct answer {
	struct sock_buf *b;
	struct nlmsghdr *h; /* the message under construction */
	const struct nlmsghdr *request;
	uint32_t port;
	bool multi;
	bool admin; /* may configure */
};

static void *put(struct answer *a, size_t n)
{
	void *p = a->b->data + a->b->len;

	assert(a->b->len + NLMSG_ALIGN(n) <= ANSWER_MAX);
	memset(p, 0, NLMSG_ALIGN(n));
	a->b->len += NLMSG_ALIGN(n);
	return p;
}

static void begin(struct answer *a, int type)
{
	a->h = put(a, sizeof(*a->h));
	a->h->nlmsg_type = (uint16_t)type;
	a->h->nlmsg_flags = a->multi ? NLM_F_MULTI : 0;
	a->h->nlmsg_seq = a->request->nlmsg_seq;
	a->h->nlmsg_pid = a->port;
}

static void end(struct answer *a)
{
	a->h->nlmsg_len = (uint32_t)(a->b->data + a->b->len - (unsigned char *)a->h);
}

static void attr(struct answer *a, int type, const void *data, size_t n)
{
	struct rtattr *r = put(a, RTA_LENGTH(n));

	r->rta_type = (uint16_t)type;
	r->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(r), data, n);
}

static void attr32(struct answer *a, int type, uint32_t value)
{
	attr(a, type, &value, sizeof(value));
}

static void attr8(struct answer *a, int type, uint8_t value)
{
	attr(a, type, &value, sizeof(value));
}

/* --- what there is --------------------------------------------------------------------------- */

static void link_lo(struct answer *a)
{
	static const unsigned char mac[6];
	static const struct rtnl_link_stats stats;
	static const struct rtnl_link_stats64 stats64;
	struct ifinfomsg *m;

	begin(a, RTM_NEWLINK);
	m = put(a, sizeof(*m));
	m->ifi_type = ARPHRD_LOOPBACK;
	m->ifi_index = LO_INDEX;
	m->ifi_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING | LOWER_UP;
	attr(a, IFLA_IFNAME, "lo", 3);
	attr32(a, IFLA_TXQLEN, 1000);
	attr8(a, IFLA_OPERSTATE, 0);
	attr8(a, IFLA_LINKMODE, 0);
	attr32(a, IFLA_MTU, LO_MTU);
	attr32(a, IFLA_GROUP, 0);
	attr32(a, IFLA_PROMISCUITY, 0);
	attr32(a, IFLA_NUM_TX_QUEUES, 1);
	attr32(a, IFLA_NUM_RX_QUEUES, 1);
	attr8(a, IFLA_CARRIER, 1);
	attr(a, IFLA_QDISC, "noqueue", 8);
	attr(a, IFLA_ADDRESS, mac, sizeof(mac));
	attr(a, IFLA_BROADCAST, mac, sizeof(mac));
	attr(a, IFLA_STATS64, &stats64, sizeof(stats64));
	attr(a, IFLA_STATS, &stats, sizeof(stats));
	end(a);
}

static void addr_lo(struct answer *a, int family)
{
	struct ifa_cacheinfo cache = {FOREVER, FOREVER, 0, 0};
	uint32_t v4 = htonl(INADDR_LOOPBACK);
	struct ifaddrmsg *m;

	begin(a, RTM_NEWADDR);
	m = put(a, sizeof(*m));
	m->ifa_family = (uint8_t)family;
	m->ifa_prefixlen = family == AF_INET ? 8 : 128;
	m->ifa_flags = IFA_F_PERMANENT;
	m->ifa_scope = RT_SCOPE_HOST;
	m->ifa_index = LO_INDEX;
	if (family == AF_INET) {
		attr(a, IFA_ADDRESS, &v4, sizeof(v4));
		attr(a, IFA_LOCAL, &v4, sizeof(v4));
		attr(a, IFA_LABEL, "lo", 3);
	} else {
		attr(a, IFA_ADDRESS, &in6addr_loopback, sizeof(in6addr_loopback));
	}
	attr32(a, IFA_FLAGS, IFA_F_PERMANENT);
	attr(a, IFA_CACHEINFO, &cache, sizeof(cache));
	end(a);
}

/* One route of the local table: an IPv4 network, or ::1 (prefix 128). */
static void route_local(struct answer *a, int family, uint32_t net, int prefix)
{
	uint32_t dst = htonl(net), src = htonl(INADDR_LOOPBACK);
	struct rtmsg *m;

	begin(a, RTM_NEWROUTE);
	m = put(a, sizeof(*m));
	m->rtm_family = (uint8_t)family;
	m->rtm_dst_len = (uint8_t)prefix;
	m->rtm_table = RT_TABLE_LOCAL;
	m->rtm_protocol = RTPROT_KERNEL;
	m->rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_LOCAL;
	attr32(a, RTA_TABLE, RT_TABLE_LOCAL);
	if (family == AF_INET) {
		attr(a, RTA_DST, &dst, sizeof(dst));
		attr(a, RTA_PREFSRC, &src, sizeof(src));
	} else {
		attr(a, RTA_DST, &in6addr_loopback, sizeof(in6addr_loopback));
		attr32(a, RTA_PRIORITY, 0);
	}
	attr32(a, RTA_OIF, LO_INDEX);
	end(a);
}

static bool wants(int family, int which)
{
	return family == AF_UNSPEC || family == which;
}

/* Everything of a kind and family; -EOPNOTSUPP for kinds that nobody serves. */
static int dump(struct answer *a, int type, int family)
{
	switch (type) {
	case RTM_GETLINK:
		link_lo(a);
		return 0;
	case RTM_GETADDR:
		if (wants(family, AF_INET))
			addr_lo(a, AF_INET);
		if (wants(family, AF_INET6))
			addr_lo(a, AF_INET6);
		return 0;
	case RTM_GETROUTE:
		if (wants(family, AF_INET)) {
			route_local(a, AF_INET, 0x7f000000, 8);
			route_local(a, AF_INET, INADDR_LOOPBACK, 32);
		}
		if (wants(family, AF_INET6))
			route_local(a, AF_INET6, 0, 128);
		return 0;
	case RTM_GETNEIGH:
	case RTM_GETRULE:
	case RTM_GETQDISC:
	case RTM_GETNEIGHTBL:
		return 0;
	}
	return -EOPNOTSUPP;
}

/* --- single questions -------------------------------------------------------------------------- */

/* The attribute of that type behind a fixed part of `fixed` bytes, or NULL. */
static const struct rtattr *find_attr(const struct nlmsghdr *h, size_t fixed, int type)
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(fixed);

	while (at + sizeof(struct rtattr) <= h->nlmsg_len) {
		const struct rtattr *r = (const struct rtattr *)((const char *)h + at);

		if (r->rta_len < sizeof(*r) || r->rta_len > h->nlmsg_len - at)
			return NULL;
		if ((r->rta_type & NLA_TYPE_MASK) == type)
			return r;
		at += RTA_ALIGN(r->rta_len);
	}
	return NULL;
}

static int get_link(struct answer *a)
{
	const struct ifinfomsg *m = NLMSG_DATA(a->request);
	const struct rtattr *name;

	if (a->request->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EINVAL;
	name = find_attr(a->request, sizeof(*m), IFLA_IFNAME);
	if (m->ifi_index ? m->ifi_index != LO_INDEX
			 : !name || RTA_PAYLOAD(name) < 3 || memcmp(RTA_DATA(name), "lo", 3))
		return m->ifi_index || name ? -ENODEV : -EINVAL;
	link_lo(a);
	return 0;
}

static int get_route(struct answer *a)
{
	const struct rtmsg *m = NLMSG_DATA(a->request);
	const struct rtattr *dst;
	uint32_t v4;

	if (a->request->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EINVAL;
	dst = find_attr(a->request, sizeof(*m), RTA_DST);
	if (!dst)
		return -EINVAL;
	if (m->rtm_family == AF_INET && RTA_PAYLOAD(dst) == 4) {
		memcpy(&v4, RTA_DATA(dst), 4);
		if (ntohl(v4) >> 24 != 127)
			return -ENETUNREACH;
		route_local(a, AF_INET, ntohl(v4), 32);
		return 0;
	}
	if (m->rtm_family != AF_INET6 || RTA_PAYLOAD(dst) != 16 ||
	    memcmp(RTA_DATA(dst), &in6addr_loopback, 16))
		return -ENETUNREACH;
	route_local(a, AF_INET6, 0, 128);
	return 0;
}

static int get_one(struct answer *a, int type)
{
	switch (type) {
	case RTM_GETLINK:
		return get_link(a);
	case RTM_GETROUTE:
		return get_route(a);
	}
	return -EOPNOTSUPP;
}

/* What programs do to get a loopback in a new namespace. Here it is up, with its address, from the
 * start; any other change is refused. */
static int set_up_lo(const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	const struct ifaddrmsg *addr = NLMSG_DATA(h);
	const struct rtattr *local;

	if (h->nlmsg_type == RTM_NEWLINK && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)))
		return link->ifi_index == LO_INDEX && (link->ifi_flags & IFF_UP) ? 0 : -EPERM;
	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*addr)))
		return -EPERM;
	local = find_attr(h, sizeof(*addr), IFA_LOCAL);
	if (addr->ifa_index != LO_INDEX || addr->ifa_family != AF_INET || !local ||
	    RTA_PAYLOAD(local) != 4)
		return -EPERM;
	return *(const unsigned char *)RTA_DATA(local) == 127 ? 0 : -EPERM;
}

/* Requests come in fours: new, delete, get, set. */
static int answer_request(struct answer *a)
{
	const struct nlmsghdr *h = a->request;
	int family = AF_UNSPEC;

	if (h->nlmsg_type < RTM_BASE)
		return 0;
	if ((h->nlmsg_type - RTM_BASE) % 4 != 2)
		return a->admin ? set_up_lo(h) : -EPERM;
	if (h->nlmsg_len > NLMSG_HDRLEN)
		family = *(const unsigned char *)NLMSG_DATA(h);
	a->multi = h->nlmsg_flags & NLM_F_DUMP;
	return a->multi ? dump(a, h->nlmsg_type, family) : get_one(a, h->nlmsg_type);
}

/* --- the protocol --------------------------------------------------------------------------------- */

static void put_error(struct answer *a, int error)
{
	struct nlmsgerr *e;
	size_t echo = error ? min((size_t)a->request->nlmsg_len, (size_t)1024) : sizeof(e->msg);

	a->multi = false;
	begin(a, NLMSG_ERROR);
	if (!error)
		a->h->nlmsg_flags |= 0x100; /* NLM_F_CAPPED: the request is not echoed in full */
	e = put(a, sizeof(e->error) + echo);
	e->error = error;
	memcpy(&e->msg, a->request, echo);
	end(a);
}

static void put_done(struct answer *a)
{
	begin(a, NLMSG_DONE);
	put(a, sizeof(int));
	end(a);
}

static void one_request(const struct nlmsghdr *h, uint32_t port, bool admin,
			void (*reply)(void *to, struct sock_buf *b), void *to)
{
	struct answer a = {
	    .request = h, .port = port, .admin = admin, .b = sock_buf_new(NULL, ANSWER_MAX)};
	int r;

	if (!a.b)
		return;
	a.b->len = 0;
	r = answer_request(&a);
	if (r < 0) {
		a.b->len = 0;
		put_error(&a, r);
	} else if (a.multi) {
		put_done(&a);
	} else if (h->nlmsg_flags & NLM_F_ACK) {
		put_error(&a, 0);
	}
	if (a.b->len)
		reply(to, a.b);
	else
		sock_buf_free(a.b);
}

void rtnetlink_request(const void *buf, size_t n, uint32_t port, bool admin,
		       void (*reply)(void *to, struct sock_buf *b), void *to)
{
	const char *p = buf;

	while (n >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)p;
		size_t step;

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > n)
			return;
		if (h->nlmsg_flags & NLM_F_REQUEST)
			one_request(h, port, admin, reply, to);
		step = NLMSG_ALIGN(h->nlmsg_len);
		p += min(step, n);
		n -= min(step, n);
	}
}
