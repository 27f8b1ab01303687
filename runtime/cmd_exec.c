/* exec: a further process in a running container. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/launch.h"
#include "runtime/process_options.h"
#include "runtime/relay.h"

#define EXIT_EXEC_FAILED 255
#define PROCESS_MAX (4u << 20)

struct options {
	struct process_options process;
	const char *id, *process_file, *console_socket, *pid_file;
	bool detach;
	char **argv; /* NULL-terminated, may be empty */
};

static const struct option_def exec_options[] = {
    {"process", 'p', "FILE", "a \"process\" object as in config.json",
     OPT_STRING(struct options, process_file)},
    {"detach", 'd', NULL, "do not wait for its end", OPT_FLAG(struct options, detach)},
    OPT_INCLUDE(process_options_table, struct options, process),
    {"console-socket", 0, "PATH", "a socket to which the terminal's master is sent",
     OPT_STRING(struct options, console_socket)},
    {"pid-file", 0, "FILE", "where to write the pid of its process on the host",
     OPT_STRING(struct options, pid_file)},
    {"preserve-fds", 0, "N", NULL},
    {"apparmor", 0, "PROFILE", NULL},
    {"process-label", 0, "LABEL", NULL},
    {"cgroup", 0, "PATH", NULL},
    {"ignore-paused", 0, NULL, NULL},
    {0},
};

static int parse(struct options *o, int argc, char **argv, struct error *e)
{
	int first = options_parse(&cmd_exec.line, o, argc, argv, e);

	if (first < 0)
		return first;
	o->id = argv[first];
	o->argv = argv + first + 1;
	if (*o->argv && strcmp(*o->argv, "--") == 0)
		o->argv++;
	if (!*o->argv && !o->process_file)
		return error_set(e, -EINVAL,
				 "exec: COMMAND missing (or --process FILE); see garrison exec "
				 "--help");
	return 0;
}

static json_t *container_process(const struct state *st)
{
	SCOPED_FREE char *text = NULL;

	return host_read_file(st->dir_fd, "process.json", PROCESS_MAX, &text) < 0
		   ? NULL
		   : json_loads(text, 0, NULL);
}

/* The container's filter is for all that run in it; a "process" object has none. */
static void inherit_seccomp(const struct state *st, struct config_process *p)
{
	json_t *own = container_process(st), *filter = json_object_get(own, "seccomp");

	if (filter)
		json_object_set(p->request, "seccomp", filter);
	json_decref(own);
}

/* --process FILE: a "process" object as in config.json. */
static int read_process(const struct options *o, const struct state *st, struct config_process *p,
			struct error *e)
{
	SCOPED_FREE char *text = NULL;
	json_error_t jerr;
	json_t *json;
	int r = host_read_file(AT_FDCWD, o->process_file, PROCESS_MAX, &text);

	if (r < 0)
		return error_errno(e, r, "exec: cannot read %s", o->process_file);
	json = json_loads(text, 0, &jerr);
	if (!json)
		return error_set(e, -EINVAL, "%s: line %d: %s", o->process_file, jerr.line,
				 jerr.text);
	r = config_process_parse(json, o->process_file, "", p, e);
	/* p->cwd points into json; the request has a copy. */
	if (r == 0) {
		p->cwd = json_string_value(json_object_get(p->request, "cwd"));
		inherit_seccomp(st, p);
	}
	json_decref(json);
	return r;
}

/* The container's own process with the changes that the options ask for. */
static int derive_process(const struct options *o, const struct state *st, struct config_process *p,
			  struct error *e)
{
	int r;

	*p = (struct config_process){.request = container_process(st)};
	if (!p->request)
		return error_set(e, -EINVAL, "exec: cannot read %s/process.json", st->dir);
	r = process_options_apply(&o->process, o->argv, p->request, e);
	if (r < 0)
		error_wrap(e, "exec");
	return r;
}

static json_t *exec_request(const struct state *st, const struct config_process *p, int tty,
			    int fds[3], int *nfds)
{
	json_t *request =
	    json_pack("{ss,ss,sO}", "op", "exec", "id", st->id, "process", p->request);

	if (p->terminal) {
		json_object_set_new(request, "tty", json_integer(0));
		fds[0] = tty;
		*nfds = 1;
	} else {
		json_object_set_new(request, "stdio", json_pack("[iii]", 0, 1, 2));
		for (int i = 0; i < 3; i++)
			fds[i] = i;
		*nfds = 3;
	}
	return request;
}

