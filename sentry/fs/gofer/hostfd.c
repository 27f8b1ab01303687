/*
 * Host fds of regular files. An inode has at most two, one read-only and one
 * writable, opened on demand and shared by all opens of it; reads go through the
 * writable one as soon as there is one, because on an overlay host file system
 * opening for writing copies the file, and an older fd shows the old copy.
 *
 * While nobody has the file open its fds stay on a bounded list, so that
 * opening it again costs no gofer call. Closing an fd of a file that was open
 * for writing marks its attributes stale: what the last fstat said may be old.
 *
 * fd_lock guards the fds, the counts and the list; it is a leaf, so nothing is
 * closed under it.
 */
#include <errno.h>

#include "common/host.h"
#include "sentry/fs/gofer/internal.h"

static struct mutex fd_lock = MUTEX_INIT(RANK_LEAF);
static struct list idle_list = LIST_INIT(idle_list);
static unsigned int idle_count, idle_max = 1024;

struct fd_pair {
	int ro, rw;
};

static void pair_close(const struct fd_pair *p)
{
	if (p->ro >= 0)
		host_close(p->ro);
	if (p->rw >= 0)
		host_close(p->rw);
}

static void idle_remove_locked(struct gofer_inode *gi)
{
	if (!list_linked(&gi->idle))
		return;
	list_del(&gi->idle);
	idle_count--;
}

static struct fd_pair detach_locked(struct gofer_inode *gi)
{
	struct fd_pair p = {atomic_exchange(&gi->fd_ro, -1), atomic_exchange(&gi->fd_rw, -1)};

	idle_remove_locked(gi);
	if (p.rw >= 0)
		atomic_store(&gi->stale, true);
	return p;
}

static void idle_add_locked(struct gofer_inode *gi)
{
	if (gi->opens || hostfd_current(gi) < 0 || list_linked(&gi->idle))
		return;
	list_add_tail(&idle_list, &gi->idle);
	idle_count++;
}

/* What must be closed for the list to keep its bound; one at a time is enough. */
static struct fd_pair trim_locked(unsigned int max)
{
	if (idle_count <= max)
		return (struct fd_pair){-1, -1};
	return detach_locked(list_first(&idle_list, struct gofer_inode, idle));
}

void gofer_set_idle_fds(unsigned int max)
{
	struct fd_pair p;

	do {
		mutex_lock(&fd_lock);
		idle_max = max;
		p = trim_locked(max);
		mutex_unlock(&fd_lock);
		pair_close(&p);
	} while (p.ro >= 0 || p.rw >= 0);
}

static bool has_fd(const struct gofer_inode *gi, bool write)
{
	return write ? atomic_load(&((struct gofer_inode *)gi)->fd_rw) >= 0
		     : hostfd_current(gi) >= 0;
}

/* Stores a fresh fd unless another thread was faster; then it is closed. */
static void store_fd(struct gofer_inode *gi, bool write, int fd)
{
	atomic_int *slot = write ? &gi->fd_rw : &gi->fd_ro;
	int none = -1;

	if (!atomic_compare_exchange_strong(slot, &none, fd))
		host_close(fd);
}

static int ask_gofer(struct gofer_inode *gi, bool write)
{
	struct gofer_sb *gs = gofer_sb(&gi->inode);
	struct fuse_open_in in = {.flags = write ? O_RDWR : O_RDONLY};
	struct gofer_attr_out out;
	struct gofer_call call = {
	    .opcode = GOFER_OPEN,
	    .node = gi->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &out,
	    .out_max = sizeof(out),
	    .out_min = sizeof(out),
	};
	int err = client_call(&gs->client, &call);

	if (err)
		return err;
	if (call.fd < 0)
		return -EIO;
	store_fd(gi, write, call.fd);
	return 0;
}

int hostfd_get(struct gofer_inode *gi, bool write)
{
	int err = 0;

	mutex_lock(&fd_lock);
	gi->opens++;
	idle_remove_locked(gi);
	mutex_unlock(&fd_lock);
	if (!has_fd(gi, write))
		err = ask_gofer(gi, write);
	if (err)
		hostfd_put(gi);
	return err;
}

void hostfd_put(struct gofer_inode *gi)
{
	struct fd_pair p = {-1, -1};

	mutex_lock(&fd_lock);
	if (--gi->opens == 0) {
		if (gi->inode.nlink == 0)
			p = detach_locked(gi);
		idle_add_locked(gi);
		if (p.ro < 0 && p.rw < 0)
			p = trim_locked(idle_max);
	}
	mutex_unlock(&fd_lock);
	pair_close(&p);
}

int hostfd_hold_written(struct gofer_inode *gi)
{
	int fd;

	if (atomic_load(&gi->fd_rw) < 0)
		return -1;
	mutex_lock(&fd_lock);
	fd = atomic_load(&gi->fd_rw);
	if (fd >= 0) {
		gi->opens++;
		idle_remove_locked(gi);
	}
	mutex_unlock(&fd_lock);
	return fd;
}

void hostfd_adopt(struct gofer_inode *gi, int fd)
{
	struct fd_pair p;

	store_fd(gi, true, fd);
	mutex_lock(&fd_lock);
	idle_add_locked(gi);
	p = trim_locked(idle_max);
	mutex_unlock(&fd_lock);
	pair_close(&p);
}

void hostfd_drop_idle(struct gofer_inode *gi)
{
	struct fd_pair p = {-1, -1};

	mutex_lock(&fd_lock);
	if (!gi->opens)
		p = detach_locked(gi);
	mutex_unlock(&fd_lock);
	pair_close(&p);
}

void hostfd_close_all(struct gofer_inode *gi)
{
	struct fd_pair p;

	mutex_lock(&fd_lock);
	p = detach_locked(gi);
	mutex_unlock(&fd_lock);
	pair_close(&p);
}
