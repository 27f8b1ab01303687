/*
 * epoll(7).
 *
 * An item is a waiter on the watched file's queue. Its wake callback puts it on
 * the ready list of its epoll and wakes whoever waits there; it decides nothing.
 * epoll_collect takes items off the ready list, asks each file what holds now,
 * reports it, and puts level-triggered items back. An item is taken off before
 * its file is asked, so an event that comes later puts it on again and none is
 * lost.
 *
 * Watching an epoll with an epoll nests: wake-ups run from the inner queue to
 * the outer one (RANK_WAITQ within RANK_WAITQ), scans from the outer scan lock to
 * the inner one. Both terminate because ctl refuses cycles and chains of more
 * than five (under `nest_lock`).
 *
 * Items do not hold their file; epoll_forget_file ends them when its last
 * reference goes. A scan may therefore meet a file whose count is zero already:
 * it stays valid while the scan lock is held, because forgetting takes that too.
 *
 *	lock		guards					order
 *	nest_lock	insertion of epolls into epolls		1
 *	scan		items of one epoll; held over polls	2, outer before inner
 *	files_lock	file.epoll_items of all files		3 (RANK_LEAF)
 *	ready_lock	ready list, what items want		4 (RANK_LEAF)
 *
 * nest_lock and scan are plain mutexes, as the rank checker has no word for
 * "outer before inner"; they come between RANK_MM and RANK_OBJECT.
 *
 * Left out: EPOLLWAKEUP (ignored, as without CAP_BLOCK_SUSPEND), busy polling.
 */
#include "sentry/fs/epoll.h"

#include <errno.h>
#include <stdio.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/fdinfo.h"
#include "sentry/fs/inode.h"

#define MAX_NESTS 4	       /* links between epolls in a chain, as in Linux */
#define MAX_WATCHES (1U << 20) /* of a user */
#define FLAG_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK                                                                               \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

struct epoll {
	struct file file;
	struct refcount ref;   /* of the memory; the file holds one */
	struct waitq wq;       /* pollers, outer epolls */
	struct waitq sleepers; /* epoll_wait; exclusive */
	pthread_mutex_t scan;

	/* guarded by scan */
	struct list *buckets; /* struct item.node, by file and fd */
	size_t nbuckets, nitems;

	/* guarded by nest_lock */
	unsigned int visit_below, visit_above;
	int below, above; /* longest chain, as of those visits */

	struct mutex ready_lock;
	struct list ready; /* guarded by ready_lock */
};

struct item {
	struct waiter w;       /* on file->wq */
	struct epoll *ep;      /* immutable */
	struct file *file;     /* immutable; not referenced */
	struct account *payer; /* immutable */
	int fd;		       /* immutable */
	struct list node;      /* scan */
	struct list filed;     /* in file->epoll_items: files_lock */
	struct list ready;     /* ready_lock */
	uint32_t want;	       /* ready_lock to write, scan to read; 0: a spent one-shot */
	uint32_t flags;	       /* scan: FLAG_BITS */
	uint64_t data;	       /* scan */
};

static const struct file_ops epoll_ops;
static pthread_mutex_t nest_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mutex files_lock = MUTEX_INIT(RANK_LEAF);
static unsigned int visits; /* nest_lock */

static struct epoll *epoll_of(struct file *f)
{
	return container_of(f, struct epoll, file);
}

bool file_is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

static void epoll_put(struct epoll *ep)
{
	if (!ref_put(&ep->ref))
		return;
	waitq_destroy(&ep->wq);
	waitq_destroy(&ep->sleepers);
	mutex_destroy(&ep->ready_lock);
	pthread_mutex_destroy(&ep->scan);
	charged_free(ep->buckets);
	free(ep);
}

/* --- the set of items -------------------------------------------------------------- */

static struct list *bucket(struct epoll *ep, const struct file *file, int fd)
{
	uint64_t h =
	    ((uintptr_t)file >> 4) * 0x9e3779b97f4a7c15ULL + (unsigned int)fd * 0x85ebca6bULL;

