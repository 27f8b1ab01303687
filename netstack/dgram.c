/* Receive queues and readiness of datagram endpoints. */
#include "netstack/dgram.h"

#include <sys/socket.h>

static int take(struct ns_ep *ep, bool peek, struct pkt **out)
{
	int error = ep_take_error(ep);

	if (error)
		return -error;
	*out = ep_rx_pop(ep, peek);
	if (*out)
		return 0;
	if (!list_empty(&ep->rx))
		return -ENOMEM;
	return ep->shutdown & SHUT_IN ? 0 : -EAGAIN;
}

ssize_t dgram_recv(struct ns_ep *ep, struct ns_msg *m,
		   void (*describe)(const struct pkt *p, struct ns_msg *m))
{
	struct pkt *p = NULL;
	size_t n;
	int err;

	m->out_flags = 0;
	m->has_addr = false;
	m->full = 0;
	stack_lock(ep->st);
	err = take(ep, m->flags & MSG_PEEK, &p);
	stack_unlock(ep->st);
	if (!p)
		return err;
	m->full = p->len - p->payload;
	n = min(m->len, m->full);
	pkt_copy(p, p->payload, m->buf, n);
	if (n < m->full)
		m->out_flags = MSG_TRUNC;
	describe(p, m);
	pkt_free(p);
	return (ssize_t)n;
}

void dgram_describe(const struct pkt *p, struct ns_msg *m)
{
	struct ip_info ip;

	ip_reread(p, &ip);
	m->has_addr = true;
	m->addr = (struct ns_addr){.ip = ip.src};
	if (ns_ip_is_link_local(&ip.src) && ip.family == NS_IPV6)
		m->addr.ifindex = ip.link->ifindex;
	m->meta.have = NS_META_LOCAL | NS_META_TTL | NS_META_TOS | NS_META_TIME;
	m->meta.local = ip.dst;
	m->meta.ifindex = ip.link->ifindex;
	m->meta.ttl = ip.ttl;
	m->meta.tos = ip.tos;
	m->meta.when = p->when;
	if (ip.family == NS_IPV4 && ip.options_len) {
		m->meta.have |= NS_META_OPTIONS;
		m->meta.options_len = ip.options_len;
		pkt_copy(p, 20, m->meta.options, ip.options_len);
	}
}

int dgram_shutdown(struct ns_ep *ep, int how)
{
	if (!ep->connected)
		return -ENOTCONN;
	ep->shutdown |= how;
	ep_wake(ep, POLLIN | POLLOUT | (ep->shutdown == (SHUT_IN | SHUT_OUT) ? POLLHUP : 0));
	return 0;
}

uint32_t dgram_poll(struct ns_ep *ep)
{
	uint32_t events = 0;

	if (ep->error || !list_empty(&ep->errors))
		events |= POLLERR;
	if (!list_empty(&ep->rx) || (ep->shutdown & SHUT_IN))
		events |= POLLIN | POLLRDNORM;
	if (ep->shutdown & SHUT_IN)
		events |= POLLRDHUP;
	if (ep->shutdown == (SHUT_IN | SHUT_OUT))
		events |= POLLHUP;
	if (ep_has_room(ep))
		events |= POLLOUT | POLLWRNORM;
	return events;
}

int dgram_may_send(struct ns_ep *ep)
{
	int error = ep_take_error(ep);

	if (error)
		return -error;
	if (ep->shutdown & SHUT_OUT)
		return -EPIPE;
	return ep_has_room(ep) ? 0 : -EAGAIN;
}
