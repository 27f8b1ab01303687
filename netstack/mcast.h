/*
 * Group membership: of endpoints, and, as the sum of them, of links, announced by IGMPv3 (v2, v1
 * towards older queriers) and MLDv2 (v1). Membership of 224.0.0.1 and ff02::1 is implied. With a
 * policy set nothing is announced: which groups a guest joins would be a way to send out bits.
 */
#ifndef GARRISON_NETSTACK_MCAST_H
#define GARRISON_NETSTACK_MCAST_H

#include "netstack/endpoint.h"

#define GROUPS_MAX 20  /* for each endpoint, as Linux's igmp_max_memberships */
#define SOURCES_MAX 10 /* for each of them, as igmp_max_msf */

/* What a membership report says of a group (RFC 3376 4.2.12, RFC 3810 5.2.12). */
enum report_kind { REPORT_IS_MEMBER = 2, REPORT_LEAVE = 3, REPORT_JOIN = 4 };

struct link_group {
	struct list node; /* in ns_link.groups */
	struct ns_ip group;
	unsigned int users;
	bool own;		 /* the link itself needs it: announced under a policy, too */
	unsigned int joins_left; /* unsolicited reports still to be sent */
	uint64_t due;		 /* of an answer to a query; NS_NEVER: none */
};

struct ep_group {
	struct list node; /* in ns_ep.groups */
	struct ns_ip group;
	struct ns_link *link;
	unsigned int nsources; /* include mode; 0: any source */
	struct ns_ip source[SOURCES_MAX];
};

void mcast_link_init(struct ns_link *l);
void mcast_link_fini(struct ns_link *l);
/* own: for the link's own addresses (solicited-node groups), not for an endpoint. -ENOBUFS. */
int mcast_link_join(struct ns_link *l, const struct ns_ip *group, bool own);
void mcast_link_leave(struct ns_link *l, const struct ns_ip *group);
bool mcast_link_has(const struct ns_link *l, const struct ns_ip *group);
/* Does the endpoint want what src sends to the group that arrived by that link? */
bool mcast_ep_wants(const struct ns_ep *ep, const struct ns_link *l, const struct ns_ip *group,
		    const struct ns_ip *src);
/* A membership query, its checksum verified. Does not take p. */
void mcast_igmp_query(struct ns_link *l, const struct pkt *p, const struct ip_info *ip);
void mcast_mld_query(struct ns_link *l, const struct pkt *p, const struct ip_info *ip);
void mcast_ep_fini(struct ns_ep *ep);

/* Sends one report (igmp.c, mld.c). */
void igmp_report(struct ns_link *l, const struct ns_ip *group, enum report_kind kind);
void mld_report(struct ns_link *l, const struct ns_ip *group, enum report_kind kind);
/* A query for a group (any: for all) wants answers within max_delay. */
void mcast_answer(struct ns_link *l, const struct ns_ip *group, uint64_t max_delay);

#endif
