/* The `garrison` command: global options, then one of the commands in the table. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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

static const struct command {
	const char *name;
	cmd_fn *fn;
	const char *usage, *summary;
} commands[] = {
    {"run", cmd_run, "[options] ID", "create and start a container, wait for its end"},
    {"create", cmd_create, "[options] ID", "create a container"},
    {"start", cmd_start, "ID", "start a created container"},
    {"exec", cmd_exec, "[options] ID [--] COMMAND...", "run a command in a container"},
    {"do", cmd_do, "[options] [--] COMMAND...", "run a command in a sandbox of its own"},
    {"kill", cmd_kill, "[--all] ID [SIGNAL]", "send a signal (default: TERM)"},
    {"wait", cmd_wait, "ID", "wait for the container's end, print its exit code"},
    {"delete", cmd_delete, "[--force] ID", "remove a stopped container"},
    {"state", cmd_state, "ID", "print the state as JSON"},
    {"list", cmd_list, "[--quiet] [--format json|table]", "list containers"},
    {"ps", cmd_ps, "[--format json|table] ID", "list the container's processes"},
    {"pause", cmd_pause, "ID", "stop all processes of the container"},
    {"resume", cmd_resume, "ID", "let them go on"},
    {"debug", cmd_debug, "ID", "print the container's tasks and their system calls"},
    {"spec", cmd_spec, "[--bundle DIR]", "write a default config.json"},
    {"features", cmd_features, "", "print the supported OCI features as JSON"},
};

static void usage(FILE *out)
{
	fprintf(out, "usage: garrison [global options] COMMAND [options] [arguments]\n\n"
		     "Runs containers on a kernel in user space.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-9s %-33s %s\n", commands[i].name, commands[i].usage,
			commands[i].summary);
	fprintf(out,
		"\nGlobal options:\n"
		"  --root DIR              state directory (default /run/garrison)\n"
		"  --log FILE              write errors to FILE as well\n"
		"  --log-format text|json  (default text)\n"
		"  --debug                 log more\n"
		"  --debug-log FILE        where the logs of all processes go (default stderr)\n"
		"  --strace                log every system call of the guest\n"
		"  --platform systrap|ptrace\n"
		"  --overlay memory        keep writes to the root file system in memory\n"
		"  --version, --help\n");
}

enum {
	OPT_ROOT = 256,
	OPT_LOG,
	OPT_LOG_FORMAT,
	OPT_DEBUG,
	OPT_DEBUG_LOG,
	OPT_STRACE,
	OPT_PLATFORM,
	OPT_OVERLAY,
	OPT_SYSTEMD,
	OPT_NO_SPIN,
	OPT_NO_CONFINE,
	OPT_CGROUP_MANAGER,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
    {"root", required_argument, NULL, OPT_ROOT},
    {"log", required_argument, NULL, OPT_LOG},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"debug", no_argument, NULL, OPT_DEBUG},
    {"debug-log", required_argument, NULL, OPT_DEBUG_LOG},
    {"strace", no_argument, NULL, OPT_STRACE},
    {"platform", required_argument, NULL, OPT_PLATFORM},
    {"overlay", required_argument, NULL, OPT_OVERLAY},
    {"systemd-cgroup", no_argument, NULL, OPT_SYSTEMD},
    {"cgroup-manager", required_argument, NULL, OPT_CGROUP_MANAGER},
    {"no-spin", no_argument, NULL, OPT_NO_SPIN},
    {"unsafe-no-confinement", no_argument, NULL, OPT_NO_CONFINE},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int choose(const char *option, const char *value, const char *a, const char *b,
		  struct error *e)
{
	if (strcmp(value, a) == 0)
		return 0;
	if (b && strcmp(value, b) == 0)
		return 1;
	return error_set(e, -EINVAL, "--%s %s: must be %s%s%s", option, value, a, b ? " or " : "",
			 b ? b : "");
}

static int set_mode(struct global_options *g, int c, const char *arg, struct error *e)
{
	int r = 0;

	switch (c) {
	case OPT_LOG_FORMAT:
		r = choose("log-format", arg, "text", "json", e);
		g->log_json = r == 1;
		break;
	case OPT_PLATFORM:
		r = choose("platform", arg, "systrap", "ptrace", e);
		g->platform = arg;
		break;
	case OPT_OVERLAY:
		r = choose("overlay", arg, "memory", "none", e);
		g->overlay_memory = r == 0;
		break;
	case OPT_SYSTEMD:
		return error_set(e, -ENOTSUP,
				 "--systemd-cgroup: the systemd driver is not supported yet; use "
				 "the cgroupfs driver");
	case OPT_CGROUP_MANAGER:
		r = choose("cgroup-manager", arg, "cgroupfs", "disabled", e);
		break;
	}
	return min(r, 0);
}

static int set_option(struct global_options *g, int c, const char *arg, struct error *e)
{
	switch (c) {
	case OPT_ROOT:
		g->root = arg;
		return 0;
	case OPT_LOG:
		g->log = arg;
		return 0;
	case OPT_DEBUG:
		g->debug = true;
		return 0;
	case OPT_DEBUG_LOG:
		g->debug_log = arg;
		return 0;
	case OPT_STRACE:
		g->strace = true;
		return 0;
	case OPT_NO_SPIN:
		g->no_spin = true;
		return 0;
	case OPT_NO_CONFINE:
		g->no_confinement = true;
		return 0;
	case OPT_VERSION:
		printf("garrison version %s\nspec: %s\n", GARRISON_VERSION, OCI_VERSION);
		exit(0);
	case OPT_HELP:
		usage(stdout);
		exit(0);
	case '?':
		return error_set(e, -EINVAL,
				 "unknown or incomplete global option; see garrison "
				 "--help");
	}
	return set_mode(g, c, arg, e);
}

static int parse(struct global_options *g, int argc, char **argv, struct error *e)
{
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "+", long_options, NULL)) != -1)
		r = set_option(g, c, optarg, e);
	return r;
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
	if (g->log_json) {
		json_t *o = json_pack("{ss,ss,ss}", "level", level, "msg", text, "time", stamp);

		line = o ? json_dumps(o, JSON_COMPACT) : NULL;
		json_decref(o);
	} else {
		line = xasprintf("time=\"%s\" level=%s msg=\"%s\"", stamp, level, text);
	}
	fd = host_openat(AT_FDCWD, g->log, O_WRONLY | O_APPEND | O_CREAT, 0644);
	if (fd < 0 || !line) {
		fprintf(stderr, "garrison: cannot write the log %s: %s\n", g->log, strerror(-fd));
		return;
	}
	dprintf(fd, "%s\n", line);
	host_close(fd);
}

int command_id(int argc, char **argv, int index, const char **id, struct error *e)
{
	if (index >= argc)
		return error_set(e, -EINVAL, "%s: container ID missing", argv[0]);
	if (index + 1 < argc)
		return error_set(e, -EINVAL, "%s: unexpected argument \"%s\" behind the ID",
				 argv[0], argv[index + 1]);
	*id = argv[index];
	return 0;
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
	if (argc < 1) {
		usage(stderr);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[0]) != 0)
			continue;
		optind = 0; /* getopt starts anew, with "+" */
		return commands[i].fn(g, argc, argv, e);
	}
	return error_set(e, -EINVAL, "unknown command \"%s\"; see garrison --help", argv[0]);
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
	int r;

	open_standard_fds();
	/* What a careless caller left open must not reach our long-lived processes. */
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		log_debug("cannot mark inherited fds");
	signal(SIGPIPE, SIG_IGN);
	r = parse(&g, argc, argv, &e);
	if (!g.root)
		g.root = getenv("GARRISON_ROOT");
	if (!g.root)
		g.root = "/run/garrison";
	if (r == 0)
		log_init("garrison", 2, g.debug ? LOG_DEBUG : LOG_WARN);
	log_debug("started");
	if (r == 0)
		r = dispatch(&g, argc - optind, argv + optind, &e);
	log_debug("done");
	return r < 0 ? report(&g, r, &e) : r;
}
