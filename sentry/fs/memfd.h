/*
 * memfd_create(2): files without a name over host memfds, with seals. The host's
 * memfd carries the seals too, so what the guest's mappings could do against them
 * the host refuses.
 */
#ifndef GARRISON_SENTRY_FS_MEMFD_H
#define GARRISON_SENTRY_FS_MEMFD_H

#include "sentry/fs/file.h"

#define MEMFD_NAME_MAX 249

/* flags: MFD_*, checked by the caller. *out is owned. */
int memfd_new(const struct cred *cred, const char *name, unsigned int flags,
	      struct file **out) MUST_CHECK;

/* fcntl(2): F_ADD_SEALS, F_GET_SEALS. -EINVAL if f is no memfd. */
int memfd_add_seals(struct file *f, unsigned int seals);
int memfd_get_seals(struct file *f);

/* What /proc shows as the path of a memfd, "/memfd:NAME (deleted)"; NULL: not a memfd. */
const char *memfd_path(const struct inode *inode);

#endif
