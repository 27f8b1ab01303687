/*
 * What acknowledgements do: round-trip times (RFC 6298), the send window, congestion control
 * (RFC 5681 with 3465 and 6582), loss recovery by SACK (RFC 6675, simplified: a hole is lost if
 * three segments above it were received).
 */
#include "netstack/neigh.h"
#include "netstack/tcp_ep.h"
#include "netstack/wire.h"

void tcp_congestion_init(struct tcp_ep *t)
{
	t->cwnd = 10 * t->mss; /* RFC 6928 */
	t->ssthresh = UINT32_MAX / 2;
}

/* --- round-trip time ------------------------------------------------------------------------- */

static void measure(struct tcp_ep *t, uint64_t rtt)
{
	uint64_t diff;

	if (t->srtt == 0) {
		t->srtt = max(rtt, (uint64_t)1);
		t->rttvar = rtt / 2;
	} else {
		diff = t->srtt > rtt ? t->srtt - rtt : rtt - t->srtt;
		t->rttvar += diff / 4 - t->rttvar / 4;
		t->srtt += rtt / 8 - t->srtt / 8;
	}
	t->rto = t->srtt + max(4 * t->rttvar, TCP_RTO_MIN);
	t->rto = min(t->rto, TCP_RTO_MAX);
}

static void take_rtt(struct tcp_ep *t, const struct segment *s)
{
	uint32_t ms;

	if (t->ts_ok && s->has_ts && s->tsecr) {
		ms = tcp_timestamp(t) - s->tsecr;
		if (ms < 600000) /* else the echo is made up */
			measure(t, ms * NSEC_PER_MSEC);
	} else if (t->timed_at && seq_lt(t->timed_seq, s->ack)) {
		measure(t, stack_now(t->ep.st) - t->timed_at);
		t->timed_at = 0;
	}
}

/* --- the scoreboard ---------------------------------------------------------------------------- */

bool tcp_sacked(const struct tcp_ep *t, uint32_t seq, uint32_t *end)
{
	for (unsigned int i = 0; i < t->nsacked; i++)
		if (seq_le(t->sacked[i].start, seq) && seq_lt(seq, t->sacked[i].end)) {
			*end = t->sacked[i].end;
			return true;
		}
	return false;
}

static void remove_range(struct tcp_ep *t, unsigned int i)
{
	t->nsacked--;
	memmove(t->sacked + i, t->sacked + i + 1, (t->nsacked - i) * sizeof(t->sacked[0]));
}

/* Adds a range; kept sorted and apart. What finds no room is forgotten, which only costs. */
static void add_range(struct tcp_ep *t, struct seq_range r)
{
	unsigned int i = 0;

	if (!seq_lt(r.start, r.end) || !seq_lt(t->snd_una, r.start) || seq_lt(t->snd_max, r.end))
		return;
	while (i < t->nsacked && seq_lt(t->sacked[i].end, r.start))
		i++;
	while (i < t->nsacked && seq_le(t->sacked[i].start, r.end)) {
		if (seq_lt(t->sacked[i].start, r.start))
			r.start = t->sacked[i].start;
		r.end = seq_max(r.end, t->sacked[i].end);
		remove_range(t, i);
	}
	if (t->nsacked == SACK_RANGES)
		return;
	memmove(t->sacked + i + 1, t->sacked + i, (t->nsacked - i) * sizeof(t->sacked[0]));
	t->sacked[i] = r;
	t->nsacked++;
}

static void trim_ranges(struct tcp_ep *t)
{
	while (t->nsacked && seq_le(t->sacked[0].end, t->snd_una))
		remove_range(t, 0);
	if (t->nsacked && seq_lt(t->sacked[0].start, t->snd_una))
		t->sacked[0].start = t->snd_una;
}

static uint32_t sacked_bytes(const struct tcp_ep *t)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < t->nsacked; i++)
		n += t->sacked[i].end - t->sacked[i].start;
	return n;
}

static bool is_lost(const struct tcp_ep *t, uint32_t start)
{
	return start == t->snd_una || seq_le(start + 3 * t->mss, t->sacked[t->nsacked - 1].end);
}

bool tcp_next_hole(const struct tcp_ep *t, struct seq_range *hole)
{
	uint32_t at = seq_max(t->snd_una, t->high_rexmit);

	if (t->nsacked == 0) {
		*hole = (struct seq_range){t->snd_una, t->snd_una + t->mss};
		return seq_le(t->high_rexmit, t->snd_una);
	}
	for (unsigned int i = 0; i < t->nsacked; i++) {
		if (seq_lt(at, t->sacked[i].start)) {
			*hole = (struct seq_range){at, t->sacked[i].start};
			return is_lost(t, at);
		}
		at = seq_max(at, t->sacked[i].end);
	}
	return false;
}

uint32_t tcp_pipe(const struct tcp_ep *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una, gone = sacked_bytes(t);
	struct seq_range hole;

	if (t->recovering && t->nsacked == 0)
		gone += t->dupacks * t->mss;
	if (t->recovering && tcp_next_hole(t, &hole))
		gone += hole.end - hole.start;
	return flight > gone ? flight - gone : 0;
}

