/* state, list, ps, debug: what is there, for people and for engines. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/launch.h"

static void print_json(json_t *o)
{
	SCOPED_FREE char *text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	puts(text ? text : "null");
	json_decref(o);
}

int cmd_state(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct state st = {.dir_fd = -1};
	const char *id;
	int r = command_id(argc, argv, 1, &id, e);

	if (r == 0)
		r = state_load(g, id, false, &st, e);
	if (r == 0)
		print_json(state_to_oci(&st));
	state_free(&st);
	return r;
}

/* "json" or "table" for -f/--format, -q for list. */
struct show_options {
	bool json, quiet;
};

static int parse_show(struct show_options *o, int argc, char **argv, struct error *e)
{
	static const struct option long_options[] = {
	    {"format", required_argument, NULL, 'f'}, {"quiet", no_argument, NULL, 'q'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "+f:q", long_options, NULL)) != -1) {
		if (c == 'q')
			o->quiet = true;
		else if (c != 'f')
			return error_set(e, -EINVAL, "%s: unknown option", argv[0]);
		else if (strcmp(optarg, "json") == 0)
			o->json = true;
		else if (strcmp(optarg, "table") != 0)
			return error_set(e, -EINVAL, "%s: --format must be json or table", argv[0]);
	}
	return 0;
}

/* What a killed `do` left: nobody else will remove it. */
static bool prune(struct state *st)
{
	struct error ignored = {0};
	bool stale = strncmp(st->id, "do-", 3) == 0 && state_status(st) == STATUS_STOPPED &&
		     state_try_lock(st);

	if (stale && launch_destroy(st, &ignored) < 0)
		error_clear(&ignored);
	return stale;
}

static void list_one(const struct show_options *o, const struct state *st, json_t *all)
{
	json_t *s = state_to_oci(st);

	if (o->json) {
		json_array_append_new(all, s);
		return;
	}
	if (o->quiet)
		puts(st->id);
	else
		printf("%-28s %-8d %-10s %-40s %s\n", st->id,
		       (int)json_integer_value(json_object_get(s, "pid")),
		       json_string_value(json_object_get(s, "status")),
		       st->bundle ? st->bundle : "", st->created ? st->created : "");
	json_decref(s);
}

int cmd_list(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct show_options o = {0};
	int r = parse_show(&o, argc, argv, e);
	DIR *d = r == 0 ? opendir(g->root) : NULL;
	json_t *all = json_array();
	struct dirent *entry;

	if (r == 0 && !d && errno != ENOENT)
		r = error_errno(e, -errno, "cannot read %s", g->root);
	if (r == 0 && !o.json && !o.quiet)
		printf("%-28s %-8s %-10s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
	while (d && (entry = readdir(d))) {
		struct state st = {.dir_fd = -1};
		struct error gone = {0};

		if (entry->d_name[0] == '.')
			continue;
		if (state_load(g, entry->d_name, false, &st, &gone) < 0)
			error_clear(&gone); /* deleted meanwhile */
		else if (!prune(&st))
			list_one(&o, &st, all);
		state_free(&st);
	}
	if (d)
		closedir(d);
	if (r == 0 && o.json)
		print_json(json_incref(all));
	json_decref(all);
	return r;
}

/* One request about a running container, answered by its sentry. */
static int ask(const struct state *st, const char *op, json_t **answer, struct error *e)
{
	SCOPED_FD int fd = client_connect(st, e);

	if (fd < 0)
		return fd;
	return client_call(fd, json_pack("{ss,ss}", "op", op, "id", st->id), NULL, 0, answer, e);
}

static void print_processes(const json_t *list)
{
	const json_t *p;
	size_t i;

	printf("%-8s %s\n", "PID", "COMMAND");
	json_array_foreach(list, i, p)
	    printf("%-8d %s\n", (int)json_integer_value(json_object_get(p, "pid")),
		   json_string_value(json_object_get(p, "comm")));
}

/* Engines expect host pids in the JSON: the container's one process there is the monitor. */
static void print_host_pids(const struct state *st)
{
	json_t *list = json_array();

	json_array_append_new(list, json_integer(st->monitor.pid));
	print_json(list);
}

int cmd_ps(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct show_options o = {0};
	struct state st = {.dir_fd = -1};
	json_t *answer = NULL;
	int r = parse_show(&o, argc, argv, e);

	if (r == 0 && optind >= argc)
		r = error_set(e, -EINVAL, "ps: container ID missing");
	if (r == 0)
		r = state_load(g, argv[optind], false, &st, e);
	if (r == 0)
		r = ask(&st, "ps", &answer, e);
	if (r == 0 && o.json)
		print_host_pids(&st);
	else if (r == 0)
		print_processes(json_object_get(answer, "processes"));
	json_decref(answer);
	state_free(&st);
	return r;
}

int cmd_debug(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct state st = {.dir_fd = -1};
	json_t *answer = NULL;
	const char *id;
	int r = command_id(argc, argv, 1, &id, e);

	if (r == 0)
		r = state_load(g, id, false, &st, e);
	if (r == 0)
		r = ask(&st, "debug", &answer, e);
	if (r == 0)
		fputs(json_string_value(json_object_get(answer, "text")), stdout);
	json_decref(answer);
	state_free(&st);
	return r;
}
