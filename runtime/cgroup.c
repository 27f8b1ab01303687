#include "runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/log.h"
#include "common/mem.h"

/* One line of /proc/self/mountinfo, taken apart in place: mount point and type. */
static bool parse_mountinfo(char *line, char **point, char **type)
{
	char *save, *field = strtok_r(line, " ", &save);

	*point = *type = NULL;
	for (int i = 0; field; i++) {
		if (i == 4)
			*point = field;
		if (strcmp(field, "-") == 0) {
			*type = strtok_r(NULL, " ", &save);
			break;
		}
		field = strtok_r(NULL, " ", &save);
	}
	return *point && *type && strncmp(*type, "cgroup", 6) == 0;
}

int cgroup_dirs(const char *path, json_t **dirs, struct error *e)
{
	SCOPED_FREE char *text = NULL;
	char *save, *line;
	int r = host_read_file(AT_FDCWD, "/proc/self/mountinfo", 8u << 20, &text);

	if (r < 0)
		return error_errno(e, r, "cannot read /proc/self/mountinfo");
	*dirs = json_array();
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *point, *type;

		if (!parse_mountinfo(line, &point, &type))
			continue;
		json_array_append_new(*dirs,
				      json_sprintf("%s%s%s", point, *path == '/' ? "" : "/", path));
	}
	return 0;
}

static bool is_v2(const char *dir)
{
	SCOPED_FREE char *file = xasprintf("%s/cgroup.controllers", dir);

	return access(file, F_OK) == 0;
}

static bool has(const char *dir, const char *file)
{
	SCOPED_FREE char *path = xasprintf("%s/%s", dir, file);

	return access(path, F_OK) == 0;
}

static int write_value(const char *dir, const char *file, const char *value)
{
	SCOPED_FREE char *path = xasprintf("%s/%s", dir, file);

	return host_write_file(AT_FDCWD, path, value);
}

/* A new v1 cpuset is empty: nothing could join it. */
static void inherit_cpuset(const char *dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		SCOPED_FREE char *mine = xasprintf("%s/%s", dir, files[i]);
		SCOPED_FREE char *theirs = xasprintf("%s/../%s", dir, files[i]);
		SCOPED_FREE char *value = NULL, *now = NULL;

		if (host_read_file(AT_FDCWD, mine, 65536, &now) < 0 || *now != '\n')
			continue;
		if (host_read_file(AT_FDCWD, theirs, 65536, &value) == 0 &&
		    host_write_file(AT_FDCWD, mine, value) < 0)
			log_debug("cannot set %s", mine);
	}
}