/* --- congestion ---------------------------------------------------------------------------------- */

static void grow(struct tcp_ep *t, uint32_t acked)
{
	if (t->cwnd < t->ssthresh)
		t->cwnd += min(acked, 2 * t->mss);
	else
		t->cwnd += max((uint32_t)((uint64_t)t->mss * acked / t->cwnd), 1u);
	t->cwnd = min(t->cwnd, 64u << 20);
}

static void halve(struct tcp_ep *t)
{
	t->ssthresh = max((t->snd_max - t->snd_una) / 2, 2 * t->mss);
}

static void enter_recovery(struct tcp_ep *t)
{
	halve(t);
	t->cwnd = t->ssthresh;
	t->recovering = true;
	t->recover = t->snd_max;
	t->high_rexmit = t->snd_una;
	t->ep.st->stats.tcp.fast_retrans++;
}

/* RFC 6298 5.4-5.7, RFC 5681 3.1: everything that was sent counts as lost. */
void tcp_on_timeout(struct tcp_ep *t)
{
	if (t->retries == 0)
		halve(t);
	t->cwnd = t->mss;
	t->nsacked = 0;
	t->dupacks = 0;
	t->recovering = false;
	t->recover = t->snd_max;
	t->snd_nxt = t->snd_una;
	t->timed_at = 0;
}

static bool enough_above(const struct tcp_ep *t)
{
	return t->nsacked && sacked_bytes(t) > 2 * t->mss;
}

static void duplicate(struct tcp_ep *t)
{
	t->dupacks++;
	if (!t->recovering && (t->dupacks >= 3 || enough_above(t)) &&
	    seq_lt(t->recover, t->snd_una + 1))
		enter_recovery(t);
}

static void progress(struct tcp_ep *t, uint32_t acked)
{
	t->dupacks = 0;
	if (!t->recovering) {
		grow(t, acked);
	} else if (seq_le(t->recover, t->snd_una)) {
		t->recovering = false;
		t->cwnd = min(t->ssthresh, max(t->snd_nxt - t->snd_una, t->mss) + t->mss);
	} else if (t->nsacked == 0) {
		t->high_rexmit = t->snd_una; /* a partial ACK: the next one is lost as well */
	}
}

/* --- acknowledgements ---------------------------------------------------------------------------- */

static void forward(struct tcp_ep *t, const struct segment *s)
{
	uint32_t acked = s->ack - t->snd_una;
	struct ns_stack *st = t->ep.st;

	take_rtt(t, s);
	tcp_buf_drop(t, min((size_t)acked, t->buffered));
	t->snd_una = s->ack;
	if (seq_lt(t->snd_nxt, t->snd_una))
		t->snd_nxt = t->snd_una;
	t->retries = 0;
	t->counts.bytes_acked += acked;
	trim_ranges(t);
	progress(t, acked);
	if (t->snd_una == t->snd_max)
		ns_timer_cancel(&st->timers, &t->rexmit);
	else
		tcp_arm_rexmit(t);
	if (t->ep.wants_room && t->buffered * 2 <= ep_sndbuf(&t->ep)) {
		t->ep.wants_room = false;
		ep_wake(&t->ep, POLLOUT);
	}
	neigh_confirm(t->ep.path.link, &t->ep.path.next_hop);
}

static bool update_window(struct tcp_ep *t, const struct segment *s)
{
	uint32_t old = t->snd_wnd;

	if (!seq_lt(t->snd_wl1, s->seq) && !(t->snd_wl1 == s->seq && seq_le(t->snd_wl2, s->ack)))
		return false;
	t->snd_wnd = s->window << t->snd_wscale;
	t->snd_wl1 = s->seq;
	t->snd_wl2 = s->ack;
	t->max_wnd = max(t->max_wnd, t->snd_wnd);
	if (old == 0 && t->snd_wnd) { /* it has opened: no more probes */
		t->retries = 0;
		ns_timer_cancel(&t->ep.st->timers, &t->rexmit);
		if (t->snd_una != t->snd_max)
			tcp_arm_rexmit(t);
	}
	return old != t->snd_wnd;
}

bool tcp_ack(struct tcp_ep *t, const struct segment *s)
{
	bool moved;

	if (seq_lt(t->snd_max, s->ack) || seq_lt(s->ack, t->snd_una - t->max_wnd)) {
		tcp_challenge(t); /* RFC 5961 5.2 */
		return false;
	}
	if (t->sack_ok)
		for (unsigned int i = 0; i < s->nsack; i++)
			add_range(t, s->sack[i]);
	if (seq_lt(t->snd_una, s->ack)) {
		forward(t, s);
		(void)update_window(t, s);
		return true;
	}
	moved = update_window(t, s);
	if (s->ack == t->snd_una && !moved && s->len == 0 && !(s->flags & TCP_FIN) &&
	    t->snd_una != t->snd_max)
		duplicate(t);
	return true;
}
