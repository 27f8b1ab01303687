#include "runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/log.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/exports.h"
#include "runtime/json_text.h"
#include "runtime/mountpoints.h"
#include "runtime/spawn.h"

static const char *const lean_env[] = {"MALLOC_ARENA_MAX=2", "MALLOC_TRIM_THRESHOLD_=131072", NULL};

/* --- exports ------------------------------------------------------------------------- */

static int make_mountpoints(const struct config *c, struct error *e)
{
	SCOPED_FD int root = host_openat(AT_FDCWD, c->rootfs, O_PATH | O_DIRECTORY, 0);

	if (root < 0) {
		SCOPED_FREE char *where = config_where(c, "root.path");

		return error_errno(e, root, "%s: %s", where, c->rootfs);
	}
	return mountpoints_make(root, c, e);
}

static int wrap_field(struct error *e, const struct config *c, const char *field)
{
	SCOPED_FREE char *where = config_where(c, field);

	return error_wrap(e, "%s", where);
}

static int open_exports(struct launch *l, struct exports *x, struct error *e)
{
	const struct config *c = l->config;
	/* The host's own root comes without its /proc, /sys and the like. */
	bool host_root = strcmp(c->rootfs, "/") == 0;
	int r = exports_add(x, c->rootfs, c->readonly || l->overlay, false, !host_root, e);

	if (r < 0)
		return wrap_field(e, c, "root.path");
	if (c->readonly && !l->overlay) {
		r = make_mountpoints(c, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct config_mount *m = &c->mounts[i];
		SCOPED_FREE char *path = NULL;

		if (!m->bind)
			continue;
		path = m->source[0] == '/' ? xstrdup(m->source)
					   : xasprintf("%s/%s", c->bundle, m->source);
		r = exports_add(x, path, m->flags & MS_RDONLY, true, m->flags & MS_REC, e);
		if (r < 0) {
			SCOPED_FREE char *field = xasprintf("mounts[%zu].source", i);

			return wrap_field(e, c, field);
		}
	}
	return 0;
}

/* --- the create request ---------------------------------------------------------------- */

static json_t *mount_request(const struct config_mount *m, const struct exports *x, size_t *next)
{
	json_t *o = json_pack("{ss,so,so,so,sI,sI}", "type", m->type, "source",
			      json_bytes(m->source ? m->source : "none"), "destination",
			      json_bytes(m->destination), "data", json_bytes(m->data), "flags",
			      (json_int_t)m->flags, "propagation", (json_int_t)m->propagation);

	if (m->bind) {
		json_object_set_new(o, "export", json_integer((json_int_t)*next));
		json_object_set_new(o, "shared", json_true());
		json_object_set_new(o, "file", json_boolean(x->list[*next].is_file));
		(*next)++;
	}
	return o;
}

static json_t *mounts_request(const struct config *c, const struct exports *x)
{
	json_t *list = json_array();
	size_t next = 1; /* export 0 is the root */

	for (size_t i = 0; i < c->nmounts; i++)
		json_array_append_new(list, mount_request(&c->mounts[i], x, &next));
	return list;
}

/* "0-3,7": 5 */
static int cpus_in_list(const char *list)
{
	int n = 0;

	while (*list) {
		char *end;
		long from = strtol(list, &end, 10), to = from;

		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		n += (int)max(to - from + 1, 0L);
		list = *end == ',' ? end + 1 : "";
	}
	return max(n, 1);
}

static unsigned int count_cpus(const struct config_limits *limits)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	int64_t period = limits->cpu_period > 0 ? limits->cpu_period : 100000;

	if (limits->cpus && *limits->cpus)
		n = min(n, cpus_in_list(limits->cpus));
	if (limits->cpu_quota > 0)
		n = (int)min((int64_t)n, (limits->cpu_quota + period - 1) / period);
	return (unsigned int)max(n, 1);
}

static json_t *list_or_empty(const json_t *list)
{
	return list ? json_deep_copy(list) : json_array();
}

