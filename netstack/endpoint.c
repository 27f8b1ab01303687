/* What all kinds of endpoints share, and the public calls: see endpoint.h. */
#include "netstack/endpoint.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/mem.h"
#include "netstack/errqueue.h"
#include "netstack/mcast.h"
#include "netstack/tcp.h"

/* --- life ---------------------------------------------------------------------------------- */

static void init_addresses(struct ns_ep *ep)
{
	struct ns_ip any = ns_ip_any(ep->family == NS_IPV4 ? NS_IPV4 : NS_IPV6);

	list_init(&ep->conn.node);
	list_init(&ep->port.node);
	ep->conn.key = (struct flow_key){.local = any, .remote = any};
	ep->port.ip = any;
	ep->port.uid = ep->uid;
	ep->port.is_endpoint = true;
}

struct ns_ep *ep_alloc(struct ns_stack *st, const struct ns_ep_config *c, const struct ep_ops *ops,
		       size_t size)
{
	struct ns_ep *ep =
	    st->nendpoints < st->limits.endpoints ? pool_alloc(&st->pool, size) : NULL;

	if (!ep)
		return NULL;
	memset(ep, 0, size);
	ep->ops = ops;
	ep->st = st;
	ep->kind = c->kind;
	ep->family = c->family;
	ep->protocol = c->protocol;
	ep->uid = c->uid;
	ep->gate = c->gate;
	ep->watcher = c->watcher;
	ep->refs = 1;
	list_init(&ep->wake_node);
	list_init(&ep->gate_node);
	list_init(&ep->rx);
	list_init(&ep->errors);
	list_init(&ep->groups);
	list_add_tail(&st->endpoints[c->kind], &ep->all_node);
	if (c->gate)
		list_add_tail(&st->gates, &ep->gate_node);
	st->nendpoints++;
	init_addresses(ep);
	ep_default_options(ep);
	return ep;
}

void ep_release(struct ns_ep *ep, size_t size)
{
	struct ns_stack *st = ep->st;

	assert(ep->refs == 0 && !list_linked(&ep->wake_node) && ep->wmem == 0);
	if (list_linked(&ep->conn.node))
		conn_remove(&ep->conn);
	port_release(&ep->port);
	pkt_free_list(&ep->rx);
	errqueue_clear(ep);
	mcast_ep_fini(ep);
	list_del(&ep->all_node);
	list_del(&ep->gate_node);
	st->nendpoints--;
	pool_free(&st->pool, ep, size);
}

void ep_put(struct ns_ep *ep)
{
	assert(ep->refs > 0);
	if (--ep->refs == 0)
		ep->ops->free(ep);
}

static int make(struct ns_stack *st, const struct ns_ep_config *c, struct ns_ep **out)
{
	if (st->nendpoints >= st->limits.endpoints)
		return -ENOBUFS;
	switch (c->kind) {
	case NS_TCP:
		return tcp_ep_new(st, c, out);
	case NS_UDP:
		return udp_ep_new(st, c, out);
	case NS_PING:
	case NS_RAW:
		return raw_ep_new(st, c, out);
	case NS_PACKET:
	case NS_COOKED:
		return packet_ep_new(st, c, out);
	default:
		return -EPROTONOSUPPORT;
	}
}

int ns_ep_new(struct ns_stack *st, const struct ns_ep_config *config, struct ns_ep **out)
{
	int err;

	stack_lock(st);
	err = make(st, config, out);
	stack_unlock(st);
	return err;
}

void ns_close(struct ns_ep *ep)
{
	struct ns_stack *st = ep->st;

	stack_lock(st);
	ep->watcher = NULL;
	ep->filter = NULL;
	ep->closed = true;
	ep->ops->close(ep);
	while (ep->waking)
		stack_settle(st);
	ep_put(ep);
	stack_unlock(st);
}

/* --- events --------------------------------------------------------------------------------- */

void ep_wake(struct ns_ep *ep, uint32_t events)
{
	if (!ep->watcher)
		return;
	ep->wake_events |= events;
	if (list_linked(&ep->wake_node))
		return;
	ep_get(ep);
	list_add_tail(&ep->st->to_wake, &ep->wake_node);
}

void ns_watch(struct ns_ep *ep, struct ns_watcher *watcher)
{
	stack_lock(ep->st);
	ep->watcher = watcher;
	stack_unlock(ep->st);
}

void ep_set_error(struct ns_ep *ep, int error)
{
	ep->error = error;
	ep_wake(ep, POLLERR | POLLIN | POLLOUT);
}

int ep_take_error(struct ns_ep *ep)
{
	int error = ep->error;

	ep->error = 0;
	return error;
}

int ns_take_error(struct ns_ep *ep)
{
	int error;

	stack_lock(ep->st);
	error = ep_take_error(ep);
	stack_unlock(ep->st);
	return error;
}

/* --- buffers ------------------------------------------------------------------------------- */

void ep_charge(struct ns_ep *ep, struct pkt *p)
{
	assert(!p->owner);
	p->owner = ep;
	p->charge = (uint32_t)pkt_cost(p);
	ep->wmem += p->charge;
	ep_get(ep);
}

void ep_uncharge(struct ns_ep *ep, size_t charge)
{
	assert(ep->wmem >= charge);
	ep->wmem -= charge;
	if (ep->wants_room && ep->wmem * 2 <= ep_sndbuf(ep)) {
		ep->wants_room = false;
		ep_wake(ep, POLLOUT);
	}
	ep_put(ep);
}

