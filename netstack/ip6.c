/*
 * IPv6 (RFC 8200): extension headers, fragments (5722: no overlaps; 6946: atomic ones are plain
 * packets; 7112: the first one holds the whole header chain), no routing headers (5095).
 */
#include <errno.h>
#include <netinet/in.h>

#include "netstack/checksum.h"
#include "netstack/ip.h"
#include "netstack/reassembly.h"
#include "netstack/wire.h"

#define EXTENSIONS_MAX 8
#define OPTION_PAD1 0
#define OPTION_PADN 1
#define OPTION_ROUTER_ALERT 5

/* --- the header chain ----------------------------------------------------------------------- */

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

/* The length of the extension header at `at`; 0: cut off. */
static size_t extension_len(const struct pkt *p, size_t at, uint8_t kind)
{
	uint8_t copy[2];
	const uint8_t *h = pkt_peek(p, at, sizeof(copy), copy);
	size_t len;

	if (!h)
		return 0;
	len = kind == IPPROTO_FRAGMENT ? sizeof(struct ip6_frag_header) : (h[1] + 1u) * 8;
	return len <= p->len - at ? len : 0;
}

int ip6_skip_extensions(const struct pkt *p, size_t *at, uint8_t *next)
{
	for (int i = 0; is_extension(*next); i++) {
		size_t len = extension_len(p, *at, *next);
		struct ip6_frag_header f;

		if (len == 0 || i == EXTENSIONS_MAX)
			return -EINVAL;
		pkt_copy(p, *at, &f, sizeof(f));
		if (*next == IPPROTO_FRAGMENT && (f.off & htons(0xfff8)))
			return -EINVAL;
		*next = f.next; /* all kinds have it in front */
		*at += len;
	}
	return 0;
}

/* A packet while its headers are read. */
struct chain {
	struct ns_stack *st;
	struct pkt *p; /* NULL: gone */
	struct ip_info *ip;
	size_t at;	/* the header to be read */
	size_t next_at; /* where its kind was named */
	uint8_t next;
};

/* The packet is of no use; tells the sender why. */
static bool refuse(struct chain *c, enum icmp_reason reason, size_t where)
{
	c->st->stats.ip6.in_hdr_errors++;
	c->ip->protocol = c->next;
	c->ip->l4 = (uint32_t)c->at;
	icmp_send_error(c->st, c->p, c->ip, reason, (uint32_t)where);
	return false;
}

/* RFC 8200 4.2: what an unknown option wants to be done. */
static bool unknown_option(struct chain *c, uint8_t type, size_t where)
{
	switch (type >> 6) {
	case 0:
		return true;
	case 1:
		c->st->stats.ip6.in_hdr_errors++;
		return false;
	default:
		return refuse(c, ICMP_BAD_OPTION, where);
	}
}

static bool options_ok(struct chain *c, size_t len)
{
	size_t i = 2;

	while (i < len) {
		uint8_t o[2] = {};

		pkt_copy(c->p, c->at + i, o, min((size_t)2, len - i));
		if (o[0] == OPTION_PAD1) {
			i++;
			continue;
		}
		if (i + 2 + o[1] > len)
			return refuse(c, ICMP_BAD_HEADER, c->at + i + 1);
		if (o[0] != OPTION_PADN && o[0] != OPTION_ROUTER_ALERT &&
		    !unknown_option(c, o[0], c->at + i))
			return false;
		i += 2u + o[1];
	}
	return true;
}

/* A route that is used up is skipped, others are not for a host. */
static bool routing_ok(struct chain *c)
{
	uint8_t h[4];

	pkt_copy(c->p, c->at, h, sizeof(h));
	return h[3] == 0 || refuse(c, ICMP_BAD_HEADER, c->at + 2);
}

