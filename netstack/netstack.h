/*
 * Garrison's TCP/IP stack, as its users see it. The one public header of netstack/.
 *
 * Theory of operation
 * ===================
 * The library is handed frames and calls, a clock and random bytes, and hands back
 * frames, results and wake-ups. It opens nothing, starts no thread, never sleeps and
 * makes no system call (but for the futex of a contended lock). Whoever uses it owns
 * the file descriptors, the threads and the blocking:
 *
 *     guest threads: ns_send, ns_recv, ns_connect ...        a receiving thread
 *              |                                                    |
 *              v                                                    v ns_rx_commit
 *     endpoints (tcp, udp, ping, raw, packet)  <- demultiplexer <- ip4, ip6 <- ether
 *              |                                                    |
 *              v                                                    v
 *     route -> ip4, ip6 -> neighbour -> link queue -> ns_link_ops.transmit
 *
 * Two modes. In socket mode the endpoints are the guest's sockets and the links lead
 * out. In gateway mode a link leads to a guest kernel (a virtual machine) and accepts
 * every address: its flows end in *gate* endpoints, behind which their owner dials.
 * Socket mode can divert single flows to gates in the same way (NS_DIVERT), so the
 * egress policy is written once.
 *
 * Locking. One lock for each stack, which the library takes and drops by itself; no
 * function here is to be called with it, all may be called by any thread. Why not a
 * lock for each endpoint: what takes time is done outside of it (payload is copied in
 * before it is taken and out after it is dropped; frames are passed to `transmit`,
 * and wake-ups run, after it is dropped), and segments are up to 64 KiB both ways, so
 * a critical section is about a microsecond for as much as 64 KiB. That is far above
 * what the guest's system calls can ask for on 16 CPUs, and it makes loopback (one
 * endpoint sends into another), timers, close and accept free of lock orders.
 *
 *   - Frames leave in order: a link's queue is drained by one thread at a time, the
 *     one that unlocks first; others leave their frames to it.
 *   - Calls out: ns_env.now, ns_env.random and ns_policy.judge run with the lock held
 *     and must not call back. ns_watcher.wake, ns_link_ops.transmit, ns_env.deadline
 *     run without it; wake and deadline must not call back either, but may take the
 *     caller's own leaf locks.
 *
 * No call blocks: what would is -EAGAIN (or -EINPROGRESS), and ns_watcher.wake tells
 * when to try again.
 *
 * Time. ns_env.now is a monotonic clock in ns. The library asks to be called:
 * ns_env.deadline says when ns_tick is due; being late is allowed.
 *
 * Trust. Frames are hostile, so are all arguments that a guest chose (data, addresses,
 * option values, lengths). Everything is bounded: ns_limits.memory is a hard bound for
 * all packets and buffers; endpoints, neighbours, routes, fragments, half-open and
 * lingering connections have bounds of their own. At a bound work is refused (-ENOBUFS,
 * -ENOMEM) or the oldest of the kind is dropped; nothing aborts.
 *
 * Errors: 0 or more is success, else -errno as the Linux call would give.
 */
#ifndef GARRISON_NETSTACK_NETSTACK_H
#define GARRISON_NETSTACK_NETSTACK_H

#include <sys/uio.h>

#include "common/base.h"

struct ns_stack;
struct ns_link;
struct ns_link_port;
struct ns_ep;

/* --- addresses ------------------------------------------------------------------------- */

/* Network byte order; IPv4 as ::ffff:a.b.c.d, so also 0.0.0.0 as ::ffff:0.0.0.0. */
struct ns_ip {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t q[2];
	};
};

struct ns_addr {
	struct ns_ip ip;
	uint16_t port;	  /* host order */
	uint32_t ifindex; /* scope of a link-local address; 0: any */
};

enum ns_family { NS_IPV4 = 4, NS_IPV6 = 6 };

/* Link-layer address, as in struct sockaddr_ll. */
struct ns_ll_addr {
	uint32_t ifindex;
	uint16_t protocol; /* Ethertype, host order */
	uint16_t hatype;   /* ARPHRD_* */
	uint8_t pkttype;   /* PACKET_* of linux/if_packet.h */
	uint8_t len;
	uint8_t mac[8];
};

