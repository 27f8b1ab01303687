/*
 * UDP (RFC 768, 8200 8.1) endpoints. Large datagrams: with a segment size (UDP_SEGMENT) one
 * packet travels down as a whole and is cut by the link; what arrives in one piece is cut here
 * unless the endpoint asked for UDP_GRO. Corking (MSG_MORE, UDP_CORK) collects one datagram.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "netstack/checksum.h"
#include "netstack/dgram.h"
#include "netstack/mcast.h"
#include "netstack/wire.h"

#define UDP_MAX 65507
#define GSO_SEGMENTS_MAX 128

struct udp_ep {
	struct ns_ep ep;
	struct pkt *cork; /* owned: what MSG_MORE has collected; NULL: nothing */
	struct ns_addr cork_to;
	struct ns_meta cork_meta;
};

static struct udp_ep *udp_of(struct ns_ep *ep)
{
	return container_of(ep, struct udp_ep, ep);
}

/* --- addresses ---------------------------------------------------------------------------- */

static int udp_bind(struct ns_ep *ep, const struct ns_addr *local)
{
	return ep_bind_port(ep, DEMUX_UDP, local);
}

static int disconnect(struct ns_ep *ep)
{
	struct ns_ip any = ns_ip_any(ep->family);

	conn_remove(&ep->conn);
	ep->connected = ep->port.connected = false;
	ep->judged = false;
	ep->conn.key.remote = any;
	ep->conn.key.rport = 0;
	ep->path.gen = 0;
	if (!ep->explicit_ip)
		ep->conn.key.local = ep->port.ip = any;
	if (!ep->explicit_port) {
		port_release(&ep->port);
		ep->port.port = ep->conn.key.lport = 0;
		ep->bound = false;
	}
	return 0;
}

static int udp_connect(struct ns_ep *ep, const struct ns_addr *remote)
{
	struct ns_ip local = ep->explicit_ip ? ep->conn.key.local : ns_ip_any(ep->family);
	struct ns_addr to;
	struct ip_path path;
	int err;

	if (!remote)
		return disconnect(ep);
	to = *remote;
	err = ep_check_remote(ep, remote, &to.ip);
	if (err == 0)
		err = ep_route(ep, &local, &to, 0, &path);
	if (err == 0)
		err = ep_autobind(ep, DEMUX_UDP, NULL);
	if (err < 0)
		return err;
	conn_remove(&ep->conn);
	ep->conn.key.local = path.src;
	ep->conn.key.remote = to.ip;
	ep->conn.key.rport = to.port;
	ep->ifindex = to.ifindex;
	ep->path = path;
	ep->connected = ep->port.connected = true;
	ep->port.ip = path.src;
	return conn_insert(ep->st, DEMUX_UDP, &ep->conn);
}

/* --- sending --------------------------------------------------------------------------------- */

static int destination(struct ns_ep *ep, const struct ns_msg *m, struct ns_addr *to)
{
	if (!m->has_addr) {
		if (!ep->connected)
			return -EDESTADDRREQ;
		*to = (struct ns_addr){ep->conn.key.remote, ep->conn.key.rport, ep->ifindex};
		return 0;
	}
	*to = m->addr;
	if (to->port == 0)
		return -EINVAL;
	return ep_check_remote(ep, &m->addr, &to->ip);
}

static const struct ns_ip *source_of(const struct ns_ep *ep, const struct ns_meta *meta,
				     const struct ns_addr *to, struct ns_ip *any)
{
	*any = ns_ip_any(ns_ip_family(&to->ip));
	if ((meta->have & NS_META_LOCAL) && !ns_ip_is_zero(&meta->local))
		return &meta->local;
	if (ep->explicit_ip && !ns_ip_is_multicast(&ep->conn.key.local) &&
	    ns_ip_is_v4(&ep->conn.key.local) == ns_ip_is_v4(&to->ip))
		return &ep->conn.key.local;
	return any;
}

