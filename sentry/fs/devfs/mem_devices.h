/* The memory devices: /dev/null, zero, full, random, urandom. */
#ifndef GARRISON_SENTRY_FS_DEVFS_MEM_DEVICES_H
#define GARRISON_SENTRY_FS_DEVFS_MEM_DEVICES_H

/* At start, single-threaded: registers the drivers. */
void devices_init(void);

#endif