	return &ep->buckets[(h ^ h >> 29) & (ep->nbuckets - 1)];
}

static struct item *item_find(struct epoll *ep, const struct file *file, int fd)
{
	struct item *it;

	list_for_each (it, bucket(ep, file, fd), node)
		if (it->file == file && it->fd == fd)
			return it;
	return NULL;
}

/* Makes room for one more. */
static int items_grow(struct epoll *ep)
{
	struct list *old = ep->buckets;
	size_t n = ep->nbuckets;
	struct item *it, *tmp;

	if (ep->nitems < n)
		return 0;
	ep->buckets = charged_calloc(n * 2, sizeof(*old));
	if (!ep->buckets) {
		ep->buckets = old;
		return -ENOMEM;
	}
	ep->nbuckets = n * 2;
	for (size_t i = 0; i < ep->nbuckets; i++)
		list_init(&ep->buckets[i]);
	for (size_t i = 0; i < n; i++) {
		list_for_each_safe (it, tmp, &old[i], node) {
			list_del(&it->node);
			list_add(bucket(ep, it->file, it->fd), &it->node);
		}
	}
	charged_free(old);
	return 0;
}

static bool make_ready(struct item *it)
{
	SCOPED_LOCK(&it->ep->ready_lock);

	if (!it->want || list_linked(&it->ready))
		return it->want;
	list_add_tail(&it->ep->ready, &it->ready);
	return true;
}

static void tell(struct epoll *ep)
{
	waitq_wake(&ep->sleepers, POLLIN);
	waitq_wake(&ep->wq, POLLIN | POLLRDNORM);
}

static bool item_wake(struct waiter *w, uint32_t events)
{
	struct item *it = container_of(w, struct item, w);
	bool someone = atomic_load(&it->ep->sleepers.count) > 0;

	if (!make_ready(it))
		return false;
	tell(it->ep);
	return someone; /* an exclusive watch took the event only if somebody will look */
}

static void item_free(struct item *it)
{
	struct epoll *ep = it->ep;

	waitq_del(&it->w);
	mutex_lock(&ep->ready_lock);
	list_del(&it->ready);
	mutex_unlock(&ep->ready_lock);
	list_del(&it->node);
	ep->nitems--;
	account_give(it->payer, COUNT_EPOLL_WATCHES, 1);
	charged_free(it);
}

static void item_remove(struct item *it)
{
	mutex_lock(&files_lock);
	list_del(&it->filed);
	mutex_unlock(&files_lock);
	item_free(it);
}

/* What holds and is wanted. */
static uint32_t item_poll(const struct item *it)
{
	return file_poll(it->file) & it->want;
}

/* --- collecting ---------------------------------------------------------------------- */

static struct item *take_first(struct epoll *ep, struct list *from)
{
	struct item *it;

	SCOPED_LOCK(&ep->ready_lock);
	if (list_empty(from))
		return NULL;
	it = list_first(from, struct item, ready);
	list_del(&it->ready);
	return it;
}

static void put_back(struct epoll *ep, struct item *it, struct list *to)
{
	SCOPED_LOCK(&ep->ready_lock);
	if (!list_linked(&it->ready))
		list_add_tail(to, &it->ready);
}

static void reported(struct epoll *ep, struct item *it)
{
	if (it->flags & EPOLLONESHOT) {
		mutex_lock(&ep->ready_lock);
		it->want = 0;
		list_del(&it->ready);
		mutex_unlock(&ep->ready_lock);
	} else if (!(it->flags & EPOLLET)) {
		put_back(ep, it, &ep->ready);
	}
}

static void give_back(struct epoll *ep, struct list *rest)
{
	SCOPED_LOCK(&ep->ready_lock);
	list_splice_tail(rest, &ep->ready); /* the rest goes to the front */
	list_splice_tail(&ep->ready, rest);
}

