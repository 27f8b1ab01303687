/* What both versions of IP share: dispatch to protocols, hand-over to links. */
#include "netstack/ip.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include "netstack/mcast.h"
#include "netstack/neigh.h"
#include "netstack/raw.h"
#include "netstack/wire.h"

static const struct ip_proto *const protos[] = {&tcp_proto, &udp_proto, &icmp_proto, &icmp6_proto,
						&igmp_proto};

const struct ip_proto *ip_proto_find(uint8_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i]->number == number)
			return protos[i];
	return NULL;
}

/* --- receiving ----------------------------------------------------------------------------- */

void ip_receive(struct ns_link *l, struct pkt *p)
{
	if (p->ethertype == ETHERTYPE_IP6)
		ip6_receive(l, p);
	else
		ip4_receive(l, p);
}

/* Of the other version, or nobody's. */
static bool proto_fits(const struct ip_proto *proto, enum ns_family family)
{
	if (proto == &icmp_proto || proto == &igmp_proto)
		return family == NS_IPV4;
	return proto != &icmp6_proto || family == NS_IPV6;
}

void ip_deliver(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	const struct ip_proto *proto = ip_proto_find(ip->protocol);
	bool raw = raw_deliver(st, p, ip);

	if (proto && proto_fits(proto, ip->family)) {
		if (ip->family == NS_IPV4)
			st->stats.ip4.in_delivers++;
		else
			st->stats.ip6.in_delivers++;
		proto->input(st, p, ip);
		return;
	}
	if (!raw) {
		if (ip->family == NS_IPV4)
			st->stats.ip4.in_unknown_protos++;
		else
			st->stats.ip6.in_unknown_protos++;
		icmp_send_error(st, p, ip, ICMP_NO_PROTOCOL, 0);
	}
	pkt_free(p);
}

void ip_reread(const struct pkt *p, struct ip_info *ip)
{
	struct ip4_header h4;
	struct ip6_header h6;

	*ip = (struct ip_info){.link = p->link, .l4 = p->payload};
	if (p->ethertype == ETHERTYPE_IP4) {
		pkt_copy(p, 0, &h4, sizeof(h4));
		ip->family = NS_IPV4;
		ip->src = ns_ip4(h4.src);
		ip->dst = ns_ip4(h4.dst);
		ip->ttl = h4.ttl;
		ip->tos = h4.tos;
		ip->protocol = h4.protocol;
		ip->options_len = (uint8_t)((h4.version_ihl & 15) * 4 - sizeof(h4));
	} else {
		pkt_copy(p, 0, &h6, sizeof(h6));
		ip->family = NS_IPV6;
		ip->src = ns_ip6(h6.src);
		ip->dst = ns_ip6(h6.dst);
		ip->ttl = h6.hops;
		ip->tos = (uint8_t)(ntohl(h6.version_class_label) >> 20);
		ip->flow_label = ntohl(h6.version_class_label) & 0xfffff;
	}
}

static enum ip_fate check_source(struct ns_link *l, const struct pkt *p, const struct ip_info *ip)
{
	bool quiet = ns_ip_is_any(&ip->src);

	if (ns_ip_is_bad_source(&ip->src))
		return IP_FORGED;
	if (link_is_loopback(l) || p->pkttype == PACKET_LOOPBACK)
		return IP_MINE;
	/* What claims to be from here but comes from outside. */
	if (ns_ip_is_loopback(&ip->src) || ns_ip_is_loopback(&ip->dst))
		return IP_FORGED;
	if (!(l->features & NS_LINK_GATEWAY) && !quiet && ip_is_local(l->st, &ip->src))
		return IP_FORGED;
	return IP_MINE;
}

enum ip_fate ip_classify(struct ns_link *l, const struct pkt *p, struct ip_info *ip)
{
	struct ns_stack *st = l->st;

