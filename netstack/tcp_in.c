/* TCP segments in: who they are for, whether they may be believed, and what they change. */
#include "netstack/checksum.h"
#include "netstack/tcp_ep.h"
#include "netstack/wire.h"

#define PAWS_NS (24ULL * 24 * 3600 * NSEC_PER_SEC) /* RFC 7323 5.5: older stamps mean nothing */

/* --- reading ----------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	uint32_t be;

	memcpy(&be, p, sizeof(be));
	return ntohl(be);
}

static void read_option(struct segment *s, const uint8_t *o, uint8_t len)
{
	switch (o[0]) {
	case TCPOPT_MAXSEG:
		if (len == 4)
			s->mss = (uint16_t)(o[2] << 8 | o[3]);
		break;
	case TCPOPT_WINDOW:
		if (len == 3) {
			s->has_wscale = true;
			s->wscale = o[2];
		}
		break;
	case TCPOPT_SACK_PERMITTED:
		s->sack_ok = len == 2;
		break;
	case TCPOPT_SACK:
		for (uint8_t i = 2; i + 8 <= len && s->nsack < 4; i = (uint8_t)(i + 8))
			s->sack[s->nsack++] = (struct seq_range){get32(o + i), get32(o + i + 4)};
		break;
	case TCPOPT_TIMESTAMP:
		if (len == 10) {
			s->has_ts = true;
			s->tsval = get32(o + 2);
			s->tsecr = get32(o + 6);
		}
		break;
	default:
		break;
	}
}

/* What is malformed ends the list, as everywhere. */
static void read_options(struct segment *s, const uint8_t *o, size_t n)
{
	size_t i = 0;

	while (i < n && o[i] != TCPOPT_EOL) {
		if (o[i] == TCPOPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= n || o[i + 1] < 2 || o[i + 1] > n - i)
			return;
		read_option(s, o + i, o[i + 1]);
		i += o[i + 1];
	}
}

/* Takes the packet apart; afterwards it holds the payload only. */
static bool read_segment(struct segment *s)
{
	uint8_t copy[TCP_HEADER_MAX];
	uint32_t l4 = s->ip->l4;
	const struct tcp_header *h = pkt_peek(s->p, l4, sizeof(*h), copy);

	if (!h)
		return false;
	s->header_len = (uint16_t)((h->off >> 4) * 4);
	if (s->header_len < sizeof(*h) ||
	    !csum_verify(s->p, l4, &s->ip->src, &s->ip->dst, IPPROTO_TCP))
		return false;
	h = pkt_peek(s->p, l4, s->header_len, copy);
	if (!h)
		return false;
	s->seq = ntohl(h->seq);
	s->ack = ntohl(h->ack);
	s->flags = h->flags;
	s->window = ntohs(h->window);
	s->urgent = ntohs(h->urgent);
	s->key = (struct flow_key){s->ip->dst, s->ip->src, ntohs(h->dport), ntohs(h->sport)};
	read_options(s, (const uint8_t *)(h + 1), s->header_len - sizeof(*h));
	pkt_pull(s->p, l4 + s->header_len);
	s->p->off = (struct ns_offload){};
	s->len = s->p->len;
	return true;
}

/* --- handshake ------------------------------------------------------------------------------------ */

static void established(struct tcp_ep *t)
{
	tcp_set_state(t, TCP_ESTABLISHED);
	t->retries = 0;
	t->counts.rcv_mss = t->mss;
	ns_timer_cancel(&t->ep.st->timers, &t->rexmit);
	tcp_arm_keepalive(t);
	ep_wake(&t->ep, POLLOUT);
}

