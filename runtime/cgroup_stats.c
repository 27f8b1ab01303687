#include "runtime/cgroup_stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"

#define FILE_MAX (1u << 20)

/* The file in whichever hierarchy has it; owned, or NULL. */
static char *find_file(const json_t *dirs, const char *file)
{
	const json_t *v;
	size_t i;

	json_array_foreach(dirs, i, v)
	{
		SCOPED_FREE char *path = xasprintf("%s/%s", json_string_value(v), file);
		char *text = NULL;

		if (host_read_file(AT_FDCWD, path, FILE_MAX, &text) == 0)
			return text;
	}
	return NULL;
}

/* "max" and what does not fit are the largest number. */
static json_int_t to_number(const char *text)
{
	unsigned long long n = 0;

	if (strncmp(text, "max", 3) == 0)
		return INT64_MAX;
	if (sscanf(text, "%llu", &n) != 1)
		return 0;
	return n > INT64_MAX ? INT64_MAX : (json_int_t)n;
}

static json_int_t number(const json_t *dirs, const char *file)
{
	SCOPED_FREE char *text = find_file(dirs, file);

	return text ? to_number(text) : 0;
}

/* "KEY VALUE" lines, as an object. */
static json_t *table(const json_t *dirs, const char *file)
{
	SCOPED_FREE char *text = find_file(dirs, file);
	json_t *o = json_object();
	char *save, *line;

	for (line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (!space)
			continue;
		*space = '\0';
		json_object_set_new(o, line, json_integer(to_number(space + 1)));
	}
	return o;
}

static json_int_t member(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static json_t *per_cpu(const json_t *dirs)
{
	SCOPED_FREE char *text = find_file(dirs, "cpuacct.usage_percpu");
	json_t *list = json_array();
	char *save, *p;

	for (p = text ? strtok_r(text, " \n", &save) : NULL; p; p = strtok_r(NULL, " \n", &save))
		json_array_append_new(list, json_integer(to_number(p)));
	return list;
}

static json_t *cpu(const json_t *dirs)
{
	const json_int_t tick = NSEC_PER_SEC / 100;
	json_t *stat = table(dirs, "cpu.stat"), *acct = table(dirs, "cpuacct.stat"), *o;
	bool v2 = json_object_get(stat, "usage_usec");
	json_int_t total = v2 ? member(stat, "usage_usec") * 1000 : number(dirs, "cpuacct.usage");
	json_int_t user = v2 ? member(stat, "user_usec") * 1000 : member(acct, "user") * tick;
	json_int_t kernel = v2 ? member(stat, "system_usec") * 1000 : member(acct, "system") * tick;

	o = json_pack("{s{sI,so,sI,sI},s{sI,sI,sI}}", "usage", "total", total, "percpu",
		      per_cpu(dirs), "kernel", kernel, "user", user, "throttling", "periods",
		      member(stat, "nr_periods"), "throttledPeriods", member(stat, "nr_throttled"),
		      "throttledTime",
		      v2 ? member(stat, "throttled_usec") * 1000 : member(stat, "throttled_time"));
	json_decref(stat);
	json_decref(acct);
	return o;
}

static json_t *memory_entry(const json_t *dirs, const char *v1)
{
	static const char *const files[] = {"limit_in_bytes", "usage_in_bytes",
					    "max_usage_in_bytes", "failcnt"};
	json_int_t n[4];

	for (size_t i = 0; i < 4; i++) {
		SCOPED_FREE char *file = xasprintf("%s.%s", v1, files[i]);

		n[i] = number(dirs, file);
	}
	return json_pack("{sI,sI,sI,sI}", "limit", n[0], "usage", n[1], "max", n[2], "failcnt",
			 n[3]);
}

static json_t *memory_v2(const json_t *dirs, json_t *raw)
{
	json_int_t used = number(dirs, "memory.current"), limit = number(dirs, "memory.max");
	json_int_t swap = number(dirs, "memory.swap.current");

	return json_pack("{sI,s{sI,sI,sI,sI},s{sI,sI,sI,sI},so}", "cache", member(raw, "file"),
			 "usage", "limit", limit, "usage", used, "max", number(dirs, "memory.peak"),
			 "failcnt", (json_int_t)0, "swap", "limit", number(dirs, "memory.swap.max"),
			 "usage", swap, "max", (json_int_t)0, "failcnt", (json_int_t)0, "raw", raw);
}

static json_t *memory(const json_t *dirs)
{
	SCOPED_FREE char *v1 = find_file(dirs, "memory.usage_in_bytes");
	json_t *raw = table(dirs, "memory.stat");

	if (!v1)
		return memory_v2(dirs, raw);
	return json_pack("{sI,so,so,so,so,so}", "cache", member(raw, "cache"), "usage",
			 memory_entry(dirs, "memory"), "swap", memory_entry(dirs, "memory.memsw"),
			 "kernel", memory_entry(dirs, "memory.kmem"), "kernelTCP",
			 memory_entry(dirs, "memory.kmem.tcp"), "raw", raw);
}

/* Lines "MAJOR:MINOR OPERATION VALUE" of v1. */
static json_t *io_entries(const json_t *dirs, const char *file)
{
	SCOPED_FREE char *text = find_file(dirs, file);
	json_t *list = json_array();
	char *save, *line;

	for (line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned long long value;
		unsigned int major, minor;
		char op[16];

		if (sscanf(line, "%u:%u %15s %llu", &major, &minor, op, &value) == 4)
			json_array_append_new(list, json_pack("{si,si,ss,sI}", "major", (int)major,
							      "minor", (int)minor, "op", op,
							      "value", (json_int_t)value));
	}
	return list;
}

json_t *cgroup_stats(const json_t *dirs)
{
	SCOPED_FREE char *limit = find_file(dirs, "pids.max");
	json_int_t pids = limit ? to_number(limit) : 0;

	return json_pack(
	    "{so,so,s{sI,sI},s{so,so},s{}}", "cpu", cpu(dirs), "memory", memory(dirs), "pids",
	    "current", number(dirs, "pids.current"), "limit",
	    pids == INT64_MAX ? (json_int_t)0 : pids, "blkio", "ioServiceBytesRecursive",
	    io_entries(dirs, "blkio.throttle.io_service_bytes_recursive"), "ioServicedRecursive",
	    io_entries(dirs, "blkio.throttle.io_serviced_recursive"), "hugetlb");
}
