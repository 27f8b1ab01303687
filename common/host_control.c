#include "common/host_control.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

/* #host: poll sentry gofer */
int host_poll(struct pollfd *fds, size_t n, int timeout_ms)
{
	return result(poll(fds, n, timeout_ms));
}

/* #host: accept4 sentry */
int host_accept(int sock)
{
	return result(accept4(sock, NULL, NULL, SOCK_CLOEXEC));
}

/* #host: eventfd2 sentry */
int host_eventfd(unsigned int value, int flags)
{
	return result(eventfd(value, flags | EFD_CLOEXEC));
}
