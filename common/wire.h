/*
 * Framed messages with file descriptors over a SOCK_SEQPACKET socket: one
 * message of text (JSON) in, one out. A text that is too long for the socket's
 * buffer travels in a sealed memfd; the receiver does not notice.
 *
 * Used between the runtime, the monitors and the sentry: peers of one trust
 * domain. Sizes are bounded nevertheless.
 */
#ifndef GARRISON_COMMON_WIRE_H
#define GARRISON_COMMON_WIRE_H

#include "common/base.h"

#define WIRE_MAX_FDS 120
#define WIRE_MAX_TEXT (16u << 20)

struct wire_msg {
	char *text; /* owned; NUL-terminated */
	size_t len;
	int fds[WIRE_MAX_FDS + 1]; /* owned; -1 where taken by the reader */
	int nfds;
};

/* Sends one message; fds are borrowed. Blocks if the socket does. */
MUST_CHECK int wire_send(int sock, const char *text, size_t len, const int *fds, int nfds);

/* Receives one: 0, -EPIPE at the end, -EAGAIN on an empty non-blocking socket, -EPROTO for
 * a malformed one. On success the caller owns *msg and ends it with wire_msg_free. */
MUST_CHECK int wire_recv(int sock, struct wire_msg *msg);

/* Takes fd number `index` out of the message: the caller owns it. -1 if there is none. */
int wire_take_fd(struct wire_msg *msg, int64_t index);
/* Frees the text and closes the fds that nobody took. */
void wire_msg_free(struct wire_msg *msg);

#define SCOPED_WIRE_MSG __attribute__((cleanup(wire_msg_free)))

#endif
