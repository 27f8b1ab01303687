/* TCP endpoints: their life and the calls of the user. See tcp_ep.h. */
#include "netstack/tcp_ep.h"

#include <sys/socket.h>

#include "netstack/wire.h"

#define COPY_LOCKED 16384 /* up to this much is copied under the lock, into the last chunk */

/* --- life ---------------------------------------------------------------------------------- */

void tcp_set_state(struct tcp_ep *t, uint8_t state)
{
	t->state = state;
	t->ep.connected = state != TCP_CLOSE && state != TCP_LISTEN;
}

void tcp_attach(struct tcp_ep *t)
{
	assert(!t->attached);
	t->attached = true;
	ep_get(&t->ep);
}

void tcp_done(struct tcp_ep *t, int error)
{
	bool attached = t->attached;

	tcp_timers_stop(t);
	tcp_listen_forget(t);
	t->ep.st->tcp->time_wait -= t->state == TCP_TIME_WAIT;
	conn_remove(&t->ep.conn);
	if (t->state != TCP_CLOSE)
		tcp_set_state(t, TCP_CLOSE);
	if (t->ep.closed || !t->ep.explicit_port)
		port_release(&t->ep.port);
	tcp_buf_drop(t, t->buffered);
	pkt_free_list(&t->ooo);
	t->ooo_bytes = 0;
	t->ep.shutdown = SHUT_IN | SHUT_OUT;
	if (error)
		t->ep.error = error;
	ep_wake(&t->ep, POLLIN | POLLOUT | POLLHUP | POLLRDHUP | (error ? POLLERR : 0));
	t->attached = false;
	if (attached)
		ep_put(&t->ep);
}

void tcp_abort(struct ns_ep *ep, int error)
{
	struct tcp_ep *t = tcp_of(ep);

	if (t->state == TCP_CLOSE || t->state == TCP_LISTEN)
		return;
	if (t->state != TCP_SYN_SENT && t->state != TCP_TIME_WAIT)
		tcp_send_rst(t);
	tcp_done(t, error);
}

/* RFC 6528: a clock of 4 us ticks plus a keyed hash of the flow. */
static uint32_t initial_sequence(struct tcp_ep *t)
{
	return (uint32_t)(stack_now(t->ep.st) / 4000) +
	       (uint32_t)flow_hash(t->ep.st, &t->ep.conn.key);
}

static void set_scale(struct tcp_ep *t)
{
	uint32_t most = max((uint32_t)ep_rcvbuf(&t->ep), 6u << 20);

	for (t->rcv_wscale = 0; t->rcv_wscale < 14 && most > 65535; most >>= 1)
		t->rcv_wscale++;
}

static const struct ep_ops tcp_ops;

struct tcp_ep *tcp_new(struct ns_stack *st, const struct ns_ep_config *c)
{
	struct ns_ep *ep = ep_alloc(st, c, &tcp_ops, sizeof(struct tcp_ep));
	struct tcp_ep *t;

	if (!ep)
		return NULL;
	t = tcp_of(ep);
	ep->protocol = IPPROTO_TCP;
	ep->opt[NS_SO_RCVBUF] = ep->opt[NS_SO_SNDBUF] = 1 << 20;
	t->state = TCP_CLOSE;
	t->rto = TCP_RTO_INITIAL;
	t->peer_mss = 536;
	t->mss = 536;
	list_init(&t->accept_node);
	list_init(&t->embryos);
	list_init(&t->ready);
	list_init(&t->buffer);
	list_init(&t->ooo);
	t->ts_offset = stack_random32(st);
	t->iss = t->snd_una = t->snd_nxt = t->snd_max = stack_random32(st);
	t->recover = t->snd_una - 1;
	set_scale(t);
	tcp_timers_init(t);
	return t;
}

int tcp_ep_new(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out)
{
	struct tcp_ep *t = tcp_new(st, c);

	if (!t)
		return -ENOMEM;
	*out = &t->ep;
	return 0;
}

