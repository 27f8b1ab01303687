#include "common/host_fs.h"

#include <sys/sysinfo.h>

/* #host: sysinfo sentry */
uint64_t host_total_ram(void)
{
	struct sysinfo si;

	return sysinfo(&si) < 0 ? 0 : (uint64_t)si.totalram * si.mem_unit;
}
