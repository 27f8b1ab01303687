/*
 * Packet endpoints (packet(7)): frames as they pass a link, with the link header (NS_PACKET) or
 * without (NS_COOKED). lo has none; its frames are shown with one of zeros, as Linux does.
 * Under a policy they only listen: a frame of the guest's making would go around it.
 */
#include "netstack/packet.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>

#include "netstack/dgram.h"
#include "netstack/wire.h"

struct packet_ep {
	struct ns_ep ep;
};

static bool wants(const struct ns_ep *ep, const struct ns_link *l, const struct pkt *p,
		  uint8_t pkttype)
{
	if (ep->closed || (ep->ifindex && ep->ifindex != l->ifindex))
		return false;
	if (ep->protocol == ETHERTYPE_ALL)
		return true;
	return pkttype != PACKET_OUTGOING && ep->protocol && ep->protocol == p->ethertype;
}

static size_t header_len(const struct ns_link *l)
{
	return l->features & NS_LINK_ETHERNET ? sizeof(struct ether_header) : 0;
}

/* Shows the frame as this kind of endpoint sees it. */
static void show(struct ns_ep *ep, struct ns_link *l, const struct pkt *p, uint8_t pkttype)
{
	struct pkt *copy = pkt_clone(p);
	size_t keep;

	if (!copy)
		return;
	if (ep->kind == NS_COOKED) {
		pkt_pull(copy, min((size_t)copy->len, header_len(l)));
	} else if (link_is_loopback(l)) {
		struct ether_header *h = pkt_push(copy, sizeof(*h));

		*h = (struct ether_header){.type = htons(p->ethertype)};
	}
	keep = ep_filter(ep, copy, 0);
	if (keep == 0) {
		pkt_free(copy);
		return;
	}
	pkt_trim(copy, keep);
	copy->link = l;
	copy->pkttype = pkttype;
	copy->payload = 0;
	if (pkttype == PACKET_OUTGOING) {
		copy->when = stack_now(l->st);
		memcpy(copy->src_mac, l->mac, sizeof(copy->src_mac));
	}
	(void)ep_rx_push(ep, copy);
}

void packet_tap(struct ns_link *l, const struct pkt *p, uint8_t pkttype)
{
	static const enum ns_kind kinds[] = {NS_PACKET, NS_COOKED};
	struct ns_ep *ep;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		list_for_each (ep, &l->st->endpoints[kinds[i]], all_node) {
			if (wants(ep, l, p, pkttype))
				show(ep, l, p, pkttype);
		}
}

/* --- sending --------------------------------------------------------------------------------- */

static int find_link(struct ns_ep *ep, const struct ns_msg *m, struct ns_link **out)
{
	uint32_t ifindex = m->has_addr ? m->ll.ifindex : ep->ifindex;
	struct ns_link *l = link_by_index(ep->st, ifindex);

	if (ep->st->policy)
		return -EPERM;
	if (!l)
		return -ENXIO;
	if (!l->up)
		return -ENETDOWN;
	*out = l;
	return 0;
}

/* Reads what the guest wrote as link header; lo's is taken off. */
static int read_header(struct ns_link *l, struct pkt *p)
{
	struct ether_header h;

	if (!(l->features & (NS_LINK_ETHERNET | NS_LINK_LOOPBACK)))
		return 0;
	if (p->len < sizeof(h))
		return -EINVAL;
	pkt_copy(p, 0, &h, sizeof(h));
	p->ethertype = ntohs(h.type);
	if (link_is_loopback(l))
		pkt_pull(p, sizeof(h));
	return 0;
}

/* Takes p. */
static int transmit(struct ns_ep *ep, struct pkt *p, const struct ns_msg *m, struct ns_link *l)
{
	int err = 0;

	if (ep->kind == NS_PACKET) {
		err = read_header(l, p);
		if (err == 0 && p->len > l->mtu + header_len(l))
			err = -EMSGSIZE;
	} else if (p->len > l->mtu) {
		err = -EMSGSIZE;
	} else if (!m->has_addr) {
		err = -EDESTADDRREQ;
	}
	if (err < 0) {
		pkt_free(p);
		return err;
	}
	ep_charge(ep, p);
	if (ep->kind == NS_PACKET) {
		link_send(l, p);
	} else {
		p->ethertype = m->ll.protocol ? m->ll.protocol : ep->protocol;
		ether_send(l, p, m->ll.mac, p->ethertype);
	}
	return 0;
}

static ssize_t packet_send(struct ns_ep *ep, struct ns_msg *m)
{
	struct ns_link *l;
	struct pkt *p;
	int err;

	if (m->len > CHUNK_MAX)
		return -EMSGSIZE;
	p = pkt_from(&ep->st->pool, m->buf, m->len);
	if (!p)
		return -ENOBUFS;
	stack_lock(ep->st);
	err = dgram_may_send(ep);
	if (err == 0)
		err = find_link(ep, m, &l);
	if (err == 0)
		err = transmit(ep, p, m, l);
	else
		pkt_free(p);
	stack_unlock(ep->st);
	return err < 0 ? err : (ssize_t)m->len;
}

/* --- receiving ------------------------------------------------------------------------------ */

static void describe(const struct pkt *p, struct ns_msg *m)
{
	m->has_addr = true;
	m->ll = (struct ns_ll_addr){.ifindex = p->link->ifindex,
				    .protocol = p->ethertype,
				    .hatype = link_is_loopback(p->link) ? ARPHRD_LOOPBACK
					      : p->link->features & NS_LINK_ETHERNET ? ARPHRD_ETHER
										     : ARPHRD_NONE,
				    .pkttype = p->pkttype,
				    .len = 6};
	memcpy(m->ll.mac, p->src_mac, sizeof(p->src_mac));
	m->meta.have = NS_META_TIME;
	m->meta.when = p->when;
}

static ssize_t packet_recv(struct ns_ep *ep, struct ns_msg *m)
{
	return dgram_recv(ep, m, describe);
}

static int bind_locked(struct ns_ep *ep, const struct ns_ll_addr *local)
{
	if (local->ifindex && !link_by_index(ep->st, local->ifindex))
		return -ENODEV;
	if (local->protocol)
		ep->protocol = local->protocol;
	ep->ifindex = local->ifindex;
	ep->bound = true;
	return 0;
}

int ns_bind_packet(struct ns_ep *ep, const struct ns_ll_addr *local)
{
	int err;

	if (ep->kind != NS_PACKET && ep->kind != NS_COOKED)
		return -EINVAL;
	stack_lock(ep->st);
	err = bind_locked(ep, local);
	stack_unlock(ep->st);
	return err;
}

static void packet_close(struct ns_ep *ep)
{
	pkt_free_list(&ep->rx);
	ep->rx_bytes = ep->rx_count = 0;
}

static void packet_free(struct ns_ep *ep)
{
	ep_release(ep, sizeof(struct packet_ep));
}

static const struct ep_ops packet_ops = {
    .send = packet_send,
    .recv = packet_recv,
    .poll = dgram_poll,
    .close = packet_close,
    .free = packet_free,
};

int packet_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out)
{
	struct ns_ep *ep = ep_alloc(st, c, &packet_ops, sizeof(struct packet_ep));

	if (!ep)
		return -ENOMEM;
	*out = ep;
	return 0;
}
