/*
 * Arenas: the memory that one stub process and the sentry share, a memfd.
 *
 * A memfd and its mapping are used again for the next process when their process is dead and
 * nobody else can have had them: the stub's own fd and mapping went with it, and a mapping
 * goes to a child only by a fork, which the sentry has to allow (pf_space.forked). What the
 * process left in it is removed; the pages that every process touches are cleared, so that
 * they stay. At most STOCK_MAX wait for a process, and KEPT_FDS processes keep their fd.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/host.h"
#include "common/host_file.h"
#include "common/host_shared.h"
#include "common/mem.h"
#include "sentry/platform/pf.h"

#define STOCK_MAX 16
#define KEPT_FDS 64U
#define KEPT_LOW GUEST_PAGE		       /* the mailbox of slot 0, ... */
#define KEPT_HIGH (SLOT_SIZE - 2 * GUEST_PAGE) /* ... and the top of its stack */

static struct {
	pthread_mutex_t lock;
	struct list list; /* guarded by lock */
	unsigned int count;
	atomic_uint fds; /* kept in all */
} stock = {.lock = PTHREAD_MUTEX_INITIALIZER, .list = LIST_INIT(stock.list)};

static int arena_make(struct arena **out, int *fd_out)
{
	SCOPED_FD int fd = host_memfd_create("stub", 0);
	struct arena *a;
	int r;

	if (fd < 0)
		return fd;
	r = host_ftruncate(fd, ARENA_SIZE);
	if (r < 0)
		return r;
	a = NEW(struct arena);
	list_init(&a->node);
	a->fd = -1;
	a->base = host_map_shared(fd, ARENA_SIZE);
	if (!a->base) {
		free(a);
		return -ENOMEM;
	}
	*out = a;
	*fd_out = fd;
	fd = -1;
	return 0;
}

static bool arena_scrub(struct arena *a)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (host_fallocate(a->fd, hole, KEPT_LOW, KEPT_HIGH - KEPT_LOW) < 0 ||
	    host_fallocate(a->fd, hole, SLOT_SIZE, ARENA_SIZE - SLOT_SIZE) < 0)
		return false;
	memset(a->base, 0, KEPT_LOW);
	memset(a->base + KEPT_HIGH, 0, SLOT_SIZE - KEPT_HIGH);
	a->used = 0;
	return true;
}

bool arena_recycle(struct arena *a)
{
	bool kept = false;

	if (a->fd < 0 || !arena_scrub(a))
		return false;
	pthread_mutex_lock(&stock.lock);
	if (stock.count < STOCK_MAX) {
		list_add(&stock.list, &a->node);
		stock.count++;
		kept = true;
	}
	pthread_mutex_unlock(&stock.lock);
	return kept;
}

static struct arena *arena_from_stock(int *fd)
{
	struct arena *a = NULL;

	pthread_mutex_lock(&stock.lock);
	if (stock.count) {
		a = list_first(&stock.list, struct arena, node);
		list_del(&a->node);
		stock.count--;
	}
	pthread_mutex_unlock(&stock.lock);
	if (a) {
		*fd = a->fd;
		a->fd = -1;
		atomic_fetch_sub(&stock.fds, 1);
	}
	return a;
}

void arena_keep_fd(struct arena *a, int *fd)
{
	if (atomic_fetch_add(&stock.fds, 1) < KEPT_FDS) {
		a->fd = *fd;
		*fd = -1;
	} else {
		atomic_fetch_sub(&stock.fds, 1);
	}
}

int arena_new(struct arena **out, int *fd_out)
{
	*out = arena_from_stock(fd_out);
	return *out ? 0 : arena_make(out, fd_out);
}

void arena_free(struct arena *a)
{
	if (a->fd >= 0) {
		host_close(a->fd);
		atomic_fetch_sub(&stock.fds, 1);
	}
	host_unmap(a->base, ARENA_SIZE);
	free(a);
}
