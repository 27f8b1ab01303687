/*
 * Readiness of host fds (the container's stdio, the control socket, host
 * sockets): one thread in epoll_wait, edge-triggered, that wakes a waitq.
 */
#ifndef GARRISON_SENTRY_CORE_HOSTPOLL_H
#define GARRISON_SENTRY_CORE_HOSTPOLL_H

#include "common/base.h"

struct waitq;

struct hostpoll {
	int fd;		  /* borrowed: must stay open until hostpoll_del returned */
	struct waitq *wq; /* woken with the POLL* bits seen; may be NULL if notify is set */
	void (*notify)(struct hostpoll *p, uint32_t events); /* on the poll thread; may be NULL */
};

/* -EPERM for fds that cannot be polled (regular files): they are always ready. */
int hostpoll_add(struct hostpoll *p) MUST_CHECK;
/* After it returns no callback is running. */
void hostpoll_del(struct hostpoll *p);

#endif