/* Takes the packet into reassembly unless it is whole; true: go on with it. */
static bool fragment(struct chain *c)
{
	struct ip6_frag_header h;
	struct fragment f = {.key = {c->ip->src, c->ip->dst, 0, 0, c->ip->link->ifindex}};
	uint16_t payload;

	pkt_copy(c->p, c->at, &h, sizeof(h));
	f.key.id = h.id;
	f.off = ntohs(h.off) & 0xfff8;
	f.more = ntohs(h.off) & 1;
	if (f.off == 0 && !f.more)
		return true;
	f.skip = (uint32_t)(c->at + sizeof(h));
	f.next = h.next;
	f.ecn = c->ip->tos & 3;
	if (f.more && (c->p->len - f.skip) % 8)
		return refuse(c, ICMP_BAD_HEADER, 4); /* payload length */
	c->st->stats.ip6.reasm_reqds++;
	c->p = reassembly_add(c->st, c->p, &f);
	if (!c->p)
		return false;
	c->st->stats.ip6.reasm_oks++;
	payload = htons((uint16_t)(c->p->len - sizeof(struct ip6_header)));
	pkt_write(c->p, 4, &payload, sizeof(payload));
	c->ip->tos = (uint8_t)((c->ip->tos & ~3) | f.ecn);
	c->at = f.skip - sizeof(h); /* of the first fragment, which may differ */
	return true;
}

static bool read_extension(struct chain *c, bool first, size_t *len)
{
	if (c->next == IPPROTO_HOPOPTS && !first)
		return refuse(c, ICMP_BAD_NEXT_HEADER, c->next_at);
	*len = extension_len(c->p, c->at, c->next);
	if (*len == 0)
		return refuse(c, ICMP_BAD_HEADER, 4);
	switch (c->next) {
	case IPPROTO_ROUTING:
		return routing_ok(c);
	case IPPROTO_FRAGMENT:
		return fragment(c);
	default:
		return options_ok(c, *len);
	}
}

/* Reads up to the transport header. False: the packet was refused, dropped, or taken. */
static bool read_chain(struct chain *c)
{
	for (int i = 0; is_extension(c->next); i++) {
		uint8_t next;
		size_t len = 0;

		if (i == EXTENSIONS_MAX || !read_extension(c, i == 0, &len))
			return false;
		pkt_copy(c->p, c->at, &next, 1);
		c->next = next;
		c->next_at = c->at;
		c->at += len;
	}
	c->ip->protocol = c->next;
	c->ip->l4 = (uint32_t)c->at;
	return c->next != IPPROTO_NONE;
}

/* --- receiving ----------------------------------------------------------------------------- */

static bool header_ok(const struct pkt *p, const struct ip6_header *h)
{
	return h && ntohl(h->version_class_label) >> 28 == 6 &&
	       ntohs(h->payload_len) <= p->len - sizeof(*h);
}

static bool is_mapped(const struct ip_info *ip)
{
	return ns_ip_is_v4(&ip->src) || ns_ip_is_v4(&ip->dst);
}

void ip6_receive(struct ns_link *l, struct pkt *p)
{
	struct ns_stack *st = l->st;
	struct ip6_header copy;
	const struct ip6_header *h = PKT_PEEK(p, 0, &copy);
	struct ip_info ip = {.link = l, .family = NS_IPV6};
	struct chain c = {.st = st, .p = p, .ip = &ip, .at = sizeof(*h), .next_at = 6};
	enum ip_fate fate;

	st->stats.ip6.in_receives++;
	if (!header_ok(p, h)) {
		st->stats.ip6.in_hdr_errors++;
		pkt_free(p);
		return;
	}
	ip.src = ns_ip6(h->src);
	ip.dst = ns_ip6(h->dst);
	ip.ttl = h->hops;
	ip.tos = (uint8_t)(ntohl(h->version_class_label) >> 20);
	ip.flow_label = ntohl(h->version_class_label) & 0xfffff;
	c.next = h->next;
	/* Mapped addresses never travel (RFC 4942 2.2); inside they mean IPv4. */
	fate = is_mapped(&ip) ? IP_FORGED : ip_classify(l, p, &ip);
	if (fate != IP_MINE) {
		st->stats.ip6.in_addr_errors++;
		pkt_free(p);
		return;
	}
	pkt_trim(p, sizeof(*h) + ntohs(h->payload_len));
	if (read_chain(&c))
		ip_deliver(st, c.p, &ip);
	else
		pkt_free(c.p);
}

