/*
 * ICMP (RFC 792, 1122 3.2.2) for IPv4, and what both versions do alike: echo, errors in and out.
 * Redirects, source quenches, timestamps, masks and router advertisements are ignored: they help
 * an attacker more than a host of today. Errors are limited to 1000 per second and stack.
 */
#include "netstack/icmp.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <netinet/in.h>

#include "netstack/checksum.h"
#include "netstack/raw.h"
#include "netstack/wire.h"

#define ERRORS_PER_SECOND 1000
#define ERRORS_BURST 50

static void count_out(struct ns_stack *st, enum ns_family family)
{
	if (family == NS_IPV4)
		st->stats.icmp4.out_msgs++;
	else
		st->stats.icmp6.out_msgs++;
}

/* Puts the header before p, the body, and answers ip's sender. Takes p. */
static void answer(struct ns_stack *st, struct pkt *p, const struct ip_info *ip,
		   const struct icmp_header *header)
{
	bool group = ip->multicast || ip->broadcast;
	bool scoped = !ns_ip_is_v4(&ip->src) && ns_ip_is_link_local(&ip->src);
	struct ip_query q = {.dst = ip->src,
			     .src = group ? ns_ip_any(ip->family) : ip->dst,
			     .ifindex = scoped ? ip->link->ifindex : 0,
			     .foreign_source = ip->gateway};
	struct icmp_header *h = pkt_push(p, sizeof(*h));
	struct ip_path path;
	struct ip_send s = {.path = &path, .dst = ip->src, .ttl = -1, .tos = ip->tos};

	*h = *header;
	h->csum = 0;
	if (ip_route(st, &q, &path) < 0) {
		pkt_free(p);
		return;
	}
	s.src = path.src;
	s.protocol = ip->family == NS_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (ip->family == NS_IPV6)
		csum_partial(p, offsetof(struct icmp_header, csum), &s.src, &s.dst, s.protocol);
	else
		p->off = (struct ns_offload){.csum_partial = true,
					     .csum_offset = offsetof(struct icmp_header, csum)};
	count_out(st, ip->family);
	(void)ip_output(st, p, &s);
}

void icmp_echo_reply(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
		     uint8_t type)
{
	struct icmp_header h;
	struct pkt *body;

	pkt_copy(p, ip->l4, &h, sizeof(h));
	body = pkt_slice(p, ip->l4 + sizeof(h), p->len - ip->l4 - sizeof(h));
	if (!body)
		return;
	body->off = (struct ns_offload){};
	h.type = type;
	answer(st, body, ip, &h);
}

/* --- errors that we send -------------------------------------------------------------------- */

static const struct {
	uint8_t type4, code4, type6, code6;
} reasons[] = {
    [ICMP_NO_PORT] = {ICMP4_UNREACHABLE, 3, ICMP6_UNREACHABLE, 4},
    [ICMP_NO_PROTOCOL] = {ICMP4_UNREACHABLE, 2, ICMP6_PARAMETER, 1},
    [ICMP_PROHIBITED] = {ICMP4_UNREACHABLE, 13, ICMP6_UNREACHABLE, 1},
    [ICMP_REASSEMBLY_TIMEOUT] = {ICMP4_TIME_EXCEEDED, 1, ICMP6_TIME_EXCEEDED, 1},
    [ICMP_BAD_HEADER] = {ICMP4_PARAMETER, 0, ICMP6_PARAMETER, 0},
    [ICMP_BAD_NEXT_HEADER] = {ICMP4_PARAMETER, 0, ICMP6_PARAMETER, 1},
    [ICMP_BAD_OPTION] = {ICMP4_PARAMETER, 0, ICMP6_PARAMETER, 2},
};

/* Is the packet itself an ICMP error (or something that we cannot tell from one)? */
static bool is_icmp_error(const struct pkt *p, const struct ip_info *ip)
{
	uint8_t copy;
	const uint8_t *type = PKT_PEEK(p, ip->l4, &copy);

	if (ip->protocol == IPPROTO_ICMP)
		return !type || (*type != ICMP4_ECHO && *type != ICMP4_ECHO_REPLY);
	if (ip->protocol == IPPROTO_ICMPV6)
		return !type || *type < 128 || *type == ICMP6_REDIRECT;
	return false;
}

static bool may_answer(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip)
{
	if (ip->multicast || ip->broadcast || ns_ip_is_any(&ip->src) ||
	    ns_ip_is_bad_source(&ip->src) || p->pkttype == PACKET_BROADCAST ||
	    p->pkttype == PACKET_MULTICAST || is_icmp_error(p, ip))
		return false;
	if (rate_limit_take(&st->icmp_out, stack_now(st), ERRORS_PER_SECOND, ERRORS_BURST))
		return true;
	if (ip->family == NS_IPV4)
		st->stats.icmp4.out_rate_limited++;
	else
		st->stats.icmp6.out_rate_limited++;
	return false;
}

void icmp_send_error(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
		     enum icmp_reason reason, uint32_t where)
{
	bool v4 = ip->family == NS_IPV4;
	size_t most = v4 ? 576 - 28 : 1280 - 48; /* RFC 1812 4.3.2.3, RFC 4443 2.4 (c) */
	struct icmp_header h = {.type = v4 ? reasons[reason].type4 : reasons[reason].type6,
				.code = v4 ? reasons[reason].code4 : reasons[reason].code6};
	struct pkt *quote;