static json_t *create_request(const struct launch *l, const struct exports *x)
{
	const struct config *c = l->config;
	const json_t *caps = json_object_get(c->process.request, "capabilities");
	json_t *root = json_pack("{si,ss,sb,sb}", "export", 0, "source", "rootfs", "readonly",
				 c->readonly, "overlay", l->overlay);

	return json_pack(
	    "{ss,ss,ss,ss,ss,sO*,sI,sI,si,sb,sb,so,so,so,so,so,sO*,sO}", "op", "create", "id",
	    l->state.id, "hostname", c->hostname ? c->hostname : "garrison", "domainname",
	    c->domainname ? c->domainname : "(none)", "cgroup",
	    l->state.cgroup_path ? l->state.cgroup_path : "/", "bound",
	    json_object_get(caps, "bounding"), "memoryLimit",
	    (json_int_t)max(c->limits.memory, (int64_t)0), "pidsLimit",
	    (json_int_t)max(c->limits.pids, (int64_t)0), "ncpus", count_cpus(&c->limits),
	    "terminal", c->process.terminal, "init", l->init, "root", root, "mounts",
	    mounts_request(c, x), "devices", list_or_empty(c->devices), "masked",
	    list_or_empty(c->masked), "readonly", list_or_empty(c->read_only_paths), "sysctl",
	    c->sysctl, "process", c->process.request);
}

/* Adds stdio or the terminal's slave behind the exports' channels. */
static int add_stdio(json_t *request, const struct launch *l, int *fds, int n)
{
	json_t *list;

	if (l->config->process.terminal) {
		json_object_set_new(request, "tty", json_integer(n));
		fds[n++] = l->console.slave;
		return n;
	}
	list = json_array();
	for (int i = 0; i < 3; i++) {
		json_array_append_new(list, json_integer(n));
		fds[n++] = i;
	}
	json_object_set_new(request, "stdio", list);
	return n;
}

static int send_create(struct launch *l, const struct exports *x, struct error *e)
{
	json_t *request = create_request(l, x);
	int fds[EXPORTS_MAX + 3], n = 0;

	if (!request)
		return error_set(e, -ENOMEM, "cannot build the request");
	for (size_t i = 0; i < x->n; i++)
		fds[n++] = x->list[i].sentry_end;
	n = add_stdio(request, l, fds, n);
	return client_send(l->control, request, fds, n, e);
}

/* --- processes ------------------------------------------------------------------------- */

static int open_log(const struct launch *l, struct error *e)
{
	const char *path = l->g->debug_log;
	int fd;

	if (!path && l->foreground)
		return fcntl(2, F_DUPFD_CLOEXEC, 3);
	if (path)
		fd = host_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0640);
	else
		fd = host_openat(l->state.dir_fd, "log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	return fd < 0 ? error_errno(e, fd, "cannot open the log %s", path ? path : "") : fd;
}

static int log_level(const struct global_options *g)
{
	return g->debug ? LOG_DEBUG : LOG_WARN;
}

/* A growing argument vector of formatted strings. */
struct args {
	char *v[2 * EXPORTS_MAX + 32];
	size_t n;
};

static void args_add(struct args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void args_add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	assert(a->n + 1 < ARRAY_SIZE(a->v));
	if (vasprintf(&a->v[a->n++], fmt, ap) < 0)
		panic("out of memory");
	va_end(ap);
}

static void args_free(struct args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
}

