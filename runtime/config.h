/*
 * config.json of an OCI bundle, checked and brought into the form in which the
 * rest of the runtime and the sentry want it. Everything is checked before
 * anything is done; what we cannot do is refused by name, what has no meaning on
 * our kernel (AppArmor, SELinux of the host) is accepted.
 */
#ifndef GARRISON_RUNTIME_CONFIG_H
#define GARRISON_RUNTIME_CONFIG_H

#include <jansson.h>

#include "runtime/error.h"

struct config_mount {
	const char *type, *source, *destination; /* in the JSON; source NULL: none */
	char *data;				 /* owned: options for the file system */
	unsigned long flags, propagation;
	bool bind;
};

struct config_process {
	json_t *request; /* owned: the "process" object for the sentry */
	const char *cwd;
	bool terminal;
	unsigned short rows, cols; /* 0: not given */
};

#define LIMIT_NONE INT64_MAX /* for an update: take the limit off */

struct config_limits { /* linux.resources; -1: not given */
	int64_t memory, swap, reservation, pids, cpu_shares, cpu_quota, cpu_period;
	const char *cpus, *mems;
};

struct config {
	json_t *json;  /* owned */
	json_t *given; /* owned, or NULL; see config_from_json */
	char *file;    /* owned: its path, for errors */
	char *bundle;  /* owned, absolute */
	char *rootfs;  /* owned, absolute */
	bool readonly;
	const char *hostname, *domainname;
	struct config_process process;
	bool has_process;
	struct config_mount *mounts;
	size_t nmounts;
	json_t *devices; /* owned: as the sentry wants them */
	const json_t *masked, *read_only_paths, *hooks, *annotations, *sysctl; /* or NULL */
	const char *cgroups_path;					       /* or NULL */
	struct config_limits limits;
	bool new_net, new_cgroup; /* a namespace entry is there */
	const char *net_path;	  /* to join, or NULL */
};

/* Reads and checks BUNDLE/config.json (or config_file if not NULL). */
MUST_CHECK int config_load(const char *bundle, const char *config_file, struct config *c,
			   struct error *e);
/* Checks a configuration that is there already (takes json and given). given, or NULL: an object
 * that names in the user's words what he gave for a field ("root.path": "--rootfs /x"). */
MUST_CHECK int config_from_json(json_t *json, const char *name, json_t *given, const char *bundle,
				struct config *c, struct error *e);
/* Where a field stands, for errors: "FILE: FIELD", or the user's own words. Owned. */
char *config_where(const struct config *c, const char *field);
void config_free(struct config *c);

/* A "process" object alone (exec --process). name: where it stands, "" for the top. */
MUST_CHECK int config_process_parse(const json_t *o, const char *file, const char *name,
				    struct config_process *p, struct error *e);
void config_process_free(struct config_process *p);

/* A "linux.resources" object alone (update). */
MUST_CHECK int config_resources_parse(const json_t *o, const char *file, struct config_limits *l,
				      struct error *e);

/* config_mounts.c */
struct source;
MUST_CHECK int config_mounts_parse(const struct source *s, struct config *c);
struct place;
/* config_seccomp.c: linux.seccomp, compiled, becomes "seccomp" of the process for the sentry */
MUST_CHECK int config_seccomp_parse(const struct source *s, const struct place *linux_place,
				    json_t *process);
/* config_hooks.c: the shape of "hooks" (or NULL) */
MUST_CHECK int config_hooks_check(const struct source *s, const json_t *hooks);

/* The bit of a capability by its OCI name ("CAP_CHOWN"), or 0. */
uint64_t config_cap_bit(const char *name);
const char *config_cap_name(int cap); /* NULL behind the last */

#endif
