/* ICMPv6 (RFC 4443): dispatch, echo, and errors about packets of ours. */
#include <errno.h>
#include <netinet/in.h>

#include "netstack/checksum.h"
#include "netstack/endpoint.h"
#include "netstack/icmp.h"
#include "netstack/mcast.h"
#include "netstack/nd.h"
#include "netstack/raw.h"
#include "netstack/wire.h"

void icmp6_send(struct ns_link *l, struct pkt *p, const struct ns_ip *src, const struct ns_ip *dst,
		bool router_alert)
{
	struct ip_path path = {.link = l,
			       .src = *src,
			       .next_hop = *dst,
			       .mtu = l->mtu,
			       .multicast = ns_ip_is_multicast(dst)};
	struct ip_send s = {.path = &path,
			    .src = *src,
			    .dst = *dst,
			    .protocol = IPPROTO_ICMPV6,
			    .ttl = router_alert ? 1 : 255,
			    .router_alert = router_alert,
			    .no_multicast_loop = true};

	csum_partial(p, offsetof(struct icmp_header, csum), src, dst, IPPROTO_ICMPV6);
	l->st->stats.icmp6.out_msgs++;
	(void)ip6_output(l->st, p, &s);
}

static void unreachable(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
			uint8_t code)
{
	static const struct icmp_error_kind codes[] = {
	    {ENETUNREACH, false}, {EACCES, true}, {EHOSTUNREACH, false}, {EHOSTUNREACH, false},
	    {ECONNREFUSED, true}, {EACCES, true}, {EACCES, true}};

	st->stats.icmp6.in_dest_unreachs++;
	if (code < ARRAY_SIZE(codes))
		icmp_report(st, p, ip, &codes[code], 0);
}

static void error_message(struct ns_stack *st, const struct pkt *p, const struct ip_info *ip,
			  const struct icmp_header *h)
{
	static const struct icmp_error_kind too_big = {EMSGSIZE, false},
					    time_exceeded = {EHOSTUNREACH, false},
					    parameter = {EPROTO, true};

	switch (h->type) {
	case ICMP6_UNREACHABLE:
		unreachable(st, p, ip, h->code);
		break;
	case ICMP6_TOO_BIG:
		icmp_report(st, p, ip, &too_big, max(ntohl(h->word), 1u));
		break;
	case ICMP6_TIME_EXCEEDED:
		st->stats.icmp6.in_time_excds++;
		icmp_report(st, p, ip, &time_exceeded, 0);
		break;
	case ICMP6_PARAMETER:
		icmp_report(st, p, ip, &parameter, 0);
		break;
	default:
		break;
	}
}

static void echo_request(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	st->stats.icmp6.in_echos++;
	if (ip->gateway) { /* we are not whom it asks for */
		if (flow_judge_inbound(st, ip, 0, 0).kind == NS_REFUSE)
			icmp_send_error(st, p, ip, ICMP_PROHIBITED, 0);
		return;
	}
	st->stats.icmp6.out_echo_reps++;
	icmp_echo_reply(st, p, ip, ICMP6_ECHO_REPLY);
}

/* Takes p. */
static void handle(struct ns_stack *st, struct pkt *p, const struct ip_info *ip,
		   const struct icmp_header *h)
{
	if (h->type >= ICMP6_ROUTER_SOLICIT && h->type <= ICMP6_REDIRECT) {
		if (ip->ttl == 255 && h->code == 0) { /* from this very link (RFC 4861 6.1) */
			nd_receive(st, p, ip, h->type);
			return;
		}
	} else if (h->type == ICMP6_ECHO) {
		echo_request(st, p, ip);
	} else if (h->type == ICMP6_ECHO_REPLY) {
		st->stats.icmp6.in_echo_reps++;
		(void)ping_deliver(st, p, ip, ntohs(h->echo.id));
	} else if (h->type == ICMP6_MLD_QUERY) {
		mcast_mld_query(ip->link, p, ip);
	} else {
		error_message(st, p, ip, h);
	}
	pkt_free(p);
}

static void icmp6_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	struct icmp_header copy;
	const struct icmp_header *h = PKT_PEEK(p, ip->l4, &copy);

	st->stats.icmp6.in_msgs++;
	if (h && csum_verify(p, ip->l4, &ip->src, &ip->dst, IPPROTO_ICMPV6)) {
		handle(st, p, ip, h);
		return;
	}
	st->stats.icmp6.in_errors++;
	st->stats.icmp6.in_csum_errors += h != NULL;
	pkt_free(p);
}

const struct ip_proto icmp6_proto = {IPPROTO_ICMPV6, icmp6_input, ping_error};
