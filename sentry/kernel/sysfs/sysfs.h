/* /sys and the view of cgroups: file system types. */
#ifndef GARRISON_SENTRY_KERNEL_SYSFS_SYSFS_H
#define GARRISON_SENTRY_KERNEL_SYSFS_SYSFS_H

/* At start, single-threaded: register sysfs, and cgroup with cgroup2. */
void sysfs_init(void);
void cgroupfs_init(void);

#endif
