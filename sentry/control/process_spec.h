/* The "process" object of create and exec: who runs what, where, with which limits. */
#ifndef GARRISON_SENTRY_CONTROL_PROCESS_SPEC_H
#define GARRISON_SENTRY_CONTROL_PROCESS_SPEC_H

#include <linux/filter.h>

#include "sentry/control/request.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/task.h"

struct process_spec {
	json_t *body;	     /* owned: the strings below point into it */
	char **argv, **envp; /* arrays owned */
	const char *cwd;
	struct cred *cred; /* owned */
	struct rlimit64 limits[16];
	uint32_t umask;
	int oom_score_adj;
	struct sock_filter *seccomp; /* owned, or NULL */
	unsigned int seccomp_len;    /* instructions */
	int stdio[3];		     /* owned host fds, -1: none */
	int tty;		     /* owned host fd of a terminal, or -1 */
};

/* Reads member "process" and the fds of the request: "stdio" [i,i,i] or "tty" i. */
int process_spec_read(struct request *rq, struct container *c,
		      struct process_spec **out) MUST_CHECK;
void process_spec_free(struct process_spec *spec);

/*
 * The file that argv[0] denotes: itself if it has a slash, else the first executable one in
 * PATH. -ENOENT, -EACCES with an error text as runc has it. *path is owned by the caller.
 */
int process_spec_find_program(struct request *rq, struct container *c,
			      const struct process_spec *spec, char **path) MUST_CHECK;

#endif
