/* epoll(7): the objects. Waiting is in sys/epoll.c. */
#ifndef GARRISON_SENTRY_FS_EPOLL_H
#define GARRISON_SENTRY_FS_EPOLL_H

#include <sys/epoll.h>

#include "sentry/fs/file.h"

static_assert(sizeof(struct epoll_event) == 12, "packed on x86-64");

int epoll_new(const struct cred *cred, struct file **out) MUST_CHECK;
bool file_is_epoll(const struct file *f);

/* epoll_ctl(2). ep is an epoll file; target is what fd denotes in the caller's table. Both
 * borrowed: the watch ends when target's last reference goes. event: NULL for DEL. */
int epoll_ctl_file(struct file *ep, int op, int fd, struct file *target,
		   const struct epoll_event *event) MUST_CHECK;

/* Up to max events that hold now; 0: none. Each is reported by the rules of its kind (level,
 * edge, one-shot). */
int epoll_collect(struct file *ep, struct epoll_event *events, int max);
/* Where epoll_wait sleeps, as an exclusive waiter, so that one event wakes one sleeper. A
 * sleeper that was woken and then does not collect must wake the queue again. */
struct waitq *epoll_sleepers(struct file *ep);
/* How many watches there are: more events cannot come at once. */
size_t epoll_watches(struct file *ep);
/* Something may be there to collect; cheap, may be wrong in that direction only. */
bool epoll_maybe_ready(struct file *ep);

/* kcmp(2): the nth file that is watched as fd; only to compare. -EINVAL: not an epoll;
 * -ENOENT. */
int epoll_watched(struct file *ep, int fd, unsigned int nth, const struct file **out) MUST_CHECK;

/* The last reference of f went: ends all watches on it. Called by file_put. */
void epoll_forget_file(struct file *f);

#endif
