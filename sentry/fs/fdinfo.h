/*
 * What /proc/PID/fdinfo/N shows of a kind of file beyond pos, flags, mnt_id and
 * ino. A kind names its function once, when it makes its first file.
 */
#ifndef GARRISON_SENTRY_FS_FDINFO_H
#define GARRISON_SENTRY_FS_FDINFO_H

#include "sentry/fs/file.h"

/* Writes whole lines, at most size bytes with the NUL, as snprintf does; gives their length. */
typedef size_t fdinfo_fn(struct file *f, char *buf, size_t size);

/* May be called again with the same pair. Both are borrowed for ever. */
void fdinfo_register(const struct file_ops *ops, fdinfo_fn *show);
/* 0 if this kind of file has nothing to say. */
size_t fdinfo_show(struct file *f, char *buf, size_t size);

#endif
