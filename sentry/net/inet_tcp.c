/*
 * TCP sockets over loopback. A connection is a pair of sockets, made by
 * connect(2) in one step; the data path is stream.c's.
 *
 * What differs from AF_UNIX is what the network would add: a connect that does
 * not block reports EINPROGRESS and is finished at once; a close is a FIN, so
 * the peer's first send after it still succeeds and brings back a reset; a close
 * with unread data, or with SO_LINGER 0, is a reset.
 *
 * Limits: no TIME_WAIT; the send buffer is SO_SNDBUF or 1 MiB, never tuned; a
 * connect without blocking to a full backlog is refused beyond SYN_ROOM more.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "common/mem.h"
#include "sentry/net/inet.h"

#define TCP_SNDBUF 2626560 /* what a connection on loopback is tuned to */
#define TCP_RCVBUF 131072
#define SYN_ROOM 128

/* --- creation and end ---------------------------------------------------------------------- */

struct inet_socket *inet_new(struct net_namespace *net, int domain, enum inet_protocol protocol,
			     const struct cred *cred)
{
	static const int numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE};
	struct inet_socket *s = NEW(struct inet_socket);
	bool tcp = protocol == INET_TCP;

	socket_init(&s->sock, tcp ? &inet_tcp_ops : &inet_udp_ops, net, domain,
		    tcp ? SOCK_STREAM : SOCK_DGRAM, numbers[protocol], cred);
	s->protocol = protocol;
	s->oob_mark = -1;
	list_init(&s->port_node);
	list_init(&s->all_node);
	inet_addr_any(domain, &s->local);
	inet_option_defaults(s);
	if (tcp) {
		atomic_store(&s->sock.sndbuf, TCP_SNDBUF);
		atomic_store(&s->sock.rcvbuf, TCP_RCVBUF);
	}
	mutex_lock(&net->lock);
	list_add_tail(&net->inet_all, &s->all_node);
	mutex_unlock(&net->lock);
	return s;
}

void inet_free(struct socket *s)
{
	socket_fini(s);
	free(inet_of(s));
}

static int create(struct net_namespace *net, int domain, int type, int protocol,
		  const struct cred *cred, struct socket **out)
{
	enum inet_protocol which = type == SOCK_STREAM ? INET_TCP : INET_UDP;

	if (protocol < 0 || protocol > 262)
		return -EINVAL;
	if (type == SOCK_RAW)
		return cred_ns_capable(cred, cred->user_ns, CAP_NET_RAW) ? -EPROTONOSUPPORT
									 : -EPERM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (type == SOCK_DGRAM && (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6))
		return -EACCES; /* net.ipv4.ping_group_range is empty */
	if (type == SOCK_DGRAM && protocol == IPPROTO_UDPLITE)
		which = INET_UDPLITE;
	else if (protocol && protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP))
		return -EPROTONOSUPPORT;
	*out = &inet_new(net, domain, which, cred)->sock;
	return 0;
}

int inet_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		struct socket **out)
{
	return create(net, AF_INET, type, protocol, cred, out);
}

int inet_create6(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		 struct socket **out)
{
	return create(net, AF_INET6, type, protocol, cred, out);
}

