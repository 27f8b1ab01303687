/*
 * The restrictions of fs.protected_* (proc_sys_fs(5)): what others have put into
 * a sticky directory, or linked to, is not trusted. One set of values for the
 * sandbox, as for a machine; as Debian sets them.
 */
#ifndef GARRISON_SENTRY_FS_PROTECTED_H
#define GARRISON_SENTRY_FS_PROTECTED_H

#include "sentry/fs/inode.h"

enum protected_what {
	PROTECTED_SYMLINKS,
	PROTECTED_HARDLINKS,
	PROTECTED_FIFOS,
	PROTECTED_REGULAR,
	PROTECTED_KINDS,
};

int protected_get(enum protected_what what);
/* -EINVAL for a value that it cannot have. */
int protected_set(enum protected_what what, int value) MUST_CHECK;

/* Each: 0 or -errno. May `cred` follow the link that is a path's last component, in dir? */
int protected_follow(const struct inode *dir, const struct inode *link,
		     const struct cred *cred) MUST_CHECK;
/* May it give the inode another name? */
int protected_link(struct inode *inode, const struct cred *cred) MUST_CHECK;
/* May it open what it found in dir, having asked for O_CREAT? */
int protected_create(const struct inode *dir, const struct inode *found,
		     const struct cred *cred) MUST_CHECK;

#endif
