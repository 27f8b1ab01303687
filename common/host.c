#include "common/host.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A libc result as the kernel gave it: >= 0, or -errno. */
static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* #host: openat gofer */
int host_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)result(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

/* #host: close sentry gofer */
int host_close(int fd)
{
	return (int)result(close(fd));
}

/* #host: read sentry gofer */
ssize_t host_read(int fd, void *buf, size_t n)
{
	return result(read(fd, buf, n));
}

/* #host: write sentry gofer */
ssize_t host_write(int fd, const void *buf, size_t n)
{
	return result(write(fd, buf, n));
}

/* #host: pread64 sentry gofer */
ssize_t host_pread(int fd, void *buf, size_t n, off_t pos)
{
	return result(pread(fd, buf, n, pos));
}

/* #host: pwrite64 sentry gofer */
ssize_t host_pwrite(int fd, const void *buf, size_t n, off_t pos)
{
	return result(pwrite(fd, buf, n, pos));
}

/* #host: fstat,newfstatat sentry gofer */
int host_fstat(int fd, struct stat *st)
{
	return (int)result(fstat(fd, st));
}

/* #host: ftruncate sentry gofer */
int host_ftruncate(int fd, off_t len)
{
	return (int)result(ftruncate(fd, len));
}

/* #host: memfd_create sentry gofer */
int host_memfd_create(const char *name, unsigned int flags)
{
	return (int)result(memfd_create(name, flags | MFD_CLOEXEC));
}

/* #host: sendmsg sentry gofer */
ssize_t host_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	return result(sendmsg(sock, msg, flags | MSG_NOSIGNAL));
}

/* #host: recvmsg sentry gofer */
ssize_t host_recvmsg(int sock, struct msghdr *msg, int flags)
{
	return result(recvmsg(sock, msg, flags | MSG_CMSG_CLOEXEC));
}

int host_write_full(int fd, const void *buf, size_t n)
{
	const char *p = buf;

	while (n > 0) {
		ssize_t r = host_write(fd, p, n);

		if (r == -EINTR)
			continue;
		if (r < 0)
			return (int)r;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* #host: clock_gettime sentry gofer (where the vDSO cannot answer) */
uint64_t host_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t host_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
