/* create and run: a container from a bundle. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/hooks.h"
#include "runtime/launch.h"
#include "runtime/relay.h"
#include "runtime/run.h"

struct options {
	const char *bundle, *config, *console_socket, *pid_file, *id;
	bool detach, tty;
};

static const struct option_def create_options[] = {
    {"bundle", 'b', "DIR", "the bundle (default: the current directory)",
     OPT_STRING(struct options, bundle)},
    {"config", 'f', "FILE", "its configuration (default: config.json in the bundle)",
     OPT_STRING(struct options, config)},
    {"console-socket", 0, "PATH", "a socket to which the terminal's master is sent",
     OPT_STRING(struct options, console_socket)},
    {"pid-file", 0, "FILE", "where to write the pid of the container's process on the host",
     OPT_STRING(struct options, pid_file)},
    {"tty", 't', NULL, "a terminal, whatever the configuration says",
     OPT_FLAG(struct options, tty)},
    /* Of runc: our roots are never pivoted to, there are no keyrings, fds 0 to 2 go in. */
    {"no-pivot", 0, NULL, NULL},
    {"no-new-keyring", 0, NULL, NULL},
    {"preserve-fds", 0, "N", NULL},
    {0},
};

static const struct option_def run_options[] = {
    OPT_INCLUDE_HERE(create_options),
    {"detach", 'd', NULL, "do not wait for the container's end", OPT_FLAG(struct options, detach)},
    {"keep", 0, NULL, NULL},
    {"no-subreaper", 0, NULL, NULL},
    {0},
};

static int parse(const struct command *cmd, struct options *o, int argc, char **argv,
		 struct error *e)
{
	int first;

	*o = (struct options){.bundle = "."};
	first = options_parse(&cmd->line, o, argc, argv, e);
	if (first < 0)
		return first;
	o->id = argv[first];
	return 0;
}

static int check_terminal(const struct options *o, const struct config *c, bool detached,
			  struct error *e)
{
	if (c->process.terminal && detached && !o->console_socket)
		return error_set(e, -EINVAL,
				 "%s: process.terminal is true: --console-socket is needed to pass "
				 "the terminal on",
				 c->file);
	if (!c->process.terminal && o->console_socket)
		return error_set(e, -EINVAL,
				 "--console-socket was given, but process.terminal in %s is false",
				 c->file);
	return 0;
}

static int create_rest(const struct options *o, struct launch *l, bool start, struct error *e)
{
	int r = 0;

	if (o->console_socket)
		r = console_send(&l->console, o->console_socket, e);
	if (r == 0)
		r = launch_monitor(l, o->pid_file, e);
	if (r == 0)
		r = hooks_run_create(&l->state, e);
	if (r == 0 && start && !l->state.started)
		r = launch_start(&l->state, e);
	return r;
}

static int create(const struct options *o, struct launch *l, bool start, struct error *e)
{
	/* Hooks run between create and start: then the two cannot be one round trip. */
	bool at_once = start && !hooks_at_create(l->config->hooks);
	int r = launch_create(l, o->id, at_once, e);

	if (r < 0)
		return r;
	l->state.started = at_once;
	r = create_rest(o, l, start, e);
	if (r < 0) {
		struct error later = {0};

		launch_destroy(&l->state, &later);
		error_clear(&later);
	} else if (start) {
		hooks_run_warn(l->g, &l->state, "poststart", STATUS_RUNNING);
	}
	return r;
}

static int load(const struct options *o, const struct global_options *g, struct config *c,
		struct launch *l, struct error *e)
{
	int r = check_id(o->id, e);

	if (r == 0)
		r = config_load(o->bundle, o->config, c, e);
	if (r == 0 && o->tty)
		c->process.terminal = true;
	*l = (struct launch){.g = g, .config = c, .control = -1, .overlay = g->overlay_memory};
	l->console = (struct console){-1, -1};
	l->state.dir_fd = -1;
	l->rows = c->process.rows;
	l->cols = c->process.cols;
	return r;
}

static int create_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {0};
	struct config c = {0};
	struct launch l;
	int r = parse(&cmd_create, &o, argc, argv, e);

	if (r < 0)
		return r;
	r = load(&o, g, &c, &l, e);
	if (r == 0)
		r = check_terminal(&o, &c, true, e);
	if (r == 0)
		r = create(&o, &l, false, e);
	launch_free(&l);
	config_free(&c);
	return r;
}

static int start_foreground(struct launch *l, const char *id, const char *pid_file, struct error *e)
{
	bool at_once = !hooks_at_create(l->config->hooks);
	int r = launch_create(l, id, at_once, e);

	if (r < 0)
		return r;
	r = write_pid_file(pid_file, getpid(), e);
	if (r == 0 && !at_once) {
		r = monitor_enter_network(l->config, e);
		if (r == 0)
			r = hooks_run_create(&l->state, e);
		if (r == 0)
			r = launch_start(&l->state, e);
	}
	if (r < 0) {
		struct error later = {0};

		launch_destroy(&l->state, &later);
		error_clear(&later);
		return r;
	}
	hooks_run_warn(l->g, &l->state, "poststart", STATUS_RUNNING);
	return 0;
}

/* Started and waited for by this process, which is its own monitor. */
int run_foreground(struct launch *l, const char *id, const char *pid_file, struct error *e)
{
	struct relay relay = {.id = id, .console = &l->console, .job_control = l->init};
	struct error later = {0};
	int r;

	l->foreground = true;
	relay_prepare(l->init);
	if (l->config->process.terminal)
		user_terminal_size(&l->rows, &l->cols);
	r = start_foreground(l, id, pid_file, e);
	if (r < 0) {
		e->exit_code = exec_exit_code(r, e->text, 0);
		return r;
	}
	relay.control = l->control;
	state_unlock(&l->state);
	log_debug("running");
	l->status = relay_run(&relay);
	log_debug("ended");
	if (state_lock(&l->state, &later) < 0)
		error_clear(&later);
	r = launch_destroy(&l->state, e);
	hooks_run_warn(l->g, &l->state, "poststop", STATUS_STOPPED);
	return r < 0 ? r : relay_exit_code(l->status);
}

static int run_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {0};
	struct config c = {0};
	struct launch l;
	int r = parse(&cmd_run, &o, argc, argv, e);

	if (r < 0)
		return r;
	r = load(&o, g, &c, &l, e);
	if (r == 0)
		r = check_terminal(&o, &c, o.detach, e);
	if (r == 0 && o.detach) {
		r = create(&o, &l, true, e);
		if (r < 0)
			e->exit_code = exec_exit_code(r, e->text, 0);
	} else if (r == 0) {
		r = run_foreground(&l, o.id, o.pid_file, e);
	}
	launch_free(&l);
	config_free(&c);
	return r;
}

const struct command cmd_create = {
    {"create", "ID", "create a container", .options = create_options}, create_main};
const struct command cmd_run = {
    {"run", "ID", "create and start a container, wait for its end", .options = run_options},
    run_main};
