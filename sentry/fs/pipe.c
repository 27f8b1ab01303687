/*
 * A pipe is a ring of slots of one page each, filled as Linux fills them: a write
 * starts a new slot unless its odd bytes fit behind the last one's. So a pipe
 * accepts, atomically or in part, exactly what a Linux pipe would, and packets
 * (O_DIRECT) are slots that are never appended to. The pages stay with their
 * slots, and an empty ring starts again at its first slot, so that a busy pipe
 * allocates nothing and stays in the cache.
 *
 * Locking: everything in struct pipe is under its lock; queues are woken after
 * unlocking. Both ends share one queue, told apart by their events. Readers are
 * woken when the pipe was empty, writers when it was full; once somebody has
 * polled the pipe, every write wakes, because edge-triggered epoll users count
 * on that (Linux does the same).
 */
#include "sentry/fs/pipe.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/inode.h"

#define SLOT 4096U
#define FEW_SLOTS 2U	 /* of a new pipe once the unprivileged have too much */
#define SOFT_SLOTS 16384 /* fs.pipe-user-pages-soft: in all of a user's pipes */
#define IN_EVENTS (POLLIN | POLLRDNORM)
#define OUT_EVENTS (POLLOUT | POLLWRNORM)

struct slot {
	char *page; /* SLOT bytes, or NULL */
	uint32_t offset, len;
	bool packet;
};

struct pipe {
	struct mutex lock;
	struct waitq wq;
	bool anonymous;	       /* immutable: made by pipe(2), so opening it anew never waits */
	struct account *payer; /* immutable: whose slots they are */

	/* guarded by lock */
	struct slot *ring;
	uint32_t size;		   /* slots in the ring; a power of two */
	uint32_t limit;		   /* slots that writers may fill */
	uint32_t head, tail;	   /* free-running */
	uint32_t readers, writers; /* open files */
	uint32_t r_opens, w_opens; /* opens so far */
	bool polled;
};

struct pipe_end {
	struct file file;
	struct pipe *pipe;     /* lives as long as file.inode */
	bool reader, writer;   /* immutable */
	bool waits_for_reader; /* half-open; immutable */
	bool waits_for_writer;
	uint32_t seen; /* immutable: the other side's opens when we came */
};

static const struct file_ops pipe_ops;

static struct pipe_end *end_of(struct file *f)
{
	return container_of(f, struct pipe_end, file);
}

bool file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_ops;
}

bool pipe_same(struct file *a, struct file *b)
{
	return end_of(a)->pipe == end_of(b)->pipe;
}

static struct slot *slot_at(struct pipe *p, uint32_t i)
{
	return &p->ring[i & (p->size - 1)];
}

static bool is_empty(const struct pipe *p)
{
	return p->head == p->tail;
}

static bool is_full(const struct pipe *p)
{
	return p->head - p->tail >= p->limit;
}

static bool privileged(const struct cred *cred)
{
	return cred_capable(cred, CAP_SYS_RESOURCE) || cred_capable(cred, CAP_SYS_ADMIN);
}

static bool has_many(struct account *a, const struct cred *cred)
{
	return account_count(a, COUNT_PIPE_PAGES) > SOFT_SLOTS && !privileged(cred);
}

static struct pipe *pipe_create(bool anonymous, const struct cred *cred)
{
	struct pipe *p = NEW(struct pipe);

	mutex_init(&p->lock, RANK_OBJECT);
	waitq_init(&p->wq);
	p->anonymous = anonymous;
	p->payer = account_payer();
	p->size = p->limit = has_many(p->payer, cred) ? FEW_SLOTS : PIPE_DEFAULT_SIZE / SLOT;
	account_take_always(p->payer, COUNT_PIPE_PAGES, p->limit);
	p->ring = charged_always(p->size * sizeof(*p->ring));
	return p;
}

static void drop_pages(struct pipe *p)
{
	for (uint32_t i = 0; i < p->size; i++) {
		charged_free(p->ring[i].page);
		p->ring[i] = (struct slot){0};
	}
}

void fifo_inode_free(struct pipe *p)
{
	if (!p)
		return;
	account_give(p->payer, COUNT_PIPE_PAGES, p->limit);
	drop_pages(p);
	charged_free(p->ring);
	waitq_destroy(&p->wq);
	mutex_destroy(&p->lock);
	free(p);
}

