/* state, list, debug: what is there, for people and for engines. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/launch.h"
#include "runtime/show.h"

void print_json(json_t *o)
{
	SCOPED_FREE char *text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	puts(text ? text : "null");
	json_decref(o);
}

int show_format(const char *format, bool *json, struct error *e)
{
	*json = strcmp(format, "json") == 0;
	if (*json || strcmp(format, "table") == 0)
		return 0;
	return error_set(e, -EINVAL, "--format %s: must be table or json", format);
}

static int state_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct state st = {.dir_fd = -1};
	int r = options_parse(&cmd_state.line, NULL, argc, argv, e);

	if (r >= 0)
		r = state_load(g, argv[r], false, &st, e);
	if (r == 0)
		print_json(state_to_oci(&st));
	state_free(&st);
	return r;
}

const struct command cmd_state = {{"state", "ID", "print the state as JSON"}, state_main};

struct list_options {
	bool quiet;
	const char *format;
};

static const struct option_def list_options[] = {
    {"quiet", 'q', NULL, "IDs only", OPT_FLAG(struct list_options, quiet)},
    {"format", 'f', "table|json", "(default: table)", OPT_STRING(struct list_options, format)},
    {0},
};

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

static void list_one(const struct list_options *o, const struct state *st, json_t *all)
{
	json_t *s = state_to_oci(st);

	if (all) {
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

static int list_all(const struct global_options *g, const struct list_options *o, json_t *all,
		    struct error *e)
{
	DIR *d = opendir(g->root);
	struct dirent *entry;

	if (!d && errno != ENOENT)
		return error_errno(e, -errno, "cannot read %s", g->root);
	if (!all && !o->quiet)
		printf("%-28s %-8s %-10s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
	while (d && (entry = readdir(d))) {
		struct state st = {.dir_fd = -1};
		struct error gone = {0};

		if (entry->d_name[0] == '.')
			continue;
		if (state_load(g, entry->d_name, false, &st, &gone) < 0)
			error_clear(&gone); /* deleted meanwhile */
		else if (!prune(&st))
			list_one(o, &st, all);
		state_free(&st);
	}
	if (d)
		closedir(d);
	return 0;
}

static int list_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct list_options o = {.format = "table"};
	int r = options_parse(&cmd_list.line, &o, argc, argv, e);
	json_t *all;
	bool json;

	if (r < 0)
		return r;
	r = show_format(o.format, &json, e);
	if (r < 0)
		return error_wrap(e, "list");
	all = json ? json_array() : NULL;
	r = list_all(g, &o, all, e);
	if (r == 0 && json)
		print_json(json_incref(all));
	json_decref(all);
	return r;
}

const struct command cmd_list = {{"list", NULL, "list containers", .options = list_options},
				 list_main};

static int debug_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct state st = {.dir_fd = -1};
	json_t *answer = NULL;
	int r = options_parse(&cmd_debug.line, NULL, argc, argv, e);

	if (r >= 0)
		r = state_load(g, argv[r], false, &st, e);
	if (r == 0)
		r = client_ask(&st, "debug", &answer, e);
	if (r == 0)
		fputs(json_string_value(json_object_get(answer, "text")), stdout);
	json_decref(answer);
	state_free(&st);
	return r;
}

const struct command cmd_debug = {
    {"debug", "ID", "print the container's tasks and their system calls"}, debug_main};
