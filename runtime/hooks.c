#include "runtime/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "runtime/spawn.h"

/* The strings of a JSON array as an argument vector; the array is owned by the caller. */
static char **vector(const json_t *list, const char *first)
{
	size_t n = json_array_size(list), used = 0;
	char **v = xmalloc((n + 2) * sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[used++] = (char *)json_string_value(json_array_get(list, i));
	if (used == 0 && first)
		v[used++] = (char *)first;
	v[used] = NULL;
	return v;
}

static int wait_hook(int pid, int64_t timeout_s, const char *path, struct error *e)
{
	SCOPED_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int status;

	if (timeout_s > 0 && pidfd >= 0 && poll(&p, 1, (int)timeout_s * 1000) == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error_set(e, -ETIMEDOUT, "hook %s took longer than %lld s", path,
				 (long long)timeout_s);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(e, -errno, "hook %s", path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return WIFSIGNALED(status)
		   ? error_set(e, -EIO, "hook %s was killed by signal %d", path, WTERMSIG(status))
		   : error_set(e, -EIO, "hook %s failed with exit code %d", path,
			       WEXITSTATUS(status));
}

static int run_one(const json_t *hook, const char *state_text, const char *bundle, struct error *e)
{
	const char *path = json_string_value(json_object_get(hook, "path"));
	SCOPED_FREE char **argv = vector(json_object_get(hook, "args"), path);
	SCOPED_FREE char **envp = vector(json_object_get(hook, "env"), NULL);
	struct spawn s = {.program = path,
			  .argv = argv,
			  .envp = envp,
			  .stdio = {-1, 2, 2},
			  .ctty = -1,
			  .cwd = bundle};
	int in[2], pid, r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_errno(e, -errno, "cannot make a pipe");
	s.stdio[0] = in[0];
	pid = spawn(&s, e);
	host_close(in[0]);
	/* The state is far smaller than a pipe's buffer, so this does not block. */
	r = pid < 0 ? pid : host_write_full(in[1], state_text, strlen(state_text));
	host_close(in[1]);
	if (pid < 0)
		return pid;
	if (r < 0 && r != -EPIPE) /* a hook need not read it */
		log_debug("hook %s: state not written: %s", path, strerror(-r));
	return wait_hook(pid, json_integer_value(json_object_get(hook, "timeout")), path, e);
}

static char *state_text(const struct state *st, enum container_status status)
{
	json_t *o = state_to_oci(st);
	int pid = status == STATUS_STOPPED ? 0 : st->monitor.pid ? st->monitor.pid : st->sentry.pid;
	char *text;

	json_object_set_new(o, "status", json_string(status_name(status)));
	json_object_set_new(o, "pid", json_integer(pid));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

int hooks_run(const struct state *st, const char *kind, enum container_status status,
	      struct error *e)
{
	const json_t *list = json_object_get(st->hooks, kind), *hook;
	SCOPED_FREE char *text = NULL;
	size_t i;

	if (json_array_size(list) == 0)
		return 0;
	text = state_text(st, status);
	json_array_foreach(list, i, hook)
	{
		int r = run_one(hook, text, st->bundle, e);

		if (r < 0)
			return error_wrap(e, "%s", kind);
	}
	return 0;
}

static const char *const at_create[] = {"prestart", "createRuntime", "createContainer"};

bool hooks_at_create(const json_t *hooks)
{
	for (size_t k = 0; k < ARRAY_SIZE(at_create); k++)
		if (json_array_size(json_object_get(hooks, at_create[k])))
			return true;
	return false;
}

int hooks_run_create(const struct state *st, struct error *e)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(at_create); k++)
		r = hooks_run(st, at_create[k], STATUS_CREATED, e);
	return r;
}

void hooks_run_warn(const struct global_options *g, const struct state *st, const char *kind,
		    enum container_status status)
{
	struct error e = {0};

	if (hooks_run(st, kind, status, &e) < 0)
		command_log(g, "warning", e.text);
	error_clear(&e);
}
