/* The gofer file system: files of the host, served by a garrison-gofer process. */
#ifndef GARRISON_SENTRY_FS_GOFER_GOFER_H
#define GARRISON_SENTRY_FS_GOFER_GOFER_H

#include "sentry/fs/inode.h"

#define GOFER_RO BIT(0)	    /* the export is read-only (the gofer enforces it too) */
#define GOFER_SHARED BIT(1) /* others change the files as well: revalidate names, attributes */

/* A superblock over one export; takes channel_fd in any case. `source` is the device column of
 * /proc/mounts. The root may be a directory or a regular file. */
int gofer_mount(int channel_fd, const char *source, unsigned int flags,
		struct superblock **out) MUST_CHECK;

/* How many host fds may stay open for files that nobody has open (default 1024). */
void gofer_set_idle_fds(unsigned int max);

/* Requests sent so far, for tests and statistics. */
uint64_t gofer_request_count(void);

#endif
