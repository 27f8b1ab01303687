/* Timers of a connection: see each. All fire with the stack locked. */
#include "netstack/tcp_ep.h"

static void arm(struct tcp_ep *t, struct ns_timer *timer, uint64_t ns)
{
	ns_timer_arm(&t->ep.st->timers, timer, stack_now(t->ep.st) + ns);
}

static uint64_t backed_off(const struct tcp_ep *t)
{
	return min(t->rto << min(t->retries, 10u), TCP_RTO_MAX);
}

void tcp_arm_rexmit(struct tcp_ep *t)
{
	arm(t, &t->rexmit, backed_off(t));
}

static unsigned int retries_max(const struct tcp_ep *t)
{
	if (t->state == TCP_SYN_SENT)
		return (unsigned int)t->ep.opt[NS_TCP_SYNCNT];
	return t->state == TCP_SYN_RECV ? TCP_SYNACK_RETRIES : TCP_RETRIES;
}

static void give_up(struct tcp_ep *t)
{
	t->ep.st->stats.tcp.timeouts++;
	if (t->state != TCP_SYN_SENT && t->state != TCP_SYN_RECV)
		tcp_send_rst(t);
	tcp_done(t, ETIMEDOUT);
}

/* Nothing is in flight, and the window is shut: persist (RFC 9293 3.8.6.1). */
static bool probes(const struct tcp_ep *t)
{
	return t->snd_una == t->snd_max && t->buffered && t->snd_wnd == 0;
}

/* A peer that answers probes may keep its window shut for as long as it likes. */
static bool answers(const struct tcp_ep *t, uint64_t now)
{
	return probes(t) && now - t->last_heard <= 2 * TCP_RTO_MAX;
}

static void on_rexmit(struct ns_timer *timer, uint64_t now)
{
	struct tcp_ep *t = container_of(timer, struct tcp_ep, rexmit);

	if (t->retries >= retries_max(t) && !answers(t, now)) {
		give_up(t);
		return;
	}
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV) {
		tcp_send_syn(t);
	} else if (probes(t)) {
		tcp_send_probe(t, true);
	} else {
		tcp_on_timeout(t);
		t->ep.st->stats.tcp.retrans_segs++;
		t->counts.total_retrans++;
	}
	t->retries++;
	tcp_arm_rexmit(t);
	tcp_output(t);
}

static void on_delack(struct ns_timer *timer, uint64_t now)
{
	tcp_send_ack(container_of(timer, struct tcp_ep, delack));
}

void tcp_arm_keepalive(struct tcp_ep *t)
{
	if (t->ep.opt[NS_SO_KEEPALIVE])
		arm(t, &t->keepalive, (uint64_t)t->ep.opt[NS_TCP_KEEPIDLE] * NSEC_PER_SEC);
	else
		ns_timer_cancel(&t->ep.st->timers, &t->keepalive);
}

static void on_keepalive(struct ns_timer *timer, uint64_t now)
{
	struct tcp_ep *t = container_of(timer, struct tcp_ep, keepalive);
	uint64_t idle = (uint64_t)t->ep.opt[NS_TCP_KEEPIDLE] * NSEC_PER_SEC;

	if (!t->ep.opt[NS_SO_KEEPALIVE])
		return;
	if (now - t->last_heard < idle) {
		t->keepalives = 0;
		ns_timer_arm(&t->ep.st->timers, timer, t->last_heard + idle);
		return;
	}
	if (t->keepalives >= (unsigned int)t->ep.opt[NS_TCP_KEEPCNT]) {
		give_up(t);
		return;
	}
	t->keepalives++;
	t->ep.st->stats.tcp.keepalives++;
	tcp_send_probe(t, false);
	arm(t, timer, (uint64_t)t->ep.opt[NS_TCP_KEEPINTVL] * NSEC_PER_SEC);
}

static void on_wait(struct ns_timer *timer, uint64_t now)
{
	tcp_done(container_of(timer, struct tcp_ep, wait), 0);
}

/* Beyond the bound a connection ends at once, as on Linux: better than to refuse new ones. */
void tcp_time_wait(struct tcp_ep *t)
{
	struct ns_stack *st = t->ep.st;

	if (t->state != TCP_TIME_WAIT && st->tcp->time_wait >= st->limits.time_wait) {
		tcp_send_ack(t);
		tcp_done(t, 0);
		return;
	}
	st->tcp->time_wait += t->state != TCP_TIME_WAIT;
	tcp_set_state(t, TCP_TIME_WAIT);
	ns_timer_cancel(&t->ep.st->timers, &t->rexmit);
	ns_timer_cancel(&t->ep.st->timers, &t->keepalive);
	arm(t, &t->wait, TCP_TIME_WAIT_NS);
	t->ep.st->stats.tcp.time_wait++;
}

void tcp_timers_init(struct tcp_ep *t)
{
	ns_timer_init(&t->rexmit, on_rexmit);
	ns_timer_init(&t->delack, on_delack);
	ns_timer_init(&t->keepalive, on_keepalive);
	ns_timer_init(&t->wait, on_wait);
}

void tcp_timers_stop(struct tcp_ep *t)
{
	struct timer_queue *q = &t->ep.st->timers;

	ns_timer_cancel(q, &t->rexmit);
	ns_timer_cancel(q, &t->delack);
	ns_timer_cancel(q, &t->keepalive);
	ns_timer_cancel(q, &t->wait);
}