/* --- a stack ----------------------------------------------------------------------------- */

struct ns_limits {
	size_t memory;		/* bytes of all packets, buffers and endpoints */
	unsigned int endpoints; /* open endpoints, embryonic connections included */
	unsigned int neighbours, routes, addresses;
	size_t fragments;	/* bytes of incomplete datagrams, part of memory */
	unsigned int half_open; /* connections in SYN-RECEIVED, of all listeners */
	unsigned int time_wait;
	uint16_t port_low, port_high; /* ephemeral ports, both inclusive */
};

/* What the library needs from outside; embedded in an object of the user's. */
struct ns_env {
	/* Monotonic, ns. Locked. */
	uint64_t (*now)(struct ns_env *env);
	/* Cryptographically strong. Locked; called rarely (the library stretches it). */
	void (*random)(struct ns_env *env, void *buf, size_t n);
	/* ns_tick shall be called at `when`. Not locked, and calls of several threads may overtake
	 * each other: keep the earliest of what was said since the last ns_tick began and of
	 * what that returned. */
	void (*deadline)(struct ns_env *env, uint64_t when);
};

#define NS_NEVER UINT64_MAX

/* Fills in what a sandbox gets by default. */
void ns_limits_default(struct ns_limits *limits);

/* A stack with the one link `lo` (index 1, 127.0.0.1/8, ::1). env is borrowed for its life.
 * -ENOMEM; -EINVAL: limits that make no sense. */
int ns_stack_new(const struct ns_limits *limits, struct ns_env *env,
		 struct ns_stack **out) MUST_CHECK;
/* No other call is under way, all endpoints were closed. Connections that still linger are
 * dropped without a word; queued frames too. */
void ns_stack_free(struct ns_stack *st);

/* Fires the timers that are due; returns when the next is (NS_NEVER: none). */
uint64_t ns_tick(struct ns_stack *st);
/* Bytes charged against ns_limits.memory, for tests and statistics. */
size_t ns_memory_used(struct ns_stack *st);

/* --- policy ------------------------------------------------------------------------------ */

enum ns_verdict_kind {
	NS_ALLOW,
	NS_REFUSE, /* the caller gets `error`; a peer gets RST or ICMP */
	NS_DROP,   /* silently */
	NS_DIVERT, /* to the gate endpoint of that protocol */
};

struct ns_verdict {
	enum ns_verdict_kind kind;
	int error; /* NS_REFUSE: a positive errno for the socket */
};

struct ns_flow {
	uint8_t protocol; /* IPPROTO_* */
	bool inbound;	  /* from a link; local is our address, or the one that was dialled */
	struct ns_addr local, remote;
	uint8_t icmp_type; /* for ICMP, ICMPv6 */
	struct ns_link *link;
};

/*
 * Judges flows: a TCP connect before its SYN, an inbound SYN, a UDP, ping or raw endpoint's
 * datagram to another destination than its last (or to one that was refused), and the first
 * inbound datagram of a flow. Embedded in the user's object. Traffic that stays on `lo` (and
 * was not diverted) is not judged, nor what gate endpoints do. With a policy set, packet
 * endpoints cannot send, group memberships are not announced, and raw endpoints cannot write
 * headers.
 */
struct ns_policy {
	/* Locked: looks up and returns; must not block or call back. */
	struct ns_verdict (*judge)(struct ns_policy *policy, const struct ns_flow *flow);
};

/* NULL: everything is allowed. Judges all open flows anew and ends those that are no longer
 * allowed. Borrowed until it is replaced. */
void ns_policy_set(struct ns_stack *st, struct ns_policy *policy);
/* The policy's rules have changed: judges anew as above. */
void ns_policy_changed(struct ns_stack *st);

/* --- links --------------------------------------------------------------------------------- */

enum ns_gso { NS_GSO_NONE, NS_GSO_TCP4, NS_GSO_TCP6, NS_GSO_UDP };

