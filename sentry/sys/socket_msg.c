/*
 * The calls that carry data: send, recv and their kin. Data goes through a buffer
 * of the sentry: small ones on the stack, streams in chunks, datagrams whole.
 */
#include <errno.h>
#include <poll.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/io_wait.h"
#include "sentry/sys/socket_cmsg.h"
#include "sentry/sys/socket_util.h"

#define SMALL 2048
#define CHUNK 65536
#define DATAGRAM_MAX (1U << 25)
#define VLEN_MAX 1024 /* UIO_MAXIOV */

/* One message of the guest: a msghdr, or what sendto and recvfrom amount to. */
struct user_msg {
	struct msghdr h;       /* as the guest gave it; pointers are guest addresses */
	struct guest_iov *iov; /* owned if it came from h */
	uaddr single;	       /* without iov: one buffer */
	size_t total;
	int flags;
	bool nonblock;
};

static int msghdr_in(struct task *t, uaddr from, struct user_msg *m)
{
	int r = copyin(t, &m->h, from, sizeof(m->h));

	if (r)
		return r;
	if (!m->h.msg_name)
		m->h.msg_namelen = 0;
	if ((int)m->h.msg_namelen < 0)
		return -EINVAL;
	m->h.msg_namelen = min(m->h.msg_namelen, (socklen_t)sizeof(struct sockaddr_storage));
	if (m->h.msg_iovlen > 1024)
		return -EMSGSIZE;
	r = copyin_iov(t, UADDR((uintptr_t)m->h.msg_iov), m->h.msg_iovlen, &m->iov);
	if (!r)
		m->total = m->iov->total;
	return r;
}

static ssize_t data_in(struct task *t, const struct user_msg *m, size_t skip, void *to, size_t n)
{
	int r;

	if (!n)
		return 0;
	if (m->iov)
		return iov_copyin(t, m->iov, skip, to, n);
	r = copyin(t, to, uaddr_add(m->single, skip), n);
	return r ? r : (ssize_t)n;
}

static ssize_t data_out(struct task *t, const struct user_msg *m, size_t skip, const void *from,
			size_t n)
{
	int r;

	if (!n)
		return 0;
	if (m->iov)
		return iov_copyout(t, m->iov, skip, from, n);
	r = copyout_late(t, uaddr_add(m->single, skip), from, n);
	return r ? r : (ssize_t)n;
}

/* --- sending -------------------------------------------------------------------------------- */

struct send_state {
	struct task *t;
	struct socket *s;
	const struct user_msg *m;
	struct sock_send send;
	uint64_t deadline;
};

static long send_op(struct file *f, void *arg)
{
	struct socket *s = socket_of(f);

	return s->ops->send(s, arg);
}

/* Sends what lies in the buffer: all of it, unless something stops a stream. */
static ssize_t send_buffer(struct send_state *st, const char *buf, size_t n)
{
	size_t done = 0;
	long r;

	do {
		st->send.buf = buf + done;
		st->send.len = n - done;
		r = io_wait(st->t, &st->s->file, POLLOUT, st->m->nonblock, st->deadline, send_op,
			    &st->send);
		if (r < 0)
			return done ? (ssize_t)done : sock_intr(r, st->deadline);
		done += (size_t)r;
	} while (done < n && r);
	return (ssize_t)done;
}

static ssize_t send_loop(struct send_state *st, char *buf, size_t size)
{
	size_t done = 0, n;
	ssize_t r;

	do {
		n = min(st->m->total - done, size);
		r = data_in(st->t, st->m, done, buf, n);
		if (r < 0 || (size_t)r < n)
			return done ? (ssize_t)done : -EFAULT;
		r = send_buffer(st, buf, n);
		if (r < 0)
			return done ? (ssize_t)done : r;
		done += (size_t)r;
	} while (done < st->m->total && (size_t)r == n);
	return (ssize_t)done;
}

static ssize_t send_data(struct send_state *st)
{
	size_t size = st->m->total;
	_Alignas(8) char small[SMALL];
	SCOPED_CHARGED char *big = NULL;

	if (st->s->type == SOCK_STREAM)
		size = min(size, (size_t)CHUNK);
	else if (size > DATAGRAM_MAX || size > 2 * atomic_load(&st->s->sndbuf))
		return -EMSGSIZE;
	if (size <= SMALL)
		return send_loop(st, small, size ? size : SMALL);
	big = charged_malloc(size);
	return big ? send_loop(st, big, size) : -ENOBUFS;
}

static long send_msg(struct task *t, struct socket *s, const struct user_msg *m)
{
	struct send_state st = {.t = t, .s = s, .m = m, .deadline = sock_deadline(s, true)};
	struct sock_addr to;
	struct sock_task who;
	struct scm scm;
	long r = cmsg_in(t, s, UADDR((uintptr_t)m->h.msg_control), m->h.msg_controllen, &scm);

	if (!r && m->h.msg_namelen) {
		r = sock_addr_in(t, UADDR((uintptr_t)m->h.msg_name), m->h.msg_namelen, &to);
		st.send.to = &to;
	}
	if (!r) {
		sock_task_begin(t, &who, st.send.to && s->domain == AF_UNIX);
		st.send.flags = m->flags;
		st.send.scm = &scm;
		st.send.caller = &who.caller;
		r = send_data(&st);
		sock_task_end(&who);
	}
	scm_fini(&scm);
	if (r == -EPIPE && s->type == SOCK_STREAM && !(m->flags & MSG_NOSIGNAL)) {
		siginfo_t info = signal_info_user(t, SIGPIPE);

		signal_task(t, SIGPIPE, &info);
	}
	return r;
}

