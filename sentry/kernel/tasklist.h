/*
 * The lock of the process tree, and what may be done under it (kernel/pid.c,
 * task.c). Order: tasklist, then a sighand's lock.
 */
#ifndef GARRISON_SENTRY_KERNEL_TASKLIST_H
#define GARRISON_SENTRY_KERNEL_TASKLIST_H

#include "sentry/kernel/task.h"

extern struct mutex tasklist; /* RANK_TASKLIST */

#define PID_MAX 32768

/* A number of a pid namespace and what goes by it: it is free when all four are NULL. */
struct pid {
	int nr;
	struct task *task;	 /* borrowed: an exited task gives its number back */
	struct process *process; /* borrowed: a reaped process too */
	struct pgrp *pgrp;
	struct session *session;
};

struct pid_table *pid_table_new(void);
void pid_table_free(struct pid_table *t);

/* All of these under tasklist. */
/* A free number (set_tid > 0: exactly this one, -EEXIST); -EAGAIN when all are taken. The entry
 * stays reserved until pid_release finds it unused. */
struct pid *pid_alloc(struct pid_table *t, int set_tid, int *err);
struct pid *pid_lookup(struct pid_table *t, int nr); /* NULL: nobody */
/* The first used number >= from, or NULL. */
struct pid *pid_next(struct pid_table *t, int from);
/* Frees the entry if nothing goes by this number any more. */
void pid_release(struct pid_table *t, struct pid *pid);
int pid_last(struct pid_table *t); /* the number given out last (/proc/loadavg) */
void pid_set_last(struct pid_table *t, int nr);

#endif
