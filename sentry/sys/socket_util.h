/* What the socket calls share: finding the socket, the caller, addresses, deadlines. */
#ifndef GARRISON_SENTRY_SYS_SOCKET_UTIL_H
#define GARRISON_SENTRY_SYS_SOCKET_UTIL_H

#include <errno.h>

#include "sentry/abi/restart.h"
#include "sentry/kernel/task.h"
#include "sentry/net/socket.h"

/* The socket behind a descriptor, with an owned file reference: -EBADF, -ENOTSOCK. */
int sock_lookup(struct task *t, int fd, struct socket **out) MUST_CHECK;

/* At start: tells net/ how to find the task that runs. */
void sockets_init(void);

/* The calling task as the socket layer knows it. `with_paths` also takes its root and working
 * directory, for AF_UNIX addresses. */
struct sock_task {
	struct sock_caller caller;
	struct task_walk walk;
	struct walk_env env;
	bool with_paths;
};
void sock_task_begin(struct task *t, struct sock_task *st, bool with_paths);
void sock_task_end(struct sock_task *st);

/* An address from the guest (-EINVAL for a bad length) and to it (cut to the room there). */
int sock_addr_in(struct task *t, uaddr from, uint32_t len, struct sock_addr *out) MUST_CHECK;
int sock_addr_out(struct task *t, const struct sock_addr *addr, uaddr to,
		  uaddr len_addr) MUST_CHECK;

/* When an operation that starts now must give up: by SO_RCVTIMEO or SO_SNDTIMEO. */
uint64_t sock_deadline(const struct socket *s, bool send);
/* A call that may have timed out is not restarted. */
static inline long sock_intr(long r, uint64_t deadline)
{
	return r == -ERESTARTSYS && deadline != SLEEP_FOREVER ? -EINTR : r;
}

#endif
