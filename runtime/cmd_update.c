/* update: other limits for a container, from a "linux.resources" object and from options. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/cgroup.h"
#include "runtime/client.h"
#include "runtime/command.h"

#define RESOURCES_MAX (1u << 20)

struct options {
	const char *resources;
	json_t *given; /* owned: what the options ask for, in the form of the file */
};

/* "512m", "1g", "-1" for memory; plain numbers for the rest. */
static int set_number(struct options *o, const char *group, const char *key, const char *arg,
		      struct error *e)
{
	static const char units[] = "bkmgt";
	char *end;
	json_int_t n = (errno = 0, strtoll(arg, &end, 0));
	const char *unit = *end && !end[1] ? strchr(units, *end | 0x20) : NULL;
	bool fits = errno == 0;

	if (end == arg || (*end && (!unit || strcmp(group, "memory") != 0)) || n < -1)
		return error_set(e, -EINVAL, "%s.%s: \"%s\" is not a number", group, key, arg);
	for (const char *u = units; unit && u < unit; u++)
		fits = fits && !__builtin_mul_overflow(n, 1024, &n);
	if (!fits)
		return error_set(e, -ERANGE, "%s.%s: %s is too large", group, key, arg);
	json_object_set_new(json_object_get(o->given, group), key, json_integer(n));
	return 0;
}

static int set_text(struct options *o, const char *key, const char *arg)
{
	json_object_set_new(json_object_get(o->given, "cpu"), key, json_string(arg));
	return 0;
}

#define NUMBER(name, group, key)                                                                   \
	static int set_##name(void *to, const char *arg, struct error *e)                          \
	{                                                                                          \
		return set_number(to, group, key, arg, e);                                         \
	}
NUMBER(memory, "memory", "limit")
NUMBER(swap, "memory", "swap")
NUMBER(reservation, "memory", "reservation")
NUMBER(shares, "cpu", "shares")
NUMBER(quota, "cpu", "quota")
NUMBER(period, "cpu", "period")
NUMBER(pids, "pids", "limit")

static int set_cpus(void *to, const char *arg, struct error *e)
{
	return set_text(to, "cpus", arg);
}

static int set_mems(void *to, const char *arg, struct error *e)
{
	return set_text(to, "mems", arg);
}

static const struct option_def update_options[] = {
    {"resources", 'r', "FILE", "a \"linux.resources\" object; - is the standard input",
     OPT_STRING(struct options, resources)},
    {"memory", 0, "BYTES", "memory; with a unit k, m or g; -1: unlimited", .fn = set_memory},
    {"memory-swap", 0, "BYTES", "memory and swap together", .fn = set_swap},
    {"memory-reservation", 0, "BYTES", "memory that is kept for it", .fn = set_reservation},
    {"cpu-share", 0, "N", "its weight among others (1024 is usual)", .fn = set_shares},
    {"cpu-quota", 0, "US", "CPU time in a period; -1: unlimited", .fn = set_quota},
    {"cpu-period", 0, "US", "the period", .fn = set_period},
    {"cpuset-cpus", 0, "LIST", "CPUs that it may use", .fn = set_cpus},
    {"cpuset-mems", 0, "LIST", "memory nodes that it may use", .fn = set_mems},
    {"pids-limit", 0, "N", "processes; -1: unlimited", .fn = set_pids},
    /* Of runc, obsolete or without an equivalent: taken. */
    {"blkio-weight", 0, "N", NULL},
    {"cpu-rt-period", 0, "US", NULL},
    {"cpu-rt-runtime", 0, "US", NULL},
    {"kernel-memory", 0, "BYTES", NULL},
    {"kernel-memory-tcp", 0, "BYTES", NULL},
    {0},
};

static int read_resources(const char *path, json_t **out, struct error *e)
{
	bool from_stdin = strcmp(path, "-") == 0;
	SCOPED_FREE char *text = NULL;
	json_error_t jerr;
	int r;

	r = host_read_file(AT_FDCWD, from_stdin ? "/dev/stdin" : path, RESOURCES_MAX, &text);
	if (r < 0)
		return error_errno(e, r, "--resources: cannot read %s", path);
	*out = json_loads(text, 0, &jerr);
	return *out ? 0
		    : error_set(e, -EINVAL, "--resources %s: line %d: %s", path, jerr.line,
				jerr.text);
}

/* In an update 0 means that a limit stays, and -1 that it goes. */
static void apply_number(const json_t *resources, const char *group, const char *key,
			 int64_t *limit)
{
	const json_t *v = json_object_get(json_object_get(resources, group), key);

	if (json_is_integer(v) && json_integer_value(v) == 0)
		*limit = -1;
	else if (json_is_integer(v) && json_integer_value(v) == -1)
		*limit = LIMIT_NONE;
}

static int to_limits(const json_t *resources, const char *file, struct config_limits *l,
		     struct error *e)
{
	int r = config_resources_parse(resources, file, l, e);

	apply_number(resources, "memory", "limit", &l->memory);
	apply_number(resources, "memory", "swap", &l->swap);
	apply_number(resources, "memory", "reservation", &l->reservation);
	apply_number(resources, "cpu", "shares", &l->cpu_shares);
	apply_number(resources, "cpu", "quota", &l->cpu_quota);
	apply_number(resources, "cpu", "period", &l->cpu_period);
	apply_number(resources, "pids", "limit", &l->pids);
	return r;
}

/* What /proc/meminfo and the like show inside. */
static int tell_sentry(const struct state *st, const struct config_limits *l, struct error *e)
{
	SCOPED_FD int fd = client_connect(st, e);
	json_t *request = json_pack("{ss,ss}", "op", "update", "id", st->id);

	if (l->memory > 0)
		json_object_set_new(request, "memoryLimit",
				    json_integer(l->memory == LIMIT_NONE ? 0 : l->memory));
	if (l->pids > 0)
		json_object_set_new(request, "pidsLimit",
				    json_integer(l->pids == LIMIT_NONE ? 0 : l->pids));
	if (fd >= 0)
		return client_call(fd, request, NULL, 0, NULL, e);
	json_decref(request);
	return fd;
}

static int update(const struct state *st, const struct options *o, struct error *e)
{
	enum container_status status = state_status(st);
	struct config_limits limits;
	json_t *resources = NULL;
	int r = 0;

	if (status == STATUS_STOPPED)
		return error_set(e, -EINVAL, "cannot update container \"%s\": it is stopped",
				 st->id);
	if (o->resources)
		r = read_resources(o->resources, &resources, e);
	if (r == 0)
		r = to_limits(o->resources ? resources : o->given,
			      o->resources ? o->resources : "update", &limits, e);
	if (r == 0)
		r = cgroup_update(st->cgroup_dirs, &limits, e);
	if (r == 0)
		r = tell_sentry(st, &limits, e);
	json_decref(resources);
	return r;
}

static int update_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.given = json_pack("{s{},s{},s{}}", "memory", "cpu", "pids")};
	struct state st = {.dir_fd = -1};
	int r = options_parse(&cmd_update.line, &o, argc, argv, e);

	if (r >= 0)
		r = state_load(g, argv[r], true, &st, e);
	if (r == 0)
		r = update(&st, &o, e);
	json_decref(o.given);
	state_free(&st);
	return r;
}

const struct command cmd_update = {
    {"update", "ID", "change the container's limits",
     .description =
	 "In --resources 0 leaves a limit as it is, and -1 takes it off. The options are "
	 "not looked at\nbeside --resources.",
     .options = update_options},
    update_main};
