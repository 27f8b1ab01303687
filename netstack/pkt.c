/* Packets and chunks: see pkt.h. */
#include "netstack/pkt.h"

#include <errno.h>

#include "common/mem.h"
#include "netstack/checksum.h"
#include "netstack/endpoint.h"

/* --- memory ---------------------------------------------------------------------------- */

static bool pool_take(struct pkt_pool *pool, size_t n)
{
	size_t used = atomic_fetch_add_explicit(&pool->used, n, memory_order_relaxed);

	if (used + n <= pool->limit)
		return true;
	atomic_fetch_sub_explicit(&pool->used, n, memory_order_relaxed);
	return false;
}

static void pool_give(struct pkt_pool *pool, size_t n)
{
	atomic_fetch_sub_explicit(&pool->used, n, memory_order_relaxed);
}

void *pool_alloc(struct pkt_pool *pool, size_t n)
{
	void *p;

	if (!pool_take(pool, n))
		return NULL;
	p = malloc(n);
	if (!p)
		pool_give(pool, n);
	return p;
}

void pool_free(struct pkt_pool *pool, void *p, size_t n)
{
	if (!p)
		return;
	free(p);
	pool_give(pool, n);
}

struct chunk *chunk_new(struct pkt_pool *pool, size_t size)
{
	struct chunk *c = size <= CHUNK_MAX ? pool_alloc(pool, sizeof(*c) + size) : NULL;

	if (!c)
		return NULL;
	ref_init(&c->ref);
	c->size = (uint32_t)size;
	c->pool = pool;
	return c;
}

struct chunk *chunk_get(struct chunk *c)
{
	ref_get(&c->ref);
	return c;
}

void chunk_put(struct chunk *c)
{
	if (c && ref_put(&c->ref))
		pool_free(c->pool, c, chunk_cost(c));
}

bool chunk_is_private(const struct chunk *c)
{
	return ref_read(&c->ref) == 1;
}

struct pkt *pkt_new(struct pkt_pool *pool)
{
	struct pkt *p = pool_alloc(pool, sizeof(*p));

	if (!p)
		return NULL;
	memset(p, 0, offsetof(struct pkt, frag)); /* the rest is never read before it is written */
	list_init(&p->node);
	p->pool = pool;
	p->head = p->tail = PKT_ROOM;
	return p;
}

struct pkt *pkt_alloc(struct pkt_pool *pool, size_t n)
{
	struct pkt *p = pkt_new(pool);

	if (!p || n == 0)
		return p;
	p->frag[0] = (struct frag){.chunk = chunk_new(pool, n), .len = (uint32_t)n};
	if (!p->frag[0].chunk) {
		pkt_free(p);
		return NULL;
	}
	p->nfrags = 1;
	p->len = (uint32_t)n;
	return p;
}

struct pkt *pkt_from(struct pkt_pool *pool, const void *data, size_t n)
{
	struct pkt *p = pkt_alloc(pool, n);

	if (p && n)
		memcpy(pkt_data(p), data, n);
	return p;
}

static void drop_frags(struct pkt *p)
{
	for (unsigned int i = 0; i < p->nfrags; i++)
		chunk_put(p->frag[i].chunk);
	p->nfrags = 0;
}

void pkt_free(struct pkt *p)
{
	struct ns_ep *owner;
	uint32_t charge;

	if (!p)
		return;
	owner = p->owner;
	charge = p->charge;
	drop_frags(p);
	pool_free(p->pool, p, sizeof(*p));
	if (owner)
		ep_uncharge(owner, charge);
}

void pkt_free_list(struct list *pkts)
{
	while (!list_empty(pkts)) {
		struct pkt *p = list_first(pkts, struct pkt, node);

		list_del(&p->node);
		pkt_free(p);
	}
}

size_t pkt_cost(const struct pkt *p)
{
	size_t cost = sizeof(*p);

	for (unsigned int i = 0; i < p->nfrags; i++)
		cost += chunk_cost(p->frag[i].chunk);
	return cost;
}

/* --- building -------------------------------------------------------------------------- */

void *pkt_data(struct pkt *p)
{
	assert(p->head == p->tail && p->nfrags <= 1);
	return p->nfrags ? p->frag[0].chunk->data + p->frag[0].off : NULL;
}

int pkt_append(struct pkt *p, struct chunk *c, uint32_t off, uint32_t len)
{
	struct frag *last = p->nfrags ? &p->frag[p->nfrags - 1] : NULL;

	assert(off <= c->size && len <= c->size - off);
	if (last && last->chunk == c && last->off + last->len == off) {
		last->len += len;
	} else if (p->nfrags == PKT_FRAGS) {
		return -ENOBUFS;
	} else {
		p->frag[p->nfrags++] = (struct frag){chunk_get(c), off, len};
	}
	p->len += len;
	return 0;
}

