/*
 * tmpfs(5): files in memory. Options: size, nr_blocks, nr_inodes, mode, uid, gid.
 */
#ifndef GARRISON_SENTRY_FS_TMPFS_H
#define GARRISON_SENTRY_FS_TMPFS_H

#include "sentry/fs/inode.h"

/* Registers "tmpfs" and "ramfs" for mount(2); at start. */
void tmpfs_init(void);
/* How much memory there is for its guests (bytes): a tmpfs may by default hold half of it. */
void tmpfs_set_memory(uint64_t bytes);
/* A new file system; *out is owned and has its root. -EINVAL for bad options. */
int tmpfs_mount(const char *source, const char *data, const struct cred *cred,
		struct superblock **out) MUST_CHECK;

#endif