static int find_path(struct ns_ep *ep, const struct ns_meta *meta, const struct ns_addr *to,
		     struct ip_path *path)
{
	bool same = ep->connected && to->port == ep->conn.key.rport &&
		    ns_ip_equal(&to->ip, &ep->conn.key.remote) && !(meta->have & NS_META_LOCAL);
	struct ns_ip any;
	int err;

	if (same && ip_path_valid(ep->st, &ep->path)) {
		*path = ep->path;
		return 0;
	}
	err = ep_route(ep, source_of(ep, meta, to, &any), to,
		       meta->have & NS_META_LOCAL ? meta->ifindex : 0, path);
	if (err == 0 && same)
		ep->path = *path;
	return err;
}

static int set_gso(struct pkt *p, const struct ip_path *path, size_t size)
{
	size_t headers = sizeof(struct udp_header);

	if (size == 0 || p->len - headers <= size)
		return 0;
	if (headers + size + ip_header_size(&path->src) > path->mtu ||
	    (p->len - headers + size - 1) / size > GSO_SEGMENTS_MAX)
		return -EINVAL;
	p->off.gso = NS_GSO_UDP;
	p->off.gso_size = (uint16_t)size;
	p->off.hdr_len = (uint16_t)headers;
	return 0;
}

/* A local error that the error queue tells, too: the datagram was too long. */
static void report_too_long(struct ns_ep *ep, const struct ns_addr *to, const struct ip_path *path)
{
	struct ip_error e = {.remote = to->ip,
			     .protocol = IPPROTO_UDP,
			     .error = EMSGSIZE,
			     .mtu = path->mtu,
			     .origin = 1, /* SO_EE_ORIGIN_LOCAL */
			     .link = path->link};

	(void)ep_queue_error(ep, &e);
}

/* Takes p, the payload. */
static int transmit(struct ns_ep *ep, struct pkt *p, const struct ns_addr *to,
		    const struct ns_meta *meta, const struct ip_path *path)
{
	struct ns_stack *st = ep->st;
	size_t gso = meta->have & NS_META_GSO ? meta->gso : (size_t)ep->opt[NS_UDP_SEGMENT];
	struct udp_header *h = pkt_push(p, sizeof(*h));
	struct ip_send s;
	int err;

	*h = (struct udp_header){.sport = htons(ep->conn.key.lport),
				 .dport = htons(to->port),
				 .len = htons((uint16_t)p->len)};
	err = set_gso(p, path, gso);
	if (err < 0) {
		pkt_free(p);
		return err;
	}
	if (!ep->opt[NS_SO_NO_CHECK] || !ns_ip_is_v4(&to->ip) || p->off.gso)
		csum_partial(p, offsetof(struct udp_header, csum), &path->src, &to->ip,
			     IPPROTO_UDP);
	ep_ip_send(ep, meta, &to->ip, &s);
	s.path = path;
	s.src = path->src;
	ep_charge(ep, p);
	err = ip_output(st, p, &s);
	if (ns_ip_is_v4(&to->ip))
		st->stats.udp4.out_datagrams += err == 0;
	else
		st->stats.udp6.out_datagrams += err == 0;
	if (err == -EMSGSIZE)
		report_too_long(ep, to, path);
	return err;
}

/* Adds to what is corked; p is taken. */
static int cork_add(struct udp_ep *u, struct pkt *p)
{
	if (!u->cork) {
		u->cork = p;
		return 0;
	}
	if (u->cork->len + p->len > UDP_MAX) {
		pkt_free(p);
		return -EMSGSIZE;
	}
	if (pkt_join(u->cork, p) == 0)
		return 0;
	u->cork = pkt_linearize(u->cork);
	if (u->cork && pkt_join(u->cork, p) == 0)
		return 0;
	pkt_free(p);
	return -ENOBUFS;
}

