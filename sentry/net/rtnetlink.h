/* Answers to rtnetlink(7) requests. */
#ifndef GARRISON_SENTRY_NET_RTNETLINK_H
#define GARRISON_SENTRY_NET_RTNETLINK_H

#include "sentry/net/socket.h"

/* Handles all requests in buf; each answer is passed to reply, which takes it. `port` is the
 * asking socket's; `admin`: who asks may configure the namespace. */
void rtnetlink_request(const void *buf, size_t n, uint32_t port, bool admin,
		       void (*reply)(void *to, struct sock_buf *b), void *to);

#endif
