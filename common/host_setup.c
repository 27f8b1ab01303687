#include "common/host_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

int host_prctl(int op, unsigned long a, unsigned long b)
{
	return result(prctl(op, a, b, 0, 0));
}

int host_unshare(int flags)
{
	return result(unshare(flags));
}

int host_mount(const char *source, const char *target, const char *type, unsigned long flags,
	       const char *data)
{
	return result(mount(source, target, type, flags, data));
}

int host_umount2(const char *target, int flags)
{
	return result(umount2(target, flags));
}

int host_pivot_root(const char *new_root, const char *put_old)
{
	return result(syscall(SYS_pivot_root, new_root, put_old));
}

int host_chdir(const char *path)
{
	return result(chdir(path));
}

/* #host: fchdir gofer */
int host_fchdir(int fd)
{
	return result(fchdir(fd));
}

int host_setids(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int host_capset(uint64_t caps)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
	    {.permitted = (uint32_t)caps, .effective = (uint32_t)caps},
	    {.permitted = (uint32_t)(caps >> 32), .effective = (uint32_t)(caps >> 32)},
	};

	return result(syscall(SYS_capset, &h, d));
}

int host_close_range(unsigned int first, unsigned int last)
{
	return result(syscall(SYS_close_range, first, last, 0));
}

int host_setrlimit(int resource, const struct rlimit *limit)
{
	return result(setrlimit(resource, limit));
}

int host_getrlimit(int resource, struct rlimit *limit)
{
	return result(getrlimit(resource, limit));
}

int host_seccomp_filter(unsigned int flags, struct sock_fprog *prog)
{
	int r = result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog));

	return r > 0 ? -EBUSY : r; /* > 0: a thread that could not be synchronised */
}

int host_write_file(int dirfd, const char *path, const char *text)
{
	SCOPED_FD int fd = host_openat(dirfd, path, O_WRONLY, 0);
	ssize_t r;

	if (fd < 0)
		return fd;
	r = host_write(fd, text, strlen(text));
	if (r < 0)
		return (int)r;
	return (size_t)r == strlen(text) ? 0 : -EIO;
}

int host_read_file(int dirfd, const char *path, size_t max, char **out)
{
	SCOPED_FD int fd = host_openat(dirfd, path, O_RDONLY, 0);
	size_t len = 0, room = 4096;
	char *buf;

	if (fd < 0)
		return fd;
	buf = xmalloc(room);
	for (;;) {
		ssize_t r = host_read(fd, buf + len, room - len - 1);

		if (r == -EINTR)
			continue;
		if (r < 0 || len > max) {
			free(buf);
			return r < 0 ? (int)r : -E2BIG;
		}
		if (r == 0)
			break;
		len += (size_t)r;
		if (room - len < 2048)
			buf = xrealloc(buf, room *= 2);
	}
	buf[len] = '\0';
	*out = buf;
	return 0;
}
