/*
 * AF_NETLINK sockets. NETLINK_ROUTE answers requests about lo, so that getifaddrs(3),
 * ip(8) and language runtimes learn what there is; NETLINK_KOBJECT_UEVENT may be
 * bound and never says anything. Other protocols are not there, as in a kernel built
 * without them.
 *
 * A request is answered while it is sent: the replies go into the sender's own
 * receive queue (rtnetlink.c makes them).
 */
#include "sentry/net/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>

#include "common/mem.h"
#include "sentry/net/rtnetlink.h"

struct netlink_socket {
	struct socket sock;
	/* guarded by net.lock */
	struct list node; /* in net.netlink_all */
	uint32_t port;	  /* 0: not bound */
	uint32_t groups, peer_port;
};

static inline struct netlink_socket *netlink_of(struct socket *s)
{
	return container_of(s, struct netlink_socket, sock);
}

static bool port_used_locked(struct net_namespace *net, uint32_t port, int protocol)
{
	struct netlink_socket *o;

	list_for_each (o, &net->netlink_all, node) {
		if (o->port == port && o->sock.protocol == protocol)
			return true;
	}
	return false;
}

/* The process's id if nobody has it, as Linux does, else some number. */
static void autobind(struct netlink_socket *s, int pid)
{
	struct net_namespace *net = s->sock.net;
	SCOPED_LOCK(&net->lock);
	uint32_t port = (uint32_t)pid;

	if (s->port)
		return;
	for (uint32_t i = 4097; !port || port_used_locked(net, port, s->sock.protocol); i++)
		port = -i;
	s->port = port;
}

static int netlink_bind(struct socket *sock, const struct sock_addr *addr,
			const struct sock_caller *c)
{
	struct netlink_socket *s = netlink_of(sock);
	struct sockaddr_nl nl;

	if (addr->len < sizeof(nl))
		return -EINVAL;
	memcpy(&nl, addr->raw, sizeof(nl));
	if (nl.nl_family != AF_NETLINK)
		return -EINVAL;
	if (nl.nl_pid) {
		SCOPED_LOCK(&sock->net->lock);

		if (s->port && s->port != nl.nl_pid)
			return -EINVAL;
		if (!s->port && port_used_locked(sock->net, nl.nl_pid, sock->protocol))
			return -EADDRINUSE;
		s->port = nl.nl_pid;
	} else {
		autobind(s, c->pid);
	}
	s->groups = nl.nl_groups;
	return 0;
}

static int netlink_connect(struct socket *sock, struct sock_connect *c)
{
	struct netlink_socket *s = netlink_of(sock);
	struct sockaddr_nl nl;

	if (c->addr.len < sizeof(sa_family_t))
		return -EINVAL;
	if (c->addr.sa.sa_family == AF_UNSPEC)
		return 0;
	if (c->addr.len < sizeof(nl) || c->addr.sa.sa_family != AF_NETLINK)
		return -EINVAL;
	memcpy(&nl, c->addr.raw, sizeof(nl));
	autobind(s, c->caller->pid);
	s->peer_port = nl.nl_pid;
	return 0;
}

static void set_addr(struct sock_addr *out, uint32_t port, uint32_t groups)
{
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups};

	out->len = sizeof(nl);
	memcpy(out->raw, &nl, sizeof(nl));
}

static int netlink_name(struct socket *sock, int which, struct sock_addr *out)
{
	struct netlink_socket *s = netlink_of(sock);

	if (which != NAME_OWN)
		set_addr(out, s->peer_port, 0);
	else
		set_addr(out, s->port, s->groups);
	return 0;
}

/* The kernel's answer to the socket's own request. Takes b. */
static void reply(void *to, struct sock_buf *b)
{
	struct socket *s = to;

	set_addr(&b->addr, 0, 0);
	b->scm.has_creds = true; /* from the kernel: all zero */
	mutex_lock(&s->lock);
	socket_queue_locked(s, b);
	mutex_unlock(&s->lock);
	socket_wake_read(s);
}

void netlink_deliver(struct socket *s, const void *data, size_t n)
{
	struct sock_buf *b = sock_buf_new(NULL, n);

	if (!b)
		return;
	memcpy(b->data, data, n);
	reply(s, b);
}

