/*
 * Links and their queues: see link.h. A queue is drained by one thread at a time, which
 * takes all frames that are there, transmits them without the lock, and looks again.
 */
#include "netstack/link.h"

#include <errno.h>
#include <linux/if_packet.h>

#include "common/mem.h"
#include "netstack/checksum.h"
#include "netstack/mcast.h"
#include "netstack/nd.h"
#include "netstack/neigh.h"
#include "netstack/packet.h"
#include "netstack/wire.h"

#define RX_SMALL 2048
#define FRAME_MAX (65536u + 14)
#define DRAIN_BATCH 64

/* --- life --------------------------------------------------------------------------------- */

struct ns_link *link_by_index(struct ns_stack *st, uint32_t ifindex)
{
	return ifindex >= 1 && ifindex <= st->nlinks ? st->link[ifindex - 1] : NULL;
}

static struct ns_link *link_new(struct ns_stack *st, const struct ns_link_config *c)
{
	struct ns_link *l = NEW(struct ns_link);

	l->st = st;
	l->port = c->port;
	l->features = c->features;
	l->mtu = c->mtu;
	l->autoconf = c->autoconf;
	memcpy(l->name, c->name, sizeof(l->name));
	l->name[sizeof(l->name) - 1] = 0;
	memcpy(l->mac, c->mac, sizeof(l->mac));
	list_init(&l->addrs);
	list_init(&l->groups);
	list_init(&l->queue);
	list_init(&l->drain_node);
	nd_link_init(l);
	mcast_link_init(l);
	l->ifindex = ++st->nlinks;
	st->link[l->ifindex - 1] = l;
	return l;
}

int stack_add_loopback(struct ns_stack *st)
{
	struct ns_link_config c = {.name = "lo",
				   .mtu = 65535, /* Linux has 65536, more than IP can say */
				   .features =
				       NS_LINK_LOOPBACK | NS_LINK_CSUM | NS_LINK_TSO | NS_LINK_USO};
	struct ns_ifaddr a = {.ip = ns_ip4_host(0x7f000001), .prefix = 8};
	struct ns_link *lo = link_new(st, &c);
	struct ifaddr *made;
	int err;

	lo->up = true;
	a.valid_left = a.preferred_left = NS_NEVER;
	err = ifaddr_add(st, lo, &a, &made);
	if (err < 0)
		return err;
	a.ip = (struct ns_ip){.b = {[15] = 1}};
	a.prefix = 128;
	return ifaddr_add(st, lo, &a, &made);
}

void link_free(struct ns_link *l)
{
	nd_link_fini(l);
	while (!list_empty(&l->addrs))
		ifaddr_remove(list_first(&l->addrs, struct ifaddr, node));
	neigh_flush_link(l);
	mcast_link_fini(l);
	pkt_free_list(&l->queue);
	ns_rx_cancel(l);
	free(l);
}

static bool config_ok(const struct ns_link_config *c)
{
	bool gateway_on_ether = !(c->features & NS_LINK_LOOPBACK);

	return c->port && c->port->ops && gateway_on_ether && c->name[0] && c->mtu >= 68 &&
	       c->mtu <= 65535;
}

int ns_link_add(struct ns_stack *st, const struct ns_link_config *config, struct ns_link **out)
{
	int err = 0;

	if (!config_ok(config))
		return -EINVAL;
	stack_lock(st);
	for (unsigned int i = 0; i < st->nlinks; i++)
		if (strncmp(st->link[i]->name, config->name, sizeof(config->name)) == 0)
			err = -EEXIST;
	if (err == 0 && st->nlinks == LINKS_MAX)
		err = -ENOSPC;
	if (err == 0)
		*out = link_new(st, config);
	stack_unlock(st);
	return err;
}

/* What is being transmitted is counted by link_drain_end. */
static void drop_queue(struct ns_link *l)
{
	while (!list_empty(&l->queue)) {
		struct pkt *p = list_first(&l->queue, struct pkt, node);

		list_del(&p->node);
		l->queued_packets--;
		l->queued_bytes -= p->len;
		l->stats.tx_dropped++;
		pkt_free(p);
	}
}

static void go_up(struct ns_link *l)
{
	struct ns_ip any4 = ns_ip4(0), any6 = {};

	nd_link_up(l);
	mcast_answer(l, &any4, NSEC_PER_SEC); /* nobody has heard of our groups yet */
	mcast_answer(l, &any6, NSEC_PER_SEC);
}

static void go_down(struct ns_link *l)
{
	neigh_flush_link(l);
	drop_queue(l);
	nd_link_down(l);
}

void ns_link_set_up(struct ns_link *l, bool up)
{
	stack_lock(l->st);
	if (l->up != up) {
		l->up = up;
		route_changed(l->st);
		if (up)
			go_up(l);
		else
			go_down(l);
	}
	stack_unlock(l->st);
}

