/*
 * Making a sandbox: cgroup, gofer, sentry, container; and its undoing. Used by
 * create, run and do.
 */
#ifndef GARRISON_RUNTIME_LAUNCH_H
#define GARRISON_RUNTIME_LAUNCH_H

#include "runtime/cgroup.h"
#include "runtime/config.h"
#include "runtime/console.h"
#include "runtime/state.h"

struct launch {
	const struct global_options *g;
	struct config *config;
	struct state state;
	struct cgroup cgroup;
	struct console console;
	int control;	 /* connection to the sentry, or -1 */
	bool foreground; /* logs may go to our stderr */
	bool overlay;	 /* keep writes to the root in memory */
	bool no_cgroup;
	bool init;  /* the process runs below an init of the sentry's, not as pid 1 */
	int status; /* of run_foreground: the wait status */
	unsigned short rows, cols;
};

/* Everything up to a created container: requests sent and answered, and one "wait" sent whose
 * answer comes on l->control. With `start` set it is started too (one round trip less). On
 * failure nothing is left. */
MUST_CHECK int launch_create(struct launch *l, const char *id, bool start, struct error *e);
/* Starts what launch_create made without `start`, over a connection of its own. */
MUST_CHECK int launch_start(struct state *st, struct error *e);
/* Starts the monitor (detached containers) and writes the pid file. */
MUST_CHECK int launch_monitor(struct launch *l, const char *pid_file, struct error *e);
/* Takes it all down: processes, cgroup, state. Errors are noted in *e, and it goes on. */
int launch_destroy(struct state *st, struct error *e);
void launch_free(struct launch *l);

MUST_CHECK int write_pid_file(const char *path, int pid, struct error *e);
/* 127 and 126 for what a shell would answer so, else `otherwise`. */
int exec_exit_code(int err, const char *text, int otherwise);

/* Engines find the container's network by its monitor: in which network namespace it shall be. */
struct monitor_network {
	bool fresh; /* a new one */
	int fd;	    /* an existing one; 0: ours */
};
/* monitor_start.c: a garrison-monitor that holds `conn`, on which the wait was requested. */
MUST_CHECK int monitor_start(const struct state *st, int conn, int pid, int tty,
			     const struct cgroup *cg, const struct monitor_network *net,
			     struct process_ref *out, struct error *e);
/* For a process that is its own monitor. */
MUST_CHECK int monitor_enter_network(const struct config *c, struct error *e);

#endif
