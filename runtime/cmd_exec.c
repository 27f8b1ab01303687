/* exec: a further process in a running container. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/launch.h"
#include "runtime/relay.h"

#define EXIT_EXEC_FAILED 255
#define PROCESS_MAX (4u << 20)

enum { OPT_CONSOLE = 256, OPT_PID_FILE, OPT_NNP, OPT_IGNORED, OPT_IGNORED_FLAG };

static const struct option long_options[] = {
    {"process", required_argument, NULL, 'p'},
    {"detach", no_argument, NULL, 'd'},
    {"tty", no_argument, NULL, 't'},
    {"env", required_argument, NULL, 'e'},
    {"cwd", required_argument, NULL, 'w'},
    {"user", required_argument, NULL, 'u'},
    {"additional-gids", required_argument, NULL, 'g'},
    {"cap", required_argument, NULL, 'c'},
    {"console-socket", required_argument, NULL, OPT_CONSOLE},
    {"pid-file", required_argument, NULL, OPT_PID_FILE},
    {"no-new-privs", no_argument, NULL, OPT_NNP},
    {"preserve-fds", required_argument, NULL, OPT_IGNORED},
    {"apparmor", required_argument, NULL, OPT_IGNORED},
    {"process-label", required_argument, NULL, OPT_IGNORED},
    {"cgroup", required_argument, NULL, OPT_IGNORED},
    {"ignore-paused", no_argument, NULL, OPT_IGNORED_FLAG},
    {NULL, 0, NULL, 0},
};

struct options {
	const char *id, *process_file, *cwd, *user, *console_socket, *pid_file;
	bool detach, tty, no_new_privs;
	json_t *env, *groups;
	uint64_t caps;
	char **argv; /* NULL-terminated, may be empty */
};

static int add_group(struct options *o, const char *arg, struct error *e)
{
	unsigned int gid;
	char rest;

	if (sscanf(arg, "%u%c", &gid, &rest) != 1)
		return error_set(e, -EINVAL, "exec: --additional-gids %s: must be a number", arg);
	json_array_append_new(o->groups, json_integer(gid));
	return 0;
}

static int add_cap(struct options *o, const char *arg, struct error *e)
{
	uint64_t bit = config_cap_bit(arg);

	o->caps |= bit;
	return bit ? 0 : error_set(e, -EINVAL, "exec: --cap %s: unknown capability", arg);
}

static int set_option(struct options *o, int c, struct error *e)
{
	switch (c) {
	case 'p':
		o->process_file = optarg;
		return 0;
	case 'd':
		o->detach = true;
		return 0;
	case 't':
		o->tty = true;
		return 0;
	case 'e':
		json_array_append_new(o->env, json_string(optarg));
		return 0;
	case 'w':
		o->cwd = optarg;
		return 0;
	case 'u':
		o->user = optarg;
		return 0;
	case 'g':
		return add_group(o, optarg, e);
	case 'c':
		return add_cap(o, optarg, e);
	case OPT_CONSOLE:
		o->console_socket = optarg;
		return 0;
	case OPT_PID_FILE:
		o->pid_file = optarg;
		return 0;
	case OPT_NNP:
		o->no_new_privs = true;
		return 0;
	case OPT_IGNORED:
	case OPT_IGNORED_FLAG:
		return 0;
	}
	return error_set(e, -EINVAL, "exec: unknown or incomplete option");
}

static int parse(struct options *o, int argc, char **argv, struct error *e)
{
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "+p:dte:w:u:g:c:", long_options, NULL)) != -1)
		r = set_option(o, c, e);
	if (r < 0)
		return r;
	if (optind >= argc)
		return error_set(e, -EINVAL, "exec: container ID missing");
	o->id = argv[optind];
	o->argv = argv + optind + 1;
	if (*o->argv && strcmp(*o->argv, "--") == 0)
		o->argv++;
	if (!*o->argv && !o->process_file)
		return error_set(e, -EINVAL, "exec: command missing (or --process FILE)");
	return 0;
}