/* v2: a controller's files exist only where the parent passes it on. */
static void enable_controllers(const char *dir)
{
	static const char *const names[] = {"+memory", "+pids", "+cpu", "+cpuset", "+io"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (write_value(dir, "cgroup.subtree_control", names[i]) < 0)
			log_debug("%s: no controller %s", dir, names[i] + 1);
}

static int make_dir(const char *dir, struct error *e)
{
	SCOPED_FREE char *copy = xstrdup(dir);
	char *slash = strrchr(copy, '/');
	int r;

	if (mkdir(dir, 0755) == 0 || errno == EEXIST)
		goto made;
	if (errno != ENOENT || !slash || slash == copy)
		return error_errno(e, -errno, "cannot make the cgroup %s", dir);
	*slash = '\0';
	r = make_dir(copy, e);
	if (r < 0)
		return r;
	if (is_v2(copy))
		enable_controllers(copy);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return error_errno(e, -errno, "cannot make the cgroup %s", dir);
made:
	if (strstr(dir, "cpuset"))
		inherit_cpuset(dir);
	return 0;
}

struct setting {
	const char *file; /* written where it exists */
	const char *field;
	int64_t value;
};

static int set_number(const char *dir, const struct setting *s, struct error *e)
{
	char text[32];
	int r;

	if (s->value == -1 || !has(dir, s->file))
		return 0;
	if (s->value != LIMIT_NONE)
		snprintf(text, sizeof(text), "%lld", (long long)s->value);
	else
		strcpy(text, strstr(s->file, ".max") ? "max" : "-1");
	r = write_value(dir, s->file, text);
	return r < 0
		   ? error_errno(e, r, "%s: cannot write %s to %s/%s", s->field, text, dir, s->file)
		   : 0;
}

static int set_cpu_max(const char *dir, const struct config_limits *l, struct error *e)
{
	char text[64];
	int r;

	if ((l->cpu_quota <= 0 && l->cpu_period <= 0) || !has(dir, "cpu.max"))
		return 0;
	if (l->cpu_quota > 0 && l->cpu_quota != LIMIT_NONE)
		snprintf(text, sizeof(text), "%lld %lld", (long long)l->cpu_quota,
			 (long long)(l->cpu_period > 0 ? l->cpu_period : 100000));
	else
		snprintf(text, sizeof(text), "max %lld",
			 (long long)(l->cpu_period > 0 ? l->cpu_period : 100000));
	r = write_value(dir, "cpu.max", text);
	return r < 0 ? error_errno(e, r, "linux.resources.cpu: cannot write %s to %s/cpu.max", text,
				   dir)
		     : 0;
}

static int set_text(const char *dir, const char *file, const char *value, struct error *e)
{
	int r;

	if (!value || !*value || !has(dir, file))
		return 0;
	r = write_value(dir, file, value);
	return r < 0 ? error_errno(e, r, "linux.resources.cpu: cannot write %s to %s/%s", value,
				   dir, file)
		     : 0;
}

static int64_t positive(int64_t v)
{
	return v > 0 ? v : -1;
}

/* cgroup v2's weight for v1's shares, as the OCI specification maps it. */
static int64_t shares_to_weight(int64_t shares)
{
	return shares <= 0 ? -1 : 1 + (max(shares, (int64_t)2) - 2) * 9999 / 262142;
}

static int64_t swap_alone(const struct config_limits *l)
{
	if (l->swap == LIMIT_NONE)
		return LIMIT_NONE;
	return l->swap > 0 && l->memory > 0 ? l->swap - l->memory : -1;
}

/* v1 wants memory <= memory and swap at every moment: which goes first depends on where they were. */
static int set_v1_memory(const char *dir, const struct config_limits *l, struct error *e)
{
	const struct setting memory = {"memory.limit_in_bytes", "linux.resources.memory.limit",
				       positive(l->memory)};
	const struct setting both = {"memory.memsw.limit_in_bytes", "linux.resources.memory.swap",
				     positive(l->swap)};
	struct error first = {0};
	int r = set_number(dir, &memory, &first);

	error_clear(&first);
	if (r == 0)
		return set_number(dir, &both, e);
	r = set_number(dir, &both, e);
	return r == 0 ? set_number(dir, &memory, e) : r;
}

static int set_limits(const char *dir, const struct config_limits *l, struct error *e)
{
	const struct setting settings[] = {
	    {"memory.soft_limit_in_bytes", "linux.resources.memory.reservation",
	     positive(l->reservation)},
	    {"memory.max", "linux.resources.memory.limit", positive(l->memory)},
	    {"memory.swap.max", "linux.resources.memory.swap", swap_alone(l)},
	    {"memory.low", "linux.resources.memory.reservation", positive(l->reservation)},
	    {"pids.max", "linux.resources.pids.limit", positive(l->pids)},
	    {"cpu.shares", "linux.resources.cpu.shares", positive(l->cpu_shares)},
	    {"cpu.weight", "linux.resources.cpu.shares", shares_to_weight(l->cpu_shares)},
	    {"cpu.cfs_period_us", "linux.resources.cpu.period", positive(l->cpu_period)},
	    {"cpu.cfs_quota_us", "linux.resources.cpu.quota", positive(l->cpu_quota)},
	};
	int r = set_v1_memory(dir, l, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(settings); i++)
		r = set_number(dir, &settings[i], e);
	if (r == 0)
		r = set_cpu_max(dir, l, e);
	if (r == 0)
		r = set_text(dir, "cpuset.cpus", l->cpus, e);
	return r == 0 ? set_text(dir, "cpuset.mems", l->mems, e) : r;
}

int cgroup_update(const json_t *dirs, const struct config_limits *limits, struct error *e)
{
	const json_t *v;
	size_t i;
	int r = 0;

	json_array_foreach(dirs, i, v) if (r == 0) r = set_limits(json_string_value(v), limits, e);
	return r;
}

int cgroup_open(const json_t *dirs, struct cgroup *cg, struct error *e)
{
	const json_t *v;
	size_t i;

	cg->n = 0;
	json_array_foreach(dirs, i, v)
	{
		SCOPED_FREE char *path = xasprintf("%s/cgroup.procs", json_string_value(v));
		int fd = cg->n < CGROUP_MAX ? host_openat(AT_FDCWD, path, O_WRONLY, 0) : -E2BIG;

		if (fd == -ENOENT)
			continue; /* this hierarchy was not usable at create */
		if (fd < 0) {
			cgroup_close(cg);
			return error_errno(e, fd, "cannot open %s", path);
		}
		cg->procs[cg->n++] = fd;
	}
	return 0;
}

/* Does any limit speak of what this hierarchy controls? Then failing to make it is an error. */
static bool needed(const char *dir, const struct config_limits *l)
{
	return (strstr(dir, "/memory/") && l->memory > 0) || (strstr(dir, "/pids/") && l->pids > 0);
}

int cgroup_make(const json_t *dirs, const struct config_limits *limits, struct cgroup *cg,
		struct error *e)
{
	const json_t *v;
	size_t i;

	cg->n = 0;
	json_array_foreach(dirs, i, v)
	{
		const char *dir = json_string_value(v);
		int r = make_dir(dir, e);

		if (r < 0 && !needed(dir, limits)) {
			log_debug("%s", e->text);
			error_clear(e);
			continue;
		}
		if (r == 0)
			r = set_limits(dir, limits, e);
		if (r < 0)
			return r;
	}
	return cgroup_open(dirs, cg, e);
}

static int join(const struct cgroup *cg, int pid, struct error *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < cg->n; i++) {
		ssize_t r = host_write(cg->procs[i], text, strlen(text));

		if (r < 0)
			return error_errno(e, (int)r, "cannot move process %d into the cgroup",
					   pid);
	}
	return 0;
}

