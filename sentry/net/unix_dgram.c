/*
 * AF_UNIX datagrams. A message goes straight into the receiver's queue; the
 * sender is charged for it until it is read. Beside that a receiver takes only
 * QUEUE_MAX messages from senders that are not its peer.
 *
 * A sender that finds a full queue notes itself in the receiver's list of
 * blocked senders, and whoever takes a message off wakes them all. A socket is
 * on one such list at most. The lists are few and short-lived, so one mutex
 * guards them all (blocked_lock, RANK_OBJECT, taken with no other socket lock).
 */
#include "sentry/net/unix.h"

#include <errno.h>
#include <poll.h>

#include "common/mem.h"

#define QUEUE_MAX 10 /* net.unix.max_dgram_qlen */

static struct mutex blocked_lock = MUTEX_INIT(RANK_OBJECT);

/* --- blocked senders ---------------------------------------------------------------------- */

/* Takes the sender off the list it is on; the reference that it held there, or NULL. */
static struct socket *unblock_one_locked(struct unix_socket *sender)
{
	struct socket *on = sender->blocked_on;

	list_del(&sender->blocked_node);
	sender->blocked_on = NULL;
	return on;
}

static void block_on(struct unix_socket *sender, struct socket *receiver)
{
	struct socket *old;

	mutex_lock(&blocked_lock);
	old = unblock_one_locked(sender);
	sender->blocked_on = socket_get(receiver);
	list_add_tail(&unix_of(receiver)->blocked, &sender->blocked_node);
	atomic_store(&unix_of(receiver)->blocked_any, true);
	mutex_unlock(&blocked_lock);
	if (old)
		socket_put(old);
}

static void forget_block(struct unix_socket *sender)
{
	struct socket *old;

	mutex_lock(&blocked_lock);
	old = unblock_one_locked(sender);
	mutex_unlock(&blocked_lock);
	if (old)
		socket_put(old);
}

/* There is room again: wakes all that wait for it. */
static void wake_blocked(struct socket *receiver)
{
	struct unix_socket *r = unix_of(receiver), *sender;
	unsigned int drop = 0;

	if (!atomic_load(&r->blocked_any))
		return;
	mutex_lock(&blocked_lock);
	atomic_store(&r->blocked_any, false);
	while (!list_empty(&r->blocked)) {
		sender = list_first(&r->blocked, struct unix_socket, blocked_node);
		unblock_one_locked(sender);
		drop++;
		waitq_wake(&sender->sock.wq, POLLOUT | POLLWRNORM | POLLWRBAND);
	}
	mutex_unlock(&blocked_lock);
	while (drop--)
		socket_put(receiver);
}

static bool full(struct socket *receiver, struct socket *sender)
{
	SCOPED_LOCK(&receiver->lock);

	return !atomic_load(&receiver->dead) && receiver->peer != sender &&
	       receiver->rx_count > QUEUE_MAX;
}

/* True if the receiver has no room; then the sender will be woken when it has. */
static bool full_and_wait(struct socket *receiver, struct socket *sender)
{
	if (!full(receiver, sender))
		return false;
	block_on(unix_of(sender), receiver);
	if (full(receiver, sender))
		return true;
	forget_block(unix_of(sender));
	return false;
}

/* --- sending -------------------------------------------------------------------------------- */

static struct socket *peer_get(struct socket *s)
{
	SCOPED_LOCK(&s->lock);

	return s->peer ? socket_get(s->peer) : NULL;
}

/* Forgets a peer that is gone. */
static void drop_peer(struct socket *s, struct socket *peer)
{
	bool dropped;

	mutex_lock(&s->lock);
	dropped = s->peer == peer;
	if (dropped) {
		s->peer = NULL;
		atomic_store(&s->state, SOCK_NEW);
	}
	mutex_unlock(&s->lock);
	if (dropped)
		socket_put(peer);
}

static int enqueue(struct socket *s, struct socket *to, struct sock_buf *b)
{
	int r = 0;

	mutex_lock(&to->lock);
	if (atomic_load(&to->dead))
		r = -ECONNREFUSED;
	else if (to->peer && to->peer != s)
		r = -EPERM;
	else if (atomic_load(&to->shutdown) & SHUTDOWN_RECV)
		r = -EPIPE;
	else
		socket_queue_locked(to, b);
	mutex_unlock(&to->lock);
	if (!r)
		socket_wake_read(to);
	return r;
}

static ssize_t send_prepared(struct socket *s, struct socket *to, struct sock_send *m)
{
	struct sock_buf *b;
	int r;

	r = unix_prepare_scm(s, to, m);
	if (r)
		return r;
	if (!socket_has_room(s) || (s != to && full_and_wait(to, s)))
		return -EAGAIN;
	b = sock_buf_new(s, m->len);
	if (!b)
		return -ENOBUFS;
	if (m->len)
		memcpy(b->data, m->buf, m->len);
	b->scm = *m->scm;
	if (__atomic_load_n(&unix_of(s)->name, __ATOMIC_ACQUIRE))
		unix_name_addr(unix_of(s), &b->addr);
	r = enqueue(s, to, b);
	if (r) {
		b->scm.files = NULL; /* still the caller's */
		sock_buf_free(b);
		return r;
	}
	m->scm->files = NULL;
	return (ssize_t)m->len;
}

