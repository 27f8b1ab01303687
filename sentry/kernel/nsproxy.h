/*
 * The namespaces of a task, but for its user namespace (in its credentials), its
 * mount namespace (in its fs_context) and its own pid namespace (its process's).
 * A set is shared by forks and never changes once published: unshare(2) and
 * setns(2) make another.
 */
#ifndef GARRISON_SENTRY_KERNEL_NSPROXY_H
#define GARRISON_SENTRY_KERNEL_NSPROXY_H

#include "sentry/core/ns.h"
#include "sentry/kernel/task.h"

struct ipc_namespace;
struct net_namespace;

struct uts_ns {
	struct ns_common ns;
	struct mutex lock; /* RANK_LEAF */
	/* guarded by lock */
	char hostname[65], domainname[65];
};

/* The container's cgroup is the only one, and shown as "/" in every namespace. */
struct cgroup_ns {
	struct ns_common ns;
};

/* What is added to the sandbox's clocks (time_namespaces(7)). */
struct time_ns {
	struct ns_common ns;
	struct mutex lock; /* RANK_LEAF: against the first task's coming in */
	/* ns; written under lock while nobody is in it */
	int64_t monotonic, boottime;
	bool entered;
};

struct nsproxy {
	struct refcount ref;
	/* immutable; owned */
	struct uts_ns *uts;
	struct ipc_namespace *ipc;
	struct net_namespace *net;
	struct cgroup_ns *cgroup;
	struct time_ns *time, *time_for_children;
};

/* The first set of a container. */
struct nsproxy *nsproxy_new(const char *hostname, const char *domainname);
struct nsproxy *nsproxy_get(struct nsproxy *p);
void nsproxy_put(struct nsproxy *p);
/* Of another task: owned, or NULL once it has exited. */
struct nsproxy *task_get_namespaces(struct task *t);
/* Replaces the calling task's set; takes the reference. NULL: it exits. */
void task_set_namespaces(struct task *t, struct nsproxy *p);

/* A copy with new namespaces for the CLONE_NEW* in flags, owned by `owner`. -ENOSPC. */
int nsproxy_unshare(struct nsproxy *old, uint64_t flags, struct user_ns *owner,
		    struct nsproxy **out) MUST_CHECK;
/* The set of a child that does not share its parent's memory for good: it enters the time
 * namespace meant for children. Owned. */
struct nsproxy *nsproxy_for_child(struct nsproxy *p);
/* A copy that has `ns` in its place (setns). */
struct nsproxy *nsproxy_with(struct nsproxy *old, struct ns_common *ns);

/* --- unshare.c: what clone(2), unshare(2) and setns(2) have in common ------------------------- */

/* t's credentials, in a new user namespace if CLONE_NEWUSER is in flags; owned. -EPERM, -ENOSPC. */
int cred_for_namespaces(struct task *t, uint64_t flags, struct cred **out) MUST_CHECK;
/* t's sets with new namespaces for flags, which cred owns; both owned. -EPERM, -EINVAL, -ENOSPC. */
int namespaces_unshare(struct task *t, uint64_t flags, const struct cred *cred,
		       struct nsproxy **set, struct pid_ns **pids) MUST_CHECK;

/* --- nsfs.c: namespaces as files ------------------------------------------------------------ */

/* The path of a namespace's file, which keeps it alive; owned. */
void nsfs_path(struct ns_common *ns, struct path *out);
/* The namespace of such a file, borrowed from it; NULL: it is another file. */
struct ns_common *nsfs_namespace(const struct file *f);

#endif
