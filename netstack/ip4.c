/*
 * IPv4 (RFC 791, 1122). Options are kept for who asks, source routes are refused (RFC 7126 says
 * so, and they would lead around a policy), everything else in them is ignored. The host is a
 * weak one, as Linux: an address of any link is ours on every link but from outside to loopback.
 */
#include <errno.h>
#include <netinet/in.h>

#include "netstack/checksum.h"
#include "netstack/ip.h"
#include "netstack/reassembly.h"
#include "netstack/wire.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_LSRR 131
#define OPTION_SSRR 137

/* --- receiving ----------------------------------------------------------------------------- */

/* The header, checked, with its options in buf; NULL: malformed. */
static const struct ip4_header *check_header(struct pkt *p, uint8_t buf[60])
{
	const struct ip4_header *h = pkt_peek(p, 0, sizeof(*h), buf);
	size_t hlen, total;

	if (!h || h->version_ihl >> 4 != 4 || (h->version_ihl & 15) < 5)
		return NULL;
	hlen = (size_t)(h->version_ihl & 15) * 4;
	total = ntohs(h->total_len);
	if (total < hlen || total > p->len)
		return NULL;
	h = pkt_peek(p, 0, hlen, buf);
	if (!h || csum_fold(csum_add(0, h, hlen)) != 0xffff)
		return NULL;
	return h;
}

/* Well-formed, and no source route among them. */
static bool options_ok(const uint8_t *o, size_t n)
{
	size_t i = 0;

	while (i < n && o[i] != OPTION_END) {
		if (o[i] == OPTION_NOP) {
			i++;
			continue;
		}
		if (o[i] == OPTION_LSRR || o[i] == OPTION_SSRR)
			return false;
		if (i + 1 >= n || o[i + 1] < 2 || o[i + 1] > n - i)
			return false;
		i += o[i + 1];
	}
	return true;
}

static void header_error(struct ns_stack *st, struct pkt *p)
{
	st->stats.ip4.in_hdr_errors++;
	pkt_free(p);
}

static void address_error(struct ns_stack *st, struct pkt *p, enum ip_fate fate)
{
	if (fate == IP_FORGED)
		st->stats.ip4.in_addr_errors++;
	else
		st->stats.ip4.in_discards++;
	pkt_free(p);
}

/* Only a host without an address may have none, and then it can only shout. */
static bool nameless_ok(const struct ip_info *ip)
{
	return !ns_ip_is_any(&ip->src) || ip->broadcast || ip->multicast;
}

/* Adds a fragment; if that completes a datagram, mends its header and returns it. */
static struct pkt *reassemble(struct ns_stack *st, struct pkt *p, const struct ip4_header *h,
			      struct ip_info *ip)
{
	uint16_t frag = ntohs(h->frag);
	struct fragment f = {
	    .key = {ip->src, ip->dst, ntohs(h->id), h->protocol, ip->link->ifindex},
	    .off = (uint32_t)(frag & IP4_OFFSET) * 8,
	    .more = frag & IP4_MF,
	    .skip = ip->l4,
	    .ecn = h->tos & 3,
	};
	struct ip4_header fixed;

	st->stats.ip4.reasm_reqds++;
	p = reassembly_add(st, p, &f);
	if (!p)
		return NULL;
	st->stats.ip4.reasm_oks++;
	pkt_copy(p, 0, &fixed, sizeof(fixed));
	fixed.total_len = htons((uint16_t)p->len);
	fixed.frag = 0;
	fixed.tos = (uint8_t)((fixed.tos & ~3) | f.ecn);
	fixed.csum = 0;
	pkt_write(p, 0, &fixed, sizeof(fixed));
	fixed.csum = csum_finish(pkt_sum(p, 0, f.skip));
	pkt_write(p, 0, &fixed, sizeof(fixed));
	ip->tos = fixed.tos;
	ip->ttl = fixed.ttl;
	ip->l4 = f.skip;
	return p;
}

void ip4_receive(struct ns_link *l, struct pkt *p)
{
	struct ns_stack *st = l->st;
	uint8_t buf[60], options[40];
	const struct ip4_header *h = check_header(p, buf);
	struct ip_info ip = {.link = l, .family = NS_IPV4};
	enum ip_fate fate;

	st->stats.ip4.in_receives++;
	if (!h || !options_ok((const uint8_t *)(h + 1), (size_t)(h->version_ihl & 15) * 4 - 20)) {
		header_error(st, p);
		return;
	}
	ip.src = ns_ip4(h->src);
	ip.dst = ns_ip4(h->dst);
	ip.protocol = h->protocol;
	ip.ttl = h->ttl;
	ip.tos = h->tos;
	ip.l4 = (h->version_ihl & 15u) * 4;
	ip.options_len = (uint8_t)(ip.l4 - sizeof(*h));
	memcpy(options, h + 1, ip.options_len);
	ip.options = options;
	fate = ip_classify(l, p, &ip);
	if (fate == IP_MINE && !nameless_ok(&ip))
		fate = IP_FORGED;
	if (fate != IP_MINE) {
		address_error(st, p, fate);
		return;
	}
	pkt_trim(p, ntohs(h->total_len));
	if (h->frag & htons(IP4_MF | IP4_OFFSET))
		p = reassemble(st, p, h, &ip);
	if (p)
		ip_deliver(st, p, &ip);
}

