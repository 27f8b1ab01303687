/*
 * Cutting large segments in software, for links that cannot (link.h). Each piece is a slice,
 * so payload is not copied; headers are copied into each and corrected: IP length and
 * identification, TCP sequence and flags, UDP length. Checksums stay partial, or are completed
 * if asked for.
 */
#include <errno.h>

#include "netstack/addr.h"
#include "netstack/checksum.h"
#include "netstack/link.h"
#include "netstack/wire.h"

struct cut {
	const struct pkt *whole;
	size_t l2, l4, headers; /* offsets from the frame's start */
	struct ns_ip src, dst;
	uint8_t protocol;
};

/* Reads the addresses; false: not what the offload says. */
static bool read_ip(struct cut *c)
{
	struct ip4_header h4;
	struct ip6_header h6;
	uint8_t first;
	const uint8_t *version = PKT_PEEK(c->whole, c->l2, &first);

	if (version && *version >> 4 == 4) {
		const struct ip4_header *h = PKT_PEEK(c->whole, c->l2, &h4);

		if (h) {
			c->src = ns_ip4(h->src);
			c->dst = ns_ip4(h->dst);
		}
		return h;
	}
	if (version && *version >> 4 == 6) {
		const struct ip6_header *h = PKT_PEEK(c->whole, c->l2, &h6);

		if (h) {
			c->src = ns_ip6(h->src);
			c->dst = ns_ip6(h->dst);
		}
		return h;
	}
	return false;
}

/* The transport header's own length; 0: too short. */
static size_t l4_header_len(const struct cut *c)
{
	struct tcp_header copy;
	const struct tcp_header *h;

	if (c->protocol == IPPROTO_UDP)
		return sizeof(struct udp_header);
	h = PKT_PEEK(c->whole, c->l4, &copy);
	return h && h->off >> 4 >= 5 ? (size_t)(h->off >> 4) * 4 : 0;
}

static bool cut_init(struct cut *c, const struct pkt *p, size_t l2)
{
	size_t l4_len;

	*c = (struct cut){.whole = p, .l2 = l2, .l4 = p->off.csum_start};
	c->protocol = p->off.gso == NS_GSO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	if (!p->off.csum_partial || !read_ip(c))
		return false;
	l4_len = l4_header_len(c);
	c->headers = c->l4 + l4_len;
	return l4_len && c->headers < p->len && c->headers <= PKT_ROOM;
}

static void fix_ip4(unsigned char *ip, size_t total, unsigned int index)
{
	struct ip4_header *h = (struct ip4_header *)ip;

	h->total_len = htons((uint16_t)total);
	h->id = htons((uint16_t)(ntohs(h->id) + index));
	h->csum = 0;
	h->csum = csum_finish(csum_add(0, h, (size_t)(h->version_ihl & 15) * 4));
}

static void fix_tcp(struct tcp_header *h, size_t offset, bool first, bool last)
{
	h->seq = htonl(ntohl(h->seq) + (uint32_t)offset);
	if (!last)
		h->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (!first)
		h->flags &= (uint8_t)~TCP_CWR;
}

/* The piece [offset, offset + n) of the payload; NULL: no memory. */
static struct pkt *cut_piece(const struct cut *c, size_t offset, size_t n, unsigned int index)
{
	struct pkt *p = pkt_slice(c->whole, c->headers + offset, n);
	bool last = c->headers + offset + n == c->whole->len;
	unsigned char *h;
	uint16_t sum;

	if (!p)
		return NULL;
	p->off = (struct ns_offload){};
	h = pkt_push(p, c->headers);
	pkt_copy(c->whole, 0, h, c->headers);
	if (ns_ip_is_v4(&c->src))
		fix_ip4(h + c->l2, p->len - c->l2, index);
	else
		((struct ip6_header *)(h + c->l2))->payload_len =
		    htons((uint16_t)(p->len - c->l2 - sizeof(struct ip6_header)));
	if (c->protocol == IPPROTO_TCP)
		fix_tcp((struct tcp_header *)(h + c->l4), offset, index == 0, last);
	else
		((struct udp_header *)(h + c->l4))->len = htons((uint16_t)(p->len - c->l4));
	sum = csum_fold(csum_pseudo(&c->src, &c->dst, c->protocol, (uint32_t)(p->len - c->l4)));
	memcpy(h + c->l4 + c->whole->off.csum_offset, &sum, sizeof(sum));
	p->off.csum_partial = true;
	p->off.csum_start = (uint16_t)c->l4;
	p->off.csum_offset = c->whole->off.csum_offset;
	return p;
}

void gso_segment(struct pkt *p, size_t l2, bool finish, struct list *out)
{
	size_t offset = 0, size = p->off.gso_size;
	struct pkt *last = NULL;
	struct cut c;

	if (!cut_init(&c, p, l2) || size == 0) {
		pkt_free(p);
		return;
	}
	for (unsigned int i = 0; c.headers + offset < p->len; i++, offset += size) {
		struct pkt *piece =
		    cut_piece(&c, offset, min(size, p->len - c.headers - offset), i);

		if (!piece || (finish && csum_complete(piece) < 0)) {
			pkt_free(piece);
			break;
		}
		list_add_tail(out, &piece->node);
		last = piece;
	}
	if (last) { /* the send buffer is freed with the last piece */
		last->owner = p->owner;
		last->charge = p->charge;
		p->owner = NULL;
	}
	pkt_free(p);
}