/* Starts it and asks to be told of its end (on conn): its pid in the container. */
static int start(int conn, const struct state *st, const struct config_process *p,
		 const struct console *console, struct error *e)
{
	json_t *answer = NULL;
	int fds[3], nfds, pid, r;
	json_t *request = exec_request(st, p, console->slave, fds, &nfds);

	r = client_call(conn, request, fds, nfds, &answer, e);
	if (r < 0)
		return r;
	pid = (int)json_integer_value(json_object_get(answer, "pid"));
	json_decref(answer);
	r = client_send(
	    conn, json_pack("{ss,ss,si,sb}", "op", "wait", "id", st->id, "pid", pid, "owner", 1),
	    NULL, 0, e);
	return r < 0 ? r : pid;
}

static int detach(const struct options *o, const struct state *st, int conn, int pid,
		  struct console *console, struct error *e)
{
	SCOPED_FREE char *ns = xasprintf("/proc/%d/ns/net", st->monitor.pid);
	SCOPED_FD int net_fd = host_openat(AT_FDCWD, ns, O_RDONLY, 0);
	const struct monitor_network net = {.fd = max(net_fd, 0)};
	struct process_ref monitor;
	struct cgroup cg = {.n = 0};
	int r = cgroup_open(st->cgroup_dirs, &cg, e);

	if (r == 0 && o->console_socket)
		r = console_send(console, o->console_socket, e);
	if (r == 0)
		r = monitor_start(st, conn, pid, console->slave, &cg, &net, &monitor, e);
	cgroup_close(&cg);
	return r == 0 ? write_pid_file(o->pid_file, monitor.pid, e) : r;
}

static int run(const struct options *o, const struct state *st, struct config_process *p,
	       struct error *e)
{
	struct console console = {-1, -1};
	struct relay relay = {.id = st->id, .console = &console};
	SCOPED_FD int conn = client_connect(st, e);
	unsigned short rows = p->rows, cols = p->cols;
	int r = conn;

	if (r >= 0 && p->terminal) {
		if (!o->detach)
			user_terminal_size(&rows, &cols);
		r = console_new(&console, rows, cols, e);
	}
	if (!o->detach)
		relay_prepare(false);
	if (r >= 0)
		r = start(conn, st, p, &console, e);
	if (r >= 0 && o->detach) {
		r = detach(o, st, conn, r, &console, e);
	} else if (r >= 0) {
		relay.control = conn;
		relay.pid = r;
		r = write_pid_file(o->pid_file, getpid(), e);
		if (r == 0)
			r = relay_exit_code(relay_run(&relay));
	}
	console_close(&console);
	return r;
}

static int exec_in(const struct options *o, struct state *st, struct error *e)
{
	struct config_process p = {0};
	enum container_status status = state_status(st);
	int r;

	if (status != STATUS_RUNNING)
		return error_set(e, -ESRCH, "cannot exec in container \"%s\": it is %s", st->id,
				 status_name(status));
	r = o->process_file ? read_process(o, st, &p, e) : derive_process(o, st, &p, e);
	if (o->process.tty)
		p.terminal = true;
	if (r == 0 && p.terminal && o->detach && !o->console_socket)
		r = error_set(e, -EINVAL, "exec: a detached terminal needs --console-socket");
	if (r == 0)
		r = run(o, st, &p, e);
	config_process_free(&p);
	return r;
}

static int exec_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.id = NULL};
	struct state st = {.dir_fd = -1};
	int r = parse(&o, argc, argv, e);

	if (r == 0)
		r = state_load(g, o.id, false, &st, e);
	if (r == 0)
		r = exec_in(&o, &st, e);
	if (r < 0)
		e->exit_code = exec_exit_code(r, e->text, EXIT_EXEC_FAILED);
	state_free(&st);
	process_options_free(&o.process);
	return r;
}

const struct command cmd_exec = {
    {"exec", "ID [--] [COMMAND...]", "run a command in a container", .options = exec_options},
    exec_main};
