/*
 * A guest file over a host fd that the runtime gave us: the container's stdio.
 * Pipes, sockets and terminals are polled (core/hostpoll.h); regular files and
 * /dev/null are always ready. The fd's own file position is used and moved, so
 * that programs outside which share it go on where the guest stopped.
 *
 * The sentry must ignore SIGPIPE: writing yields -EPIPE.
 */
#ifndef GARRISON_SENTRY_FS_HOSTFILE_H
#define GARRISON_SENTRY_FS_HOSTFILE_H

#include "sentry/fs/file.h"

/* Takes host_fd on success. The access mode is that of host_fd. *out is owned. */
int hostfile_new(int host_fd, const struct cred *cred, struct file **out) MUST_CHECK;

#endif
