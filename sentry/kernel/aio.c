/*
 * Contexts of native AIO.
 *
 * Reads, writes and syncs are done when they are submitted, as Linux itself does
 * for files whose pages are cached; only polls outlive io_submit. The page that a
 * context is named by has not the magic number of Linux's ring, so that libaio
 * and others ask by io_getevents: events that lay in memory which the guest
 * writes would have to be kept twice, for nothing but a saved call.
 *
 * A poll that became ready is found by whoever looks for events: the callback
 * under the watched file's queue may not take the context's lock. So its eventfd
 * is signalled then, too.
 *
 * Locks: context.lock (RANK_OBJECT) for events and polls; table.lock (RANK_LEAF)
 * for the contexts of an address space.
 */
#include "sentry/kernel/aio.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/mem.h"
#include "sentry/kernel/usermem.h"

struct aio_context {
	struct refcount ref;
	struct list node;    /* table.lock */
	uint64_t id;	     /* immutable: the address of its page */
	unsigned int places; /* immutable; how many operations and events it has room for */
	struct waitq wq;
	struct mutex lock;
	/* guarded by lock */
	bool dead;
	unsigned int taken; /* operations under way and events not yet fetched */
	unsigned int first, count;
	struct io_event *events; /* a ring of `places` */
	struct list polls;
};

struct aio_poll {
	struct list node;
	struct waiter waiter;
	struct aio_context *context; /* borrowed: its list has us */
	struct file *file, *resfd;   /* owned; resfd may be NULL */
	uint64_t obj, data;
	uint32_t events;
};

/* The contexts of an address space. */
struct aio_table {
	struct mm_attachment base;
	struct mutex lock;
	struct list contexts; /* owned */
};

static atomic_uint total;

unsigned int aio_total(void)
{
	return atomic_load(&total);
}

/* --- objects ----------------------------------------------------------------------------------- */

void aio_context_put(struct aio_context *c)
{
	if (!ref_put(&c->ref))
		return;
	atomic_fetch_sub(&total, c->places);
	waitq_destroy(&c->wq);
	mutex_destroy(&c->lock);
	free(c->events);
	free(c);
}

static void poll_free(struct aio_poll *p)
{
	if (p->resfd)
		file_put(p->resfd);
	file_put(p->file);
	free(p);
}

/* No lock held: a waiter is taken off its queue first. */
static void kill_context(struct aio_context *c)
{
	struct list polls = LIST_INIT(polls);

	mutex_lock(&c->lock);
	c->dead = true;
	list_splice_tail(&polls, &c->polls);
	mutex_unlock(&c->lock);
	while (!list_empty(&polls)) {
		struct aio_poll *p = list_first(&polls, struct aio_poll, node);

		list_del(&p->node);
		waitq_del(&p->waiter);
		poll_free(p);
	}
	waitq_wake_all(&c->wq, POLLIN);
}

static void table_release(struct mm_attachment *base)
{
	struct aio_table *table = container_of(base, struct aio_table, base);

	while (!list_empty(&table->contexts)) {
		struct aio_context *c = list_first(&table->contexts, struct aio_context, node);

		list_del(&c->node);
		kill_context(c);
		aio_context_put(c);
	}
	mutex_destroy(&table->lock);
	free(table);
}

static struct aio_table *table_of(struct mm *mm, bool make)
{
	struct aio_table *table;

	SCOPED_LOCK(&mm->lock);
	if (!mm->aio && make) {
		table = NEW(struct aio_table);
		table->base.release = table_release;
		mutex_init(&table->lock, RANK_LEAF);
		list_init(&table->contexts);
		mm->aio = &table->base;
	}
	return mm->aio ? container_of(mm->aio, struct aio_table, base) : NULL;
}

/* --- contexts ------------------------------------------------------------------------------------- */

static bool count_in(unsigned int nr)
{
	if (atomic_fetch_add(&total, nr) + nr <= AIO_MAX_NR)
		return true;
	atomic_fetch_sub(&total, nr);
	return false;
}

