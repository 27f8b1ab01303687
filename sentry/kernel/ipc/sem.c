/*
 * System V semaphores. An operation on a set is tried as a whole; if it would
 * block it waits in the set's queue, oldest first, on its task's stack. Whoever
 * changes a value tries the waiting operations in order, on behalf of their
 * tasks, until none can proceed; so a waiter finds its result when it wakes.
 *
 * SEM_UNDO adjustments are kept per process (threads share them, as with
 * CLONE_SYSVSEM) in the set, and applied when the process's last thread ends.
 *
 * Locking: sem.lock of the namespace guards all sets, queues and adjustments.
 */
#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "common/text.h"
#include "sentry/core/account.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"

#define SEMS_PER_SET 32000     /* SEMMSL */
#define SEMS_MAX 1024000000ULL /* SEMMNS */
#define RESULT_PENDING 1

struct sem {
	int value, pid;
};

struct sem_undo {
	struct list node; /* in sem_set.undos */
	int tgid;
	int16_t adjust[];
};

struct sem_set {
	struct ipc_object obj;
	struct list queue; /* struct sem_waiter.node */
	struct list undos;
	int64_t otime, ctime;
	int n;
	struct sem sem[];
};

struct sem_waiter {
	struct list node;
	struct sleeper *sleeper;
	const struct ksembuf *ops;
	unsigned int n;
	struct sem_undo *undo; /* NULL: no SEM_UNDO */
	int pid;
	atomic_int result;
	const struct ksembuf *blocked_by;
};

static struct sem_set *set_of(struct ipc_object *o)
{
	return container_of(o, struct sem_set, obj);
}

static void set_free(struct ipc_object *o)
{
	struct sem_set *s = set_of(o);
	struct sem_undo *u, *tmp;

	list_for_each_safe (u, tmp, &s->undos, node)
		charged_free(u);
	charged_free(s);
}

/* --- semget ----------------------------------------------------------------------------------- */

static int sem_create(struct task *t, struct ipc_get *g, struct ipc_object **out)
{
	struct sem_set *s;

	if (!g->size)
		return -EINVAL;
	s = charged_alloc(sizeof(*s) + g->size * sizeof(s->sem[0]));
	if (!s)
		return -ENOMEM;
	ref_init(&s->obj.ref);
	s->obj.free = set_free;
	list_init(&s->queue);
	list_init(&s->undos);
	s->n = (int)g->size;
	s->ctime = ipc_now();
	*out = &s->obj;
	return 0;
}

static int sem_check(struct ipc_get *g, struct ipc_object *o)
{
	return (int)g->size > set_of(o)->n ? -EINVAL : 0;
}

static int sem_added(struct task *t, struct ipc_get *g, struct ipc_object *o)
{
	struct ipc_namespace *ns = t->ns->ipc;

	if (ns->sems + g->size > SEMS_MAX)
		return -ENOSPC;
	ns->sems += g->size;
	return 0;
}

long sem_get(struct task *t, int key, int n, int flags)
{
	struct ipc_get g = {.ids = &t->ns->ipc->sem,
			    .key = key,
			    .flags = flags,
			    .create = sem_create,
			    .check = sem_check,
			    .added = sem_added,
			    .size = (uint64_t)n};

	if (n < 0 || n > SEMS_PER_SET)
		return -EINVAL;
	return ipc_get_id(t, &g);
}

/* --- trying ------------------------------------------------------------------------------------ */

/* Undoes the first n operations of a try. */
static void roll_back(struct sem_set *s, struct sem_waiter *w, unsigned int n)
{
	while (n--) {
		const struct ksembuf *op = &w->ops[n];

		s->sem[op->num].value -= op->op;
		if (op->flags & SEM_UNDO)
			w->undo->adjust[op->num] = (int16_t)(w->undo->adjust[op->num] + op->op);
	}
}

