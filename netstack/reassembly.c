/*
 * Reassembly: see reassembly.h for the bounds. Fragments of a datagram are kept sorted by
 * offset; when they cover it without gaps they are copied into one piece.
 */
#include "netstack/reassembly.h"

#include <errno.h>

#include "common/mem.h"

#define PIECES_MAX 64
#define DATAGRAMS_MAX 256
#define PAYLOAD_MAX 65535

struct piece {
	struct list node;
	struct pkt *p; /* owned; the whole IP packet */
	uint32_t off, len, skip;
};

struct datagram {
	struct list node; /* in reassembly.datagrams, oldest first */
	struct reassembly *r;
	struct frag_key key;
	struct list pieces; /* struct piece, by offset */
	unsigned int npieces;
	uint32_t total; /* bytes of payload; 0: the last fragment is not here yet */
	uint32_t have;
	size_t cost;
	uint8_t ecn_seen;      /* a bit for each ECN codepoint */
	bool spoiled;	       /* had an overlap: everything of it is dropped until it times out */
	struct fragment first; /* as the fragment at offset 0 said */
	struct ns_timer timer;
};

struct reassembly {
	struct ns_stack *st;
	struct list datagrams;
	unsigned int ndatagrams;
	size_t cost;
};

int reassembly_init(struct ns_stack *st)
{
	struct reassembly *r = try_calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->st = st;
	list_init(&r->datagrams);
	st->reassembly = r;
	return 0;
}

static void drop_pieces(struct datagram *d)
{
	struct pkt_pool *pool = &d->r->st->pool;

	while (!list_empty(&d->pieces)) {
		struct piece *f = list_first(&d->pieces, struct piece, node);

		list_del(&f->node);
		pkt_free(f->p);
		pool_free(pool, f, sizeof(*f));
	}
	d->r->cost -= d->cost;
	d->cost = 0;
	d->npieces = 0;
}

static void datagram_free(struct datagram *d)
{
	struct reassembly *r = d->r;

	drop_pieces(d);
	ns_timer_cancel(&r->st->timers, &d->timer);
	list_del(&d->node);
	r->ndatagrams--;
	pool_free(&r->st->pool, d, sizeof(*d));
}

void reassembly_fini(struct ns_stack *st)
{
	struct reassembly *r = st->reassembly;

	while (r && !list_empty(&r->datagrams))
		datagram_free(list_first(&r->datagrams, struct datagram, node));
	free(r);
}

static bool is_v4(const struct datagram *d)
{
	return ns_ip_is_v4(&d->key.src);
}

static void count_fail(struct ns_stack *st, const struct datagram *d)
{
	if (is_v4(d))
		st->stats.ip4.reasm_fails++;
	else
		st->stats.ip6.reasm_fails++;
}

/* Tells the sender, if we have the fragment that says who it was (RFC 1122 3.3.2, RFC 8200). */
static void timed_out(struct ns_timer *t, uint64_t now)
{
	struct datagram *d = container_of(t, struct datagram, timer);
	struct ns_stack *st = d->r->st;
	struct piece *f =
	    list_empty(&d->pieces) ? NULL : list_first(&d->pieces, struct piece, node);
	struct ip_info ip = {.src = d->key.src, .dst = d->key.dst, .link = NULL};

	if (is_v4(d))
		st->stats.ip4.reasm_timeout++;
	else
		st->stats.ip6.reasm_timeout++;
	if (f && f->off == 0 && !d->spoiled) {
		ip.link = f->p->link;
		ip.family = is_v4(d) ? NS_IPV4 : NS_IPV6;
		ip.protocol = is_v4(d) ? (uint8_t)d->key.protocol : d->first.next;
		ip.l4 = f->skip;
		ip.multicast = ns_ip_is_multicast(&ip.dst);
		ip.broadcast = ns_ip_is_v4(&ip.dst) && ip_is_broadcast(ip.link, &ip.dst);
		ip.gateway = !ip_is_local(st, &ip.dst);
		icmp_send_error(st, f->p, &ip, ICMP_REASSEMBLY_TIMEOUT, 0);
	}
	datagram_free(d);
}

static bool same_key(const struct frag_key *a, const struct frag_key *b)
{
	return a->id == b->id && a->protocol == b->protocol && a->ifindex == b->ifindex &&
	       ns_ip_equal(&a->src, &b->src) && ns_ip_equal(&a->dst, &b->dst);
}

static struct datagram *find(struct reassembly *r, const struct frag_key *key)
{
	struct datagram *d;

	list_for_each (d, &r->datagrams, node)
		if (same_key(&d->key, key))
			return d;
	return NULL;
}

static struct datagram *make(struct reassembly *r, const struct frag_key *key)
{
	struct ns_stack *st = r->st;
	struct datagram *d;
	uint64_t life = ns_ip_is_v4(&key->src) ? 30 * NSEC_PER_SEC : 60 * NSEC_PER_SEC;

