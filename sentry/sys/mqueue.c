/* POSIX message queue calls. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "common/host.h"
#include "sentry/core/account.h"
#include "sentry/kernel/ipc/mqueue.h"
#include "sentry/kernel/usermem.h"
#include "sentry/net/socket.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/io_wait.h"

long sys_mq_open(struct task *t, const struct sysargs *a)
{
	char name[4096];
	struct kmq_attr attr;
	bool has_attr = a->v[3] && (int)a->v[1] & O_CREAT;
	uint32_t mode = (uint32_t)a->v[2] & 0777;
	struct file *f;
	long r = copyin_path(t, name, UADDR(a->v[0]), true);

	if (r < 0)
		return r;
	r = has_attr ? copyin(t, &attr, UADDR(a->v[3]), sizeof(attr)) : 0;
	if (r)
		return r;
	mutex_lock(&t->fs->lock);
	mode &= ~t->fs->umask;
	mutex_unlock(&t->fs->lock);
	r = mqueue_open(t, name, (int)a->v[1], mode, has_attr ? &attr : NULL, &f);
	return r ? r : fd_new(t, f, true);
}

long sys_mq_unlink(struct task *t, const struct sysargs *a)
{
	char name[4096];
	long r = copyin_path(t, name, UADDR(a->v[0]), true);

	return r < 0 ? r : mqueue_unlink(t, name);
}

/* The queue of a descriptor, with an owned file reference. */
static int lookup(struct task *t, int fd, struct file **f, struct mqueue **q)
{
	*f = fd_get_io(t->files, fd);
	if (!*f)
		return -EBADF;
	*q = mqueue_of_file(*f);
	if (*q)
		return 0;
	file_put(*f);
	return -EBADF;
}

/* A point in CLOCK_REALTIME as a deadline on CLOCK_MONOTONIC. */
static int deadline_in(struct task *t, uaddr from, uint64_t *out)
{
	struct timespec ts;
	uint64_t ns, now;
	int r;

	*out = SLEEP_FOREVER;
	if (uaddr_null(from))
		return 0;
	r = copyin_timespec(t, from, &ts);
	if (r)
		return r;
	ns = (uint64_t)timespec_ns(&ts);
	now = host_realtime_ns();
	*out = ns <= now ? 0 : host_monotonic_ns() + (ns - now);
	return 0;
}

struct mq_op {
	struct task *t;
	struct mqueue *q;
	struct mq_message *m;
};

static long wait_result(struct file *f, long r)
{
	if (r == -EAGAIN && !(atomic_load(&f->flags) & O_NONBLOCK))
		return -ETIMEDOUT;
	return r;
}

static long send_op(struct file *f, void *arg)
{
	struct mq_op *op = arg;

	return mqueue_send(op->t, op->q, &op->m);
}

static struct mq_message *message_in(struct task *t, uaddr from, size_t n, unsigned int priority,
				     int *err)
{
	struct mq_message *m = charged_malloc(sizeof(*m) + n);

	*err = m ? 0 : -ENOMEM;
	if (!m)
		return NULL;
	list_init(&m->node);
	m->priority = priority;
	m->len = n;
	*err = copyin(t, m->text, from, n);
	if (!*err)
		return m;
	charged_free(m);
	return NULL;
}

long sys_mq_timedsend(struct task *t, const struct sysargs *a)
{
	struct mq_op op = {.t = t};
	struct file *f;
	uint64_t deadline;
	int r;

	if (a->v[3] >= MQ_PRIORITY_MAX)
		return -EINVAL;
	r = deadline_in(t, UADDR(a->v[4]), &deadline);
	if (r)
		return r;
	r = lookup(t, (int)a->v[0], &f, &op.q);
	if (r)
		return r;
	if (!file_writable(f))
		r = -EBADF;
	else if (a->v[2] > (uint64_t)op.q->msgsize)
		r = -EMSGSIZE;
	else
		op.m = message_in(t, UADDR(a->v[1]), a->v[2], (unsigned int)a->v[3], &r);
	if (!r)
		r = (int)wait_result(f, io_wait(t, f, POLLOUT, false, deadline, send_op, &op));
	charged_free(op.m);
	file_put(f);
	return r;
}

static long receive_op(struct file *f, void *arg)
{
	struct mq_op *op = arg;

	return mqueue_receive(op->q, &op->m);
}

