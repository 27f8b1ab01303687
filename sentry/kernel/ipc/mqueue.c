/*
 * One POSIX message queue: its messages, and the notification of one process when
 * a message comes to an empty queue that nobody waits on.
 *
 * SIGEV_THREAD reaches the guest the way glibc arranged it with Linux: a cookie is
 * sent to a netlink socket that the library's helper thread reads.
 */
#include "sentry/kernel/ipc/mqueue.h"
#include "sentry/kernel/tasklist.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/signal.h"
#include "sentry/net/netlink.h"
#include "sentry/net/socket.h"

#define COOKIE_WOKENUP 1
#define COOKIE_REMOVED 2

/* --- notification ---------------------------------------------------------------------------- */

/* What to tell whom, taken out of the queue so that it can be done without its lock. */
struct notice {
	struct process *process;
	struct socket *socket;
	int how, signal;
	uint64_t value;
	unsigned char cookie[32];
};

static struct notice take_notice_locked(struct mqueue *q)
{
	struct notice n = {.process = q->notify,
			   .socket = q->notify_socket,
			   .how = q->notify_how,
			   .signal = q->notify_signal,
			   .value = q->notify_value};

	memcpy(n.cookie, q->notify_cookie, sizeof(n.cookie));
	q->notify = NULL;
	q->notify_socket = NULL;
	return n;
}

static void tell_thread(struct notice *n, int why)
{
	n->cookie[sizeof(n->cookie) - 1] = (unsigned char)why;
	netlink_deliver(n->socket, n->cookie, sizeof(n->cookie));
	file_put(&n->socket->file);
}

static void tell(struct notice *n, struct task *sender)
{
	siginfo_t info = {.si_signo = n->signal, .si_code = SI_MESGQ};

	if (!n->process)
		return;
	if (n->how == SIGEV_SIGNAL) {
		info.si_pid = pid_show(n->process->pids, sender->process->tgid);
		info.si_uid = sender->cred->uid;
		info.si_value.sival_ptr = (void *)(uintptr_t)n->value;
		signal_process(n->process, n->signal, &info);
	} else if (n->how == SIGEV_THREAD) {
		tell_thread(n, COOKIE_WOKENUP);
	}
	process_put(n->process);
}

int mqueue_notify(struct task *t, struct mqueue *q, const struct sigevent *ev, struct socket *s,
		  const unsigned char *cookie)
{
	SCOPED_LOCK(&q->lock);

	if (q->notify)
		return -EBUSY;
	q->notify = process_get(t->process);
	q->notify_how = ev->sigev_notify;
	q->notify_signal = ev->sigev_signo;
	q->notify_value = (uint64_t)(uintptr_t)ev->sigev_value.sival_ptr;
	q->notify_socket = s;
	if (cookie)
		memcpy(q->notify_cookie, cookie, sizeof(q->notify_cookie));
	return 0;
}

void mqueue_unnotify(struct mqueue *q, struct process *p)
{
	struct notice n = {0};

	mutex_lock(&q->lock);
	if (q->notify && (!p || q->notify == p))
		n = take_notice_locked(q);
	mutex_unlock(&q->lock);
	if (!n.process)
		return;
	if (n.how == SIGEV_THREAD)
		tell_thread(&n, COOKIE_REMOVED);
	process_put(n.process);
}

/* --- messages ------------------------------------------------------------------------------------ */

static void insert_locked(struct mqueue *q, struct mq_message *m)
{
	struct mq_message *at;

	/* Behind the last that is not less urgent: searched from the end, as priorities are
	 * mostly equal. */
	for (at = list_last(&q->messages, struct mq_message, node); &at->node != &q->messages;
	     at = list_last(&at->node, struct mq_message, node))
		if (at->priority >= m->priority)
			break;
	list_add(&at->node, &m->node);
	q->count++;
	q->bytes += m->len;
}

int mqueue_send(struct task *t, struct mqueue *q, struct mq_message **m)
{
	struct notice n = {0};

	mutex_lock(&q->lock);
	if (q->count >= q->maxmsg) {
		mutex_unlock(&q->lock);
		return -EAGAIN;
	}
	if (!q->count && !q->receivers && q->notify)
		n = take_notice_locked(q);
	insert_locked(q, *m);
	*m = NULL;
	mutex_unlock(&q->lock);
	waitq_wake_all(&q->wq, POLLIN | POLLRDNORM);
	tell(&n, t);
	return 0;
}

int mqueue_receive(struct mqueue *q, struct mq_message **out)
{
	mutex_lock(&q->lock);
	if (list_empty(&q->messages)) {
		mutex_unlock(&q->lock);
		return -EAGAIN;
	}
	*out = list_first(&q->messages, struct mq_message, node);
	list_del(&(*out)->node);
	q->count--;
	q->bytes -= (*out)->len;
	mutex_unlock(&q->lock);
	waitq_wake_all(&q->wq, POLLOUT | POLLWRNORM);
	return 0;
}

void mqueue_set_waiting(struct mqueue *q, bool waiting)
{
	SCOPED_LOCK(&q->lock);

	q->receivers += waiting ? 1 : -1;
}

void mqueue_clear(struct mqueue *q)
{
	struct mq_message *m, *tmp;

	mqueue_unnotify(q, NULL);
	list_for_each_safe (m, tmp, &q->messages, node)
		charged_free(m);
}

/* --- open files ------------------------------------------------------------------------------------- */

static struct mqueue *queue_of(const struct file *f)
{
	return container_of(f->inode, struct mqueue, inode);
}

/* What reading the file in a mounted mqueue shows. */
static ssize_t mq_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct mqueue *q = queue_of(f);
	char text[128];
	int len;

	mutex_lock(&q->lock);
	len = snprintf(text, sizeof(text), "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
		       (unsigned long long)q->bytes, q->notify ? q->notify_how : 0,
		       q->notify && q->notify_how == SIGEV_SIGNAL ? q->notify_signal : 0,
		       q->notify ? q->notify->tgid : 0);
	mutex_unlock(&q->lock);
	if (*pos >= len)
		return 0;
	n = min(n, (size_t)(len - *pos));
	memcpy(buf, text + *pos, n);
	*pos += (off_t)n;
	return (ssize_t)n;
}

static uint32_t mq_poll(struct file *f)
{
	struct mqueue *q = queue_of(f);
	SCOPED_LOCK(&q->lock);

	return (q->count ? POLLIN | POLLRDNORM : 0) |
	       (q->count < q->maxmsg ? POLLOUT | POLLWRNORM : 0);
}

/* A process that closes any descriptor of the queue is no longer notified. */
static void mq_flush(struct file *f)
{
	struct task *t = task_current();

	if (t)
		mqueue_unnotify(queue_of(f), t->process);
}

static void mq_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops mq_file_ops = {
    .read = mq_read,
    .poll = mq_poll,
    .flush = mq_flush,
    .release = mq_release,
};

struct mqueue *mqueue_of_file(struct file *f)
{
	return f->ops == &mq_file_ops ? queue_of(f) : NULL;
}

int mqueue_open_file(struct mqueue *q, const struct path *path, const struct cred *cred, int flags,
		     struct file **out)
{
	struct file *f = NEW(struct file);

	file_init(f, &mq_file_ops, &q->inode, path, cred, flags);
	f->caps = FILE_CAN_SEEK;
	f->wq = &q->wq;
	*out = f;
	return 0;
}
