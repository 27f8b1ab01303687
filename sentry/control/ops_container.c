/*
 * create, start, state, destroy, debug, shutdown.
 *
 * create: {id, hostname, domainname, cgroup, bound (capability bits), memoryLimit,
 * pidsLimit, ncpus, terminal, init (the process runs below one), root: {export, source, readonly, overlay, shared},
 * mounts: [{type, source, destination, data, flags, propagation, export, shared, file}],
 * sysctl: {name: value}, devices: [{path, mode, major, minor, uid, gid}], masked: [], readonly: [], process,
 * stdio | tty}. Numbers under "export", "stdio" and "tty" index the message's fds.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/control/control.h"
#include "sentry/control/ops.h"
#include "sentry/control/process_spec.h"

static void read_mount(struct request *rq, const json_t *o, struct container_mount *m)
{
	m->type = json_get_string(o, "type", "");
	m->source = json_get_string(o, "source", "none");
	m->destination = json_get_string(o, "destination", "/");
	m->data = json_get_string(o, "data", "");
	m->flags = (unsigned long)json_get_int(o, "flags", 0);
	m->propagation = (unsigned long)json_get_int(o, "propagation", 0);
	m->export_fd = request_take_fd(rq, o, "export");
	m->shared = json_get_bool(o, "shared");
	m->is_file = json_get_bool(o, "file");
}

static void read_mounts(struct request *rq, struct container_config *config)
{
	const json_t *array = json_object_get(rq->body, "mounts");

	config->nmounts = json_array_size(array);
	config->mounts = xmalloc((config->nmounts + 1) * sizeof(*config->mounts));
	for (size_t i = 0; i < config->nmounts; i++)
		read_mount(rq, json_array_get(array, i), &config->mounts[i]);
}

static struct container_device *read_devices(struct request *rq, struct container_config *config)
{
	const json_t *array = json_object_get(rq->body, "devices"), *o;
	struct container_device *list = xmalloc((json_array_size(array) + 1) * sizeof(*list));
	size_t i;

	json_array_foreach(array, i, o)
	{
		list[i] = (struct container_device){
		    .path = json_get_string(o, "path", "/dev/null"),
		    .mode = (uint32_t)json_get_int(o, "mode", 0),
		    .rdev = makedev((unsigned)json_get_int(o, "major", 0),
				    (unsigned)json_get_int(o, "minor", 0)),
		    .uid = (uint32_t)json_get_int(o, "uid", 0),
		    .gid = (uint32_t)json_get_int(o, "gid", 0),
		};
	}
	config->devices = list;
	config->ndevices = json_array_size(array);
	return list;
}

static struct container_sysctl *read_sysctls(struct request *rq, struct container_config *config)
{
	json_t *all = json_object_get(rq->body, "sysctl"), *v;
	struct container_sysctl *list = xmalloc((json_object_size(all) + 1) * sizeof(*list));
	const char *key;

	json_object_foreach(all, key, v) list[config->nsysctls++] =
	    (struct container_sysctl){key, json_string_value(v)};
	config->sysctls = list;
	return list;
}

static void read_config(struct request *rq, struct container_config *config)
{
	const json_t *root = json_object_get(rq->body, "root");

	*config = (struct container_config){
	    .id = json_get_string(rq->body, "id", ""),
	    .hostname = json_get_string(rq->body, "hostname", ""),
	    .domainname = json_get_string(rq->body, "domainname", "(none)"),
	    .cgroup_path = json_get_string(rq->body, "cgroup", "/"),
	    .cap_bound = (capset)json_get_int(rq->body, "bound", 0) & CAPSET_ALL,
	    .memory_limit = (uint64_t)json_get_int(rq->body, "memoryLimit", 0),
	    .pids_limit = (uint64_t)json_get_int(rq->body, "pidsLimit", 0),
	    .ncpus = (unsigned)json_get_int(rq->body, "ncpus", 1),
	    .root_fd = request_take_fd(rq, root, "export"),
	    .root_name = json_get_string(root, "source", "rootfs"),
	    .root_readonly = json_get_bool(root, "readonly"),
	    .root_overlay = json_get_bool(root, "overlay"),
	    .root_shared = json_get_bool(root, "shared"),
	    .terminal = json_get_bool(rq->body, "terminal"),
	    .cwd = json_get_string(json_object_get(rq->body, "process"), "cwd", "/"),
	};
	read_mounts(rq, config);
}

static void close_exports(struct container_config *config)
{
	if (config->root_fd >= 0)
		host_close(config->root_fd);
	for (size_t i = 0; i < config->nmounts; i++)
		if (config->mounts[i].export_fd >= 0)
			host_close(config->mounts[i].export_fd);
	free(config->mounts);
}

static int build_container(struct request *rq, struct container **out)
{
	struct container_config config;
	SCOPED_FREE char *error = NULL;
	int r;

	read_config(rq, &config);
	{
		UNUSED SCOPED_FREE struct container_device *devices = read_devices(rq, &config);
		UNUSED SCOPED_FREE struct container_sysctl *sysctls = read_sysctls(rq, &config);
		SCOPED_FREE char **masked = json_get_strings(rq->body, "masked");
		SCOPED_FREE char **readonly = json_get_strings(rq->body, "readonly");

		config.masked = masked;
		config.readonly = readonly;
		r = container_new(&config, out, &error);
	}
	close_exports(&config);
	return r < 0 ? request_fail(rq, r, "%s", error ? error : strerror(-r)) : 0;
}

int op_create(struct request *rq)
{
	struct process_spec *spec;
	struct container *c;
	int r;

	if (container_find(json_get_string(rq->body, "id", "")))
		return request_fail(rq, -EEXIST, "container exists");
	r = build_container(rq, &c);
	if (r < 0)
		return r;
	r = process_spec_read(rq, c, &spec);
	if (r == 0) {
		SCOPED_FREE char *path = NULL;

		r = process_spec_find_program(rq, c, spec, &path);
		if (r < 0)
			process_spec_free(spec);
	}
	if (r < 0) {
		container_free(c);
		return r;
	}
	job_new(c, spec, true)->below_init = json_get_bool(rq->body, "init");
	return 0;
}

static int find(struct request *rq, struct container **c)
{
	*c = container_find(json_get_string(rq->body, "id", ""));
	return *c ? 0 : request_fail(rq, -ENOENT, "container does not exist");
}

int op_start(struct request *rq)
{
	struct container *c;
	struct job *job;
	int r = find(rq, &c);

	if (r < 0)
		return r;
	job = job_find(c, 0);
	if (!job || !job->spec)
		return request_fail(rq, -EINVAL,
				    "cannot start a container that is running or has stopped");
	r = job_start(rq, job);
	if (r == 0)
		json_object_set_new(rq->reply, "pid", json_integer(job->pid));
	return r;
}

int op_state(struct request *rq)
{
	struct container *c;
	struct job *job;
	int r = find(rq, &c);

	if (r < 0)
		return r;
	job = job_find(c, 0);
	json_object_set_new(rq->reply, "status",
			    json_string(!job || job->exited ? "stopped"
					: job->process	    ? "running"
							    : "created"));
	return 0;
}

/* Only what is shown: the host's cgroups hold the limits. */
int op_update(struct request *rq)
{
	struct container *c;
	int r = find(rq, &c);

	if (r < 0)
		return r;
	c->memory_limit = (uint64_t)json_get_int(rq->body, "memoryLimit", (int64_t)c->memory_limit);
	c->pids_limit = (uint64_t)json_get_int(rq->body, "pidsLimit", (int64_t)c->pids_limit);
	return 0;
}

int op_destroy(struct request *rq)
{
	struct container *c;
	int r = find(rq, &c);

	if (r < 0)
		return r;
	if (c == container_first()) {
		control_stop();
		return 0;
	}
	container_kill(c, SIGKILL);
	jobs_reap();
	jobs_forget(c);
	container_free(c);
	return 0;
}

static char *(*debug_report)(struct container *c);

void control_set_debug_report(char *(*report)(struct container *c))
{
	debug_report = report;
}

int op_debug(struct request *rq)
{
	SCOPED_FREE char *text = NULL;
	struct container *c;
	int r = find(rq, &c);

	if (r < 0)
		return r;
	if (debug_report)
		text = debug_report(c);
	json_object_set_new(rq->reply, "text", json_string(text ? text : ""));
	return 0;
}

int op_shutdown(struct request *rq)
{
	control_stop();
	return 0;
}
