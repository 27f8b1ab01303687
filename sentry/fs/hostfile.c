#include "sentry/fs/hostfile.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "common/host_stdio.h"
#include "common/mem.h"
#include "sentry/core/hostpoll.h"
#include "sentry/fs/inode.h"

/* What all files over one host fd share. */
struct host_inode {
	struct inode inode;
	int fd;			    /* immutable; owned */
	int access;		    /* immutable: O_ACCMODE and O_APPEND of fd */
	const struct file_ops *ops; /* immutable */
	bool polled;
	struct waitq wq;
	struct hostpoll poll;
};

struct hostfile {
	struct file file;
	bool own_position; /* immutable: it was opened by name, which nobody outside knows of */
};

static struct hostfile *hostfile_of(struct file *f)
{
	return container_of(f, struct hostfile, file);
}

static struct host_inode *host_inode_of(struct inode *inode)
{
	return container_of(inode, struct host_inode, inode);
}

static int fd_of(struct file *f)
{
	return host_inode_of(f->inode)->fd;
}

/* --- pipes, sockets, terminals -------------------------------------------------------- */

static ssize_t stream_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	return host_read_nowait(fd_of(f), buf, n);
}

static ssize_t stream_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	return host_write_nowait(fd_of(f), buf, n);
}

static uint32_t stream_poll(struct file *f)
{
	uint32_t all = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM | POLLRDHUP;

	return host_poll_now(fd_of(f), all);
}

static long stream_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			 struct guest_access *caller)
{
	int bytes, err;

	if (cmd != FIONREAD)
		return -ENOTTY;
	err = host_fionread(fd_of(f), &bytes);
	return err ? err : ga_copyout(caller, UADDR(arg), &bytes, sizeof(bytes));
}

/* --- regular files ---------------------------------------------------------------------- */

static void note_size(struct file *f)
{
	struct inode *inode = f->inode;
	struct stat st;

	if (host_fstat(fd_of(f), &st))
		return;
	SCOPED_LOCK(&inode->data_lock);
	inode->size = (uint64_t)st.st_size;
	inode->mtime = st.st_mtim;
}

static void note_position(struct file *f, off_t *pos)
{
	off_t now = host_lseek(fd_of(f), 0, SEEK_CUR);

	if (now >= 0)
		*pos = now;
}

/* Does the transfer use and move the fd's own position? */
static bool at_fd_position(struct file *f, const off_t *pos)
{
	return pos == &f->pos && !hostfile_of(f)->own_position;
}

static ssize_t regular_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	bool at_fd = at_fd_position(f, pos);
	ssize_t done = at_fd ? host_read(fd_of(f), buf, n) : host_pread(fd_of(f), buf, n, *pos);

	if (done > 0 && at_fd)
		note_position(f, pos);
	else if (done > 0)
		*pos += done;
	return done;
}

static ssize_t regular_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	bool at_fd = at_fd_position(f, pos);
	ssize_t done = at_fd ? host_write(fd_of(f), buf, n) : host_pwrite(fd_of(f), buf, n, *pos);

	if (done <= 0)
		return done;
	if (at_fd)
		note_position(f, pos);
	else
		*pos += done;
	note_size(f);
	return done;
}

static off_t regular_seek(struct file *f, off_t offset, int whence)
{
	off_t now;

	if (hostfile_of(f)->own_position) {
		note_size(f);
		return file_seek_generic(f, offset, whence);
	}
	now = host_lseek(fd_of(f), offset, whence);
	if (now >= 0)
		f->pos = now;
	return now;
}

static int regular_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
			struct file_mapping *out)
{
	*out = (struct file_mapping){
	    .fd = fd_of(f),
	    .offset = offset,
	    .max_prot = PROT_READ | (file_writable(f) ? PROT_WRITE : 0),
	};
	return 0;
}

static int regular_fsync(struct file *f, bool datasync)
{
	int fd = fd_of(f);

	return datasync ? host_fdatasync(fd) : host_fsync(fd);
}

