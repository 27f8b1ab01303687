/*
 * Control groups through the file system: v1, v2 and the hybrid of both. The
 * container's cgroup holds its monitor, its sentry and all stubs (children of the
 * sentry inherit it), so the host's limits and statistics are the container's.
 */
#ifndef GARRISON_RUNTIME_CGROUP_H
#define GARRISON_RUNTIME_CGROUP_H

#include <jansson.h>

#include "runtime/config.h"
#include "runtime/error.h"

#define CGROUP_MAX 24

struct cgroup {
	int procs[CGROUP_MAX]; /* open cgroup.procs files, to join with "0" */
	size_t n;
};

/*
 * The directories that `path` ("/docker/ID") means, one per hierarchy: an array of strings, to
 * be noted before cgroup_make makes them. Owned.
 */
MUST_CHECK int cgroup_dirs(const char *path, json_t **dirs, struct error *e);
/* Makes them, sets the limits, opens cgroup.procs. */
MUST_CHECK int cgroup_make(const json_t *dirs, const struct config_limits *limits,
			   struct cgroup *cg, struct error *e);
/* Other limits for existing ones; what is -1 stays. */
MUST_CHECK int cgroup_update(const json_t *dirs, const struct config_limits *limits,
			     struct error *e);
/* Opens cgroup.procs of existing ones. */
MUST_CHECK int cgroup_open(const json_t *dirs, struct cgroup *cg, struct error *e);
/* Moves a process there, and the children that it has. */
MUST_CHECK int cgroup_join_tree(const struct cgroup *cg, int pid, struct error *e);
void cgroup_close(struct cgroup *cg);
/* Kills what is left in them and removes them. */
MUST_CHECK int cgroup_remove(const json_t *dirs, struct error *e);
/* Freezes or thaws all processes in them. */
MUST_CHECK int cgroup_freeze(const json_t *dirs, bool freeze, struct error *e);

#endif
