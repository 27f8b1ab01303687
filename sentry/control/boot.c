#include "sentry/control/boot.h"

#include "sentry/core/host_facts.h"
#include "sentry/fs/devfs/mem_devices.h"
#include "sentry/fs/epoll.h"
#include "sentry/fs/memfd.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/parts.h"
#include "sentry/fs/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/ipc/mqueue.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/sysfs/sysfs.h"
#include "sentry/kernel/tty/tty.h"

void boot_host_facts(void)
{
	host_facts_init();
}

static const struct fs_parts file_kinds = {
    .fifo_open = fifo_open,
    .fifo_free = fifo_inode_free,
    .memfd_path = memfd_path,
    .epoll_forget = epoll_forget_file,
};

void boot_parts(void)
{
	fs_parts_register(&file_kinds);
	tmpfs_init();
	overlay_init();
	devices_init();
	procfs_init();
	sysfs_init();
	cgroupfs_init();
	tty_init();
	mqueue_init();
}