long sys_sendto(struct task *t, const struct sysargs *a)
{
	struct user_msg m = {.single = UADDR(a->v[1]), .total = a->v[2], .flags = (int)a->v[3]};
	struct socket *s;
	long r;

	m.h.msg_name = (void *)(uintptr_t)a->v[4];
	m.h.msg_namelen = a->v[4] ? (socklen_t)a->v[5] : 0;
	m.total = min(m.total, (size_t)(INT32_MAX & ~4095));
	m.nonblock = m.flags & MSG_DONTWAIT;
	r = sock_lookup(t, (int)a->v[0], &s);
	if (r)
		return r;
	r = send_msg(t, s, &m);
	file_put(&s->file);
	return r;
}

static long send_hdr(struct task *t, struct socket *s, uaddr hdr, int flags)
{
	struct user_msg m = {.flags = flags, .nonblock = flags & MSG_DONTWAIT};
	long r = msghdr_in(t, hdr, &m);

	if (!r && m.h.msg_controllen > INT32_MAX)
		r = -ENOBUFS;
	if (!r)
		r = send_msg(t, s, &m);
	free(m.iov);
	return r;
}

long sys_sendmsg(struct task *t, const struct sysargs *a)
{
	struct socket *s;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = send_hdr(t, s, UADDR(a->v[1]), (int)a->v[2]);
	file_put(&s->file);
	return r;
}

long sys_sendmmsg(struct task *t, const struct sysargs *a)
{
	unsigned int n = min((unsigned int)a->v[2], (unsigned int)VLEN_MAX), done;
	struct socket *s;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	for (done = 0; done < n; done++) {
		uaddr at = UADDR(a->v[1] + done * sizeof(struct mmsghdr));
		uint32_t len;

		r = send_hdr(t, s, at, (int)a->v[3]);
		if (r < 0)
			break;
		len = (uint32_t)r;
		r = copyout(t, uaddr_add(at, offsetof(struct mmsghdr, msg_len)), &len, 4);
		if (r)
			break;
	}
	file_put(&s->file);
	return done ? (long)done : r;
}

/* --- receiving ------------------------------------------------------------------------------ */

struct recv_state {
	struct task *t;
	struct socket *s;
	const struct user_msg *m;
	struct sock_recv recv;
	uint64_t deadline;
};

static long recv_op(struct file *f, void *arg)
{
	struct socket *s = socket_of(f);

	return s->ops->recv(s, arg);
}

/* How many bytes a stream read waits for. */
static size_t wanted(const struct recv_state *st)
{
	if (st->s->type != SOCK_STREAM)
		return 1;
	if (st->m->flags & MSG_WAITALL && !(st->m->flags & MSG_PEEK))
		return st->m->total;
	return min((size_t)st->s->set.rcvlowat, st->m->total);
}

/* TCP with MSG_TRUNC throws the bytes away. */
static bool discards(const struct recv_state *st)
{
	return st->m->flags & MSG_TRUNC && st->s->type == SOCK_STREAM && st->s->domain != AF_UNIX;
}

/* A stream read goes on if it has too little yet, or if a full piece says there may be more. */
static bool goes_on(const struct recv_state *st, size_t done, bool full)
{
	if (done == st->m->total || st->s->type != SOCK_STREAM || st->recv.scm->files)
		return false;
	if (st->m->flags & (MSG_PEEK | MSG_OOB))
		return false;
	return full || done < wanted(st);
}

static ssize_t recv_loop(struct recv_state *st, char *buf, size_t size)
{
	size_t done = 0, n, got;
	ssize_t r;

	do {
		n = min(st->m->total - done, size);
		st->recv.buf = buf;
		st->recv.len = n;
		r = io_wait(st->t, &st->s->file, POLLIN,
			    st->m->nonblock || (done && done >= wanted(st)), st->deadline, recv_op,
			    &st->recv);
		if (r < 0)
			return done ? (ssize_t)done : sock_intr(r, st->deadline);
		got = min((size_t)r, n); /* MSG_TRUNC tells more than there is */
		if (!discards(st) && data_out(st->t, st->m, done, buf, got) < (ssize_t)got)
			return done ? (ssize_t)done : -EFAULT;
		done += (size_t)r;
	} while (r && goes_on(st, done, (size_t)r == n));
	return (ssize_t)done;
}

static ssize_t recv_data(struct recv_state *st)
{
	size_t size =
	    min(st->m->total, (size_t)(st->s->type == SOCK_STREAM ? CHUNK : DATAGRAM_MAX));
	_Alignas(8) char small[SMALL];
	SCOPED_FREE char *big = NULL;

	if (size <= SMALL)
		return recv_loop(st, small, size);
	big = malloc(size);
	return big ? recv_loop(st, big, size) : -ENOBUFS;
}

