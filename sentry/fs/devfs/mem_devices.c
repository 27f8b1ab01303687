/* The memory devices, major 1: null, zero, full, random, urandom. They keep no state. */
#include <errno.h>
#include <string.h>

#include "common/host_random.h"
#include "common/mem.h"
#include "sentry/fs/devfs/mem_devices.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"

#define MEM_MAJOR 1

static void mem_release(struct file *f)
{
	file_fini(f);
	free(f);
}

/* The position means nothing, and stays 0: lseek always says 0. */
static off_t null_seek(struct file *f, off_t offset, int whence)
{
	return whence == SEEK_SET || whence == SEEK_CUR || whence == SEEK_END ? 0 : -EINVAL;
}

static ssize_t null_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	return 0;
}

static ssize_t null_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	return (ssize_t)n;
}

static ssize_t zero_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	memset(buf, 0, n);
	return (ssize_t)n;
}

static int zero_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
		     struct file_mapping *out)
{
	out->fd = -1;
	out->offset = 0;
	out->anonymous_shared = true;
	return 0;
}

static ssize_t full_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	return -ENOSPC;
}

/* At most this much in one op, so that a huge read can be interrupted. */
#define RANDOM_CHUNK (1UL << 20)

static ssize_t random_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	n = min(n, RANDOM_CHUNK);
	host_random(buf, n);
	return (ssize_t)n;
}

#define RNDGETENTCNT 0x80045200
#define RNDADDTOENTCNT 0x40045201
#define RNDADDENTROPY 0x40085203

static long random_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			 struct guest_access *caller)
{
	int bits = 256;

	switch (cmd) {
	case RNDGETENTCNT:
		return ga_copyout(caller, UADDR(arg), &bits, sizeof(bits));
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static const struct file_ops null_ops = {
    .read = null_read, .write = null_write, .seek = null_seek, .release = mem_release};
static const struct file_ops zero_ops = {.read = zero_read,
					 .write = null_write,
					 .seek = null_seek,
					 .mmap = zero_mmap,
					 .release = mem_release};
static const struct file_ops full_ops = {
    .read = zero_read, .write = full_write, .seek = null_seek, .release = mem_release};
static const struct file_ops random_ops = {.read = random_read,
					   .write = null_write,
					   .seek = null_seek,
					   .ioctl = random_ioctl,
					   .release = mem_release};

static const struct file_ops *ops_of(uint64_t rdev)
{
	switch (rdev & 0xff) {
	case 3:
		return &null_ops;
	case 5:
		return &zero_ops;
	case 7:
		return &full_ops;
	case 8:
	case 9:
		return &random_ops;
	default:
		return NULL;
	}
}

static int mem_open(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out)
{
	const struct file_ops *ops = ops_of(inode->rdev);
	struct file *f;

	if (!ops)
		return -ENXIO;
	f = NEW(struct file);
	file_init(f, ops, inode, path, cred, flags);
	f->caps = FILE_CAN_SEEK | FILE_RAW_WINDOW;
	*out = f;
	return 0;
}

static const struct device_ops mem_device = {.open = mem_open};

void devices_init(void)
{
	device_register(false, MEM_MAJOR, 0, 256, &mem_device);
}
