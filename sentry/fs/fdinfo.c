#include "sentry/fs/fdinfo.h"

#include "common/log.h"

#define KINDS 32

/* Filled from the front; an entry never changes once `ops` is set. */
static struct {
	_Atomic(const struct file_ops *) ops;
	fdinfo_fn *show;
} kinds[KINDS];
static struct mutex lock = MUTEX_INIT(RANK_LEAF); /* guards adding */

static fdinfo_fn *find(const struct file_ops *ops)
{
	for (size_t i = 0; i < KINDS && atomic_load(&kinds[i].ops); i++)
		if (atomic_load(&kinds[i].ops) == ops)
			return kinds[i].show;
	return NULL;
}

void fdinfo_register(const struct file_ops *ops, fdinfo_fn *show)
{
	size_t i = 0;

	if (find(ops))
		return;
	SCOPED_LOCK(&lock);
	for (; i < KINDS && atomic_load(&kinds[i].ops); i++)
		if (atomic_load(&kinds[i].ops) == ops)
			return;
	if (i == KINDS)
		panic("more kinds of files with fdinfo than %d", KINDS);
	kinds[i].show = show;
	atomic_store(&kinds[i].ops, ops);
}

size_t fdinfo_show(struct file *f, char *buf, size_t size)
{
	fdinfo_fn *show = find(f->ops);

	return show ? show(f, buf, size) : 0;
}
