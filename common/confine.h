/*
 * How our processes give up what they do not need, for good, before they read
 * a byte that a guest may have written.
 *
 * The sentry confines itself in two stages. Stage one takes away the world:
 * user, mount, net, ipc, uts and cgroup namespaces (the runtime gave it a pid
 * namespace), an empty read-only root, an unprivileged uid, no capability in
 * any set, no new privileges, no fds but those it was given. Stubs are started
 * after it and inherit all that. Stage two is the seccomp allow-list, which
 * the stubs must not inherit (they have a narrower one of their own).
 *
 * The gofer keeps the file capabilities of root and has all the rest taken away
 * in one step; its exports are fds opened before.
 *
 * All functions are called while the process has one thread. 0 or -errno;
 * *what names the step that failed. After a failure the process must end.
 */
#ifndef GARRISON_COMMON_CONFINE_H
#define GARRISON_COMMON_CONFINE_H

#include "common/base.h"

#define CONFINED_UID 65534

/* Closes every fd but 0, 1, 2 and those listed. */
MUST_CHECK int confine_fds(const int *keep, size_t n);

MUST_CHECK int confine_sentry_world(const char **what);
MUST_CHECK int confine_sentry_calls(bool ptrace_platform, const char **what);
/* Stage two alone; confine_gofer includes it. */
MUST_CHECK int confine_gofer_calls(const char **what);
MUST_CHECK int confine_gofer(const char **what);

#endif