static int start_gofer(struct launch *l, const struct exports *x, int log_fd, struct error *e)
{
	struct args a = {0};
	int fds[2 * EXPORTS_MAX + 1];
	struct spawn s = {.program = "garrison-gofer",
			  .stdio = {-1, -1, -1},
			  .fds = fds,
			  .ctty = -1,
			  .envp = (char *const *)lean_env};
	int pid;

	args_add(&a, "garrison-gofer");
	args_add(&a, "--log-fd");
	args_add(&a, "%d", log_fd);
	args_add(&a, "--log-level");
	args_add(&a, "%d", log_level(l->g));
	fds[s.nfds++] = log_fd;
	for (size_t i = 0; i < x->n; i++) {
		const struct export *ex = &x->list[i];

		fds[s.nfds++] = ex->root;
		fds[s.nfds++] = ex->gofer_end;
		args_add(&a, "--export");
		args_add(&a, "%d:%d:%s,%s", ex->gofer_end, ex->root, ex->readonly ? "ro" : "rw",
			 ex->shared ? "shared" : "exclusive");
	}
	s.argv = a.v;
	pid = spawn(&s, e);
	args_free(&a);
	if (pid > 0)
		l->state.gofer = process_ref_of(pid);
	return min(pid, 0);
}

static int exec_sentry(struct launch *l, int control, int listen_fd, int log_fd, struct error *e)
{
	const int fds[] = {control, listen_fd, log_fd};
	struct args a = {0};
	struct spawn s = {.program = "garrison-sentry",
			  /* Sanitizers write to fd 2; they need the confinement off. */
			  .stdio = {-1, -1, l->g->no_confinement ? log_fd : -1},
			  .fds = fds,
			  .nfds = ARRAY_SIZE(fds),
			  .clone_flags = CLONE_NEWPID,
			  .ctty = -1,
			  .envp = (char *const *)lean_env};
	const json_t *oom = json_object_get(l->config->process.request, "oomScoreAdj");
	int pid;

	args_add(&a, "garrison-sentry");
	args_add(&a, "--control-fd=%d", control);
	args_add(&a, "--listen-fd=%d", listen_fd);
	args_add(&a, "--log-fd=%d", log_fd);
	args_add(&a, "--log-level=%d", log_level(l->g));
	args_add(&a, "--platform=%s", l->g->platform);
	args_add(&a, "--ncpus=%u", count_cpus(&l->config->limits));
	if (oom)
		args_add(&a, "--oom-score-adj=%d", (int)json_integer_value(oom));
	if (l->g->no_spin)
		args_add(&a, "--no-spin");
	if (l->g->strace)
		args_add(&a, "--strace");
	if (l->g->no_confinement)
		args_add(&a, "--unsafe-no-confinement");
	s.argv = a.v;
	pid = spawn(&s, e);
	args_free(&a);
	if (pid > 0)
		l->state.sentry = process_ref_of(pid);
	return min(pid, 0);
}

static int start_sentry(struct launch *l, int log_fd, struct error *e)
{
	SCOPED_FD int listen_fd = client_listen(&l->state, e);
	SCOPED_FD int theirs = -1;
	int pair[2];

	if (listen_fd < 0)
		return listen_fd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(e, -errno, "cannot make a socket");
	l->control = pair[0];
	theirs = pair[1];
	return exec_sentry(l, theirs, listen_fd, log_fd, e);
}

static int start_processes(struct launch *l, const struct exports *x, struct error *e)
{
	SCOPED_FD int log_fd = open_log(l, e);
	int r;

	if (log_fd < 0)
		return log_fd;
	/*
	 * Joining a cgroup may wait for an RCU grace period (10 ms and more), so it overlaps with
	 * the start of both. The sentry's first stub, if it was made before the sentry moved, is
	 * moved after it; everything later is born there.
	 */
	r = start_sentry(l, log_fd, e);
	if (r == 0)
		r = start_gofer(l, x, log_fd, e);
	return r == 0 ? cgroup_join_tree(&l->cgroup, l->state.sentry.pid, e) : r;
}

/* --- the whole ------------------------------------------------------------------------- */

static int make_cgroup(struct launch *l, struct error *e)
{
	const struct config *c = l->config;
	int r;

	if (l->no_cgroup)
		return 0;
	l->state.cgroup_path =
	    c->cgroups_path && *c->cgroups_path
		? xasprintf("%s%s", *c->cgroups_path == '/' ? "" : "/", c->cgroups_path)
		: xasprintf("/%s", l->state.id);
	json_decref(l->state.cgroup_dirs);
	l->state.cgroup_dirs = NULL;
	r = cgroup_dirs(l->state.cgroup_path, &l->state.cgroup_dirs, e);
	/* Noted before they are made, so that a delete finds them. */
	if (r == 0)
		r = state_save(&l->state, e);
	return r < 0 ? r : cgroup_make(l->state.cgroup_dirs, &c->limits, &l->cgroup, e);
}

