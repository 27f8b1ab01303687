#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/host.h"
#include "common/host_control.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/control/control.h"
#include "sentry/control/ops.h"

#define MAX_CONNECTIONS 512

struct connection {
	int fd;
};

static struct {
	int listen_fd, event_fd;
	struct connection *conns[MAX_CONNECTIONS];
	size_t nconns;
	bool stop;
} server = {.listen_fd = -1, .event_fd = -1};

static const struct {
	const char *name;
	op_fn *fn;
} ops[] = {
    {"create", op_create}, {"start", op_start}, {"exec", op_exec},	 {"wait", op_wait},
    {"signal", op_signal}, {"ps", op_ps},	{"resize", op_resize},	 {"state", op_state},
    {"update", op_update}, {"debug", op_debug}, {"destroy", op_destroy}, {"shutdown", op_shutdown},
};

int control_init(void)
{
	/* Else jansson would open /dev/urandom when the first object is made. */
	json_object_seed((size_t)host_monotonic_ns() | 1);
	server.event_fd = host_eventfd(0, EFD_NONBLOCK);
	return server.event_fd < 0 ? server.event_fd : 0;
}

void control_wake(void)
{
	uint64_t one = 1;

	if (host_write(server.event_fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable anyhow */
}

void control_stop(void)
{
	server.stop = true;
}

static void add_connection(int fd)
{
	struct connection *c;

	if (server.nconns == MAX_CONNECTIONS) {
		log_error("control: too many connections");
		host_close(fd);
		return;
	}
	c = NEW(struct connection);
	c->fd = fd;
	server.conns[server.nconns++] = c;
}

static void drop_connection(size_t index)
{
	struct connection *c = server.conns[index];

	server.conns[index] = server.conns[--server.nconns];
	jobs_hangup(c);
	/* The runtime died before it made a container: nobody will. */
	if (!container_first())
		control_stop();
	host_close(c->fd);
	free(c);
}

void connection_reply(struct connection *conn, json_t *reply, int err, const char *error)
{
	SCOPED_FREE char *text = NULL;

	if (err < 0) {
		json_object_set_new(reply, "errno", json_integer(-err));
		json_object_set_new(reply, "error",
				    json_string(error && *error ? error : strerror(-err)));
	}
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	err = text ? wire_send(conn->fd, text, strlen(text), NULL, 0) : -ENOMEM;
	if (err < 0 && err != -EPIPE)
		log_warn("control: answer not sent: %s", strerror(-err));
}

static op_fn *find_op(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (strcmp(ops[i].name, name) == 0)
			return ops[i].fn;
	return NULL;
}

static void handle(struct connection *conn, struct wire_msg *msg)
{
	json_error_t jerr;
	json_t *body =
	    request_decode(json_loadb(msg->text, msg->len, JSON_REJECT_DUPLICATES, &jerr));
	struct request rq = {.body = body, .msg = msg, .conn = conn};
	const char *name = json_get_string(body, "op", "");
	op_fn *fn = find_op(name);
	int r;

	rq.reply = json_object();
	log_debug("control: %s", name);
	if (!body)
		r = request_fail(&rq, -EPROTO, "malformed request: %s", jerr.text);
	else if (!fn)
		r = request_fail(&rq, -ENOSYS, "unknown request \"%s\"", name);
	else
		r = fn(&rq);
	if (rq.deferred && r == 0)
		json_decref(rq.reply);
	else
		connection_reply(conn, rq.reply, r, rq.error);
	json_decref(body);
}

/* False when the connection is at its end. */
static bool serve_connection(struct connection *conn)
{
	SCOPED_WIRE_MSG struct wire_msg msg;
	int r = wire_recv(conn->fd, &msg);

	if (r == -EAGAIN)
		return true;
	if (r < 0) {
		if (r != -EPIPE)
			log_warn("control: %s", strerror(-r));
		return false;
	}
	handle(conn, &msg);
	return true;
}

static void accept_connection(void)
{
	int fd = host_accept(server.listen_fd);

	if (fd >= 0)
		add_connection(fd);
	else if (fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED)
		log_warn("control: accept: %s", strerror(-fd));
}

static void drain_event(void)
{
	uint64_t n;

	if (host_read(server.event_fd, &n, sizeof(n)) < 0)
		return;
}

static size_t fill_poll(struct pollfd *p)
{
	p[0] = (struct pollfd){.fd = server.event_fd, .events = POLLIN};
	p[1] = (struct pollfd){.fd = server.listen_fd, .events = POLLIN};
	for (size_t i = 0; i < server.nconns; i++)
		p[i + 2] = (struct pollfd){.fd = server.conns[i]->fd, .events = POLLIN};
	return server.nconns + 2;
}

static void serve_round(struct pollfd *p, size_t n)
{
	if (p[0].revents) {
		drain_event();
		jobs_reap();
	}
	/* Downwards, because dropping one moves the last into its place. */
	for (size_t i = n; i-- > 2;)
		if (p[i].revents && !serve_connection(server.conns[i - 2]))
			drop_connection(i - 2);
	if (p[1].revents)
		accept_connection();
}

void control_serve(int listen_fd, int first_conn)
{
	static struct pollfd p[MAX_CONNECTIONS + 2];

	server.listen_fd = listen_fd;
	if (first_conn >= 0)
		add_connection(first_conn);
	while (!server.stop) {
		size_t n = fill_poll(p);
		int r = host_poll(p, n, -1);

		if (r > 0)
			serve_round(p, n);
		else if (r < 0 && r != -EINTR)
			panic("control: poll: %s", strerror(-r));
	}
}