/* The meaning of struct virtio_net_hdr's fields; offsets count from the frame's start. */
struct ns_offload {
	bool csum_partial; /* the sum from csum_start on is still to be stored at +csum_offset */
	bool csum_valid;   /* received, and verified by hardware or never on a wire */
	uint16_t csum_start, csum_offset;
	enum ns_gso gso;
	bool gso_ecn;
	uint16_t gso_size; /* payload of each segment */
	uint16_t hdr_len;  /* of all headers before the payload */
};

/* link features */
#define NS_LINK_CSUM (1U << 0)	   /* transmit completes partial checksums */
#define NS_LINK_TSO (1U << 1)	   /* transmit cuts TCP segments up to 64 KiB, both families */
#define NS_LINK_USO (1U << 2)	   /* transmit cuts UDP datagrams of equal size */
#define NS_LINK_ETHERNET (1U << 3) /* frames have Ethernet headers; else they are bare IP */
#define NS_LINK_GATEWAY (1U << 4)  /* every destination is ours: flows go to gate endpoints */
#define NS_LINK_LOOPBACK (1U << 5) /* lo */

struct ns_frame {
	const struct iovec *iov; /* borrowed for the call */
	int niov;
	size_t len;
	struct ns_offload offload;
};

struct ns_link_ops {
	/* Sends a frame. 0; -EAGAIN: no room, keep it and wait for ns_link_writable; other
	 * errors drop it. Not locked, one call at a time for each link. */
	int (*transmit)(struct ns_link_port *port, const struct ns_frame *frame);
};

/* What is behind a link; embedded in the user's object and borrowed for the stack's life. */
struct ns_link_port {
	const struct ns_link_ops *ops;
};

struct ns_link_config {
	char name[16];
	uint8_t mac[6];
	uint32_t mtu;	   /* of IP packets, 68 (1280 for IPv6) .. 65535 */
	uint32_t features; /* NS_LINK_* */
	/* IPv6: make a link-local address, solicit routers and obey them. */
	bool autoconf;
	struct ns_link_port *port;
};

/* The link is down until ns_link_set_up. -EEXIST: the name; -EINVAL; -ENOSPC: too many. */
int ns_link_add(struct ns_stack *st, const struct ns_link_config *config,
		struct ns_link **out) MUST_CHECK;
void ns_link_set_up(struct ns_link *link, bool up);
/* -EINVAL: out of range. */
int ns_link_set_mtu(struct ns_link *link, uint32_t mtu) MUST_CHECK;
/* After transmit said -EAGAIN: try again. */
void ns_link_writable(struct ns_link *link);

/*
 * Receiving, by one thread for each link. prepare: where the next frame may be put, at most
 * NS_RX_IOV pieces of together 64 KiB and a link header (valid until commit); commit: a frame
 * of len bytes is there. A short frame keeps only a small buffer. -ENOBUFS: no memory, the
 * frame has to be dropped by the caller.
 */
#define NS_RX_IOV 2
int ns_rx_prepare(struct ns_link *link, struct iovec iov[NS_RX_IOV]) MUST_CHECK;
void ns_rx_commit(struct ns_link *link, size_t len, const struct ns_offload *offload);
/* Gives back what prepare handed out: the thread ends, or expects to wait for long. */
void ns_rx_cancel(struct ns_link *link);
/* The same for a frame that lies elsewhere: copied. Any thread. */
void ns_input(struct ns_link *link, const struct iovec *iov, int niov,
	      const struct ns_offload *offload);

struct ns_link_stats {
	uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped;
	uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped, multicast;
};

struct ns_link_info {
	uint32_t ifindex, mtu, features;
	char name[16];
	uint8_t mac[6];
	bool up;
	struct ns_link_stats stats;
};

/* These copy what there is, up to max entries, and return how many there are in all. */
size_t ns_links(struct ns_stack *st, struct ns_link_info *out, size_t max);
/* NULL: no such link. Links live as long as the stack. */
struct ns_link *ns_link_find(struct ns_stack *st, uint32_t ifindex);

/* --- configuration: addresses, routes, neighbours -------------------------------------------- */

