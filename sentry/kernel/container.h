/*
 * A container in the sentry: its pid namespace, mounts, hostname, zygote. A
 * sandbox has one or (in a pod) several.
 */
#ifndef GARRISON_SENTRY_KERNEL_CONTAINER_H
#define GARRISON_SENTRY_KERNEL_CONTAINER_H

#include "common/list.h"
#include "sentry/kernel/task.h"

struct pid_table;

struct container {
	struct list node;
	char *id;
	struct pf_zygote *zygote;
	struct mount_ns *mounts;
	struct pid_table *pids;
	struct process *init;  /* pid 1; tasklist */
	struct mutex uts_lock; /* RANK_LEAF */
	char hostname[65], domainname[65];
	capset cap_bound;   /* what root in the container may have */
	uint64_t boot_time; /* CLOCK_REALTIME ns when it was created */
	struct ipc_namespace *ipc;
	struct net_namespace *net;
	uint64_t memory_limit; /* bytes, 0 none: shown in /proc/meminfo and sysinfo */
	unsigned int ncpus;
	char *cgroup_path; /* shown in /proc/PID/cgroup */
};

#endif
