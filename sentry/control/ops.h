/* The handlers of the control protocol, and the processes that they started. */
#ifndef GARRISON_SENTRY_CONTROL_OPS_H
#define GARRISON_SENTRY_CONTROL_OPS_H

#include "sentry/control/request.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/lifecycle.h"

/* 0 or -errno with rq->error set. */
typedef int op_fn(struct request *rq);
op_fn op_create, op_start, op_exec, op_wait, op_signal, op_ps, op_resize, op_state, op_update,
    op_debug, op_destroy, op_shutdown;

/*
 * A process that the runtime started: a container's init or an exec session. It
 * is kept until its container is destroyed, so that its status can be asked for.
 */
struct job {
	struct list node;
	struct container *container;
	struct process_spec *spec; /* owned; NULL once started */
	struct process *process;   /* owned; NULL until started */
	struct tty *tty;	   /* owned; NULL without terminal */
	bool is_init, exited;
	bool below_init; /* started below an init without a program */
	int pid, status;
	struct waiter waiter;	   /* on process->pidfd_wq */
	struct waiter stop_waiter; /* on its parent's wait_wq, if it has one */
	struct list waits;	   /* struct pending_wait.node */
};

struct process_spec;

/* A job that is not started yet, but can be waited for; takes the spec. Owned by the list. */
struct job *job_new(struct container *c, struct process_spec *spec, bool is_init);
/* Starts it. On failure the job stays as it was, but its spec's fds may be gone. */
int job_start(struct request *rq, struct job *job) MUST_CHECK;
void job_free(struct job *job);
/* Sends {"exited":true,"status":N} on the connection when the job has ended, perhaps at once.
 * owner: the job is killed if the connection hangs up before. */
void job_wait(struct job *job, struct connection *conn, bool owner);
/* By pid in the container; pid 0 is init. NULL: none. */
struct job *job_find(struct container *c, int pid);
/* Notes who exited, answers their waits; ends the server with the last container. */
void jobs_reap(void);
/* A connection closed: its waits are void, what it owned is killed. */
void jobs_hangup(struct connection *conn);
/* All jobs of a container are forgotten; they must have exited or be of no interest. */
void jobs_forget(struct container *c);

#endif
