/*
 * TCP segments out. One packet carries up to 64 KiB, as a multiple of the segment size, and is
 * cut below (gso). Silly windows are avoided by RFC 9293 3.8.6.2.1, Nagle included.
 */
#include "netstack/checksum.h"
#include "netstack/tcp_ep.h"
#include "netstack/wire.h"

#define GSO_MAX 65000u /* payload: headers and the IP length's 16 bits come on top */

struct out {
	uint32_t seq, ack, window;
	uint8_t flags;
	uint16_t mss;	      /* SYN only; 0: none */
	bool wscale, sack_ok; /* SYN only */
};

uint32_t tcp_timestamp(const struct tcp_ep *t)
{
	return (uint32_t)(stack_now(t->ep.st) / NSEC_PER_MSEC) + t->ts_offset;
}

static int route(struct tcp_ep *t)
{
	struct ns_ep *ep = &t->ep;
	struct ns_addr remote = {ep->conn.key.remote, ep->conn.key.rport, ep->ifindex};
	bool diverted = ep->path.diverted;
	int err;

	if (ip_path_valid(ep->st, &ep->path))
		return 0;
	err = ep_route(ep, &ep->conn.key.local, &remote, 0, &ep->path);
	if (err == 0 && diverted && !ep->path.diverted)
		ip_path_divert(ep->st, &ep->path);
	if (err == 0)
		tcp_update_mss(t);
	return err;
}

/* The options that every segment has, deducted from the payload (RFC 6691). */
static uint32_t option_len(const struct tcp_ep *t)
{
	return t->ts_ok ? 12 : 0;
}

void tcp_update_mss(struct tcp_ep *t)
{
	const struct ns_ip *dst = &t->ep.conn.key.remote;
	uint32_t path = t->ep.path.mtu - ip_header_size(dst) - (uint32_t)sizeof(struct tcp_header);
	uint32_t mss = min(path, (uint32_t)t->peer_mss);

	if (t->ep.opt[NS_TCP_MAXSEG])
		mss = min(mss, (uint32_t)t->ep.opt[NS_TCP_MAXSEG]);
	t->mss = min(max(mss, 88u) - option_len(t), GSO_MAX);
}

/* --- options ---------------------------------------------------------------------------------- */

static void push_word(struct pkt *p, uint32_t host)
{
	uint32_t be = htonl(host);

	memcpy(pkt_push(p, sizeof(be)), &be, sizeof(be));
}

/* The blocks of data beyond a gap, the latest first would be best; by sequence is allowed. */
static void push_sacks(struct tcp_ep *t, struct pkt *p)
{
	struct seq_range r[4];
	unsigned int n = 0, most = t->ts_ok ? 3 : 4;
	struct pkt *q;

	list_for_each (q, &t->ooo, node) {
		if (n && r[n - 1].end == q->seq)
			r[n - 1].end += q->len;
		else if (n == most)
			break;
		else
			r[n++] = (struct seq_range){q->seq, q->seq + q->len};
	}
	for (unsigned int i = n; i-- > 0;) {
		push_word(p, r[i].end);
		push_word(p, r[i].start);
	}
	if (n)
		push_word(p, 0x01010500 | (2 + 8 * n));
}

/* Pushed from the last to the first. */
static void push_options(struct tcp_ep *t, struct pkt *p, const struct out *o)
{
	bool syn = o->flags & TCP_SYN;

	if (t->sack_ok && !syn && p->len == 0 && !list_empty(&t->ooo)) /* data need the room */
		push_sacks(t, p);
	if (o->wscale)
		push_word(p, 0x01030300 | t->rcv_wscale);
	if (t->ts_ok || (syn && !(o->flags & TCP_ACK))) {
		push_word(p, o->flags & TCP_ACK ? t->ts_recent : 0);
		push_word(p, tcp_timestamp(t));
		push_word(p, o->sack_ok ? 0x0402080a : 0x0101080a);
	} else if (o->sack_ok) {
		push_word(p, 0x01010402);
	}
	if (o->mss)
		push_word(p, 0x02040000 | o->mss);
}

/* --- one segment ------------------------------------------------------------------------------ */

