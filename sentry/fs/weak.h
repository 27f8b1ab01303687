/* What other parts of fs/ provide and the core calls: absent in unit tests that do not link
 * them, so weak. */
#ifndef GARRISON_SENTRY_FS_WEAK_H
#define GARRISON_SENTRY_FS_WEAK_H

#include "sentry/fs/file.h"

struct pipe;

int fifo_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
	      struct file **out) __attribute__((weak));
void fifo_inode_free(struct pipe *pipe) __attribute__((weak));
const char *memfd_path(const struct inode *inode) __attribute__((weak));
void epoll_forget_file(struct file *f) __attribute__((weak));

#endif
