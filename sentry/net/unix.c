/*
 * AF_UNIX stream and seqpacket sockets: making connections, and the ops table.
 * The data path is stream.c's; datagrams are in unix_dgram.c, names in
 * unix_names.c.
 *
 * connect(2) makes the listener's end itself and pushes it into the accept
 * queue, so the two ends are connected before anybody accepts. When the queue
 * is full the caller waits for the listener's room_wq.
 */
#include "sentry/net/unix.h"

#include <errno.h>
#include <poll.h>

#include "common/mem.h"

static const struct socket_ops unix_stream_ops;

/* --- creation and end ------------------------------------------------------------------------ */

struct unix_socket *unix_new(struct net_namespace *net, int type, const struct cred *cred)
{
	struct unix_socket *u = NEW(struct unix_socket);

	socket_init(&u->sock, type == SOCK_DGRAM ? &unix_dgram_ops : &unix_stream_ops, net, AF_UNIX,
		    type, 0, cred);
	list_init(&u->name_node);
	list_init(&u->all_node);
	list_init(&u->blocked_node);
	list_init(&u->blocked);
	mutex_lock(&net->lock);
	list_add_tail(&net->unix_all, &u->all_node);
	mutex_unlock(&net->lock);
	return u;
}

int unix_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		struct socket **out)
{
	if (protocol && protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	*out = &unix_new(net, type, cred)->sock;
	return 0;
}

int unix_pair(struct net_namespace *net, int type, int protocol, const struct sock_caller *c,
	      struct socket *out[2])
{
	int r = unix_create(net, type, protocol, c->cred, &out[0]);

	if (r)
		return r;
	out[1] = &unix_new(net, out[0]->type, c->cred)->sock;
	for (int i = 0; i < 2; i++) {
		sock_identity_set(&out[i]->self_id, c);
		sock_identity_set(&out[i]->peer_id, c);
	}
	stream_pair(out[0], out[1]);
	return 0;
}

void unix_free(struct socket *s)
{
	struct unix_socket *u = unix_of(s);

	unix_name_put(u->name);
	socket_fini(s);
	free(u);
}

static void unix_stream_release(struct socket *s)
{
	bool listening = atomic_load(&s->state) == SOCK_LISTENING;

	unix_unbind(unix_of(s));
	stream_release(s, SHUTDOWN_BOTH);
	if (listening)
		socket_accept_drain(s);
}

/* --- names, options ----------------------------------------------------------------------------- */

int unix_name_op(struct socket *s, int which, struct sock_addr *out)
{
	struct socket *other;

	if (which == NAME_OWN) {
		unix_name_addr(unix_of(s), out);
		return 0;
	}
	mutex_lock(&s->lock);
	other = s->peer ? socket_get(s->peer) : NULL;
	mutex_unlock(&s->lock);
	if (!other)
		return -ENOTCONN;
	unix_name_addr(unix_of(other), out);
	socket_put(other);
	return 0;
}

int unix_option(struct socket *s, struct sock_option *o)
{
	return -EOPNOTSUPP;
}

/* --- connections ---------------------------------------------------------------------------------- */

static int unix_listen(struct socket *s, int backlog, const struct sock_caller *c)
{
	int r = 0, state;

	if (!__atomic_load_n(&unix_of(s)->name, __ATOMIC_ACQUIRE))
		return -EINVAL;
	mutex_lock(&s->lock);
	state = atomic_load(&s->state);
	if (state != SOCK_NEW && state != SOCK_LISTENING) {
		r = -EINVAL;
	} else {
		s->backlog = (unsigned int)backlog;
		atomic_store(&s->state, SOCK_LISTENING);
		sock_identity_set(&s->self_id, c);
		sock_identity_set(&s->peer_id, c);
	}
	mutex_unlock(&s->lock);
	if (!r)
		waitq_wake_all(&s->room_wq, POLLOUT);
	return r;
}

/* The listener's end of a new connection. */
static struct socket *new_end(struct socket *s, struct socket *listener,
			      const struct sock_caller *c)
{
	struct unix_socket *end = unix_new(s->net, s->type, listener->file.cred);
	struct unix_name *name;

	mutex_lock(&listener->lock);
	sock_identity_copy(&end->sock.self_id, &listener->self_id);
	end->sock.set.passcred = listener->set.passcred;
	atomic_store(&end->sock.sndbuf, atomic_load(&listener->sndbuf));
	name = unix_of(listener)->name;
	if (name)
		ref_get(&name->ref);
	mutex_unlock(&listener->lock);
	end->name = name;
	sock_identity_set(&end->sock.peer_id, c);
	return &end->sock;
}

/* Only one connect at a time gets a socket out of SOCK_NEW. */
static int claim(struct socket *s)
{
	int expect = SOCK_NEW;

	if (atomic_compare_exchange_strong(&s->state, &expect, SOCK_CONNECTING))
		return 0;
	return expect == SOCK_CONNECTED || expect == SOCK_CLOSED ? -EISCONN : -EINVAL;
}

static int connect_to(struct socket *s, struct socket *listener, struct sock_connect *c)
{
	struct socket *end;
	int r = claim(s);

	if (r)
		return r;
	end = socket_get(new_end(s, listener, c->caller));
	mutex_lock(&s->lock);
	sock_identity_set(&s->self_id, c->caller);
	sock_identity_copy(&s->peer_id, &end->self_id);
	mutex_unlock(&s->lock);
	end->peer = socket_get(s);
	atomic_store(&end->state, SOCK_CONNECTED);
	r = socket_accept_push(listener, end, 0);
	if (!r) { /* from here on it may be accepted, used and closed at any time */
		s->peer = end;
		atomic_store(&s->state, SOCK_CONNECTED);
		return 0;
	}
	atomic_store(&s->state, SOCK_NEW);
	end->peer = NULL;
	socket_put(s);
	file_put(&end->file);
	socket_put(end);
	return r;
}

static int unix_connect(struct socket *s, struct sock_connect *c)
{
	int state = atomic_load(&s->state), r = 0;
	struct socket *listener;

	if (c->addr.sa.sa_family == AF_UNIX && s->set.passcred)
		r = unix_autobind(unix_of(s));
	if (!r)
		r = unix_find(s->net, &c->addr, s->type, c->caller, &listener);
	if (r)
		return r;
	if (state == SOCK_CONNECTED)
		r = -EISCONN;
	else if (atomic_load(&listener->state) != SOCK_LISTENING ||
		 atomic_load(&listener->shutdown) & SHUTDOWN_RECV)
		r = -ECONNREFUSED;
	else
		r = state == SOCK_NEW ? socket_accept_room(listener) : -EINVAL;
	if (!r)
		r = connect_to(s, listener, c);
	if (r == -EAGAIN)
		c->blocker = listener;
	else
		socket_put(listener);
	return r;
}

static int unix_accept(struct socket *s, struct socket **out)
{
	return socket_accept_pop(s, out);
}

static int unix_shutdown(struct socket *s, int how)
{
	int peer_how =
	    (how & SHUTDOWN_RECV ? SHUTDOWN_SEND : 0) | (how & SHUTDOWN_SEND ? SHUTDOWN_RECV : 0);

	stream_shutdown(s, how, atomic_load(&s->state) == SOCK_CONNECTED ? peer_how : 0);
	if (atomic_load(&s->state) == SOCK_LISTENING)
		waitq_wake_all(&s->room_wq, POLLOUT);
	return 0;
}

/* --- data ------------------------------------------------------------------------------------------ */

static bool wants_identity(const struct socket *s)
{
	return s && (s->set.passcred || s->set.passpidfd);
}

int unix_prepare_scm(struct socket *s, struct socket *to, struct sock_send *m)
{
	struct scm *scm = m->scm;
	struct sock_caller c = {0};
	bool admin;

	if (m->caller)
		c = *m->caller;
	else if (wants_identity(s) || wants_identity(to))
		socket_current_caller(&c);
	/* Explicit credentials are in place already; else the caller's, if anybody asked. */
	if (!scm->has_creds && c.cred && (wants_identity(s) || wants_identity(to))) {
		scm->has_creds = true;
		scm->pid = c.pid;
		scm->uid = c.cred->uid;
		scm->gid = c.cred->gid;
	}
	if (!scm->files || scm->files->in_flight)
		return 0;
	admin = !c.cred || cred_capable(c.cred, CAP_SYS_RESOURCE) ||
		cred_capable(c.cred, CAP_SYS_ADMIN);
	return scm_attach(scm->files, admin ? UINT64_MAX : c.nofile);
}

static ssize_t send_prepared(struct socket *s, struct sock_send *m)
{
	ssize_t r = unix_prepare_scm(s, s->peer, m);

	return r ? r : stream_send(s, m);
}

static ssize_t unix_stream_send(struct socket *s, struct sock_send *m)
{
	struct scm none = {0};
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->to && s->type == SOCK_STREAM)
		return atomic_load(&s->state) == SOCK_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (atomic_load(&s->state) != SOCK_CONNECTED)
		return -ENOTCONN;
	if (m->scm)
		return send_prepared(s, m);
	m->scm = &none;
	r = send_prepared(s, m);
	m->scm = NULL; /* the caller may come again after -EAGAIN */
	return r;
}

/* Like the sender's own name, which streams report with each read. */
static void add_sender(struct socket *s, struct sock_recv *m)
{
	if (m->scm && __atomic_load_n(&unix_of(s->peer)->name, __ATOMIC_ACQUIRE))
		unix_name_addr(unix_of(s->peer), &m->from);
}

static ssize_t unix_stream_recv(struct socket *s, struct sock_recv *m)
{
	int state = atomic_load(&s->state);
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET) {
		if (state != SOCK_CONNECTED)
			return -ENOTCONN;
		r = packet_recv(s, m);
	} else {
		if (state != SOCK_CONNECTED)
			return -EINVAL;
		r = m->len ? stream_recv(s, m) : 0;
	}
	if (r > 0)
		add_sender(s, m);
	return r;
}

static const struct socket_ops unix_stream_ops = {
    .bind = unix_bind,
    .listen = unix_listen,
    .connect = unix_connect,
    .accept = unix_accept,
    .name = unix_name_op,
    .send = unix_stream_send,
    .recv = unix_stream_recv,
    .shutdown = unix_shutdown,
    .poll = stream_poll,
    .option = unix_option,
    .ioctl = socket_queue_ioctl,
    .release = unix_stream_release,
    .free = unix_free,
};
