/*
 * inotify(7).
 *
 * A watch ties an instance to an inode and holds a reference on the inode. One
 * mutex guards all watches and queues: events are rare, and a report that finds
 * no watch does not take it. Waking (rank above) may happen under it.
 *
 * Limits as Linux's defaults: MAX_QUEUED events in a queue (then one
 * IN_Q_OVERFLOW), and MAX_WATCHES and MAX_INSTANCES for each user.
 */
#include "sentry/fs/inotify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/fdinfo.h"

#define MAX_QUEUED 16384
#define MAX_WATCHES 65536
#define MAX_INSTANCES 128

/* struct inotify_event, without its name. */
struct event_head {
	int32_t wd;
	uint32_t mask, cookie, len;
};
static_assert(sizeof(struct event_head) == sizeof(struct inotify_event), "inotify_event");

struct event {
	struct list node;
	size_t name_len; /* padded, 0: none */
	struct event_head head;
	char name[];
};

struct inotify {
	struct file file;
	struct waitq wq;
	/* guarded by inotify_lock */
	struct list events, watches;
	unsigned int queued;
	size_t bytes;
	int next_wd;
	struct event *overflow; /* IN_Q_OVERFLOW; owned while it is not queued */
	struct account *payer;	/* immutable */
};

struct watch {
	struct list in_instance, in_inode, all;
	struct inotify *owner;
	struct inode *inode; /* owned */
	struct account *payer;
	uint32_t mask;
	int wd;
};

/* A watch with the inode that it keeps from being forgotten, and its names. */
#define WATCH_WEIGHT (sizeof(struct watch) + 768)

struct inotify_set {
	struct list watches; /* guarded by inotify_lock */
};

static struct mutex inotify_lock = MUTEX_INIT(RANK_OBJECT);
static struct list all_watches = LIST_INIT(all_watches); /* guarded by inotify_lock */
atomic_int inotify_watches;

uint32_t inotify_cookie(void)
{
	static atomic_uint next = 1;

	return atomic_fetch_add(&next, 1);
}

void inotify_set_free(struct inotify_set *set)
{
	free(set);
}

/* --- queueing ----------------------------------------------------------------------- */

static bool same_event(const struct event *a, int wd, uint32_t mask, const char *name, size_t len)
{
	if (a->head.wd != wd || a->head.mask != mask)
		return false;
	if (!a->name_len || !len)
		return !a->name_len && !len;
	return strlen(a->name) == len && !memcmp(a->name, name, len);
}

static bool append_locked(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
			  const char *name, size_t len)
{
	size_t padded = len ? ROUND_UP(len + 1, sizeof(struct inotify_event)) : 0;
	struct event *e = charged_alloc(sizeof(*e) + padded);

	if (!e)
		return false;
	e->head.wd = wd;
	e->head.mask = mask;
	e->head.cookie = cookie;
	e->head.len = (uint32_t)padded;
	e->name_len = padded;
	if (len)
		memcpy(e->name, name, len);
	list_add_tail(&in->events, &e->node);
	in->queued++;
	in->bytes += sizeof(struct inotify_event) + padded;
	waitq_wake(&in->wq, POLLIN | POLLRDNORM);
	return true;
}

/* Tells, once, that events were lost. The place for that was set aside. */
static void overflow_locked(struct inotify *in)
{
	struct event *e = in->overflow;

	if (!e)
		return;
	in->overflow = NULL;
	list_add_tail(&in->events, &e->node);
	in->queued++;
	in->bytes += sizeof(struct inotify_event);
	waitq_wake(&in->wq, POLLIN | POLLRDNORM);
}

static void queue_locked(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
			 const char *name, size_t len)
{
	if (in->queued >= MAX_QUEUED) {
		overflow_locked(in);
		return;
	}
	if (!list_empty(&in->events) &&
	    same_event(list_last(&in->events, struct event, node), wd, mask, name, len))
		return;
	if (!append_locked(in, wd, mask, cookie, name, len))
		overflow_locked(in);
}

/* Takes the watch off; the caller frees it, and drops its inode, outside the lock. */
static void unwatch_locked(struct watch *w, struct list *dead)
{
	queue_locked(w->owner, w->wd, IN_IGNORED, 0, NULL, 0);
	list_del(&w->in_instance);
	list_del(&w->in_inode);
	list_del(&w->all);
	list_add_tail(dead, &w->all);
	atomic_fetch_sub(&w->inode->watch_count, 1);
	atomic_fetch_sub(&inotify_watches, 1);
	account_give(w->payer, COUNT_INOTIFY_WATCHES, 1);
}

static void free_watches(struct list *dead)
{
	while (!list_empty(dead)) {
		struct watch *w = list_first(dead, struct watch, all);

		list_del(&w->all);
		inode_put(w->inode);
		charged_free(w);
	}
}