/* Moves bytes that more has in `room` into a fragment of their own. */
static int room_to_frag(struct pkt *p)
{
	uint32_t n = p->tail - p->head;
	struct chunk *c;

	if (n == 0)
		return 0;
	c = p->nfrags < PKT_FRAGS ? chunk_new(p->pool, n) : NULL;
	if (!c)
		return -ENOBUFS;
	memcpy(c->data, p->room + p->head, n);
	memmove(p->frag + 1, p->frag, p->nfrags * sizeof(p->frag[0]));
	p->frag[0] = (struct frag){c, 0, n};
	p->nfrags++;
	p->head = p->tail = PKT_ROOM;
	return 0;
}

int pkt_join(struct pkt *p, struct pkt *more)
{
	if (room_to_frag(more) < 0 || p->nfrags + more->nfrags > PKT_FRAGS)
		return -ENOBUFS;
	for (unsigned int i = 0; i < more->nfrags; i++)
		p->frag[p->nfrags++] = more->frag[i];
	p->len += more->len;
	more->nfrags = 0;
	pkt_free(more);
	return 0;
}

struct pkt *pkt_linearize(struct pkt *p)
{
	struct chunk *c = chunk_new(p->pool, p->len);

	if (!c) {
		pkt_free(p);
		return NULL;
	}
	pkt_copy(p, 0, c->data, p->len);
	drop_frags(p);
	p->frag[0] = (struct frag){c, 0, p->len};
	p->nfrags = 1;
	p->head = p->tail = PKT_ROOM;
	return p;
}

/* Keeps the offsets of the offload counting from the packet's start, which moves by n. */
static void shift_offload(struct ns_offload *off, int n)
{
	if (off->csum_partial)
		off->csum_start = (uint16_t)(off->csum_start + n);
	if (off->gso)
		off->hdr_len = (uint16_t)(off->hdr_len + n);
}

void *pkt_push(struct pkt *p, size_t n)
{
	assert(n <= p->head);
	p->head = (uint16_t)(p->head - n);
	p->len += (uint32_t)n;
	shift_offload(&p->off, (int)n);
	return p->room + p->head;
}

void pkt_pull(struct pkt *p, size_t n)
{
	size_t here = min(n, (size_t)(p->tail - p->head));
	unsigned int gone = 0;

	assert(n <= p->len);
	shift_offload(&p->off, -(int)n);
	p->len -= (uint32_t)n;
	p->head = (uint16_t)(p->head + here);
	n -= here;
	while (n > 0 && n >= p->frag[gone].len) {
		n -= p->frag[gone].len;
		chunk_put(p->frag[gone++].chunk);
	}
	p->nfrags = (uint8_t)(p->nfrags - gone);
	memmove(p->frag, p->frag + gone, p->nfrags * sizeof(p->frag[0]));
	if (n) {
		p->frag[0].off += (uint32_t)n;
		p->frag[0].len -= (uint32_t)n;
	}
}

void pkt_trim(struct pkt *p, size_t n)
{
	size_t keep = n, room = p->tail - p->head;

	assert(n <= p->len);
	p->len = (uint32_t)n;
	if (keep < room) {
		p->tail = (uint16_t)(p->head + keep);
		keep = 0;
	} else {
		keep -= room;
	}
	for (unsigned int i = 0; i < p->nfrags; i++) {
		if (keep == 0) {
			for (unsigned int j = i; j < p->nfrags; j++)
				chunk_put(p->frag[j].chunk);
			p->nfrags = (uint8_t)i;
			return;
		}
		p->frag[i].len = (uint32_t)min((size_t)p->frag[i].len, keep);
		keep -= p->frag[i].len;
	}
}

/* --- looking ---------------------------------------------------------------------------- */

/* The i-th contiguous piece: 0 is what is in room. */
static unsigned char *piece(const struct pkt *p, unsigned int i, size_t *len)
{
	const struct frag *f;

	if (i == 0) {
		*len = p->tail - p->head;
		return (unsigned char *)p->room + p->head;
	}
	f = &p->frag[i - 1];
	*len = f->len;
	return f->chunk->data + f->off;
}

