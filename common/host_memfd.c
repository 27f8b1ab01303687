#include <errno.h>
#include <fcntl.h>

#include "common/host.h"
#include "common/host_memfd.h"

static int result(int r)
{
	return r < 0 ? -errno : r;
}

/* #host: fcntl[1&0xffffffff=1033] sentry gofer */
int host_add_seals(int fd, unsigned int seals)
{
	return result(fcntl(fd, F_ADD_SEALS, seals));
}

/* #host: fcntl[1&0xffffffff=1034] sentry */
int host_get_seals(int fd)
{
	return result(fcntl(fd, F_GET_SEALS));
}
