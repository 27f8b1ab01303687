/*
 * The lock of the process tree, and what may be done under it (kernel/pid.c,
 * task.c). Order: tasklist, then a sighand's lock.
 */
#ifndef GARRISON_SENTRY_KERNEL_TASKLIST_H
#define GARRISON_SENTRY_KERNEL_TASKLIST_H

#include "sentry/core/user_ns.h"
#include "sentry/kernel/task.h"

extern struct mutex tasklist; /* RANK_TASKLIST */

#define PID_MAX 32768
#define PID_NOBODY (PID_MAX + 1) /* a number that nobody has */
#define PID_NS_MAX_LEVEL 32	 /* below the container's */

/*
 * A number of the container and what goes by it: it is free when all four are NULL. Inside the
 * sentry everything goes by these numbers; who lives in a pid namespace below the container's has
 * one more on each level, and the border translates (pid_namespaces(7)).
 */
struct pid {
	int nr;
	struct task *task;	 /* borrowed: an exited task gives its number back */
	struct process *process; /* borrowed: a reaped process too */
	struct pgrp *pgrp;
	struct session *session;
	struct pid_ns *ns; /* the innermost that it has a number in; owned */
	int inner[];	   /* on the levels 1 to ns->level */
};

struct pid_ns {
	struct ns_common ns;
	struct pid_ns *parent; /* immutable; owned; NULL: the container's own */
	int level;	       /* immutable; 0: the container's own */
	/* tasklist */
	struct process *init; /* borrowed; NULL: none yet, or it is gone */
	bool over;	      /* its init ended: nobody comes in any more */
	int last, highest, used;
	struct pid *slots[PID_MAX + 1]; /* calloc'd: untouched parts cost nothing */
};

struct pid_ns *pid_ns_new(void); /* the container's */
/* One below `parent`. -ENOSPC. */
int pid_ns_unshare(struct pid_ns *parent, struct user_ns *owner, struct pid_ns **out) MUST_CHECK;
struct pid_ns *pid_ns_from(struct ns_common *ns); /* NULL: it is another kind */
static inline struct pid_ns *pid_ns_get(struct pid_ns *ns)
{
	ns_get(&ns->ns);
	return ns;
}
static inline void pid_ns_put(struct pid_ns *ns)
{
	if (ns)
		ns_put(&ns->ns);
}
/* Is ns the same as `top` or below it? */
bool pid_ns_is_below(const struct pid_ns *ns, const struct pid_ns *top);

/* All of these under tasklist. */
/*
 * Free numbers in ns and all above it; set_tid (innermost first, n of them): exactly these,
 * -EEXIST, -EINVAL where a namespace without init is not begun with 1. -EAGAIN when all are taken,
 * -ENOMEM when its init is gone. The entry stays reserved until pid_release finds it unused.
 */
struct pid *pid_alloc(struct pid_ns *ns, const int *set_tid, size_t n, int *err);
struct pid *pid_lookup(struct pid_ns *ns, int nr); /* NULL: nobody */
/* The first used number >= from, or NULL. */
struct pid *pid_next(struct pid_ns *ns, int from);
/* The number in ns; 0: it cannot be seen from there. */
int pid_nr_in(const struct pid *pid, const struct pid_ns *ns);
/* Frees the entry if nothing goes by this number any more. */
void pid_release(struct pid *pid);
int pid_last(struct pid_ns *ns); /* the number given out last (/proc/loadavg) */
void pid_set_last(struct pid_ns *ns, int nr);

/* The container's number `nr` as seen from ns; 0: not at all. */
int pid_show_locked(struct pid_ns *ns, int nr);
/* The same, taking tasklist where it is needed. */
int pid_show(struct pid_ns *ns, int nr);
/* The container's number of what ns calls nr; PID_NOBODY if that is nobody. */
int pid_take(struct pid_ns *ns, int nr);

/* The pid namespace that t lives in, borrowed from its process. */
static inline struct pid_ns *task_pids(const struct task *t)
{
	return t->process->pids;
}
static inline int task_show_pid(const struct task *t, int nr)
{
	return pid_show(task_pids(t), nr);
}
static inline int task_take_pid(const struct task *t, int nr)
{
	return pid_take(task_pids(t), nr);
}

#endif