	if (r->ndatagrams >= DATAGRAMS_MAX)
		datagram_free(list_first(&r->datagrams, struct datagram, node));
	d = pool_alloc(&st->pool, sizeof(*d));
	if (!d)
		return NULL;
	*d = (struct datagram){.r = r, .key = *key};
	list_init(&d->pieces);
	ns_timer_init(&d->timer, timed_out);
	ns_timer_arm(&st->timers, &d->timer, stack_now(st) + life);
	list_add_tail(&r->datagrams, &d->node);
	r->ndatagrams++;
	return d;
}

/* Drops the oldest datagrams until `cost` more fit; `keep` is spared. */
static bool make_room(struct reassembly *r, size_t cost, const struct datagram *keep)
{
	while (r->cost + cost > r->st->limits.fragments) {
		struct datagram *d = list_first(&r->datagrams, struct datagram, node);

		if (d == keep)
			return false;
		count_fail(r->st, d);
		datagram_free(d);
	}
	return true;
}

enum place { PLACED, DUPLICATE, REFUSED };

/* Where the fragment goes among the others. */
static enum place find_place(struct datagram *d, const struct fragment *f, uint32_t len,
			     struct list **before)
{
	struct piece *other;

	*before = &d->pieces;
	list_for_each (other, &d->pieces, node) {
		if (other->off == f->off && other->len == len)
			return DUPLICATE;
		if (other->off < f->off + len && f->off < other->off + other->len)
			return REFUSED;
		if (other->off > f->off) {
			*before = &other->node;
			break;
		}
	}
	return PLACED;
}

/* Do the fragment's end and the datagram's known end agree? */
static bool end_fits(struct datagram *d, const struct fragment *f, uint32_t len)
{
	uint32_t end = f->off + len;

	if (f->more)
		return len % 8 == 0 && (!d->total || end < d->total);
	if (d->total)
		return end == d->total;
	if (!list_empty(&d->pieces)) {
		struct piece *last = list_last(&d->pieces, struct piece, node);

		if (last->off + last->len > end)
			return false;
	}
	d->total = end;
	return true;
}

/* Takes p. */
static enum place add_piece(struct datagram *d, struct pkt *p, const struct fragment *f)
{
	struct pkt_pool *pool = &d->r->st->pool;
	uint32_t len = p->len - f->skip;
	size_t cost = pkt_cost(p) + sizeof(struct piece);
	struct list *before;
	struct piece *piece;
	enum place place;

	if (len == 0 || f->off + len > PAYLOAD_MAX || d->npieces >= PIECES_MAX)
		return REFUSED;
	place = find_place(d, f, len, &before);
	if (place != PLACED)
		return place;
	if (!end_fits(d, f, len) || !make_room(d->r, cost, d) ||
	    !(piece = pool_alloc(pool, sizeof(*piece))))
		return REFUSED;
	*piece = (struct piece){.p = p, .off = f->off, .len = len, .skip = f->skip};
	list_add_tail(before, &piece->node);
	d->npieces++;
	d->have += len;
	d->cost += cost;
	d->r->cost += cost;
	d->ecn_seen |= (uint8_t)(1 << f->ecn);
	if (f->off == 0)
		d->first = *f;
	return PLACED;
}

/* RFC 3168 5.3: CE anywhere makes CE; Not-ECT together with ECN-capable is a mix to be dropped. */
static int merged_ecn(const struct datagram *d)
{
	if (!(d->ecn_seen & (1 << 3)))
		return d->first.ecn;
	return d->ecn_seen & 1 ? -EINVAL : 3;
}

static struct pkt *join(struct datagram *d, struct fragment *f)
{
	struct pkt *whole = pkt_alloc(&d->r->st->pool, d->first.skip + d->total);
	struct piece *first = list_first(&d->pieces, struct piece, node), *piece;
	int ecn = merged_ecn(d);
	unsigned char *to;

	if (!whole || ecn < 0) {
		pkt_free(whole);
		return NULL;
	}
	to = pkt_data(whole);
	pkt_copy(first->p, 0, to, first->skip);
	list_for_each (piece, &d->pieces, node)
		pkt_copy(piece->p, piece->skip, to + first->skip + piece->off, piece->len);
	whole->link = first->p->link;
	whole->when = first->p->when;
	whole->pkttype = first->p->pkttype;
	whole->ethertype = first->p->ethertype;
	whole->diverted = first->p->diverted;
	memcpy(whole->src_mac, first->p->src_mac, sizeof(whole->src_mac));
	*f = d->first;
	f->ecn = (uint8_t)ecn;
	return whole;
}

struct pkt *reassembly_add(struct ns_stack *st, struct pkt *p, struct fragment *f)
{
	struct reassembly *r = st->reassembly;
	struct datagram *d = find(r, &f->key);
	struct pkt *whole;

	if (!d)
		d = make(r, &f->key);
	if (!d || d->spoiled) {
		pkt_free(p);
		return NULL;
	}
	switch (add_piece(d, p, f)) {
	case DUPLICATE:
		pkt_free(p);
		return NULL;
	case REFUSED:
		pkt_free(p);
		count_fail(st, d);
		drop_pieces(d);
		d->spoiled = true;
		return NULL;
	case PLACED:
		break;
	}
	if (!d->total || d->have != d->total)
		return NULL;
	whole = join(d, f);
	if (!whole)
		count_fail(st, d);
	datagram_free(d);
	return whole;
}