static void take_syn(struct tcp_ep *t, const struct segment *s)
{
	t->peer_mss = s->mss ? s->mss : 536;
	t->ts_ok = s->has_ts;
	t->sack_ok = s->sack_ok;
	t->wscale_ok = s->has_wscale;
	t->snd_wscale = s->has_wscale ? (uint8_t)min(s->wscale, (uint8_t)14) : 0;
	if (!s->has_wscale)
		t->rcv_wscale = 0;
	t->ts_recent = s->tsval;
	t->ts_recent_when = stack_now(t->ep.st);
	t->irs = s->seq;
	t->rcv_nxt = t->rcv_adv = s->seq + 1;
	t->snd_wnd = t->max_wnd = s->window; /* never scaled in a SYN */
	t->snd_wl1 = s->seq;
	t->snd_wl2 = s->ack;
	tcp_update_mss(t);
	tcp_congestion_init(t);
}

static void syn_sent(struct tcp_ep *t, struct segment *s)
{
	bool ack_ok = s->ack == t->snd_max;

	if ((s->flags & TCP_ACK) && !ack_ok) {
		tcp_reject(s);
		return;
	}
	if (s->flags & TCP_RST) {
		if (s->flags & TCP_ACK)
			tcp_done(t, ECONNREFUSED);
		return;
	}
	if (!(s->flags & TCP_SYN))
		return;
	take_syn(t, s);
	if (!(s->flags & TCP_ACK)) { /* both began at once */
		tcp_set_state(t, TCP_SYN_RECV);
		tcp_send_syn(t);
		return;
	}
	t->snd_una = s->ack;
	established(t);
	t->ack_now = true;
	s->seq++;
	s->flags &= (uint8_t)~TCP_SYN;
	tcp_take_data(t, s);
	tcp_output(t);
}

/* The answer to our SYN of a SYN-RECEIVED connection. False: dropped. */
static bool syn_received(struct tcp_ep *t, struct segment *s)
{
	if (s->ack != t->snd_max) {
		tcp_reject(s);
		return false;
	}
	if (t->listener && !tcp_listen_ready(t))
		return false; /* the peer sends again */
	t->snd_una = s->ack;
	t->snd_wnd = s->window << t->snd_wscale;
	t->max_wnd = max(t->max_wnd, t->snd_wnd);
	t->snd_wl1 = s->seq;
	t->snd_wl2 = s->ack;
	established(t);
	return true;
}

/* --- checks ---------------------------------------------------------------------------------------- */

static bool in_window(const struct tcp_ep *t, const struct segment *s)
{
	uint32_t wnd = seq_lt(t->rcv_nxt, t->rcv_adv) ? t->rcv_adv - t->rcv_nxt : 0;
	uint32_t len = s->len + !!(s->flags & TCP_FIN) + !!(s->flags & TCP_SYN);
	uint32_t last = s->seq + (len ? len - 1 : 0);

	if (wnd == 0)
		return s->seq == t->rcv_nxt && (len == 0 || s->seq == t->rcv_nxt);
	return s->seq - t->rcv_nxt < wnd || last - t->rcv_nxt < wnd ||
	       (seq_lt(s->seq, t->rcv_nxt) && seq_le(t->rcv_nxt, last));
}

/* RFC 7323 5.3: an old duplicate, by its time stamp. */
static bool is_old(const struct tcp_ep *t, const struct segment *s)
{
	return t->ts_ok && s->has_ts && seq_lt(s->tsval, t->ts_recent) && !(s->flags & TCP_RST) &&
	       stack_now(t->ep.st) - t->ts_recent_when < PAWS_NS;
}

static void note_timestamp(struct tcp_ep *t, const struct segment *s)
{
	if (!t->ts_ok || !s->has_ts || seq_lt(t->last_ack_sent, s->seq) ||
	    seq_lt(s->tsval, t->ts_recent))
		return;
	t->ts_recent = s->tsval;
	t->ts_recent_when = stack_now(t->ep.st);
}