static int flush_cork(struct udp_ep *u)
{
	struct pkt *p = u->cork;
	struct ip_path path;
	int err;

	u->cork = NULL;
	err = find_path(&u->ep, &u->cork_meta, &u->cork_to, &path);
	if (err == 0)
		return transmit(&u->ep, p, &u->cork_to, &u->cork_meta, &path);
	pkt_free(p);
	return err;
}

/* While corked, the first call's destination counts. */
static int send_corked(struct udp_ep *u, struct pkt *p, const struct ns_addr *to,
		       const struct ns_msg *m, bool more)
{
	int err;

	if (!u->cork) {
		u->cork_to = *to;
		u->cork_meta = m->meta;
	}
	err = cork_add(u, p);
	return err < 0 || more ? err : flush_cork(u);
}

/* Takes p. */
static int send_locked(struct ns_ep *ep, struct pkt *p, const struct ns_msg *m)
{
	struct udp_ep *u = udp_of(ep);
	bool more = (m->flags & MSG_MORE) || ep->opt[NS_UDP_CORK];
	struct ip_path path;
	struct ns_addr to;
	int err = dgram_may_send(ep);

	if (err == 0)
		err = destination(ep, m, &to);
	if (err == 0)
		err = ep_autobind(ep, DEMUX_UDP, NULL);
	if (err == 0)
		err = find_path(ep, &m->meta, &to, &path);
	if (err < 0) {
		pkt_free(p);
		return err;
	}
	if (more || u->cork)
		return send_corked(u, p, &to, m, more);
	return transmit(ep, p, &to, &m->meta, &path);
}

static ssize_t udp_send(struct ns_ep *ep, struct ns_msg *m)
{
	struct pkt *p;
	int err;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->len > UDP_MAX)
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
	struct udp_header copy;
	const struct udp_header *h = PKT_PEEK(p, p->payload - sizeof(copy), &copy);

	dgram_describe(p, m);
	m->addr.port = ntohs(h->sport);
	if (p->off.gso == NS_GSO_UDP) {
		m->meta.have |= NS_META_GSO;
		m->meta.gso = p->off.gso_size;
	}
}

static ssize_t udp_recv(struct ns_ep *ep, struct ns_msg *m)
{
	return dgram_recv(ep, m, describe);
}

/* --- input ------------------------------------------------------------------------------------ */

struct udp_packet {
	struct ns_stack *st;
	struct pkt *p;
	const struct ip_info *ip;
	struct flow_key key;
};

static void count_error(struct ns_stack *st, const struct ip_info *ip, bool checksum)
{
	if (ip->family == NS_IPV4) {
		st->stats.udp4.in_errors++;
		st->stats.udp4.in_csum_errors += checksum;
	} else {
		st->stats.udp6.in_errors++;
		st->stats.udp6.in_csum_errors += checksum;
	}
}

static void count_in(struct ns_stack *st, const struct ip_info *ip, bool delivered)
{
	if (ip->family == NS_IPV4) {
		st->stats.udp4.in_datagrams += delivered;
		st->stats.udp4.in_errors += !delivered;
		st->stats.udp4.rcvbuf_errors += !delivered;
	} else {
		st->stats.udp6.in_datagrams += delivered;
		st->stats.udp6.in_errors += !delivered;
		st->stats.udp6.rcvbuf_errors += !delivered;
	}
}

/* Takes p. */
static void deliver(struct ns_ep *ep, struct pkt *p, const struct ip_info *ip)
{
	size_t keep = ep_filter(ep, p, ip->l4);

	if (keep < sizeof(struct udp_header) || (ep->shutdown & SHUT_IN)) {
		pkt_free(p);
		return;
	}
	pkt_trim(p, ip->l4 + keep);
	p->payload = (uint16_t)(ip->l4 + sizeof(struct udp_header));
	p->link = ip->link;
	count_in(ep->st, ip, ep_rx_push(ep, p));
}

static bool ep_wants(struct ns_ep *ep, const struct udp_packet *u)
{
	return !u->ip->multicast || mcast_ep_wants(ep, u->ip->link, &u->key.local, &u->key.remote);
}

