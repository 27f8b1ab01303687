/* The options of do and exec about a process: what it is to be given beside its command. */
#ifndef GARRISON_RUNTIME_PROCESS_OPTIONS_H
#define GARRISON_RUNTIME_PROCESS_OPTIONS_H

#include <jansson.h>

#include "runtime/options.h"

struct process_options {
	bool tty, no_new_privs;
	const char *cwd, *user;
	json_t *env, *groups, *caps; /* arrays of strings, or NULL; owned */
};
extern const struct option_def process_options_table[];

/* Puts them, and the command (NULL or empty: stays), into a "process" object for the sentry. */
MUST_CHECK int process_options_apply(const struct process_options *o, char *const *argv,
				     json_t *request, struct error *e);
void process_options_free(struct process_options *o);

/* NAME=VALUE into an array of such strings, in the place of an earlier NAME. */
void env_set(json_t *env, const char *setting);

#endif