static void tcp_free(struct ns_ep *ep)
{
	struct tcp_ep *t = tcp_of(ep);

	assert(!t->attached && !t->listener);
	tcp_timers_stop(t);
	tcp_buf_drop(t, t->buffered);
	pkt_free_list(&t->ooo);
	ep_release(ep, sizeof(struct tcp_ep));
}

/* --- opening ------------------------------------------------------------------------------------ */

static int tcp_bind(struct ns_ep *ep, const struct ns_addr *local)
{
	return tcp_of(ep)->state == TCP_CLOSE ? ep_bind_port(ep, DEMUX_TCP, local) : -EINVAL;
}

static int claim_flow(struct tcp_ep *t, const struct ns_addr *to, const struct ip_path *path)
{
	struct ns_ep *ep = &t->ep;
	struct ns_ip old = ep->conn.key.local;
	int err;

	ep->conn.key.local = path->src;
	ep->conn.key.remote = to->ip;
	ep->conn.key.rport = to->port;
	if (!ep->bound)
		ep->port.ip = path->src;
	err = ep_autobind(ep, DEMUX_TCP, &ep->conn.key);
	if (err == 0)
		err = conn_insert(ep->st, DEMUX_TCP, &ep->conn) < 0 ? -EADDRNOTAVAIL : 0;
	if (err < 0)
		ep->conn.key.local = old;
	return err;
}

static int start(struct tcp_ep *t, const struct ns_addr *to)
{
	struct ns_ep *ep = &t->ep;
	struct ns_ip local = ep->explicit_ip ? ep->conn.key.local : ns_ip_any(ep->family);
	struct ip_path path;
	int err = ep_route(ep, &local, to, 0, &path);

	if (err < 0)
		return err;
	if (path.broadcast || path.multicast)
		return -ENETUNREACH;
	err = claim_flow(t, to, &path);
	if (err < 0)
		return err;
	ep->path = path;
	ep->ifindex = to->ifindex;
	ep->port.connected = true;
	ep->shutdown = 0;
	t->iss = initial_sequence(t);
	t->snd_una = t->iss;
	t->snd_nxt = t->snd_max = t->iss + 1;
	t->recover = t->iss;
	tcp_set_state(t, TCP_SYN_SENT);
	tcp_attach(t);
	ep->st->stats.tcp.active_opens++;
	tcp_send_syn(t);
	tcp_arm_rexmit(t);
	return -EINPROGRESS;
}

static int tcp_connect(struct ns_ep *ep, const struct ns_addr *remote)
{
	struct tcp_ep *t = tcp_of(ep);
	struct ns_addr to;
	int err;

	if (!remote) {
		tcp_abort(ep, 0);
		return 0;
	}
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV)
		return -EALREADY;
	if (t->state != TCP_CLOSE)
		return -EISCONN;
	to = *remote;
	err = ep_check_remote(ep, remote, &to.ip);
	return err < 0 ? err : start(t, &to);
}

/* --- sending --------------------------------------------------------------------------------- */

static int may_send(struct tcp_ep *t)
{
	int error = ep_take_error(&t->ep);

	if (error)
		return -error;
	if (t->ep.shutdown & SHUT_OUT)
		return -EPIPE;
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV)
		return -EAGAIN;
	if (t->state != TCP_ESTABLISHED && t->state != TCP_CLOSE_WAIT)
		return -EPIPE;
	if (t->buffered < ep_sndbuf(&t->ep))
		return 0;
	t->ep.wants_room = true;
	return -EAGAIN;
}

static void sent(struct tcp_ep *t, const struct ns_msg *m)
{
	t->more = m->flags & MSG_MORE;
	tcp_output(t);
}

