#include "common/host_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* #host: lseek sentry gofer */
off_t host_lseek(int fd, off_t offset, int whence)
{
	off_t r = lseek(fd, offset, whence);

	return r < 0 ? -errno : r;
}

/* #host: fallocate sentry gofer */
int host_fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fallocate(fd, mode, offset, len) < 0 ? -errno : 0;
}

/* #host: sysinfo sentry */
uint64_t host_total_ram(void)
{
	struct sysinfo si;

	return sysinfo(&si) < 0 ? 0 : (uint64_t)si.totalram * si.mem_unit;
}
