/*
 * A container in the sentry: its pid namespace, mounts, hostname, zygote. A
 * sandbox has one or (in a pod) several. Containers are made and destroyed by
 * the control thread only; a container outlives its tasks.
 */
#ifndef GARRISON_SENTRY_KERNEL_CONTAINER_H
#define GARRISON_SENTRY_KERNEL_CONTAINER_H

#include "common/list.h"
#include "sentry/kernel/loadavg.h"
#include "sentry/kernel/task.h"

struct pid_ns;
struct ipc_namespace;

struct container {
	struct list node;
	char *id;
	struct pf_zygote *zygote;
	struct mount_ns *mounts;
	struct pid_ns *pids;   /* that of its first tasks, owned; its init is the container's */
	struct nsproxy *ns;    /* those of its first tasks; owned */
	capset cap_bound;      /* what root in the container may have */
	uint64_t boot_time;    /* CLOCK_REALTIME ns when it was created */
	uint64_t memory_limit; /* bytes, 0 none: shown in /proc/meminfo and sysinfo */
	unsigned int ncpus;
	uint64_t pids_limit;	/* tasks, 0 none */
	uint64_t sentry_memory; /* its share of the sentry's (core/account.h) */
	unsigned int domain;	/* its users' in core/account.h */
	char *cgroup_path;	/* shown in /proc/PID/cgroup */
	struct loadavg load;
};

/* The CPUs that the container sees, as sched_getaffinity(2) shows them: the first ncpus. */
static inline void container_cpu_mask(const struct container *c, uint64_t mask[16])
{
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int left = c->ncpus > 64 * i ? c->ncpus - 64 * i : 0;

		mask[i] = left >= 64 ? ~0ULL : (1ULL << left) - 1;
	}
}

/* What to mount where (config.json "mounts"); strings borrowed. */
struct container_mount {
	const char *type, *source, *destination;
	const char *data;	   /* options for the file system, or "" */
	unsigned long flags;	   /* MS_* */
	unsigned long propagation; /* MS_PRIVATE, ... or 0 */
	int export_fd;		   /* gofer channel of a bind mount; taken; -1: none */
	bool shared;		   /* others change what it exports */
	bool is_file;		   /* the export is a single file */
};

/* A device node to make (beyond the default ones). */
struct container_device {
	const char *path;
	uint32_t mode; /* with S_IFMT */
	uint64_t rdev;
	uint32_t uid, gid;
};

/* A file below /proc/sys to write. */
struct container_sysctl {
	const char *name, *value; /* "net.ipv4.ip_forward" */
};

struct container_config {
	const char *id, *hostname, *domainname, *cgroup_path;
	capset cap_bound;
	uint64_t memory_limit, pids_limit;
	unsigned int ncpus;
	int root_fd;	       /* gofer channel of the root; taken */
	const char *root_name; /* for the device column of /proc/mounts */
	bool root_readonly;
	bool root_overlay; /* a memory overlay above it; the export is read-only then */
	bool root_shared;  /* others change it: names are revalidated */
	bool terminal;	   /* make /dev/console */
	const char *cwd;   /* made if it is missing */
	struct container_mount *mounts;
	size_t nmounts;
	const struct container_device *devices;
	size_t ndevices;
	const struct container_sysctl *sysctls;
	size_t nsysctls;
	char *const *masked, *const *readonly; /* NULL-terminated lists of paths */
};

/* Builds it: mounts, /dev, namespaces, zygote. On failure *error (owned) says what failed. */
int container_new(struct container_config *config, struct container **out, char **error) MUST_CHECK;
/* Its tasks are gone. Takes it off the list and frees it. */
void container_free(struct container *c);
struct container *container_find(const char *id); /* borrowed, or NULL */
/* The host killed a stub process: its tasks, also those that sleep in the sentry, get SIGKILL. */
void container_stub_died(const struct pf_space *space);
struct container *container_first(void); /* the oldest, or NULL */

/* kernel/container_mounts.c: the mount namespace of a configuration. */
int container_build_mounts(struct container_config *config, struct ipc_namespace *ipc,
			   struct mount_ns **out, char **error) MUST_CHECK;

#endif
