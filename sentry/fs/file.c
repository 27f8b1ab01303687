/* Open files: their base, and the checked entry points for reading, writing and seeking. */
#include "sentry/fs/file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/core/account.h"
#include "sentry/fs/fasync.h"
#include "sentry/fs/filelock.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/parts.h"

/* Linux's MAX_RW_COUNT: no transfer is longer. */
#define MAX_RW 0x7ffff000UL

void file_init(struct file *f, const struct file_ops *ops, struct inode *inode,
	       const struct path *path, const struct cred *cred, int flags)
{
	ref_init(&f->ref);
	f->ops = ops;
	f->path = path ? *path : (struct path){NULL, NULL};
	path_get(&f->path);
	f->inode = inode_get(inode);
	f->cred = cred ? cred_get((struct cred *)cred) : NULL;
	/* Pipes, sockets and memfds belong to whoever made them. */
	if (!path && cred &&
	    (S_ISFIFO(inode->mode) || S_ISSOCK(inode->mode) || S_ISREG(inode->mode))) {
		inode->uid = cred->fsuid;
		inode->gid = cred->fsgid;
	}
	f->payer = account_charge_always(FILE_WEIGHT);
	f->caps = 0;
	atomic_init(&f->flags, flags & FILE_KEEP_FLAGS);
	f->wq = NULL;
	mutex_init(&f->pos_lock, RANK_FILE_POS);
	f->pos = 0;
	atomic_init(&f->owner, 0);
	atomic_init(&f->owner_type, 0);
	atomic_init(&f->owner_sig, 0);
	atomic_init(&f->read_timeout, 0);
	atomic_init(&f->write_timeout, 0);
	list_init(&f->epoll_items);
	f->counts_writer = false;
	atomic_init(&f->has_flock, false);
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

static void notify_close(struct file *f)
{
	if (!(f->caps & FILE_IS_PATH))
		vfs_notify(f, file_writable(f) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}

void file_put(struct file *f)
{
	if (!ref_put(&f->ref))
		return;
	if (!list_empty(&f->epoll_items))
		fs_parts()->epoll_forget(f);
	if (atomic_load(&f->flags) & O_ASYNC)
		fasync_forget(f);
	filelock_release_file(f);
	notify_close(f);
	f->ops->release(f);
}

void file_fini(struct file *f)
{
	if (f->counts_writer) {
		inode_put_write(f->inode);
		if (f->path.mnt)
			atomic_fetch_sub(&f->path.mnt->writers, 1);
	}
	path_put(&f->path);
	inode_put(f->inode);
	if (f->cred)
		cred_put(f->cred);
	account_uncharge(f->payer, FILE_WEIGHT);
	mutex_destroy(&f->pos_lock);
}

static ssize_t at_position(struct file *f, ssize_t (*op)(struct file *, void *, size_t, off_t *),
			   void *buf, size_t n, off_t *pos)
{
	off_t none = 0;

	if (pos) {
		if (!(f->caps & FILE_CAN_SEEK))
			return -ESPIPE;
		return *pos < 0 ? -EINVAL : op(f, buf, n, pos);
	}
	if (!(f->caps & FILE_CAN_SEEK))
		return op(f, buf, n, &none);
	SCOPED_LOCK(&f->pos_lock);
	return op(f, buf, n, &f->pos);
}

ssize_t file_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	ssize_t done;

	if (!file_readable(f) || (f->caps & FILE_IS_PATH))
		return -EBADF;
	if (!f->ops->read)
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	if (n == 0)
		return pos && !(f->caps & FILE_CAN_SEEK) ? -ESPIPE : 0;
	done = at_position(f, f->ops->read, buf, min(n, MAX_RW), pos);
	if (done > 0)
		vfs_notify(f, IN_ACCESS);
	return done;
}

static ssize_t op_write(struct file *f, void *buf, size_t n, off_t *pos)
{
	return f->ops->write(f, buf, n, pos);
}

ssize_t file_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	ssize_t done;

	if (!file_writable(f) || (f->caps & FILE_IS_PATH))
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (n == 0 && S_ISREG(f->inode->mode))
		return pos && !(f->caps & FILE_CAN_SEEK) ? -ESPIPE : 0;
	if (n == 0 && !(f->caps & FILE_EMPTY_WRITE))
		return 0;
	done = at_position(f, op_write, (void *)buf, min(n, MAX_RW), pos);
	if (done > 0)
		vfs_notify(f, IN_MODIFY);
	return done;
}

uint32_t file_poll(struct file *f)
{
	return f->ops->poll ? f->ops->poll(f) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

off_t file_set_pos(struct file *f, off_t pos)
{
	if (pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

off_t file_seek_generic(struct file *f, off_t offset, int whence)
{
	off_t size = (off_t)__atomic_load_n(&f->inode->size, __ATOMIC_RELAXED), sum;

	switch (whence) {
	case SEEK_SET:
		return file_set_pos(f, offset);
	case SEEK_CUR:
		return __builtin_add_overflow(f->pos, offset, &sum) ? -EINVAL
								    : file_set_pos(f, sum);
	case SEEK_END:
		return __builtin_add_overflow(size, offset, &sum) ? -EINVAL : file_set_pos(f, sum);
	case SEEK_DATA:
		return offset < 0 || offset >= size ? -ENXIO : file_set_pos(f, offset);
	case SEEK_HOLE:
		return offset < 0 || offset >= size ? -ENXIO : file_set_pos(f, size);
	default:
		return -EINVAL;
	}
}

off_t file_seek(struct file *f, off_t offset, int whence)
{
	if (f->caps & FILE_IS_PATH)
		return -EBADF;
	if (!(f->caps & FILE_CAN_SEEK))
		return -ESPIPE;
	SCOPED_LOCK(&f->pos_lock);
	return f->ops->seek ? f->ops->seek(f, offset, whence)
			    : file_seek_generic(f, offset, whence);
}