static void wake_peer(struct socket *peer)
{
	waitq_wake_all(&peer->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
}

/* What the other end sees of a RST. */
static void reset_peer(struct socket *peer)
{
	atomic_store(&peer->err, ECONNRESET);
	atomic_store(&peer->reset, true);
	atomic_fetch_or(&peer->shutdown, SHUTDOWN_BOTH);
	wake_peer(peer);
}

static void tcp_release(struct socket *s)
{
	bool listening = atomic_load(&s->state) == SOCK_LISTENING;

	inet_unbind(inet_of(s));
	if (s->peer && s->set.linger_on && !s->set.linger)
		reset_peer(s->peer);
	stream_release(s, SHUTDOWN_RECV);
	if (listening)
		socket_accept_drain(s);
}

/* --- connections ------------------------------------------------------------------------------- */

static int tcp_listen(struct socket *s, int backlog, const struct sock_caller *c)
{
	int state = atomic_load(&s->state), r;

	if (state != SOCK_NEW && state != SOCK_LISTENING)
		return -EINVAL;
	r = inet_autobind(inet_of(s));
	if (!r && state == SOCK_NEW)
		r = inet_listen_check(inet_of(s));
	if (r)
		return r;
	mutex_lock(&s->lock);
	s->backlog = (unsigned int)backlog;
	atomic_store(&s->shutdown, 0);
	atomic_store(&s->state, SOCK_LISTENING);
	mutex_unlock(&s->lock);
	waitq_wake_all(&s->room_wq, POLLOUT);
	return 0;
}

/* The listener's end of a new connection. */
static struct inet_socket *new_end(struct socket *listener, const struct inet_addr *local,
				   const struct inet_addr *remote)
{
	struct inet_socket *end =
	    inet_new(listener->net, listener->domain, INET_TCP, listener->file.cred);

	mutex_lock(&listener->lock);
	end->sock.set = listener->set;
	memcpy(end->option, inet_of(listener)->option, sizeof(end->option));
	atomic_store(&end->sock.sndbuf, atomic_load(&listener->sndbuf));
	atomic_store(&end->sock.rcvbuf, atomic_load(&listener->rcvbuf));
	mutex_unlock(&listener->lock);
	end->local = *local;
	end->remote = *remote;
	inet_share_port(end);
	return end;
}

static int establish(struct inet_socket *s, struct socket *listener, const struct inet_addr *to,
		     bool nonblock)
{
	struct inet_addr from;
	struct inet_socket *end;
	int r;

	inet_source(to, &from);
	inet_set_addrs(s, &from, to);
	from = s->local;
	end = new_end(listener, to, &from);
	socket_get(&end->sock);
	end->sock.peer = socket_get(&s->sock);
	atomic_store(&end->sock.state, SOCK_CONNECTED);
	/* A connect that does not block may queue beyond the backlog, as a SYN that is tried again
	 * would in the end. */
	r = socket_accept_push(listener, &end->sock, nonblock ? SYN_ROOM : 0);
	if (!r) {
		s->sock.peer = &end->sock;
		atomic_store(&s->sock.state, SOCK_CONNECTED);
		return 0;
	}
	end->sock.peer = NULL;
	socket_put(&s->sock);
	file_put(&end->sock.file);
	socket_put(&end->sock);
	return r;
}

/* Nobody answers: reported now, or, to one who does not wait, by SO_ERROR. */
static int refused(struct inet_socket *s, bool nonblock)
{
	inet_forget_remote(s);
	atomic_store(&s->sock.state, SOCK_NEW);
	if (!nonblock)
		return -ECONNREFUSED;
	s->connect_failed = true;
	atomic_store(&s->sock.shutdown, SHUTDOWN_BOTH);
	socket_set_error(&s->sock, ECONNREFUSED);
	return -EINPROGRESS;
}

static int try_connect(struct inet_socket *s, struct sock_connect *c, const struct inet_addr *to)
{
	struct socket *listener;
	int r = inet_autobind(s);

	if (r) {
		atomic_store(&s->sock.state, SOCK_NEW);
		return r == -EAGAIN ? -EADDRNOTAVAIL : r;
	}
	listener = inet_lookup(s->sock.net, INET_TCP, to, &s->local);
	if (!listener)
		return refused(s, c->nonblock);
	r = establish(s, listener, to, c->nonblock);
	if (r == -EAGAIN && !c->nonblock) {
		atomic_store(&s->sock.state, SOCK_NEW);
		c->blocker = listener;
		return r;
	}
	socket_put(listener);
	if (r)
		return refused(s, c->nonblock);
	if (c->nonblock) {
		s->connect_unreported = true;
		waitq_wake(&s->sock.wq, POLLOUT);
		return -EINPROGRESS;
	}
	return 0;
}

/* The result of an earlier connect that did not block; 1 if there is none to report. */
static int earlier_result(struct inet_socket *s)
{
	SCOPED_LOCK(&s->sock.lock);

	if (s->connect_unreported) {
		s->connect_unreported = false;
		return 0;
	}
	if (s->connect_failed) {
		s->connect_failed = false;
		atomic_store(&s->sock.shutdown, 0);
		return -(socket_take_error(&s->sock) ?: ECONNABORTED);
	}
	return 1;
}

static int tcp_disconnect(struct inet_socket *s)
{
	struct socket *peer = s->sock.peer;

	/* A peer stays tied to us until both are closed: only a socket without one can be used
	 * again, which is what programs do that probe addresses. */
	if (peer) {
		reset_peer(peer);
		atomic_fetch_or(&s->sock.shutdown, SHUTDOWN_BOTH);
		return 0;
	}
	if (atomic_load(&s->sock.state) == SOCK_LISTENING) {
		atomic_store(&s->sock.state, SOCK_NEW);
		socket_accept_drain(&s->sock);
	}
	inet_forget_remote(s);
	atomic_store(&s->sock.shutdown, 0);
	atomic_store(&s->sock.err, 0);
	return 0;
}

static int tcp_connect(struct socket *sock, struct sock_connect *c)
{
	struct inet_socket *s = inet_of(sock);
	int expect = SOCK_NEW, r;
	struct inet_addr to;

	if (c->addr.len < sizeof(sa_family_t))
		return -EINVAL;
	if (c->addr.sa.sa_family == AF_UNSPEC)
		return tcp_disconnect(s);
	r = earlier_result(s);
	if (r <= 0)
		return r;
	if (atomic_load(&sock->state) == SOCK_CONNECTED)
		return -EISCONN;
	r = inet_addr_parse(s, &c->addr, &to);
	if (!r && sock->domain == AF_INET6 && inet_is_v4(&to) &&
	    inet_option_value(s, IPPROTO_IPV6, IPV6_V6ONLY))
		r = -ENETUNREACH;
	if (!r)
		r = inet_destination(&to);
	if (r)
		return r;
	if (!atomic_compare_exchange_strong(&sock->state, &expect, SOCK_CONNECTING))
		return expect == SOCK_CONNECTING ? -EALREADY : -EISCONN;
	return try_connect(s, c, &to);
}

static int tcp_accept(struct socket *s, struct socket **out)
{
	return socket_accept_pop(s, out);
}

static int tcp_shutdown(struct socket *s, int how)
{
	int state = atomic_load(&s->state);

	if (state == SOCK_LISTENING) {
		if (how & SHUTDOWN_RECV) { /* as Linux: it stops to listen */
			atomic_store(&s->state, SOCK_NEW);
			socket_accept_drain(s);
			wake_peer(s);
		}
		return 0;
	}
	if (state != SOCK_CONNECTED)
		return -ENOTCONN;
	return stream_shutdown(s, how, how & SHUTDOWN_SEND ? SHUTDOWN_RECV : 0);
}

/* --- data ----------------------------------------------------------------------------------------- */

/* The last byte of what was sent is urgent: it goes beside the stream. */
static void send_urgent(struct socket *peer, unsigned char byte)
{
	struct inet_socket *p = inet_of(peer);

	mutex_lock(&peer->lock);
	p->oob = byte;
	p->has_oob = true;
	p->oob_mark = (long)peer->rx_bytes;
	mutex_unlock(&peer->lock);
	waitq_wake(&peer->wq, POLLPRI);
}

static ssize_t send_oob(struct socket *s, struct sock_send *m)
{
	const unsigned char *buf = m->buf;
	ssize_t r = 0;

	if (!m->len)
		return 0;
	m->len--;
	if (m->len)
		r = stream_send(s, m);
	if (r < 0 || (size_t)r < m->len)
		return r;
	if (s->peer->set.oob_inline) {
		m->buf = buf + r;
		m->len = 1;
		return stream_send(s, m) == 1 ? r + 1 : r ? r : -EAGAIN;
	}
	send_urgent(s->peer, buf[r]);
	return r + 1;
}

static ssize_t tcp_send(struct socket *s, struct sock_send *m)
{
	int err;

	if (atomic_load(&s->state) == SOCK_CONNECTING)
		return -EAGAIN;
	err = socket_take_error(s);
	if (err)
		return -err;
	if (atomic_load(&s->state) != SOCK_CONNECTED || atomic_load(&s->shutdown) & SHUTDOWN_SEND)
		return -EPIPE;
	if (atomic_load(&s->peer->dead)) {
		/* The data goes out, and a reset comes back. */
		atomic_store(&s->err, EPIPE);
		atomic_store(&s->reset, true);
		atomic_fetch_or(&s->shutdown, SHUTDOWN_BOTH);
		wake_peer(s);
		return (ssize_t)m->len;
	}
	if (m->scm)
		scm_fini(m->scm);
	return m->flags & MSG_OOB ? send_oob(s, m) : stream_send(s, m);
}

static ssize_t recv_oob(struct inet_socket *s, struct sock_recv *m)
{
	SCOPED_LOCK(&s->sock.lock);

	if (s->sock.set.oob_inline || !s->has_oob)
		return -EINVAL;
	if (!(m->flags & MSG_PEEK))
		s->has_oob = false;
	m->msg_flags |= MSG_OOB;
	if (!m->len) {
		m->msg_flags |= MSG_TRUNC;
		return 0;
	}
	memcpy(m->buf, &s->oob, 1);
	return 1;
}

static ssize_t tcp_recv(struct socket *sock, struct sock_recv *m)
{
	struct inet_socket *s = inet_of(sock);
	ssize_t r;

	if (m->flags & MSG_OOB)
		return recv_oob(s, m);
	if (atomic_load(&sock->state) != SOCK_CONNECTED) {
		int err = socket_take_error(sock);

		if (atomic_load(&sock->state) == SOCK_CONNECTING)
			return -EAGAIN;
		return err ? -err : s->connect_failed ? 0 : -ENOTCONN;
	}
	if (!m->len)
		return 0;
	if (s->oob_mark > 0) /* a read stops at the mark */
		m->len = min(m->len, (size_t)s->oob_mark);
	r = stream_recv(sock, m);
	if (s->oob_mark >= 0 && r > 0 && !(m->flags & MSG_PEEK))
		s->oob_mark = s->oob_mark ? s->oob_mark - r : -1;
	return r;
}

static uint32_t tcp_poll(struct socket *s)
{
	return stream_poll(s) | (inet_of(s)->has_oob ? POLLPRI : 0);
}

long inet_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct guest_access *ga)
{
	int value;

	if (cmd != SIOCATMARK || inet_of(s)->protocol != INET_TCP)
		return socket_queue_ioctl(s, cmd, arg, ga);
	value = inet_of(s)->oob_mark == 0;
	return ga_copyout(ga, UADDR(arg), &value, sizeof(value));
}