struct ns_ifaddr {
	uint32_t ifindex;
	struct ns_ip ip;
	uint8_t prefix;	     /* 0..32 or 0..128 */
	struct ns_ip bcast;  /* IPv4; all zero: computed */
	bool tentative;	     /* IPv6: being probed; in: probe it */
	bool dynamic;	     /* made by a router's advertisement */
	uint64_t valid_left; /* ns; NS_NEVER: permanent */
	uint64_t preferred_left;
};

/* Adds the address and its prefix route. -EEXIST, -ENODEV, -EINVAL, -ENOSPC. */
int ns_ifaddr_add(struct ns_stack *st, const struct ns_ifaddr *addr) MUST_CHECK;
/* -EADDRNOTAVAIL. */
int ns_ifaddr_del(struct ns_stack *st, uint32_t ifindex, const struct ns_ip *ip) MUST_CHECK;
size_t ns_ifaddrs(struct ns_stack *st, struct ns_ifaddr *out, size_t max);

enum ns_route_type {
	NS_ROUTE_UNICAST,
	NS_ROUTE_BLACKHOLE,
	NS_ROUTE_UNREACHABLE,
	NS_ROUTE_PROHIBIT
};

struct ns_route {
	enum ns_route_type type;
	enum ns_family family;
	struct ns_ip dst; /* of an IPv4 route: mapped; prefix counts the family's own bits */
	uint8_t prefix;
	struct ns_ip gateway; /* all zero: on the link */
	struct ns_ip src;     /* preferred source; all zero: chosen */
	uint32_t ifindex;     /* 0 only where type is not UNICAST */
	uint32_t metric;      /* less is better */
	uint32_t mtu;	      /* 0: the link's */
	uint8_t protocol;     /* RTPROT_*, for display */
};

int ns_route_add(struct ns_stack *st, const struct ns_route *route) MUST_CHECK;
/* The first that has this type, family, dst, prefix and, unless 0, gateway, ifindex, metric.
 * -ESRCH. */
int ns_route_del(struct ns_stack *st, const struct ns_route *route) MUST_CHECK;
size_t ns_routes(struct ns_stack *st, struct ns_route *out, size_t max);
/* The route that a packet to dst would take, with its gateway, source and ifindex. */
int ns_route_get(struct ns_stack *st, const struct ns_ip *dst, uint32_t ifindex,
		 struct ns_route *out) MUST_CHECK;

/* NUD_* states of linux/neighbour.h. */
struct ns_neighbour {
	uint32_t ifindex;
	struct ns_ip ip;
	uint8_t mac[6];
	uint16_t state;
	bool router;
};

/* Adds or replaces a permanent entry (state NUD_PERMANENT). */
int ns_neighbour_set(struct ns_stack *st, const struct ns_neighbour *n) MUST_CHECK;
int ns_neighbour_del(struct ns_stack *st, uint32_t ifindex, const struct ns_ip *ip) MUST_CHECK;
size_t ns_neighbours(struct ns_stack *st, struct ns_neighbour *out, size_t max);

/* --- endpoints --------------------------------------------------------------------------- */

enum ns_kind {
	NS_TCP,
	NS_UDP,
	NS_PING,   /* SOCK_DGRAM of ICMP or ICMPv6: echo requests only */
	NS_RAW,	   /* SOCK_RAW of a protocol */
	NS_PACKET, /* AF_PACKET, SOCK_RAW */
	NS_COOKED, /* AF_PACKET, SOCK_DGRAM: without the link header */
	NS_KINDS,
};

/* Readiness: the bits of poll(2), POLLIN and so on. */
struct ns_watcher {
	/* Something has changed: `events` became true. Not locked; must not call back. */
	void (*wake)(struct ns_watcher *w, uint32_t events);
};

struct ns_ep_config {
	enum ns_kind kind;
	enum ns_family family; /* of TCP, UDP, PING, RAW; NS_IPV6 carries IPv4 as well */
	uint16_t protocol;     /* RAW, PING: IPPROTO_*; PACKET, COOKED: Ethertype, host order */
	uint32_t uid;	       /* owner, for SO_REUSEPORT and for lists */
	/* Sees diverted flows and those of gateway links; may use any address as its own;
	 * is not judged. */
	bool gate;
	struct ns_watcher *watcher; /* borrowed until ns_close returns */
};