int epoll_collect(struct file *f, struct epoll_event *events, int max)
{
	struct epoll *ep = epoll_of(f);
	struct list todo = LIST_INIT(todo);
	struct item *it;
	int n = 0;

	pthread_mutex_lock(&ep->scan);
	mutex_lock(&ep->ready_lock);
	list_splice_tail(&todo, &ep->ready);
	mutex_unlock(&ep->ready_lock);
	while (n < max && (it = take_first(ep, &todo))) {
		uint32_t holds = item_poll(it);

		if (!holds)
			continue;
		events[n].events = holds;
		events[n++].data.u64 = it->data;
		reported(ep, it);
	}
	give_back(ep, &todo);
	pthread_mutex_unlock(&ep->scan);
	/* The next sleeper sees to what is left. */
	if (n > 0 && epoll_maybe_ready(f))
		waitq_wake(&ep->sleepers, POLLIN);
	return n;
}

struct waitq *epoll_sleepers(struct file *f)
{
	return &epoll_of(f)->sleepers;
}

size_t epoll_watches(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	size_t n;

	pthread_mutex_lock(&ep->scan);
	n = ep->nitems;
	pthread_mutex_unlock(&ep->scan);
	return n;
}

bool epoll_maybe_ready(struct file *f)
{
	struct epoll *ep = epoll_of(f);

	SCOPED_LOCK(&ep->ready_lock);
	return !list_empty(&ep->ready);
}

/* Ready if any item is; those that are not leave the ready list. */
static uint32_t epoll_poll(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	struct list todo = LIST_INIT(todo);
	struct item *it;
	bool ready = false;

	pthread_mutex_lock(&ep->scan);
	mutex_lock(&ep->ready_lock);
	list_splice_tail(&todo, &ep->ready);
	mutex_unlock(&ep->ready_lock);
	while (!ready && (it = take_first(ep, &todo))) {
		ready = item_poll(it);
		if (ready)
			put_back(ep, it, &todo);
	}
	give_back(ep, &todo);
	pthread_mutex_unlock(&ep->scan);
	return ready ? POLLIN | POLLRDNORM : 0;
}

/* --- nesting --------------------------------------------------------------------------- */

/* Links below ep, or more than MAX_NESTS if `into` is among what it reaches. */
static int depth_below(struct epoll *ep, const struct epoll *into)
{
	struct item *it;
	int depth = 0;

	if (ep == into)
		return MAX_NESTS + 1;
	if (ep->visit_below == visits)
		return ep->below;
	pthread_mutex_lock(&ep->scan);
	for (size_t i = 0; i < ep->nbuckets && depth <= MAX_NESTS; i++) {
		list_for_each (it, &ep->buckets[i], node) {
			if (file_is_epoll(it->file))
				depth = max(depth, 1 + depth_below(epoll_of(it->file), into));
		}
	}
	pthread_mutex_unlock(&ep->scan);
	ep->visit_below = visits;
	ep->below = depth;
	return depth;
}

/* Under files_lock. */
static int depth_above(struct epoll *ep)
{
	struct item *it;
	int depth = 0;

	if (ep->visit_above == visits)
		return ep->above;
	list_for_each (it, &ep->file.epoll_items, filed) {
		depth = max(depth, 1 + depth_above(it->ep));
	}
	ep->visit_above = visits;
	ep->above = depth;
	return depth;
}

static int check_nesting(struct epoll *ep, struct epoll *target)
{
	int below, above;

	visits++;
	below = depth_below(target, ep);
	if (below > MAX_NESTS)
		return -ELOOP;
	mutex_lock(&files_lock);
	above = depth_above(ep);
	mutex_unlock(&files_lock);
	return below + 1 + above > MAX_NESTS ? -ELOOP : 0;
}

/* --- ctl ------------------------------------------------------------------------------- */

/* What the file's queue is asked for. Sources differ in which of two names of one event
 * they wake with. */
static uint32_t wake_mask(uint32_t want)
{
	if (want & (POLLIN | POLLRDNORM))
		want |= POLLIN | POLLRDNORM;
	if (want & (POLLOUT | POLLWRNORM))
		want |= POLLOUT | POLLWRNORM;
	return want;
}

