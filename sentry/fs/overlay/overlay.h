/* The overlay file system: a changing upper tree over a lower one that is only read. */
#ifndef GARRISON_SENTRY_FS_OVERLAY_OVERLAY_H
#define GARRISON_SENTRY_FS_OVERLAY_OVERLAY_H

#include "sentry/fs/inode.h"

/*
 * `upper` must be fresh (empty) and is used by nobody else; `lower` must not change by other
 * ways than its own file system sees. Both borrowed: the overlay keeps what it needs. The upper
 * tree is not meant to be read without the overlay afterwards.
 */
int overlay_mount(struct superblock *lower, struct superblock *upper,
		  struct superblock **out) MUST_CHECK;

/* At start, single-threaded: the type "overlay" for mount(2), with lowerdir, upperdir, workdir. */
void overlay_init(void);

#endif
