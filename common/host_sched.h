/* CPUs and scheduling of the host, as -errno wrappers (see host.h). */
#ifndef GARRISON_COMMON_HOST_SCHED_H
#define GARRISON_COMMON_HOST_SCHED_H

#include <pthread.h>

#include "common/base.h"

/* The CPU and the NUMA node that the caller runs on. */
void host_getcpu(unsigned int *cpu, unsigned int *node);
/* Load averages as sysinfo(2) has them (<< 16), uptime in seconds, total and free swap. */
struct host_sysinfo {
	uint64_t total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
	uint64_t uptime;
};
MUST_CHECK int host_sysinfo(struct host_sysinfo *out);
void host_sched_yield(void);
/* Pins a thread (0: the caller) to one CPU, or with -1 to none. */
int host_set_cpu(pid_t tid, int cpu);
/* The same for a thread of this process. */
int host_thread_set_cpu(pthread_t thread, int cpu);

#endif