int ns_link_set_mtu(struct ns_link *l, uint32_t mtu)
{
	if (mtu < 68 || mtu > 65535)
		return -EINVAL;
	stack_lock(l->st);
	l->mtu = mtu;
	route_changed(l->st);
	stack_unlock(l->st);
	return 0;
}

struct ns_link *ns_link_find(struct ns_stack *st, uint32_t ifindex)
{
	struct ns_link *l;

	stack_lock(st);
	l = link_by_index(st, ifindex);
	stack_unlock(st);
	return l;
}

size_t ns_links(struct ns_stack *st, struct ns_link_info *out, size_t max)
{
	size_t n;

	stack_lock(st);
	n = st->nlinks;
	for (size_t i = 0; i < min(n, max); i++) {
		struct ns_link *l = st->link[i];

		out[i] = (struct ns_link_info){.ifindex = l->ifindex,
					       .mtu = l->mtu,
					       .features = l->features,
					       .up = l->up,
					       .stats = l->stats};
		memcpy(out[i].name, l->name, sizeof(l->name));
		memcpy(out[i].mac, l->mac, sizeof(l->mac));
	}
	stack_unlock(st);
	return n;
}

/* --- sending -------------------------------------------------------------------------------- */

static void schedule_drain(struct ns_link *l)
{
	if (!l->draining && !l->stalled && !list_empty(&l->queue) && !list_linked(&l->drain_node))
		list_add_tail(&l->st->to_drain, &l->drain_node);
}

static void enqueue(struct ns_link *l, struct pkt *p)
{
	if (l->queued_packets >= LINK_QUEUE_PACKETS ||
	    l->queued_bytes + p->len > LINK_QUEUE_BYTES) {
		l->stats.tx_dropped++;
		pkt_free(p);
		return;
	}
	l->queued_packets++;
	l->queued_bytes += p->len;
	list_add_tail(&l->queue, &p->node);
	schedule_drain(l);
}

static bool can_cut(const struct ns_link *l, const struct pkt *p)
{
	uint32_t feature = p->off.gso == NS_GSO_UDP ? NS_LINK_USO : NS_LINK_TSO;

	return !p->off.gso || (l->features & feature);
}

/* Does in software what the link cannot, and queues what comes of it. */
static void enqueue_cut(struct ns_link *l, struct pkt *p)
{
	struct list out = LIST_INIT(out);

	gso_segment(p, l->features & NS_LINK_ETHERNET ? sizeof(struct ether_header) : 0,
		    !(l->features & NS_LINK_CSUM), &out);
	while (!list_empty(&out)) {
		p = list_first(&out, struct pkt, node);
		list_del(&p->node);
		enqueue(l, p);
	}
}

void link_send(struct ns_link *l, struct pkt *p)
{
	if (!l->up) {
		l->stats.tx_dropped++;
		pkt_free(p);
		return;
	}
	packet_tap(l, p, PACKET_OUTGOING);
	if (link_is_loopback(l)) {
		l->stats.tx_packets++;
		l->stats.tx_bytes += p->len;
		list_add_tail(&l->st->loop, &p->node);
	} else if (!can_cut(l, p)) {
		enqueue_cut(l, p);
	} else if (!(l->features & NS_LINK_CSUM) && csum_complete(p) < 0) {
		l->stats.tx_errors++;
		pkt_free(p);
	} else {
		enqueue(l, p);
	}
}

struct ns_link *link_drain_begin(struct ns_stack *st, struct list *frames)
{
	struct ns_link *l;

	if (list_empty(&st->to_drain))
		return NULL;
	l = list_first(&st->to_drain, struct ns_link, drain_node);
	list_del(&l->drain_node);
	l->draining = true;
	l->kicked = false;
	for (int i = 0; i < DRAIN_BATCH && !list_empty(&l->queue); i++) {
		struct pkt *p = list_first(&l->queue, struct pkt, node);

		list_del(&p->node);
		list_add_tail(frames, &p->node);
	}
	return l;
}

/* What became of a frame: `len` stays, `pkttype` is of no more use to it. */
enum { FRAME_SENT = 100, FRAME_FAILED };

void link_drain(struct ns_link *l, struct list *frames)
{
	struct pkt *p;

	list_for_each (p, frames, node) {
		struct iovec iov[PKT_FRAGS + 1];
		struct ns_frame f = {iov, pkt_iov(p, iov), p->len, p->off};
		int err = l->port->ops->transmit(l->port, &f);

		if (err == -EAGAIN)
			return;
		p->pkttype = err < 0 ? FRAME_FAILED : FRAME_SENT;
	}
}

static void count_out(struct ns_link *l, struct pkt *p)
{
	l->queued_packets--;
	l->queued_bytes -= p->len;
	if (p->pkttype == FRAME_SENT) {
		l->stats.tx_packets++;
		l->stats.tx_bytes += p->len;
	} else {
		l->stats.tx_errors++;
	}
}