/* --- sending --------------------------------------------------------------------------------- */

/* Unpredictable from outside, and not repeated soon for one flow (RFC 6864). */
static uint16_t next_id(struct ns_stack *st, const struct ip_send *s, const struct ns_ip *src,
			unsigned int packets)
{
	struct {
		struct ns_ip src, dst;
		uint64_t protocol;
	} key = {*src, s->dst, s->protocol};
	uint16_t id = (uint16_t)(stack_hash(st, &key, sizeof(key)) + st->ip_id);

	st->ip_id = (uint16_t)(st->ip_id + packets);
	return id;
}

struct ip4_push {
	const struct ns_ip *src;
	uint16_t id, frag;
};

static void push_header(struct pkt *p, const struct ip_send *s, const struct ip4_push *how)
{
	static const uint8_t router_alert[4] = {0x94, 4, 0, 0};
	size_t hlen = sizeof(struct ip4_header) + (s->router_alert ? 4 : 0);
	struct ip4_header *h = pkt_push(p, hlen);
	int ttl = ns_ip_is_multicast(&s->dst) ? 1 : 64;

	if (s->router_alert)
		memcpy(h + 1, router_alert, sizeof(router_alert));
	*h = (struct ip4_header){
	    .version_ihl = (uint8_t)(0x40 | hlen / 4),
	    .tos = s->tos,
	    .total_len = htons((uint16_t)p->len),
	    .id = htons(how->id),
	    .frag = htons(how->frag),
	    .ttl = (uint8_t)(s->ttl >= 0 ? s->ttl : ttl),
	    .protocol = s->protocol,
	    .src = how->src->w[3],
	    .dst = s->dst.w[3],
	};
	h->csum = csum_finish(csum_add(0, h, hlen));
}

static void transmit(struct ns_stack *st, struct pkt *p, const struct ip_send *s)
{
	st->stats.ip4.out_requests++;
	ip_transmit(st, p, s->path, &s->dst, s->no_multicast_loop);
}

/* The send buffer is freed with the last fragment, which gets the owner. */
static int send_fragments(struct ns_stack *st, struct pkt *p, const struct ip_send *s, size_t room,
			  const struct ip4_push *how)
{
	size_t step = room & ~(size_t)7;

	for (size_t off = 0; off < p->len; off += step) {
		size_t n = min(step, p->len - off);
		bool last = off + n == p->len;
		struct ip4_push push = *how;
		struct pkt *f = pkt_slice(p, off, n);

		if (!f) {
			st->stats.ip4.frag_fails++;
			pkt_free(p);
			return -ENOBUFS;
		}
		if (last) {
			f->owner = p->owner;
			f->charge = p->charge;
			p->owner = NULL;
		}
		push.frag = (uint16_t)(off / 8 | (last ? 0 : IP4_MF));
		push_header(f, s, &push);
		st->stats.ip4.frag_creates++;
		transmit(st, f, s);
	}
	st->stats.ip4.frag_oks++;
	pkt_free(p);
	return 0;
}

int ip4_output(struct ns_stack *st, struct pkt *p, const struct ip_send *s)
{
	const struct ns_ip *src = ns_ip_is_zero(&s->src) ? &s->path->src : &s->src;
	size_t hlen = sizeof(struct ip4_header) + (s->router_alert ? 4 : 0);
	size_t mtu = s->ignore_path_mtu ? s->path->link->mtu : s->path->mtu;
	size_t unit = p->off.gso ? (size_t)p->off.hdr_len + p->off.gso_size : p->len;
	unsigned int packets = p->off.gso ? p->len / p->off.gso_size + 1 : 1;
	struct ip4_push how = {.src = src, .id = next_id(st, s, src, packets)};

	if (p->len + hlen > 65535 || (unit + hlen > mtu && (s->dont_fragment || p->off.gso))) {
		st->stats.ip4.frag_fails += s->dont_fragment;
		pkt_free(p);
		return -EMSGSIZE;
	}
	if (unit + hlen > mtu) {
		if (csum_complete(p) == 0)
			return send_fragments(st, p, s, mtu - hlen, &how);
		pkt_free(p);
		return -ENOBUFS;
	}
	how.frag = s->dont_fragment || s->prefer_df ? IP4_DF : 0;
	push_header(p, s, &how);
	transmit(st, p, s);
	return 0;
}

int ip_output_raw(struct ns_stack *st, struct pkt *p, const struct ip_path *path)
{
	struct ip4_header copy;
	const struct ip4_header *h = PKT_PEEK(p, 0, &copy);
	struct ns_ip dst;

	if (!h || p->len > path->link->mtu) {
		pkt_free(p);
		return h ? -EMSGSIZE : -EINVAL;
	}
	dst = ns_ip4(h->dst);
	st->stats.ip4.out_requests++;
	ip_transmit(st, p, path, &dst, false);
	return 0;
}