/* --- sending --------------------------------------------------------------------------------- */

/* Hop-by-hop: router alert for MLD (RFC 2711), padded. */
static void push_alert(struct pkt *p, uint8_t next)
{
	uint8_t *h = pkt_push(p, 8);

	memcpy(h, (uint8_t[]){next, 0, OPTION_ROUTER_ALERT, 2, 0, 0, OPTION_PADN, 0}, 8);
}

static void push_header(struct pkt *p, const struct ip_send *s, const struct ns_ip *src,
			uint8_t next)
{
	size_t payload = p->len;
	struct ip6_header *h = pkt_push(p, sizeof(*h));
	int hops = ns_ip_is_multicast(&s->dst) ? 1 : s->path->link->hop_limit;

	h->version_class_label =
	    htonl(6u << 28 | (uint32_t)s->tos << 20 | (s->flow_label & 0xfffff));
	h->payload_len = htons((uint16_t)payload);
	h->next = next;
	h->hops = (uint8_t)(s->ttl >= 0 ? s->ttl : hops);
	memcpy(h->src, src->b, 16);
	memcpy(h->dst, s->dst.b, 16);
}

static void transmit(struct ns_stack *st, struct pkt *p, const struct ip_send *s)
{
	st->stats.ip6.out_requests++;
	ip_transmit(st, p, s->path, &s->dst, s->no_multicast_loop);
}

/* The send buffer is freed with the last fragment, which gets the owner. */
static int send_fragments(struct ns_stack *st, struct pkt *p, const struct ip_send *s,
			  const struct ns_ip *src, size_t mtu)
{
	size_t step =
	    (mtu - sizeof(struct ip6_header) - sizeof(struct ip6_frag_header)) & ~(size_t)7;
	uint32_t id = stack_random32(st);

	for (size_t off = 0; off < p->len; off += step) {
		size_t n = min(step, p->len - off);
		bool last = off + n == p->len;
		struct pkt *f = pkt_slice(p, off, n);
		struct ip6_frag_header *h;

		if (!f) {
			st->stats.ip6.frag_fails++;
			pkt_free(p);
			return -ENOBUFS;
		}
		if (last) {
			f->owner = p->owner;
			f->charge = p->charge;
			p->owner = NULL;
		}
		h = pkt_push(f, sizeof(*h));
		*h = (struct ip6_frag_header){
		    .next = s->protocol, .off = htons((uint16_t)(off | !last)), .id = id};
		push_header(f, s, src, IPPROTO_FRAGMENT);
		st->stats.ip6.frag_creates++;
		transmit(st, f, s);
	}
	st->stats.ip6.frag_oks++;
	pkt_free(p);
	return 0;
}

int ip6_output(struct ns_stack *st, struct pkt *p, const struct ip_send *s)
{
	const struct ns_ip *src = ns_ip_is_zero(&s->src) ? &s->path->src : &s->src;
	size_t hlen = sizeof(struct ip6_header) + (s->router_alert ? 8 : 0);
	size_t mtu = s->ignore_path_mtu ? s->path->link->mtu : s->path->mtu;
	size_t unit = p->off.gso ? (size_t)p->off.hdr_len + p->off.gso_size : p->len;
	bool too_long = unit + hlen > mtu;

	if (p->len > 65535 || (too_long && (s->dont_fragment || p->off.gso || s->router_alert))) {
		st->stats.ip6.frag_fails++;
		pkt_free(p);
		return -EMSGSIZE;
	}
	if (too_long) {
		if (mtu >= 1280 && csum_complete(p) == 0)
			return send_fragments(st, p, s, src, mtu);
		pkt_free(p);
		return -ENOBUFS;
	}
	if (s->router_alert)
		push_alert(p, s->protocol);
	push_header(p, s, src, s->router_alert ? IPPROTO_HOPOPTS : s->protocol);
	transmit(st, p, s);
	return 0;
}
