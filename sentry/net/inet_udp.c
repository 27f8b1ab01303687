/*
 * UDP sockets over loopback. A datagram goes straight into the receiver's queue
 * and is dropped if SO_RCVBUF is used up; the sender is never blocked and never
 * told, but for the ICMP error that a connected sender gets when nobody is there.
 * UDP-Lite is the same with ports of its own: nothing is lost on the way here.
 */
#include <errno.h>
#include <poll.h>

#include "common/mem.h"
#include "sentry/net/inet.h"
#include "sentry/net/netdev.h"

#define MAX_PAYLOAD 65507 /* IPv4: 65535 - 20 - 8 */
#define MAX_PAYLOAD6 65527
#define DEFAULT_TTL 64

/* --- sending ---------------------------------------------------------------------------------- */

static int check_destination(struct inet_socket *s, struct inet_addr *to)
{
	if (!to->port)
		return -EINVAL;
	if (s->sock.domain == AF_INET6 && inet_is_v4(to) &&
	    inet_option_value(s, IPPROTO_IPV6, IPV6_V6ONLY))
		return -ENETUNREACH;
	if (inet_is_v4(to) && to->ip.s6_addr[12] == 255 && !s->sock.set.broadcast)
		return -EACCES;
	return inet_destination(to);
}

static int destination(struct inet_socket *s, const struct sock_send *m, struct inet_addr *to)
{
	int r;

	if (!m->to || m->to->len == 0) {
		SCOPED_LOCK(&s->sock.net->lock);

		*to = s->remote;
		return to->port ? 0 : -EDESTADDRREQ;
	}
	r = inet_addr_parse(s, m->to, to);
	return r ? r : check_destination(s, to);
}

/* Where the packet comes from: the bound address, or loopback. */
static void source(struct inet_socket *s, const struct inet_addr *to, struct inet_addr *from)
{
	SCOPED_LOCK(&s->sock.net->lock);

	*from = s->local;
	if (inet_is_any(from))
		inet_source(to, from);
}

static void enqueue(struct socket *to, struct sock_buf *b)
{
	bool taken;

	mutex_lock(&to->lock);
	taken = !atomic_load(&to->dead) &&
		to->rx_bytes + to->rx_count * sizeof(*b) <= atomic_load(&to->rcvbuf);
	if (taken)
		socket_queue_locked(to, b);
	mutex_unlock(&to->lock);
	if (taken)
		socket_wake_read(to);
	else
		sock_buf_free(b);
}

/* TTL and TOS: as the message says, else the socket's options. */
static void mark(const struct inet_socket *s, const struct scm *from, struct scm *to)
{
	bool v6 = s->sock.domain == AF_INET6;
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;

	to->ttl = (uint16_t)(inet_option_value(s, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL) + 1);
	to->tos = (uint16_t)(inet_option_value(s, level, v6 ? IPV6_TCLASS : IP_TOS) + 1);
	if (from && from->ttl)
		to->ttl = from->ttl;
	if (from && from->tos)
		to->tos = from->tos;
}

static ssize_t send_to(struct inet_socket *s, const struct sock_send *m, const struct inet_addr *to)
{
	struct inet_addr from;
	struct socket *peer;
	struct sock_buf *b;

	source(s, to, &from);
	peer = inet_lookup(s->sock.net, s->protocol, to, &from);
	if (!peer) {
		/* "Port unreachable" comes back; only a socket connected there hears of it. */
		if (s->remote.port == to->port && inet_ip_equal(&s->remote, to))
			socket_set_error(&s->sock, ECONNREFUSED);
		return (ssize_t)m->len;
	}
	b = sock_buf_new(NULL, m->len);
	if (!b) {
		socket_put(peer);
		return -ENOBUFS;
	}
	if (m->len)
		memcpy(b->data, m->buf, m->len);
	mark(s, m->scm, &b->scm);
	inet_addr_format(peer->domain, &from, &b->addr);
	inet_addr_format(peer->domain, to, &b->local);
	enqueue(peer, b);
	socket_put(peer);
	return (ssize_t)m->len;
}

static ssize_t udp_send(struct socket *sock, struct sock_send *m)
{
	struct inet_socket *s = inet_of(sock);
	struct inet_addr to;
	int r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->len > (sock->domain == AF_INET ? MAX_PAYLOAD : MAX_PAYLOAD6))
		return -EMSGSIZE;
	r = destination(s, m, &to);
	if (r)
		return r;
	r = socket_take_error(sock);
	if (r)
		return -r;
	if (atomic_load(&sock->shutdown) & SHUTDOWN_SEND)
		return -EPIPE;
	r = inet_autobind(s);
	return r ? r : send_to(s, m, &to);
}

/* --- receiving ----------------------------------------------------------------------------------- */

