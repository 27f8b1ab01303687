/* The `garrison` command: global options, then one of the commands in the table. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "runtime/command.h"
#include "runtime/json_text.h"

static const struct command *const commands[] = {
    &cmd_run,	 &cmd_create, &cmd_start, &cmd_exec,	 &cmd_do,	  &cmd_kill,	&cmd_wait,
    &cmd_delete, &cmd_state,  &cmd_list,  &cmd_ps,	 &cmd_pause,	  &cmd_resume,	&cmd_update,
    &cmd_events, &cmd_debug,  &cmd_spec,  &cmd_features, &cmd_checkpoint, &cmd_restore,
};

static int choose(const char *option, const char *value, const char *a, const char *b,
		  struct error *e)
{
	if (strcmp(value, a) == 0)
		return 0;
	if (strcmp(value, b) == 0)
		return 1;
	return error_set(e, -EINVAL, "--%s %s: must be %s or %s", option, value, a, b);
}

static int set_log_format(void *to, const char *arg, struct error *e)
{
	struct global_options *g = to;
	int r = choose("log-format", arg, "text", "json", e);

	g->log_json = r == 1;
	return min(r, 0);
}

static int set_platform(void *to, const char *arg, struct error *e)
{
	((struct global_options *)to)->platform = arg;
	return min(choose("platform", arg, "systrap", "ptrace", e), 0);
}

static int set_overlay(void *to, const char *arg, struct error *e)
{
	int r = choose("overlay", arg, "memory", "none", e);

	((struct global_options *)to)->overlay_memory = r == 0;
	return min(r, 0);
}

static int set_cgroup_manager(void *to, const char *arg, struct error *e)
{
	return min(choose("cgroup-manager", arg, "cgroupfs", "disabled", e), 0);
}

static int refuse_systemd(void *to, const char *arg, struct error *e)
{
	return error_set(e, -ENOTSUP,
			 "--systemd-cgroup: the systemd driver is not supported yet; use the "
			 "cgroupfs driver");
}

static int show_version(void *to, const char *arg, struct error *e)
{
	printf("garrison version %s\nspec: %s\n", GARRISON_VERSION, OCI_VERSION);
	exit(0);
}

static int show_overview(void *to, const char *arg, struct error *e);

static const struct option_def global_options[] = {
    {"root", 0, "DIR", "where state is kept (default: /run/garrison)",
     OPT_STRING(struct global_options, root)},
    {"log", 0, "FILE", "write errors to FILE as well", OPT_STRING(struct global_options, log)},
    {"log-format", 0, "text|json", "the format of that file (default: text)", .fn = set_log_format},
    {"debug", 0, NULL, "log more", OPT_FLAG(struct global_options, debug)},
    {"debug-log", 0, "FILE", "where the logs of all processes go (default: stderr)",
     OPT_STRING(struct global_options, debug_log)},
    {"strace", 0, NULL, "log every system call of the guest",
     OPT_FLAG(struct global_options, strace)},
    {"platform", 0, "systrap|ptrace", "how system calls are caught", .fn = set_platform},
    {"overlay", 0, "memory|none", "memory: keep writes to the root file system in memory",
     .fn = set_overlay},
    {"systemd-cgroup", 0, NULL, NULL, .fn = refuse_systemd},
    {"cgroup-manager", 0, "cgroupfs|disabled", NULL, .fn = set_cgroup_manager},
    {"no-spin", 0, NULL, "never spin while waiting for the other side",
     OPT_FLAG(struct global_options, no_spin)},
    {"unsafe-no-confinement", 0, NULL, "for debugging: our processes keep their privileges",
     OPT_FLAG(struct global_options, no_confinement)},
    {"version", 'v', NULL, "print the versions", .fn = show_version},
    {"help", 'h', NULL, "this text; garrison COMMAND --help tells of a command's options",
     .fn = show_overview},
    {0},
};

static const struct command_line garrison = {
    .name = "",
    .arguments = "COMMAND...",
    .summary = "Runs containers on a kernel in user space.",
    .options = global_options,
};

static int show_overview(void *to, const char *arg, struct error *e)
{
	options_help(&garrison);
	printf("\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command_line *l = &commands[i]->line;

		printf("  %-10s %-26s %s\n", l->name, l->arguments ? l->arguments : "", l->summary);
	}
	exit(0);
}

static char *log_line(const struct global_options *g, const char *level, const char *text,
		      const char *stamp)
{
	SCOPED_FREE char *quoted = NULL;
	json_t *msg = json_readable(text), *o;
	char *line;

	if (!g->log_json) {
		quoted = json_dumps(msg, JSON_ENCODE_ANY);
		json_decref(msg);
		return xasprintf("time=\"%s\" level=%s msg=%s", stamp, level, quoted);
	}
	o = json_pack("{ss,so,ss}", "level", level, "msg", msg, "time", stamp);
	line = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return line;
}

void command_log(const struct global_options *g, const char *level, const char *text)
{
	SCOPED_FREE char *line = NULL;
	char stamp[32];
	time_t now = time(NULL);
	int fd;

	if (!g->log)
		return;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	line = log_line(g, level, text, stamp);
	fd = host_openat(AT_FDCWD, g->log, O_WRONLY | O_APPEND | O_CREAT, 0644);
	if (fd < 0 || !line) {
		fprintf(stderr, "garrison: cannot write the log %s: %s\n", g->log, strerror(-fd));
		return;
	}
	dprintf(fd, "%s\n", line);
	host_close(fd);
}

static int report(const struct global_options *g, int r, struct error *e)
{
	const char *text = e->text ? e->text : strerror(-r);
	int code = e->exit_code ? e->exit_code : 1;

	command_log(g, "error", text);
	fprintf(stderr, "garrison: %s\n", text);
	error_clear(e);
	return code;
}

static int dispatch(struct global_options *g, int argc, char **argv, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->line.name, argv[0]) == 0)
			return commands[i]->fn(g, argc, argv, e);
	return error_set(e, -EINVAL, "unknown command \"%s\"; see garrison --help", argv[0]);
}

/* Before anything is done: an engine that cannot read the log would be told nothing. */
static int check_log(struct global_options *g, struct error *e)
{
	const char *path = g->log;
	int fd = path ? host_openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT, 0644) : -1;

	if (!path)
		return 0;
	if (fd >= 0)
		return host_close(fd), 0;
	g->log = NULL;
	return error_errno(e, fd, "--log: cannot open %s", path);
}

/* Engines may start us with 0, 1 or 2 closed; then a file of ours would get that number. */
static void open_standard_fds(void)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++)
		if (host_fstat(fd, &st) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(1);
}

int main(int argc, char **argv)
{
	struct global_options g = {.platform = "systrap"};
	struct error e = {0};
	int first, r;

	open_standard_fds();
	/* What a careless caller left open must not reach our long-lived processes. */
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		log_debug("cannot mark inherited fds");
	signal(SIGPIPE, SIG_IGN);
	first = options_parse(&garrison, &g, argc, argv, &e);
	r = min(first, 0);
	if (!g.root)
		g.root = getenv("GARRISON_ROOT");
	if (!g.root)
		g.root = "/run/garrison";
	if (r == 0)
		r = check_log(&g, &e);
	if (r == 0)
		log_init("garrison", 2, g.debug ? LOG_DEBUG : LOG_WARN);
	log_debug("started");
	if (r == 0)
		r = dispatch(&g, argc - first, argv + first, &e);
	log_debug("done");
	return r < 0 ? report(&g, r, &e) : r;
}
