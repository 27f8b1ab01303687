/* Ethernet II framing, and links without any. VLAN tags and 802.3 lengths are not for us. */
#include <linux/if_packet.h>

#include "netstack/link.h"
#include "netstack/neigh.h"
#include "netstack/packet.h"
#include "netstack/wire.h"

void ether_send(struct ns_link *l, struct pkt *p, const uint8_t dst[6], uint16_t ethertype)
{
	struct ether_header *h;

	p->ethertype = ethertype;
	if (l->features & NS_LINK_ETHERNET) {
		h = pkt_push(p, sizeof(*h));
		memcpy(h->dst, dst, 6);
		memcpy(h->src, l->mac, 6);
		h->type = htons(ethertype);
	}
	link_send(l, p);
}

static uint8_t classify(const struct ns_link *l, const uint8_t dst[6])
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (memcmp(dst, all, 6) == 0)
		return PACKET_BROADCAST;
	if (dst[0] & 1)
		return PACKET_MULTICAST;
	return memcmp(dst, l->mac, 6) == 0 ? PACKET_HOST : PACKET_OTHERHOST;
}

/* Takes p at its payload. */
static void dispatch(struct ns_link *l, struct pkt *p)
{
	if (p->pkttype == PACKET_MULTICAST)
		l->stats.multicast++;
	if (p->pkttype == PACKET_OTHERHOST) {
		pkt_free(p);
	} else if (p->ethertype == ETHERTYPE_ARP && (l->features & NS_LINK_ETHERNET)) {
		arp_receive(l, p);
	} else if (p->ethertype == ETHERTYPE_IP4 || p->ethertype == ETHERTYPE_IP6) {
		ip_receive(l, p);
	} else {
		l->stats.rx_dropped++;
		pkt_free(p);
	}
}

static void bare_receive(struct ns_link *l, struct pkt *p)
{
	uint8_t first;
	const uint8_t *version = PKT_PEEK(p, 0, &first);

	p->pkttype = PACKET_HOST;
	p->ethertype = version && *version >> 4 == 6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
	packet_tap(l, p, PACKET_HOST);
	ip_receive(l, p);
}

void ether_receive(struct ns_link *l, struct pkt *p)
{
	struct ether_header copy;
	const struct ether_header *h;

	if (!(l->features & NS_LINK_ETHERNET)) {
		bare_receive(l, p);
		return;
	}
	h = PKT_PEEK(p, 0, &copy);
	if (!h || (h->src[0] & 1)) { /* a group cannot be a sender */
		l->stats.rx_errors++;
		pkt_free(p);
		return;
	}
	p->ethertype = ntohs(h->type);
	p->pkttype = classify(l, h->dst);
	memcpy(p->src_mac, h->src, 6);
	packet_tap(l, p, p->pkttype);
	pkt_pull(p, sizeof(*h));
	dispatch(l, p);
}
