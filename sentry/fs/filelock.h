/*
 * Advisory locks: flock(2), POSIX record locks and open-file-description locks
 * of fcntl(2). Callers that may wait sleep on filelock_waitq and try again.
 */
#ifndef GARRISON_SENTRY_FS_FILELOCK_H
#define GARRISON_SENTRY_FS_FILELOCK_H

#include "sentry/fs/file.h"

struct file_lock_set;

/* A record lock as asked for. end is inclusive; INT64_MAX: to the end of file and beyond. */
struct filelock_req {
	const void *owner; /* the fdtable (POSIX) or the file (OFD); compared, never followed */
	int pid;	   /* who F_GETLK names; -1 for OFD */
	int type;	   /* F_RDLCK, F_WRLCK, F_UNLCK */
	uint64_t start, end;
};

/* A POSIX lock that waits, for deadlock detection; zero it, and end with filelock_unblock. */
struct filelock_blocked {
	struct list node;
	const void *owner, *on;
	bool listed;
};

/* -EAGAIN on a conflict; -EDEADLK if waiting for it would close a circle (blocked != NULL). */
int filelock_set(struct file *f, const struct filelock_req *req,
		 struct filelock_blocked *blocked) MUST_CHECK;
void filelock_unblock(struct filelock_blocked *blocked);
/* The first lock that would stand in the way, written to *req; type F_UNLCK if none. */
void filelock_get(struct file *f, struct filelock_req *req);
/* flock(2): LOCK_SH, LOCK_EX, LOCK_UN. -EAGAIN on a conflict (an old lock is then lost, as
 * flock(2) says of conversions). pid: for /proc/locks only. */
int filelock_flock(struct file *f, int operation, int pid) MUST_CHECK;
/* Valid while the file is referenced. */
struct waitq *filelock_waitq(struct file *f);

/* close(2) of a descriptor by the owner: drops its POSIX locks on the file's inode. */
void filelock_close_posix(struct file *f, const void *owner);
/* The last reference of the file: drops its flock and OFD locks. */
void filelock_release_file(struct file *f);
void file_lock_set_free(struct file_lock_set *set);

struct text;
/* The contents of /proc/locks. */
void filelock_format(struct text *out);

#endif
