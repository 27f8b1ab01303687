#include "sentry/fs/hostfile.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "common/host_stdio.h"
#include "common/mem.h"
#include "sentry/core/hostpoll.h"
#include "sentry/fs/inode.h"

struct hostfile {
	struct file file;
	int fd; /* immutable; owned */
	bool polled;
	struct waitq wq;
	struct hostpoll poll;
};

static struct hostfile *hostfile_of(struct file *f)
{
	return container_of(f, struct hostfile, file);
}

/* --- pipes, sockets, terminals -------------------------------------------------------- */

static ssize_t stream_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	return host_read_nowait(hostfile_of(f)->fd, buf, n);
}

static ssize_t stream_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	return host_write_nowait(hostfile_of(f)->fd, buf, n);
}

static uint32_t stream_poll(struct file *f)
{
	uint32_t all = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM | POLLRDHUP;

	return host_poll_now(hostfile_of(f)->fd, all);
}

static long stream_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			 struct guest_access *caller)
{
	int bytes, err;

	if (cmd != FIONREAD)
		return -ENOTTY;
	err = host_fionread(hostfile_of(f)->fd, &bytes);
	return err ? err : ga_copyout(caller, UADDR(arg), &bytes, sizeof(bytes));
}

/* --- regular files ---------------------------------------------------------------------- */

static void note_size(struct hostfile *h)
{
	struct inode *inode = h->file.inode;
	struct stat st;

	if (host_fstat(h->fd, &st))
		return;
	SCOPED_LOCK(&inode->data_lock);
	inode->size = (uint64_t)st.st_size;
	inode->mtime = st.st_mtim;
}

static void note_position(struct hostfile *h, off_t *pos)
{
	off_t now = host_lseek(h->fd, 0, SEEK_CUR);

	if (now >= 0)
		*pos = now;
}

static ssize_t regular_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct hostfile *h = hostfile_of(f);
	ssize_t done;

	if (pos != &f->pos)
		return host_pread(h->fd, buf, n, *pos);
	done = host_read(h->fd, buf, n);
	if (done > 0)
		note_position(h, pos);
	return done;
}

static ssize_t regular_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct hostfile *h = hostfile_of(f);
	ssize_t done;

	if (pos != &f->pos)
		return host_pwrite(h->fd, buf, n, *pos);
	done = host_write(h->fd, buf, n);
	if (done > 0) {
		note_position(h, pos);
		note_size(h);
	}
	return done;
}

static off_t regular_seek(struct file *f, off_t offset, int whence)
{
	off_t now = host_lseek(hostfile_of(f)->fd, offset, whence);

	if (now >= 0)
		f->pos = now;
	return now;
}

static int regular_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
			struct file_mapping *out)
{
	*out = (struct file_mapping){
	    .fd = hostfile_of(f)->fd,
	    .offset = offset,
	    .max_prot = PROT_READ | (file_writable(f) ? PROT_WRITE : 0),
	};
	return 0;
}

static int regular_fsync(struct file *f, bool datasync)
{
	int fd = hostfile_of(f)->fd;

	return datasync ? host_fdatasync(fd) : host_fsync(fd);
}

/* --- both ---------------------------------------------------------------------------------- */

static void hostfile_release(struct file *f)
{
	struct hostfile *h = hostfile_of(f);

	if (h->polled)
		hostpoll_del(&h->poll);
	host_close(h->fd);
	waitq_destroy(&h->wq);
	file_fini(f);
	free(h);
}

static const struct file_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .ioctl = stream_ioctl,
    .release = hostfile_release,
};

static const struct file_ops regular_ops = {
    .read = regular_read,
    .write = regular_write,
    .seek = regular_seek,
    .mmap = regular_mmap,
    .fsync = regular_fsync,
    .release = hostfile_release,
};

/* /dev/null and its like: neither polled nor seekable. */
static const struct file_ops plain_ops = {
    .read = stream_read,
    .write = stream_write,
    .release = hostfile_release,
};

static struct inode *inode_like(const struct stat *st)
{
	const char *name = S_ISSOCK(st->st_mode)   ? "socket"
			   : S_ISFIFO(st->st_mode) ? "pipe"
						   : "host";
	struct inode *inode = anon_inode_new(name, st->st_mode & S_IFMT);

	inode->mode = st->st_mode;
	inode->rdev = st->st_rdev;
	inode->size = (uint64_t)st->st_size;
	inode->atime = st->st_atim;
	inode->mtime = st->st_mtim;
	inode->ctime = st->st_ctim;
	return inode;
}

/* Regular files cannot be polled, nor can some devices. */
static int start_polling(struct hostfile *h)
{
	int err;

	h->poll = (struct hostpoll){.fd = h->fd, .wq = &h->wq};
	err = hostpoll_add(&h->poll);
	h->polled = !err;
	return err == -EPERM ? 0 : err;
}

int hostfile_new(int host_fd, const struct cred *cred, struct file **out)
{
	int flags = host_getfl(host_fd), err;
	const struct file_ops *ops;
	struct path none = {0};
	struct hostfile *h;
	struct inode *inode;
	struct stat st;

	if (flags < 0)
		return flags;
	err = host_fstat(host_fd, &st);
	if (err)
		return err;
	h = NEW(struct hostfile);
	h->fd = host_fd;
	waitq_init(&h->wq);
	err = start_polling(h);
	if (err) {
		waitq_destroy(&h->wq);
		free(h);
		return err;
	}
	if (h->polled)
		ops = &stream_ops;
	else
		ops = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? &regular_ops : &plain_ops;
	inode = inode_like(&st);
	file_init(&h->file, ops, inode, &none, cred, flags & (O_ACCMODE | O_APPEND));
	inode_put(inode);
	h->file.caps = ops == &regular_ops ? FILE_CAN_SEEK : 0;
	h->file.caps |= FILE_RAW_WINDOW | FILE_STREAM_CHUNKS;
	h->file.wq = h->polled ? &h->wq : NULL;
	*out = &h->file;
	return 0;
}
