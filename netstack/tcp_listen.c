/*
 * Listeners. A SYN makes an embryonic endpoint in the listener's list, bounded by the backlog
 * and by ns_limits.half_open for all; the final ACK moves it to the accept queue if there is
 * room, else the peer has to try again.
 */
#include "common/mem.h"
#include "netstack/tcp_ep.h"
#include "netstack/wire.h"

int tcp_stack_init(struct ns_stack *st)
{
	st->tcp = try_calloc(1, sizeof(*st->tcp));
	return st->tcp ? 0 : -ENOMEM;
}

void tcp_stack_fini(struct ns_stack *st)
{
	struct ns_ep *ep, *next;

	/* Those that users have forgotten; ending one frees no other. */
	list_for_each_safe (ep, next, &st->endpoints[NS_TCP], all_node)
		tcp_done(tcp_of(ep), 0);
	free(st->tcp);
}

int tcp_listen(struct ns_ep *ep, unsigned int backlog)
{
	struct tcp_ep *t = tcp_of(ep);
	int err;

	if (t->state != TCP_CLOSE && t->state != TCP_LISTEN)
		return -EINVAL;
	err = ep_autobind(ep, DEMUX_TCP, NULL);
	if (err == 0 && !ep->port.gate)
		err = port_check_listen(ep->st, &ep->port);
	if (err < 0)
		return err;
	t->backlog = min(backlog, 4096u);
	ep->port.listening = true;
	ep->shutdown = 0;
	tcp_set_state(t, TCP_LISTEN);
	return 0;
}

int tcp_accept(struct ns_ep *ep, struct ns_ep **out)
{
	struct tcp_ep *t = tcp_of(ep), *child;

	if (t->state != TCP_LISTEN)
		return -EINVAL;
	if (list_empty(&t->ready))
		return -EAGAIN;
	child = list_first(&t->ready, struct tcp_ep, accept_node);
	ep_get(&child->ep); /* the user's */
	tcp_listen_forget(child);
	child->ep.closed = false;
	*out = &child->ep;
	return 0;
}

void tcp_listen_forget(struct tcp_ep *t)
{
	struct tcp_ep *l = t->listener;

	if (!l)
		return;
	list_del(&t->accept_node);
	t->listener = NULL;
	if (t->state == TCP_SYN_RECV) {
		l->nembryos--;
		t->ep.st->tcp->half_open--;
	} else {
		l->nready--;
	}
	ep_put(&l->ep);
}

bool tcp_listen_ready(struct tcp_ep *t)
{
	struct tcp_ep *l = t->listener;

	if (l->nready > l->backlog) {
		t->ep.st->stats.tcp.listen_overflows++;
		return false;
	}
	list_del(&t->accept_node);
	l->nembryos--;
	t->ep.st->tcp->half_open--;
	l->nready++;
	list_add_tail(&l->ready, &t->accept_node);
	ep_wake(&l->ep, POLLIN);
	return true;
}

static void inherit(struct tcp_ep *t, const struct tcp_ep *l)
{
	memcpy(t->ep.opt, l->ep.opt, sizeof(t->ep.opt));
	t->ep.port = (struct port_holder){.ip = t->ep.conn.key.local,
					  .port = t->ep.conn.key.lport,
					  .ifindex = l->ep.port.ifindex,
					  .uid = l->ep.uid,
					  .v6only = l->ep.port.v6only,
					  .reuse_addr = l->ep.port.reuse_addr,
					  .reuse_port = l->ep.port.reuse_port,
					  .connected = true,
					  .is_endpoint = true};
	list_init(&t->ep.port.node);
	t->ep.conn.ifindex = l->ep.conn.ifindex;
}

/* What the SYN offers, as far as we take it. */
static void negotiate(struct tcp_ep *t, const struct segment *s)
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
	t->snd_wnd = t->max_wnd = s->window;
	t->snd_wl1 = s->seq;
}

static struct tcp_ep *make_embryo(struct tcp_ep *l, struct segment *s)
{
	struct ns_ep_config c = {
	    .kind = NS_TCP, .family = l->ep.family, .uid = l->ep.uid, .gate = l->ep.gate};
	struct ns_addr remote = {s->key.remote, s->key.rport, 0};
	struct tcp_ep *t = tcp_new(s->st, &c);

	if (!t)
		return NULL;
	list_del(&t->ep.gate_node); /* it is no gate for others */
	t->ep.conn.key = s->key;
	inherit(t, l);
	t->ep.inbound = t->ep.closed = t->ep.connected = t->ep.bound = true;
	if (!ns_ip_is_v4(&remote.ip) && ns_ip_is_link_local(&remote.ip))
		t->ep.ifindex = remote.ifindex = s->ip->link->ifindex;
	t->ep.judged = true; /* the flow was, just now */
	t->ep.judged_addr = remote;
	t->ep.verdict = (struct ns_verdict){NS_ALLOW, 0};
	negotiate(t, s);
	if (ep_route(&t->ep, &s->key.local, &remote, 0, &t->ep.path) < 0 ||
	    conn_insert(s->st, DEMUX_TCP, &t->ep.conn) < 0) {
		ep_put(&t->ep);
		return NULL;
	}
	if (!l->ep.port.gate)
		port_share(s->st, DEMUX_TCP, &t->ep.port);
	return t;
}

static void start(struct tcp_ep *l, struct tcp_ep *t)
{
	tcp_update_mss(t);
	tcp_congestion_init(t);
	tcp_set_state(t, TCP_SYN_RECV);
	t->listener = l;
	ep_get(&l->ep);
	list_add_tail(&l->embryos, &t->accept_node);
	l->nembryos++;
	t->ep.st->tcp->half_open++;
	t->snd_nxt = t->snd_max = t->iss + 1;
	tcp_attach(t);
	ep_put(&t->ep); /* the protocol's reference is what is left, until accept */
	tcp_send_syn(t);
	tcp_arm_rexmit(t);
	t->ep.st->stats.tcp.passive_opens++;
}

/* The oldest embryo makes room: with a flood of SYNs it is most likely one of them. */
static bool has_room(struct tcp_ep *l)
{
	struct ns_stack *st = l->ep.st;

	if (l->nready > l->backlog) {
		st->stats.tcp.listen_overflows++;
		return false;
	}
	if (l->nembryos < max(l->backlog, 128u) && st->tcp->half_open < st->limits.half_open)
		return true;
	if (list_empty(&l->embryos))
		return false;
	st->stats.tcp.listen_drops++;
	tcp_done(list_first(&l->embryos, struct tcp_ep, accept_node), 0);
	return true;
}

void tcp_listen_input(struct tcp_ep *l, struct segment *s)
{
	struct ns_verdict v;
	struct tcp_ep *t;

	if (s->flags & TCP_RST)
		return;
	if (s->flags & TCP_ACK) {
		tcp_reject(s);
		return;
	}
	if (!(s->flags & TCP_SYN) || s->ip->broadcast || s->ip->multicast)
		return;
	v = flow_judge_inbound(s->st, s->ip, s->key.lport, s->key.rport);
	if (v.kind == NS_REFUSE)
		tcp_reject(s);
	if (v.kind == NS_REFUSE || v.kind == NS_DROP || !has_room(l))
		return;
	t = make_embryo(l, s);
	if (t)
		start(l, t);
}

void tcp_listen_close(struct tcp_ep *l)
{
	struct list *lists[] = {&l->embryos, &l->ready};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		while (!list_empty(lists[i])) {
			struct tcp_ep *t = list_first(lists[i], struct tcp_ep, accept_node);

			tcp_send_rst(t);
			tcp_done(t, ECONNRESET);
		}
}
