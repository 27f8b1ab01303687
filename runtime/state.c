#include "runtime/state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/json_text.h"

#define STATE_MAX (4u << 20)

int check_id(const char *id, struct error *e)
{
	size_t n = strlen(id);

	if (n == 0 || n > 1024 || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return error_set(e, -EINVAL, "invalid container ID \"%s\"", id);
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_+-.", *p))
			return error_set(e, -EINVAL,
					 "invalid container ID \"%s\": only letters, digits and "
					 "_ + - . are allowed",
					 id);
	return 0;
}

const char *status_name(enum container_status s)
{
	static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

	return names[s];
}

static int make_root(const char *root, struct error *e)
{
	SCOPED_FREE char *copy = xstrdup(root);

	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0711) < 0 && errno != EEXIST)
			return error_errno(e, -errno, "--root: cannot make %s", copy);
		if (!c)
			return 0;
		*p = c;
	}
}

int state_lock(struct state *st, struct error *e)
{
	int r;

	do
		r = flock(st->dir_fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? error_errno(e, -errno, "cannot lock %s", st->dir) : 0;
}

bool state_try_lock(struct state *st)
{
	return flock(st->dir_fd, LOCK_EX | LOCK_NB) == 0;
}

void state_unlock(struct state *st)
{
	flock(st->dir_fd, LOCK_UN);
}

static void state_init(const struct global_options *g, const char *id, struct state *st)
{
	memset(st, 0, sizeof(*st));
	st->id = xstrdup(id);
	st->dir = xasprintf("%s/%s", g->root, id);
	st->dir_fd = -1;
}

int state_new(const struct global_options *g, const char *id, struct state *st, struct error *e)
{
	char stamp[64];
	struct timespec now;
	int r;

	state_init(g, id, st);
	r = make_root(g->root, e);
	if (r < 0)
		return r;
	if (mkdir(st->dir, 0700) < 0)
		return errno == EEXIST
			   ? error_set(e, -EEXIST, "container with ID \"%s\" exists already", id)
			   : error_errno(e, -errno, "cannot make %s", st->dir);
	st->dir_fd = host_openat(AT_FDCWD, st->dir, O_RDONLY | O_DIRECTORY, 0);
	if (st->dir_fd < 0)
		return error_errno(e, st->dir_fd, "open %s", st->dir);
	clock_gettime(CLOCK_REALTIME, &now);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime(&now.tv_sec));
	st->created = xasprintf("%s.%09ldZ", stamp, now.tv_nsec);
	st->owner = (int)geteuid();
	st->cgroup_dirs = json_array();
	return state_lock(st, e);
}

static json_t *ref_to_json(const struct process_ref *p)
{
	return json_pack("{si,sI}", "pid", p->pid, "startTime", (json_int_t)p->start_time);
}

static void ref_from_json(struct process_ref *p, const json_t *o)
{
	p->pid = (int)json_integer_value(json_object_get(o, "pid"));
	p->start_time = (uint64_t)json_integer_value(json_object_get(o, "startTime"));
}

static json_t *to_json(const struct state *st)
{
	json_t *o = json_pack(
	    "{ss,so*,so*,ss*,ss*,sO*,sO*,sO*,si,sb,sb,sb,so,so,so}", "id", st->id, "bundle",
	    json_readable(st->bundle), "rootfs", json_readable(st->rootfs), "created", st->created,
	    "cgroupPath", st->cgroup_path, "annotations", st->annotations, "cgroupDirs",
	    st->cgroup_dirs, "hooks", st->hooks, "owner", st->owner, "started", st->started,
	    "terminal", st->terminal, "paused", st->paused, "monitor", ref_to_json(&st->monitor),
	    "sentry", ref_to_json(&st->sentry), "gofer", ref_to_json(&st->gofer));

	return o;
}

int state_save(struct state *st, struct error *e)
{
	json_t *o = to_json(st);
	SCOPED_FREE char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
	SCOPED_FD int fd = -1;
	int r;

	json_decref(o);
	if (!text)
		return error_set(e, -ENOMEM, "cannot format the state");
	fd = host_openat(st->dir_fd, "state.json.new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	r = fd < 0 ? fd : host_write_full(fd, text, strlen(text));
	if (r == 0 && renameat(st->dir_fd, "state.json.new", st->dir_fd, "state.json") < 0)
		r = -errno;
	return r < 0 ? error_errno(e, r, "cannot write %s/state.json", st->dir) : 0;
}

static char *dup_string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? xstrdup(s) : NULL;
}

