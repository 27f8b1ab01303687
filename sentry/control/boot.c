#include "sentry/control/boot.h"

#include "common/base.h"

typedef void init_fn(void);

init_fn host_facts_init __attribute__((weak));
init_fn ktimer_init_thread __attribute__((weak));
init_fn hostpoll_init __attribute__((weak));
init_fn vfs_init __attribute__((weak));
init_fn kernel_init __attribute__((weak));
init_fn tmpfs_init __attribute__((weak));
init_fn devices_init __attribute__((weak));
init_fn devfs_init __attribute__((weak));
init_fn procfs_init __attribute__((weak));
init_fn sysfs_init __attribute__((weak));
init_fn cgroupfs_init __attribute__((weak));
init_fn tty_init __attribute__((weak));
init_fn devpts_init __attribute__((weak));
init_fn mqueue_init __attribute__((weak));
init_fn gofer_init __attribute__((weak));
init_fn overlay_init __attribute__((weak));
init_fn sockets_init __attribute__((weak));

void boot_host_facts(void)
{
	if (host_facts_init)
		host_facts_init();
}

void boot_parts(void)
{
	init_fn *const parts[] = {
	    ktimer_init_thread, hostpoll_init, vfs_init,     kernel_init,
	    tmpfs_init,		devices_init,  devfs_init,   procfs_init,
	    sysfs_init,		cgroupfs_init, tty_init,     devpts_init,
	    mqueue_init,	gofer_init,    overlay_init, sockets_init,
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i])
			parts[i]();
}
