/* Names of files as /proc shows them. */
#ifndef GARRISON_SENTRY_KERNEL_PROC_NAMES_H
#define GARRISON_SENTRY_KERNEL_PROC_NAMES_H

#include "sentry/fs/file.h"

/* Of an open file: its path below root, or "pipe:[INO]", "anon_inode:NAME", ... In maps (as_map)
 * nameless memory is "/NAME (deleted)". Length without NUL, or -ENAMETOOLONG. */
ssize_t proc_file_name(struct file *f, const struct path *root, bool as_map, char *buf,
		       size_t size) MUST_CHECK;
/* For readlink ops: a path as the caller sees it, not NUL-terminated. */
ssize_t proc_readlink_path(const struct path *p, char *buf, size_t size) MUST_CHECK;
/* What a magic link to f leads to: owned. -ENXIO: nothing that can be opened again. */
int proc_follow_file(struct file *f, struct path *out) MUST_CHECK;

#endif