static void from_json(struct state *st, const json_t *o)
{
	st->bundle = dup_string(o, "bundle");
	st->rootfs = dup_string(o, "rootfs");
	st->created = dup_string(o, "created");
	st->cgroup_path = dup_string(o, "cgroupPath");
	st->annotations = json_incref(json_object_get(o, "annotations"));
	st->cgroup_dirs = json_incref(json_object_get(o, "cgroupDirs"));
	st->hooks = json_incref(json_object_get(o, "hooks"));
	st->owner = (int)json_integer_value(json_object_get(o, "owner"));
	st->started = json_is_true(json_object_get(o, "started"));
	st->terminal = json_is_true(json_object_get(o, "terminal"));
	st->paused = json_is_true(json_object_get(o, "paused"));
	ref_from_json(&st->monitor, json_object_get(o, "monitor"));
	ref_from_json(&st->sentry, json_object_get(o, "sentry"));
	ref_from_json(&st->gofer, json_object_get(o, "gofer"));
}

static int read_state(struct state *st, struct error *e)
{
	SCOPED_FREE char *text = NULL;
	json_error_t jerr;
	json_t *o;
	int r = host_read_file(st->dir_fd, "state.json", STATE_MAX, &text);

	if (r == -ENOENT)
		return 0; /* killed before it was written: there is only the directory */
	if (r < 0)
		return error_errno(e, r, "cannot read %s/state.json", st->dir);
	o = json_loads(text, 0, &jerr);
	if (!o)
		return error_set(e, -EINVAL, "%s/state.json: line %d: %s", st->dir, jerr.line,
				 jerr.text);
	from_json(st, o);
	json_decref(o);
	return 0;
}

int state_load(const struct global_options *g, const char *id, bool lock, struct state *st,
	       struct error *e)
{
	struct stat now;
	int r = check_id(id, e);

	state_init(g, id, st);
	if (r < 0)
		return r;
	st->dir_fd = host_openat(AT_FDCWD, st->dir, O_RDONLY | O_DIRECTORY, 0);
	if (st->dir_fd == -ENOENT)
		return error_set(e, -ENOENT, "container \"%s\" does not exist", id);
	if (st->dir_fd < 0)
		return error_errno(e, st->dir_fd, "open %s", st->dir);
	r = lock ? state_lock(st, e) : 0;
	/* It may have been deleted while we waited for the lock. */
	if (r == 0 && (fstat(st->dir_fd, &now) < 0 || now.st_nlink == 0))
		r = error_set(e, -ENOENT, "container \"%s\" does not exist", id);
	return r < 0 ? r : read_state(st, e);
}

int state_remove(struct state *st, struct error *e)
{
	int copy = openat(st->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(st->dir_fd, entry->d_name, 0);
	if (d)
		closedir(d);
	if (rmdir(st->dir) < 0 && errno != ENOENT)
		return error_errno(e, -errno, "cannot remove %s", st->dir);
	return 0;
}

void state_free(struct state *st)
{
	if (st->dir_fd >= 0)
		host_close(st->dir_fd);
	free(st->id);
	free(st->dir);
	free(st->bundle);
	free(st->rootfs);
	free(st->created);
	free(st->cgroup_path);
	json_decref(st->annotations);
	json_decref(st->cgroup_dirs);
	json_decref(st->hooks);
	memset(st, 0, sizeof(*st));
	st->dir_fd = -1;
}

enum container_status state_status(const struct state *st)
{
	if (!st->monitor.pid)
		return process_alive(&st->sentry) ? STATUS_CREATING : STATUS_STOPPED;
	if (!process_alive(&st->monitor) || !process_alive(&st->sentry))
		return STATUS_STOPPED;
	if (st->paused)
		return STATUS_PAUSED;
	return st->started ? STATUS_RUNNING : STATUS_CREATED;
}

json_t *state_to_oci(const struct state *st)
{
	enum container_status status = state_status(st);
	int pid = status == STATUS_STOPPED ? 0 : st->monitor.pid;

	return json_pack("{ss,ss,si,ss,ss,ss,ss,ss,sO*}", "ociVersion", OCI_VERSION, "id", st->id,
			 "pid", pid, "status", status_name(status), "bundle",
			 st->bundle ? st->bundle : "", "rootfs", st->rootfs ? st->rootfs : "",
			 "created", st->created ? st->created : "", "owner",
			 st->owner == 0 ? "root" : "", "annotations", st->annotations);
}

int state_exit_status(const struct state *st)
{
	SCOPED_FREE char *text = NULL;
	int r = host_read_file(st->dir_fd, "exit-status", 64, &text);

	if (r < 0)
		return r;
	return *text ? atoi(text) : -ENOENT; /* made, but not written: the monitor was killed */
}