static void take_rst(struct tcp_ep *t, const struct segment *s)
{
	int error = t->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;

	if (s->seq != t->rcv_nxt) {
		tcp_challenge(t); /* RFC 5961 3.2 */
		return;
	}
	t->ep.st->stats.tcp.estab_resets++;
	tcp_done(t, t->state == TCP_TIME_WAIT ? 0 : error);
}

/* False: the segment goes no further. */
static bool acceptable(struct tcp_ep *t, const struct segment *s)
{
	if (is_old(t, s)) {
		t->ep.st->stats.tcp.paws_drops++;
		t->ack_now = true;
		return false;
	}
	if (!in_window(t, s)) {
		if (!(s->flags & TCP_RST))
			t->ack_now = true;
		return false;
	}
	if (s->flags & TCP_RST) {
		take_rst(t, s);
		return false;
	}
	if (s->flags & TCP_SYN) {
		if (t->state == TCP_SYN_RECV && s->seq == t->irs)
			tcp_send_syn(t);
		else
			tcp_challenge(t); /* RFC 5961 4.2 */
		return false;
	}
	return s->flags & TCP_ACK;
}

/* --- states ------------------------------------------------------------------------------------------ */

static bool fin_acked(const struct tcp_ep *t)
{
	return t->fin_wanted && t->buffered == 0 && t->snd_una == t->snd_max &&
	       t->snd_nxt == t->snd_max;
}

static void fin_wait2(struct tcp_ep *t)
{
	tcp_set_state(t, TCP_FIN_WAIT2);
	if (t->ep.closed && t->ep.opt[NS_TCP_LINGER2] >= 0) /* nobody is there to wait for ever */
		ns_timer_arm(&t->ep.st->timers, &t->wait,
			     stack_now(t->ep.st) +
				 (uint64_t)t->ep.opt[NS_TCP_LINGER2] * NSEC_PER_SEC);
}

static void after_ack(struct tcp_ep *t)
{
	if (!fin_acked(t))
		return;
	if (t->state == TCP_FIN_WAIT1)
		fin_wait2(t);
	else if (t->state == TCP_CLOSING)
		tcp_time_wait(t);
	else if (t->state == TCP_LAST_ACK)
		tcp_done(t, 0);
}

/* The user is gone and data come: nobody will ever read them (RFC 1122 4.2.2.13). */
static bool unwanted_data(struct tcp_ep *t, const struct segment *s)
{
	bool more = s->len && seq_lt(t->rcv_nxt, s->seq + s->len);

	if (!t->ep.closed || t->listener || !more)
		return false;
	t->ep.st->stats.tcp.abort_on_data++;
	tcp_send_rst(t);
	tcp_done(t, ECONNRESET);
	return true;
}

static void note_urgent(struct tcp_ep *t, const struct segment *s)
{
	if (!(s->flags & TCP_URG) || !s->urgent)
		return;
	t->urgent_seq = s->seq + s->urgent - 1;
	t->has_urgent = true;
	ep_wake(&t->ep, POLLPRI);
}

static void time_wait(struct tcp_ep *t, struct segment *s)
{
	if ((s->flags & TCP_FIN) && !(s->flags & TCP_RST))
		tcp_time_wait(t); /* again from the start */
	if (t->ack_now)
		tcp_send_ack(t);
}

static void general(struct tcp_ep *t, struct segment *s)
{
	if (!acceptable(t, s)) {
		if (t->state != TCP_CLOSE && t->ack_now)
			tcp_send_ack(t);
		return;
	}
	note_timestamp(t, s);
	t->last_heard = stack_now(t->ep.st);
	t->counts.segs_in++;
	if (t->state == TCP_SYN_RECV && !syn_received(t, s))
		return;
	if (t->state == TCP_TIME_WAIT) {
		time_wait(t, s);
		return;
	}
	if (!tcp_ack(t, s))
		return;
	after_ack(t);
	if (t->state == TCP_CLOSE || unwanted_data(t, s))
		return;
	note_urgent(t, s);
	tcp_take_data(t, s);
	tcp_output(t);
}