static void deliver_copy(struct ns_ep *ep, void *arg)
{
	struct udp_packet *u = arg;
	struct pkt *copy;

	if (!ep_wants(ep, u) || ep->kind != NS_UDP)
		return;
	copy = pkt_clone(u->p);
	if (copy)
		deliver(ep, copy, u->ip);
}

static bool is_reply(const struct ns_ep *ep, const struct udp_packet *u)
{
	return ep->judged && ep->verdict.kind == NS_ALLOW && ep->judged_addr.port == u->key.rport &&
	       ns_ip_equal(&ep->judged_addr.ip, &u->key.remote);
}

static struct ns_verdict judge(const struct ns_ep *ep, const struct udp_packet *u)
{
	if (ep && is_reply(ep, u))
		return (struct ns_verdict){NS_ALLOW, 0};
	return flow_judge_inbound(u->st, u->ip, u->key.lport, u->key.rport);
}

/* Takes u->p. */
static void refuse(const struct udp_packet *u, enum icmp_reason reason)
{
	if (u->ip->family == NS_IPV4)
		u->st->stats.udp4.no_ports++;
	else
		u->st->stats.udp6.no_ports++;
	icmp_send_error(u->st, u->p, u->ip, reason, 0);
	pkt_free(u->p);
}

static void input_unicast(const struct udp_packet *u)
{
	struct conn_entry *c = conn_find(u->st, DEMUX_UDP, &u->key, u->ip->link->ifindex);
	struct ns_ep *ep;
	struct ns_verdict v;

	if (c) {
		ep = container_of(c, struct ns_ep, conn);
		if (ep->path.diverted && !link_is_loopback(u->ip->link))
			pkt_free(u->p); /* the gate answers over lo, nobody else */
		else
			deliver(ep, u->p, u->ip);
		return;
	}
	ep = u->ip->gateway ? gate_find(u->st, DEMUX_UDP, &u->key)
			    : port_find(u->st, DEMUX_UDP, &u->key, u->ip->link->ifindex);
	v = judge(ep, u);
	if (v.kind == NS_DROP)
		pkt_free(u->p);
	else if (v.kind == NS_REFUSE)
		refuse(u, ICMP_NO_PORT);
	else if (ep)
		deliver(ep, u->p, u->ip);
	else
		refuse(u, ICMP_NO_PORT);
}

static bool header_ok(struct ns_stack *st, struct pkt *p, const struct ip_info *ip,
		      struct udp_header *h)
{
	const struct udp_header *peek = PKT_PEEK(p, ip->l4, h);
	size_t len;

	if (!peek)
		return false;
	memcpy(h, peek, sizeof(*h));
	len = ntohs(h->len);
	if (len < sizeof(*h) || len > p->len - ip->l4)
		return false;
	pkt_trim(p, ip->l4 + len);
	if (h->csum == 0)
		return ip->family == NS_IPV4;
	if (csum_verify(p, ip->l4, &ip->src, &ip->dst, IPPROTO_UDP))
		return true;
	count_error(st, ip, true);
	return false;
}

static void udp_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip);

/* A large datagram made by GSO or GRO, for somebody who does not know of that. Takes p. */
static void input_pieces(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	struct list pieces = LIST_INIT(pieces);

	p->off.csum_partial = true; /* as large datagrams are, whatever the link said */
	p->off.csum_start = (uint16_t)ip->l4;
	p->off.csum_offset = offsetof(struct udp_header, csum);
	gso_segment(p, 0, false, &pieces);
	while (!list_empty(&pieces)) {
		p = list_first(&pieces, struct pkt, node);
		list_del(&p->node);
		udp_input(st, p, ip);
	}
}

static bool wants_large(struct ns_stack *st, const struct udp_packet *u)
{
	struct conn_entry *c = conn_find(st, DEMUX_UDP, &u->key, u->ip->link->ifindex);
	struct ns_ep *ep = c ? container_of(c, struct ns_ep, conn)
			     : port_find(st, DEMUX_UDP, &u->key, u->ip->link->ifindex);

	return ep && ep->opt[NS_UDP_GRO];
}

