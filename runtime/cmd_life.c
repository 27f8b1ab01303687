/* start, kill, delete, wait, pause, resume: what happens to a container afterwards. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/hooks.h"
#include "runtime/launch.h"
#include "runtime/relay.h"

static int load_id(const struct command *cmd, const struct global_options *g, int argc, char **argv,
		   bool lock, struct state *st, struct error *e)
{
	int first = options_parse(&cmd->line, NULL, argc, argv, e);

	st->dir_fd = -1;
	return first < 0 ? first : state_load(g, argv[first], lock, st, e);
}

static int call(const struct state *st, json_t *request, struct error *e)
{
	SCOPED_FD int fd = client_connect(st, e);

	if (fd < 0) {
		json_decref(request);
		return fd;
	}
	return client_call(fd, request, NULL, 0, NULL, e);
}

static int start(struct state *st, struct error *e)
{
	enum container_status status = state_status(st);
	int r;

	if (status != STATUS_CREATED)
		return error_set(e, -EINVAL, "cannot start container \"%s\": it is %s, not created",
				 st->id, status_name(status));
	r = launch_start(st, e);
	if (r == 0)
		return 0;
	/* Nothing may be left running; the state stays for `delete`. */
	e->exit_code = exec_exit_code(r, e->text, 0);
	process_kill_wait(&st->sentry);
	process_kill_wait(&st->gofer);
	return r;
}

static int start_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct state st = {.dir_fd = -1};
	int r = load_id(&cmd_start, g, argc, argv, true, &st, e);

	if (r == 0)
		r = start(&st, e);
	if (r == 0)
		hooks_run_warn(g, &st, "poststart", STATUS_RUNNING);
	state_free(&st);
	return r;
}

const struct command cmd_start = {{"start", "ID", "start a created container"}, start_main};

static const struct {
	const char *name;
	int number;
} signals[] = {
    {"HUP", SIGHUP},	   {"INT", SIGINT},	{"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP},	   {"ABRT", SIGABRT},	{"IOT", SIGABRT},  {"BUS", SIGBUS},
    {"FPE", SIGFPE},	   {"KILL", SIGKILL},	{"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},	   {"PIPE", SIGPIPE},	{"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD},	{"CLD", SIGCHLD},  {"CONT", SIGCONT},
    {"STOP", SIGSTOP},	   {"TSTP", SIGTSTP},	{"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"URG", SIGURG},	   {"XCPU", SIGXCPU},	{"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},	   {"WINCH", SIGWINCH}, {"IO", SIGIO},	   {"POLL", SIGIO},
    {"PWR", SIGPWR},	   {"SYS", SIGSYS},	{"RTMIN", 34},	   {"RTMAX", 64},
};

/* "9", "KILL", "SIGKILL", "sigkill", "RTMIN+3" */
static int parse_signal(const char *text, struct error *e)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	char *end;
	long n = strtol(text, &end, 10);
	int offset = 0;

	if (*text && !*end)
		return n >= 0 && n <= 64 ? (int)n
					 : error_set(e, -EINVAL, "invalid signal %s", text);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		size_t len = strlen(signals[i].name);

		if (strncasecmp(signals[i].name, name, len) != 0)
			continue;
		if (!name[len])
			return signals[i].number;
		if (sscanf(name + len, "%d", &offset) == 1 && signals[i].number + offset >= 34 &&
		    signals[i].number + offset <= 64)
			return signals[i].number + offset;
	}
	return error_set(e, -EINVAL, "unknown signal \"%s\"", text);
}

static int send_signal(struct state *st, int sig, bool all, struct error *e)
{
	int r;

	if (state_status(st) == STATUS_STOPPED)
		return all && sig == SIGKILL
			   ? 0
			   : error_set(e, -ESRCH, "container \"%s\": container not running",
				       st->id);
	r = call(st,
		 json_pack("{ss,ss,si,si,sb}", "op", "signal", "id", st->id, "pid", 0, "signal",
			   sig, "all", all),
		 e);
	/* It ended while we asked: kill's contract has words for that. */
	if (r < 0 && state_status(st) == STATUS_STOPPED) {
		error_clear(e);
		return error_set(e, -ESRCH, "container \"%s\": container not running", st->id);
	}
	return r;
}

static int set_frozen(struct state *st, bool freeze, struct error *e)
{
	enum container_status status = state_status(st);
	int r;

	if (status != (freeze ? STATUS_RUNNING : STATUS_PAUSED))
		return error_set(e, -EINVAL, "cannot %s container \"%s\": it is %s",
				 freeze ? "pause" : "resume", st->id, status_name(status));
	r = cgroup_freeze(st->cgroup_dirs, freeze, e);
	if (r < 0)
		return r;
	st->paused = freeze;
	return state_save(st, e);
}

/* As runc: what is to die is thawed first. Another signal would have to wait for resume. */
static int wake_paused(const struct global_options *g, const char *id, int sig, struct error *e)
{
	struct state st = {.dir_fd = -1};
	int r = state_load(g, id, true, &st, e);

	if (r == 0 && state_status(&st) == STATUS_PAUSED)
		r = sig == SIGKILL
			? set_frozen(&st, false, e)
			: error_set(e, -EBUSY,
				    "container \"%s\" is paused: resume it, or send KILL", id);
	state_free(&st);
	return r;
}