int cgroup_join_tree(const struct cgroup *cg, int pid, struct error *e)
{
	SCOPED_FREE char *text = NULL;
	char path[64], *save;
	int r;

	if (cg->n == 0)
		return 0;
	r = join(cg, pid, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	r = host_read_file(AT_FDCWD, path, 65536, &text);
	if (r < 0)
		return error_errno(e, r, "cannot read %s", path);
	for (char *p = strtok_r(text, " ", &save); r == 0 && p; p = strtok_r(NULL, " ", &save))
		if (*p >= '0' && *p <= '9')
			r = join(cg, atoi(p), e);
	return r;
}

void cgroup_close(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		host_close(cg->procs[i]);
	cg->n = 0;
}

static bool kill_members(const char *dir)
{
	SCOPED_FREE char *path = xasprintf("%s/cgroup.procs", dir);
	SCOPED_FREE char *text = NULL;
	char *save, *line;
	bool any = false;

	if (host_read_file(AT_FDCWD, path, 16u << 20, &text) < 0)
		return false;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int pid = atoi(line);

		if (pid > 1 && pid != getpid())
			kill(pid, SIGKILL);
		any = true;
	}
	return any;
}

/* Sub-groups, which the container's own tools may have made, first. */
static void remove_children(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		SCOPED_FREE char *child = NULL;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = xasprintf("%s/%s", dir, entry->d_name);
		kill_members(child);
		remove_children(child);
		rmdir(child);
	}
	if (d)
		closedir(d);
}

static int remove_dir(const char *dir)
{
	struct timespec pause = {.tv_nsec = 200000};

	for (int i = 0; i < 200; i++) {
		if (rmdir(dir) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY && errno != ENOTEMPTY)
			return -errno;
		kill_members(dir);
		remove_children(dir);
		nanosleep(&pause, NULL);
		pause.tv_nsec = min(pause.tv_nsec * 2, 50000000L);
	}
	return -EBUSY;
}

int cgroup_remove(const json_t *dirs, struct error *e)
{
	const json_t *v;
	size_t i;
	int first = 0;

	json_array_foreach(dirs, i, v)
	{
		int r = remove_dir(json_string_value(v));

		if (r < 0 && first == 0)
			first =
			    error_errno(e, r, "cannot remove the cgroup %s", json_string_value(v));
	}
	return first;
}

int cgroup_freeze(const json_t *dirs, bool freeze, struct error *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(dirs, i, v)
	{
		const char *dir = json_string_value(v);
		int r = -ENOENT;

		if (has(dir, "freezer.state"))
			r = write_value(dir, "freezer.state", freeze ? "FROZEN" : "THAWED");
		else if (is_v2(dir) && has(dir, "cgroup.freeze"))
			r = write_value(dir, "cgroup.freeze", freeze ? "1" : "0");
		if (r == 0)
			return 0;
		if (r != -ENOENT)
			return error_errno(e, r, "cannot write the freezer of %s", dir);
	}
	return error_set(e, -ENOTSUP, "this host has no cgroup freezer for the container");
}