/* --process FILE: a "process" object as in config.json. */
static int read_process(const struct options *o, struct config_process *p, struct error *e)
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
	if (r == 0)
		p->cwd = json_string_value(json_object_get(p->request, "cwd"));
	json_decref(json);
	return r;
}

static int apply_user(const struct options *o, json_t *request, struct error *e)
{
	unsigned int uid, gid;
	char rest;
	int n;

	if (!o->user)
		return 0;
	n = sscanf(o->user, "%u:%u%c", &uid, &gid, &rest);
	if (n != 2 && sscanf(o->user, "%u%c", &uid, &rest) != 1)
		return error_set(e, -EINVAL, "exec: --user %s: must be UID or UID:GID", o->user);
	json_object_set_new(request, "uid", json_integer(uid));
	if (n == 2)
		json_object_set_new(request, "gid", json_integer(gid));
	return 0;
}

static void apply_caps(const struct options *o, json_t *request)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	json_t *caps = json_object_get(request, "capabilities");

	for (size_t i = 0; o->caps && i < ARRAY_SIZE(sets); i++) {
		json_int_t old = json_integer_value(json_object_get(caps, sets[i]));

		json_object_set_new(caps, sets[i], json_integer(old | (json_int_t)o->caps));
	}
}

/* The container's own process with the changes that the options ask for. */
static int derive_process(const struct options *o, const struct state *st, struct config_process *p,
			  struct error *e)
{
	SCOPED_FREE char *text = NULL;
	json_t *args = json_array(), *env;
	int r = host_read_file(st->dir_fd, "process.json", PROCESS_MAX, &text);

	*p = (struct config_process){.request = r < 0 ? NULL : json_loads(text, 0, NULL)};
	if (!p->request) {
		json_decref(args);
		return error_set(e, -EINVAL, "exec: cannot read %s/process.json", st->dir);
	}
	for (char **a = o->argv; *a; a++)
		json_array_append_new(args, json_string(*a));
	json_object_set_new(p->request, "args", args);
	env = json_object_get(p->request, "env");
	json_array_extend(env, o->env);
	if (o->cwd)
		json_object_set_new(p->request, "cwd", json_string(o->cwd));
	if (json_array_size(o->groups))
		json_object_set(p->request, "groups", o->groups);
	if (o->no_new_privs)
		json_object_set_new(p->request, "noNewPrivileges", json_true());
	apply_caps(o, p->request);
	return apply_user(o, p->request, e);
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
	struct process_ref monitor;
	struct cgroup cg = {.n = 0};
	int r = cgroup_open(st->cgroup_dirs, &cg, e);

	if (r == 0 && o->console_socket)
		r = console_send(console, o->console_socket, e);
	if (r == 0)
		r = monitor_start(st, conn, pid, console->slave, &cg, &monitor, e);
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
		relay_prepare();
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
	r = o->process_file ? read_process(o, &p, e) : derive_process(o, st, &p, e);
	if (o->tty)
		p.terminal = true;
	if (r == 0 && p.terminal && o->detach && !o->console_socket)
		r = error_set(e, -EINVAL, "exec: a detached terminal needs --console-socket");
	if (r == 0)
		r = run(o, st, &p, e);
	config_process_free(&p);
	return r;
}

int cmd_exec(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.env = json_array(), .groups = json_array()};
	struct state st = {.dir_fd = -1};
	int r = parse(&o, argc, argv, e);

	if (r == 0)
		r = state_load(g, o.id, false, &st, e);
	if (r == 0)
		r = exec_in(&o, &st, e);
	if (r < 0)
		e->exit_code = exec_exit_code(r, e->text, EXIT_EXEC_FAILED);
	state_free(&st);
	json_decref(o.env);
	json_decref(o.groups);
	return r;
}
