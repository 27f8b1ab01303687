/* open(2) and its kin, close(2), the dup family. */
#include <errno.h>
#include <linux/openat2.h>

#include "sentry/abi/restart.h"
#include "sentry/fs/pipe.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/task_wait.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/fs_at.h"
#include "sentry/sys/io_wait.h"

#define CLOSE_RANGE_UNSHARE_BIT 2U
#define CLOSE_RANGE_CLOEXEC_BIT 4U
#define OPEN_KNOWN                                                                                 \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC |     \
	 O_ASYNC | O_DIRECT | KO_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |    \
	 O_SYNC | O_PATH | KO_TMPFILE)

static uint32_t umask_of(struct task *t)
{
	return __atomic_load_n(&t->fs->umask, __ATOMIC_RELAXED);
}

static long opened_or_again(void *arg)
{
	return fifo_opened(arg) ? 0 : -EAGAIN;
}

/* The other side of a FIFO has yet to come: see fs/pipe.h. */
static int wait_for_other_side(struct task *t, struct file *f)
{
	long r = wait_on(t, f->wq, POLLIN | POLLOUT | POLLHUP, SLEEP_FOREVER, opened_or_again, f);

	if (r < 0)
		file_put(f);
	return (int)r;
}

static long open_at(struct task *t, int dirfd, uaddr name, int flags, uint32_t mode,
		    unsigned int walk_flags)
{
	struct fs_at at UNINITIALIZED;
	struct file *f = NULL;
	int err = fs_at_begin(t, &at, dirfd, name, false);

	if (err < 0)
		return err;
	if (walk_flags & WALK_IN_ROOT)
		err = fs_at_base(t, &at, dirfd);
	if (err == 0)
		err = vfs_open(&at.env, at.base, at.name, flags, mode & ~umask_of(t) & 07777,
			       walk_flags, &f);
	fs_at_end(&at);
	if (err == -EAGAIN && f)
		err = wait_for_other_side(t, f);
	return err < 0 ? err : fd_new(t, f, flags & O_CLOEXEC);
}

/* open(2) and openat(2) ignore bits that they do not know. */
static long open_classic(struct task *t, int dirfd, uaddr name, int flags, uint32_t mode)
{
	return open_at(t, dirfd, name, (flags & OPEN_KNOWN) | KO_LARGEFILE, mode, 0);
}

long sys_open(struct task *t, const struct sysargs *a)
{
	return open_classic(t, AT_FDCWD, UADDR(a->v[0]), (int)a->v[1], (uint32_t)a->v[2]);
}

long sys_openat(struct task *t, const struct sysargs *a)
{
	return open_classic(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2], (uint32_t)a->v[3]);
}

long sys_creat(struct task *t, const struct sysargs *a)
{
	return open_classic(t, AT_FDCWD, UADDR(a->v[0]), O_CREAT | O_WRONLY | O_TRUNC,
			    (uint32_t)a->v[1]);
}

static int walk_flags_of(uint64_t resolve, unsigned int *out)
{
	static const struct {
		uint64_t resolve;
		unsigned int walk;
	} map[] = {
	    {RESOLVE_NO_XDEV, WALK_NO_XDEV},	     {RESOLVE_NO_MAGICLINKS, WALK_NO_MAGICLINKS},
	    {RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS}, {RESOLVE_BENEATH, WALK_BENEATH},
	    {RESOLVE_IN_ROOT, WALK_IN_ROOT},	     {RESOLVE_CACHED, WALK_CACHED},
	};

	*out = 0;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (resolve & map[i].resolve) {
			*out |= map[i].walk;
			resolve &= ~map[i].resolve;
		}
	if (resolve || ((*out & WALK_BENEATH) && (*out & WALK_IN_ROOT)))
		return -EINVAL;
	return 0;
}

static int copyin_open_how(struct task *t, uaddr from, uint64_t size, struct open_how *how)
{
	char extra[256];

	if (size < sizeof(*how))
		return -EINVAL;
	if (size > GUEST_PAGE)
		return -E2BIG;
	if (copyin(t, how, from, sizeof(*how)) < 0)
		return -EFAULT;
	/* What a newer user of the call adds must be zero. */
	for (uint64_t at = sizeof(*how), n; at < size; at += n) {
		n = min(size - at, (uint64_t)sizeof(extra));
		if (copyin(t, extra, uaddr_add(from, at), n) < 0)
			return -EFAULT;
		for (uint64_t i = 0; i < n; i++)
			if (extra[i])
				return -E2BIG;
	}
	return 0;
}

