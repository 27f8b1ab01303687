/* The runtime's end of the sentry's control protocol (sentry/control/control.h). */
#ifndef GARRISON_RUNTIME_CLIENT_H
#define GARRISON_RUNTIME_CLIENT_H

#include "runtime/state.h"

/* A connection to the sentry of a container: an fd, or -errno ("... not running"). */
MUST_CHECK int client_connect(const struct state *st, struct error *e);
/* Binds and listens in the state directory, for the sentry to inherit. */
MUST_CHECK int client_listen(const struct state *st, struct error *e);
/* Sends a request; takes `request`. */
MUST_CHECK int client_send(int fd, json_t *request, const int *fds, int nfds, struct error *e);
/* Receives one answer; an error in it becomes *e. *answer is owned, may be NULL. */
MUST_CHECK int client_receive(int fd, json_t **answer, struct error *e);
/* One request about a container, over a connection of its own. */
MUST_CHECK int client_ask(const struct state *st, const char *op, json_t **answer, struct error *e);
/* Both. */
MUST_CHECK int client_call(int fd, json_t *request, const int *fds, int nfds, json_t **answer,
			   struct error *e);

#endif
