/* Host descriptors that are made for a payer; see account.h. */
#include <errno.h>

#include "common/host.h"
#include "common/host_memfd.h"
#include "sentry/core/account.h"

int charged_memfd(const char *name, unsigned int flags)
{
	int fd = account_fd_admit();

	if (fd == 0)
		fd = host_memfd_create(name, flags);
	if (fd >= 0)
		account_fd_add(fd);
	return fd == -EMFILE ? -ENFILE : fd;
}

void charged_close(int fd)
{
	account_fd_del(fd);
	host_close(fd);
}