/* One operation: 0, RESULT_PENDING if it would block, or -errno. */
static int try_one(struct sem_set *s, struct sem_waiter *w, const struct ksembuf *op)
{
	struct sem *sem = &s->sem[op->num];
	int value = sem->value + op->op, adjust;

	if ((!op->op && sem->value) || value < 0) {
		w->blocked_by = op;
		return op->flags & IPC_NOWAIT ? -EAGAIN : RESULT_PENDING;
	}
	if (value > SEM_HIGHEST)
		return -ERANGE;
	if (op->flags & SEM_UNDO) {
		adjust = w->undo->adjust[op->num] - op->op;
		if (adjust < -SEM_HIGHEST - 1 || adjust > SEM_HIGHEST)
			return -ERANGE;
		w->undo->adjust[op->num] = (int16_t)adjust;
	}
	sem->value = value;
	return 0;
}

/* The whole array, or nothing. */
static int try_all(struct sem_set *s, struct sem_waiter *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		int r = try_one(s, w, &w->ops[i]);

		if (r) {
			roll_back(s, w, i);
			return r;
		}
	}
	for (unsigned int i = 0; i < w->n; i++)
		s->sem[w->ops[i].num].pid = w->pid;
	s->otime = ipc_now();
	return 0;
}

static void finish(struct sem_waiter *w, int result)
{
	struct sleeper *sleeper = w->sleeper;

	list_del(&w->node);
	atomic_store(&w->result, result);
	sleeper_wake(sleeper);
}

/* Values changed: completes what can be completed now, oldest first. */
static void update(struct sem_set *s)
{
	struct sem_waiter *w, *tmp;
	bool again = true;
	int r;

	while (again) {
		again = false;
		list_for_each_safe (w, tmp, &s->queue, node) {
			r = try_all(s, w);
			if (r == RESULT_PENDING)
				continue;
			finish(w, r);
			again = r == 0;
			if (again)
				break;
		}
	}
}

/* --- semop ---------------------------------------------------------------------------------------- */

/* The process's adjustments in this set; made on first use. */
static struct sem_undo *undo_get(struct task *t, struct sem_set *s)
{
	struct sem_undo *u;
	int tgid = t->process->tgid;

	list_for_each (u, &s->undos, node) {
		if (u->tgid == tgid)
			return u;
	}
	u = charged_alloc(sizeof(*u) + (size_t)s->n * sizeof(u->adjust[0]));
	if (!u)
		return NULL;
	u->tgid = tgid;
	list_add(&s->undos, &u->node);
	atomic_fetch_add(&t->ns->ipc->sem_undos, 1);
	return u;
}

struct sem_check {
	bool changes, undo;
	int highest;
};

static struct sem_check look_over(const struct ksembuf *ops, unsigned int n)
{
	struct sem_check c = {0};

	for (unsigned int i = 0; i < n; i++) {
		c.changes |= ops[i].op != 0;
		c.undo |= ops[i].op && ops[i].flags & SEM_UNDO;
		c.highest = max(c.highest, (int)ops[i].num);
	}
	return c;
}

static int begin(struct task *t, int id, const struct ksembuf *ops, struct sem_waiter *w,
		 struct sem_set **out)
{
	struct sem_check c = look_over(ops, w->n);
	struct ipc_object *o;
	struct sem_set *s;
	struct ipc_ids *ids = &t->ns->ipc->sem;
	int r = ipc_find(ids, id, &o);

	if (r)
		return r;
	s = set_of(o);
	if (c.highest >= s->n)
		return -EFBIG;
	r = ipc_permission(ids, o, t->cred, c.changes ? 0222 : 0444);
	if (r)
		return r;
	/* SEM_UNDO on an operation that waits for zero needs none, but costs no harm. */
	for (unsigned int i = 0; i < w->n; i++)
		c.undo |= (ops[i].flags & SEM_UNDO) != 0;
	if (c.undo) {
		w->undo = undo_get(t, s);
		if (!w->undo)
			return -ENOMEM;
	}
	r = try_all(s, w);
	if (r == 0 && c.changes)
		update(s);
	*out = s;
	return r;
}