static int check_to(const struct sock_addr *to)
{
	struct sockaddr_nl nl;

	if (!to || !to->len)
		return 0;
	if (to->len < sizeof(nl) || to->sa.sa_family != AF_NETLINK)
		return -EINVAL;
	memcpy(&nl, to->raw, sizeof(nl));
	if (nl.nl_groups)
		return -EPERM;
	return nl.nl_pid ? -ECONNREFUSED : 0; /* only the kernel listens */
}

static ssize_t netlink_send(struct socket *sock, struct sock_send *m)
{
	struct netlink_socket *s = netlink_of(sock);
	struct sock_caller c = {0};
	int r = check_to(m->to);
	bool admin;

	if (r)
		return r;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (sock->protocol != NETLINK_ROUTE)
		return -ECONNREFUSED;
	if (m->len > atomic_load(&sock->sndbuf))
		return -EMSGSIZE;
	/* Unread answers are bounded like any receive queue. */
	if (sock->rx_bytes > atomic_load(&sock->rcvbuf))
		return -ENOBUFS;
	if (m->caller)
		c = *m->caller;
	else
		socket_current_caller(&c);
	if (!s->port)
		autobind(s, c.own_pid);
	admin = c.cred && cred_ns_capable(c.cred, sock->net->ns.owner, CAP_NET_ADMIN);
	rtnetlink_request(m->buf, m->len, s->port, admin, reply, sock);
	return (ssize_t)m->len;
}

static ssize_t netlink_recv(struct socket *s, struct sock_recv *m)
{
	return m->flags & MSG_OOB ? -EOPNOTSUPP : packet_recv(s, m);
}

static int netlink_listen(struct socket *s, int backlog, const struct sock_caller *c)
{
	return -EOPNOTSUPP;
}

static int netlink_accept(struct socket *s, struct socket **out)
{
	return -EOPNOTSUPP;
}

static int netlink_shutdown(struct socket *s, int how)
{
	return -EOPNOTSUPP;
}

static uint32_t netlink_poll(struct socket *s)
{
	SCOPED_LOCK(&s->lock);

	return POLLOUT | POLLWRNORM | POLLWRBAND | (list_empty(&s->rx) ? 0 : POLLIN | POLLRDNORM);
}

/* Memberships and flags: nothing is ever announced, so they need not be kept. */
static int netlink_option(struct socket *s, struct sock_option *o)
{
	if (o->level != SOL_NETLINK)
		return -ENOPROTOOPT;
	switch (o->name) {
	case NETLINK_ADD_MEMBERSHIP:
	case NETLINK_DROP_MEMBERSHIP:
		return o->set ? 0 : -ENOPROTOOPT;
	case NETLINK_PKTINFO:
	case NETLINK_BROADCAST_ERROR:
	case NETLINK_NO_ENOBUFS:
	case NETLINK_CAP_ACK:
	case NETLINK_EXT_ACK:
	case NETLINK_GET_STRICT_CHK:
		return o->set ? 0 : sock_option_int(o, 0);
	}
	return -ENOPROTOOPT;
}

static void netlink_release(struct socket *s)
{
	struct list unread;

	mutex_lock(&s->net->lock);
	list_del(&netlink_of(s)->node);
	mutex_unlock(&s->net->lock);
	list_init(&unread);
	mutex_lock(&s->lock);
	socket_take_all_locked(s, &unread);
	mutex_unlock(&s->lock);
	sock_buf_free_all(&unread);
}

static void netlink_free(struct socket *s)
{
	socket_fini(s);
	free(netlink_of(s));
}

static const struct socket_ops netlink_ops = {
    .bind = netlink_bind,
    .listen = netlink_listen,
    .connect = netlink_connect,
    .accept = netlink_accept,
    .name = netlink_name,
    .send = netlink_send,
    .recv = netlink_recv,
    .shutdown = netlink_shutdown,
    .poll = netlink_poll,
    .option = netlink_option,
    .ioctl = socket_queue_ioctl,
    .release = netlink_release,
    .free = netlink_free,
};

int netlink_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		   struct socket **out)
{
	struct netlink_socket *s;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE && protocol != NETLINK_KOBJECT_UEVENT)
		return -EPROTONOSUPPORT;
	s = NEW(struct netlink_socket);
	socket_init(&s->sock, &netlink_ops, net, AF_NETLINK, type, protocol, cred);
	list_init(&s->node);
	mutex_lock(&net->lock);
	list_add_tail(&net->netlink_all, &s->node);
	mutex_unlock(&net->lock);
	*out = &s->sock;
	return 0;
}