/* --- both ---------------------------------------------------------------------------------- */

static void hostfile_release(struct file *f)
{
	file_fini(f);
	free(hostfile_of(f));
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

/* --- inodes --------------------------------------------------------------------------------- */

static void make_file(struct host_inode *h, const struct path *path, const struct cred *cred,
		      int flags, bool own_position, struct file **out)
{
	struct hostfile *hf = NEW(struct hostfile);

	file_init(&hf->file, h->ops, &h->inode, path, cred, flags);
	hf->own_position = own_position;
	hf->file.caps = h->ops == &regular_ops ? FILE_CAN_SEEK : 0;
	hf->file.caps |= FILE_RAW_WINDOW | FILE_STREAM_CHUNKS;
	hf->file.wq = h->polled ? &h->wq : NULL;
	*out = &hf->file;
}

/* open(2) of /dev/stdout and its kin: no more than the fd itself can do. */
static int host_open(struct inode *inode, const struct path *path, const struct cred *cred,
		     int flags, struct file **out)
{
	struct host_inode *h = host_inode_of(inode);
	const struct device_ops *dev = NULL;
	int has = h->access & O_ACCMODE;

	if (S_ISSOCK(inode->mode))
		return -ENXIO;
	if (h->ops == &plain_ops && S_ISCHR(inode->mode))
		dev = device_find(false, inode->rdev); /* /dev/null and its like are ours too */
	if (dev)
		return dev->open(inode, path, cred, flags, out);
	if (has != O_RDWR && (flags & O_ACCMODE) != has)
		return -EACCES;
	make_file(h, path, cred, flags | (h->access & O_APPEND), true, out);
	return 0;
}

static int host_setattr(struct inode *inode, const struct iattr *attr)
{
	int err = 0;

	if ((attr->valid & IATTR_SIZE) && S_ISREG(inode->mode)) {
		err = host_ftruncate(host_inode_of(inode)->fd, (off_t)attr->size);
		if (!err)
			inode->size = attr->size;
	}
	if (!err)
		inode_apply_attr(inode, attr);
	return err;
}

static void host_inode_release(struct inode *inode)
{
	struct host_inode *h = host_inode_of(inode);

	if (h->polled)
		hostpoll_del(&h->poll);
	host_close(h->fd);
	waitq_destroy(&h->wq);
	inode_fini(inode);
	free(h);
}

static const struct inode_ops host_inode_ops = {
    .open = host_open, .setattr = host_setattr, .release = host_inode_release};

static void inode_like(struct inode *inode, const struct stat *st, const struct cred *cred)
{
	anon_inode_init(inode, &host_inode_ops, st->st_mode);
	inode->opens_itself = true;
	/* As other runtimes do, so that the container's user can open it again. */
	inode->uid = cred->euid;
	inode->gid = cred->egid;
	inode->rdev = st->st_rdev;
	inode->size = (uint64_t)st->st_size;
	inode->atime = st->st_atim;
	inode->mtime = st->st_mtim;
	inode->ctime = st->st_ctim;
}

/* Regular files cannot be polled, nor can some devices. */
static int start_polling(struct host_inode *h)
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
	static const struct path none;
	struct host_inode *h;
	struct stat st;

	if (flags < 0)
		return flags;
	err = host_fstat(host_fd, &st);
	if (err)
		return err;
	h = NEW(struct host_inode);
	h->fd = host_fd;
	h->access = flags & (O_ACCMODE | O_APPEND);
	waitq_init(&h->wq);
	err = start_polling(h);
	if (err) {
		waitq_destroy(&h->wq);
		free(h);
		return err;
	}
	if (h->polled)
		h->ops = &stream_ops;
	else
		h->ops = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? &regular_ops : &plain_ops;
	inode_like(&h->inode, &st, cred);
	make_file(h, &none, cred, h->access, false, out);
	inode_put(&h->inode);
	return 0;
}
