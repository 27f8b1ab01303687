#include "sentry/kernel/proc/names.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/memfd.h"
#include "sentry/kernel/task.h"

static int nameless(struct file *f, bool as_map, char *buf, size_t size)
{
	const char *memfd = memfd_path(f->inode), *name = anon_inode_name(f->inode);
	unsigned long long ino = f->inode->ino;

	if (memfd)
		return snprintf(buf, size, "%s", memfd);
	if (S_ISFIFO(f->inode->mode))
		return snprintf(buf, size, "pipe:[%llu]", ino);
	if (S_ISSOCK(f->inode->mode))
		return snprintf(buf, size, "socket:[%llu]", ino);
	if (!name)
		name = "[unknown]";
	if (as_map)
		return snprintf(buf, size, "/%s (deleted)", name);
	return snprintf(buf, size, "anon_inode:%s", name);
}

ssize_t proc_file_name(struct file *f, const struct path *root, bool as_map, char *buf, size_t size)
{
	ssize_t n;

	if (f->path.dentry) {
		n = path_name(&f->path, root, buf, size);
		return n < 0 ? n : n - 1;
	}
	n = nameless(f, as_map, buf, size);
	return (size_t)n < size ? n : -ENAMETOOLONG;
}

ssize_t proc_readlink_path(const struct path *p, char *buf, size_t size)
{
	struct task *t = task_current();
	char name[PATH_MAX + 32];
	struct path root = {NULL, NULL};
	ssize_t n;

	if (t && t->fs)
		fs_context_paths(t->fs, &root, NULL);
	n = path_name(p, root.mnt ? &root : NULL, name, sizeof(name));
	path_put(&root);
	if (n < 0)
		return n;
	n = (ssize_t)min((size_t)n - 1, size);
	memcpy(buf, name, (size_t)n);
	return n;
}

int proc_follow_file(struct file *f, struct path *out)
{
	if (!f->path.dentry)
		return anon_path(f->inode, out);
	*out = f->path;
	path_get(out);
	return 0;
}