/* What fits into the last chunk; 0: take the long way; -errno. */
static ssize_t send_small(struct tcp_ep *t, const struct ns_msg *m)
{
	ssize_t n = -EAGAIN;
	int err;

	stack_lock(t->ep.st);
	err = may_send(t);
	if (err == 0) {
		n = m->len <= COPY_LOCKED ? (ssize_t)tcp_buf_extend(t, m->buf, m->len) : 0;
		if (n == (ssize_t)m->len)
			sent(t, m);
	}
	stack_unlock(t->ep.st);
	return err < 0 ? err : n;
}

/* Copies without the lock, a chunk at a time. */
static ssize_t send_chunk(struct tcp_ep *t, const struct ns_msg *m, size_t off)
{
	uint32_t n = (uint32_t)min(m->len - off, (size_t)TCP_CHUNK);
	struct chunk *c = chunk_new(&t->ep.st->pool, max(n, 4096u));
	int err;

	if (!c)
		return -ENOBUFS;
	memcpy(c->data, (const unsigned char *)m->buf + off, n);
	stack_lock(t->ep.st);
	err = may_send(t);
	if (err < 0)
		chunk_put(c);
	else
		err = tcp_buf_append(t, c, n);
	if (err == 0 &&
	    (off + n == m->len || t->buffered >= ep_sndbuf(&t->ep) || off % (2 * TCP_CHUNK)))
		sent(t, m);
	stack_unlock(t->ep.st);
	return err < 0 ? err : (ssize_t)n;
}

static ssize_t tcp_send(struct ns_ep *ep, struct ns_msg *m)
{
	struct tcp_ep *t = tcp_of(ep);
	ssize_t n = send_small(t, m);
	size_t done;

	if (n < 0)
		return n;
	done = (size_t)n;
	while (done < m->len) {
		n = send_chunk(t, m, done);
		if (n < 0)
			break;
		done += (size_t)n;
	}
	return done || n >= 0 ? (ssize_t)done : n;
}

/* --- receiving ------------------------------------------------------------------------------ */

/* Takes up to n bytes of the queue as one packet at a time, for copying without the lock. */
static size_t take(struct tcp_ep *t, size_t n, bool peek, struct list *out)
{
	struct pkt *p, *next, *part;
	size_t got = 0;

	list_for_each_safe (p, next, &t->ep.rx, node) {
		size_t k = min((size_t)p->len, n - got);

		if (k == 0)
			break;
		if (!peek && k == p->len) {
			list_del(&p->node);
			part = p;
			t->ep.rx_count--;
		} else {
			part = pkt_slice(p, 0, k);
			if (!part)
				break;
			if (!peek)
				pkt_pull(p, k);
		}
		list_add_tail(out, &part->node);
		got += k;
	}
	if (!peek)
		t->ep.rx_bytes -= got;
	return got;
}

/* The window has grown by as much as is worth telling. */
static void tell_window(struct tcp_ep *t)
{
	uint32_t offered = seq_lt(t->rcv_nxt, t->rcv_adv) ? t->rcv_adv - t->rcv_nxt : 0;
	uint32_t room = tcp_rx_room(t);

	if (!t->ep.connected || t->fin_seen || room <= offered)
		return;
	if (room - offered >= min(ep_rcvbuf(&t->ep) / 2, (size_t)4 * t->mss + offered))
		tcp_send_ack(t);
}

static ssize_t recv_locked(struct tcp_ep *t, const struct ns_msg *m, struct list *out)
{
	bool peek = m->flags & MSG_PEEK;
	size_t n;
	int error;

	if (t->state == TCP_LISTEN)
		return -ENOTCONN;
	n = take(t, m->len, peek, out);
	if (n) {
		if (!peek)
			tell_window(t);
		return (ssize_t)n;
	}
	error = ep_take_error(&t->ep);
	if (error)
		return -error;
	if (t->fin_seen || (t->ep.shutdown & SHUT_IN) || m->len == 0)
		return 0;
	return t->state == TCP_CLOSE ? -ENOTCONN : -EAGAIN;
}

