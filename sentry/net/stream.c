/*
 * Connected sockets: AF_UNIX streams and seqpackets, and TCP over loopback,
 * whose two ends are sockets of this sandbox. A send appends to the peer's receive queue.
 *
 * `peer` is set once, before the state becomes SOCK_CONNECTED, and dropped with
 * the last reference; so an operation, which holds the file, may use it without
 * a lock. A peer that was released is `dead`.
 *
 * Order of a send: build the message, then lock the peer, look whether it still
 * receives, append, unlock, wake. Messages that carry files are taken off a queue
 * under scm_lock() too (see scm.c).
 */
#include "sentry/net/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "common/mem.h"

#define STREAM_CHUNK 65536

void stream_pair(struct socket *a, struct socket *b)
{
	a->peer = socket_get(b);
	b->peer = socket_get(a);
	atomic_store(&a->state, SOCK_CONNECTED);
	atomic_store(&b->state, SOCK_CONNECTED);
}

/* --- sending -------------------------------------------------------------------------------- */

/* Appends to the peer's queue; takes b. -EPIPE if the peer no longer receives. */
static int deliver(struct socket *peer, struct sock_buf *b)
{
	/* A TCP peer that shut down its receiving side still takes what arrives. */
	bool deaf = peer->domain == AF_UNIX && atomic_load(&peer->shutdown) & SHUTDOWN_RECV;

	mutex_lock(&peer->lock);
	if (atomic_load(&peer->dead) || deaf) {
		mutex_unlock(&peer->lock);
		sock_buf_free(b);
		return -EPIPE;
	}
	socket_queue_locked(peer, b);
	mutex_unlock(&peer->lock);
	socket_wake_read(peer);
	return 0;
}

static int send_piece(struct socket *s, struct socket *peer, struct sock_send *m, size_t at,
		      size_t n)
{
	struct sock_buf *b = sock_buf_new(s, n);

	if (!b)
		return -ENOBUFS;
	memcpy(b->data, (const char *)m->buf + at, n);
	if (m->scm) {
		b->scm = *m->scm;
		m->scm->files = NULL; /* they go with the first piece */
	}
	return deliver(peer, b);
}

