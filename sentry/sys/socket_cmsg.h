/* Ancillary data of sendmsg(2) and recvmsg(2). */
#ifndef GARRISON_SENTRY_SYS_SOCKET_CMSG_H
#define GARRISON_SENTRY_SYS_SOCKET_CMSG_H

#include "sentry/net/socket.h"
#include "sentry/sys/socket_util.h"

/* Parses `len` bytes of control messages in guest memory. *scm is initialised; end it with
 * scm_fini, also on failure. */
int cmsg_in(struct task *t, struct socket *s, uaddr control, size_t len,
	    struct scm *scm) MUST_CHECK;

/* Writes what came with a message: installs its files, and returns in *used the length of the
 * control messages. Adds MSG_CTRUNC to m->msg_flags if something did not fit. */
int cmsg_out(struct task *t, struct socket *s, struct sock_recv *m, uaddr control, size_t room,
	     bool cloexec, size_t *used) MUST_CHECK;

#endif
