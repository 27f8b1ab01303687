/*
 * Raw endpoints (raw(7), ipv6(7)) and ping endpoints (icmp(7)'s SOCK_DGRAM).
 *
 * A raw endpoint gets a clone of every packet for us of its protocol that matches its
 * addresses: IPv4 with the header, IPv6 without. A ping endpoint owns an echo identifier, which
 * stands where UDP has a port, sends echo requests only, and gets their replies.
 */
#include "netstack/raw.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "netstack/checksum.h"
#include "netstack/dgram.h"
#include "netstack/icmp.h"
#include "netstack/mcast.h"
#include "netstack/wire.h"

#define RAW_MAX 65535

struct raw_ep {
	struct ns_ep ep;
};

/* --- addresses ---------------------------------------------------------------------------- */

static bool id_taken(struct ns_ep *ep, uint16_t id)
{
	struct ns_ep *other;

	list_for_each (other, &ep->st->endpoints[NS_PING], all_node) {
		if (other != ep && other->bound && other->conn.key.lport == id &&
		    other->protocol == ep->protocol)
			return true;
	}
	return false;
}

static int choose_id(struct ns_ep *ep)
{
	uint16_t start = (uint16_t)stack_random32(ep->st);

	for (uint32_t i = 0; i < 65536; i++) {
		uint16_t id = (uint16_t)(start + i);

		if (id && !id_taken(ep, id)) {
			ep->conn.key.lport = id;
			ep->bound = true;
			return 0;
		}
	}
	return -EADDRINUSE;
}

static int raw_bind(struct ns_ep *ep, const struct ns_addr *local)
{
	struct ns_ip ip;
	int err;

	if (ep->kind == NS_PING && ep->bound)
		return -EINVAL;
	err = ep_check_local(ep, local, &ip);
	if (err < 0)
		return err;
	if (ep->kind == NS_PING && local->port) {
		if (id_taken(ep, local->port))
			return -EADDRINUSE;
		ep->conn.key.lport = local->port;
		ep->bound = ep->explicit_port = true;
	} else if (ep->kind == NS_PING) {
		err = choose_id(ep);
	}
	ep->conn.key.local = ip;
	ep->explicit_ip = !ns_ip_is_any(&ip);
	return err;
}

static int raw_connect(struct ns_ep *ep, const struct ns_addr *remote)
{
	struct ns_ip any = ns_ip_any(ep->family);
	struct ns_addr to;
	int err;

	ep->connected = false;
	ep->conn.key.remote = any;
	ep->conn.key.rport = 0;
	if (!ep->explicit_ip)
		ep->conn.key.local = any;
	if (!remote)
		return 0;
	to = *remote;
	to.port = 0;
	err = ep_check_remote(ep, remote, &to.ip);
	if (err == 0)
		err = ep_route(ep, &ep->conn.key.local, &to, 0, &ep->path);
	if (err < 0)
		return err;
	ep->conn.key.local = ep->path.src;
	ep->conn.key.remote = to.ip;
	ep->conn.key.rport = remote->port;
	ep->ifindex = to.ifindex;
	ep->connected = true;
	return ep->kind == NS_PING && !ep->bound ? choose_id(ep) : 0;
}

/* --- sending --------------------------------------------------------------------------------- */

static int destination(struct ns_ep *ep, const struct ns_msg *m, struct ns_addr *to)
{
	if (!m->has_addr) {
		if (!ep->connected)
			return -EDESTADDRREQ;
		*to = (struct ns_addr){ep->conn.key.remote, 0, ep->ifindex};
		return 0;
	}
	*to = m->addr;
	to->port = 0;
	return ep_check_remote(ep, &m->addr, &to->ip);
}

/* What kind of ICMP message goes out is part of what the policy judges. */
static void note_icmp_type(struct ns_ep *ep, const struct pkt *p)
{
	uint8_t copy = 0, type;
	const uint8_t *first = PKT_PEEK(p, 0, &copy);

	if (ep->protocol != IPPROTO_ICMP && ep->protocol != IPPROTO_ICMPV6)
		return;
	type = first ? *first : 0;
	if (type != ep->icmp_type)
		ep->judged = false;
	ep->icmp_type = type;
}

/* The checksum that the kernel computes for IPv6: ICMPv6's always, others' if asked for. */
static int put_checksum6(struct ns_ep *ep, struct pkt *p, const struct ip_path *path,
			 const struct ns_ip *dst)
{
	int at = ep->protocol == IPPROTO_ICMPV6 ? 2 : ep->opt[NS_IPV6_CHECKSUM];

	if (at < 0)
		return 0;
	if ((size_t)at + 2 > p->len)
		return -EINVAL;
	csum_partial(p, (size_t)at, &path->src, dst, (uint8_t)ep->protocol);
	return csum_complete(p);
}