/* -ENOBUFS: too many; -EPROTONOSUPPORT. */
int ns_ep_new(struct ns_stack *st, const struct ns_ep_config *config,
	      struct ns_ep **out) MUST_CHECK;
/* Ends the use of ep: a connection closes in the background, as after close(2). After it
 * returns, no wake runs and none will. */
void ns_close(struct ns_ep *ep);

/* Bind flags say nothing about privileged ports: that check is the caller's. */
int ns_bind(struct ns_ep *ep, const struct ns_addr *local) MUST_CHECK;
int ns_bind_packet(struct ns_ep *ep, const struct ns_ll_addr *local) MUST_CHECK;
/* 0, or -EINPROGRESS (TCP), ... remote NULL: dissolve (AF_UNSPEC). */
int ns_connect(struct ns_ep *ep, const struct ns_addr *remote) MUST_CHECK;
int ns_listen(struct ns_ep *ep, unsigned int backlog) MUST_CHECK;
/* An established connection, whose options are inherited. -EAGAIN: none; -EINVAL. The new
 * endpoint has no watcher until ns_watch. */
int ns_accept(struct ns_ep *ep, struct ns_ep **out) MUST_CHECK;
/* Sets the watcher of an accepted endpoint. */
void ns_watch(struct ns_ep *ep, struct ns_watcher *watcher);
/* how: 1 receiving, 2 sending, 3 both. -ENOTCONN. */
int ns_shutdown(struct ns_ep *ep, int how) MUST_CHECK;
/* What holds now, POLL* bits. */
uint32_t ns_poll(struct ns_ep *ep);
/* The own address (port 0: none) and the peer's (-ENOTCONN). */
void ns_local(struct ns_ep *ep, struct ns_addr *out);
int ns_remote(struct ns_ep *ep, struct ns_addr *out) MUST_CHECK;
/* Takes the pending error: 0 or a positive errno (SO_ERROR). */
int ns_take_error(struct ns_ep *ep);

/* ns_meta.have: which of its fields were given, or are known. */
#define NS_META_LOCAL (1U << 0)	  /* local, ifindex: IP_PKTINFO */
#define NS_META_TTL (1U << 1)	  /* ttl or hop limit */
#define NS_META_TOS (1U << 2)	  /* tos or traffic class */
#define NS_META_GSO (1U << 3)	  /* gso: UDP_SEGMENT, UDP_GRO */
#define NS_META_TIME (1U << 4)	  /* when */
#define NS_META_ERROR (1U << 5)	  /* err: from the error queue */
#define NS_META_OPTIONS (1U << 6) /* IPv4 options of a received datagram */

/* As struct sock_extended_err. */
struct ns_error {
	int error;	/* positive errno */
	uint8_t origin; /* SO_EE_ORIGIN_* */
	uint8_t type, code;
	uint32_t info;
	struct ns_addr offender;
};

struct ns_meta {
	uint32_t have;
	struct ns_ip local; /* send: source to use; receive: destination of the packet */
	uint32_t ifindex;
	int ttl, tos;
	uint16_t gso;
	uint64_t when; /* ns_env.now at arrival */
	struct ns_error err;
	uint8_t options_len;
	uint8_t options[40];
};

/* flags, with the values of MSG_* in <sys/socket.h>: MSG_OOB, MSG_PEEK, MSG_DONTROUTE,
 * MSG_TRUNC, MSG_ERRQUEUE, MSG_MORE, MSG_EOR, MSG_CONFIRM. Others are the caller's affair. */
struct ns_msg {
	void *buf; /* send: borrowed, only read */
	size_t len;
	int flags;
	bool has_addr; /* send: a destination was given; receive: addr is known */
	union {
		struct ns_addr addr;
		struct ns_ll_addr ll; /* PACKET, COOKED */
	};
	struct ns_meta meta;
	int out_flags; /* receive: MSG_TRUNC, MSG_ERRQUEUE, MSG_OOB */
	size_t full;   /* receive: the datagram's full size */
};

