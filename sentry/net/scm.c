/*
 * Files in flight, and the collector of cycles.
 *
 * A file in flight is held by the message that it is in. If a socket's every
 * reference comes from messages in queues of sockets of which the same is true,
 * nobody can ever receive them: garbage. Found by mark and sweep, as Linux's
 * collector classically did, over the sockets that are in flight:
 *
 *  1. candidates are those whose file references are all in-flight ones;
 *  2. references that come from the candidates' own queues are taken off;
 *  3. what has references left is held from outside, and so is everything in its
 *     queue, and so on: these get theirs back;
 *  4. the queues of the rest are emptied.
 *
 * Why it is safe while other threads run: scm_mutex is held throughout, and it is
 * needed to put a file in flight and to take a message with files out of a
 * queue (or to peek at one). So no candidate can be reached by anybody new
 * while we look. A message that is being sent counts as in flight but is in no
 * queue yet: its files count as held from outside.
 *
 * A collection costs time for every socket in flight. So with few of them it is made
 * at each release, with many a moment later, on the timer thread, once for all.
 *
 * Dropping files may release sockets, whose queues hold files, ...: a thread
 * drops them from a list, so that the depth of such nesting costs no stack.
 *
 * Locking: scm_mutex (RANK_SCM), then sockets' locks one at a time.
 */
#include "sentry/net/scm.h"

#include <errno.h>

#include "common/host.h"
#include "sentry/core/account.h"
#include "sentry/core/timer.h"
#include "sentry/net/socket.h"

static struct mutex scm_mutex = MUTEX_INIT(RANK_SCM);
/* guarded by scm_mutex */
static struct list flying = LIST_INIT(flying); /* struct socket.fly.node */
static atomic_size_t in_flight;		       /* files; changed under scm_mutex */
static bool collecting, collect_again, collect_later;
static size_t flying_count;

#define FEW 64
#define LATER (20 * NSEC_PER_MSEC)

/* What this thread has yet to drop, in a chain through node.next, while it is dropping. */
static __thread struct list *drop_next;
static __thread bool dropping;

void scm_lock(void)
{
	mutex_lock(&scm_mutex);
}

void scm_unlock(void)
{
	mutex_unlock(&scm_mutex);
}

/* --- counting --------------------------------------------------------------------------- */

static void fly_locked(struct file *f)
{
	struct socket *s = socket_from_file(f);

	if (s && s->fly.count++ == 0) {
		list_add_tail(&flying, &s->fly.node);
		flying_count++;
	}
}

static void land_locked(struct file *f)
{
	struct socket *s = socket_from_file(f);

	if (s && --s->fly.count == 0) {
		list_del(&s->fly.node);
		flying_count--;
	}
}

int scm_attach(struct scm_files *files, uint64_t limit)
{
	SCOPED_LOCK(&scm_mutex);

	if (!account_take(account_payer(), COUNT_FLIGHT, files->n, limit))
		return -ETOOMANYREFS;
	files->payer = account_payer();
	for (unsigned int i = 0; i < files->n; i++)
		fly_locked(files->file[i]);
	atomic_fetch_add(&in_flight, files->n);
	files->in_flight = true;
	return 0;
}

static void detach_locked(struct scm_files *files)
{
	if (!files->in_flight)
		return;
	for (unsigned int i = 0; i < files->n; i++)
		land_locked(files->file[i]);
	account_give(files->payer, COUNT_FLIGHT, files->n);
	atomic_fetch_sub(&in_flight, files->n);
	files->in_flight = false;
}

void scm_detach(struct scm_files *files)
{
	SCOPED_LOCK(&scm_mutex);

	detach_locked(files);
}

/* --- dropping ------------------------------------------------------------------------------ */

static void drop_one(struct scm_files *files)
{
	if (files->in_flight)
		scm_detach(files);
	for (unsigned int i = 0; i < files->n; i++)
		file_put(files->file[i]);
	charged_free(files);
}

void scm_files_drop(struct scm_files *files)
{
	files->node.next = drop_next;
	drop_next = &files->node;
	if (dropping)
		return;
	dropping = true;
	while (drop_next) {
		files = list_entry(drop_next, struct scm_files, node);
		drop_next = files->node.next;
		drop_one(files);
	}
	dropping = false;
}

void scm_fini(struct scm *scm)
{
	if (scm->files)
		scm_files_drop(scm->files);
	scm->files = NULL;
}

struct scm_files *scm_files_dup(const struct scm_files *files)
{
	struct scm_files *copy = charged_alloc(sizeof(*copy) + files->n * sizeof(copy->file[0]));

	if (!copy)
		return NULL;
	list_init(&copy->node);
	copy->n = files->n;
	for (unsigned int i = 0; i < files->n; i++)
		copy->file[i] = file_get(files->file[i]);
	return copy;
}

/* --- collecting ---------------------------------------------------------------------------- */

/* Calls fn, with its lock held, for a socket and, if it listens, for each connection that it
 * has not accepted. These stay where they are: nobody can reach their listener while we run. */