/* A ping endpoint's message: an echo request, with our identifier. */
static int finish_ping(struct ns_ep *ep, struct pkt *p)
{
	bool v4 = ep->protocol == IPPROTO_ICMP;
	struct icmp_header h;

	if (p->len < sizeof(h))
		return -EINVAL;
	pkt_copy(p, 0, &h, sizeof(h));
	if (h.type != (v4 ? ICMP4_ECHO : ICMP6_ECHO) || h.code != 0)
		return -EINVAL;
	h.echo.id = htons(ep->conn.key.lport);
	h.csum = 0;
	pkt_write(p, 0, &h, sizeof(h));
	if (!v4)
		return 0;
	h.csum = csum_finish(pkt_sum(p, 0, p->len));
	pkt_write(p, 0, &h, sizeof(h));
	return 0;
}

/* With IP_HDRINCL (raw(7)): length and checksum are ours, identification and source if zero. */
static int finish_header(struct ns_ep *ep, struct pkt *p, const struct ip_path *path)
{
	struct ip4_header h;
	size_t hlen;

	if (p->len < sizeof(h))
		return -EINVAL;
	pkt_copy(p, 0, &h, sizeof(h));
	hlen = (size_t)(h.version_ihl & 15) * 4;
	if (hlen < sizeof(h) || hlen > p->len)
		return -EINVAL;
	h.version_ihl = (uint8_t)((h.version_ihl & 15) | 0x40);
	h.total_len = htons((uint16_t)p->len);
	if (!h.src)
		h.src = path->src.w[3];
	if (!h.id)
		h.id = htons(ep->st->ip_id++);
	h.csum = 0;
	pkt_write(p, 0, &h, sizeof(h));
	h.csum = csum_finish(pkt_sum(p, 0, hlen));
	pkt_write(p, 0, &h, sizeof(h));
	return 0;
}

static bool has_header(const struct ns_ep *ep)
{
	return ep->kind == NS_RAW && ep->family == NS_IPV4 &&
	       (ep->opt[NS_IP_HDRINCL] || ep->protocol == IPPROTO_RAW);
}

/* Takes p. */
static int transmit(struct ns_ep *ep, struct pkt *p, const struct ns_addr *to,
		    const struct ns_meta *meta, const struct ip_path *path)
{
	struct ip_send s;
	int err = 0;

	if (has_header(ep)) {
		err = ep->st->policy && !ep->gate && !path->local ? -EPERM
								  : finish_header(ep, p, path);
		if (err == 0)
			return ip_output_raw(ep->st, p, path);
	} else if (ep->kind == NS_PING) {
		err = finish_ping(ep, p);
	}
	if (err == 0 && ep->family == NS_IPV6)
		err = put_checksum6(ep, p, path, &to->ip);
	if (err < 0) {
		pkt_free(p);
		return err;
	}
	ep_ip_send(ep, meta, &to->ip, &s);
	s.path = path;
	s.src = path->src;
	return ip_output(ep->st, p, &s);
}

static const struct ns_ip *source_of(const struct ns_ep *ep, const struct ns_meta *meta)
{
	if ((meta->have & NS_META_LOCAL) && !ns_ip_is_zero(&meta->local))
		return &meta->local;
	return &ep->conn.key.local;
}

/* Takes p. */
static int send_locked(struct ns_ep *ep, struct pkt *p, const struct ns_msg *m)
{
	struct ip_path path;
	struct ns_addr to;
	int err = dgram_may_send(ep);

	if (err == 0)
		err = destination(ep, m, &to);
	if (err == 0 && ep->kind == NS_PING && !ep->bound)
		err = choose_id(ep);
	if (err == 0) {
		note_icmp_type(ep, p);
		err = ep_route(ep, source_of(ep, &m->meta), &to,
			       m->meta.have & NS_META_LOCAL ? m->meta.ifindex : 0, &path);
	}
	if (err < 0) {
		pkt_free(p);
		return err;
	}
	ep_charge(ep, p);
	return transmit(ep, p, &to, &m->meta, &path);
}

static ssize_t raw_send(struct ns_ep *ep, struct ns_msg *m)
{
	struct pkt *p;
	int err;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->len > RAW_MAX)
		return -EMSGSIZE;
	p = pkt_from(&ep->st->pool, m->buf, m->len);
	if (!p)
		return -ENOBUFS;
	stack_lock(ep->st);
	err = send_locked(ep, p, m);
	stack_unlock(ep->st);
	return err < 0 ? err : (ssize_t)m->len;
}

/* --- receiving ------------------------------------------------------------------------------ */

static void describe(const struct pkt *p, struct ns_msg *m)
{
	dgram_describe(p, m);
}

static ssize_t raw_recv(struct ns_ep *ep, struct ns_msg *m)
{
	return dgram_recv(ep, m, describe);
}

