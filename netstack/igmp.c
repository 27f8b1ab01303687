/*
 * IGMP (RFC 3376; 2236 and 1112 towards older queriers). Reports of version 3 say "everything
 * but nothing" for each group: sources are filtered at the endpoints.
 */
#include <netinet/in.h>

#include "netstack/checksum.h"
#include "netstack/mcast.h"
#include "netstack/wire.h"

#define IGMP_QUERY 0x11
#define IGMP_V1_REPORT 0x12
#define IGMP_V2_REPORT 0x16
#define IGMP_V2_LEAVE 0x17
#define IGMP_V3_REPORT 0x22

#define OLD_QUERIER_NS (400 * NSEC_PER_SEC) /* RFC 3376 8.12 */

struct igmp_header {
	uint8_t type, code;
	uint16_t csum;
	uint32_t group;
} PACKED;

struct igmp3_report {
	uint8_t type, reserved;
	uint16_t csum, reserved2, records;
	uint8_t kind, aux_len;
	uint16_t sources;
	uint32_t group;
} PACKED;

static void send_igmp(struct ns_link *l, const struct ns_ip *dst, void *message, size_t n)
{
	const struct ifaddr *a = ip_source(l->st, l, dst);
	struct ip_path path = {.link = l, .next_hop = *dst, .mtu = l->mtu, .multicast = true};
	struct ip_send s = {.path = &path,
			    .dst = *dst,
			    .protocol = IPPROTO_IGMP,
			    .ttl = 1,
			    .tos = 0xc0,
			    .router_alert = true,
			    .no_multicast_loop = true};
	struct igmp_header *h = message;
	struct pkt *p;

	path.src = s.src = a ? a->ip : ns_ip4(0);
	h->csum = csum_finish(csum_add(0, message, n));
	p = pkt_from(&l->st->pool, message, n);
	if (p)
		(void)ip_output(l->st, p, &s);
}

static void report3(struct ns_link *l, const struct ns_ip *group, enum report_kind kind)
{
	struct ns_ip routers = ns_ip4_host(0xe0000016);
	struct igmp3_report r = {.type = IGMP_V3_REPORT,
				 .records = htons(1),
				 .kind = (uint8_t)kind,
				 .group = group->w[3]};

	send_igmp(l, &routers, &r, sizeof(r));
}

void igmp_report(struct ns_link *l, const struct ns_ip *group, enum report_kind kind)
{
	uint64_t now = stack_now(l->st);
	struct ns_ip routers = ns_ip4_host(0xe0000002);
	struct igmp_header h = {.type = IGMP_V2_REPORT, .group = group->w[3]};

	if (l->igmp_v1_until > now) {
		h.type = IGMP_V1_REPORT;
		if (kind != REPORT_LEAVE)
			send_igmp(l, group, &h, sizeof(h));
	} else if (l->igmp_v2_until > now) {
		if (kind == REPORT_LEAVE)
			h.type = IGMP_V2_LEAVE;
		send_igmp(l, kind == REPORT_LEAVE ? &routers : group, &h, sizeof(h));
	} else {
		report3(l, group, kind);
	}
}

/* Tenths of a second, as a floating point number from 128 on (RFC 3376 4.1.1). */
static uint64_t response_time(uint8_t code)
{
	uint64_t tenths = code < 128 ? code : (uint64_t)((code & 15) | 16) << ((code >> 4 & 7) + 3);

	return tenths * 100 * NSEC_PER_MSEC;
}

void mcast_igmp_query(struct ns_link *l, const struct pkt *p, const struct ip_info *ip)
{
	struct igmp_header copy;
	const struct igmp_header *h = PKT_PEEK(p, ip->l4, &copy);
	uint64_t now = stack_now(l->st);
	struct ns_ip group;

	if (!h || ip->ttl != 1)
		return;
	group = ns_ip4(h->group);
	if (p->len - ip->l4 == sizeof(*h)) {
		uint64_t *until = h->code ? &l->igmp_v2_until : &l->igmp_v1_until;

		*until = now + OLD_QUERIER_NS;
	}
	mcast_answer(l, &group, h->code ? response_time(h->code) : 10 * NSEC_PER_SEC);
}

static void igmp_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	struct igmp_header copy;
	const struct igmp_header *h = PKT_PEEK(p, ip->l4, &copy);

	if (h && h->type == IGMP_QUERY && csum_fold(pkt_sum(p, ip->l4, p->len - ip->l4)) == 0xffff)
		mcast_igmp_query(ip->link, p, ip);
	pkt_free(p);
}

const struct ip_proto igmp_proto = {.number = IPPROTO_IGMP, .input = igmp_input};