ssize_t stream_send(struct socket *s, struct sock_send *m)
{
	struct socket *peer = s->peer;
	bool whole = s->type != SOCK_STREAM;
	size_t done = 0;
	int r = 0;

	if (whole && m->len > atomic_load(&s->sndbuf))
		return -EMSGSIZE;
	if (!whole && !m->len)
		return 0; /* an empty piece would read as the end of the stream */
	do {
		size_t n = whole ? m->len : min(m->len - done, (size_t)STREAM_CHUNK);

		if (atomic_load(&s->shutdown) & SHUTDOWN_SEND)
			r = -EPIPE;
		else if (!socket_has_room(s))
			r = -EAGAIN;
		else
			r = send_piece(s, peer, m, done, n);
		if (r)
			break;
		done += n;
	} while (done < m->len);
	return done || !r ? (ssize_t)done : r;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Messages of different senders are not merged for one who asked who sends. */
static bool same_sender(const struct scm *a, const struct scm *b)
{
	return a->has_creds == b->has_creds && a->pid == b->pid && a->uid == b->uid &&
	       a->gid == b->gid;
}

static void take_scm(struct socket *s, struct sock_recv *m, struct sock_buf *b, bool peek,
		     bool first)
{
	struct scm *scm = m->scm;

	if (!scm)
		return;
	if (first) {
		scm->ttl = b->scm.ttl;
		scm->tos = b->scm.tos;
		scm->has_creds = b->scm.has_creds;
		scm->pid = b->scm.pid;
		scm->uid = b->scm.uid;
		scm->gid = b->scm.gid;
	}
	if (!b->scm.files)
		return;
	if (peek) {
		scm->files = scm_files_dup(b->scm.files);
		return;
	}
	scm->files = b->scm.files;
	b->scm.files = NULL;
	s->rx_files--;
}

/* A read that goes on; what it consumed waits here to be freed without the lock. */
struct stream_read {
	struct sock_recv *m;
	size_t done;
	bool peek, files; /* files: some were taken, the read ends */
	struct scm creds;
	struct list used;
};

/* Copies from one message. False: stop before it. */
static bool read_piece(struct socket *s, struct stream_read *r, struct sock_buf *b)
{
	size_t n = min(b->len - b->off, r->m->len - r->done);

	if (r->done && s->set.passcred && !same_sender(&r->creds, &b->scm))
		return false;
	r->creds = b->scm;
	if (r->m->scm && r->m->scm->files)
		return false;
	if (r->m->buf && !(r->m->flags & MSG_TRUNC && s->domain != AF_UNIX))
		memcpy((char *)r->m->buf + r->done, b->data + b->off, n);
	r->files = b->scm.files != NULL;
	take_scm(s, r->m, b, r->peek, r->done == 0);
	if (!r->done)
		r->m->from = b->addr;
	r->done += n;
	if (r->peek)
		return !r->files;
	b->off += n;
	s->rx_bytes -= n;
	if (b->off == b->len) {
		socket_unqueue_locked(s, b);
		list_add_tail(&r->used, &b->node);
	}
	return !r->files;
}

static void read_pieces_locked(struct socket *s, struct stream_read *r)
{
	struct sock_buf *b, *tmp;

	list_for_each_safe (b, tmp, &s->rx, node) {
		if (r->done == r->m->len || !read_piece(s, r, b))
			break;
	}
}

/* Locks the socket for taking messages off, and scm's lock too if any holds files. */
static bool lock_rx(struct socket *s)
{
	mutex_lock(&s->lock);
	if (!s->rx_files)
		return false;
	mutex_unlock(&s->lock);
	scm_lock();
	mutex_lock(&s->lock);
	return true;
}

static void unlock_rx(struct socket *s, bool scm)
{
	mutex_unlock(&s->lock);
	if (scm)
		scm_unlock();
}

/* What a read of an empty queue means. */
static ssize_t nothing(struct socket *s)
{
	int err = socket_take_error(s);

	if (err)
		return -err;
	if (atomic_load(&s->shutdown) & SHUTDOWN_RECV || atomic_load(&s->state) == SOCK_CLOSED)
		return 0;
	return -EAGAIN;
}

ssize_t stream_recv(struct socket *s, struct sock_recv *m)
{
	struct stream_read r = {.m = m, .peek = m->flags & MSG_PEEK};
	bool empty, scm;

	list_init(&r.used);
	scm = lock_rx(s);
	empty = list_empty(&s->rx);
	read_pieces_locked(s, &r);
	unlock_rx(s, scm);
	sock_buf_free_all(&r.used);
	if (m->scm && m->scm->files && !r.peek)
		scm_detach(m->scm->files);
	return empty ? nothing(s) : (ssize_t)r.done;
}

ssize_t packet_recv(struct socket *s, struct sock_recv *m)
{
	bool peek = m->flags & MSG_PEEK, scm = lock_rx(s);
	struct sock_buf *b;
	size_t n;

	if (list_empty(&s->rx) || atomic_load(&s->err)) {
		unlock_rx(s, scm);
		return nothing(s);
	}
	b = list_first(&s->rx, struct sock_buf, node);
	n = min(b->len, m->len);
	if (n)
		memcpy(m->buf, b->data, n);
	take_scm(s, m, b, peek, true);
	m->from = b->addr;
	m->time_ns = b->time_ns;
	m->local = b->local;
	if (!peek)
		socket_unqueue_locked(s, b);
	if (n < b->len)
		m->msg_flags |= MSG_TRUNC;
	n = m->flags & MSG_TRUNC ? b->len : n;
	unlock_rx(s, scm);
	if (peek)
		return (ssize_t)n;
	sock_buf_free(b);
	if (m->scm && m->scm->files)
		scm_detach(m->scm->files);
	return (ssize_t)n;
}

/* --- the end ------------------------------------------------------------------------------------ */

void stream_release(struct socket *s, int peer_shutdown)
{
	struct socket *peer = s->peer;
	struct list unread;
	bool reset;

	list_init(&unread);
	mutex_lock(&s->lock);
	atomic_store(&s->dead, true);
	atomic_store(&s->shutdown, SHUTDOWN_BOTH);
	atomic_store(&s->state, SOCK_CLOSED);
	reset = !list_empty(&s->rx) || s->embryo;
	socket_take_all_locked(s, &unread);
	s->peer = NULL;
	mutex_unlock(&s->lock);
	if (peer) {
		atomic_fetch_or(&peer->shutdown, reset ? SHUTDOWN_BOTH : peer_shutdown);
		if (reset) {
			atomic_store(&peer->err, ECONNRESET);
			atomic_store(&peer->reset, true);
		}
		waitq_wake_all(&peer->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
		socket_put(peer);
	}
	sock_buf_free_all(&unread);
}

int stream_shutdown(struct socket *s, int how, int peer_how)
{
	struct socket *peer = s->peer;

	atomic_fetch_or(&s->shutdown, how);
	if (peer && peer_how) {
		atomic_fetch_or(&peer->shutdown, peer_how);
		waitq_wake_all(&peer->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	}
	waitq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	return 0;
}

/* --- state ---------------------------------------------------------------------------------------- */

uint32_t stream_poll(struct socket *s)
{
	int state = atomic_load(&s->state), shut = atomic_load(&s->shutdown);
	uint32_t events = 0;

	if (atomic_load(&s->err))
		events |= POLLERR;
	if (state == SOCK_LISTENING) {
		SCOPED_LOCK(&s->lock);

		return events | (s->accept_count ? POLLIN | POLLRDNORM : 0);
	}
	if (state == SOCK_CONNECTING)
		return events;
	if (shut == SHUTDOWN_BOTH || state == SOCK_NEW || state == SOCK_CLOSED)
		events |= POLLHUP;
	if (shut & SHUTDOWN_RECV)
		events |= POLLIN | POLLRDNORM | POLLRDHUP;
	mutex_lock(&s->lock);
	if (!list_empty(&s->rx))
		events |= POLLIN | POLLRDNORM;
	mutex_unlock(&s->lock);
	if (socket_writable(s) || (shut & SHUTDOWN_SEND && s->domain != AF_UNIX))
		events |= POLLOUT | POLLWRNORM | (s->domain == AF_UNIX ? POLLWRBAND : 0);
	return events;
}

static int queued_bytes(struct socket *s)
{
	SCOPED_LOCK(&s->lock);

	if (s->type != SOCK_DGRAM)
		return (int)s->rx_bytes;
	if (list_empty(&s->rx))
		return 0;
	return (int)list_first(&s->rx, struct sock_buf, node)->len;
}

long socket_queue_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct guest_access *ga)
{
	int value;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ)
		return -ENOTTY;
	if (cmd == SIOCINQ && atomic_load(&s->state) == SOCK_LISTENING)
		return -EINVAL;
	if (cmd == SIOCINQ)
		value = queued_bytes(s);
	else /* on loopback everything has arrived */
		value = s->domain == AF_UNIX ? (int)atomic_load(&s->wmem) : 0;
	return ga_copyout(ga, UADDR(arg), &value, sizeof(value));
}