static void add_control(struct sock_recv *m, int level, int type, const void *data, size_t n)
{
	struct sock_control *c = &m->control[m->ncontrol++];

	c->level = level;
	c->type = type;
	c->len = (uint32_t)n;
	memcpy(c->data, data, n);
}

static void control4(struct inet_socket *s, struct sock_recv *m, const struct sock_addr *local)
{
	struct in_pktinfo info = {.ipi_ifindex = LO_INDEX};
	int ttl = m->scm->ttl ? m->scm->ttl - 1 : DEFAULT_TTL;
	unsigned char tos = m->scm->tos ? (unsigned char)(m->scm->tos - 1) : 0;

	if (inet_option_value(s, IPPROTO_IP, IP_PKTINFO)) {
		info.ipi_addr = info.ipi_spec_dst = local->in.sin_addr;
		add_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	if (inet_option_value(s, IPPROTO_IP, IP_RECVTTL))
		add_control(m, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (inet_option_value(s, IPPROTO_IP, IP_RECVTOS))
		add_control(m, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
}

static void control6(struct inet_socket *s, struct sock_recv *m, const struct sock_addr *local)
{
	struct in6_pktinfo info = {.ipi6_ifindex = LO_INDEX};
	int ttl = m->scm->ttl ? m->scm->ttl - 1 : DEFAULT_TTL;
	int tos = m->scm->tos ? m->scm->tos - 1 : 0;

	if (inet_option_value(s, IPPROTO_IPV6, IPV6_RECVPKTINFO)) {
		info.ipi6_addr = local->in6.sin6_addr;
		add_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (inet_option_value(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT))
		add_control(m, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
	if (inet_option_value(s, IPPROTO_IPV6, IPV6_RECVTCLASS))
		add_control(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
}

static ssize_t udp_recv(struct socket *sock, struct sock_recv *m)
{
	struct inet_socket *s = inet_of(sock);
	int err = socket_take_error(sock);
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (err)
		return -err;
	r = packet_recv(sock, m);
	if (r >= 0 && m->scm && m->local.len) {
		if (sock->domain == AF_INET)
			control4(s, m, &m->local);
		else
			control6(s, m, &m->local);
	}
	return r;
}

/* --- the rest --------------------------------------------------------------------------------------- */

static int udp_connect(struct socket *sock, struct sock_connect *c)
{
	struct inet_socket *s = inet_of(sock);
	struct inet_addr to, from;
	int r;

	if (c->addr.len < sizeof(sa_family_t))
		return -EINVAL;
	if (c->addr.sa.sa_family == AF_UNSPEC) {
		inet_forget_remote(s);
		atomic_store(&sock->state, SOCK_NEW);
		return 0;
	}
	r = inet_addr_parse(s, &c->addr, &to);
	if (!r)
		r = inet_destination(&to);
	if (!r)
		r = inet_autobind(s);
	if (r)
		return r;
	inet_source(&to, &from);
	inet_set_addrs(s, &from, &to);
	atomic_store(&sock->state, SOCK_CONNECTED);
	return 0;
}

static int udp_listen(struct socket *s, int backlog, const struct sock_caller *c)
{
	return -EOPNOTSUPP;
}

static int udp_accept(struct socket *s, struct socket **out)
{
	return -EOPNOTSUPP;
}

static int udp_shutdown(struct socket *s, int how)
{
	/* Linux shuts down an unconnected one too, and complains. */
	atomic_fetch_or(&s->shutdown, how);
	waitq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	return atomic_load(&s->state) == SOCK_CONNECTED ? 0 : -ENOTCONN;
}

static uint32_t udp_poll(struct socket *s)
{
	int shut = atomic_load(&s->shutdown);
	uint32_t events = POLLOUT | POLLWRNORM | POLLWRBAND;

	if (atomic_load(&s->err))
		events |= POLLERR;
	if (shut == SHUTDOWN_BOTH)
		events |= POLLHUP;
	if (shut & SHUTDOWN_RECV)
		events |= POLLIN | POLLRDNORM | POLLRDHUP;
	mutex_lock(&s->lock);
	if (!list_empty(&s->rx))
		events |= POLLIN | POLLRDNORM;
	mutex_unlock(&s->lock);
	return events;
}

static void udp_release(struct socket *s)
{
	struct list unread;

	inet_unbind(inet_of(s));
	list_init(&unread);
	mutex_lock(&s->lock);
	atomic_store(&s->dead, true);
	socket_take_all_locked(s, &unread);
	mutex_unlock(&s->lock);
	sock_buf_free_all(&unread);
}

const struct socket_ops inet_udp_ops = {
    .bind = inet_bind,
    .listen = udp_listen,
    .connect = udp_connect,
    .accept = udp_accept,
    .name = inet_name,
    .send = udp_send,
    .recv = udp_recv,
    .shutdown = udp_shutdown,
    .poll = udp_poll,
    .option = inet_option,
    .ioctl = inet_ioctl,
    .release = udp_release,
    .free = inet_free,
};