static void report(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name,
		   size_t len, bool unlinked)
{
	struct list dead = LIST_INIT(dead);
	struct watch *w, *tmp;

	mutex_lock(&inotify_lock);
	if (inode->watches)
		list_for_each_safe (w, tmp, &inode->watches->watches, in_inode) {
			if (!(w->mask & mask & IN_ALL_EVENTS) ||
			    (unlinked && (w->mask & IN_EXCL_UNLINK)))
				continue;
			queue_locked(w->owner, w->wd, mask, cookie, name, len);
			if (w->mask & IN_ONESHOT)
				unwatch_locked(w, &dead);
		}
	mutex_unlock(&inotify_lock);
	free_watches(&dead);
}

void inotify_report(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name,
		    size_t len)
{
	report(inode, mask, cookie, name, len, false);
}

void inotify_report_dentry(struct dentry *d, uint32_t mask)
{
	char name[NAME_MAX_LEN + 1];
	struct inode *parent = NULL, *inode = d->inode;
	bool unlinked;
	size_t len;

	if (S_ISDIR(inode->mode))
		mask |= IN_ISDIR;
	mutex_lock(&dcache_lock);
	len = d->len;
	unlinked = d->flags & DENTRY_DELETED;
	if (d->parent != d && d->parent->inode && atomic_load(&d->parent->inode->watch_count)) {
		parent = inode_get(d->parent->inode);
		memcpy(name, d->name, len);
	}
	mutex_unlock(&dcache_lock);
	if (parent) {
		report(parent, mask, 0, name, len, unlinked);
		inode_put(parent);
	}
	if (atomic_load(&inode->watch_count))
		report(inode, mask, 0, NULL, 0, false);
}

void inotify_inode_gone(struct inode *inode)
{
	struct list dead = LIST_INIT(dead);
	struct watch *w, *tmp;

	mutex_lock(&inotify_lock);
	if (inode->watches)
		list_for_each_safe (w, tmp, &inode->watches->watches, in_inode) {
			if (w->mask & IN_DELETE_SELF)
				queue_locked(w->owner, w->wd, IN_DELETE_SELF, 0, NULL, 0);
			unwatch_locked(w, &dead);
		}
	mutex_unlock(&inotify_lock);
	free_watches(&dead);
}

void inotify_superblock_gone(struct superblock *sb)
{
	struct list dead = LIST_INIT(dead);
	struct watch *w, *tmp;

	if (!atomic_load(&inotify_watches))
		return;
	mutex_lock(&inotify_lock);
	list_for_each_safe (w, tmp, &all_watches, all)
		if (w->inode->sb == sb) {
			queue_locked(w->owner, w->wd, IN_UNMOUNT, 0, NULL, 0);
			unwatch_locked(w, &dead);
		}
	mutex_unlock(&inotify_lock);
	free_watches(&dead);
}

/* --- the file -------------------------------------------------------------------------- */

static struct inotify *of(struct file *f)
{
	return container_of(f, struct inotify, file);
}

/* Takes the first event off if it fits into n bytes. */
static struct event *take_event(struct inotify *in, size_t n, int *err)
{
	SCOPED_LOCK(&inotify_lock);
	struct event *e;

	if (list_empty(&in->events)) {
		*err = -EAGAIN;
		return NULL;
	}
	e = list_first(&in->events, struct event, node);
	if (sizeof(e->head) + e->name_len > n) {
		*err = -EINVAL;
		return NULL;
	}
	list_del(&e->node);
	in->queued--;
	in->bytes -= sizeof(e->head) + e->name_len;
	return e;
}

static void event_done(struct inotify *in, struct event *e)
{
	if (!(e->head.mask & IN_Q_OVERFLOW)) {
		charged_free(e);
		return;
	}
	SCOPED_LOCK(&inotify_lock);
	in->overflow = e;
}

static ssize_t inotify_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	size_t done = 0;
	struct event *e;
	int err = 0;

	while ((e = take_event(of(f), n - done, &err))) {
		memcpy((char *)buf + done, &e->head, sizeof(e->head));
		memcpy((char *)buf + done + sizeof(e->head), e->name, e->name_len);
		done += sizeof(e->head) + e->name_len;
		event_done(of(f), e);
	}
	return done ? (ssize_t)done : err;
}

/* There is a position, but it never moves. */
static off_t inotify_seek(struct file *f, off_t offset, int whence)
{
	return f->pos;
}

static uint32_t inotify_poll(struct file *f)
{
	SCOPED_LOCK(&inotify_lock);
	return list_empty(&of(f)->events) ? 0 : POLLIN | POLLRDNORM;
}

static long inotify_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			  struct guest_access *caller)
{
	int bytes;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&inotify_lock);
	bytes = (int)of(f)->bytes;
	mutex_unlock(&inotify_lock);
	return ga_copyout(caller, UADDR(arg), &bytes, sizeof(bytes));
}