long sys_openat2(struct task *t, const struct sysargs *a)
{
	struct open_how how;
	unsigned int walk_flags;
	int err = copyin_open_how(t, UADDR(a->v[2]), a->v[3], &how), flags;

	if (err < 0)
		return err;
	flags = (int)how.flags;
	if ((how.flags & ~(uint64_t)OPEN_KNOWN) || (how.mode & ~07777ULL))
		return -EINVAL;
	if (how.mode && !(flags & O_CREAT) && (flags & KO_TMPFILE) != KO_TMPFILE)
		return -EINVAL;
	if ((flags & O_PATH) && (flags & ~(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)))
		return -EINVAL;
	err = walk_flags_of(how.resolve, &walk_flags);
	/* What asks the file system for more than a name. */
	if (err == 0 && (walk_flags & WALK_CACHED) &&
	    (flags & (O_TRUNC | O_CREAT | (KO_TMPFILE & ~O_DIRECTORY))))
		err = -EAGAIN;
	if (err < 0)
		return err;
	return open_at(t, (int)a->v[0], UADDR(a->v[1]), flags, (uint32_t)how.mode, walk_flags);
}

long sys_close(struct task *t, const struct sysargs *a)
{
	return fd_close(t->files, (int)a->v[0]);
}

/* CLOSE_RANGE_UNSHARE: the caller gets a table of its own first. */
static int unshare_files(struct task *t)
{
	struct fdtable *old, *copy;

	if (!fdtable_is_shared(t->files))
		return 0;
	copy = fdtable_dup(t->files);
	if (!copy)
		return -ENOMEM;
	mutex_lock(&t->alloc_lock);
	old = t->files;
	t->files = copy;
	mutex_unlock(&t->alloc_lock);
	fdtable_put(old);
	return 0;
}

long sys_close_range(struct task *t, const struct sysargs *a)
{
	unsigned int first = (unsigned int)a->v[0], last = (unsigned int)a->v[1];
	unsigned int flags = (unsigned int)a->v[2];

	if ((flags & ~(CLOSE_RANGE_UNSHARE_BIT | CLOSE_RANGE_CLOEXEC_BIT)) || first > last)
		return -EINVAL;
	if ((flags & CLOSE_RANGE_UNSHARE_BIT) && unshare_files(t) < 0)
		return -ENOMEM;
	return fd_close_range(t->files, first, last, flags & CLOSE_RANGE_CLOEXEC_BIT);
}

/* --- dup ------------------------------------------------------------------------------ */

long sys_dup(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t->files, (int)a->v[0]);

	return f ? fd_new(t, f, false) : -EBADF;
}

static long dup_to(struct task *t, int from, int to, bool cloexec)
{
	struct file *f = fd_get(t->files, from);
	int fd;

	if (!f)
		return -EBADF;
	fd = fd_install_at(t->files, f, to, task_rlimit(t, RLIMIT_NOFILE), cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_dup2(struct task *t, const struct sysargs *a)
{
	int from = (int)a->v[0], to = (int)a->v[1];

	if (from == to) {
		int cloexec = fd_get_cloexec(t->files, from);

		return cloexec < 0 ? cloexec : to;
	}
	return dup_to(t, from, to, false);
}

long sys_dup3(struct task *t, const struct sysargs *a)
{
	int from = (int)a->v[0], to = (int)a->v[1], flags = (int)a->v[2];

	if ((flags & ~O_CLOEXEC) || from == to)
		return -EINVAL;
	return dup_to(t, from, to, flags & O_CLOEXEC);
}

long sys_umask(struct task *t, const struct sysargs *a)
{
	SCOPED_LOCK(&t->fs->lock);
	uint32_t old = t->fs->umask;

	t->fs->umask = (uint32_t)a->v[0] & 0777;
	return old;
}