/* --- data ------------------------------------------------------------------------- */

static size_t take_from_slot(struct pipe *p, char *buf, size_t n)
{
	struct slot *s = slot_at(p, p->tail);
	size_t part = min(n, (size_t)s->len);

	memcpy(buf, s->page + s->offset, part);
	s->offset += (uint32_t)part;
	s->len -= (uint32_t)part;
	if (s->packet)
		s->len = 0; /* what the reader had no room for is lost */
	if (s->len == 0)
		p->tail++;
	return part;
}

/* A read ends with the packet that it meets. */
static size_t take_locked(struct pipe *p, char *buf, size_t n)
{
	size_t done = 0;

	while (done < n && !is_empty(p)) {
		bool packet = slot_at(p, p->tail)->packet;

		done += take_from_slot(p, buf + done, n - done);
		if (packet)
			break;
	}
	if (is_empty(p)) {
		if (p->head > PIPE_DEFAULT_SIZE / SLOT)
			drop_pages(p);
		p->head = p->tail = 0;
	}
	return done;
}

static ssize_t pipe_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct pipe *p = end_of(f)->pipe;
	bool was_full, wake;
	ssize_t done;

	mutex_lock(&p->lock);
	was_full = is_full(p);
	if (is_empty(p))
		done = p->writers ? -EAGAIN : 0;
	else
		done = (ssize_t)take_locked(p, buf, n);
	wake = was_full && !is_full(p);
	mutex_unlock(&p->lock);
	if (wake)
		waitq_wake(&p->wq, OUT_EVENTS);
	return done;
}

/* Appends n bytes to the last slot if they fit there. */
static bool merge_locked(struct pipe *p, const char *buf, size_t n)
{
	struct slot *s = slot_at(p, p->head - 1);

	if (n == 0 || is_empty(p) || s->packet || s->offset + s->len + n > SLOT)
		return false;
	memcpy(s->page + s->offset + s->len, buf, n);
	s->len += (uint32_t)n;
	return true;
}

static int fill_slot_locked(struct pipe *p, const char *buf, size_t n, bool packet)
{
	struct slot *s = slot_at(p, p->head);

	if (!s->page)
		s->page = charged_malloc(SLOT);
	if (!s->page)
		return -ENOMEM;
	memcpy(s->page, buf, n);
	s->offset = 0;
	s->len = (uint32_t)n;
	s->packet = packet;
	p->head++;
	return 0;
}

/* As Linux: first the odd bytes behind the last slot, then whole slots. */
static ssize_t put_locked(struct pipe *p, const char *buf, size_t n, bool packet)
{
	size_t done = 0;
	int err = 0;

	if (merge_locked(p, buf, n % SLOT))
		done = n % SLOT;
	while (done < n && !err) {
		size_t part = min(n - done, (size_t)SLOT);

		if (is_full(p))
			err = -EAGAIN;
		else
			err = fill_slot_locked(p, buf + done, part, packet);
		if (!err)
			done += part;
	}
	return done > 0 ? (ssize_t)done : err;
}

static ssize_t pipe_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	bool packet = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_DIRECT;
	struct pipe *p = end_of(f)->pipe;
	ssize_t done = -EPIPE;
	bool wake;

	mutex_lock(&p->lock);
	wake = is_empty(p) || p->polled;
	if (p->readers)
		done = put_locked(p, buf, n, packet);
	mutex_unlock(&p->lock);
	if (wake && done > 0)
		waitq_wake(&p->wq, IN_EVENTS);
	return done;
}

static uint32_t pipe_poll(struct file *f)
{
	struct pipe_end *e = end_of(f);
	struct pipe *p = e->pipe;
	uint32_t events = 0;

	SCOPED_LOCK(&p->lock);
	p->polled = true;
	if (e->reader) {
		if (!is_empty(p))
			events |= IN_EVENTS;
		/* A reader that opened without waiting sees no hang-up before the first writer. */
		if (!p->writers && p->w_opens != e->seen)
			events |= POLLHUP;
	}
	if (e->writer) {
		if (!is_full(p))
			events |= OUT_EVENTS;
		if (!p->readers)
			events |= POLLERR;
	}
	return events;
}

