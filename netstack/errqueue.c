/* Queued ICMP errors, each with what was quoted of the packet at fault. */
#include "netstack/errqueue.h"

#include <sys/socket.h>

struct ep_error {
	struct list node;
	struct ns_error err;
	struct ns_addr dst; /* of the packet at fault */
	struct ns_link *link;
	struct pkt *payload; /* owned */
};

static void error_free(struct pkt_pool *pool, struct ep_error *q)
{
	pkt_free(q->payload);
	pool_free(pool, q, sizeof(*q));
}

static bool wanted(const struct ns_ep *ep, const struct ip_error *e)
{
	return ep->opt[ns_ip_is_v4(&e->remote) ? NS_IP_RECVERR : NS_IPV6_RECVERR];
}

/* Where the payload begins in the quote, as Linux counts for this kind of endpoint. */
static struct pkt *payload_of(const struct ns_ep *ep, const struct ip_error *e)
{
	size_t skip = e->l4 + (ep->kind == NS_UDP || ep->kind == NS_PING ? 8 : 0);

	if (!e->quote)
		return pkt_new(&ep->st->pool);
	skip = min(skip, (size_t)e->quote->len);
	return pkt_slice(e->quote, skip, e->quote->len - skip);
}

static uint16_t port_of(const struct ns_ep *ep, const struct ip_error *e)
{
	uint16_t ports[2];

	if (ep->kind != NS_UDP && ep->kind != NS_TCP)
		return 0;
	if (e->quote && pkt_peek(e->quote, e->l4, sizeof(ports), ports))
		pkt_copy(e->quote, e->l4, ports, sizeof(ports));
	else
		return ep->conn.key.rport;
	return ntohs(ports[1]);
}

bool ep_queue_error(struct ns_ep *ep, const struct ip_error *e)
{
	struct ep_error *q;

	if (!wanted(ep, e) || ep->closed)
		return false;
	q = ep->nerrors < ERRORS_MAX ? pool_alloc(&ep->st->pool, sizeof(*q)) : NULL;
	if (!q)
		return true;
	*q = (struct ep_error){
	    .err = {e->error, e->origin, e->type, e->code, e->mtu, {.ip = e->offender}},
	    .dst = {e->remote, port_of(ep, e), 0},
	    .link = e->link,
	    .payload = payload_of(ep, e)};
	if (!q->payload) {
		error_free(&ep->st->pool, q);
		return true;
	}
	list_add_tail(&ep->errors, &q->node);
	ep->nerrors++;
	ep_wake(ep, POLLERR);
	return true;
}

static struct ep_error *take(struct ns_ep *ep)
{
	struct ep_error *q;

	if (list_empty(&ep->errors))
		return NULL;
	q = list_first(&ep->errors, struct ep_error, node);
	list_del(&q->node);
	ep->nerrors--;
	return q;
}

static ssize_t deliver(struct ep_error *q, struct ns_msg *m)
{
	size_t n = min(m->len, (size_t)q->payload->len);

	pkt_copy(q->payload, 0, m->buf, n);
	m->full = q->payload->len;
	m->out_flags = MSG_ERRQUEUE | (n < q->payload->len ? MSG_TRUNC : 0);
	m->has_addr = true;
	m->addr = q->dst;
	m->meta.have = NS_META_ERROR;
	m->meta.err = q->err;
	m->meta.ifindex = q->link ? q->link->ifindex : 0;
	return (ssize_t)n;
}

ssize_t errqueue_recv(struct ns_ep *ep, struct ns_msg *m)
{
	struct ep_error *q;
	ssize_t n;

	stack_lock(ep->st);
	q = take(ep);
	n = q ? deliver(q, m) : -EAGAIN;
	if (q)
		error_free(&ep->st->pool, q);
	stack_unlock(ep->st);
	return n;
}

void errqueue_clear(struct ns_ep *ep)
{
	struct ep_error *q;

	while ((q = take(ep)))
		error_free(&ep->st->pool, q);
}
