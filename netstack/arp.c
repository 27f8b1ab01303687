/*
 * ARP (RFC 826, 5227). Requests for our addresses are answered; a request that was sent to us
 * also tells the asker's address, which we will need. Announcements and unasked replies only
 * ever touch entries that exist (neigh.c says how).
 */
#include <linux/if_arp.h>

#include "netstack/neigh.h"
#include "netstack/wire.h"

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t no_mac[6];

struct arp_out {
	uint16_t op;
	const uint8_t *to; /* Ethernet destination */
	const uint8_t *target_mac;
	struct ns_ip sender, target;
};

static void send_arp(struct ns_link *l, const struct arp_out *o)
{
	struct pkt *p = pkt_new(&l->st->pool);
	struct arp_header *h;

	if (!p)
		return;
	h = pkt_push(p, sizeof(*h));
	*h = (struct arp_header){.hardware = htons(ARPHRD_ETHER),
				 .protocol = htons(ETHERTYPE_IP4),
				 .hardware_len = 6,
				 .protocol_len = 4,
				 .op = htons(o->op),
				 .sender_ip = o->sender.w[3],
				 .target_ip = o->target.w[3]};
	memcpy(h->sender_mac, l->mac, 6);
	memcpy(h->target_mac, o->target_mac, 6);
	ether_send(l, p, o->to, ETHERTYPE_ARP);
}

void arp_solicit(struct ns_link *l, const struct ns_ip *ip, const uint8_t *mac)
{
	const struct ifaddr *a = ip_source(l->st, l, ip);
	struct arp_out o = {.op = ARP_REQUEST,
			    .to = mac ? mac : broadcast_mac,
			    .target_mac = no_mac,
			    .sender = a ? a->ip : ns_ip4(0),
			    .target = *ip};

	send_arp(l, &o);
}

void arp_announce(struct ifaddr *a)
{
	struct arp_out o = {.op = ARP_REQUEST,
			    .to = broadcast_mac,
			    .target_mac = no_mac,
			    .sender = a->ip,
			    .target = a->ip};

	if (ns_ip_is_v4(&a->ip) && (a->link->features & NS_LINK_ETHERNET) && a->link->up)
		send_arp(a->link, &o);
}

static bool header_ok(const struct arp_header *h)
{
	return h->hardware == htons(ARPHRD_ETHER) && h->protocol == htons(ETHERTYPE_IP4) &&
	       h->hardware_len == 6 && h->protocol_len == 4;
}

/* A gateway link answers for everything but the asker itself. */
static bool is_for_us(struct ns_link *l, const struct ns_ip *sender, const struct ns_ip *target)
{
	if (l->features & NS_LINK_GATEWAY)
		return !ns_ip_equal(sender, target) && !ns_ip_is_any(sender);
	return ifaddr_find(l->st, l, target);
}

static void answer(struct ns_link *l, const struct arp_header *h)
{
	struct arp_out o = {.op = ARP_REPLY,
			    .to = h->sender_mac,
			    .target_mac = h->sender_mac,
			    .sender = ns_ip4(h->target_ip),
			    .target = ns_ip4(h->sender_ip)};

	send_arp(l, &o);
}

static void handle(struct ns_link *l, const struct pkt *p, const struct arp_header *h)
{
	struct neigh_claim c = {.ip = ns_ip4(h->sender_ip), .override = true};
	struct ns_ip target = ns_ip4(h->target_ip);
	bool request = h->op == htons(ARP_REQUEST), for_us;

	/* The frame and the message must agree on who speaks. */
	if (!header_ok(h) || memcmp(h->sender_mac, p->src_mac, 6) != 0 ||
	    ifaddr_find_any(l->st, l, &c.ip))
		return;
	memcpy(c.mac, h->sender_mac, 6);
	for_us = is_for_us(l, &c.ip, &target);
	c.create = request && for_us;
	c.solicited = h->op == htons(ARP_REPLY) && for_us && memcmp(h->target_mac, l->mac, 6) == 0;
	neigh_claim(l, &c);
	if (request && for_us)
		answer(l, h);
}

void arp_receive(struct ns_link *l, struct pkt *p)
{
	struct arp_header copy;
	const struct arp_header *h = PKT_PEEK(p, 0, &copy);

	if (h)
		handle(l, p, h);
	pkt_free(p);
}