struct kill_options {
	bool all;
};

static const struct option_def kill_options[] = {
    {"all", 'a', NULL, "to all processes of the container", OPT_FLAG(struct kill_options, all)},
    {0},
};

static int kill_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct kill_options o = {.all = false};
	struct state st = {.dir_fd = -1};
	int first = options_parse(&cmd_kill.line, &o, argc, argv, e), sig, r;

	if (first < 0)
		return first;
	sig = parse_signal(first + 1 < argc ? argv[first + 1] : "TERM", e);
	if (sig < 0)
		return sig;
	r = state_load(g, argv[first], false, &st, e);
	if (r == 0 && state_status(&st) == STATUS_PAUSED)
		r = wake_paused(g, argv[first], sig, e);
	if (r == 0)
		r = send_signal(&st, sig, o.all, e);
	state_free(&st);
	return r;
}

const struct command cmd_kill = {
    {"kill", "ID [SIGNAL]", "send a signal to the container's init (default: TERM)",
     .description = "SIGNAL is a number or a name: 9, KILL, SIGKILL, RTMIN+3.",
     .options = kill_options},
    kill_main};

static int delete_loaded(const struct global_options *g, struct state *st, bool force,
			 struct error *e)
{
	enum container_status status = state_status(st);
	int r;

	if (!force && status != STATUS_STOPPED && status != STATUS_CREATING)
		return error_set(e, -EBUSY,
				 "cannot delete container \"%s\": it is %s; stop it first or use "
				 "--force",
				 st->id, status_name(status));
	if (st->paused && st->cgroup_dirs) {
		struct error ignored = {0};

		/* A frozen process does not die. */
		if (cgroup_freeze(st->cgroup_dirs, false, &ignored) < 0)
			error_clear(&ignored);
	}
	r = launch_destroy(st, e);
	if (r == 0)
		hooks_run_warn(g, st, "poststop", STATUS_STOPPED);
	return r;
}

/* A command that hangs while it holds the lock waits for one of these. */
static void kill_unlocked(const struct global_options *g, const char *id)
{
	struct error ignored = {0};
	struct state st;

	if (state_load(g, id, false, &st, &ignored) == 0 && !state_try_lock(&st)) {
		process_kill_wait(&st.sentry);
		process_kill_wait(&st.gofer);
	}
	error_clear(&ignored);
	state_free(&st);
}

struct delete_options {
	bool force;
};

static const struct option_def delete_options[] = {
    {"force", 'f', NULL, "kill it if it runs; no error if there is none",
     OPT_FLAG(struct delete_options, force)},
    {0},
};

static int delete_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct delete_options o = {.force = false};
	struct state st = {.dir_fd = -1};
	int first = options_parse(&cmd_delete.line, &o, argc, argv, e), r;

	if (first < 0)
		return first;
	if (o.force)
		kill_unlocked(g, argv[first]);
	r = state_load(g, argv[first], true, &st, e);
	if (r == -ENOENT && o.force) {
		error_clear(e);
		r = 0;
	} else if (r == 0) {
		r = delete_loaded(g, &st, o.force, e);
	}
	state_free(&st);
	return r;
}

const struct command cmd_delete = {
    {"delete", "ID", "remove a stopped container", .options = delete_options}, delete_main};

/* Until the monitor is gone; its status is in the state directory then. */
static int wait_monitor(const struct state *st, struct error *e)
{
	SCOPED_FD int pidfd =
	    st->monitor.pid > 0 ? (int)syscall(SYS_pidfd_open, st->monitor.pid, 0) : -1;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int status;

	if (pidfd >= 0 && process_alive(&st->monitor))
		while (poll(&p, 1, -1) < 0 && errno == EINTR)
			;
	status = state_exit_status(st);
	if (status >= 0)
		return status;
	if (!st->monitor.pid)
		return error_set(e, -ESRCH, "container \"%s\" was never started", st->id);
	return SIGKILL; /* the monitor itself was killed */
}

static int wait_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct state st = {.dir_fd = -1};
	int r = load_id(&cmd_wait, g, argc, argv, false, &st, e);

	if (r == 0)
		r = wait_monitor(&st, e);
	if (r >= 0) {
		printf("%d\n", relay_exit_code(r));
		r = 0;
	}
	state_free(&st);
	return r;
}

const struct command cmd_wait = {
    {"wait", "ID", "wait for the container's end, print its exit code"}, wait_main};

static int freeze_main(const struct command *cmd, const struct global_options *g, int argc,
		       char **argv, bool freeze, struct error *e)
{
	struct state st = {.dir_fd = -1};
	int r = load_id(cmd, g, argc, argv, true, &st, e);

	if (r == 0)
		r = set_frozen(&st, freeze, e);
	state_free(&st);
	return r;
}

static int pause_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	return freeze_main(&cmd_pause, g, argc, argv, true, e);
}

static int resume_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	return freeze_main(&cmd_resume, g, argc, argv, false, e);
}

const struct command cmd_pause = {{"pause", "ID", "stop all processes of the container"},
				  pause_main};
const struct command cmd_resume = {{"resume", "ID", "let them go on"}, resume_main};