/* The results of recvmsg beside the data: name, control messages, flags. */
static int hdr_out(struct recv_state *st, const struct user_msg *m, uaddr hdr)
{
	struct task *t = st->t;
	bool cloexec = m->flags & MSG_CMSG_CLOEXEC;
	size_t used = 0;
	uint32_t flags;
	int r = cmsg_out(t, st->s, &st->recv, UADDR((uintptr_t)m->h.msg_control),
			 m->h.msg_control ? m->h.msg_controllen : 0, cloexec, &used);

	if (!r && m->h.msg_name)
		r = sock_addr_out(t, &st->recv.from, UADDR((uintptr_t)m->h.msg_name),
				  uaddr_add(hdr, offsetof(struct msghdr, msg_namelen)));
	flags = (uint32_t)st->recv.msg_flags | (cloexec ? MSG_CMSG_CLOEXEC : 0);
	if (!r)
		r = copyout(t, uaddr_add(hdr, offsetof(struct msghdr, msg_flags)), &flags, 4);
	if (!r)
		r = copyout(t, uaddr_add(hdr, offsetof(struct msghdr, msg_controllen)), &used,
			    sizeof(used));
	return r;
}

static long recv_msg(struct task *t, struct socket *s, const struct user_msg *m, uaddr hdr,
		     uaddr name, uaddr name_len)
{
	struct scm scm = {0};
	struct recv_state st = {.t = t, .s = s, .m = m, .deadline = sock_deadline(s, false)};
	long r, out = 0;

	/* No errors are queued on loopback. */
	if (m->flags & MSG_ERRQUEUE && (s->domain == AF_INET || s->domain == AF_INET6))
		return -EAGAIN;
	st.recv.flags = m->flags;
	st.recv.scm = &scm;
	st.recv.from.len = 0;
	r = recv_data(&st);
	if (r >= 0 && !uaddr_null(hdr))
		out = hdr_out(&st, m, hdr);
	else if (r >= 0 && !uaddr_null(name))
		out = sock_addr_out(t, &st.recv.from, name, name_len);
	scm_fini(&scm);
	return out ? out : r;
}

long sys_recvfrom(struct task *t, const struct sysargs *a)
{
	struct user_msg m = {.single = UADDR(a->v[1]), .flags = (int)a->v[3]};
	struct socket *s;
	long r;

	m.total = min(a->v[2], (uint64_t)(INT32_MAX & ~4095));
	m.nonblock = m.flags & MSG_DONTWAIT;
	r = sock_lookup(t, (int)a->v[0], &s);
	if (r)
		return r;
	r = recv_msg(t, s, &m, UADDR_NULL, UADDR(a->v[4]), UADDR(a->v[5]));
	file_put(&s->file);
	return r;
}

static long recv_hdr(struct task *t, struct socket *s, uaddr hdr, int flags)
{
	struct user_msg m = {.flags = flags, .nonblock = flags & MSG_DONTWAIT};
	long r = msghdr_in(t, hdr, &m);

	if (!r)
		r = recv_msg(t, s, &m, hdr, UADDR_NULL, UADDR_NULL);
	free(m.iov);
	return r;
}

long sys_recvmsg(struct task *t, const struct sysargs *a)
{
	struct socket *s;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = recv_hdr(t, s, UADDR(a->v[1]), (int)a->v[2]);
	file_put(&s->file);
	return r;
}

static long recv_many(struct task *t, struct socket *s, uaddr vec, unsigned int n, int flags,
		      uint64_t deadline)
{
	unsigned int done;
	long r = 0;

	for (done = 0; done < n; done++) {
		uaddr at = uaddr_add(vec, done * sizeof(struct mmsghdr));
		uint32_t len;

		r = recv_hdr(t, s, at, flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		len = (uint32_t)r;
		r = copyout(t, uaddr_add(at, offsetof(struct mmsghdr, msg_len)), &len, 4);
		if (r)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* The timeout is looked at between messages only (recvmmsg(2), BUGS). */
		if (deadline != SLEEP_FOREVER && host_monotonic_ns() >= deadline) {
			done++;
			break;
		}
	}
	if (done && r < 0 && r != -EAGAIN && r != -ERESTARTSYS)
		socket_set_error(s, (int)-r);
	return done ? (long)done : r;
}

long sys_recvmmsg(struct task *t, const struct sysargs *a)
{
	unsigned int n = min((unsigned int)a->v[2], (unsigned int)VLEN_MAX);
	uint64_t deadline = SLEEP_FOREVER;
	struct socket *s;
	int64_t ns;
	long r = copyin_timeout(t, UADDR(a->v[4]), &ns);

	if (r)
		return r;
	if (ns >= 0)
		deadline = deadline_after(ns);
	r = sock_lookup(t, (int)a->v[0], &s);
	if (r)
		return r;
	r = recv_many(t, s, UADDR(a->v[1]), n, (int)a->v[3], deadline);
	file_put(&s->file);
	return r;
}