static ssize_t tcp_recv(struct ns_ep *ep, struct ns_msg *m)
{
	struct list pkts = LIST_INIT(pkts);
	size_t at = 0;
	struct pkt *p;
	ssize_t n;

	m->out_flags = 0;
	m->has_addr = false;
	if (m->flags & MSG_OOB)
		return -EINVAL;
	stack_lock(ep->st);
	n = recv_locked(tcp_of(ep), m, &pkts);
	stack_unlock(ep->st);
	list_for_each (p, &pkts, node) {
		pkt_copy(p, 0, (unsigned char *)m->buf + at, p->len);
		at += p->len;
	}
	pkt_free_list(&pkts);
	return n;
}

/* --- closing ------------------------------------------------------------------------------------ */

static void send_fin(struct tcp_ep *t)
{
	if (t->fin_wanted)
		return;
	t->fin_wanted = true;
	tcp_set_state(t, t->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT1);
	tcp_output(t);
}

static int tcp_shutdown(struct ns_ep *ep, int how)
{
	struct tcp_ep *t = tcp_of(ep);

	if (t->state == TCP_LISTEN && (how & SHUT_IN)) {
		tcp_listen_close(t);
		ep->port.listening = false;
		tcp_set_state(t, TCP_CLOSE);
		ep_wake(ep, POLLIN | POLLHUP);
		return 0;
	}
	if (t->state == TCP_CLOSE || t->state == TCP_LISTEN || t->state == TCP_SYN_SENT)
		return -ENOTCONN;
	ep->shutdown |= how;
	if ((how & SHUT_OUT) && (t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT))
		send_fin(t);
	ep_wake(ep, POLLIN | POLLOUT | POLLRDHUP);
	return 0;
}

static bool must_reset(const struct tcp_ep *t)
{
	return t->ep.rx_count > 0 || t->ep.opt[NS_SO_LINGER] == 0;
}

static void tcp_close(struct ns_ep *ep)
{
	struct tcp_ep *t = tcp_of(ep);

	list_del(&ep->gate_node);
	switch (t->state) {
	case TCP_LISTEN:
		tcp_listen_close(t);
		ep->port.listening = false;
		tcp_set_state(t, TCP_CLOSE);
		port_release(&ep->port);
		break;
	case TCP_CLOSE:
		port_release(&ep->port);
		break;
	case TCP_SYN_SENT:
		tcp_done(t, 0);
		break;
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_SYN_RECV:
		if (must_reset(t) || t->state == TCP_SYN_RECV)
			tcp_abort(ep, 0);
		else
			send_fin(t);
		break;
	case TCP_FIN_WAIT2:
		ns_timer_arm(&ep->st->timers, &t->wait, stack_now(ep->st) + TCP_TIME_WAIT_NS);
		break;
	default:
		break;
	}
	pkt_free_list(&ep->rx);
	ep->rx_bytes = ep->rx_count = 0;
}

/* --- the rest ------------------------------------------------------------------------------ */

static uint32_t tcp_poll(struct ns_ep *ep)
{
	struct tcp_ep *t = tcp_of(ep);
	uint32_t events = ep->error ? POLLERR : 0;
	bool in_done = t->fin_seen || (ep->shutdown & SHUT_IN);

	if (t->state == TCP_LISTEN)
		return list_empty(&t->ready) ? 0 : POLLIN | POLLRDNORM;
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV)
		return events;
	if (t->state == TCP_CLOSE || (in_done && (ep->shutdown & SHUT_OUT)))
		events |= POLLHUP;
	if (!list_empty(&ep->rx) || in_done || t->state == TCP_CLOSE)
		events |= POLLIN | POLLRDNORM;
	if (in_done)
		events |= POLLRDHUP;
	if ((ep->shutdown & SHUT_OUT) || t->state == TCP_CLOSE ||
	    t->buffered < ep_sndbuf(ep) * 2 / 3)
		events |= POLLOUT | POLLWRNORM;
	else
		ep->wants_room = true;
	return events;
}

