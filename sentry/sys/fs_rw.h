/* Reading and writing guest buffers from and to files. */
#ifndef GARRISON_SENTRY_SYS_FS_RW_H
#define GARRISON_SENTRY_SYS_FS_RW_H

#include "sentry/kernel/usermem.h"

/* One transfer: a plain buffer (iov NULL) or a vector. */
struct rw {
	struct task *t;
	struct file *f;
	const struct guest_iov *iov;
	uaddr base;
	size_t total;
	off_t *pos; /* NULL: the file's own position */
	bool nonblock;
};

ssize_t rw_read(struct rw *rw) MUST_CHECK;
ssize_t rw_write(struct rw *rw) MUST_CHECK;
/* RLIMIT_FSIZE: cuts *n for a write at `pos`, or -EFBIG after raising SIGXFSZ. */
int rw_limit_size(struct task *t, struct file *f, off_t pos, size_t *n) MUST_CHECK;

#endif
