/*
 * TCP's own structures, for the files tcp*.c.
 *
 * Theory of operation (RFC 9293 with 7323, 2018, 5681, 6298, 6528, 6675, 5961)
 * ============================================================================
 * One struct tcp_ep for each endpoint, whatever its state; a connection that a peer began
 * gets one with its SYN, owned by the listener until it is accepted. Files by direction:
 *
 *   tcp.c        life, the calls of the user, options
 *   tcp_buf.c    the send buffer
 *   tcp_in.c     segments in: lookup, checks, state changes
 *   tcp_ack.c    what acknowledgements do: window, round-trip times, congestion, SACK
 *   tcp_rx.c     data in: ordering, the receive window
 *   tcp_out.c    segments out
 *   tcp_listen.c SYNs, embryonic connections, the accept queue
 *   tcp_timer.c  retransmission, persist, delayed ACK, keepalive, TIME-WAIT
 *
 * Who holds a reference: the user until ns_close; the protocol itself (`attached`) from connect
 * or SYN until CLOSED, so that a connection closes in the background.
 *
 * Sequence numbers are plain uint32_t compared by seq_lt and friends. Times are ns.
 */
#ifndef GARRISON_NETSTACK_TCP_EP_H
#define GARRISON_NETSTACK_TCP_EP_H

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "netstack/endpoint.h"
#include "netstack/tcp.h"

#define SACK_RANGES 32
#define TCP_CHUNK 32768u /* of the send buffer */
#define TCP_HEADER_MAX 60
#define TCP_RTO_MIN (200 * NSEC_PER_MSEC) /* Linux's; RFC 6298 asks for a second */
#define TCP_RTO_MAX (120 * NSEC_PER_SEC)
#define TCP_RTO_INITIAL NSEC_PER_SEC
#define TCP_DELACK (40 * NSEC_PER_MSEC)
#define TCP_TIME_WAIT_NS (60 * NSEC_PER_SEC)
#define TCP_RETRIES 15	     /* of data, as tcp_retries2 */
#define TCP_SYNACK_RETRIES 5 /* as tcp_synack_retries */

/* stack.tcp: what is bounded for all connections together */
struct tcp_stack {
	unsigned int half_open, time_wait;
};

struct seq_range {
	uint32_t start, end;
};

struct send_piece {
	struct list node;
	struct chunk *chunk; /* owned */
	uint32_t off, len;
};

struct tcp_ep {
	struct ns_ep ep;
	uint8_t state; /* TCP_ESTABLISHED, ... of <netinet/tcp.h> */
	bool attached; /* the protocol holds a reference */

	/* listener, and what it owns until accept takes it */
	struct tcp_ep *listener; /* a reference; NULL: none, or accepted */
	struct list accept_node; /* in listener->embryos or ->ready */
	struct list embryos, ready;
	unsigned int nready, nembryos, backlog;

	/* sending */
	uint32_t iss, snd_una, snd_nxt, snd_max; /* snd_max: the highest that was ever sent */
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_wnd;
	uint8_t snd_wscale;
	uint16_t peer_mss;  /* from its SYN */
	uint32_t mss;	    /* payload of a full segment, options deducted */
	struct list buffer; /* struct send_piece: from snd_una on, without SYN and FIN */
	size_t buffered;
	bool fin_wanted; /* the user has closed this direction */
	bool more;	 /* MSG_MORE was said */

	/* receiving; received data in order is in ep.rx */
	uint32_t irs, rcv_nxt, rcv_adv; /* rcv_adv: the right edge of what was offered */
	uint8_t rcv_wscale;
	struct list ooo; /* struct pkt by seq, not overlapping */
	size_t ooo_bytes;
	bool fin_seen; /* all up to the FIN was received */
	bool ooo_fin;  /* a FIN at ooo_fin_seq waits for data before it */
	uint32_t ooo_fin_seq;
	unsigned int unacked_segments; /* received since the last ACK */
	bool ack_now;
	uint32_t urgent_seq;
	bool has_urgent;

	/* options of the connection */
	bool ts_ok, sack_ok, wscale_ok;
	uint32_t ts_recent, ts_offset, last_ack_sent;
	uint64_t ts_recent_when;

	/* round-trip time and retransmission */
	uint64_t srtt, rttvar, rto;
	unsigned int retries;
	uint32_t timed_seq; /* without timestamps: the byte whose ACK is awaited */
	uint64_t timed_at;  /* 0: none */

	/* congestion */
	uint32_t cwnd, ssthresh;
	unsigned int dupacks;
	bool recovering, after_timeout;
	uint32_t recover, high_rexmit; /* high_rexmit: holes below it were sent again */
	struct seq_range sacked[SACK_RANGES];
	unsigned int nsacked;

	struct ns_timer rexmit, delack, keepalive, wait;
	uint64_t last_heard;
	unsigned int keepalives;
	struct ns_tcp_info counts; /* the counters that TCP_INFO shows */
};