static void inotify_release(struct file *f)
{
	struct inotify *in = of(f);
	struct list dead = LIST_INIT(dead);
	struct event *e, *etmp;
	struct watch *w, *tmp;

	mutex_lock(&inotify_lock);
	list_for_each_safe (w, tmp, &in->watches, in_instance)
		unwatch_locked(w, &dead);
	mutex_unlock(&inotify_lock);
	free_watches(&dead);
	list_for_each_safe (e, etmp, &in->events, node)
		charged_free(e);
	charged_free(in->overflow);
	account_give(in->payer, COUNT_INOTIFY_INSTANCES, 1);
	file_fini(f);
	waitq_destroy(&in->wq);
	free(in);
}

/* The newest watch first. What Linux adds of a file handle is not here. */
static size_t inotify_fdinfo(struct file *f, char *buf, size_t size)
{
	SCOPED_LOCK(&inotify_lock);
	struct watch *w;
	size_t len = 0;

	list_for_each (w, &of(f)->watches, in_instance) {
		int n = snprintf(buf + len, size - len,
				 "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n", w->wd,
				 (unsigned long long)w->inode->ino,
				 (unsigned long long)w->inode->sb->dev,
				 w->mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK));

		if ((size_t)n >= size - len)
			break;
		len += (size_t)n;
	}
	return len;
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .seek = inotify_seek,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
};

int inotify_new(const struct cred *cred, int flags, struct file **out)
{
	struct inotify *in;
	struct inode *inode;

	if (!account_take(account_payer(), COUNT_INOTIFY_INSTANCES, 1, MAX_INSTANCES))
		return -EMFILE;
	fdinfo_register(&inotify_ops, inotify_fdinfo);
	in = NEW(struct inotify);
	in->payer = account_payer();
	in->overflow = CHARGED_NEW(struct event);
	in->overflow->head.wd = -1;
	in->overflow->head.mask = IN_Q_OVERFLOW;
	inode = anon_inode_new("inotify", 0);
	file_init(&in->file, &inotify_ops, inode, NULL, cred, O_RDONLY | (flags & O_NONBLOCK));
	inode_put(inode);
	in->file.caps = FILE_CAN_SEEK;
	waitq_init(&in->wq);
	in->file.wq = &in->wq;
	list_init(&in->events);
	list_init(&in->watches);
	in->next_wd = 1;
	*out = &in->file;
	return 0;
}

static struct watch *find_watch_locked(struct inotify *in, const struct inode *inode, int wd)
{
	struct watch *w;

	list_for_each (w, &in->watches, in_instance)
		if (inode ? w->inode == inode : w->wd == wd)
			return w;
	return NULL;
}

static int change_locked(struct watch *w, uint32_t mask)
{
	if (mask & IN_MASK_CREATE)
		return -EEXIST;
	w->mask = mask & IN_MASK_ADD ? w->mask | mask : mask;
	return w->wd;
}

static int new_watch_locked(struct inotify *in, struct inode *inode, uint32_t mask)
{
	struct watch *w;

	if (!account_take(account_payer(), COUNT_INOTIFY_WATCHES, 1, MAX_WATCHES))
		return -ENOSPC;
	w = charged_alloc(WATCH_WEIGHT);
	if (!w) {
		account_give(account_payer(), COUNT_INOTIFY_WATCHES, 1);
		return -ENOMEM;
	}
	if (!inode->watches) {
		inode->watches = NEW(struct inotify_set);
		list_init(&inode->watches->watches);
	}
	w->payer = account_payer();
	w->owner = in;
	w->inode = inode_get(inode);
	w->mask = mask;
	w->wd = in->next_wd++;
	list_add(&in->watches, &w->in_instance);
	list_add_tail(&inode->watches->watches, &w->in_inode);
	list_add_tail(&all_watches, &w->all);
	atomic_fetch_add(&inode->watch_count, 1);
	atomic_fetch_add(&inotify_watches, 1);
	return w->wd;
}

int inotify_add(struct file *f, struct inode *inode, uint32_t mask)
{
	struct watch *w;

	if (f->ops != &inotify_ops || !(mask & IN_ALL_EVENTS) ||
	    ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)))
		return -EINVAL;
	SCOPED_LOCK(&inotify_lock);
	w = find_watch_locked(of(f), inode, 0);
	return w ? change_locked(w, mask) : new_watch_locked(of(f), inode, mask);
}

int inotify_remove(struct file *f, int wd)
{
	struct list dead = LIST_INIT(dead);
	struct watch *w;

	if (f->ops != &inotify_ops)
		return -EINVAL;
	mutex_lock(&inotify_lock);
	w = find_watch_locked(of(f), NULL, wd);
	if (w)
		unwatch_locked(w, &dead);
	mutex_unlock(&inotify_lock);
	free_watches(&dead);
	return w ? 0 : -EINVAL;
}
