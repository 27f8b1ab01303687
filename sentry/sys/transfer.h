/* Moving data between two files through a buffer of the sentry: the engine under splice(2),
 * tee(2), vmsplice(2), sendfile(2) and copy_file_range(2). */
#ifndef GARRISON_SENTRY_SYS_TRANSFER_H
#define GARRISON_SENTRY_SYS_TRANSFER_H

#include "sentry/kernel/task.h"

#define TRANSFER_CHUNK 65536UL

/* All wait where the file does not say O_NONBLOCK and `nonblock` is false; -EAGAIN else. pos
 * NULL: the file's own position. -ERESTARTSYS on a signal. */
ssize_t transfer_read(struct task *t, struct file *f, void *buf, size_t n, off_t *pos,
		      bool nonblock) MUST_CHECK;
/* Writes all n bytes unless an error, a signal or O_NONBLOCK stops it: the bytes written, or
 * the error if there were none. -EPIPE has raised SIGPIPE. */
ssize_t transfer_write(struct task *t, struct file *f, const void *buf, size_t n, off_t *pos,
		       bool nonblock) MUST_CHECK;
/* Room in a pipe, at least one slot. */
ssize_t transfer_room(struct task *t, struct file *pipe, bool nonblock) MUST_CHECK;
/* As pipe_peek; 0 if the pipe has no writer. */
ssize_t transfer_peek(struct task *t, struct file *pipe, void *buf, size_t n,
		      bool nonblock) MUST_CHECK;

#endif