static long await(struct task *t, struct sem_waiter *w, uint64_t deadline)
{
	struct mutex *lock = &t->ns->ipc->sem.lock;
	int r = 0;

	while (!r && atomic_load(&w->result) == RESULT_PENDING)
		r = task_sleep(t, deadline);
	mutex_lock(lock);
	if (atomic_load(&w->result) == RESULT_PENDING) {
		list_del(&w->node);
		atomic_store(&w->result, r == -ETIMEDOUT ? -EAGAIN : -EINTR);
	}
	mutex_unlock(lock);
	return atomic_load(&w->result);
}

long sem_operate(struct task *t, int id, const struct ksembuf *ops, unsigned int n,
		 uint64_t deadline)
{
	struct sem_waiter w = {.sleeper = t->sleeper, .ops = ops, .n = n, .pid = t->process->tgid};
	struct ipc_ids *ids = &t->ns->ipc->sem;
	struct sem_set *s;
	int r;

	atomic_init(&w.result, RESULT_PENDING);
	list_init(&w.node);
	sleeper_hold();
	mutex_lock(&ids->lock);
	r = begin(t, id, ops, &w, &s);
	if (r == RESULT_PENDING)
		list_add_tail(&s->queue, &w.node);
	mutex_unlock(&ids->lock);
	sleeper_release();
	return r == RESULT_PENDING ? await(t, &w, deadline) : r;
}

/* --- the end of a process --------------------------------------------------------------------- */

static void apply(struct sem_set *s, struct sem_undo *u)
{
	for (int i = 0; i < s->n; i++) {
		int value = s->sem[i].value + u->adjust[i];

		if (!u->adjust[i])
			continue;
		s->sem[i].value = min(max(value, 0), SEM_HIGHEST);
		s->sem[i].pid = u->tgid;
	}
	s->otime = ipc_now();
	update(s);
}

/* Takes the process's adjustments out of the set. */
static struct sem_undo *undo_take(struct sem_set *s, int tgid)
{
	struct sem_undo *u;

	list_for_each (u, &s->undos, node) {
		if (u->tgid == tgid) {
			list_del(&u->node);
			return u;
		}
	}
	return NULL;
}

static void process_exit(struct ipc_namespace *ns, int tgid)
{
	SCOPED_LOCK(&ns->sem.lock);

	for (int i = 0; i < ns->sem.size; i++) {
		struct sem_undo *u;

		if (!ns->sem.slot[i])
			continue;
		u = undo_take(set_of(ns->sem.slot[i]), tgid);
		if (!u)
			continue;
		atomic_fetch_sub(&ns->sem_undos, 1);
		apply(set_of(ns->sem.slot[i]), u);
		charged_free(u);
	}
}

void sysv_process_leaves(struct task *t)
{
	struct ipc_namespace *ns = t->ns->ipc;

	if (atomic_load(&ns->sem_undos))
		process_exit(ns, t->process->tgid);
}

void sysv_task_exit(struct task *t)
{
	bool last;

	/* Each thread has counted itself off by now; the last one surely sees it. */
	mutex_lock(&tasklist);
	last = t->process->live_threads == 0;
	mutex_unlock(&tasklist);
	if (last)
		sysv_process_leaves(t);
}

/* --- semctl ------------------------------------------------------------------------------------------ */

static void remove_set(struct task *t, struct sem_set *s)
{
	struct ipc_namespace *ns = t->ns->ipc;
	struct sem_waiter *w, *tmp;
	struct sem_undo *u;

	list_for_each_safe (w, tmp, &s->queue, node)
		finish(w, -EIDRM);
	list_for_each (u, &s->undos, node)
		atomic_fetch_sub(&ns->sem_undos, 1);
	ns->sems -= (uint64_t)s->n;
	ipc_remove(&ns->sem, &s->obj);
}

