/*
 * inode.size is kept equal to the size of the host memfd by everything that
 * changes it (under data_lock); mappings do not.
 */
#include "sentry/fs/memfd.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/host_file.h"
#include "common/host_memfd.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "common/mem.h"
#include "sentry/fs/inode.h"

#define PAGE 4096ULL

struct memfd {
	struct inode inode;
	int fd;		/* immutable; owned */
	char *path;	/* immutable; owned: "/memfd:NAME (deleted)" */
	uint64_t pages; /* counted (account_take_pages); data_lock */
};

static const struct inode_ops memfd_inode_ops;

static struct memfd *memfd_of(const struct inode *inode)
{
	return container_of(inode, struct memfd, inode);
}

static int host_fd(const struct file *f)
{
	return memfd_of(f->inode)->fd;
}

const char *memfd_path(const struct inode *inode)
{
	return inode->ops == &memfd_inode_ops ? memfd_of(inode)->path : NULL;
}

static int seals_of(const struct inode *inode)
{
	return host_get_seals(memfd_of(inode)->fd);
}

/* --- open files ---------------------------------------------------------------------- */

static ssize_t memfd_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	ssize_t done = host_pread(host_fd(f), buf, n, *pos);

	if (done > 0)
		*pos += done;
	return done;
}

static void count_pages_locked(struct memfd *m, const struct stat *st)
{
	uint64_t now = (uint64_t)st->st_blocks / (PAGE / 512);

	account_take_pages_always(now);
	account_give_pages(m->pages);
	m->pages = now;
}

static void grown(struct inode *inode)
{
	struct stat st;

	if (host_fstat(memfd_of(inode)->fd, &st))
		return;
	SCOPED_LOCK(&inode->data_lock);
	inode->size = (uint64_t)st.st_size;
	inode->mtime = inode->ctime = st.st_mtim;
	count_pages_locked(memfd_of(inode), &st);
}

/* For a change that may fill [pos, pos + n). Give it back once what was filled is counted. */
static int reserve_pages(uint64_t pos, uint64_t n, uint64_t *pages)
{
	*pages = n / PAGE + (pos % PAGE + n % PAGE + PAGE - 1) / PAGE;
	return account_take_pages(*pages) ? 0 : -ENOSPC;
}

static ssize_t memfd_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	uint64_t pages;
	ssize_t done = reserve_pages((uint64_t)*pos, n, &pages);

	if (done < 0)
		return done;
	done = host_pwrite(host_fd(f), buf, n, *pos);
	if (done > 0) {
		*pos += done;
		grown(f->inode);
	}
	account_give_pages(pages);
	return done;
}

static off_t memfd_seek(struct file *f, off_t offset, int whence)
{
	if (whence == SEEK_DATA || whence == SEEK_HOLE) {
		offset = host_lseek(host_fd(f), offset, whence);
		whence = SEEK_SET;
	}
	return offset < 0 && whence == SEEK_SET ? offset : file_seek_generic(f, offset, whence);
}

static int memfd_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
		      struct file_mapping *out)
{
	int seals = seals_of(f->inode);
	bool sealed = seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);

	if (seals < 0)
		return seals;
	if ((flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE) && sealed)
		return -EPERM;
	*out = (struct file_mapping){
	    .fd = host_fd(f),
	    .offset = offset,
	    .max_prot = PROT_READ | PROT_EXEC | (file_writable(f) && !sealed ? PROT_WRITE : 0),
	};
	return 0;
}

static int memfd_fallocate(struct file *f, int mode, off_t offset, off_t len)
{
	bool fills = !(mode & FALLOC_FL_PUNCH_HOLE);
	uint64_t pages = 0;
	int err = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (fills)
		err = reserve_pages((uint64_t)offset, (uint64_t)len, &pages);
	if (err)
		return err;
	err = host_fallocate(host_fd(f), mode, offset, len);
	if (!err)
		grown(f->inode);
	account_give_pages(pages);
	return err;
}

static void memfd_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops memfd_ops = {
    .read = memfd_read,
    .write = memfd_write,
    .seek = memfd_seek,
    .mmap = memfd_mmap,
    .fallocate = memfd_fallocate,
    .release = memfd_release,
};