/* The page: what looks at it sees a ring that is not for user space to read. */
static int64_t map_page(struct task *t, unsigned int nr)
{
	struct {
		uint32_t id, nr, head, tail, magic, compat, incompat, header_length;
	} ring = {.nr = nr, .header_length = sizeof(ring)};
	struct mm_limits lim;
	int64_t at;

	task_mm_limits(t, &lim);
	at = mm_mmap(t->mm, t->pt, &lim, UADDR_NULL, GUEST_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	if (at >= 0 && copyout(t, UADDR((uint64_t)at), &ring, sizeof(ring)) < 0)
		return -EFAULT;
	return at;
}

int64_t aio_context_new(struct task *t, unsigned int nr)
{
	struct aio_table *table = table_of(t->mm, true);
	struct aio_context *c;
	int64_t at;

	/* Small contexts are counted as bigger ones: what each costs the sentry is bounded, too. */
	nr = max(nr, 8U);
	if (nr > AIO_MAX_NR || !count_in(nr))
		return -EAGAIN;
	at = map_page(t, nr);
	if (at < 0) {
		atomic_fetch_sub(&total, nr);
		return -ENOMEM;
	}
	c = NEW(struct aio_context);
	ref_init(&c->ref);
	c->id = (uint64_t)at;
	c->places = nr;
	c->events = xzalloc(c->places * sizeof(*c->events));
	waitq_init(&c->wq);
	mutex_init(&c->lock, RANK_OBJECT);
	list_init(&c->polls);
	mutex_lock(&table->lock);
	list_add_tail(&table->contexts, &c->node);
	mutex_unlock(&table->lock);
	return at;
}

static struct aio_context *find_locked(struct aio_table *table, uint64_t id)
{
	struct aio_context *c;

	list_for_each (c, &table->contexts, node)
		if (c->id == id)
			return c;
	return NULL;
}

struct aio_context *aio_context_find(struct task *t, uint64_t id)
{
	struct aio_table *table = table_of(t->mm, false);
	struct aio_context *c;

	if (!table)
		return NULL;
	SCOPED_LOCK(&table->lock);
	c = find_locked(table, id);
	if (c)
		ref_get(&c->ref);
	return c;
}

int aio_context_destroy(struct task *t, uint64_t id)
{
	struct aio_table *table = table_of(t->mm, false);
	struct aio_context *c;

	if (!table)
		return -EINVAL;
	mutex_lock(&table->lock);
	c = find_locked(table, id);
	if (c)
		list_del(&c->node);
	mutex_unlock(&table->lock);
	if (!c)
		return -EINVAL;
	kill_context(c);
	aio_context_put(c);
	(void)!mm_munmap(t->mm, t->pt, UADDR(id), GUEST_PAGE);
	return 0;
}

struct waitq *aio_waitq(struct aio_context *c)
{
	return &c->wq;
}

/* --- operations --------------------------------------------------------------------------------------- */

int aio_reserve(struct aio_context *c)
{
	SCOPED_LOCK(&c->lock);

	if (c->dead)
		return -EINVAL;
	if (c->taken >= c->places)
		return -EAGAIN;
	c->taken++;
	return 0;
}

void aio_unreserve(struct aio_context *c)
{
	SCOPED_LOCK(&c->lock);
	c->taken--;
}

static void put_event_locked(struct aio_context *c, uint64_t obj, uint64_t data, int64_t res)
{
	c->events[(c->first + c->count++) % c->places] =
	    (struct io_event){.data = data, .obj = obj, .res = res};
}

static void signal_eventfd(struct file *resfd)
{
	uint64_t one = 1;

	if (resfd)
		(void)!file_write(resfd, &one, sizeof(one), NULL);
}

void aio_complete(struct aio_context *c, uint64_t obj, uint64_t data, int64_t res,
		  struct file *resfd)
{
	mutex_lock(&c->lock);
	put_event_locked(c, obj, data, res);
	mutex_unlock(&c->lock);
	waitq_wake_all(&c->wq, POLLIN);
	signal_eventfd(resfd);
}

static bool poll_wake(struct waiter *w, uint32_t events)
{
	struct aio_poll *p = container_of(w, struct aio_poll, waiter);

	waitq_wake_all(&p->context->wq, POLLIN);
	return false;
}

void aio_poll(struct aio_context *c, uint64_t obj, uint64_t data, struct file *f, uint32_t events,
	      struct file *resfd)
{
	struct aio_poll *p = NEW(struct aio_poll);

	p->context = c;
	p->file = file_get(f);
	p->resfd = resfd ? file_get(resfd) : NULL;
	p->obj = obj;
	p->data = data;
	p->events = events | POLLERR | POLLHUP;
	p->waiter = (struct waiter){.events = p->events, .wake = poll_wake};
	list_init(&p->waiter.node);
	mutex_lock(&c->lock);
	list_add_tail(&c->polls, &p->node);
	mutex_unlock(&c->lock);
	if (f->wq)
		waitq_add(f->wq, &p->waiter);
	if (file_poll(f) & p->events)
		waitq_wake_all(&c->wq, POLLIN);
}

static struct aio_poll *take_poll(struct aio_context *c, uint64_t obj)
{
	struct aio_poll *p;

	SCOPED_LOCK(&c->lock);
	list_for_each (p, &c->polls, node) {
		if (p->obj != obj)
			continue;
		list_del(&p->node);
		return p;
	}
	return NULL;
}

int aio_cancel(struct aio_context *c, uint64_t obj)
{
	struct aio_poll *p = take_poll(c, obj);

	if (!p)
		return -EINVAL;
	waitq_del(&p->waiter);
	aio_complete(c, p->obj, p->data, 0, p->resfd);
	poll_free(p);
	return 0;
}

/* A poll whose file is ready, off its list; NULL: none is. Files are asked under the lock, which
 * they do not take. */
static struct aio_poll *take_ready(struct aio_context *c, uint32_t *got)
{
	struct list look = LIST_INIT(look);
	struct aio_poll *p, *ready = NULL;

	mutex_lock(&c->lock);
	list_splice_tail(&look, &c->polls);
	mutex_unlock(&c->lock);
	list_for_each (p, &look, node) {
		*got = file_poll(p->file) & p->events;
		if (*got) {
			ready = p;
			break;
		}
	}
	if (ready)
		list_del(&ready->node);
	mutex_lock(&c->lock);
	list_splice_tail(&c->polls, &look);
	mutex_unlock(&c->lock);
	return ready;
}

static void settle_polls(struct aio_context *c)
{
	struct aio_poll *p;
	uint32_t got;

	while ((p = take_ready(c, &got))) {
		waitq_del(&p->waiter);
		aio_complete(c, p->obj, p->data, got, p->resfd);
		poll_free(p);
	}
}

long aio_take(struct aio_context *c, struct io_event *out, long max)
{
	long n = 0;

	settle_polls(c);
	SCOPED_LOCK(&c->lock);
	if (c->dead)
		return -EINVAL;
	for (; n < max && c->count; n++) {
		out[n] = c->events[c->first];
		c->first = (c->first + 1) % c->places;
		c->count--;
		c->taken--;
	}
	return n ? n : -EAGAIN;
}
