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

#include "sentry/core/account.h"
#include "sentry/fs/gofer/internal.h"

static struct mutex fd_lock = MUTEX_INIT(RANK_LEAF);
static struct list idle_list = LIST_INIT(idle_list);
static unsigned int idle_count, idle_max = 1024;

/* How many idle files give up their fds when somebody has too many. */
#define IDLE_BATCH 64

struct host_fds {
	int ro, rw, map;
};

#define NO_FDS ((struct host_fds){-1, -1, -1})

static void fds_close(const struct host_fds *p)
{
	if (p->ro >= 0)
		charged_close(p->ro);
	if (p->rw >= 0)
		charged_close(p->rw);
	if (p->map >= 0)
		charged_close(p->map);
}

static void idle_remove_locked(struct gofer_inode *gi)
{
	if (!list_linked(&gi->idle))
		return;
	list_del(&gi->idle);
	idle_count--;
}

static struct host_fds detach_locked(struct gofer_inode *gi)
{
	struct host_fds p = {
	    .ro = atomic_exchange(&gi->fd_ro, -1),
	    .rw = atomic_exchange(&gi->fd_rw, -1),
	    .map = atomic_exchange(&gi->fd_map, -1),
	};

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
static struct host_fds trim_locked(unsigned int max)
{
	if (idle_count <= max)
		return NO_FDS;
	return detach_locked(list_first(&idle_list, struct gofer_inode, idle));
}

void gofer_set_idle_fds(unsigned int max)
{
	struct host_fds p;

	do {
		mutex_lock(&fd_lock);
		idle_max = max;
		p = trim_locked(max);
		mutex_unlock(&fd_lock);
		fds_close(&p);
	} while (p.ro >= 0 || p.rw >= 0);
}

static bool has_fd(const struct gofer_inode *gi, bool write)
{
	return write ? atomic_load(&((struct gofer_inode *)gi)->fd_rw) >= 0
		     : hostfd_current(gi) >= 0;
}

/* Stores a fresh fd unless another thread was faster; then it is closed. */
static void store_fd(atomic_int *slot, int fd)
{
	int none = -1;

	account_fd_add(fd);
	if (!atomic_compare_exchange_strong(slot, &none, fd))
		charged_close(fd);
}

int hostfd_admit(void)
{
	int err = account_fd_admit();

	/* Files that are not open any more go first. */
	for (unsigned int i = 0; i < IDLE_BATCH && err < 0; i++) {
		struct host_fds p;

		mutex_lock(&fd_lock);
		p = trim_locked(0);
		mutex_unlock(&fd_lock);
		fds_close(&p);
		err = account_fd_admit();
	}
	return err;
}

static int ask_gofer(struct gofer_inode *gi, bool write, atomic_int *slot)
{
	struct gofer_sb *gs = gofer_sb(&gi->inode);
	struct fuse_open_in in = {.flags = write ? O_RDWR : O_RDONLY};
	struct gofer_attr_out out = {0};
	struct gofer_call call = {
	    .opcode = GOFER_OPEN,
	    .node = gi->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &out,
	    .out_max = sizeof(out),
	    .out_min = sizeof(out),
	};
	int err = hostfd_admit();

	if (err == 0)
		err = client_call(&gs->client, &call);
	if (err)
		return err;
	if (call.fd < 0)
		return -EIO;
	store_fd(slot, call.fd);
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
		err = ask_gofer(gi, write, write ? &gi->fd_rw : &gi->fd_ro);
	if (err)
		hostfd_put(gi);
	/* Removed between the walk and us: as if the walk had come later. */
	return err == -ESTALE && atomic_load(&gi->gone) ? -ENOENT : err;
}

void hostfd_put(struct gofer_inode *gi)
{
	struct host_fds p = NO_FDS;

	mutex_lock(&fd_lock);
	if (--gi->opens == 0) {
		if (gi->inode.nlink == 0)
			p = detach_locked(gi);
		idle_add_locked(gi);
		if (p.ro < 0 && p.rw < 0)
			p = trim_locked(idle_max);
	}
	mutex_unlock(&fd_lock);
	fds_close(&p);
}

int hostfd_read_only(struct gofer_inode *gi)
{
	bool written = atomic_load(&gi->fd_rw) >= 0;
	atomic_int *slot = written ? &gi->fd_map : &gi->fd_ro;
	int err = atomic_load(slot) < 0 ? ask_gofer(gi, false, slot) : 0;

	return err ? err : atomic_load(slot);
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

bool hostfd_in_use(struct gofer_inode *gi)
{
	SCOPED_LOCK(&fd_lock);
	return gi->opens > 0;
}

void hostfd_adopt(struct gofer_inode *gi, int fd)
{
	struct host_fds p;

	store_fd(&gi->fd_rw, fd);
	mutex_lock(&fd_lock);
	idle_add_locked(gi);
	p = trim_locked(idle_max);
	mutex_unlock(&fd_lock);
	fds_close(&p);
}

void hostfd_drop_idle(struct gofer_inode *gi)
{
	struct host_fds p = NO_FDS;

	mutex_lock(&fd_lock);
	if (!gi->opens)
		p = detach_locked(gi);
	mutex_unlock(&fd_lock);
	fds_close(&p);
}

void hostfd_close_all(struct gofer_inode *gi)
{
	struct host_fds p;

	mutex_lock(&fd_lock);
	p = detach_locked(gi);
	mutex_unlock(&fd_lock);
	fds_close(&p);
}
