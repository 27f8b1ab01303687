/* /proc/PID/fd (magic links to open files) and /proc/PID/fdinfo. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/host_thread.h"
#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/fdinfo.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/proc/names.h"
#include "sentry/kernel/proc/proc.h"

static struct fdtable *files_of(struct proc_node *n)
{
	struct fdtable *files = NULL;
	struct proc_subject s;

	if (proc_subject_get(n, &s) < 0)
		return NULL;
	files = task_get_files(s.t);
	proc_subject_put(&s);
	return files;
}

/*
 * A lookup runs under its directory's lock, and the last reference of a table or a file must not
 * go there (it closes files). Should the process end at this very moment, another thread does it.
 */
static void *put_table(void *files)
{
	fdtable_put(files);
	return NULL;
}

static void *put_file(void *file)
{
	file_put(file);
	return NULL;
}

static void put_table_locked(struct fdtable *files)
{
	if (fdtable_is_shared(files) || host_thread_start("put", put_table, files) < 0)
		fdtable_put(files);
}

static void put_file_locked(struct file *f)
{
	if (ref_read(&f->ref) > 1 || host_thread_start("put", put_file, f) < 0)
		file_put(f);
}

/* The file behind a node, owned, or NULL. */
static struct file *file_of(struct proc_node *n)
{
	struct fdtable *files = files_of(n);
	struct file *f = files ? fd_get(files, n->number) : NULL;

	if (files)
		fdtable_put(files);
	return f;
}

/* --- links ------------------------------------------------------------------------------------ */

static ssize_t fd_readlink(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			   size_t size)
{
	int r = proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);
	struct file *f = r < 0 ? NULL : file_of(proc_node_of(p));
	char name[PATH_MAX + 32];
	ssize_t n;

	if (!f)
		return r < 0 ? r : -ENOENT;
	if (f->path.dentry) {
		n = proc_readlink_path(&f->path, buf, size);
	} else {
		n = proc_file_name(f, NULL, false, name, sizeof(name));
		if (n > 0) {
			n = (ssize_t)min((size_t)n, size);
			memcpy(buf, name, (size_t)n);
		}
	}
	file_put(f);
	return n;
}

static int fd_follow(struct pseudo_inode *p, struct guest_access *caller, struct path *out)
{
	int r = proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);
	struct file *f = r < 0 ? NULL : file_of(proc_node_of(p));

	if (!f)
		return r < 0 ? r : -ENOENT;
	r = proc_follow_file(f, out);
	file_put(f);
	return r;
}

static const struct pseudo_ops fd_link_ops = {
    .readlink = fd_readlink,
    .follow = fd_follow,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

/* --- fdinfo ----------------------------------------------------------------------------------- */

static int fdinfo_text(struct pseudo_inode *p, struct text *out)
{
	struct proc_node *n = proc_node_of(p);
	struct fdtable *files = files_of(n);
	struct file *f = files ? fd_get(files, n->number) : NULL;
	SCOPED_FREE char *more = NULL;
	int cloexec;

	if (files) {
		cloexec = fd_get_cloexec(files, n->number);
		fdtable_put(files);
	}
	if (!f)
		return -ENOENT;
	text_printf(out, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n", (long long)f->pos,
		    (unsigned int)atomic_load(&f->flags) | (cloexec > 0 ? O_CLOEXEC : 0),
		    f->path.mnt ? f->path.mnt->id : 0, (unsigned long long)f->inode->ino);
	if (pidfd_is(f)) {
		text_printf(out, "Pid:\t%d\nNSpid:\t%d\n", pidfd_number(f), pidfd_number(f));
	} else {
		more = xzalloc(64 << 10);
		text_add(out, more, fdinfo_show(f, more, 64 << 10));
	}
	file_put(f);
	return 0;
}

static int fdinfo_open(struct pseudo_inode *p, const struct cred *cred, int flags)
{
	return proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);
}

static const struct pseudo_ops fdinfo_ops = {
    .show = fdinfo_text,
    .open = fdinfo_open,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

/* --- the directories ---------------------------------------------------------------------------- */

static uint32_t link_mode(struct file *f)
{
	uint32_t mode = S_IFLNK;

	if (file_readable(f))
		mode |= 0500;
	if (file_writable(f))
		mode |= 0300;
	return mode;
}

static int lookup(struct pseudo_inode *dir, const char *name, size_t len, bool info,
		  struct pseudo_inode **out)
{
	struct proc_node *d = proc_node_of(dir), *n;
	struct fdtable *files;
	struct file *f;
	int fd, r = pseudo_parse_number(name, len, &fd);

	if (r < 0)
		return r;
	files = files_of(d);
	f = files ? fd_get(files, fd) : NULL;
	if (files)
		put_table_locked(files);
	if (!f)
		return -ENOENT;
	n = proc_node_new(d, info ? &fdinfo_ops : &fd_link_ops,
			  info ? S_IFREG | 0444 : link_mode(f), (uint64_t)fd + 1);
	n->number = fd;
	if (!info)
		n->base.inode.size = 64;
	put_file_locked(f);
	*out = &n->base;
	return 0;
}

static int fd_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		     struct pseudo_inode **out)
{
	return lookup(dir, name, len, false, out);
}

static int fdinfo_lookup(struct pseudo_inode *dir, const char *name, size_t len,
			 struct pseudo_inode **out)
{
	return lookup(dir, name, len, true, out);
}

/* Cookies are fd + 3. */
static int iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos,
		   unsigned char type)
{
	struct fdtable *files = files_of(proc_node_of(dir));
	int fd;

	if (!files)
		return -ENOENT;
	while ((fd = fd_next(files, (int)(*pos - 2))) >= 0) {
		if (!pseudo_emit_number(sink, (uint64_t)fd,
					pseudo_ino(dir->inode.ino, (uint64_t)fd + 1), type, fd + 3))
			break;
		*pos = fd + 3;
	}
	fdtable_put(files);
	return 0;
}

static int fd_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	return iterate(dir, sink, pos, DT_LNK);
}

static int fdinfo_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	return iterate(dir, sink, pos, DT_REG);
}

/* Since Linux 6.2 the size of the directory is the number of descriptors. */
static void fd_dir_refresh(struct pseudo_inode *p)
{
	struct fdtable *files = files_of(proc_node_of(p));

	proc_node_refresh(p);
	if (!files)
		return;
	p->inode.size = (uint64_t)fdtable_count(files);
	put_table_locked(files);
}

/* A process always finds its own descriptors, also when others may not look into it. */
static bool fd_dir_grants(struct pseudo_inode *p, int mask)
{
	struct task *caller = task_current();

	return caller && caller->process == proc_node_of(p)->process;
}

const struct pseudo_ops proc_fd_dir_ops = {
    .grants = fd_dir_grants,
    .lookup = fd_lookup,
    .iterate = fd_iterate,
    .refresh = fd_dir_refresh,
    .release = proc_node_release,
};

const struct pseudo_ops proc_fdinfo_dir_ops = {
    .lookup = fdinfo_lookup,
    .iterate = fdinfo_iterate,
    .open = fdinfo_open,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};