/* --- entry ------------------------------------------------------------------------------------------- */

/* A new SYN for a connection in TIME-WAIT ends that, if it cannot be an old one (RFC 9293 3.10.7.4,
 * RFC 6191). */
static bool reopens(const struct tcp_ep *t, const struct segment *s)
{
	if (t->state != TCP_TIME_WAIT || (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	return seq_lt(t->rcv_nxt, s->seq) ||
	       (t->ts_ok && s->has_ts && seq_lt(t->ts_recent, s->tsval));
}

static void to_listener(struct segment *s)
{
	uint32_t ifindex = s->ip->link->ifindex;
	struct ns_ep *ep = s->ip->gateway ? gate_find(s->st, DEMUX_TCP, &s->key)
					  : port_find(s->st, DEMUX_TCP, &s->key, ifindex);

	if (ep)
		tcp_listen_input(tcp_of(ep), s);
	else
		tcp_reject(s);
}

static void to_connection(struct tcp_ep *t, struct segment *s)
{
	if (t->ep.path.diverted && !link_is_loopback(s->ip->link))
		return; /* the gate answers over lo, nobody else */
	ep_get(&t->ep);
	if (t->state == TCP_SYN_SENT)
		syn_sent(t, s);
	else
		general(t, s);
	ep_put(&t->ep);
}

static void input(struct segment *s)
{
	struct conn_entry *c = conn_find(s->st, DEMUX_TCP, &s->key, s->ip->link->ifindex);
	struct tcp_ep *t = c ? tcp_of(container_of(c, struct ns_ep, conn)) : NULL;

	if (t && reopens(t, s)) {
		tcp_done(t, 0);
		t = NULL;
	}
	if (t)
		to_connection(t, s);
	else
		to_listener(s);
}

static void tcp_input(struct ns_stack *st, struct pkt *p, const struct ip_info *ip)
{
	struct segment s = {.st = st, .p = p, .ip = ip};

	st->stats.tcp.in_segs++;
	if (read_segment(&s))
		input(&s);
	else
		st->stats.tcp.in_errs++;
	pkt_free(s.p);
}

/* --- errors --------------------------------------------------------------------------------------- */

static struct tcp_ep *find_sender(struct ns_stack *st, const struct ip_error *e, uint32_t *seq)
{
	uint8_t first[8];
	struct flow_key key = {.local = e->local, .remote = e->remote};
	struct conn_entry *c;

	if (e->l4 + sizeof(first) > e->quote->len)
		return NULL;
	pkt_copy(e->quote, e->l4, first, sizeof(first));
	key.lport = (uint16_t)(first[0] << 8 | first[1]);
	key.rport = (uint16_t)(first[2] << 8 | first[3]);
	*seq = get32(first + 4);
	c = conn_find(st, DEMUX_TCP, &key, e->link ? e->link->ifindex : 0);
	return c ? tcp_of(container_of(c, struct ns_ep, conn)) : NULL;
}

/* RFC 5927: only about what is in flight; fatal only during the handshake. */
static void tcp_error(struct ns_stack *st, const struct ip_error *e)
{
	uint32_t seq;
	struct tcp_ep *t = find_sender(st, e, &seq);

	if (!t || !seq_le(t->snd_una, seq) || !seq_lt(seq, t->snd_max))
		return;
	if (e->mtu) {
		if (!path_mtu_learn(st, &e->remote, e->mtu))
			return;
		t->ep.path.gen = 0;
		t->snd_nxt = t->snd_una; /* what is in flight did not fit */
		tcp_output(t);
	} else if (t->state == TCP_SYN_SENT || (t->state == TCP_SYN_RECV && t->listener)) {
		tcp_done(t, e->error);
	} else {
		(void)ep_queue_error(&t->ep, e);
	}
}

const struct ip_proto tcp_proto = {IPPROTO_TCP, tcp_input, tcp_error};