static bool addresses_match(const struct ns_ep *ep, const struct ip_info *ip)
{
	const struct flow_key *k = &ep->conn.key;

	return (ns_ip_is_any(&k->local) || ns_ip_equal(&k->local, &ip->dst)) &&
	       (!ep->connected || ns_ip_equal(&k->remote, &ip->src)) &&
	       (!ep->conn.ifindex || ep->conn.ifindex == ip->link->ifindex);
}

/* Gives a clone to the endpoint, whose data begin at `off`. */
static void deliver(struct ns_ep *ep, const struct pkt *p, const struct ip_info *ip, uint32_t off)
{
	size_t keep = ep_filter(ep, p, off);
	struct pkt *copy;

	if (keep == 0 || (ep->shutdown & SHUT_IN))
		return;
	copy = pkt_slice(p, 0, off + keep);
	if (!copy)
		return;
	copy->payload = (uint16_t)off;
	copy->link = ip->link;
	(void)ep_rx_push(ep, copy);
}

bool raw_deliver(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip)
{
	struct ns_ep *ep;
	bool any = false;

	list_for_each (ep, &st->endpoints[NS_RAW], all_node) {
		if (ep->protocol != ip->protocol || ep->family != ip->family || ep->closed ||
		    ip->gateway || !addresses_match(ep, ip) ||
		    (ip->multicast && !mcast_ep_wants(ep, ip->link, &ip->dst, &ip->src)))
			continue;
		any = true;
		deliver(ep, p, ip, ip->family == NS_IPV4 ? 0 : ip->l4);
	}
	return any;
}

static struct ns_ep *find_ping(struct ns_stack *st, uint8_t protocol, uint16_t id)
{
	struct ns_ep *ep;

	list_for_each (ep, &st->endpoints[NS_PING], all_node) {
		if (ep->bound && !ep->closed && ep->protocol == protocol &&
		    ep->conn.key.lport == id)
			return ep;
	}
	return NULL;
}

bool ping_deliver(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip, uint16_t id)
{
	struct ns_ep *ep = find_ping(st, ip->protocol, id);

	if (!ep || !addresses_match(ep, ip))
		return false;
	deliver(ep, p, ip, ip->l4);
	return true;
}

/* --- errors --------------------------------------------------------------------------------- */

static void report(struct ns_stack *st, struct ns_ep *ep, const struct ip_error *e)
{
	bool hard = e->hard;

	if (e->mtu) {
		(void)path_mtu_learn(st, &e->remote, e->mtu);
		hard = ep_pmtudisc(ep, &e->remote) != IP_PMTUDISC_DONT;
	}
	if (ep_queue_error(ep, e) || (hard && ep->connected))
		ep_set_error(ep, e->error);
}

void raw_error(struct ns_stack *st, const struct ip_error *e)
{
	struct ns_ep *ep;

	list_for_each (ep, &st->endpoints[NS_RAW], all_node) {
		const struct flow_key *k = &ep->conn.key;

		if (ep->protocol == e->protocol && !ep->closed &&
		    (ep->family == NS_IPV4) == ns_ip_is_v4(&e->remote) &&
		    (!ep->connected || ns_ip_equal(&k->remote, &e->remote)) &&
		    (ns_ip_is_any(&k->local) || ns_ip_equal(&k->local, &e->local)))
			report(st, ep, e);
	}
}

void ping_error(struct ns_stack *st, const struct ip_error *e)
{
	struct icmp_header copy;
	const struct icmp_header *h = PKT_PEEK(e->quote, e->l4, &copy);
	struct ns_ep *ep;

	if (!h || (h->type != ICMP4_ECHO && h->type != ICMP6_ECHO))
		return;
	ep = find_ping(st, e->protocol, ntohs(h->echo.id));
	if (ep && (!ep->connected || ns_ip_equal(&ep->conn.key.remote, &e->remote)))
		report(st, ep, e);
}

/* --- the rest ------------------------------------------------------------------------------ */

static void raw_close(struct ns_ep *ep)
{
	ep->bound = ep->connected = false;
	list_del(&ep->gate_node);
	pkt_free_list(&ep->rx);
	ep->rx_bytes = ep->rx_count = 0;
}

static void raw_free(struct ns_ep *ep)
{
	ep_release(ep, sizeof(struct raw_ep));
}

static const struct ep_ops raw_ops = {
    .bind = raw_bind,
    .connect = raw_connect,
    .send = raw_send,
    .recv = raw_recv,
    .shutdown = dgram_shutdown,
    .poll = dgram_poll,
    .close = raw_close,
    .free = raw_free,
};

int raw_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out)
{
	bool ping_ok = c->protocol == (c->family == NS_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	struct ns_ep *ep;

	if (c->protocol > 255 || (c->kind == NS_PING && !ping_ok))
		return -EPROTONOSUPPORT;
	ep = ep_alloc(st, c, &raw_ops, sizeof(struct raw_ep));
	if (!ep)
		return -ENOMEM;
	*out = ep;
	return 0;
}