static void stat_locked(struct sem_set *s, const struct cred *c, struct ksemid_ds *out)
{
	*out = (struct ksemid_ds){.otime = s->otime, .ctime = s->ctime, .nsems = (uint64_t)s->n};
	ipc_perm_out(&s->obj, c, &out->perm);
}

static void sem_stat_fill(struct ipc_object *o, const struct cred *c, void *ds)
{
	stat_locked(set_of(o), c, ds);
}

static long sem_stat(struct task *t, int id, int cmd, uaddr buf)
{
	struct ksemid_ds ds;
	struct ipc_stat s = {.ids = &t->ns->ipc->sem,
			     .index = cmd != IPC_STAT,
			     .any = cmd == K_SEM_STAT_ANY,
			     .fill = sem_stat_fill,
			     .ds = &ds};
	long r = ipc_stat(t->cred, id, &s);

	return r < 0 ? r : copyout(t, buf, &ds, sizeof(ds)) ?: r;
}

static long sem_info(struct task *t, int cmd, uaddr buf)
{
	struct ipc_namespace *ns = t->ns->ipc;
	struct kseminfo info = {.semmap = 1024000000,
				.semmni = 32000,
				.semmns = 1024000000,
				.semmnu = 1024000000,
				.semmsl = SEMS_PER_SET,
				.semopm = SEM_OPS_MAX,
				.semume = SEM_OPS_MAX,
				.semusz = 20,
				.semvmx = SEM_HIGHEST,
				.semaem = SEM_HIGHEST};
	int highest;

	mutex_lock(&ns->sem.lock);
	if (cmd == K_SEM_INFO) {
		info.semusz = ns->sem.in_use;
		info.semaem = (int)ns->sems;
	}
	highest = ipc_highest_index(&ns->sem);
	mutex_unlock(&ns->sem.lock);
	return copyout(t, buf, &info, sizeof(info)) ?: highest;
}

/* Waiters that wait for semaphore num to grow, or to be zero. */
static int count_waiters(const struct sem_set *s, int num, bool zero)
{
	struct sem_waiter *w;
	int n = 0;

	list_for_each (w, &s->queue, node) {
		if (w->blocked_by->num == num && !w->blocked_by->op == zero)
			n++;
	}
	return n;
}

static long get_one(const struct sem_set *s, int num, int cmd)
{
	if (num < 0 || num >= s->n)
		return -EINVAL;
	switch (cmd) {
	case GETVAL:
		return s->sem[num].value;
	case GETPID:
		return s->sem[num].pid;
	case GETNCNT:
		return count_waiters(s, num, false);
	default:
		return count_waiters(s, num, true);
	}
}

/* A value that is set explicitly is nobody's to undo. */
static void set_value(struct sem_set *s, int num, int value, int pid)
{
	struct sem_undo *u;

	list_for_each (u, &s->undos, node)
		u->adjust[num] = 0;
	s->sem[num].value = value;
	s->sem[num].pid = pid;
}

static long set_one(struct task *t, struct sem_set *s, int num, int value)
{
	if (num < 0 || num >= s->n)
		return -EINVAL;
	if (value < 0 || value > SEM_HIGHEST)
		return -ERANGE;
	set_value(s, num, value, t->process->tgid);
	s->ctime = ipc_now();
	update(s);
	return 0;
}

static long change_locked(struct task *t, struct sem_set *s, int cmd, const struct ksemid_ds *ds)
{
	int r = ipc_owner(&t->ns->ipc->sem, &s->obj, t->cred);

	if (r)
		return r;
	if (cmd == IPC_RMID) {
		remove_set(t, s);
	} else {
		r = ipc_perm_set(&s->obj, t->cred, &ds->perm);
		s->ctime = ipc_now();
	}
	return r;
}

