/*
 * What the guest may know of the machine: read from the host's /proc through
 * descriptors that are opened before the sentry confines itself, and read only
 * when somebody asks (start-up stays short).
 */
#ifndef GARRISON_SENTRY_CORE_HOST_FACTS_H
#define GARRISON_SENTRY_CORE_HOST_FACTS_H

#include "common/base.h"

/* First thing in main, while files can still be opened. */
void host_facts_init(void);

/* The host's /proc/cpuinfo, or a short one made up; NUL-terminated, valid for ever. */
const char *host_cpuinfo(void);
/* The block of processor `cpu` (modulo those that there are): start, and its length. */
const char *host_cpuinfo_block(unsigned int cpu, size_t *len);
/* The number behind "key :" in a block, or `otherwise`. */
long host_cpuinfo_number(unsigned int cpu, const char *key, long otherwise);

/* Bytes. */
struct host_memory {
	uint64_t total, free, available, buffers, cached, shmem, slab, active, inactive;
	uint64_t swap_total, swap_free;
};
void host_memory(struct host_memory *out);

/* Caches as CPUID reports them (leaf 4 or 0x8000001d): false past the last. */
struct host_cache {
	int level, type; /* type: 1 data, 2 instruction, 3 unified */
	unsigned int line, ways, sets, partitions, shared_cpus;
	uint64_t size;
};
bool host_cache(unsigned int index, struct host_cache *out);

#endif
