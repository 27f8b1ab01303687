#include "common/host_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* #host: openat2 gofer */
int host_open_beneath(int dir, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
	    .flags = (unsigned int)flags | O_CLOEXEC,
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};

	return (int)result(syscall(SYS_openat2, dir, name, &how, sizeof(how)));
}

int host_open_name(int dir, const char *name)
{
	return host_open_beneath(dir, name, O_PATH | O_NOFOLLOW, 0);
}

/* #host: statx gofer */
int host_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *out)
{
	return (int)result(syscall(SYS_statx, dir, name, flags, mask, out));
}

/* #host: mkdirat gofer */
int host_mkdirat(int dir, const char *name, mode_t mode)
{
	return (int)result(mkdirat(dir, name, mode));
}

/* #host: mknodat gofer */
int host_mknodat(int dir, const char *name, mode_t mode, dev_t dev)
{
	return (int)result(mknodat(dir, name, mode, dev));
}

/* #host: symlinkat gofer */
int host_symlinkat(const char *target, int dir, const char *name)
{
	return (int)result(symlinkat(target, dir, name));
}

/* #host: linkat gofer */
int host_linkat(int old_dir, const char *old_name, int dir, const char *name, int flags)
{
	return (int)result(linkat(old_dir, old_name, dir, name, flags));
}

/* #host: unlinkat gofer */
int host_unlinkat(int dir, const char *name, int flags)
{
	return (int)result(unlinkat(dir, name, flags));
}

/* #host: renameat,renameat2 gofer */
int host_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name,
		   unsigned int flags)
{
	return (int)result(renameat2(old_dir, old_name, new_dir, new_name, flags));
}

/* #host: readlinkat gofer */
ssize_t host_readlinkat(int dir, const char *name, char *buf, size_t size)
{
	return result(readlinkat(dir, name, buf, size));
}

/* #host: fchmodat gofer */
int host_fchmodat(int dir, const char *name, mode_t mode)
{
	return (int)result(fchmodat(dir, name, mode, 0));
}

/* #host: fchownat gofer */
int host_fchownat(int dir, const char *name, uid_t uid, gid_t gid, int flags)
{
	return (int)result(fchownat(dir, name, uid, gid, flags));
}

/* #host: utimensat gofer */
int host_utimensat(int dir, const char *name, const struct timespec ts[2], int flags)
{
	return (int)result(utimensat(dir, name, ts, flags));
}

/* #host: truncate gofer */
int host_truncate(const char *path, off_t len)
{
	return (int)result(truncate(path, len));
}

/* #host: getdents64 gofer */
ssize_t host_getdents64(int fd, void *buf, size_t size)
{
	return result(syscall(SYS_getdents64, fd, buf, size));
}

/* #host: fstatfs gofer */
int host_fstatfs(int fd, struct statfs *out)
{
	return (int)result(fstatfs(fd, out));
}

/* #host: syncfs gofer */
int host_syncfs(int fd)
{
	return (int)result(syncfs(fd));
}

/* #host: socketpair gofer */
int host_seqpacket_pair(int fds[2])
{
	return (int)result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
}

unsigned int host_raise_nofile(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return 1024;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		return 1024;
	return lim.rlim_cur < 1U << 30 ? (unsigned int)lim.rlim_cur : 1U << 30;
}

/* #host: getxattr gofer */
ssize_t host_getxattr(const char *path, const char *name, void *value, size_t size)
{
	return result(getxattr(path, name, value, size));
}

/* #host: setxattr gofer */
int host_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return (int)result(setxattr(path, name, value, size, flags));
}

/* #host: listxattr gofer */
ssize_t host_listxattr(const char *path, char *list, size_t size)
{
	return result(listxattr(path, list, size));
}

/* #host: llistxattr gofer */
ssize_t host_llistxattr(const char *path, char *list, size_t size)
{
	return result(llistxattr(path, list, size));
}

/* #host: removexattr gofer */
int host_removexattr(const char *path, const char *name)
{
	return (int)result(removexattr(path, name));
}
