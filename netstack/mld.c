/* MLD (RFC 3810; 2710 towards older queriers): what igmp.c is for IPv6. */
#include "netstack/icmp.h"
#include "netstack/mcast.h"
#include "netstack/wire.h"

#define OLD_QUERIER_NS (400 * NSEC_PER_SEC)

struct mld_header {
	struct icmp_header icmp; /* word: maximum response delay (ms) in its upper half */
	uint8_t group[16];
} PACKED;

struct mld2_report {
	struct icmp_header icmp; /* word: number of records in its lower half */
	uint8_t kind, aux_len;
	uint16_t sources;
	uint8_t group[16];
} PACKED;

/* The link-local address, or none at all (RFC 3590). */
static struct ns_ip source(struct ns_link *l)
{
	const struct ifaddr *a = ip_source(l->st, l, &NS_ALL_NODES);

	return a && ns_ip_is_link_local(&a->ip) ? a->ip : (struct ns_ip){};
}

static void send_mld(struct ns_link *l, const struct ns_ip *dst, const void *message, size_t n)
{
	struct pkt *p = pkt_from(&l->st->pool, message, n);
	struct ns_ip src = source(l);

	if (p)
		icmp6_send(l, p, &src, dst, true);
}

static void report1(struct ns_link *l, const struct ns_ip *group, enum report_kind kind)
{
	bool done = kind == REPORT_LEAVE;
	struct mld_header h = {.icmp.type = done ? ICMP6_MLD_DONE : ICMP6_MLD_REPORT};

	memcpy(h.group, group->b, 16);
	send_mld(l, done ? &NS_ALL_ROUTERS : group, &h, sizeof(h));
}

void mld_report(struct ns_link *l, const struct ns_ip *group, enum report_kind kind)
{
	struct ns_ip routers = {.b = {0xff, 2, [15] = 0x16}};
	struct mld2_report r = {.icmp = {.type = ICMP6_MLD2_REPORT, .word = htonl(1)},
				.kind = (uint8_t)kind};

	if (l->mld_v1_until > stack_now(l->st)) {
		report1(l, group, kind);
		return;
	}
	memcpy(r.group, group->b, 16);
	send_mld(l, &routers, &r, sizeof(r));
}

/* Milliseconds, as a floating point number from 32768 on (RFC 3810 5.1.3). */
static uint64_t response_time(uint16_t code)
{
	uint64_t ms =
	    code < 32768 ? code : (uint64_t)((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);

	return ms * NSEC_PER_MSEC;
}

void mcast_mld_query(struct ns_link *l, const struct pkt *p, const struct ip_info *ip)
{
	struct mld_header copy;
	const struct mld_header *h = PKT_PEEK(p, ip->l4, &copy);
	uint16_t code;
	struct ns_ip group;

	if (!h || ip->ttl != 1 || !ns_ip_is_link_local(&ip->src))
		return;
	code = (uint16_t)(ntohl(h->icmp.word) >> 16);
	group = ns_ip6(h->group);
	if (p->len - ip->l4 == sizeof(*h))
		l->mld_v1_until = stack_now(l->st) + OLD_QUERIER_NS;
	mcast_answer(l, &group, response_time(code));
}
