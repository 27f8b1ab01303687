/*
 * System V message queues. Senders wait for room, receivers for a message of
 * their type; both sleep on the queue's waitq and look again.
 *
 * Locking: msg.lock of the namespace guards all queues. A waiting call holds a
 * reference on its queue, which may be removed meanwhile (-EIDRM).
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "common/text.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/task_wait.h"
#include "sentry/kernel/usermem.h"

#define QUEUE_BYTES 16384 /* kernel.msgmnb */
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct msg {
	struct list node;
	long type;
	size_t len;
	unsigned char text[];
};

struct msg_queue {
	struct ipc_object obj;
	struct waitq wq; /* senders and receivers alike */
	struct list messages;
	uint64_t bytes, count, limit;
	int64_t stime, rtime, ctime;
	int lspid, lrpid;
};

static struct msg_queue *queue_of(struct ipc_object *o)
{
	return container_of(o, struct msg_queue, obj);
}

static void queue_free(struct ipc_object *o)
{
	struct msg_queue *q = queue_of(o);
	struct msg *m, *tmp;

	list_for_each_safe (m, tmp, &q->messages, node)
		charged_free(m);
	waitq_destroy(&q->wq);
	charged_free(q);
}

static int queue_create(struct task *t, struct ipc_get *g, struct ipc_object **out)
{
	struct msg_queue *q = charged_alloc(sizeof(*q));

	if (!q)
		return -ENOMEM;
	ref_init(&q->obj.ref);
	q->obj.free = queue_free;
	waitq_init(&q->wq);
	list_init(&q->messages);
	q->limit = QUEUE_BYTES;
	q->ctime = ipc_now();
	*out = &q->obj;
	return 0;
}

long msg_get(struct task *t, int key, int flags)
{
	struct ipc_get g = {
	    .ids = &t->ns->ipc->msg, .key = key, .flags = flags, .create = queue_create};

	return ipc_get_id(t, &g);
}

/* A queue with a reference, access checked. */
static int queue_lookup(struct task *t, int id, int access, struct msg_queue **out)
{
	struct ipc_ids *ids = &t->ns->ipc->msg;
	SCOPED_LOCK(&ids->lock);
	struct ipc_object *o;
	int r = ipc_find(ids, id, &o);

	if (!r)
		r = ipc_permission(ids, o, t->cred, access);
	if (!r)
		*out = queue_of(ipc_object_get(o));
	return r;
}

/* --- sending ----------------------------------------------------------------------------------- */

struct transfer {
	struct task *t;
	struct msg_queue *q;
	struct msg *m; /* send: to queue; receive: what was taken */
	long type;
	size_t room;
	int flags;
};

static long try_send(void *arg)
{
	struct transfer *x = arg;
	struct msg_queue *q = x->q;
	SCOPED_LOCK(&x->t->ns->ipc->msg.lock);

	if (q->obj.dead)
		return -EIDRM;
	if (q->bytes + x->m->len > q->limit || q->count + 1 > q->limit)
		return -EAGAIN;
	list_add_tail(&q->messages, &x->m->node);
	q->bytes += x->m->len;
	q->count++;
	q->stime = ipc_now();
	q->lspid = x->t->process->tgid;
	x->m = NULL;
	return 0;
}

/* Runs a try, and waits for the queue unless IPC_NOWAIT. A signal ends the wait for good. */
static long transfer(struct transfer *x, long (*try)(void *))
{
	long r = try(x);

	if (r == -EAGAIN && !(x->flags & IPC_NOWAIT)) {
		r = task_wait_on(x->t, &x->q->wq, SLEEP_FOREVER, try, x);
		if (r == -ERESTARTSYS)
			r = -EINTR;
	}
	return r;
}