static void push_header(struct tcp_ep *t, struct pkt *p, const struct out *o)
{
	uint32_t payload = p->len;
	struct tcp_header *h;

	push_options(t, p, o);
	h = pkt_push(p, sizeof(*h));
	*h = (struct tcp_header){.sport = htons(t->ep.conn.key.lport),
				 .dport = htons(t->ep.conn.key.rport),
				 .seq = htonl(o->seq),
				 .ack = htonl(o->ack),
				 .off = (uint8_t)((p->len - payload) / 4 << 4),
				 .flags = o->flags,
				 .window = htons((uint16_t)min(o->window, 65535u))};
}

static void set_gso(struct tcp_ep *t, struct pkt *p, uint32_t payload)
{
	if (payload <= t->mss)
		return;
	p->off.gso = ns_ip_is_v4(&t->ep.conn.key.remote) ? NS_GSO_TCP4 : NS_GSO_TCP6;
	p->off.gso_size = (uint16_t)t->mss;
	p->off.hdr_len = (uint16_t)(p->len - payload);
}

/* Takes p, the payload. */
static int transmit(struct tcp_ep *t, struct pkt *p, const struct out *o)
{
	const struct flow_key *k = &t->ep.conn.key;
	struct ns_meta none = {};
	uint32_t payload = p->len;
	struct ip_send s;
	int err = route(t);

	if (err < 0) {
		pkt_free(p);
		return err;
	}
	push_header(t, p, o);
	csum_partial(p, offsetof(struct tcp_header, csum), &k->local, &k->remote, IPPROTO_TCP);
	set_gso(t, p, payload);
	ep_ip_send(&t->ep, &none, &k->remote, &s);
	s.protocol = IPPROTO_TCP;
	s.path = &t->ep.path;
	s.src = k->local;
	s.dont_fragment = ep_pmtudisc(&t->ep, &k->remote) != 0;
	t->ep.st->stats.tcp.out_segs++;
	t->counts.segs_out++;
	return ip_output(t->ep.st, p, &s);
}

/* The window to offer: never shrinks, and grows by steps that are worth it (RFC 9293 3.8.6.2.2). */
static uint32_t offer_window(struct tcp_ep *t)
{
	uint32_t room = tcp_rx_room(t), offered = t->rcv_adv - t->rcv_nxt, unit;

	room = min(room, 65535u << t->rcv_wscale);
	if (seq_lt(t->rcv_adv, t->rcv_nxt))
		offered = 0;
	unit = min(2 * t->mss, (uint32_t)ep_rcvbuf(&t->ep) / 4);
	if (room < offered + unit && room < offered + room / 2)
		room = offered;
	room = room >> t->rcv_wscale << t->rcv_wscale;
	if (seq_lt(t->rcv_adv, t->rcv_nxt + room))
		t->rcv_adv = t->rcv_nxt + room;
	return t->rcv_adv - t->rcv_nxt;
}

static void acked(struct tcp_ep *t)
{
	t->ack_now = false;
	t->unacked_segments = 0;
	t->last_ack_sent = t->rcv_nxt;
	ns_timer_cancel(&t->ep.st->timers, &t->delack);
}

/* A segment of an established connection, with n bytes from seq on. How many bytes of payload
 * it took; -errno. */
static int send_segment(struct tcp_ep *t, uint32_t seq, uint32_t n, uint8_t flags)
{
	struct pkt *p = pkt_new(&t->ep.st->pool);
	struct out o = {.seq = seq, .ack = t->rcv_nxt, .flags = (uint8_t)(flags | TCP_ACK)};
	uint32_t took;
	int err;

	if (!p)
		return -ENOBUFS;
	took = n ? (uint32_t)tcp_buf_slice(t, seq - t->snd_una, n, p) : 0;
	if (took < n) { /* too scattered for one packet: no FIN or push yet */
		o.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (took > t->mss) {
			pkt_trim(p, took - took % t->mss);
			took = p->len;
		}
	}
	o.window = offer_window(t) >> t->rcv_wscale;
	acked(t);
	t->counts.data_segs_out += took > 0;
	t->counts.bytes_sent += took;
	err = transmit(t, p, &o);
	return err < 0 && err != -ENOBUFS ? err : (int)took;
}

