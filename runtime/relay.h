/* A container's process in the foreground: signals, terminal, and its exit status. */
#ifndef GARRISON_RUNTIME_RELAY_H
#define GARRISON_RUNTIME_RELAY_H

#include "runtime/console.h"
#include "runtime/error.h"

struct relay {
	int control; /* the wait request was sent on it */
	const char *id;
	int pid;		 /* in the container; 0: init */
	bool job_control;	 /* as a native command: stop when it stops, and the like */
	struct console *console; /* master: relayed to our fds 0 and 1; -1: none */
	/* private */
	struct user_terminal user;
	uint64_t first_stop; /* when the first SIGINT, ... of a row came */
	int stops;
	char last; /* the last character that went to the terminal */
};

/* Blocks the signals that are to be passed on; call it before the process is started. */
void relay_prepare(bool job_control);
/* Until the process ends: its wait status. The sentry's death counts as SIGKILL. */
int relay_run(struct relay *r);
/* An exit code as shells have it. */
int relay_exit_code(int wait_status);
/* For job_control: SIGINT and SIGQUIT end us, too, if they ended it: a shell wants to know. */
void relay_die_alike(int wait_status);

#endif