/* Bytes sent or received; 0 from a stream is its end. */
ssize_t ns_send(struct ns_ep *ep, struct ns_msg *m) MUST_CHECK;
ssize_t ns_recv(struct ns_ep *ep, struct ns_msg *m) MUST_CHECK;

/* Options: what setsockopt(2) has, by a number of ours; values are ints. */
enum ns_opt {
	NS_SO_REUSEADDR,
	NS_SO_REUSEPORT,
	NS_SO_BROADCAST,
	NS_SO_DONTROUTE,
	NS_SO_KEEPALIVE,
	NS_SO_OOBINLINE,
	NS_SO_LINGER, /* seconds; -1: off */
	NS_SO_RCVBUF, /* bytes as Linux shows them (twice what was asked for) */
	NS_SO_SNDBUF,
	NS_SO_RCVLOWAT,
	NS_SO_BINDTODEVICE, /* ifindex; 0: none */
	NS_SO_NO_CHECK,
	NS_IP_TTL, /* -1: default */
	NS_IP_TOS,
	NS_IP_MTU_DISCOVER,
	NS_IP_MTU, /* get */
	NS_IP_RECVERR,
	NS_IP_FREEBIND,
	NS_IP_TRANSPARENT,
	NS_IP_HDRINCL,
	NS_IP_MULTICAST_TTL,
	NS_IP_MULTICAST_LOOP,
	NS_IP_MULTICAST_IF, /* ifindex */
	NS_IP_MULTICAST_ALL,
	NS_IPV6_V6ONLY,
	NS_IPV6_HOPS, /* -1: default */
	NS_IPV6_TCLASS,
	NS_IPV6_MTU_DISCOVER,
	NS_IPV6_RECVERR,
	NS_IPV6_MULTICAST_HOPS,
	NS_IPV6_MULTICAST_LOOP,
	NS_IPV6_MULTICAST_IF,
	NS_IPV6_MULTICAST_ALL,
	NS_IPV6_CHECKSUM,
	NS_IPV6_DONTFRAG,
	NS_UDP_SEGMENT,
	NS_UDP_GRO,
	NS_UDP_CORK,
	NS_TCP_NODELAY,
	NS_TCP_CORK,
	NS_TCP_MAXSEG,
	NS_TCP_KEEPIDLE, /* seconds */
	NS_TCP_KEEPINTVL,
	NS_TCP_KEEPCNT,
	NS_TCP_SYNCNT,
	NS_TCP_LINGER2,
	NS_TCP_DEFER_ACCEPT,
	NS_TCP_WINDOW_CLAMP,
	NS_TCP_QUICKACK,
	NS_TCP_USER_TIMEOUT, /* ms */
	NS_TCP_NOTSENT_LOWAT,
	NS_TCP_CONGESTION, /* 0 reno, 1 cubic */
	NS_TCP_FASTOPEN,
	NS_INQ,	      /* get: bytes (a datagram's: its size) that can be received */
	NS_OUTQ,      /* get: bytes not sent or not acknowledged */
	NS_OUTQ_NSD,  /* get: bytes not sent */
	NS_AT_MARK,   /* get: SIOCATMARK */
	NS_TCP_STATE, /* get: TCP_ESTABLISHED... as in /proc/net/tcp; also of UDP endpoints */
	NS_OPTS,
};

/* -ENOPROTOOPT: not of this kind of endpoint; -EINVAL: the value. */
int ns_setopt(struct ns_ep *ep, enum ns_opt opt, int value) MUST_CHECK;
int ns_getopt(struct ns_ep *ep, enum ns_opt opt, int *value) MUST_CHECK;

/* What TCP_INFO shows, with Linux's meaning of each field. */
struct ns_tcp_info {
	uint8_t state, ca_state, retransmits, probes, backoff, options, snd_wscale, rcv_wscale;
	bool app_limited;
	uint32_t rto_us, ato_us, snd_mss, rcv_mss, unacked, sacked, lost, retrans;
	uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms;
	uint32_t pmtu, rcv_ssthresh, rtt_us, rttvar_us, snd_ssthresh, snd_cwnd, advmss, reordering;
	uint32_t rcv_rtt_us, rcv_space, total_retrans, notsent_bytes, min_rtt_us, snd_wnd, rcv_wnd;
	uint64_t pacing_rate, bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint64_t delivery_rate, busy_us, rwnd_limited_us, sndbuf_limited_us;
	uint32_t segs_out, segs_in, data_segs_in, data_segs_out, delivered, delivered_ce;
	uint32_t dsack_dups, reord_seen, rcv_ooopack, rehash;
};