void tcp_send_ack(struct tcp_ep *t)
{
	(void)send_segment(t, t->snd_nxt, 0, 0);
}

void tcp_send_probe(struct tcp_ep *t, bool data)
{
	if (data && t->buffered)
		(void)send_segment(t, t->snd_una, 1, 0);
	else
		(void)send_segment(t, t->snd_una - 1, 0, 0);
}

void tcp_send_rst(struct tcp_ep *t)
{
	t->ep.st->stats.tcp.out_rsts++;
	(void)send_segment(t, t->snd_nxt, 0, TCP_RST);
}

void tcp_challenge(struct tcp_ep *t)
{
	struct ns_stack *st = t->ep.st;

	if (!rate_limit_take(&st->challenge_acks, stack_now(st), 1000, 100))
		return;
	st->stats.tcp.challenge_acks++;
	tcp_send_ack(t);
}

/* --- handshake ----------------------------------------------------------------------------------- */

void tcp_send_syn(struct tcp_ep *t)
{
	struct pkt *p = pkt_new(&t->ep.st->pool);
	bool answer = t->state == TCP_SYN_RECV;
	struct out o = {.seq = t->iss, .flags = TCP_SYN};
	uint32_t path;

	if (!p)
		return;
	if (route(t) < 0) {
		pkt_free(p);
		return;
	}
	path = t->ep.path.mtu - ip_header_size(&t->ep.conn.key.remote) - 20;
	if (t->ep.opt[NS_TCP_MAXSEG])
		path = min(path, (uint32_t)t->ep.opt[NS_TCP_MAXSEG]);
	o.mss = (uint16_t)min(path, 65495u);
	o.wscale = !answer || t->wscale_ok;
	o.sack_ok = !answer || t->sack_ok;
	o.window = min(tcp_rx_room(t), 65535u);
	if (answer) {
		o.flags |= TCP_ACK;
		o.ack = t->rcv_nxt;
		t->rcv_adv = t->rcv_nxt + o.window;
		t->last_ack_sent = t->rcv_nxt;
	}
	(void)transmit(t, p, &o);
}

/* --- what may be sent --------------------------------------------------------------------------- */

static bool holds_back(const struct tcp_ep *t, uint32_t n, uint32_t unsent)
{
	if (n >= t->mss)
		return false;
	if (n < unsent) /* the window cuts it: worth it if half of the largest that there was */
		return n < t->max_wnd / 2 || n == 0;
	if (t->fin_wanted)
		return false;
	if (t->ep.opt[NS_TCP_CORK] || t->more)
		return true;
	return !t->ep.opt[NS_TCP_NODELAY] && t->snd_nxt != t->snd_una;
}

static uint32_t sendable(const struct tcp_ep *t, uint32_t unsent)
{
	uint32_t flight = t->snd_nxt - t->snd_una, pipe = tcp_pipe(t);
	uint32_t window = t->snd_wnd > flight ? t->snd_wnd - flight : 0;
	uint32_t room = t->cwnd > pipe ? t->cwnd - pipe : 0;
	uint32_t n = min(min(unsent, window), min(room, GSO_MAX));

	return n > t->mss && n < unsent ? n - n % t->mss : n;
}

static uint32_t unsent_bytes(const struct tcp_ep *t)
{
	uint32_t sent = t->snd_nxt - t->snd_una;

	return (uint32_t)t->buffered > sent ? (uint32_t)t->buffered - sent : 0;
}

static bool fin_due(const struct tcp_ep *t)
{
	return t->fin_wanted && t->snd_nxt - t->snd_una == (uint32_t)t->buffered;
}

static void start_timing(struct tcp_ep *t, uint32_t seq)
{
	if (t->ts_ok || t->timed_at)
		return;
	t->timed_seq = seq;
	t->timed_at = stack_now(t->ep.st);
}