static void udp_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	struct udp_packet u = {.st = st, .p = p, .ip = ip};
	struct udp_header h;

	if (!header_ok(st, p, ip, &h)) {
		count_error(st, ip, false);
		pkt_free(p);
		return;
	}
	u.key = (struct flow_key){ip->dst, ip->src, ntohs(h.dport), ntohs(h.sport)};
	if (p->off.gso != NS_GSO_UDP)
		p->off.gso = NS_GSO_NONE;
	if (p->off.gso && !wants_large(st, &u)) {
		input_pieces(st, p, ip);
	} else if (ip->multicast || ip->broadcast) {
		port_each_match(st, DEMUX_UDP, &u.key, ip->link->ifindex, deliver_copy, &u);
		pkt_free(p);
	} else {
		input_unicast(&u);
	}
}

/* --- errors --------------------------------------------------------------------------------- */

static struct ns_ep *find_sender(struct ns_stack *st, const struct ip_error *e)
{
	struct udp_header copy;
	const struct udp_header *h = PKT_PEEK(e->quote, e->l4, &copy);
	struct flow_key key = {.local = e->local, .remote = e->remote};
	struct conn_entry *c;
	uint32_t ifindex = e->link ? e->link->ifindex : 0;

	if (!h)
		return NULL;
	key.lport = ntohs(h->sport);
	key.rport = ntohs(h->dport);
	c = conn_find(st, DEMUX_UDP, &key, ifindex);
	return c ? container_of(c, struct ns_ep, conn) : port_find(st, DEMUX_UDP, &key, ifindex);
}

static void udp_error(struct ns_stack *st, const struct ip_error *e)
{
	struct ns_ep *ep = find_sender(st, e);
	bool hard = e->hard;

	if (!ep)
		return;
	if (e->mtu) {
		(void)path_mtu_learn(st, &e->remote, e->mtu);
		if (ep_pmtudisc(ep, &e->remote) == IP_PMTUDISC_DONT)
			return;
		hard = true;
	}
	if (ep_queue_error(ep, e) || (hard && ep->connected))
		ep_set_error(ep, e->error);
}

/* --- the rest ------------------------------------------------------------------------------ */

static int udp_set(struct ns_ep *ep, enum ns_opt opt, int value)
{
	if (opt == NS_UDP_CORK && !value && udp_of(ep)->cork)
		(void)flush_cork(udp_of(ep)); /* as Linux: an error is not told */
	return 0;
}

static int udp_get(struct ns_ep *ep, enum ns_opt opt, int *value)
{
	if (opt != NS_TCP_STATE)
		return -ENOPROTOOPT;
	*value = ep->connected ? TCP_ESTABLISHED : TCP_CLOSE;
	return 0;
}

static void udp_close(struct ns_ep *ep)
{
	struct udp_ep *u = udp_of(ep);

	conn_remove(&ep->conn);
	port_release(&ep->port);
	list_del(&ep->gate_node);
	pkt_free(u->cork);
	u->cork = NULL;
}

static void udp_free(struct ns_ep *ep)
{
	ep_release(ep, sizeof(struct udp_ep));
}

static const struct ep_ops udp_ops = {
    .bind = udp_bind,
    .connect = udp_connect,
    .send = udp_send,
    .recv = udp_recv,
    .shutdown = dgram_shutdown,
    .poll = dgram_poll,
    .set = udp_set,
    .get = udp_get,
    .close = udp_close,
    .free = udp_free,
};

int udp_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out)
{
	struct ns_ep *ep = ep_alloc(st, c, &udp_ops, sizeof(struct udp_ep));

	if (!ep)
		return -ENOMEM;
	ep->protocol = IPPROTO_UDP;
	*out = ep;
	return 0;
}

const struct ip_proto udp_proto = {IPPROTO_UDP, udp_input, udp_error};
