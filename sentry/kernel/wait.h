/* Waiting for children (kernel/wait.c). */
#ifndef GARRISON_SENTRY_KERNEL_WAIT_H
#define GARRISON_SENTRY_KERNEL_WAIT_H

#include "sentry/kernel/task.h"

enum wait_which { WAIT_FOR_ANY, WAIT_FOR_PID, WAIT_FOR_PGRP };

struct wait_request {
	enum wait_which which;
	int id;	     /* WAIT_FOR_PID, WAIT_FOR_PGRP */
	int options; /* WEXITED, WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT, __WALL, ... */
};

struct wait_result {
	int pid; /* as the waiter's pid namespace knows it; 0: WNOHANG and nothing to report */
	int uid;
	int code;   /* CLD_* */
	int status; /* the wait status of wait4 */
	struct rusage usage;
};

/* 0, -ECHILD or -ERESTARTSYS. */
int task_wait_child(struct task *t, const struct wait_request *req,
		    struct wait_result *out) MUST_CHECK;
/* Has it stopped since it was asked last, as its parent would learn? The signal, or 0. */
int process_take_stop(struct process *p);
/* si_status of waitid and SIGCHLD, from a wait status. */
int wait_status_value(int code, int status);

/* Usage of a process with its dead threads (not its children), or of one thread. */
void process_rusage_locked(struct process *p, struct rusage *u);
void task_rusage(struct task *t, struct rusage *u);
void rusage_add(struct rusage *to, const struct rusage *from);

#endif