static long pipe_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct guest_access *caller)
{
	struct pipe *p = end_of(f)->pipe;
	int bytes = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	for (uint32_t i = p->tail; i != p->head; i++)
		bytes += (int)slot_at(p, i)->len;
	mutex_unlock(&p->lock);
	return ga_copyout(caller, UADDR(arg), &bytes, sizeof(bytes));
}

static int pipe_fsync(struct file *f, bool datasync)
{
	return -EINVAL;
}

/* --- size ------------------------------------------------------------------------- */

static void take_ring_locked(struct pipe *p, struct slot *ring, uint32_t size)
{
	uint32_t used = p->head - p->tail;

	for (uint32_t i = 0; i < used; i++) {
		ring[i] = *slot_at(p, p->tail + i);
		slot_at(p, p->tail + i)->page = NULL;
	}
	drop_pages(p);
	charged_free(p->ring);
	p->ring = ring;
	p->size = size;
	p->tail = 0;
	p->head = used;
}

static int resize_locked(struct pipe *p, uint32_t size)
{
	struct slot *ring;

	if (p->head - p->tail > size)
		return -EBUSY;
	ring = charged_calloc(size, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	take_ring_locked(p, ring, size);
	return 0;
}

long pipe_get_size(struct file *f)
{
	struct pipe *p;

	if (!file_is_pipe(f))
		return -EBADF;
	p = end_of(f)->pipe;
	SCOPED_LOCK(&p->lock);
	return (long)p->limit * SLOT;
}

static uint32_t slots_for(unsigned long size)
{
	uint32_t slots = 1;

	while ((unsigned long)slots * SLOT < size)
		slots *= 2;
	return slots;
}

static bool may_grow(const struct pipe *p, uint32_t slots, const struct cred *cred)
{
	if ((unsigned long)slots * SLOT > PIPE_MAX_SIZE && !cred_capable(cred, CAP_SYS_RESOURCE))
		return false;
	return account_count(p->payer, COUNT_PIPE_PAGES) + slots - p->limit <= SOFT_SLOTS ||
	       privileged(cred);
}

long pipe_set_size(struct file *f, unsigned long size, const struct cred *cred)
{
	struct pipe *p;
	uint32_t slots;
	int err;

	if (!file_is_pipe(f))
		return -EBADF;
	if (size > BIT(31))
		return -EINVAL;
	p = end_of(f)->pipe;
	slots = slots_for(size);
	mutex_lock(&p->lock);
	if (slots > p->limit && !may_grow(p, slots, cred))
		err = -EPERM;
	else
		err = resize_locked(p, slots);
	if (!err) {
		account_take_always(p->payer, COUNT_PIPE_PAGES, slots);
		account_give(p->payer, COUNT_PIPE_PAGES, p->limit);
		p->limit = slots;
	}
	mutex_unlock(&p->lock);
	if (err)
		return err;
	waitq_wake(&p->wq, OUT_EVENTS);
	return (long)slots * SLOT;
}

/* --- splice and tee ------------------------------------------------------------------ */

ssize_t pipe_peek(struct file *f, void *buf, size_t n)
{
	struct pipe *p = end_of(f)->pipe;
	size_t done = 0;

	SCOPED_LOCK(&p->lock);
	if (is_empty(p))
		return p->writers ? -EAGAIN : 0;
	for (uint32_t i = p->tail; i != p->head && done < n; i++) {
		struct slot *s = slot_at(p, i);
		size_t part = min(n - done, (size_t)s->len);

		memcpy((char *)buf + done, s->page + s->offset, part);
		done += part;
	}
	return (ssize_t)done;
}

ssize_t pipe_room(struct file *f)
{
	struct pipe *p = end_of(f)->pipe;

	SCOPED_LOCK(&p->lock);
	if (!p->readers)
		return -EPIPE;
	return is_full(p) ? 0 : (ssize_t)(p->limit - (p->head - p->tail)) * SLOT;
}

static void push_front_locked(struct pipe *p, const char *buf, size_t n)
{
	struct slot *s;

	/* Beyond all limits: the bytes were here a moment ago. */
	if (p->head - p->tail == p->size)
		take_ring_locked(p, charged_always(2 * p->size * sizeof(*p->ring)), 2 * p->size);
	s = slot_at(p, --p->tail);
	if (!s->page)
		s->page = charged_always(SLOT);
	memcpy(s->page, buf, n);
	s->offset = 0;
	s->len = (uint32_t)n;
	s->packet = false;
}

void pipe_untake(struct file *f, const void *buf, size_t n)
{
	struct pipe *p = end_of(f)->pipe;

	mutex_lock(&p->lock);
	while (n > 0) {
		size_t part = n % SLOT ? n % SLOT : SLOT;

		n -= part;
		push_front_locked(p, (const char *)buf + n, part);
	}
	mutex_unlock(&p->lock);
	waitq_wake(&p->wq, IN_EVENTS);
}

/* --- opening and closing ---------------------------------------------------------------- */

static void pipe_release(struct file *f)
{
	struct pipe_end *e = end_of(f);
	struct pipe *p = e->pipe;

	mutex_lock(&p->lock);
	p->readers -= e->reader;
	p->writers -= e->writer;
	if (!p->readers && !p->writers) {
		/* A FIFO that nobody has open forgets its contents. */
		drop_pages(p);
		p->head = p->tail = 0;
	}
	mutex_unlock(&p->lock);
	waitq_wake_all(&p->wq, IN_EVENTS | OUT_EVENTS | POLLERR | POLLHUP);
	file_fini(f);
	free(e);
}

static struct file *end_new(struct pipe *p, struct inode *inode, const struct path *path,
			    const struct cred *cred, int flags)
{
	struct pipe_end *e = NEW(struct pipe_end);
	int mode = flags & O_ACCMODE;

	file_init(&e->file, &pipe_ops, inode, path, cred, flags);
	e->file.wq = &p->wq;
	e->file.caps = FILE_RAW_WINDOW | FILE_STREAM_CHUNKS;
	e->pipe = p;
	e->reader = mode != O_WRONLY;
	e->writer = mode != O_RDONLY;
	p->readers += e->reader;
	p->writers += e->writer;
	p->r_opens += e->reader;
	p->w_opens += e->writer;
	return &e->file;
}

int pipe_new(const struct cred *cred, int flags, struct file *out[2])
{
	struct inode *inode = anon_inode_new("pipe", S_IFIFO);
	struct path none = {0};

	inode->uid = cred->fsuid;
	inode->gid = cred->fsgid;
	inode->fifo = pipe_create(true, cred);
	flags &= O_NONBLOCK | O_DIRECT;
	out[0] = end_new(inode->fifo, inode, &none, cred, O_RDONLY | flags);
	out[1] = end_new(inode->fifo, inode, &none, cred, O_WRONLY | flags);
	inode_put(inode);
	return 0;
}

static struct pipe *fifo_of(struct inode *inode, const struct cred *cred)
{
	SCOPED_LOCK(&inode->data_lock);

	if (!inode->fifo)
		inode->fifo = pipe_create(false, cred);
	return inode->fifo;
}

bool fifo_opened(struct file *f)
{
	struct pipe_end *e = end_of(f);

	SCOPED_LOCK(&e->pipe->lock);
	if (e->waits_for_reader)
		return e->pipe->r_opens != e->seen;
	if (e->waits_for_writer)
		return e->pipe->w_opens != e->seen;
	return true;
}

/* fifo(7). Opening for both never waits. */
static int open_locked(struct pipe *p, struct pipe_end *e, int flags)
{
	if (p->anonymous || (e->reader && e->writer))
		return 0;
	if (e->reader && !p->writers) {
		e->seen = p->w_opens;
		e->waits_for_writer = !(flags & O_NONBLOCK);
		return e->waits_for_writer ? -EAGAIN : 0;
	}
	if (e->writer && !p->readers) {
		e->seen = p->r_opens;
		e->waits_for_reader = true;
		return -EAGAIN;
	}
	return 0;
}

int fifo_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
	      struct file **out)
{
	struct pipe *p = fifo_of(inode, cred);
	int err;

	mutex_lock(&p->lock);
	if (!p->anonymous && (flags & O_ACCMODE) == O_WRONLY && (flags & O_NONBLOCK) &&
	    !p->readers) {
		mutex_unlock(&p->lock);
		return -ENXIO;
	}
	*out = end_new(p, inode, path, cred, flags);
	err = open_locked(p, end_of(*out), flags);
	mutex_unlock(&p->lock);
	waitq_wake_all(&p->wq, IN_EVENTS | OUT_EVENTS);
	return err;
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .fsync = pipe_fsync,
    .release = pipe_release,
};
