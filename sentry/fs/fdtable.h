/* Descriptor tables, shareable by CLONE_FILES. */
#ifndef GARRISON_SENTRY_FS_FDTABLE_H
#define GARRISON_SENTRY_FS_FDTABLE_H

#include "common/refcount.h"
#include "sentry/fs/file.h"

struct fdtable;

struct fdtable *fdtable_new(void);
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t); /* the last one closes all */
/* Has it more than one user (CLONE_FILES)? */
bool fdtable_is_shared(struct fdtable *t);
/* A copy with the same descriptors, as fork makes it. */
struct fdtable *fdtable_dup(struct fdtable *t); /* NULL: no memory */
/* execve: closes those with FD_CLOEXEC. */
void fdtable_exec(struct fdtable *t);

/* Owned reference, or NULL. O_PATH files are returned too: callers that need I/O use
 * fd_get_io, which refuses them. */
struct file *fd_get(struct fdtable *t, int fd);
struct file *fd_get_io(struct fdtable *t, int fd);

/* The lowest free descriptor >= from and < limit (RLIMIT_NOFILE), or -EMFILE. Takes the
 * caller's reference on f only on success. */
int fd_install(struct fdtable *t, struct file *f, int from, uint64_t limit,
	       bool cloexec) MUST_CHECK;
/* dup2: installs at exactly fd and closes what was there. Takes the reference on success. */
int fd_install_at(struct fdtable *t, struct file *f, int fd, uint64_t limit,
		  bool cloexec) MUST_CHECK;
/* close(2): flushes and drops it. -EBADF. */
int fd_close(struct fdtable *t, int fd);
int fd_close_range(struct fdtable *t, unsigned int first, unsigned int last, bool only_cloexec);
int fd_get_cloexec(struct fdtable *t, int fd);
int fd_set_cloexec(struct fdtable *t, int fd, bool on);
/* The lowest open descriptor >= from, or -1: for /proc/PID/fd and close-on-exec walks. */
int fd_next(struct fdtable *t, int from);
int fdtable_count(struct fdtable *t);

#endif