static long receive(struct mq_op *op, struct file *f, uaddr buf, uaddr priority, uint64_t deadline)
{
	long r;

	mqueue_set_waiting(op->q, true);
	r = wait_result(f, io_wait(op->t, f, POLLIN, false, deadline, receive_op, op));
	mqueue_set_waiting(op->q, false);
	if (r)
		return r;
	r = copyout_late(op->t, buf, op->m->text, op->m->len);
	if (!r && !uaddr_null(priority))
		r = copyout_late(op->t, priority, &op->m->priority, sizeof(op->m->priority));
	if (!r)
		r = (long)op->m->len;
	charged_free(op->m);
	return r;
}

long sys_mq_timedreceive(struct task *t, const struct sysargs *a)
{
	struct mq_op op = {.t = t};
	struct file *f;
	uint64_t deadline;
	long r = deadline_in(t, UADDR(a->v[4]), &deadline);

	if (r)
		return r;
	r = lookup(t, (int)a->v[0], &f, &op.q);
	if (r)
		return r;
	if (!file_readable(f))
		r = -EBADF;
	else if (a->v[2] < (uint64_t)op.q->msgsize)
		r = -EMSGSIZE;
	else
		r = receive(&op, f, UADDR(a->v[1]), UADDR(a->v[3]), deadline);
	file_put(f);
	return r;
}

/* SIGEV_THREAD as glibc asks for it: sigev_signo is a netlink socket, sigev_value points to
 * the cookie. */
static int notify_thread(struct task *t, struct mqueue *q, const struct sigevent *ev)
{
	unsigned char cookie[32];
	struct socket *s;
	struct file *f;
	int r = copyin(t, cookie, UADDR((uintptr_t)ev->sigev_value.sival_ptr), sizeof(cookie));

	if (r)
		return r;
	f = fd_get_io(t->files, ev->sigev_signo);
	if (!f)
		return -EBADF;
	s = socket_from_file(f);
	r = s && s->domain == AF_NETLINK ? mqueue_notify(t, q, ev, s, cookie) : -EINVAL;
	if (r)
		file_put(f);
	return r;
}

static int notify(struct task *t, struct mqueue *q, const struct sigevent *ev)
{
	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return mqueue_notify(t, q, ev, NULL, NULL);
	case SIGEV_SIGNAL:
		if (ev->sigev_signo < 0 || ev->sigev_signo > 64)
			return -EINVAL;
		return mqueue_notify(t, q, ev, NULL, NULL);
	case SIGEV_THREAD:
		return notify_thread(t, q, ev);
	}
	return -EINVAL;
}

long sys_mq_notify(struct task *t, const struct sysargs *a)
{
	struct sigevent ev;
	struct mqueue *q;
	struct file *f;
	int r = a->v[1] ? copyin(t, &ev, UADDR(a->v[1]), sizeof(ev)) : 0;

	if (!r)
		r = lookup(t, (int)a->v[0], &f, &q);
	if (r)
		return r;
	if (a->v[1])
		r = notify(t, q, &ev);
	else
		mqueue_unnotify(q, t->process);
	file_put(f);
	return r;
}

static void attr_of(struct file *f, struct mqueue *q, struct kmq_attr *out)
{
	SCOPED_LOCK(&q->lock);

	*out = (struct kmq_attr){.flags = atomic_load(&f->flags) & O_NONBLOCK,
				 .maxmsg = q->maxmsg,
				 .msgsize = q->msgsize,
				 .curmsgs = q->count};
}

long sys_mq_getsetattr(struct task *t, const struct sysargs *a)
{
	struct kmq_attr new, old;
	struct mqueue *q;
	struct file *f;
	int r = a->v[1] ? copyin(t, &new, UADDR(a->v[1]), sizeof(new)) : 0;

	if (!r && a->v[1] && new.flags & ~(int64_t)O_NONBLOCK)
		r = -EINVAL;
	if (!r)
		r = lookup(t, (int)a->v[0], &f, &q);
	if (r)
		return r;
	attr_of(f, q, &old);
	if (a->v[1] && new.flags)
		atomic_fetch_or(&f->flags, O_NONBLOCK);
	else if (a->v[1])
		atomic_fetch_and(&f->flags, ~O_NONBLOCK);
	file_put(f);
	return a->v[2] ? copyout_late(t, UADDR(a->v[2]), &old, sizeof(old)) : 0;
}