/* Which ends have sent their FIN. */
static int connected_state(struct socket *s)
{
	bool sent = atomic_load(&s->shutdown) & SHUTDOWN_SEND;
	bool got = atomic_load(&s->peer->dead) || atomic_load(&s->peer->shutdown) & SHUTDOWN_SEND;

	if (atomic_load(&s->reset) || (sent && got))
		return TCP_CLOSE;
	return got ? TCP_CLOSE_WAIT : sent ? TCP_FIN_WAIT2 : TCP_ESTABLISHED;
}

int inet_tcp_state(struct inet_socket *s)
{
	switch (atomic_load(&s->sock.state)) {
	case SOCK_LISTENING:
		return TCP_LISTEN;
	case SOCK_CONNECTING:
		return TCP_SYN_SENT;
	case SOCK_CONNECTED:
		return connected_state(&s->sock);
	}
	return TCP_CLOSE;
}

const struct socket_ops inet_tcp_ops = {
    .bind = inet_bind,
    .listen = tcp_listen,
    .connect = tcp_connect,
    .accept = tcp_accept,
    .name = inet_name,
    .send = tcp_send,
    .recv = tcp_recv,
    .shutdown = tcp_shutdown,
    .poll = tcp_poll,
    .option = inet_option,
    .ioctl = inet_ioctl,
    .release = tcp_release,
    .free = inet_free,
};