static int tcp_set(struct ns_ep *ep, enum ns_opt opt, int value)
{
	struct tcp_ep *t = tcp_of(ep);

	switch (opt) {
	case NS_TCP_NODELAY:
	case NS_TCP_CORK:
		tcp_output(t);
		break;
	case NS_SO_KEEPALIVE:
	case NS_TCP_KEEPIDLE:
		if (t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT)
			tcp_arm_keepalive(t);
		break;
	case NS_TCP_MAXSEG:
		if (value && value < 88)
			return -EINVAL;
		break;
	default:
		break;
	}
	return 0;
}

static int tcp_get(struct ns_ep *ep, enum ns_opt opt, int *value)
{
	struct tcp_ep *t = tcp_of(ep);

	switch (opt) {
	case NS_TCP_STATE:
		*value = t->state;
		return 0;
	case NS_INQ:
		*value = (int)ep->rx_bytes;
		return 0;
	case NS_OUTQ:
		*value = (int)t->buffered;
		return 0;
	case NS_OUTQ_NSD:
		*value = (int)((uint32_t)t->buffered -
			       min((uint32_t)t->buffered, t->snd_nxt - t->snd_una));
		return 0;
	case NS_AT_MARK:
		*value = t->has_urgent && t->urgent_seq == t->rcv_nxt - (uint32_t)ep->rx_bytes;
		return 0;
	case NS_TCP_MAXSEG:
		*value = (int)t->mss;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

void tcp_info(struct ns_ep *ep, struct ns_tcp_info *out)
{
	const struct tcp_ep *t = tcp_of(ep);

	*out = t->counts;
	out->state = t->state;
	out->retransmits = (uint8_t)t->retries;
	out->options =
	    (uint8_t)((t->ts_ok ? TCPI_OPT_TIMESTAMPS : 0) | (t->sack_ok ? TCPI_OPT_SACK : 0) |
		      (t->wscale_ok ? TCPI_OPT_WSCALE : 0));
	out->snd_wscale = t->snd_wscale;
	out->rcv_wscale = t->rcv_wscale;
	out->rto_us = (uint32_t)(t->rto / 1000);
	out->rtt_us = (uint32_t)(t->srtt / 1000);
	out->rttvar_us = (uint32_t)(t->rttvar / 1000);
	out->snd_mss = t->mss;
	out->snd_cwnd = t->cwnd / t->mss;
	out->snd_ssthresh = t->ssthresh / t->mss;
	out->pmtu = ep->path.mtu;
	out->snd_wnd = t->snd_wnd;
	out->notsent_bytes =
	    (uint32_t)t->buffered - min((uint32_t)t->buffered, t->snd_nxt - t->snd_una);
	out->unacked = (t->snd_nxt - t->snd_una + t->mss - 1) / t->mss;
}

void tcp_ep_info(struct ns_ep *ep, struct ns_ep_info *out)
{
	const struct tcp_ep *t = tcp_of(ep);

	out->state = t->state;
	out->tx_queue = (uint32_t)t->buffered;
	out->rx_queue = t->state == TCP_LISTEN ? t->nready : (uint32_t)ep->rx_bytes;
	out->backlog = t->backlog;
	out->retransmits = t->retries;
	out->timer = t->state == TCP_TIME_WAIT	     ? 3
		     : ns_timer_armed(&t->rexmit)    ? (t->snd_una == t->snd_max ? 4 : 1)
		     : ns_timer_armed(&t->keepalive) ? 2
						     : 0;
}

static const struct ep_ops tcp_ops = {
    .bind = tcp_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .send = tcp_send,
    .recv = tcp_recv,
    .shutdown = tcp_shutdown,
    .poll = tcp_poll,
    .set = tcp_set,
    .get = tcp_get,
    .close = tcp_close,
    .free = tcp_free,
};
