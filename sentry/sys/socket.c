/* Socket calls but for those that carry data (socket_msg.c) and options (socket_opt.c). */
#include <errno.h>

#include "sentry/fs/inode.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/usermem.h"
#include "sentry/net/unix.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/io_wait.h"
#include "sentry/sys/socket_util.h"

#define TYPE_MASK 0xf

static int split_type(int arg, int *type, int *flags)
{
	*type = arg & TYPE_MASK;
	*flags = arg & ~TYPE_MASK;
	return *flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK) ? -EINVAL : 0;
}

/* Gives a new socket to the guest; takes the reference. */
static int socket_install(struct task *t, struct socket *s, int flags)
{
	if (flags & SOCK_NONBLOCK)
		atomic_fetch_or(&s->file.flags, O_NONBLOCK);
	return fd_new(t, &s->file, flags & SOCK_CLOEXEC);
}

long sys_socket(struct task *t, const struct sysargs *a)
{
	struct socket *s;
	int type, flags, r = split_type((int)a->v[1], &type, &flags);

	if (r)
		return r;
	r = socket_create(t->ns->net, (int)a->v[0], type, (int)a->v[2], t->cred, &s);
	return r ? r : socket_install(t, s, flags);
}

/* Two descriptors to the guest: both or none. Takes the references. */
static int install_pair(struct task *t, struct socket *s[2], int flags, uaddr to)
{
	int fds[2], r;

	fds[0] = socket_install(t, s[0], flags);
	if (fds[0] < 0) {
		file_put(&s[1]->file);
		return fds[0];
	}
	fds[1] = socket_install(t, s[1], flags);
	if (fds[1] < 0) {
		fd_close(t->files, fds[0]);
		return fds[1];
	}
	r = copyout(t, to, fds, sizeof(fds));
	if (r) {
		fd_close(t->files, fds[0]);
		fd_close(t->files, fds[1]);
	}
	return r;
}

long sys_socketpair(struct task *t, const struct sysargs *a)
{
	int domain = (int)a->v[0], type, flags, r = split_type((int)a->v[1], &type, &flags);
	struct socket *s[2];
	struct sock_task st;

	if (r)
		return r;
	if (domain != AF_UNIX) {
		r = socket_create(t->ns->net, domain, type, (int)a->v[2], t->cred, &s[0]);
		if (r)
			return r;
		file_put(&s[0]->file);
		return -EOPNOTSUPP;
	}
	sock_task_begin(t, &st, false);
	r = unix_pair(t->ns->net, type, (int)a->v[2], &st.caller, s);
	sock_task_end(&st);
	return r ? r : install_pair(t, s, flags, UADDR(a->v[3]));
}

long sys_bind(struct task *t, const struct sysargs *a)
{
	struct sock_addr addr;
	struct sock_task st;
	struct socket *s;
	int r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = sock_addr_in(t, UADDR(a->v[1]), (uint32_t)a->v[2], &addr);
	if (!r) {
		sock_task_begin(t, &st, s->domain == AF_UNIX);
		r = s->ops->bind(s, &addr, &st.caller);
		sock_task_end(&st);
	}
	file_put(&s->file);
	return r;
}

#define SOMAXCONN_NOW 4096 /* net.core.somaxconn */

long sys_listen(struct task *t, const struct sysargs *a)
{
	unsigned int backlog = min((unsigned int)a->v[1], (unsigned int)SOMAXCONN_NOW);
	struct sock_task st;
	struct socket *s;
	int r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	sock_task_begin(t, &st, false);
	r = s->ops->listen(s, (int)backlog, &st.caller);
	sock_task_end(&st);
	file_put(&s->file);
	return r;
}

/* --- connect ------------------------------------------------------------------------------ */

/* A connect that is under way: done once the socket has left SOCK_CONNECTING. */
static long connect_done(struct file *f, void *arg)
{
	struct socket *s = socket_of(f);

	return atomic_load(&s->state) == SOCK_CONNECTING ? -EAGAIN : -socket_take_error(s);
}

static long await_connect(struct task *t, struct socket *s, uint64_t deadline)
{
	long r = io_wait(t, &s->file, POLLOUT | POLLHUP, false, deadline, connect_done, NULL);

	return r == -EAGAIN ? -EINPROGRESS : r;
}

