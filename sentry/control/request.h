/*
 * One request of the control protocol: a JSON object with an "op", and fds.
 *
 * The peers are the runtime and its monitors. The runtime is trusted (it could
 * kill us as well), so these getters care for clear errors, not for malice; but
 * nothing here asserts on what a peer sent.
 */
#ifndef GARRISON_SENTRY_CONTROL_REQUEST_H
#define GARRISON_SENTRY_CONTROL_REQUEST_H

#include <jansson.h>

#include "common/wire.h"

struct connection;

struct request {
	const json_t *body;
	struct wire_msg *msg;
	struct connection *conn;
	json_t *reply; /* an object that the handler may add to */
	bool deferred; /* the handler answers later, through connection_reply */
	char error[512];
};

/* Formats the error text and returns err (-errno). */
int request_fail(struct request *rq, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A request as it came, with {"latin1": TEXT} (one byte a character: what is not UTF-8) turned back
 * into strings. Takes `o`; NULL stays NULL. */
json_t *request_decode(json_t *o);

/* Members of `o`; the default where one is absent or of another type. Borrowed. */
const char *json_get_string(const json_t *o, const char *key, const char *def);
int64_t json_get_int(const json_t *o, const char *key, int64_t def);
bool json_get_bool(const json_t *o, const char *key);
/* A NULL-terminated array of borrowed strings; the array is owned by the caller. */
char **json_get_strings(const json_t *o, const char *key);
/* Takes the fd whose index is under `key`; -1 if there is none. */
int request_take_fd(struct request *rq, const json_t *o, const char *key);

#endif