static void item_set(struct item *it, const struct epoll_event *event)
{
	mutex_lock(&it->ep->ready_lock);
	it->want = (event->events & ~(uint32_t)FLAG_BITS) | EPOLLERR | EPOLLHUP;
	mutex_unlock(&it->ep->ready_lock);
	it->flags = event->events & FLAG_BITS;
	it->data = event->data.u64;
	it->w.events = wake_mask(it->want);
	it->w.exclusive = it->flags & EPOLLEXCLUSIVE;
	it->w.wake = item_wake;
}

/* The waiter is in place first, then the state is tested. Returns whether to wake. */
static bool item_watch(struct item *it)
{
	if (it->file->wq)
		waitq_add(it->file->wq, &it->w);
	return item_poll(it) && make_ready(it);
}

static int add_locked(struct epoll *ep, int fd, struct file *target,
		      const struct epoll_event *event, bool *wake)
{
	struct item *it;
	int err = items_grow(ep);

	if (err)
		return err;
	it = charged_alloc(sizeof(*it));
	if (!it)
		return -ENOMEM;
	if (!account_take(account_payer(), COUNT_EPOLL_WATCHES, 1, MAX_WATCHES)) {
		charged_free(it);
		return -ENOSPC;
	}
	it->payer = account_payer();
	it->ep = ep;
	it->file = target;
	it->fd = fd;
	list_init(&it->w.node);
	list_init(&it->ready);
	item_set(it, event);
	list_add(bucket(ep, target, fd), &it->node);
	ep->nitems++;
	mutex_lock(&files_lock);
	list_add(&target->epoll_items, &it->filed);
	mutex_unlock(&files_lock);
	*wake = item_watch(it);
	return 0;
}

static int modify_locked(struct item *it, const struct epoll_event *event, bool *wake)
{
	if (it->flags & EPOLLEXCLUSIVE)
		return -EINVAL;
	waitq_del(&it->w);
	item_set(it, event);
	*wake = item_watch(it);
	return 0;
}

static int ctl_locked(struct epoll *ep, int op, int fd, struct file *target,
		      const struct epoll_event *event, bool *wake)
{
	struct item *it = item_find(ep, target, fd);

	if (op == EPOLL_CTL_ADD)
		return it ? -EEXIST : add_locked(ep, fd, target, event, wake);
	if (!it)
		return -ENOENT;
	if (op == EPOLL_CTL_MOD)
		return modify_locked(it, event, wake);
	item_remove(it);
	return 0;
}

static int check_exclusive(int op, const struct file *target, const struct epoll_event *event)
{
	if (op == EPOLL_CTL_DEL || !(event->events & EPOLLEXCLUSIVE))
		return 0;
	if (op == EPOLL_CTL_MOD || file_is_epoll(target))
		return -EINVAL;
	return event->events & ~(uint32_t)EXCLUSIVE_OK ? -EINVAL : 0;
}

int epoll_ctl_file(struct file *f, int op, int fd, struct file *target,
		   const struct epoll_event *event)
{
	bool nests = op == EPOLL_CTL_ADD && file_is_epoll(target);
	struct epoll *ep;
	bool wake = false;
	int err;

	if (!target->ops->poll)
		return -EPERM;
	if (f == target || !file_is_epoll(f))
		return -EINVAL;
	err = check_exclusive(op, target, event);
	if (err)
		return err;
	if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return -EINVAL;
	ep = epoll_of(f);
	if (nests) {
		pthread_mutex_lock(&nest_lock);
		err = check_nesting(ep, epoll_of(target));
	}
	if (!err) {
		pthread_mutex_lock(&ep->scan);
		err = ctl_locked(ep, op, fd, target, event, &wake);
		pthread_mutex_unlock(&ep->scan);
	}
	if (nests)
		pthread_mutex_unlock(&nest_lock);
	if (wake)
		tell(ep);
	return err;
}