/* Tries until the listener has room. */
static long connect_loop(struct task *t, struct socket *s, struct sock_connect *c,
			 uint64_t deadline)
{
	long r;

	for (;;) {
		c->blocker = NULL;
		r = s->ops->connect(s, c);
		if (r != -EAGAIN || !c->blocker)
			break;
		if (!c->nonblock)
			r = wait_on(t, &c->blocker->room_wq, POLLOUT, deadline, socket_accept_room,
				    c->blocker);
		socket_put(c->blocker);
		if (r)
			return r;
	}
	if (r == -EINPROGRESS && !c->nonblock)
		r = await_connect(t, s, deadline);
	return r;
}

long sys_connect(struct task *t, const struct sysargs *a)
{
	struct sock_connect c = {0};
	struct sock_task st;
	struct socket *s;
	uint64_t deadline;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = sock_addr_in(t, UADDR(a->v[1]), (uint32_t)a->v[2], &c.addr);
	if (!r) {
		sock_task_begin(t, &st, s->domain == AF_UNIX);
		c.caller = &st.caller;
		c.nonblock = atomic_load(&s->file.flags) & O_NONBLOCK;
		deadline = sock_deadline(s, true);
		r = sock_intr(connect_loop(t, s, &c, deadline), deadline);
		sock_task_end(&st);
	}
	file_put(&s->file);
	return r;
}

/* --- accept ---------------------------------------------------------------------------------- */

static long accept_op(struct file *f, void *arg)
{
	struct socket *s = socket_of(f);

	return s->ops->accept(s, arg);
}

static long accept_one(struct task *t, struct socket *s, struct socket **conn)
{
	uint64_t deadline = sock_deadline(s, false);
	int state = atomic_load(&s->state);

	if (s->type == SOCK_DGRAM || !s->ops->accept)
		return -EOPNOTSUPP;
	if (state != SOCK_LISTENING)
		return -EINVAL;
	return sock_intr(io_wait(t, &s->file, POLLIN, false, deadline, accept_op, conn), deadline);
}

/* The connection as a new descriptor; without a free one it stays in the queue. */
static long give_accepted(struct task *t, struct socket *s, struct socket *conn, uaddr addr,
			  uaddr len, int flags)
{
	struct sock_addr peer;
	long r;

	if (!uaddr_null(addr)) {
		r = conn->ops->name(conn, NAME_ACCEPTED, &peer) ? -ECONNABORTED : 0;
		if (!r)
			r = sock_addr_out(t, &peer, addr, len);
		if (r) {
			file_put(&conn->file);
			return r;
		}
	}
	if (flags & SOCK_NONBLOCK)
		atomic_fetch_or(&conn->file.flags, O_NONBLOCK);
	r = fd_install(t->files, &conn->file, 0, task_rlimit(t, RLIMIT_NOFILE),
		       flags & SOCK_CLOEXEC);
	if (r < 0)
		socket_accept_unpop(s, conn);
	return r;
}

static long do_accept(struct task *t, int fd, uaddr addr, uaddr len, int flags)
{
	struct socket *s, *conn;
	long r;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	r = sock_lookup(t, fd, &s);
	if (r)
		return r;
	r = accept_one(t, s, &conn);
	if (!r)
		r = give_accepted(t, s, conn, addr, len, flags);
	file_put(&s->file);
	return r;
}

long sys_accept(struct task *t, const struct sysargs *a)
{
	return do_accept(t, (int)a->v[0], UADDR(a->v[1]), UADDR(a->v[2]), 0);
}

long sys_accept4(struct task *t, const struct sysargs *a)
{
	return do_accept(t, (int)a->v[0], UADDR(a->v[1]), UADDR(a->v[2]), (int)a->v[3]);
}

/* --- names, shutdown ------------------------------------------------------------------------- */

static long get_name(struct task *t, const struct sysargs *a, int which)
{
	struct sock_addr addr = {0};
	struct socket *s;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = s->ops->name(s, which, &addr);
	file_put(&s->file);
	return r ? r : sock_addr_out(t, &addr, UADDR(a->v[1]), UADDR(a->v[2]));
}

long sys_getsockname(struct task *t, const struct sysargs *a)
{
	return get_name(t, a, NAME_OWN);
}

long sys_getpeername(struct task *t, const struct sysargs *a)
{
	return get_name(t, a, NAME_PEER);
}

long sys_shutdown(struct task *t, const struct sysargs *a)
{
	unsigned int how = (unsigned int)a->v[1];
	struct socket *s;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = how > SHUT_RDWR ? -EINVAL : s->ops->shutdown(s, (int)how + 1);
	file_put(&s->file);
	return r;
}
