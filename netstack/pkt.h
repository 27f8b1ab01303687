/*
 * Packets: scattered bytes, of which pieces may be shared.
 *
 *     struct pkt    | room: headers pushed by us | frag 0 | frag 1 | ...
 *                         ^head        ^tail         |
 *                                                    v
 *     struct chunk  | refcount, size | ............ bytes ............ |
 *
 * A packet has one owner and is not refcounted; the chunks that its fragments point
 * into are, so slices and clones do not copy payload. The bytes of a packet are those
 * in `room`, then those of the fragments. Sending pushes headers into `room`, which is
 * our own memory and contiguous. Receiving leaves the frame in a chunk and moves `head`
 * or the first fragment on (pull); headers are read with pkt_peek, which copies only
 * where they straddle pieces, and says NULL where the packet is too short: no header is
 * ever read otherwise. Chunks that are shared are never written to.
 *
 * Accounting: every packet and chunk is charged to its stack's `struct pkt_pool`, a hard
 * bound; allocation fails with NULL at the bound. An endpoint's send buffer is charged by
 * `charge` (endpoint.h). Pools and refcounts are atomic, so payload may be copied and
 * packets without charge freed without the stack's lock; all else is the owner's affair.
 */
#ifndef GARRISON_NETSTACK_PKT_H
#define GARRISON_NETSTACK_PKT_H

#include <stdatomic.h>

#include "common/list.h"
#include "common/refcount.h"
#include "netstack/netstack.h"

struct pkt_pool {
	atomic_size_t used;
	size_t limit; /* immutable */
};

/* Uninitialised memory that counts against the pool, for what a guest or a peer makes us keep.
 * NULL: none, or the bound. */
void *pool_alloc(struct pkt_pool *pool, size_t n) MUST_CHECK;
void pool_free(struct pkt_pool *pool, void *p, size_t n);

#define CHUNK_MAX (65536u + 256) /* a frame with 64 KiB of payload */

struct chunk {
	struct refcount ref;
	uint32_t size;
	struct pkt_pool *pool;
	unsigned char data[];
};

/* size up to CHUNK_MAX. NULL: no memory, or the pool's bound. */
struct chunk *chunk_new(struct pkt_pool *pool, size_t size) MUST_CHECK;
struct chunk *chunk_get(struct chunk *c);
void chunk_put(struct chunk *c);
/* Nobody else has a reference, so it may be written to. */
bool chunk_is_private(const struct chunk *c);
/* What holding this chunk costs. */
static inline size_t chunk_cost(const struct chunk *c)
{
	return sizeof(*c) + c->size;
}

struct frag {
	struct chunk *chunk; /* owned */
	uint32_t off, len;
};

#define PKT_FRAGS 8
#define PKT_ROOM 192 /* Ethernet 14, IPv6 40 and 8, TCP 60, and options of ours */

struct pkt {
	struct list node; /* for whoever owns it */
	struct pkt_pool *pool;
	uint32_t len;	     /* of all bytes */
	uint16_t head, tail; /* the bytes in room; a new packet has both at the end */
	uint8_t nfrags;

	/* where it came from */
	struct ns_link *link; /* NULL: made here, not yet routed */
	uint64_t when;	      /* arrival, ns */
	uint8_t pkttype;      /* PACKET_HOST, ... as the link layer saw it */
	uint8_t src_mac[6];
	uint16_t ethertype; /* host order */
	bool diverted;	    /* goes over lo to a gate, by the policy's order */
	uint16_t payload;   /* in a receive queue: where the user's data begin, IP header at 0 */
	uint32_t seq;	    /* in TCP's queues: sequence number of the first byte */
	/* offsets in off count from the packet's present start: push and pull adjust them */
	struct ns_offload off;

	/* whose send buffer it fills; NULL: nobody's */
	struct ns_ep *owner;
	uint32_t charge;

	struct frag frag[PKT_FRAGS];
	unsigned char room[PKT_ROOM];
};

/* An empty packet. NULL: no memory. */
struct pkt *pkt_new(struct pkt_pool *pool) MUST_CHECK;
/* A packet whose one fragment is a new private chunk with n bytes of room; len is n and the
 * bytes are for the caller to write (pkt_data). NULL: no memory, or n > CHUNK_MAX. */
struct pkt *pkt_alloc(struct pkt_pool *pool, size_t n) MUST_CHECK;
/* The same, filled from memory. */
struct pkt *pkt_from(struct pkt_pool *pool, const void *data, size_t n) MUST_CHECK;
/* Stack locked if it has an owner. NULL is allowed. */
void pkt_free(struct pkt *p);
void pkt_free_list(struct list *pkts);

/* The first bytes of a packet made by pkt_alloc, while nothing was pushed or pulled. */
void *pkt_data(struct pkt *p);
/* Appends a piece, taking a new reference on c. -ENOBUFS: no fragment left. Merges with the
 * last fragment where they adjoin. */
int pkt_append(struct pkt *p, struct chunk *c, uint32_t off, uint32_t len) MUST_CHECK;
/* Moves the bytes of `more` to the end of p and frees it. -ENOBUFS: too many pieces; both stay. */
int pkt_join(struct pkt *p, struct pkt *more) MUST_CHECK;
/* All bytes in one private chunk (a copy) or NULL; p is freed in any case. */
struct pkt *pkt_linearize(struct pkt *p) MUST_CHECK;

/* n bytes of header before the first byte, to be filled by the caller. Asserts the room: the
 * sum of all headers that we push is a constant below PKT_ROOM. */
void *pkt_push(struct pkt *p, size_t n);
/* Takes n <= len bytes off the front. */
void pkt_pull(struct pkt *p, size_t n);
/* Cuts the packet to n <= len bytes. */
void pkt_trim(struct pkt *p, size_t n);

/* n bytes from `off` on, in place or copied into buf (room for n); NULL: beyond the end. */
const void *pkt_peek(const struct pkt *p, size_t off, size_t n, void *buf);
/* The contiguous bytes from `off` on, and how many they are; NULL: none. */
const void *pkt_run(const struct pkt *p, size_t off, size_t *n);
/* Typed: const struct udp_header *h = PKT_PEEK(p, off, &copy); */
#define PKT_PEEK(p, off, copy)                                                                     \
	((const __typeof__(*(copy)) *)pkt_peek((p), (off), sizeof(*(copy)), (copy)))
/* Copies n bytes out; the caller has checked off + n <= len. */
void pkt_copy(const struct pkt *p, size_t off, void *buf, size_t n);
/* Are these bytes in room or in private chunks? */
bool pkt_is_writable(const struct pkt *p, size_t off, size_t n);
/* Overwrites n bytes, which must be writable. */
void pkt_write(struct pkt *p, size_t off, const void *data, size_t n);

/* A new packet with the bytes [off, off + n) of p, payload shared, with p's meta data but
 * neither owner nor charge. NULL: no memory. */
struct pkt *pkt_slice(const struct pkt *p, size_t off, size_t n) MUST_CHECK;
static inline struct pkt *MUST_CHECK pkt_clone(const struct pkt *p)
{
	return pkt_slice(p, 0, p->len);
}

/* As iovecs: how many were written; PKT_FRAGS + 1 suffice. */
int pkt_iov(const struct pkt *p, struct iovec *iov);
/* What the packet costs: itself and its chunks as a whole (Linux's truesize). */
size_t pkt_cost(const struct pkt *p);

/* Ones' complement sum over [off, off + n), not folded, of a packet's bytes. */
uint32_t pkt_sum(const struct pkt *p, size_t off, size_t n);

#endif
