/* The (dirfd, path) pair of most file syscalls. */
#ifndef GARRISON_SENTRY_SYS_FS_AT_H
#define GARRISON_SENTRY_SYS_FS_AT_H

#include <linux/limits.h>

#include "sentry/fs/namei.h"
#include "sentry/kernel/task.h"

/* A path argument is copied in at full length anyway; clearing 4 KiB first would cost more
 * than the walk. */
#define UNINITIALIZED __attribute__((uninitialized))

struct fs_at {
	struct task_walk walk;
	struct walk_env env;
	const struct path *base; /* NULL: the working directory */
	struct path dir;	 /* owned: what base points to */
	char name[PATH_MAX];
};

/* Fetches both. An empty path is -ENOENT unless allow_empty. 0: end it with fs_at_end. */
int fs_at_begin(struct task *t, struct fs_at *at, int dirfd, uaddr name,
		bool allow_empty) MUST_CHECK;
/* An absolute path ignores dirfd; for those that have to start there all the same. */
int fs_at_base(struct task *t, struct fs_at *at, int dirfd) MUST_CHECK;
void fs_at_end(struct fs_at *at);
/* The whole way to what it names. flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
int fs_at_lookup(struct task *t, int dirfd, uaddr name, int flags, struct path *out) MUST_CHECK;

/* The path of an open file, owned; also of one without a name. */
int file_path(struct file *f, struct path *out) MUST_CHECK;
/* The same of a descriptor; -EBADF. */
int dirfd_path(struct task *t, int dirfd, struct path *out) MUST_CHECK;
#endif