/* Sends new data; false: nothing went out. */
static bool send_new(struct tcp_ep *t)
{
	uint32_t unsent = unsent_bytes(t), n = sendable(t, unsent);
	bool last = n == unsent, fin = last && t->fin_wanted;
	uint8_t flags = (uint8_t)((last && n ? TCP_PSH : 0) | (fin ? TCP_FIN : 0));
	int took;

	if (unsent ? n == 0 || holds_back(t, n, unsent) : !fin_due(t))
		return false;
	took = send_segment(t, t->snd_nxt, n, flags);
	if (took < 0 || (took == 0 && n))
		return false;
	fin = fin && (uint32_t)took == n;
	start_timing(t, t->snd_nxt);
	t->snd_nxt += (uint32_t)took + fin;
	t->snd_max = seq_max(t->snd_max, t->snd_nxt);
	if (!ns_timer_armed(&t->rexmit))
		tcp_arm_rexmit(t);
	return !fin;
}

uint32_t tcp_resend(struct tcp_ep *t, uint32_t seq, uint32_t n)
{
	uint32_t have = t->snd_una + (uint32_t)t->buffered - seq;
	bool fin = t->fin_wanted && t->snd_max == t->snd_una + (uint32_t)t->buffered + 1;
	bool last = n >= have;
	int took;

	n = min(min(n, have), t->mss);
	took = send_segment(t, seq, n, (uint8_t)(last && n == have && fin ? TCP_FIN | TCP_PSH : 0));
	t->ep.st->stats.tcp.retrans_segs++;
	t->counts.total_retrans++;
	t->timed_at = 0; /* Karn */
	if (took < 0)
		return 0;
	t->counts.bytes_retrans += (uint32_t)took;
	return (uint32_t)took + (last && n == have && fin);
}

static bool send_hole(struct tcp_ep *t)
{
	struct seq_range hole;
	uint32_t n;

	if (!t->recovering || tcp_pipe(t) >= t->cwnd || !tcp_next_hole(t, &hole))
		return false;
	n = tcp_resend(t, hole.start, hole.end - hole.start);
	if (n)
		t->high_rexmit = hole.start + n;
	return n > 0;
}

static bool may_send_data(const struct tcp_ep *t)
{
	return t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT ||
	       t->state == TCP_FIN_WAIT1 || t->state == TCP_CLOSING || t->state == TCP_LAST_ACK;
}

void tcp_output(struct tcp_ep *t)
{
	while (may_send_data(t) && (send_hole(t) || send_new(t)))
		;
	if (t->ack_now)
		tcp_send_ack(t);
	/* Data that the window does not let out: ask from time to time. */
	if (may_send_data(t) && t->buffered && !ns_timer_armed(&t->rexmit))
		tcp_arm_rexmit(t);
}

/* --- segments without a connection ------------------------------------------------------------ */

void tcp_reject(struct segment *s)
{
	struct tcp_header *h;
	struct ip_query q = {.dst = s->key.remote, .src = s->key.local};
	struct ip_path path;
	struct ip_send send = {
	    .path = &path, .dst = s->key.remote, .protocol = IPPROTO_TCP, .ttl = -1};
	struct pkt *p;

	if ((s->flags & TCP_RST) || s->ip->broadcast || s->ip->multicast)
		return;
	q.foreign_source = s->ip->gateway;
	if (!ns_ip_is_v4(&q.dst) && ns_ip_is_link_local(&q.dst))
		q.ifindex = s->ip->link->ifindex;
	p = pkt_new(&s->st->pool);
	if (!p || ip_route(s->st, &q, &path) < 0) {
		pkt_free(p);
		return;
	}
	h = pkt_push(p, sizeof(*h));
	*h = (struct tcp_header){.sport = htons(s->key.lport), .dport = htons(s->key.rport)};
	h->off = sizeof(*h) / 4 << 4;
	h->flags = TCP_RST;
	if (s->flags & TCP_ACK) {
		h->seq = htonl(s->ack);
	} else {
		h->flags |= TCP_ACK;
		h->ack = htonl(s->seq + s->len + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN));
	}
	send.src = s->key.local;
	csum_partial(p, offsetof(struct tcp_header, csum), &send.src, &send.dst, IPPROTO_TCP);
	s->st->stats.tcp.out_rsts++;
	(void)ip_output(s->st, p, &send);
}
