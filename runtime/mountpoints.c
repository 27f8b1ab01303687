#include "runtime/mountpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"

static int open_in_root(int root, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The last component of `path` below its (existing) parent. */
static int make_last(int root, const char *path, bool file)
{
	const char *slash = strrchr(path, '/');
	SCOPED_FREE char *parent = xasprintf("/%.*s", (int)(slash - path), path);
	SCOPED_FD int dir = open_in_root(root, parent);
	int r;

	if (dir < 0)
		return dir;
	if (file) {
		int fd =
		    host_openat(dir, slash + 1, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0644);

		if (fd >= 0)
			host_close(fd);
		r = min(fd, 0);
	} else {
		r = mkdirat(dir, slash + 1, 0755) < 0 ? -errno : 0;
	}
	return r == -EEXIST ? 0 : r;
}

static int make_path(int root, const char *path, bool file)
{
	SCOPED_FREE char *copy = xstrdup(path);
	size_t len = strlen(copy);

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	for (char *p = copy + 1;; p++) {
		char c = *p;
		int fd, r = 0;

		if (c && c != '/')
			continue;
		*p = '\0';
		fd = open_in_root(root, copy);
		if (fd >= 0)
			host_close(fd);
		else if (fd == -ENOENT)
			r = make_last(root, copy, file && !c);
		if (r < 0 || !c)
			return r;
		*p = c;
	}
}

static bool inside_earlier_mount(const struct config *c, size_t index)
{
	const char *path = c->mounts[index].destination;

	for (size_t i = 0; i < index; i++) {
		const char *other = c->mounts[i].destination;
		size_t len = strlen(other);

		if (len > 1 && strncmp(path, other, len) == 0 && path[len] == '/')
			return true;
	}
	return false;
}

static int cannot_make(const struct config *c, size_t index, int err, struct error *e)
{
	SCOPED_FREE char *field = xasprintf("mounts[%zu].destination", index);
	SCOPED_FREE char *where = config_where(c, field);

	return error_errno(e, err, "%s: cannot make %s in %s", where, c->mounts[index].destination,
			   c->rootfs);
}

int mountpoints_make(int root, const struct config *c, struct error *e)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct config_mount *m = &c->mounts[i];
		struct stat st;
		bool file = m->bind && stat(m->source, &st) == 0 && !S_ISDIR(st.st_mode);
		int r;

		if (inside_earlier_mount(c, i) || strcmp(m->destination, "/") == 0)
			continue;
		r = make_path(root, m->destination, file);
		if (r < 0)
			return cannot_make(c, i, r, e);
	}
	return 0;
}