/* Calls on a set that copy nothing but, for IPC_SET, what is in ds already. */
static long on_set(struct task *t, int id, int num, int cmd, int value, const struct ksemid_ds *ds)
{
	struct ipc_ids *ids = &t->ns->ipc->sem;
	SCOPED_LOCK(&ids->lock);
	struct ipc_object *o;
	long r = ipc_find(ids, id, &o);

	if (r)
		return r;
	if (cmd == IPC_RMID || cmd == IPC_SET)
		return change_locked(t, set_of(o), cmd, ds);
	r = ipc_permission(ids, o, t->cred, cmd == SETVAL ? 0222 : 0444);
	if (r)
		return r;
	return cmd == SETVAL ? set_one(t, set_of(o), num, value) : get_one(set_of(o), num, cmd);
}

/* The number of semaphores, which never changes, so that a buffer can be made. */
static long set_size(struct task *t, int id, int access)
{
	struct ipc_ids *ids = &t->ns->ipc->sem;
	SCOPED_LOCK(&ids->lock);
	struct ipc_object *o;
	long r = ipc_find(ids, id, &o);

	if (!r)
		r = ipc_permission(ids, o, t->cred, access);
	return r ? r : set_of(o)->n;
}

static long all_locked(struct task *t, int id, int cmd, uint16_t *values)
{
	struct ipc_ids *ids = &t->ns->ipc->sem;
	SCOPED_LOCK(&ids->lock);
	struct ipc_object *o;
	struct sem_set *s;

	if (ipc_find(ids, id, &o))
		return -EIDRM;
	s = set_of(o);
	for (int i = 0; i < s->n; i++) {
		if (cmd == GETALL)
			values[i] = (uint16_t)s->sem[i].value;
		else
			set_value(s, i, values[i], t->process->tgid);
	}
	if (cmd == SETALL) {
		s->ctime = ipc_now();
		update(s);
	}
	return 0;
}

static long all_values(struct task *t, int id, int cmd, uaddr buf)
{
	long n = set_size(t, id, cmd == SETALL ? 0222 : 0444), r = 0;
	SCOPED_CHARGED uint16_t *values = NULL;

	if (n < 0)
		return n;
	values = charged_calloc((size_t)n, sizeof(*values));
	if (!values)
		return -ENOMEM;
	if (cmd == SETALL) {
		r = copyin(t, values, buf, (size_t)n * sizeof(*values));
		for (long i = 0; !r && i < n; i++)
			if (values[i] > SEM_HIGHEST)
				r = -ERANGE;
	}
	if (!r)
		r = all_locked(t, id, cmd, values);
	if (!r && cmd == GETALL)
		r = copyout(t, buf, values, (size_t)n * sizeof(*values));
	return r;
}

long sem_control(struct task *t, int id, int num, int cmd, uint64_t arg)
{
	struct ksemid_ds ds;
	int r;

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case K_SEM_INFO:
		return sem_info(t, cmd, UADDR(arg));
	case IPC_STAT:
	case K_SEM_STAT:
	case K_SEM_STAT_ANY:
		return sem_stat(t, id, cmd, UADDR(arg));
	case GETALL:
	case SETALL:
		return all_values(t, id, cmd, UADDR(arg));
	case IPC_SET:
		r = copyin(t, &ds, UADDR(arg), sizeof(ds));
		return r ? r : on_set(t, id, num, cmd, 0, &ds);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
	case IPC_RMID:
		return on_set(t, id, num, cmd, (int)arg, NULL);
	}
	return -EINVAL;
}

void ipc_proc_show_sem(struct ipc_namespace *ns, struct text *t)
{
	text_puts(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime"
		     "      ctime\n");
	SCOPED_LOCK(&ns->sem.lock);
	for (int i = 0; i < ns->sem.size; i++) {
		struct ipc_object *o = ns->sem.slot[i];

		if (o)
			text_printf(t, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", o->key,
				    o->id, o->mode, (unsigned int)set_of(o)->n, o->uid, o->gid,
				    o->cuid, o->cgid, set_of(o)->otime, set_of(o)->ctime);
	}
}
