/* getdents(2), chdir(2), getcwd(2), chroot(2). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

struct abi_dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

struct abi_dirent {
	uint64_t ino, off;
	uint16_t reclen;
	char name[]; /* NUL, padding, and the type in the last byte */
};

struct getdents {
	struct dirent_sink sink;
	char *buf;
	size_t size, used;
	bool too_small; /* not even one entry had room */
};

static char *reserve(struct getdents *g, size_t reclen)
{
	if (g->size - g->used < reclen) {
		g->too_small = g->used == 0;
		return NULL;
	}
	g->used += reclen;
	return g->buf + g->used - reclen;
}

static bool emit64(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
		   unsigned char type, off_t next)
{
	size_t reclen = ROUND_UP(offsetof(struct abi_dirent64, name) + len + 1, (size_t)8);
	char *to = reserve(container_of(sink, struct getdents, sink), reclen);
	struct abi_dirent64 head = {ino, next, (uint16_t)reclen, type};

	if (!to)
		return false;
	memset(to + reclen - 8, 0, 8);
	memcpy(to, &head, offsetof(struct abi_dirent64, name));
	memcpy(to + offsetof(struct abi_dirent64, name), name, len);
	return true;
}

static bool emit_old(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
		     unsigned char type, off_t next)
{
	size_t reclen = ROUND_UP(offsetof(struct abi_dirent, name) + len + 2, (size_t)8);
	char *to = reserve(container_of(sink, struct getdents, sink), reclen);
	struct abi_dirent head = {ino, (uint64_t)next, (uint16_t)reclen};

	if (!to)
		return false;
	memset(to, 0, reclen);
	memcpy(to, &head, offsetof(struct abi_dirent, name));
	memcpy(to + offsetof(struct abi_dirent, name), name, len);
	to[reclen - 1] = (char)type;
	return true;
}

static int read_entries(struct file *f, struct getdents *g)
{
	int err;

	if (!f->ops->readdir)
		return -ENOTDIR;
	if (atomic_load(&f->inode->dead))
		return -ENOENT;
	SCOPED_LOCK(&f->pos_lock);
	err = f->ops->readdir(f, &g->sink);
	if (err < 0 && !g->used)
		return err;
	return g->too_small ? -EINVAL : 0;
}

/* Entries go into the window that the stub shares; nothing is read back from there. */
static long get_entries(struct task *t, const struct sysargs *a,
			bool (*emit)(struct dirent_sink *, const char *, size_t, uint64_t,
				     unsigned char, off_t))
{
	struct file *f = fd_get_io(t->files, (int)a->v[0]);
	struct getdents g = {.sink = {.emit = emit}};
	long r;

	if (!f)
		return -EBADF;
	g.buf = pf_thread_window(t->pt, &g.size);
	g.size = min(g.size, (size_t)(uint32_t)a->v[2]);
	r = read_entries(f, &g);
	if (r == 0)
		vfs_notify(f, IN_ACCESS);
	file_put(f);
	if (r < 0)
		return r;
	if (g.used && copyout_late(t, UADDR(a->v[1]), g.buf, g.used) < 0)
		return -EFAULT;
	return (long)g.used;
}

long sys_getdents64(struct task *t, const struct sysargs *a)
{
	return get_entries(t, a, emit64);
}

long sys_getdents(struct task *t, const struct sysargs *a)
{
	return get_entries(t, a, emit_old);
}

/* --- working directory, root ---------------------------------------------------------------- */

static int may_enter(struct task *t, const struct path *path)
{
	if (!S_ISDIR(path_inode(path)->mode))
		return -ENOTDIR;
	return inode_permission(path_inode(path), t->cred, 1);
}

long sys_chdir(struct task *t, const struct sysargs *a)
{
	struct path path;
	long err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[0]), 0, &path);

	if (err < 0)
		return err;
	err = may_enter(t, &path);
	if (err == 0)
		fs_context_set_cwd(t->fs, &path);
	path_put(&path);
	return err;
}

long sys_fchdir(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t->files, (int)a->v[0]);
	long err;

	if (!f)
		return -EBADF;
	err = f->path.dentry ? may_enter(t, &f->path) : -ENOTDIR;
	if (err == 0)
		fs_context_set_cwd(t->fs, &f->path);
	file_put(f);
	return err;
}

long sys_chroot(struct task *t, const struct sysargs *a)
{
	struct path path;
	long err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[0]), 0, &path);

	if (err < 0)
		return err;
	err = may_enter(t, &path);
	if (err == 0 && !task_ns_capable(t, t->cred->user_ns, CAP_SYS_CHROOT))
		err = -EPERM;
	if (err == 0)
		fs_context_set_root(t->fs, &path);
	path_put(&path);
	return err;
}

static bool ends_deleted(const struct path *p)
{
	SCOPED_LOCK(&dcache_lock);
	return p->dentry->flags & DENTRY_DELETED;
}

long sys_getcwd(struct task *t, const struct sysargs *a)
{
	SCOPED_FREE char *name = xmalloc(PATH_MAX);
	struct path root, cwd;
	ssize_t n;

	fs_context_paths(t->fs, &root, &cwd);
	n = ends_deleted(&cwd) ? -ENOENT : path_name(&cwd, &root, name, PATH_MAX);
	path_put(&root);
	path_put(&cwd);
	if (n < 0)
		return n;
	if ((uint64_t)n > a->v[1])
		return -ERANGE;
	return copyout_late(t, UADDR(a->v[0]), name, (size_t)n) < 0 ? -EFAULT : n;
}
