#include "sentry/core/host_facts.h"

#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/host.h"
#include "common/mem.h"

static int cpuinfo_fd = -1, meminfo_fd = -1;

void host_facts_init(void)
{
	cpuinfo_fd = host_openat(AT_FDCWD, "/proc/cpuinfo", O_RDONLY, 0);
	meminfo_fd = host_openat(AT_FDCWD, "/proc/meminfo", O_RDONLY, 0);
}

/* --- processors -------------------------------------------------------------------------- */

static char *cpuinfo_text;
static pthread_once_t cpuinfo_once = PTHREAD_ONCE_INIT;

static void read_cpuinfo(void)
{
	size_t len = 0, room = 1 << 16;
	ssize_t r = 0;

	cpuinfo_text = xmalloc(room);
	while (cpuinfo_fd >= 0 &&
	       (r = host_pread(cpuinfo_fd, cpuinfo_text + len, room - len - 1, (off_t)len)) > 0) {
		len += (size_t)r;
		if (room - len < 8192)
			cpuinfo_text = xrealloc(cpuinfo_text, room *= 2);
	}
	cpuinfo_text[len] = '\0';
	if (len == 0)
		strcpy(cpuinfo_text, "processor\t: 0\nvendor_id\t: unknown\n\n");
}

const char *host_cpuinfo(void)
{
	pthread_once(&cpuinfo_once, read_cpuinfo);
	return cpuinfo_text;
}

/* The block that begins at `p`, with the empty line that ends it. */
static size_t block_len(const char *p)
{
	const char *end = strstr(p, "\n\n");

	return end ? (size_t)(end - p) + 2 : strlen(p);
}

const char *host_cpuinfo_block(unsigned int cpu, size_t *len)
{
	const char *first = host_cpuinfo(), *p = first;

	for (unsigned int i = 0; i < cpu; i++) {
		p += block_len(p);
		if (!*p) /* more CPUs asked for than there are: begin again */
			p = first;
	}
	*len = block_len(p);
	return p;
}

long host_cpuinfo_number(unsigned int cpu, const char *key, long otherwise)
{
	size_t len, key_len = strlen(key);
	const char *p = host_cpuinfo_block(cpu, &len), *end = p + len, *colon;

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			break;
		colon = memchr(p, ':', (size_t)(eol - p));
		if (colon && strncmp(p, key, key_len) == 0 &&
		    (p[key_len] == '\t' || p[key_len] == ':' || p[key_len] == ' '))
			return strtol(colon + 1, NULL, 10);
		p = eol + 1;
	}
	return otherwise;
}

/* --- memory and load ------------------------------------------------------------------------ */

static size_t read_small(int fd, char *buf, size_t size)
{
	ssize_t r = fd < 0 ? -1 : host_pread(fd, buf, size - 1, 0);

	buf[r > 0 ? r : 0] = '\0';
	return r > 0 ? (size_t)r : 0;
}

static uint64_t kib_of(const char *text, const char *key)
{
	const char *p = strstr(text, key);
	unsigned long long n = 0;

	if (p && sscanf(p + strlen(key), " %llu", &n) != 1)
		n = 0;
	return (uint64_t)n << 10;
}

void host_memory(struct host_memory *out)
{
	char text[4096];

	*out = (struct host_memory){.total = 0};
	if (read_small(meminfo_fd, text, sizeof(text)) == 0) {
		out->total = out->free = out->available = 1ULL << 30;
		return;
	}
	out->total = kib_of(text, "MemTotal:");
	out->free = kib_of(text, "MemFree:");
	out->available = kib_of(text, "MemAvailable:");
	out->buffers = kib_of(text, "Buffers:");
	out->cached = kib_of(text, "\nCached:");
	out->shmem = kib_of(text, "Shmem:");
	out->slab = kib_of(text, "Slab:");
	out->active = kib_of(text, "Active:");
	out->inactive = kib_of(text, "Inactive:");
	out->swap_total = kib_of(text, "SwapTotal:");
	out->swap_free = kib_of(text, "SwapFree:");
}

/* --- caches --------------------------------------------------------------------------------- */

bool host_cache(unsigned int index, struct host_cache *out)
{
	unsigned int a, b, c, d, leaf = 4;

	__cpuid(0, a, b, c, d);
	if (b == signature_AMD_ebx)
		leaf = 0x8000001d;
	if (!__get_cpuid_count(leaf, index, &a, &b, &c, &d) || (a & 31) == 0)
		return false;
	out->type = (int)(a & 31);
	out->level = (int)(a >> 5 & 7);
	out->shared_cpus = (a >> 14 & 0xfff) + 1;
	out->line = (b & 0xfff) + 1;
	out->partitions = (b >> 12 & 0x3ff) + 1;
	out->ways = (b >> 22) + 1;
	out->sets = c + 1;
	out->size = (uint64_t)out->line * out->partitions * out->ways * out->sets;
	return true;
}
