#ifndef GARRISON_SENTRY_FS_PATH_FILE_H
#define GARRISON_SENTRY_FS_PATH_FILE_H

#include "sentry/fs/path.h"

struct file;
struct cred;

/* An owned O_PATH file. */
struct file *path_file_new(const struct path *path, const struct cred *cred, int flags);

#endif