int epoll_watched(struct file *f, int fd, unsigned int nth, const struct file **out)
{
	struct epoll *ep = epoll_of(f);
	struct item *it;

	if (!file_is_epoll(f))
		return -EINVAL;
	*out = NULL;
	pthread_mutex_lock(&ep->scan);
	for (size_t i = 0; i < ep->nbuckets && !*out; i++) {
		list_for_each (it, &ep->buckets[i], node) {
			if (it->fd == fd && nth-- == 0)
				*out = it->file;
		}
	}
	pthread_mutex_unlock(&ep->scan);
	return *out ? 0 : -ENOENT;
}

/* --- life ------------------------------------------------------------------------------- */

/* The first watch's epoll with a reference, or NULL. */
static struct epoll *first_watcher(struct file *f)
{
	struct epoll *ep;

	SCOPED_LOCK(&files_lock);
	if (list_empty(&f->epoll_items))
		return NULL;
	/* The item is there, so its epoll has not been released yet: the count is not zero. */
	ep = list_first(&f->epoll_items, struct item, filed)->ep;
	ref_get(&ep->ref);
	return ep;
}

static struct item *first_item_of(struct epoll *ep, struct file *f)
{
	struct item *it;

	SCOPED_LOCK(&files_lock);
	list_for_each (it, &f->epoll_items, filed)
		if (it->ep == ep)
			return it;
	return NULL;
}

void epoll_forget_file(struct file *f)
{
	struct epoll *ep;
	struct item *it;

	while ((ep = first_watcher(f))) {
		pthread_mutex_lock(&ep->scan);
		while ((it = first_item_of(ep, f)))
			item_remove(it);
		pthread_mutex_unlock(&ep->scan);
		epoll_put(ep);
	}
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	struct item *it, *tmp;

	pthread_mutex_lock(&ep->scan);
	for (size_t i = 0; i < ep->nbuckets; i++)
		list_for_each_safe (it, tmp, &ep->buckets[i], node)
			item_remove(it);
	pthread_mutex_unlock(&ep->scan);
	file_fini(f);
	epoll_put(ep);
}

static size_t epoll_fdinfo(struct file *f, char *buf, size_t size)
{
	struct epoll *ep = epoll_of(f);
	struct item *it;
	size_t len = 0;

	pthread_mutex_lock(&ep->scan);
	for (size_t i = 0; i < ep->nbuckets; i++) {
		list_for_each (it, &ep->buckets[i], node) {
			int n = snprintf(buf + len, size - len,
					 "tfd: %8d events: %8x data: %16llx  pos:%lld ino:%llx "
					 "sdev:%llx\n",
					 it->fd, it->want | it->flags, (unsigned long long)it->data,
					 (long long)it->file->pos,
					 (unsigned long long)it->file->inode->ino,
					 (unsigned long long)it->file->inode->sb->dev);

			if ((size_t)n >= size - len)
				break;
			len += (size_t)n;
		}
	}
	pthread_mutex_unlock(&ep->scan);
	return len;
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .release = epoll_release,
};

#define FIRST_BUCKETS 16

int epoll_new(const struct cred *cred, struct file **out)
{
	struct epoll *ep = NEW(struct epoll);
	struct inode *inode = anon_inode_new("[eventpoll]", 0);
	struct path none = {0};

	fdinfo_register(&epoll_ops, epoll_fdinfo);
	file_init(&ep->file, &epoll_ops, inode, &none, cred, O_RDWR);
	inode_put(inode);
	ref_init(&ep->ref);
	waitq_init(&ep->wq);
	waitq_init(&ep->sleepers);
	ep->file.wq = &ep->wq;
	pthread_mutex_init(&ep->scan, NULL);
	mutex_init(&ep->ready_lock, RANK_LEAF);
	list_init(&ep->ready);
	ep->nbuckets = FIRST_BUCKETS;
	ep->buckets = charged_always(FIRST_BUCKETS * sizeof(*ep->buckets));
	for (size_t i = 0; i < FIRST_BUCKETS; i++)
		list_init(&ep->buckets[i]);
	*out = &ep->file;
	return 0;
}