static void for_each_queue(struct socket *s, void (*fn)(struct socket *s, void *arg), void *arg)
{
	struct socket *conn;
	unsigned int at, i = 0;

	mutex_lock(&s->lock);
	fn(s, arg);
	for (i = 0; i < s->accept_count; i++) {
		at = 0;
		list_for_each (conn, &s->accept_queue, accept_node) {
			if (at++ == i)
				break;
		}
		mutex_unlock(&s->lock); /* one lock of a rank at a time */
		mutex_lock(&conn->lock);
		fn(conn, arg);
		mutex_unlock(&conn->lock);
		mutex_lock(&s->lock);
	}
	mutex_unlock(&s->lock);
}

typedef void child_fn(struct socket *child, struct list *work);
struct visit {
	child_fn *fn;
	struct list *work;
};

static void visit_queue(struct socket *s, void *arg)
{
	struct visit *v = arg;
	struct sock_buf *b;

	list_for_each (b, &s->rx, node) {
		for (unsigned int i = 0; b->scm.files && i < b->scm.files->n; i++) {
			struct socket *child = socket_from_file(b->scm.files->file[i]);

			if (child && child->fly.candidate)
				v->fn(child, v->work);
		}
	}
}

/* Step 2: a reference that comes from a candidate's queue. */
static void take_off(struct socket *child, struct list *work)
{
	child->fly.outer--;
}

/* Step 3: child is held by something that is reachable, so it is reachable itself. */
static void give_back(struct socket *child, struct list *work)
{
	child->fly.outer++;
	list_del(&child->fly.work);
	list_add_tail(work, &child->fly.work);
}

static void find_candidates(struct list *candidates)
{
	struct socket *s;

	list_for_each (s, &flying, fly.node) {
		s->fly.candidate = ref_read(&s->file.ref) == s->fly.count;
		s->fly.outer = (long)s->fly.count;
		list_init(&s->fly.work);
		if (s->fly.candidate)
			list_add_tail(candidates, &s->fly.work);
	}
}

static void remove_reachable(struct list *candidates)
{
	struct socket *s, *tmp;
	struct list work;
	struct visit v = {give_back, &work};

	list_init(&work);
	list_for_each_safe (s, tmp, candidates, fly.work) {
		if (s->fly.outer > 0) {
			list_del(&s->fly.work);
			list_add_tail(&work, &s->fly.work);
		}
	}
	while (!list_empty(&work)) {
		s = list_first(&work, struct socket, fly.work);
		list_del(&s->fly.work);
		s->fly.candidate = false;
		for_each_queue(s, visit_queue, &v);
	}
}

/* Takes the messages with files out of a queue. */
static void purge(struct socket *s, void *arg)
{
	struct list *garbage = arg;
	struct sock_buf *b, *tmp;

	list_for_each_safe (b, tmp, &s->rx, node) {
		if (!b->scm.files)
			continue;
		socket_unqueue_locked(s, b);
		list_add_tail(garbage, &b->node);
	}
}

static void collect_locked(struct list *garbage)
{
	struct visit v = {take_off, NULL};
	struct list candidates;
	struct socket *s;

	list_init(&candidates);
	find_candidates(&candidates);
	list_for_each (s, &candidates, fly.work)
		for_each_queue(s, visit_queue, &v);
	remove_reachable(&candidates);
	list_for_each (s, &candidates, fly.work)
		for_each_queue(s, purge, garbage);
}

static void collect(void);

static void collect_on_timer(struct ktimer *timer)
{
	mutex_lock(&scm_mutex);
	collect_later = false;
	mutex_unlock(&scm_mutex);
	collect();
}

/* True if it is put off, or will be done by the thread that is at it. */
static bool put_off(void)
{
	static struct ktimer timer = {.fire = collect_on_timer};
	SCOPED_LOCK(&scm_mutex);

	if (flying_count <= FEW)
		return false;
	if (!collect_later) {
		collect_later = true;
		ktimer_arm(&timer, host_monotonic_ns() + LATER);
	}
	return true;
}

/* True if this thread is to collect now; else the one that does goes round again. */
static bool collect_begin(void)
{
	SCOPED_LOCK(&scm_mutex);
	bool mine = !collecting;

	collecting = true;
	collect_again = !mine;
	return mine;
}

static bool collect_end(void)
{
	SCOPED_LOCK(&scm_mutex);

	if (collect_again) {
		collect_again = false;
		return false;
	}
	collecting = false;
	return true;
}

static void collect(void)
{
	struct list garbage;

	if (!collect_begin())
		return;
	do {
		list_init(&garbage);
		mutex_lock(&scm_mutex);
		collect_locked(&garbage);
		mutex_unlock(&scm_mutex);
		sock_buf_free_all(&garbage);
	} while (!collect_end());
}

void scm_collect(void)
{
	if (atomic_load(&in_flight) && !put_off())
		collect();
}