void link_drain_end(struct ns_link *l, struct list *frames)
{
	while (!list_empty(frames)) {
		struct pkt *p = list_first(frames, struct pkt, node);

		if (p->pkttype != FRAME_SENT && p->pkttype != FRAME_FAILED)
			break;
		list_del(&p->node);
		count_out(l, p);
		pkt_free(p);
	}
	l->draining = false;
	l->stalled = !list_empty(frames) && !l->kicked;
	list_splice_tail(frames, &l->queue); /* what was not sent goes first */
	list_splice_tail(&l->queue, frames);
	if (!l->up)
		drop_queue(l);
	schedule_drain(l);
}

void ns_link_writable(struct ns_link *l)
{
	stack_lock(l->st);
	l->stalled = false;
	l->kicked = true; /* for a drain that has seen -EAGAIN but has not said so yet */
	schedule_drain(l);
	stack_unlock(l->st);
}

/* --- receiving ------------------------------------------------------------------------------- */

int ns_rx_prepare(struct ns_link *l, struct iovec iov[NS_RX_IOV])
{
	struct pkt_pool *pool = &l->st->pool;

	if (!l->rx_small)
		l->rx_small = chunk_new(pool, RX_SMALL);
	if (!l->rx_big)
		l->rx_big = chunk_new(pool, FRAME_MAX - RX_SMALL);
	if (!l->rx_small || !l->rx_big)
		return -ENOBUFS;
	iov[0] = (struct iovec){l->rx_small->data, RX_SMALL};
	iov[1] = (struct iovec){l->rx_big->data, l->rx_big->size};
	return 0;
}

/* The user's offsets are as hostile as the frame. */
static bool offload_ok(const struct ns_offload *o, size_t len)
{
	if (o->csum_partial && ((size_t)o->csum_start + o->csum_offset + 2 > len))
		return false;
	return !o->gso || (o->gso_size > 0 && o->hdr_len <= len);
}

static void receive(struct ns_link *l, struct pkt *p, const struct ns_offload *off)
{
	stack_lock(l->st);
	if (!l->up || !offload_ok(off, p->len)) {
		l->stats.rx_errors++;
		pkt_free(p);
	} else {
		p->off = *off;
		p->when = stack_now(l->st);
		link_receive(l, p);
	}
	stack_unlock(l->st);
}

void ns_rx_commit(struct ns_link *l, size_t len, const struct ns_offload *off)
{
	struct pkt *p = len <= FRAME_MAX ? pkt_new(&l->st->pool) : NULL;
	size_t small = min(len, (size_t)RX_SMALL);

	if (!p)
		return;
	if (pkt_append(p, l->rx_small, 0, (uint32_t)small) < 0 ||
	    (len > small && pkt_append(p, l->rx_big, 0, (uint32_t)(len - small)) < 0)) {
		pkt_free(p);
		return;
	}
	chunk_put(l->rx_small);
	l->rx_small = NULL;
	if (len > small) {
		chunk_put(l->rx_big);
		l->rx_big = NULL;
	}
	receive(l, p, off);
}

void ns_rx_cancel(struct ns_link *l)
{
	chunk_put(l->rx_small);
	chunk_put(l->rx_big);
	l->rx_small = l->rx_big = NULL;
}

static size_t iov_length(const struct iovec *iov, int niov)
{
	size_t n = 0;

	for (int i = 0; i < niov && n <= FRAME_MAX; i++)
		n += min(iov[i].iov_len, (size_t)FRAME_MAX + 1);
	return n;
}

void ns_input(struct ns_link *l, const struct iovec *iov, int niov, const struct ns_offload *off)
{
	size_t len = iov_length(iov, niov);
	struct pkt *p = len && len <= FRAME_MAX ? pkt_alloc(&l->st->pool, len) : NULL;
	unsigned char *to;

	if (!p)
		return;
	to = pkt_data(p);
	for (int i = 0; i < niov; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	receive(l, p, off);
}

/* A packet from lo: it was ours a moment ago. */
static void loop_receive(struct ns_link *lo, struct pkt *p)
{
	uint8_t first;
	const uint8_t *version = PKT_PEEK(p, 0, &first);

	p->ethertype = version && *version >> 4 == 4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6;
	p->pkttype = PACKET_HOST;
	p->when = stack_now(lo->st);
	if (p->owner) { /* it is received now, and no longer in anybody's send buffer */
		struct ns_ep *owner = p->owner;

		p->owner = NULL;
		ep_uncharge(owner, p->charge);
	}
	packet_tap(lo, p, PACKET_HOST);
	ip_receive(lo, p);
}

void link_receive(struct ns_link *l, struct pkt *p)
{
	p->link = l;
	l->stats.rx_packets++;
	l->stats.rx_bytes += p->len;
	if (link_is_loopback(l))
		loop_receive(l, p);
	else
		ether_receive(l, p);
}
