#include "sentry/fs/fasync.h"

#include "common/host_thread.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/core/sleeper.h"

struct fasync {
	struct list node; /* guarded by fasync_lock */
	struct file *f;	  /* borrowed: file_put takes the entry off first */
	int fd;
	void *where;
	fasync_send_fn *send;
	struct waiter waiter;
	atomic_uint pending; /* POLL* since the helper looked */
};

static struct mutex fasync_lock = MUTEX_INIT(RANK_OBJECT);
static struct list entries = LIST_INIT(entries);
static struct sleeper *_Atomic helper;
static atomic_int entry_count;

static bool woken(struct waiter *w, uint32_t events)
{
	struct fasync *e = container_of(w, struct fasync, waiter);
	struct sleeper *s = atomic_load(&helper);

	atomic_fetch_or(&e->pending, events);
	if (s)
		sleeper_wake(s);
	return false;
}

/* The next entry with something to tell; its event is copied out. */
static bool next_event(struct fasync_event *out, fasync_send_fn **send)
{
	SCOPED_LOCK(&fasync_lock);
	struct fasync *e;

	list_for_each (e, &entries, node) {
		uint32_t events = atomic_exchange(&e->pending, 0);

		if (!events || !(atomic_load(&e->f->flags) & O_ASYNC))
			continue;
		*out = (struct fasync_event){
		    .where = e->where,
		    .owner = atomic_load(&e->f->owner),
		    .type = atomic_load(&e->f->owner_type),
		    .sig = atomic_load(&e->f->owner_sig),
		    .fd = e->fd,
		    .poll = events,
		};
		*send = e->send;
		return true;
	}
	return false;
}

static void *run(void *arg)
{
	struct fasync_event event;
	fasync_send_fn *send;

	atomic_store(&helper, sleeper_self());
	for (;;) {
		while (next_event(&event, &send))
			if (event.owner)
				send(&event);
		sleeper_sleep(sleeper_self(), SLEEP_FOREVER);
	}
	return arg;
}

static void start_once(void)
{
	if (host_thread_start("fasync", run, NULL) < 0)
		log_warn("no thread for SIGIO");
}

static void start_helper(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start_once);
}

static struct fasync *find_locked(const struct file *f)
{
	struct fasync *e;

	list_for_each (e, &entries, node)
		if (e->f == f)
			return e;
	return NULL;
}

/* Takes the entry off; then no callback runs any more. */
void fasync_forget(struct file *f)
{
	struct fasync *e;

	if (!atomic_load(&entry_count))
		return;
	mutex_lock(&fasync_lock);
	e = find_locked(f);
	if (e)
		list_del(&e->node);
	mutex_unlock(&fasync_lock);
	if (!e)
		return;
	waitq_del(&e->waiter);
	atomic_fetch_sub(&entry_count, 1);
	free(e);
}

void fasync_set(struct file *f, int fd, bool on, void *where, fasync_send_fn *send)
{
	struct fasync *e;

	fasync_forget(f);
	if (!on || !f->wq)
		return;
	start_helper();
	e = NEW(struct fasync);
	e->f = f;
	e->fd = fd;
	e->where = where;
	e->send = send;
	e->waiter.events = POLLIN | POLLOUT | POLLPRI;
	e->waiter.wake = woken;
	list_init(&e->waiter.node);
	mutex_lock(&fasync_lock);
	list_add_tail(&entries, &e->node);
	mutex_unlock(&fasync_lock);
	atomic_fetch_add(&entry_count, 1);
	waitq_add(f->wq, &e->waiter);
	(void)file_poll(f); /* pipes report every write only to files that are polled */
}