static void note_config(struct launch *l)
{
	const struct config *c = l->config;

	l->state.bundle = xstrdup(c->bundle);
	l->state.rootfs = xstrdup(c->rootfs);
	l->state.annotations = json_incref((json_t *)c->annotations);
	l->state.hooks = json_incref((json_t *)c->hooks);
	l->state.terminal = c->process.terminal;
}

/* What exec without --process starts from. */
static int save_process(const struct launch *l, struct error *e)
{
	SCOPED_FREE char *text = json_dumps(l->config->process.request, JSON_COMPACT);
	SCOPED_FD int fd =
	    host_openat(l->state.dir_fd, "process.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int r = fd < 0 ? fd : host_write_full(fd, text, strlen(text));

	return r < 0 ? error_errno(e, r, "cannot write %s/process.json", l->state.dir) : 0;
}

static int prepare(struct launch *l, struct exports *x, struct error *e)
{
	int r;

	note_config(l);
	r = save_process(l, e);
	if (r == 0)
		r = make_cgroup(l, e);
	if (r == 0 && l->config->process.terminal)
		r = console_new(&l->console, l->rows, l->cols, e);
	return r == 0 ? open_exports(l, x, e) : r;
}

/* Before the start: a process that ends at once must not end unseen. */
static int wait_request(struct launch *l, struct error *e)
{
	return client_send(
	    l->control,
	    json_pack("{ss,ss,si,sb}", "op", "wait", "id", l->state.id, "pid", 0, "owner", 1), NULL,
	    0, e);
}

static int start_request(struct launch *l, struct error *e)
{
	return client_send(l->control, json_pack("{ss,ss}", "op", "start", "id", l->state.id), NULL,
			   0, e);
}

static int create(struct launch *l, struct exports *x, bool start, struct error *e)
{
	int r = prepare(l, x, e);

	log_debug("prepared");
	if (r == 0)
		r = start_processes(l, x, e);
	log_debug("sentry and gofer started");
	if (r == 0)
		r = send_create(l, x, e);
	if (r == 0)
		r = wait_request(l, e);
	if (r == 0 && start)
		r = start_request(l, e);
	/* Our copies of the channels would keep the gofer alive. */
	exports_close(x);
	if (r == 0)
		r = state_save(&l->state, e);
	if (r == 0)
		r = client_receive(l->control, NULL, e);
	if (r == 0 && start)
		r = client_receive(l->control, NULL, e);
	log_debug("created");
	return r;
}

/* A dead sentry's last words are in its log, which goes with the state. */
static void add_last_words(const struct launch *l, struct error *e)
{
	SCOPED_FREE char *text = NULL;
	char *end, *line;

	if (l->foreground || l->g->debug_log ||
	    host_read_file(l->state.dir_fd, "log", 1 << 20, &text) < 0)
		return;
	line = strstr(text, "panic: ");
	if (!line)
		line = strstr(text, "error: ");
	if (!line)
		return;
	end = strchrnul(line, '\n');
	*end = '\0';
	line = xasprintf("%s; it said: %s", e->text, line);
	free(e->text);
	e->text = line;
}

int launch_create(struct launch *l, const char *id, bool start, struct error *e)
{
	SCOPED_FREE struct exports *x = NEW(struct exports);
	int r;

	l->control = -1;
	l->console = (struct console){-1, -1};
	r = state_new(l->g, id, &l->state, e);
	if (r < 0)
		return r;
	if (l->foreground) {
		l->state.started = true;
		l->state.monitor = process_ref_of(getpid());
	}
	r = create(l, x, start, e);
	if (r < 0) {
		struct error later = {0};

		add_last_words(l, e);
		exports_close(x);
		launch_destroy(&l->state, &later);
		error_clear(&later);
	}
	return r;
}

int launch_start(struct state *st, struct error *e)
{
	SCOPED_FD int fd = client_connect(st, e);
	int r = fd;

	if (r >= 0)
		r = client_call(fd, json_pack("{ss,ss}", "op", "start", "id", st->id), NULL, 0,
				NULL, e);
	if (r < 0)
		return r;
	st->started = true;
	return state_save(st, e);
}

static void note(struct error *into, struct error *e)
{
	if (!into->text && e->text)
		*into = *e;
	else
		error_clear(e);
	*e = (struct error){0};
}

int launch_destroy(struct state *st, struct error *e)
{
	const struct process_ref *const all[] = {&st->sentry, &st->monitor, &st->gofer};
	struct error one = {0};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i]->pid == getpid())
			continue;
		r = process_kill_wait(all[i]);
		if (r < 0)
			error_errno(e, r, "cannot kill process %d", all[i]->pid);
	}
	if (st->cgroup_dirs && cgroup_remove(st->cgroup_dirs, &one) < 0)
		note(e, &one);
	if (e->text)
		return e->err; /* the state stays, so that delete can be tried again */
	return state_remove(st, e);
}

