#include "sentry/fs/eventfd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "common/mem.h"
#include "sentry/fs/fdinfo.h"
#include "sentry/fs/inode.h"

struct eventfd {
	struct file file;
	struct waitq wq;
	bool semaphore; /* immutable */
	unsigned int id;
	struct mutex lock;
	uint64_t count; /* guarded by lock; at most UINT64_MAX - 1 */
};

static struct eventfd *eventfd_of(struct file *f)
{
	return container_of(f, struct eventfd, file);
}

static ssize_t eventfd_take(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct eventfd *e = eventfd_of(f);
	uint64_t value;

	if (n < sizeof(value))
		return -EINVAL;
	mutex_lock(&e->lock);
	value = e->semaphore && e->count ? 1 : e->count;
	e->count -= value;
	mutex_unlock(&e->lock);
	if (value == 0)
		return -EAGAIN;
	waitq_wake(&e->wq, POLLOUT);
	memcpy(buf, &value, sizeof(value));
	return sizeof(value);
}

static ssize_t eventfd_add(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct eventfd *e = eventfd_of(f);
	uint64_t value;
	bool fits;

	if (n != sizeof(value))
		return -EINVAL;
	memcpy(&value, buf, sizeof(value));
	if (value == UINT64_MAX)
		return -EINVAL;
	mutex_lock(&e->lock);
	fits = UINT64_MAX - e->count > value;
	if (fits)
		e->count += value;
	mutex_unlock(&e->lock);
	if (!fits)
		return -EAGAIN;
	waitq_wake(&e->wq, POLLIN);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f)
{
	struct eventfd *e = eventfd_of(f);

	SCOPED_LOCK(&e->lock);
	return (e->count > 0 ? POLLIN : 0) | (e->count < UINT64_MAX - 1 ? POLLOUT : 0);
}

static size_t eventfd_fdinfo(struct file *f, char *buf, size_t size)
{
	struct eventfd *e = eventfd_of(f);

	SCOPED_LOCK(&e->lock);
	return (size_t)snprintf(buf, size,
				"eventfd-count: %16llx\neventfd-id: %u\neventfd-semaphore: %d\n",
				(unsigned long long)e->count, e->id, e->semaphore);
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = eventfd_of(f);

	file_fini(f);
	waitq_destroy(&e->wq);
	mutex_destroy(&e->lock);
	free(e);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_take,
    .write = eventfd_add,
    .poll = eventfd_poll,
    .release = eventfd_release,
};

bool eventfd_is(const struct file *f)
{
	return f->ops == &eventfd_ops;
}

int eventfd_new(const struct cred *cred, unsigned int count, int flags, struct file **out)
{
	static atomic_uint next_id;
	struct eventfd *e = NEW(struct eventfd);
	struct inode *inode = anon_inode_new("[eventfd]", 0);
	struct path none = {0};

	fdinfo_register(&eventfd_ops, eventfd_fdinfo);
	file_init(&e->file, &eventfd_ops, inode, &none, cred, O_RDWR | (flags & O_NONBLOCK));
	inode_put(inode);
	waitq_init(&e->wq);
	mutex_init(&e->lock, RANK_OBJECT);
	e->file.wq = &e->wq;
	e->semaphore = flags & EFD_SEMAPHORE;
	e->id = atomic_fetch_add(&next_id, 1);
	e->count = count;
	*out = &e->file;
	return 0;
}
