#include "common/host_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* #host: poll sentry */
uint32_t host_poll_now(int fd, uint32_t events)
{
	struct pollfd p = {.fd = fd, .events = (short)events};

	return poll(&p, 1, 0) > 0 ? (uint16_t)p.revents : 0;
}

/*
 * Pipes and sockets honour RWF_NOWAIT. Where it is not supported (terminals, ...)
 * poll comes first; should another reader of the same description then be
 * faster, this thread waits for the next input.
 * #host: preadv2 sentry
 */
ssize_t host_read_nowait(int fd, void *buf, size_t n)
{
	struct iovec iov = {.iov_base = buf, .iov_len = n};
	ssize_t r = result(preadv2(fd, &iov, 1, -1, RWF_NOWAIT));

	if (r != -EOPNOTSUPP)
		return r;
	if (!(host_poll_now(fd, POLLIN) & (POLLIN | POLLHUP | POLLERR)))
		return -EAGAIN;
	return host_read(fd, buf, n);
}

/*
 * Without RWF_NOWAIT a writable pipe takes PIPE_BUF bytes without waiting.
 * #host: pwritev2 sentry
 */
ssize_t host_write_nowait(int fd, const void *buf, size_t n)
{
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = n};
	ssize_t r = result(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));

	if (r != -EOPNOTSUPP)
		return r;
	if (!(host_poll_now(fd, POLLOUT) & (POLLOUT | POLLHUP | POLLERR)))
		return -EAGAIN;
	return host_write(fd, buf, min(n, (size_t)PIPE_BUF));
}

/* #host: ioctl[1&0xffffffff=0x541b] sentry */
int host_fionread(int fd, int *bytes)
{
	return (int)result(ioctl(fd, FIONREAD, bytes));
}

/* #host: fcntl[1&0xffffffff=4] sentry */
int host_set_nonblock(int fd)
{
	int flags = host_getfl(fd);

	return flags < 0 ? flags : (int)result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

/* #host: ioctl[1&0xffffffff=0x5413] sentry */
void host_get_winsize(int fd, struct winsize *ws)
{
	if (ioctl(fd, TIOCGWINSZ, ws))
		*ws = (struct winsize){0};
}
