#include "common/host_sched.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* #host: getcpu sentry (where the vDSO cannot answer) */
void host_getcpu(unsigned int *cpu, unsigned int *node)
{
	*cpu = *node = 0;
	getcpu(cpu, node);
}

/* #host: sysinfo sentry */
int host_sysinfo(struct host_sysinfo *out)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return -errno;
	*out = (struct host_sysinfo){
	    .total_ram = (uint64_t)si.totalram * si.mem_unit,
	    .free_ram = (uint64_t)si.freeram * si.mem_unit,
	    .shared_ram = (uint64_t)si.sharedram * si.mem_unit,
	    .buffer_ram = (uint64_t)si.bufferram * si.mem_unit,
	    .total_swap = (uint64_t)si.totalswap * si.mem_unit,
	    .free_swap = (uint64_t)si.freeswap * si.mem_unit,
	    .uptime = (uint64_t)si.uptime,
	};
	return 0;
}

/* #host: sched_yield sentry */
void host_sched_yield(void)
{
	sched_yield();
}

static cpu_set_t one_cpu(int cpu)
{
	cpu_set_t set;

	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
	} else {
		memset(&set, 0xff, sizeof(set));
	}
	return set;
}

/* #host: sched_setaffinity sentry gofer */
int host_set_cpu(pid_t tid, int cpu)
{
	cpu_set_t set = one_cpu(cpu);

	return sched_setaffinity(tid, sizeof(set), &set) < 0 ? -errno : 0;
}

int host_thread_set_cpu(pthread_t thread, int cpu)
{
	cpu_set_t set = one_cpu(cpu);

	return -pthread_setaffinity_np(thread, sizeof(set), &set);
}
