/*
 * What the core of fs/ calls in kinds of files that not every program that uses
 * it has (unit tests link the core alone). The starter registers them.
 */
#ifndef GARRISON_SENTRY_FS_PARTS_H
#define GARRISON_SENTRY_FS_PARTS_H

#include "sentry/fs/file.h"

struct pipe;

struct fs_parts {
	int (*fifo_open)(struct inode *inode, const struct path *path, const struct cred *cred,
			 int flags, struct file **out);
	void (*fifo_free)(struct pipe *pipe);
	const char *(*memfd_path)(const struct inode *inode);
	void (*epoll_forget)(struct file *f);
};

/* At start, single-threaded; borrowed for ever. */
void fs_parts_register(const struct fs_parts *parts);
/* Never NULL; without a registration FIFOs cannot be opened and no memfd is known. */
const struct fs_parts *fs_parts(void);

#endif
