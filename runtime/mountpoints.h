/* Mount points that a read-only root lacks: made on the host, as other runtimes do. */
#ifndef GARRISON_RUNTIME_MOUNTPOINTS_H
#define GARRISON_RUNTIME_MOUNTPOINTS_H

#include "runtime/config.h"

/*
 * The sentry makes missing mount points itself, but not through an export that is read-only.
 * `root` is the directory; the paths are resolved inside it (links cannot lead out). What lies
 * in another mount of the configuration is left to the sentry.
 */
MUST_CHECK int mountpoints_make(int root, const struct config *c, struct error *e);

#endif
