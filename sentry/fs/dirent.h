/*
 * Reading directories. readdir emits entries behind f->pos; the cookie of an
 * entry is the value that f->pos gets once it is taken, so getdents64 may stop
 * anywhere and go on after names were removed. "." and ".." are emitted by the
 * file system (dir_emit_dots).
 */
#ifndef GARRISON_SENTRY_FS_DIRENT_H
#define GARRISON_SENTRY_FS_DIRENT_H

#include <dirent.h>

#include "sentry/fs/file.h"

struct dirent_sink {
	/* False: full; stop, and do not advance f->pos over this entry. type: DT_*. */
	bool (*emit)(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
		     unsigned char type, off_t next_cookie);
};

/* Emits "." (cookie 1) and ".." (cookie 2) if f->pos is below; false: the sink is full. */
bool dir_emit_dots(struct file *f, struct dirent_sink *sink);

#endif
