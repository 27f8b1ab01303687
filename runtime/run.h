/* What run and do share. */
#ifndef GARRISON_RUNTIME_RUN_H
#define GARRISON_RUNTIME_RUN_H

#include "runtime/launch.h"

/* Creates, starts and waits: the container's exit code, or -errno. Nothing is left of it. */
int run_foreground(struct launch *l, const char *id, const char *pid_file, struct error *e);

#endif
