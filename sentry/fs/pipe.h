/*
 * Pipes and FIFOs (pipe(7), fifo(7)). A pipe belongs to an inode (inode->fifo):
 * an anonymous one for pipe(2), a named one for FIFOs; opening either through a
 * name (also /proc/PID/fd/N) is fifo_open.
 */
#ifndef GARRISON_SENTRY_FS_PIPE_H
#define GARRISON_SENTRY_FS_PIPE_H

#include "sentry/fs/file.h"

struct pipe;

#define PIPE_ATOMIC 4096UL	     /* PIPE_BUF */
#define PIPE_DEFAULT_SIZE 65536UL    /* bytes */
#define PIPE_MAX_SIZE (1024UL << 10) /* F_SETPIPE_SZ without CAP_SYS_RESOURCE */

/* pipe2(2): read end, write end, both owned. flags: O_NONBLOCK, O_DIRECT. */
int pipe_new(const struct cred *cred, int flags, struct file *out[2]) MUST_CHECK;

/*
 * open(2) of an inode of type S_IFIFO, permissions checked by the caller. 0: *out is open.
 * -EAGAIN: the open would block; *out is then an owned, half-open file that already counts
 * as a reader or writer. The caller sleeps on (*out)->wq until fifo_opened(*out) is true, or
 * gives up by file_put(*out). -ENXIO: O_WRONLY|O_NONBLOCK without a reader.
 */
int fifo_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
	      struct file **out) MUST_CHECK;
/* Has the other side arrived since fifo_open said -EAGAIN? */
bool fifo_opened(struct file *f);
/* Frees inode->fifo; for inode_fini. */
void fifo_inode_free(struct pipe *p);

/* fcntl(2): F_GETPIPE_SZ, F_SETPIPE_SZ. -EBADF if f is no pipe. set gives the new size. */
long pipe_get_size(struct file *f);
long pipe_set_size(struct file *f, unsigned long size, const struct cred *cred);

bool file_is_pipe(const struct file *f);
bool pipe_same(struct file *a, struct file *b); /* ends of one pipe? */

/*
 * For splice(2) and tee(2). pipe_peek copies up to n bytes from the front and leaves them
 * there. pipe_untake puts back bytes that a read took just before and that could not be
 * delivered; it cannot fail, and the pipe may exceed its size for a while. pipe_room: bytes
 * that whole free slots take: 0 while full, -EPIPE without a reader.
 */
ssize_t pipe_peek(struct file *f, void *buf, size_t n) MUST_CHECK;
ssize_t pipe_room(struct file *f) MUST_CHECK;
void pipe_untake(struct file *f, const void *buf, size_t n);

#endif
