#include "runtime/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "common/wire.h"

/* The state directory may be too deep for sun_path: go through its fd. */
static void socket_name(const struct state *st, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/control.sock",
		 st->dir_fd);
}

static int new_socket(struct error *e)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_errno(e, -errno, "cannot make a socket") : fd;
}

int client_connect(const struct state *st, struct error *e)
{
	struct sockaddr_un addr;
	int fd = new_socket(e);

	if (fd < 0)
		return fd;
	socket_name(st, &addr);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int r = -errno;

		host_close(fd);
		if (r == -ECONNREFUSED || r == -ENOENT)
			return error_set(e, -ESRCH, "container \"%s\": container not running",
					 st->id);
		return error_errno(e, r, "cannot connect to %s/control.sock", st->dir);
	}
	return fd;
}

int client_listen(const struct state *st, struct error *e)
{
	struct sockaddr_un addr;
	int fd = new_socket(e);

	if (fd < 0)
		return fd;
	socket_name(st, &addr);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0) {
		int r = -errno;

		host_close(fd);
		return error_errno(e, r, "cannot bind %s/control.sock", st->dir);
	}
	return fd;
}

int client_send(int fd, json_t *request, const int *fds, int nfds, struct error *e)
{
	SCOPED_FREE char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int r = text ? wire_send(fd, text, strlen(text), fds, nfds) : -ENOMEM;

	json_decref(request);
	return r < 0 ? error_errno(e, r, "the sentry does not take requests") : 0;
}

static int check_answer(json_t *o, struct error *e)
{
	const char *text = json_string_value(json_object_get(o, "error"));
	int err = (int)json_integer_value(json_object_get(o, "errno"));

	return text ? error_set(e, err > 0 ? -err : -EIO, "%s", text) : 0;
}

int client_receive(int fd, json_t **answer, struct error *e)
{
	SCOPED_WIRE_MSG struct wire_msg msg;
	json_error_t jerr;
	json_t *o;
	int r = wire_recv(fd, &msg);

	if (r == -EPIPE)
		return error_set(e, r, "the sentry has died (see its log: --debug-log)");
	if (r < 0)
		return error_errno(e, r, "cannot receive from the sentry");
	o = json_loadb(msg.text, msg.len, 0, &jerr);
	if (!o)
		return error_set(e, -EPROTO, "malformed answer from the sentry: %s", jerr.text);
	r = check_answer(o, e);
	if (r == 0 && answer)
		*answer = json_incref(o);
	json_decref(o);
	return r;
}

int client_call(int fd, json_t *request, const int *fds, int nfds, json_t **answer, struct error *e)
{
	int r = client_send(fd, request, fds, nfds, e);

	return r < 0 ? r : client_receive(fd, answer, e);
}

int client_ask(const struct state *st, const char *op, json_t **answer, struct error *e)
{
	SCOPED_FD int fd = -1;

	if (state_status(st) == STATUS_PAUSED) /* so is its sentry: it would not answer */
		return error_set(e, -EBUSY, "container \"%s\" is paused: resume it first", st->id);
	fd = client_connect(st, e);
	if (fd < 0)
		return fd;
	return client_call(fd, json_pack("{ss,ss}", "op", op, "id", st->id), NULL, 0, answer, e);
}
