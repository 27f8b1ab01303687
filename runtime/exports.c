#include "runtime/exports.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/host.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

/*
 * A clone of the mounts, in no namespace: it does not keep the host's mounts busy, and is
 * itself without devices (and read-only), whatever the gofer may be talked into.
 */
static int clone_tree(const char *path, bool readonly, bool recursive)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
					      (readonly ? MOUNT_ATTR_RDONLY : 0)};
	unsigned int deep = recursive ? AT_RECURSIVE : 0;
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC | deep);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | deep, &attr, sizeof(attr)) < 0) {
		int r = -errno;

		host_close(fd);
		return r;
	}
	return fd;
}

int exports_add(struct exports *x, const char *path, bool readonly, bool shared, bool recursive,
		struct error *e)
{
	struct export *ex = &x->list[x->n];
	struct statfs fs;
	struct stat st;
	int pair[2];

	if (x->n == EXPORTS_MAX)
		return error_set(e, -E2BIG, "more than %d bind mounts", EXPORTS_MAX - 1);
	*ex = (struct export){.readonly = readonly, .shared = shared};
	ex->root = clone_tree(path, readonly, recursive);
	/* No plain directory instead: devices and writes on it would have one guard less. */
	if (ex->root == -EINVAL)
		return error_set(e, -EINVAL,
				 "%s: its mount cannot be cloned (unbindable, or of another mount "
				 "namespace)",
				 path);
	if (ex->root < 0)
		return error_errno(e, ex->root, "%s: clone its mounts", path);
	/* It would show the gofer itself, which looks at it on the container's behalf. */
	if (fstatfs(ex->root, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC) {
		host_close(ex->root);
		return error_set(e, -EINVAL,
				 "%s: the host's proc file system cannot be shared with a sandbox; "
				 "mount one of type proc",
				 path);
	}
	if (fstat(ex->root, &st) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		int r = -errno;

		host_close(ex->root);
		return error_errno(e, r, "%s", path);
	}
	ex->is_file = !S_ISDIR(st.st_mode);
	ex->gofer_end = pair[0];
	ex->sentry_end = pair[1];
	return (int)x->n++;
}

void exports_close(struct exports *x)
{
	for (size_t i = 0; i < x->n; i++) {
		host_close(x->list[i].root);
		host_close(x->list[i].gofer_end);
		host_close(x->list[i].sentry_end);
	}
	x->n = 0;
}