	if (!may_answer(st, p, ip))
		return;
	if (h.type == ICMP4_PARAMETER || h.type == ICMP6_PARAMETER)
		h.word = htonl(v4 ? where << 24 : where);
	quote = pkt_slice(p, 0, min((size_t)p->len, most));
	if (!quote)
		return;
	quote->off = (struct ns_offload){};
	if (v4)
		st->stats.icmp4.out_dest_unreachs += h.type == ICMP4_UNREACHABLE;
	else
		st->stats.icmp6.out_dest_unreachs += h.type == ICMP6_UNREACHABLE;
	answer(st, quote, ip, &h);
}

/* --- errors that we get ------------------------------------------------------------------------ */

void icmp_report(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
		 const struct icmp_error_kind *kind, uint32_t mtu)
{
	struct icmp_header h;
	struct ip_error e = {.error = kind->error, .hard = kind->hard, .mtu = mtu};

	pkt_copy(p, ip->l4, &h, sizeof(h));
	if (!ip_parse_quote(p, ip->l4 + sizeof(h), &e) ||
	    ns_ip_is_v4(&e.local) != (ip->family == NS_IPV4) || !ip_is_local(st, &e.local))
		return;
	e.origin = ip->family == NS_IPV4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6;
	e.type = h.type;
	e.code = h.code;
	e.offender = ip->src;
	e.link = ip->link;
	ip_report(st, &e);
}

/* The next smaller of the sizes that links have (RFC 1191 7), for routers that name none. */
static uint32_t plateau_below(uint32_t len)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 576};

	for (size_t i = 0; i < ARRAY_SIZE(plateaus); i++)
		if (plateaus[i] < len)
			return plateaus[i];
	return 576;
}

static uint32_t claimed_mtu(const struct pkt *p, const struct ip_info *ip,
			    const struct icmp_header *h)
{
	struct ip4_header copy;
	const struct ip4_header *quote = PKT_PEEK(p, ip->l4 + sizeof(*h), &copy);

	if (h->type != ICMP4_UNREACHABLE || h->code != 4 || !quote)
		return 0;
	return h->frag.mtu ? ntohs(h->frag.mtu) : plateau_below(ntohs(quote->total_len));
}

static void unreachable(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
			const struct icmp_header *h)
{
	static const struct icmp_error_kind codes[] = {
	    {ENETUNREACH, false},  {EHOSTUNREACH, false}, {ENOPROTOOPT, true},
	    {ECONNREFUSED, true},  {EMSGSIZE, false},	  {EOPNOTSUPP, false},
	    {ENETUNREACH, true},   {EHOSTDOWN, true},	  {ENONET, true},
	    {ENETUNREACH, true},   {EHOSTUNREACH, true},  {ENETUNREACH, false},
	    {EHOSTUNREACH, false}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true},
	    {EHOSTUNREACH, true},
	};

	st->stats.icmp4.in_dest_unreachs++;
	if (h->code < ARRAY_SIZE(codes))
		icmp_report(st, p, ip, &codes[h->code], claimed_mtu(p, ip, h));
}

static void echo_request(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	st->stats.icmp4.in_echos++;
	if (ip->broadcast || ip->multicast)
		return;
	if (ip->gateway) { /* we are not whom it asks for */
		if (flow_judge_inbound(st, ip, 0, 0).kind == NS_REFUSE)
			icmp_send_error(st, p, ip, ICMP_PROHIBITED, 0);
		return;
	}
	st->stats.icmp4.out_echo_reps++;
	icmp_echo_reply(st, p, ip, ICMP4_ECHO_REPLY);
}

static void handle(struct ns_stack *st, struct pkt *p, const struct ip_info *ip,
		   const struct icmp_header *h)
{
	static const struct icmp_error_kind time_exceeded = {EHOSTUNREACH, false},
					    parameter = {EPROTO, true};

	switch (h->type) {
	case ICMP4_ECHO:
		echo_request(st, p, ip);
		break;
	case ICMP4_ECHO_REPLY:
		st->stats.icmp4.in_echo_reps++;
		(void)ping_deliver(st, p, ip, ntohs(h->echo.id));
		break;
	case ICMP4_UNREACHABLE:
		unreachable(st, p, ip, h);
		break;
	case ICMP4_TIME_EXCEEDED:
		st->stats.icmp4.in_time_excds++;
		icmp_report(st, p, ip, &time_exceeded, 0);
		break;
	case ICMP4_PARAMETER:
		icmp_report(st, p, ip, &parameter, 0);
		break;
	default:
		break;
	}
}

static void icmp_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	struct icmp_header copy;
	const struct icmp_header *h = PKT_PEEK(p, ip->l4, &copy);
	bool ok = p->off.csum_partial || p->off.csum_valid;

	st->stats.icmp4.in_msgs++;
	if (!h || (!ok && csum_fold(pkt_sum(p, ip->l4, p->len - ip->l4)) != 0xffff)) {
		st->stats.icmp4.in_errors++;
		st->stats.icmp4.in_csum_errors += h != NULL;
	} else {
		handle(st, p, ip, h);
	}
	pkt_free(p);
}

const struct ip_proto icmp_proto = {IPPROTO_ICMP, icmp_input, ping_error};
