/*
 * A scripted peer: the other end of a stack's Ethernet link. A test builds frames and hands
 * them in, and takes the frames that came out and looks at them. The clock stands still
 * unless the test moves it; random bytes come from a seeded generator. peer_close fails the
 * test if anything is still allocated.
 *
 * The stack under test has 192.0.2.1/24, 2001:db8::1/64 and fe80::1 on link 2, with the
 * peer at 192.0.2.2, 2001:db8::2 and fe80::2 known as a permanent neighbour (peer_open) and a
 * router, or not (peer_open_bare: a link that is up and nothing else).
 */
#ifndef GARRISON_TESTS_NETSTACK_PEER_H
#define GARRISON_TESTS_NETSTACK_PEER_H

#include <check.h>
#include <errno.h>
#include <poll.h>

#include "netstack/addr.h"
#include "netstack/netstack.h"

#define PEER_FRAMES 4096
#define PEER_FRAME_MAX (65536 + 64)

struct peer_frame {
	unsigned char *data; /* malloc'ed */
	size_t len;
	struct ns_offload offload;
};

struct peer {
	struct ns_env env;
	struct ns_link_port port;
	struct ns_stack *st;
	struct ns_link *link;
	uint64_t now, seed, deadline;
	bool full; /* transmit says -EAGAIN */
	unsigned int first, count;
	struct peer_frame frame[PEER_FRAMES]; /* a ring of what was transmitted */
	uint16_t ip_id;
	bool bad_checksum;	    /* the next frames have a wrong transport checksum */
	int ttl, tos;		    /* of the next packets; -1: 64, 0 */
	struct ns_ip local, remote; /* the stack's and the peer's address, IPv4 unless changed */
	uint8_t mac[6], own_mac[6]; /* the peer's, the stack's */
};

extern const uint8_t PEER_MAC[6], OWN_MAC[6];

/* features: NS_LINK_CSUM, ... ETHERNET is implied. Defaults with 0: plain 1500-byte frames with
 * complete checksums. */
void peer_open(struct peer *p, uint32_t features);
void peer_open_bare(struct peer *p, uint32_t features, const struct ns_limits *limits);
void peer_close(struct peer *p);
/* Use the IPv6 addresses from now on. */
void peer_use_ipv6(struct peer *p);
/* Moves the clock, firing timers at their times on the way. */
void peer_advance(struct peer *p, uint64_t ns);

struct ns_ip peer_ip(const char *text); /* either family */
struct ns_addr peer_addr(const char *text, uint16_t port);

/* --- to the stack ------------------------------------------------------------------------ */

/* A raw frame. */
void peer_send_frame(struct peer *p, const void *frame, size_t n);
void peer_send_frame_offload(struct peer *p, const void *frame, size_t n,
			     const struct ns_offload *off);
/* An Ethernet frame around a payload, from the peer's MAC to the stack's (NULL) or another. */
void peer_send_ether(struct peer *p, const uint8_t *dst, uint16_t ethertype, const void *data,
		     size_t n);
/* An IP packet from src to dst (NULL: p->remote, p->local) around a transport segment whose
 * checksum the caller has seen to (peer_checksum). */
void peer_send_ip(struct peer *p, const struct ns_ip *src, const struct ns_ip *dst,
		  uint8_t protocol, const void *segment, size_t n);
/* The transport checksum over n bytes, to be stored in network order as it is. */
uint16_t peer_checksum(const struct ns_ip *src, const struct ns_ip *dst, uint8_t protocol,
		       const void *segment, size_t n);
void peer_send_udp(struct peer *p, uint16_t sport, uint16_t dport, const void *data, size_t n);

#define PEER_FIN 0x01
#define PEER_SYN 0x02
#define PEER_RST 0x04
#define PEER_PSH 0x08
#define PEER_ACK 0x10
#define PEER_URG 0x20
#define PEER_ECE 0x40
#define PEER_CWR 0x80

/* A TCP segment; in: what to send, out: what came. */
struct peer_tcp {
	uint16_t sport, dport;
	uint32_t seq, ack;
	unsigned int flags; /* PEER_* */
	uint32_t window;    /* as on the wire, unscaled */
	uint16_t urgent;
	const void *data;
	size_t len;
	/* options; 0 / false: absent */
	uint16_t mss;
	int wscale; /* shift + 1 */
	bool sack_ok;
	bool timestamp;
	uint32_t tsval, tsecr;
	unsigned int nsack;
	uint32_t sack[4][2];
	/* further raw options, appended and padded with NOPs */
	const uint8_t *raw;
	size_t raw_len;
};
void peer_send_tcp(struct peer *p, const struct peer_tcp *s);

/* --- from the stack ------------------------------------------------------------------------- */

/* What a frame of the stack's holds, checked and taken apart. Checksums are verified (a test
 * fails on a wrong one), also partial ones; pointers are into the frame. */
struct peer_got {
	const unsigned char *frame;
	size_t frame_len;
	struct ns_offload offload;
	uint8_t dst_mac[6], src_mac[6];
	uint16_t ethertype;
	const unsigned char *l3, *l4;
	struct ns_ip src, dst;
	uint8_t protocol; /* after extension headers */
	uint8_t ttl, tos;
	bool df, mf;
	unsigned int frag_off; /* bytes */
	uint32_t ip_id;
	size_t l4_len;	       /* from l4 to the packet's end */
	uint16_t sport, dport; /* UDP, TCP */
	const unsigned char *data;
	size_t len; /* of UDP's or TCP's payload */
	struct peer_tcp tcp;
};

/* The oldest frame, taken off; the memory lives until the next call of peer_got or close. The
 * test fails if there is none. */
void peer_got(struct peer *p, struct peer_got *g);
/* The same, and it must be of that protocol. */
void peer_got_protocol(struct peer *p, uint8_t protocol, struct peer_got *g);
/* Fails the test if a frame has come out. */
void peer_got_nothing(struct peer *p);
/* Drops what came out; how many frames it was. */
unsigned int peer_drain(struct peer *p);
unsigned int peer_pending(const struct peer *p);

/* --- endpoints ---------------------------------------------------------------------------- */

/* A watcher that counts. */
struct peer_watcher {
	struct ns_watcher w;
	unsigned int wakes;
	uint32_t events;
};
void peer_watcher_init(struct peer_watcher *w);
struct ns_ep *peer_ep(struct peer *p, enum ns_kind kind, enum ns_family family, uint16_t protocol,
		      struct peer_watcher *w);
/* ns_recv without address: bytes or -errno. */
ssize_t peer_recv(struct ns_ep *ep, void *buf, size_t n);
ssize_t peer_send(struct ns_ep *ep, const void *buf, size_t n);

/* main of a suite: runs all tests; the exit status. setup, teardown: may be NULL. */
int peer_main(const char *name, const TTest *const *tests, size_t n, void (*setup)(void),
	      void (*teardown)(void));

#endif