static ssize_t send_to(struct socket *s, struct socket *to, struct sock_send *m)
{
	struct scm none = {0};
	ssize_t r;

	if (m->scm)
		return send_prepared(s, to, m);
	m->scm = &none;
	r = send_prepared(s, to, m);
	m->scm = NULL; /* the caller may come again after -EAGAIN */
	return r;
}

static int destination(struct socket *s, const struct sock_send *m, struct socket **out)
{
	if (m->to)
		return unix_find(s->net, m->to, SOCK_DGRAM, m->caller, out);
	*out = peer_get(s);
	return *out ? 0 : -ENOTCONN;
}

static ssize_t dgram_send(struct socket *s, struct sock_send *m)
{
	struct socket *to;
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->set.passcred)
		(void)!unix_autobind(unix_of(s));
	r = destination(s, m, &to);
	if (r)
		return r;
	if (m->len > atomic_load(&s->sndbuf) - 32)
		r = -EMSGSIZE;
	else if (atomic_load(&s->shutdown) & SHUTDOWN_SEND)
		r = -EPIPE;
	else
		r = send_to(s, to, m);
	if (r == -ECONNREFUSED && !m->to)
		drop_peer(s, to);
	socket_put(to);
	return r;
}

static ssize_t dgram_recv(struct socket *s, struct sock_recv *m)
{
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	r = packet_recv(s, m);
	if (r >= 0 && !(m->flags & MSG_PEEK))
		wake_blocked(s);
	return r;
}

/* --- peers ------------------------------------------------------------------------------------ */

/* Messages from the old peer are not for the new one. */
static void set_peer(struct socket *s, struct socket *peer)
{
	struct list unread;
	struct socket *old;

	list_init(&unread);
	mutex_lock(&s->lock);
	old = s->peer;
	s->peer = peer;
	atomic_store(&s->state, peer ? SOCK_CONNECTED : SOCK_NEW);
	if (old && old != peer) {
		socket_take_all_locked(s, &unread);
	}
	mutex_unlock(&s->lock);
	sock_buf_free_all(&unread);
	if (old)
		socket_put(old);
	wake_blocked(s);
}

static int dgram_connect(struct socket *s, struct sock_connect *c)
{
	struct socket *to, *back;
	int r;

	if (c->addr.len >= sizeof(sa_family_t) && c->addr.sa.sa_family == AF_UNSPEC) {
		set_peer(s, NULL);
		return 0;
	}
	if (s->set.passcred) {
		r = unix_autobind(unix_of(s));
		if (r)
			return r;
	}
	r = unix_find(s->net, &c->addr, SOCK_DGRAM, c->caller, &to);
	if (r)
		return r;
	back = peer_get(to);
	if (back)
		socket_put(back);
	if (back && back != s) {
		socket_put(to);
		return -EPERM;
	}
	set_peer(s, to);
	return 0;
}

static int dgram_listen(struct socket *s, int backlog, const struct sock_caller *c)
{
	return -EOPNOTSUPP;
}

static int dgram_accept(struct socket *s, struct socket **out)
{
	return -EOPNOTSUPP;
}

static int dgram_shutdown(struct socket *s, int how)
{
	atomic_fetch_or(&s->shutdown, how);
	waitq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	wake_blocked(s);
	return 0;
}

static uint32_t dgram_poll(struct socket *s)
{
	int shut = atomic_load(&s->shutdown);
	uint32_t events = atomic_load(&s->err) ? POLLERR : 0;
	struct socket *peer = peer_get(s);
	bool writable = socket_writable(s);

	if (shut == SHUTDOWN_BOTH)
		events |= POLLHUP;
	if (shut & SHUTDOWN_RECV)
		events |= POLLIN | POLLRDNORM | POLLRDHUP;
	mutex_lock(&s->lock);
	if (!list_empty(&s->rx))
		events |= POLLIN | POLLRDNORM;
	mutex_unlock(&s->lock);
	if (peer) {
		if (writable && peer != s && full_and_wait(peer, s))
			writable = false;
		socket_put(peer);
	}
	return events | (writable ? POLLOUT | POLLWRNORM | POLLWRBAND : 0);
}

static void dgram_release(struct socket *s)
{
	struct socket *peer;
	struct list unread;

	unix_unbind(unix_of(s));
	forget_block(unix_of(s));
	list_init(&unread);
	mutex_lock(&s->lock);
	atomic_store(&s->dead, true);
	peer = s->peer;
	s->peer = NULL;
	socket_take_all_locked(s, &unread);
	mutex_unlock(&s->lock);
	sock_buf_free_all(&unread);
	wake_blocked(s);
	if (peer)
		socket_put(peer);
}

const struct socket_ops unix_dgram_ops = {
    .bind = unix_bind,
    .listen = dgram_listen,
    .connect = dgram_connect,
    .accept = dgram_accept,
    .name = unix_name_op,
    .send = dgram_send,
    .recv = dgram_recv,
    .shutdown = dgram_shutdown,
    .poll = dgram_poll,
    .option = unix_option,
    .ioctl = socket_queue_ioctl,
    .release = dgram_release,
    .free = unix_free,
};
