#include "sentry/control/boot.h"

#include "sentry/core/host_facts.h"
#include "sentry/fs/devfs/mem_devices.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/ipc/mqueue.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/sysfs/sysfs.h"
#include "sentry/kernel/tty/tty.h"

void boot_host_facts(void)
{
	host_facts_init();
}

void boot_parts(void)
{
	tmpfs_init();
	devices_init();
	procfs_init();
	sysfs_init();
	cgroupfs_init();
	tty_init();
	mqueue_init();
}