bool ep_has_room(struct ns_ep *ep)
{
	bool room = ep->wmem < ep_sndbuf(ep);

	if (!room)
		ep->wants_room = true;
	return room;
}

bool ep_rx_push(struct ns_ep *ep, struct pkt *p)
{
	size_t cost = pkt_cost(p);

	if (ep->closed || (ep->rx_bytes && ep->rx_bytes + cost > ep_rcvbuf(ep))) {
		ep->drops++;
		pkt_free(p);
		return false;
	}
	ep->rx_bytes += cost;
	ep->rx_count++;
	list_add_tail(&ep->rx, &p->node);
	ep_wake(ep, POLLIN);
	return true;
}

struct pkt *ep_rx_pop(struct ns_ep *ep, bool peek)
{
	struct pkt *p;

	if (list_empty(&ep->rx))
		return NULL;
	p = list_first(&ep->rx, struct pkt, node);
	if (peek)
		return pkt_clone(p);
	list_del(&p->node);
	ep->rx_count--;
	ep->rx_bytes -= pkt_cost(p);
	return p;
}

/* --- public calls that only dispatch ------------------------------------------------------------ */

int ns_bind(struct ns_ep *ep, const struct ns_addr *local)
{
	int err;

	stack_lock(ep->st);
	err = ep->ops->bind ? ep->ops->bind(ep, local) : -EINVAL;
	stack_unlock(ep->st);
	return err;
}

int ns_connect(struct ns_ep *ep, const struct ns_addr *remote)
{
	int err;

	stack_lock(ep->st);
	err = ep->ops->connect ? ep->ops->connect(ep, remote) : -EOPNOTSUPP;
	stack_unlock(ep->st);
	return err;
}

int ns_listen(struct ns_ep *ep, unsigned int backlog)
{
	int err;

	stack_lock(ep->st);
	err = ep->ops->listen ? ep->ops->listen(ep, backlog) : -EOPNOTSUPP;
	stack_unlock(ep->st);
	return err;
}

int ns_accept(struct ns_ep *ep, struct ns_ep **out)
{
	int err;

	stack_lock(ep->st);
	err = ep->ops->accept ? ep->ops->accept(ep, out) : -EOPNOTSUPP;
	stack_unlock(ep->st);
	return err;
}

int ns_shutdown(struct ns_ep *ep, int how)
{
	int err;

	stack_lock(ep->st);
	err = ep->ops->shutdown ? ep->ops->shutdown(ep, how) : -EOPNOTSUPP;
	stack_unlock(ep->st);
	return err;
}

uint32_t ns_poll(struct ns_ep *ep)
{
	uint32_t events;

	stack_lock(ep->st);
	events = ep->ops->poll(ep);
	stack_unlock(ep->st);
	return events;
}

ssize_t ns_send(struct ns_ep *ep, struct ns_msg *m)
{
	return ep->ops->send(ep, m);
}

ssize_t ns_recv(struct ns_ep *ep, struct ns_msg *m)
{
	if (m->flags & MSG_ERRQUEUE)
		return errqueue_recv(ep, m);
	return ep->ops->recv(ep, m);
}

void ns_local(struct ns_ep *ep, struct ns_addr *out)
{
	stack_lock(ep->st);
	*out = (struct ns_addr){.ip = ep->conn.key.local, .port = ep->conn.key.lport};
	if (ns_ip_is_link_local(&out->ip))
		out->ifindex = ep->ifindex;
	stack_unlock(ep->st);
}

int ns_remote(struct ns_ep *ep, struct ns_addr *out)
{
	int err = 0;

	stack_lock(ep->st);
	if (ep->connected)
		*out = (struct ns_addr){ep->conn.key.remote, ep->conn.key.rport, ep->ifindex};
	else
		err = -ENOTCONN;
	stack_unlock(ep->st);
	return err;
}

void ns_filter_set(struct ns_ep *ep, struct ns_filter *filter)
{
	stack_lock(ep->st);
	ep->filter = filter;
	stack_unlock(ep->st);
}

int ns_tcp_info(struct ns_ep *ep, struct ns_tcp_info *out)
{
	if (ep->kind != NS_TCP)
		return -EOPNOTSUPP;
	memset(out, 0, sizeof(*out));
	stack_lock(ep->st);
	tcp_info(ep, out);
	stack_unlock(ep->st);
	return 0;
}

static void describe(struct ns_ep *ep, struct ns_ep_info *out)
{
	*out = (struct ns_ep_info){
	    .kind = ep->kind,
	    .family = ep->family,
	    .protocol = ep->protocol,
	    .uid = ep->uid,
	    .local = {ep->conn.key.local, ep->conn.key.lport, 0},
	    .remote = {ep->conn.key.remote, ep->conn.key.rport, ep->ifindex},
	    .state = ep->connected ? TCP_ESTABLISHED : TCP_CLOSE,
	    .rx_queue = (uint32_t)ep->rx_bytes,
	    .tx_queue = (uint32_t)ep->wmem,
	    .drops = ep->drops,
	    .watcher = ep->watcher,
	};
	if (ep->kind == NS_TCP)
		tcp_ep_info(ep, out);
}

size_t ns_endpoints(struct ns_stack *st, enum ns_kind kind, struct ns_ep_info *out, size_t max)
{
	struct ns_ep *ep;
	size_t n = 0;

	stack_lock(st);
	list_for_each (ep, &st->endpoints[kind], all_node) {
		if (n < max)
			describe(ep, &out[n]);
		n++;
	}
	stack_unlock(st);
	return n;
}