long msg_send(struct task *t, int id, long type, const void *text, size_t n, int flags)
{
	struct transfer x = {.t = t, .flags = flags};
	long r;

	if (type < 1 || id < 0 || n > MSG_TEXT_MAX)
		return -EINVAL;
	r = queue_lookup(t, id, 0222, &x.q);
	if (r)
		return r;
	x.m = charged_malloc(sizeof(*x.m) + n);
	if (x.m) {
		list_init(&x.m->node);
		x.m->type = type;
		x.m->len = n;
		memcpy(x.m->text, text, n);
		r = transfer(&x, try_send);
		charged_free(x.m);
		if (!r)
			waitq_wake_all(&x.q->wq, POLLIN);
	} else {
		r = -ENOMEM;
	}
	ipc_object_put(&x.q->obj);
	return r;
}

/* --- receiving ------------------------------------------------------------------------------------ */

static struct msg *at_index(const struct msg_queue *q, long index)
{
	struct msg *m;

	list_for_each (m, &q->messages, node) {
		if (index-- == 0)
			return m;
	}
	return NULL;
}

/* msgop(2): 0 the first; > 0 the first of this type (or, MSG_EXCEPT, of another); < 0 the first
 * of the lowest type up to -type. */
static struct msg *choose(const struct msg_queue *q, long type, int flags)
{
	long lowest = type == LONG_MIN ? LONG_MAX : -type;
	struct msg *m, *best = NULL;

	if (flags & MSG_COPY)
		return at_index(q, type);
	list_for_each (m, &q->messages, node) {
		if (type >= 0) {
			if (!type || (m->type == type) == !(flags & MSG_EXCEPT))
				return m;
		} else if (m->type <= lowest && (!best || m->type < best->type)) {
			best = m;
		}
	}
	return best;
}

static long try_receive(void *arg)
{
	struct transfer *x = arg;
	struct msg_queue *q = x->q;
	SCOPED_LOCK(&x->t->ns->ipc->msg.lock);
	struct msg *m;

	if (q->obj.dead)
		return -EIDRM;
	m = choose(q, x->type, x->flags);
	if (!m)
		return x->flags & MSG_COPY ? -ENOMSG : -EAGAIN;
	if (m->len > x->room && !(x->flags & MSG_NOERROR))
		return -E2BIG;
	if (x->flags & MSG_COPY) {
		x->m = charged_malloc(sizeof(*m) + m->len);
		if (!x->m)
			return -ENOMEM;
		memcpy(x->m, m, sizeof(*m) + m->len);
		return 0;
	}
	list_del(&m->node);
	q->bytes -= m->len;
	q->count--;
	q->rtime = ipc_now();
	q->lrpid = x->t->process->tgid;
	x->m = m;
	return 0;
}

long msg_receive(struct task *t, int id, void *text, size_t room, long *type, int flags)
{
	struct transfer x = {.t = t, .type = *type, .room = room, .flags = flags};
	long r;

	if (id < 0)
		return -EINVAL;
	if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	r = queue_lookup(t, id, 0444, &x.q);
	if (r)
		return r;
	r = transfer(&x, try_receive);
	if (!r) {
		waitq_wake_all(&x.q->wq, POLLIN);
		*type = x.m->type;
		r = (long)min(room, x.m->len);
		memcpy(text, x.m->text, (size_t)r);
		charged_free(x.m);
	}
	ipc_object_put(&x.q->obj);
	return r == -EAGAIN ? -ENOMSG : r;
}

/* --- msgctl -------------------------------------------------------------------------------------------- */

static void stat_locked(struct msg_queue *q, const struct cred *c, struct kmsqid_ds *out)
{
	*out = (struct kmsqid_ds){.stime = q->stime,
				  .rtime = q->rtime,
				  .ctime = q->ctime,
				  .cbytes = q->bytes,
				  .qnum = q->count,
				  .qbytes = q->limit,
				  .lspid = q->lspid,
				  .lrpid = q->lrpid};
	ipc_perm_out(&q->obj, c, &out->perm);
}

static void msg_stat_fill(struct ipc_object *o, const struct cred *c, void *ds)
{
	stat_locked(queue_of(o), c, ds);
}