/* -EOPNOTSUPP: not TCP. */
int ns_tcp_info(struct ns_ep *ep, struct ns_tcp_info *out) MUST_CHECK;

/* Group membership; ifindex 0: by route. source all zero: any source (ASM). */
struct ns_group {
	struct ns_ip group, source;
	uint32_t ifindex;
};
/* -EADDRINUSE, -EADDRNOTAVAIL, -ENODEV, -ENOBUFS (20 for each endpoint), -EINVAL. */
int ns_group_join(struct ns_ep *ep, const struct ns_group *g) MUST_CHECK;
int ns_group_leave(struct ns_ep *ep, const struct ns_group *g) MUST_CHECK;

/* Decides for a frame or datagram whether the endpoint takes it, and how much of it: as
 * SO_ATTACH_FILTER (the caller runs BPF). Embedded in the user's object. */
struct ns_filter {
	/* Locked; data is the start of the packet, of len bytes, out of `full`. 0: drop. */
	uint32_t (*run)(struct ns_filter *f, const void *data, size_t len, size_t full);
};
/* NULL: none. After it returns the old one is not in use any more. */
void ns_filter_set(struct ns_ep *ep, struct ns_filter *filter);

struct ns_ep_info {
	enum ns_kind kind;
	enum ns_family family;
	uint16_t protocol;
	uint32_t uid;
	struct ns_addr local, remote;
	uint8_t state; /* TCP_*, as in /proc/net/tcp */
	uint32_t rx_queue, tx_queue, drops;
	uint8_t
	    timer; /* of /proc/net/tcp: 0 none, 1 retransmit, 2 keepalive, 3 TIME-WAIT, 4 probe */
	uint64_t timer_left;
	unsigned int retransmits;
	uint32_t backlog;
	struct ns_watcher *watcher; /* tells the user which; NULL: none any more */
};

/* All endpoints of a kind, as ns_links does. */
size_t ns_endpoints(struct ns_stack *st, enum ns_kind kind, struct ns_ep_info *out, size_t max);

/* --- statistics: the counters of /proc/net/snmp and netstat ---------------------------------- */

struct ns_stats {
	struct {
		uint64_t in_receives, in_hdr_errors, in_addr_errors, in_unknown_protos, in_discards,
		    in_delivers, out_requests, out_discards, out_no_routes, reasm_timeout,
		    reasm_reqds, reasm_oks, reasm_fails, frag_oks, frag_fails, frag_creates;
	} ip4, ip6;
	struct {
		uint64_t in_msgs, in_errors, in_csum_errors, out_msgs, out_errors, in_echos,
		    in_echo_reps, in_dest_unreachs, in_time_excds, out_echo_reps, out_dest_unreachs,
		    out_rate_limited;
	} icmp4, icmp6;
	struct {
		uint64_t in_datagrams, no_ports, in_errors, out_datagrams, rcvbuf_errors,
		    sndbuf_errors, in_csum_errors;
	} udp4, udp6;
	struct {
		uint64_t active_opens, passive_opens, attempt_fails, estab_resets, in_segs,
		    out_segs, retrans_segs, in_errs, out_rsts, in_csum_errors;
		uint64_t listen_overflows, listen_drops, syncookies_sent, syncookies_recv,
		    syncookies_failed, challenge_acks, timeouts, fast_retrans, tlp_probes,
		    tlp_recoveries, sack_recoveries, ofo_queued, ofo_dropped, paws_drops, time_wait,
		    tw_recycled, abort_on_data, abort_on_close, abort_on_memory, abort_on_timeout,
		    keepalives, backlog_drops;
	} tcp;
	uint64_t policy_refused, policy_dropped, policy_diverted;
};

void ns_stats(struct ns_stack *st, struct ns_stats *out);

#endif