/* Calls f with each contiguous run of [off, off + n), and where it lies in that range. */
static void each_run(const struct pkt *p, size_t off, size_t n,
		     void (*f)(unsigned char *run, size_t at, size_t len, void *arg), void *arg)
{
	size_t at = 0, len;

	for (unsigned int i = 0; i <= p->nfrags && n > 0; i++) {
		unsigned char *run = piece(p, i, &len);

		if (off >= len) {
			off -= len;
			continue;
		}
		len = min(len - off, n);
		f(run + off, at, len, arg);
		at += len;
		n -= len;
		off = 0;
	}
	assert(n == 0);
}

static void copy_run(unsigned char *run, size_t at, size_t len, void *to)
{
	memcpy((unsigned char *)to + at, run, len);
}

void pkt_copy(const struct pkt *p, size_t off, void *buf, size_t n)
{
	each_run(p, off, n, copy_run, buf);
}

const void *pkt_run(const struct pkt *p, size_t off, size_t *n)
{
	size_t len;

	for (unsigned int i = 0; i <= p->nfrags; i++) {
		unsigned char *run = piece(p, i, &len);

		if (off < len) {
			*n = len - off;
			return run + off;
		}
		off -= len;
	}
	*n = 0;
	return NULL;
}

const void *pkt_peek(const struct pkt *p, size_t off, size_t n, void *buf)
{
	size_t at = off, len;

	if (off > p->len || n > p->len - off)
		return NULL;
	for (unsigned int i = 0; i <= p->nfrags; i++) {
		unsigned char *run = piece(p, i, &len);

		if (at < len && n <= len - at)
			return run + at;
		if (at < len)
			break;
		at -= len;
	}
	pkt_copy(p, off, buf, n);
	return buf;
}

static void write_run(unsigned char *run, size_t at, size_t len, void *from)
{
	memcpy(run, (const unsigned char *)from + at, len);
}

void pkt_write(struct pkt *p, size_t off, const void *data, size_t n)
{
	assert(pkt_is_writable(p, off, n));
	each_run(p, off, n, write_run, (void *)data);
}

bool pkt_is_writable(const struct pkt *p, size_t off, size_t n)
{
	size_t len;

	for (unsigned int i = 0; i <= p->nfrags && n > 0; i++) {
		piece(p, i, &len);
		if (off >= len) {
			off -= len;
			continue;
		}
		if (i > 0 && !chunk_is_private(p->frag[i - 1].chunk))
			return false;
		n -= min(len - off, n);
		off = 0;
	}
	return n == 0;
}

struct sum {
	uint32_t sum;
};

static void sum_run(unsigned char *run, size_t at, size_t len, void *arg)
{
	struct sum *s = arg;

	s->sum = csum_combine(s->sum, csum_add(0, run, len), at & 1);
}

uint32_t pkt_sum(const struct pkt *p, size_t off, size_t n)
{
	struct sum s = {};

	each_run(p, off, n, sum_run, &s);
	return s.sum;
}

/* --- sharing ----------------------------------------------------------------------------- */

static void share_meta(struct pkt *to, const struct pkt *from)
{
	to->link = from->link;
	to->when = from->when;
	to->pkttype = from->pkttype;
	memcpy(to->src_mac, from->src_mac, sizeof(to->src_mac));
	to->ethertype = from->ethertype;
	to->diverted = from->diverted;
	to->payload = from->payload;
	to->off = from->off;
}

struct pkt *pkt_slice(const struct pkt *p, size_t off, size_t n)
{
	struct pkt *s = pkt_new(p->pool);
	size_t room = p->tail - p->head;

	assert(off <= p->len && n <= p->len - off);
	if (!s)
		return NULL;
	share_meta(s, p);
	shift_offload(&s->off, -(int)off);
	s->len = (uint32_t)n;
	if (off < room && n > 0) {
		size_t here = min(n, room - off);

		s->head = (uint16_t)(PKT_ROOM - here);
		memcpy(s->room + s->head, p->room + p->head + off, here);
		n -= here;
		off = room;
	}
	off -= min(off, room);
	for (unsigned int i = 0; i < p->nfrags && n > 0; i++) {
		const struct frag *f = &p->frag[i];

		if (off >= f->len) {
			off -= f->len;
			continue;
		}
		s->frag[s->nfrags++] = (struct frag){chunk_get(f->chunk), f->off + (uint32_t)off,
						     (uint32_t)min((size_t)f->len - off, n)};
		n -= s->frag[s->nfrags - 1].len;
		off = 0;
	}
	return s;
}

int pkt_iov(const struct pkt *p, struct iovec *iov)
{
	int n = 0;

	for (unsigned int i = 0; i <= p->nfrags; i++) {
		iov[n].iov_base = piece(p, i, &iov[n].iov_len);
		if (iov[n].iov_len)
			n++;
	}
	return n;
}
