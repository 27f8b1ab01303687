#include "common/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* #host: pwritev2 sentry */
ssize_t host_pwritev2(int fd, const struct iovec *iov, int n, off_t pos, int flags)
{
	return result(pwritev2(fd, iov, n, pos, flags));
}

/* #host: fallocate sentry */
int host_fallocate(int fd, int mode, off_t offset, off_t len)
{
	return (int)result(fallocate(fd, mode, offset, len));
}

/* #host: lseek sentry gofer */
off_t host_lseek(int fd, off_t offset, int whence)
{
	return result(lseek(fd, offset, whence));
}

/* #host: fsync sentry gofer */
int host_fsync(int fd)
{
	return (int)result(fsync(fd));
}

/* #host: fdatasync sentry gofer */
int host_fdatasync(int fd)
{
	return (int)result(fdatasync(fd));
}

/* #host: fcntl sentry gofer */
int host_getfl(int fd)
{
	return (int)result(fcntl(fd, F_GETFL));
}