static inline struct tcp_ep *tcp_of(struct ns_ep *ep)
{
	return container_of(ep, struct tcp_ep, ep);
}

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

/* A segment that came in. */
struct segment {
	struct ns_stack *st;
	struct pkt *p; /* owned; pulled to the payload when that is taken */
	const struct ip_info *ip;
	struct flow_key key;
	uint32_t seq, ack, window; /* window: unscaled */
	uint32_t len;		   /* of the payload */
	uint8_t flags;
	uint16_t urgent, header_len;
	/* options */
	uint16_t mss; /* 0: none */
	bool sack_ok, has_ts, has_wscale;
	uint8_t wscale;
	uint32_t tsval, tsecr;
	struct seq_range sack[4];
	unsigned int nsack;
};

/* --- tcp.c ----------------------------------------------------------------------------------- */

struct tcp_ep *tcp_new(struct ns_stack *st, const struct ns_ep_config *c) MUST_CHECK;
/* The protocol begins or ends its interest in the endpoint. */
void tcp_attach(struct tcp_ep *t);
/* To CLOSED: out of the tables, timers off; wakes the user with `error` (0: none). */
void tcp_done(struct tcp_ep *t, int error);
void tcp_set_state(struct tcp_ep *t, uint8_t state);
/* Receive buffer space that may be offered. */
uint32_t tcp_rx_room(const struct tcp_ep *t);

/* --- tcp_buf.c --------------------------------------------------------------------------------- */

/* Copies into the room that is left in the last chunk; how much. */
size_t tcp_buf_extend(struct tcp_ep *t, const void *data, size_t n);
/* Takes the chunk, of which n bytes are data. */
int tcp_buf_append(struct tcp_ep *t, struct chunk *c, uint32_t n) MUST_CHECK;
/* Drops n acknowledged bytes. */
void tcp_buf_drop(struct tcp_ep *t, size_t n);
/* Appends bytes [off, off + n) to a packet; how many fitted into its fragments. */
size_t tcp_buf_slice(const struct tcp_ep *t, size_t off, size_t n, struct pkt *p);

/* --- tcp_in.c, tcp_ack.c, tcp_rx.c ------------------------------------------------------------- */

/* The acknowledgement of a segment in the window. False: the segment is to be dropped. */
bool tcp_ack(struct tcp_ep *t, const struct segment *s);
/* Data and FIN of an acceptable segment; takes s->p if it keeps it. */
void tcp_take_data(struct tcp_ep *t, struct segment *s);
void tcp_congestion_init(struct tcp_ep *t);
void tcp_on_timeout(struct tcp_ep *t);
bool tcp_sacked(const struct tcp_ep *t, uint32_t seq, uint32_t *end);
/* The next hole that is deemed lost and was not sent again; false: none. */
bool tcp_next_hole(const struct tcp_ep *t, struct seq_range *hole);
/* Bytes that are in the network as far as we can tell. */
uint32_t tcp_pipe(const struct tcp_ep *t);

/* --- tcp_out.c --------------------------------------------------------------------------------- */

/* Sends what may be sent now, or an ACK if one is due. */
void tcp_output(struct tcp_ep *t);
/* One segment of up to n bytes from seq on, again; how many bytes of sequence space. */
uint32_t tcp_resend(struct tcp_ep *t, uint32_t seq, uint32_t n);
void tcp_send_syn(struct tcp_ep *t);
void tcp_send_ack(struct tcp_ep *t);
/* A segment with a byte that the peer has seen, to make it answer. */
void tcp_send_probe(struct tcp_ep *t, bool data);
void tcp_send_rst(struct tcp_ep *t);
/* The answer to a segment that fits no connection (RFC 9293 3.5.2). */
void tcp_reject(struct segment *s);
/* RFC 5961: an ACK that asks the peer what it meant, limited in rate. */
void tcp_challenge(struct tcp_ep *t);
void tcp_update_mss(struct tcp_ep *t);
uint32_t tcp_timestamp(const struct tcp_ep *t);

/* --- tcp_listen.c -------------------------------------------------------------------------------- */

int tcp_listen(struct ns_ep *ep, unsigned int backlog);
int tcp_accept(struct ns_ep *ep, struct ns_ep **out);
/* A SYN for a listener. */
void tcp_listen_input(struct tcp_ep *listener, struct segment *s);
/* The handshake is complete: to the accept queue. False: no room, stay as you are. */
bool tcp_listen_ready(struct tcp_ep *t);
/* Out of the listener's lists. */
void tcp_listen_forget(struct tcp_ep *t);
void tcp_listen_close(struct tcp_ep *listener);

/* --- tcp_timer.c -------------------------------------------------------------------------------- */

void tcp_timers_init(struct tcp_ep *t);
void tcp_timers_stop(struct tcp_ep *t);
void tcp_arm_rexmit(struct tcp_ep *t);
void tcp_arm_keepalive(struct tcp_ep *t);
void tcp_time_wait(struct tcp_ep *t);

#endif
