/*
 * events: statistics at intervals, and a line when the container runs out of
 * memory, in runc's JSON, one object a line, until the container has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/cgroup_stats.h"
#include "runtime/command.h"
#include "runtime/show.h"
#include "runtime/state.h"

struct options {
	bool stats;
	int64_t interval_ms;
};

/* As Go writes durations: "5s", "1m30s", "100ms"; a plain number is seconds. */
static int set_interval(void *to, const char *arg, struct error *e)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"", 1000}};
	struct options *o = to;
	const char *p = arg;

	o->interval_ms = 0;
	do {
		char *end;
		double n = strtod(p, &end);
		size_t len = strcspn(end, "0123456789."), i = 0;

		while (i < ARRAY_SIZE(units) &&
		       (strncmp(units[i].name, end, len) != 0 || units[i].name[len]))
			i++;
		if (end == p || i == ARRAY_SIZE(units) || !(n >= 0 && n < 1e9))
			return error_set(e, -EINVAL, "--interval %s: must be like 5s or 100ms",
					 arg);
		o->interval_ms += (int64_t)(n * (double)units[i].ms);
		p = end + len;
	} while (*p);
	if (o->interval_ms < 1 || o->interval_ms > INT32_MAX)
		return error_set(e, -EINVAL, "--interval %s: out of range", arg);
	return 0;
}

static const struct option_def events_options[] = {
    {"stats", 0, NULL, "print the statistics once", OPT_FLAG(struct options, stats)},
    {"interval", 0, "TIME", "between two statistics (default: 5s)", .fn = set_interval},
    {0},
};

static void print_event(const struct state *st, const char *type, json_t *data)
{
	json_t *o = json_pack("{ss,ss,so*}", "type", type, "id", st->id, "data", data);
	SCOPED_FREE char *text = json_dumps(o, JSON_COMPACT);

	puts(text);
	fflush(stdout);
	json_decref(o);
}

/* An fd that becomes readable when the container runs out of memory, or -1. */
static int watch_memory(const struct state *st)
{
	const json_t *v;
	size_t i;

	json_array_foreach(st->cgroup_dirs, i, v)
	{
		SCOPED_FREE char *control =
		    xasprintf("%s/memory.oom_control", json_string_value(v));
		SCOPED_FREE char *events = xasprintf("%s/memory.events", json_string_value(v));
		SCOPED_FREE char *registry =
		    xasprintf("%s/cgroup.event_control", json_string_value(v));
		SCOPED_FREE char *text = NULL;
		SCOPED_FD int control_fd = host_openat(AT_FDCWD, control, O_RDONLY, 0);
		int fd;

		if (access(events, F_OK) == 0) {
			fd = inotify_init1(IN_CLOEXEC);
			return inotify_add_watch(fd, events, IN_MODIFY) < 0 ? -1 : fd;
		}
		if (control_fd < 0)
			continue;
		fd = eventfd(0, EFD_CLOEXEC);
		text = xasprintf("%d %d", fd, control_fd);
		return host_write_file(AT_FDCWD, registry, text) < 0 ? -1 : fd;
	}
	return -1;
}

static int follow(const struct state *st, const struct options *o)
{
	SCOPED_FD int monitor = (int)syscall(SYS_pidfd_open, st->monitor.pid, 0);
	SCOPED_FD int memory = watch_memory(st);
	struct pollfd p[2] = {{.fd = monitor, .events = POLLIN}, {.fd = memory, .events = POLLIN}};
	int64_t next = 0, now;

	while (process_alive(&st->monitor)) {
		char buf[4096];

		now = (int64_t)(host_monotonic_ns() / NSEC_PER_MSEC);
		if (now >= next) {
			print_event(st, "stats", cgroup_stats(st->cgroup_dirs));
			next = now + o->interval_ms;
		}
		if (poll(p, 2, (int)(next - now)) < 0 || p[0].revents)
			continue;
		if (p[1].revents && host_read(memory, buf, sizeof(buf)) > 0)
			print_event(st, "oom", NULL);
	}
	return 0;
}

static int events_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.interval_ms = 5000};
	struct state st = {.dir_fd = -1};
	int r = options_parse(&cmd_events.line, &o, argc, argv, e);

	if (r >= 0)
		r = state_load(g, argv[r], false, &st, e);
	if (r == 0 && state_status(&st) == STATUS_STOPPED)
		r = error_set(e, -ESRCH, "container \"%s\": container not running", st.id);
	else if (r == 0 && o.stats)
		print_event(&st, "stats", cgroup_stats(st.cgroup_dirs));
	else if (r == 0)
		r = follow(&st, &o);
	state_free(&st);
	return r;
}

const struct command cmd_events = {
    {"events", "ID", "print statistics and out-of-memory events", .options = events_options},
    events_main};
