/*
 * SIGIO for files with O_ASYNC (fcntl(2): F_SETOWN, F_SETSIG).
 *
 * A waiter on the file's queue sees that something happened. Signals are sent
 * under locks that rank below a queue's, so it only marks its entry and wakes
 * a helper thread (started with the first O_ASYNC), which sends the signal.
 */
#ifndef GARRISON_SENTRY_FS_FASYNC_H
#define GARRISON_SENTRY_FS_FASYNC_H

#include "sentry/fs/file.h"

/* What the sender is told, on the helper thread. */
struct fasync_event {
	void *where;	 /* the container, borrowed, as given to fasync_set */
	int owner, type; /* pid > 0, -pgrp < 0; F_OWNER_* */
	int sig, fd;	 /* sig 0: plain SIGIO */
	uint32_t poll;	 /* POLL* */
};
typedef void fasync_send_fn(const struct fasync_event *event);

/* O_ASYNC was set in or cleared from f->flags by way of fd. */
void fasync_set(struct file *f, int fd, bool on, void *where, fasync_send_fn *send);
/* The file goes away. */
void fasync_forget(struct file *f);

#endif