static int memfd_open(struct inode *inode, const struct path *path, const struct cred *cred,
		      int flags, struct file **out)
{
	struct file *f = NEW(struct file);

	file_init(f, &memfd_ops, inode, path, cred, flags);
	f->caps = FILE_CAN_SEEK | FILE_RAW_WINDOW | FILE_STREAM_CHUNKS;
	*out = f;
	return 0;
}

/* --- inodes ---------------------------------------------------------------------------- */

static int memfd_getattr(struct inode *inode, struct kstat *st)
{
	struct stat host;
	int err = host_fstat(memfd_of(inode)->fd, &host);

	inode_fill_stat(inode, st);
	if (!err)
		st->blocks = (uint64_t)host.st_blocks;
	return err;
}

/* Under data_lock. */
static int memfd_setattr(struct inode *inode, const struct iattr *attr)
{
	int err = 0;

	if ((attr->valid & IATTR_MODE) && (seals_of(inode) & F_SEAL_EXEC) &&
	    ((inode->mode ^ attr->mode) & 0111))
		return -EPERM;
	if (attr->valid & IATTR_SIZE)
		err = host_ftruncate(memfd_of(inode)->fd, (off_t)attr->size);
	if (err)
		return err;
	inode_apply_attr(inode, attr);
	if (attr->valid & IATTR_SIZE) {
		struct stat st;

		if (host_fstat(memfd_of(inode)->fd, &st) == 0)
			count_pages_locked(memfd_of(inode), &st);
		inode->size = attr->size;
		inode->mtime = inode->ctime;
	}
	return 0;
}

static void memfd_free(struct inode *inode)
{
	struct memfd *m = memfd_of(inode);

	charged_close(m->fd);
	account_give_pages(m->pages);
	inode_fini(inode);
	free(m->path);
	free(m);
}

static const struct inode_ops memfd_inode_ops = {
    .getattr = memfd_getattr,
    .setattr = memfd_setattr,
    .open = memfd_open,
    .release = memfd_free,
};

static int memfd_statfs(struct superblock *sb, struct kstatfs *out)
{
	*out = (struct kstatfs){.type = 0x01021994, .bsize = 4096, .frsize = 4096, .namelen = 255};
	return 0;
}

static const struct sb_ops memfd_sb_ops = {.statfs = memfd_statfs};
static struct superblock memfd_sb; /* lives for ever */

static void start(void)
{
	superblock_init(&memfd_sb, &memfd_sb_ops, "tmpfs", "tmpfs");
}

/* Hosts before 6.3 know neither MFD_EXEC nor MFD_NOEXEC_SEAL. */
static int host_memfd(unsigned int flags)
{
	unsigned int exec = flags & (MFD_EXEC | MFD_NOEXEC_SEAL);
	int fd = charged_memfd("guest", MFD_ALLOW_SEALING | exec);

	if (fd == -EINVAL && exec)
		fd = charged_memfd("guest", MFD_ALLOW_SEALING);
	return fd;
}

int memfd_new(const struct cred *cred, const char *name, unsigned int flags, struct file **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bool sealing = flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	struct path none = {0};
	int fd = host_memfd(flags), err;
	struct memfd *m;

	if (fd < 0)
		return fd;
	pthread_once(&once, start);
	m = NEW(struct memfd);
	m->fd = fd;
	m->path = xasprintf("/memfd:%s (deleted)", name);
	inode_init(&m->inode, &memfd_sb, &memfd_inode_ops, superblock_new_ino(&memfd_sb),
		   S_IFREG | (flags & MFD_NOEXEC_SEAL ? 0666 : 0777));
	m->inode.uid = cred->fsuid;
	m->inode.gid = cred->fsgid;
	m->inode.nlink = 0;
	err = sealing ? 0 : host_add_seals(fd, F_SEAL_SEAL);
	if (!err)
		err = memfd_open(&m->inode, &none, cred, O_RDWR | KO_LARGEFILE, out);
	inode_put(&m->inode);
	return err;
}

int memfd_add_seals(struct file *f, unsigned int seals)
{
	if (f->ops != &memfd_ops)
		return -EINVAL;
	if (!file_writable(f))
		return -EPERM;
	return host_add_seals(host_fd(f), seals);
}

int memfd_get_seals(struct file *f)
{
	return f->ops == &memfd_ops ? seals_of(f->inode) : -EINVAL;
}
