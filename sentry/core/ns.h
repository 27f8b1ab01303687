/*
 * What all namespaces have in common: a reference count, a number that
 * /proc/PID/ns shows, and the user namespace that owns them: whose capabilities
 * count for their objects (namespaces(7), "user namespace ownership").
 */
#ifndef GARRISON_SENTRY_CORE_NS_H
#define GARRISON_SENTRY_CORE_NS_H

#include <sched.h>

#include "common/refcount.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define CLONE_NAMESPACES                                                                           \
	((uint64_t)(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET |      \
		    CLONE_NEWCGROUP | CLONE_NEWUSER | CLONE_NEWTIME))

struct user_ns;
struct ns_common;

/* Numbers of the limits in /proc/sys/user. */
enum ns_count {
	NS_COUNT_USER,
	NS_COUNT_PID,
	NS_COUNT_UTS,
	NS_COUNT_IPC,
	NS_COUNT_NET,
	NS_COUNT_MNT,
	NS_COUNT_CGROUP,
	NS_COUNT_TIME,
	NS_COUNTS,
};

struct ns_kind {
	const char *name;   /* as in the links of /proc/PID/ns */
	unsigned long flag; /* CLONE_NEW* */
	enum ns_count count;
	/* The last reference went: free the object that embeds the base (after ns_fini). Runs
	 * under no lock but, for pid namespaces, tasklist. */
	void (*release)(struct ns_common *ns);
};

struct ns_common {
	struct refcount ref;
	const struct ns_kind *kind; /* immutable */
	uint64_t ino;		    /* immutable, unique in the sentry */
	struct user_ns *owner;	    /* immutable; owned. Of a user namespace: its parent */
	bool counted;		    /* immutable: against the limits of /proc/sys/user */
};

/* A namespace that the sentry makes by itself, outside of every limit. */
void ns_init(struct ns_common *ns, const struct ns_kind *kind, struct user_ns *owner);
/* The same for a guest: -ENOSPC over a limit of /proc/sys/user, and then *ns is as it was. */
int ns_init_counted(struct ns_common *ns, const struct ns_kind *kind,
		    struct user_ns *owner) MUST_CHECK;
void ns_fini(struct ns_common *ns);

static inline void ns_get(struct ns_common *ns)
{
	ref_get(&ns->ref);
}

static inline void ns_put(struct ns_common *ns)
{
	if (ref_put(&ns->ref))
		ns->kind->release(ns);
}

#endif
