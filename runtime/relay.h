/* A container's process in the foreground: signals, terminal, and its exit status. */
#ifndef GARRISON_RUNTIME_RELAY_H
#define GARRISON_RUNTIME_RELAY_H

#include "runtime/console.h"
#include "runtime/error.h"

struct relay {
	int control; /* the wait request was sent on it */
	const char *id;
	int pid;		 /* in the container; 0: init */
	struct console *console; /* master: relayed to our fds 0 and 1; -1: none */
	uint64_t first_stop;	 /* private: when the first SIGINT, ... of a row came */
	int stops;
};

/* Blocks the signals that are to be passed on; call it before the process is started. */
void relay_prepare(void);
/* Until the process ends: its wait status. The sentry's death counts as SIGKILL. */
int relay_run(struct relay *r);
/* An exit code as shells have it. */
int relay_exit_code(int wait_status);

#endif