static long msg_stat(struct task *t, int id, int cmd, uaddr buf)
{
	struct kmsqid_ds ds;
	struct ipc_stat s = {.ids = &t->ns->ipc->msg,
			     .index = cmd != IPC_STAT,
			     .any = cmd == K_MSG_STAT_ANY,
			     .fill = msg_stat_fill,
			     .ds = &ds};
	long r = ipc_stat(t->cred, id, &s);

	return r < 0 ? r : copyout(t, buf, &ds, sizeof(ds)) ?: r;
}

static long msg_info(struct task *t, int cmd, uaddr buf)
{
	struct ipc_ids *ids = &t->ns->ipc->msg;
	struct kmsginfo info = {.msgpool = 32000 * QUEUE_BYTES / 1024,
				.msgmap = QUEUE_BYTES,
				.msgmax = MSG_TEXT_MAX,
				.msgmnb = QUEUE_BYTES,
				.msgmni = 32000,
				.msgssz = 16,
				.msgtql = QUEUE_BYTES,
				.msgseg = 0xffff};
	int highest;

	mutex_lock(&ids->lock);
	highest = ipc_highest_index(ids);
	if (cmd == K_MSG_INFO) {
		info.msgpool = ids->in_use;
		info.msgmap = info.msgtql = 0;
		for (int i = 0; i < ids->size; i++) {
			if (!ids->slot[i])
				continue;
			info.msgmap += (int)queue_of(ids->slot[i])->count;
			info.msgtql += (int)queue_of(ids->slot[i])->bytes;
		}
	}
	mutex_unlock(&ids->lock);
	return copyout(t, buf, &info, sizeof(info)) ?: highest;
}

static int set_locked(struct task *t, struct msg_queue *q, const struct kmsqid_ds *ds)
{
	int r;

	if (ds->qbytes > QUEUE_BYTES && !cred_capable(t->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	r = ipc_perm_set(&q->obj, t->cred, &ds->perm);
	if (r < 0)
		return r;
	q->limit = min(ds->qbytes, (uint64_t)1 << 24);
	q->ctime = ipc_now();
	return 0;
}

static long msg_change(struct task *t, int id, const struct kmsqid_ds *ds)
{
	struct ipc_ids *ids = &t->ns->ipc->msg;
	struct msg_queue *q = NULL;
	struct ipc_object *o;
	int r;

	mutex_lock(&ids->lock);
	r = ipc_find(ids, id, &o);
	if (!r)
		r = ipc_owner(ids, o, t->cred);
	if (!r) {
		q = queue_of(ipc_object_get(o));
		if (ds)
			r = set_locked(t, q, ds);
		else
			ipc_remove(ids, o);
	}
	mutex_unlock(&ids->lock);
	if (q) {
		waitq_wake_all(&q->wq, POLLIN);
		ipc_object_put(&q->obj);
	}
	return r;
}

long msg_control(struct task *t, int id, int cmd, uaddr buf)
{
	struct kmsqid_ds ds;
	int r;

	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case K_MSG_INFO:
		return msg_info(t, cmd, buf);
	case IPC_STAT:
	case K_MSG_STAT:
	case K_MSG_STAT_ANY:
		return msg_stat(t, id, cmd, buf);
	case IPC_SET:
		r = copyin(t, &ds, buf, sizeof(ds));
		return r ? r : msg_change(t, id, &ds);
	case IPC_RMID:
		return msg_change(t, id, NULL);
	}
	return -EINVAL;
}

void ipc_proc_show_msg(struct ipc_namespace *ns, struct text *t)
{
	text_puts(t,
		  "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid"
		  "  cgid      stime      rtime      ctime\n");
	SCOPED_LOCK(&ns->msg.lock);
	for (int i = 0; i < ns->msg.size; i++) {
		struct ipc_object *o = ns->msg.slot[i];
		struct msg_queue *q = o ? queue_of(o) : NULL;

		if (q)
			text_printf(t,
				    "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u %10ld "
				    "%10ld %10ld\n",
				    o->key, o->id, o->mode, q->bytes, q->count, q->lspid, q->lrpid,
				    o->uid, o->gid, o->cuid, o->cgid, q->stime, q->rtime, q->ctime);
	}
}
