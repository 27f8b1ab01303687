/*
 * Data in: what is in order goes to the receive queue, what is ahead waits in `ooo`, sorted and
 * without overlaps (what is there already stays, so that nobody can replace it).
 */
#include "netstack/tcp_ep.h"
#include "netstack/wire.h"

uint32_t tcp_rx_room(const struct tcp_ep *t)
{
	size_t used = t->ep.rx_bytes, most = ep_rcvbuf(&t->ep);

	return used < most ? (uint32_t)(most - used) : 0;
}

static void deliver(struct tcp_ep *t, struct pkt *p)
{
	t->rcv_nxt = p->seq + p->len;
	t->counts.bytes_received += p->len;
	t->ep.rx_bytes += p->len; /* TCP counts payload: the window is about it */
	t->ep.rx_count++;
	list_add_tail(&t->ep.rx, &p->node);
}

/* Moves what has become contiguous. */
static void deliver_waiting(struct tcp_ep *t)
{
	while (!list_empty(&t->ooo)) {
		struct pkt *p = list_first(&t->ooo, struct pkt, node);

		if (seq_lt(t->rcv_nxt, p->seq))
			return;
		list_del(&p->node);
		t->ooo_bytes -= pkt_cost(p);
		if (seq_le(p->seq + p->len, t->rcv_nxt)) {
			pkt_free(p);
			continue;
		}
		pkt_pull(p, t->rcv_nxt - p->seq);
		p->seq = t->rcv_nxt;
		deliver(t, p);
	}
}

/* Takes p, which begins after rcv_nxt. */
static void keep_ahead(struct tcp_ep *t, struct pkt *p)
{
	struct list *before = &t->ooo;
	struct pkt *q;

	list_for_each (q, &t->ooo, node) {
		if (seq_le(q->seq + q->len, p->seq))
			continue;
		if (seq_le(q->seq, p->seq)) { /* its front is there */
			uint32_t known = q->seq + q->len - p->seq;

			if (known >= p->len) {
				pkt_free(p);
				return;
			}
			pkt_pull(p, known);
			p->seq += known;
			continue;
		}
		if (seq_lt(q->seq, p->seq + p->len))
			pkt_trim(p, q->seq - p->seq);
		before = &q->node;
		break;
	}
	if (t->ooo_bytes + pkt_cost(p) > 2 * ep_rcvbuf(&t->ep)) {
		t->ep.st->stats.tcp.ofo_dropped++;
		pkt_free(p);
		return;
	}
	t->ep.st->stats.tcp.ofo_queued++;
	t->ooo_bytes += pkt_cost(p);
	list_add_tail(before, &p->node);
}

/* Cuts the segment to the window; false: nothing is left. */
static bool cut_to_window(struct tcp_ep *t, struct segment *s)
{
	uint32_t skip = seq_lt(s->seq, t->rcv_nxt) ? t->rcv_nxt - s->seq : 0;

	if (skip >= s->len)
		return false;
	pkt_pull(s->p, skip);
	s->seq += skip;
	s->len -= skip;
	if (seq_lt(t->rcv_adv, s->seq + s->len)) {
		uint32_t fits = seq_lt(s->seq, t->rcv_adv) ? t->rcv_adv - s->seq : 0;

		pkt_trim(s->p, fits);
		s->len = fits;
		s->flags &= (uint8_t)~TCP_FIN;
	}
	return s->len > 0;
}

static void take_payload(struct tcp_ep *t, struct segment *s)
{
	bool gap = !list_empty(&t->ooo);

	if (!cut_to_window(t, s)) {
		t->ack_now = true;
		return;
	}
	s->p->seq = s->seq;
	s->p->payload = 0;
	t->counts.data_segs_in++;
	if (s->seq == t->rcv_nxt) {
		deliver(t, s->p);
		deliver_waiting(t);
		/* Every second full segment, at once when a gap closes, else later. */
		t->unacked_segments += s->len > t->mss ? 2 : 1;
		if (t->unacked_segments >= 2 || gap)
			t->ack_now = true;
		else
			ns_timer_arm(&t->ep.st->timers, &t->delack,
				     stack_now(t->ep.st) + TCP_DELACK);
		ep_wake(&t->ep, POLLIN);
	} else {
		keep_ahead(t, s->p);
		t->ack_now = true; /* a duplicate one: it tells of the gap */
	}
	s->p = NULL;
}

static void take_fin(struct tcp_ep *t)
{
	t->rcv_nxt++;
	t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt);
	t->fin_seen = true;
	t->ack_now = true;
	switch (t->state) {
	case TCP_SYN_RECV:
	case TCP_ESTABLISHED:
		tcp_set_state(t, TCP_CLOSE_WAIT);
		break;
	case TCP_FIN_WAIT1:
		tcp_set_state(t, TCP_CLOSING);
		break;
	case TCP_FIN_WAIT2:
		tcp_time_wait(t);
		break;
	default:
		break;
	}
	ep_wake(&t->ep, POLLIN | POLLRDHUP);
}

void tcp_take_data(struct tcp_ep *t, struct segment *s)
{
	uint32_t fin_at = s->seq + s->len;
	bool fin = s->flags & TCP_FIN;

	if (t->fin_seen)
		return;
	if (s->len)
		take_payload(t, s);
	if (fin && (s->flags & TCP_FIN)) { /* not cut off by the window */
		t->ooo_fin = true;
		t->ooo_fin_seq = fin_at;
		t->ack_now = true;
	}
	if (t->ooo_fin && t->ooo_fin_seq == t->rcv_nxt)
		take_fin(t);
}