int write_pid_file(const char *path, int pid, struct error *e)
{
	SCOPED_FREE char *temp = NULL;
	char text[16];
	int fd, r;

	if (!path)
		return 0;
	temp = xasprintf("%s.new", path);
	fd = host_openat(AT_FDCWD, temp, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	snprintf(text, sizeof(text), "%d", pid);
	r = fd < 0 ? fd : host_write_full(fd, text, strlen(text));
	if (fd >= 0)
		host_close(fd);
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	return r < 0 ? error_errno(e, r, "--pid-file: cannot write %s", path) : 0;
}

int exec_exit_code(int err, const char *text, int otherwise)
{
	if (!text || strncmp(text, "exec", 4) != 0)
		return otherwise;
	if (err == -ENOENT || err == -ENOTDIR)
		return EXIT_NOT_FOUND;
	if (err == -EACCES || err == -ENOEXEC || err == -EISDIR)
		return EXIT_NOT_EXECUTABLE;
	return otherwise;
}

static int open_network(const struct config *c, struct error *e)
{
	int fd = host_openat(AT_FDCWD, c->net_path, O_RDONLY, 0);

	return fd < 0
		   ? error_errno(e, fd, "%s: linux.namespaces: network: %s", c->file, c->net_path)
		   : fd;
}

int launch_monitor(struct launch *l, const char *pid_file, struct error *e)
{
	const struct config *c = l->config;
	SCOPED_FD int fd = c->net_path ? open_network(c, e) : -1;
	struct monitor_network net = {.fresh = c->new_net && !c->net_path, .fd = max(fd, 0)};
	int r;

	if (c->net_path && fd < 0)
		return fd;
	r = monitor_start(&l->state, l->control, 0, l->console.slave, &l->cgroup, &net,
			  &l->state.monitor, e);
	if (r == 0)
		r = state_save(&l->state, e);
	return r == 0 ? write_pid_file(pid_file, l->state.monitor.pid, e) : r;
}

int monitor_enter_network(const struct config *c, struct error *e)
{
	SCOPED_FD int fd = c->net_path ? open_network(c, e) : -1;
	int r;

	if (c->net_path && fd < 0)
		return fd;
	r = fd >= 0 ? setns(fd, CLONE_NEWNET) : c->new_net ? unshare(CLONE_NEWNET) : 0;
	return r < 0 ? error_errno(e, -errno, "%s: linux.namespaces: network", c->file) : 0;
}

void launch_free(struct launch *l)
{
	if (l->control >= 0)
		host_close(l->control);
	cgroup_close(&l->cgroup);
	console_close(&l->console);
	state_free(&l->state);
}