	if (check_source(l, p, ip) == IP_FORGED)
		return IP_FORGED;
	ip->multicast = ns_ip_is_multicast(&ip->dst);
	ip->broadcast = ns_ip_is_v4(&ip->dst) && ip_is_broadcast(l, &ip->dst);
	if (ip->multicast)
		return mcast_link_has(l, &ip->dst) ? IP_MINE : IP_OTHERS;
	if (ip->broadcast)
		return IP_MINE;
	/* RFC 1122 3.3.6: a unicast packet in a link-layer broadcast is somebody's trick. */
	if (p->pkttype == PACKET_BROADCAST || p->pkttype == PACKET_MULTICAST)
		return ns_ip_is_v4(&ip->dst) ? IP_FORGED : IP_OTHERS;
	if (ip_is_local(st, &ip->dst) && !(l->features & NS_LINK_GATEWAY))
		return IP_MINE;
	ip->gateway = p->diverted || (l->features & NS_LINK_GATEWAY);
	return ip->gateway ? IP_MINE : IP_OTHERS;
}

/* --- sending --------------------------------------------------------------------------------- */

int ip_output(struct ns_stack *st, struct pkt *p, const struct ip_send *s)
{
	return ns_ip_is_v4(&s->dst) ? ip4_output(st, p, s) : ip6_output(st, p, s);
}

/* A copy for our own members of the group. */
static void loop_back(struct ns_stack *st, struct ns_link *l, const struct pkt *p)
{
	struct pkt *copy = pkt_clone(p);

	if (!copy)
		return;
	copy->link = l;
	copy->pkttype = PACKET_LOOPBACK;
	copy->when = stack_now(st);
	list_add_tail(&st->loop, &copy->node);
}

void ip_transmit(struct ns_stack *st, struct pkt *p, const struct ip_path *path,
		 const struct ns_ip *dst, bool no_loop)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint16_t type = ns_ip_is_v4(dst) ? ETHERTYPE_IP4 : ETHERTYPE_IP6;
	struct ns_link *l = path->link;
	uint8_t mac[6];

	p->ethertype = type;
	p->link = l;
	if (link_is_loopback(l)) {
		p->diverted = path->diverted;
		p->link = NULL;
		link_send(l, p);
	} else if (ns_ip_is_multicast(dst)) {
		if (!no_loop && mcast_link_has(l, dst))
			loop_back(st, l, p);
		ns_ip_multicast_mac(dst, mac);
		ether_send(l, p, mac, type);
	} else if (path->broadcast) {
		if (!no_loop)
			loop_back(st, l, p);
		ether_send(l, p, all, type);
	} else {
		neigh_output(l, p, &path->next_hop);
	}
}

/* --- errors --------------------------------------------------------------------------------- */

/* Reads what an IP header says of a packet; false: too short or of no version. */
bool ip_parse_quote(const struct pkt *p, size_t off, struct ip_error *e)
{
	struct ip4_header h4;
	struct ip6_header h6;
	uint8_t first;
	const uint8_t *version = PKT_PEEK(p, off, &first);

	if (!version)
		return false;
	if (*version >> 4 == 4) {
		const struct ip4_header *h = PKT_PEEK(p, off, &h4);

		if (!h || (ntohs(h->frag) & IP4_OFFSET))
			return false;
		e->local = ns_ip4(h->src);
		e->remote = ns_ip4(h->dst);
		e->protocol = h->protocol;
		e->l4 = off + (size_t)(h->version_ihl & 15) * 4;
	} else {
		const struct ip6_header *h = PKT_PEEK(p, off, &h6);
		size_t at = off + sizeof(*h);

		if (!h || *version >> 4 != 6)
			return false;
		e->local = ns_ip6(h->src);
		e->remote = ns_ip6(h->dst);
		e->protocol = h->next;
		if (ip6_skip_extensions(p, &at, &e->protocol) < 0)
			return false;
		e->l4 = at;
	}
	e->quote = p;
	return e->l4 <= p->len;
}

void ip_report(struct ns_stack *st, const struct ip_error *e)
{
	const struct ip_proto *proto = ip_proto_find(e->protocol);

	raw_error(st, e);
	if (proto && proto->error)
		proto->error(st, e);
}

void ip_unreachable(struct ns_stack *st, struct pkt *p)
{
	struct ip_error e = {.link = p->link};

	if (ip_parse_quote(p, 0, &e)) {
		bool v4 = ns_ip_is_v4(&e.local);

		e.error = EHOSTUNREACH;
		e.origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6;
		e.type = v4 ? ICMP_DEST_UNREACH : 1;
		e.code = v4 ? ICMP_HOST_UNREACH : 3;
		e.offender = e.local;
		ip_report(st, &e);
	}
	pkt_free(p);
}
