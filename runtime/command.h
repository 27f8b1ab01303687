/* What all commands share: the global options, and the table of commands. */
#ifndef GARRISON_RUNTIME_COMMAND_H
#define GARRISON_RUNTIME_COMMAND_H

#include "runtime/options.h"

struct global_options {
	const char *root;      /* the state directory */
	const char *log;       /* file for error messages, or NULL */
	const char *debug_log; /* directory or file for the logs of all processes, or NULL */
	const char *platform;  /* "systrap" or "ptrace" */
	bool log_json, debug, strace;
	bool overlay_memory; /* writes to the root stay in memory */
	bool no_spin, no_confinement;
};

/* A command of garrison. fn: the exit code of the process, or -errno with *e set; argv[0] is the
 * command's name. */
struct command {
	struct command_line line;
	int (*fn)(const struct global_options *g, int argc, char **argv, struct error *e);
};

extern const struct command cmd_create, cmd_start, cmd_run, cmd_exec, cmd_state, cmd_list, cmd_ps,
    cmd_kill, cmd_delete, cmd_wait, cmd_spec, cmd_features, cmd_do, cmd_debug, cmd_pause,
    cmd_resume, cmd_update, cmd_events, cmd_checkpoint, cmd_restore;

/* A message on the log in the chosen format. */
void command_log(const struct global_options *g, const char *level, const char *text);

#define GARRISON_VERSION "0.1.0"
#define OCI_VERSION "1.0.2"
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126

#endif
