#include "runtime/process_options.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/config.h"
#include "runtime/json_text.h"

const struct option_def process_options_table[] = {
    {"tty", 't', NULL, "give it a terminal", OPT_FLAG(struct process_options, tty)},
    {"env", 'e', "NAME[=VALUE]", "set an environment variable (without VALUE: as it is here)",
     OPT_LIST(struct process_options, env)},
    {"cwd", 'w', "DIR", "its working directory", OPT_STRING(struct process_options, cwd)},
    {"workdir", 0, "DIR", NULL, OPT_STRING(struct process_options, cwd)},
    {"user", 'u', "UID[:GID]", "who it runs as", OPT_STRING(struct process_options, user)},
    {"additional-gids", 'g', "GID", "a further group", OPT_LIST(struct process_options, groups)},
    {"cap", 'c', "CAP_NAME", "a further capability", OPT_LIST(struct process_options, caps)},
    {"no-new-privs", 0, NULL, "no new privileges by execve",
     OPT_FLAG(struct process_options, no_new_privs)},
    {0},
};

static size_t name_length(const char *setting)
{
	return strcspn(setting, "=") + 1;
}

void env_set(json_t *env, const char *setting)
{
	json_t *value;
	size_t i;

	json_array_foreach(env, i, value)
	{
		const char *old = json_string_value(value);

		if (!old || strncmp(old, setting, name_length(setting)) != 0)
			continue;
		json_array_set_new(env, i, json_bytes(setting));
		return;
	}
	json_array_append_new(env, json_bytes(setting));
}

static void apply_env(const struct process_options *o, json_t *request)
{
	json_t *env = json_object_get(request, "env"), *value;
	size_t i;

	json_array_foreach(o->env, i, value)
	{
		const char *setting = json_string_value(value), *here;
		SCOPED_FREE char *whole = NULL;

		if (strchr(setting, '=')) {
			env_set(env, setting);
			continue;
		}
		here = getenv(setting);
		whole = here ? xasprintf("%s=%s", setting, here) : NULL;
		if (whole)
			env_set(env, whole);
	}
}

/* A user's or group's number, which ends at `stop`: where it ends; NULL: it is none. */
static const char *parse_id(const char *text, char stop, unsigned int *id)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || n >= UINT32_MAX || (*end && *end != stop))
		return NULL;
	*id = (unsigned int)n;
	return end;
}

static int apply_user(const struct process_options *o, json_t *request, struct error *e)
{
	unsigned int uid, gid;
	const char *end;

	if (!o->user)
		return 0;
	end = parse_id(o->user, ':', &uid);
	if (!end || (*end && !parse_id(end + 1, '\0', &gid)))
		return error_set(e, -EINVAL, "--user %s: must be UID or UID:GID", o->user);
	json_object_set_new(request, "uid", json_integer(uid));
	if (*end)
		json_object_set_new(request, "gid", json_integer(gid));
	return 0;
}

static int apply_groups(const struct process_options *o, json_t *request, struct error *e)
{
	json_t *list, *value;
	size_t i;

	if (!o->groups)
		return 0;
	list = json_array();
	json_object_set_new(request, "groups", list);
	json_array_foreach(o->groups, i, value)
	{
		const char *text = json_string_value(value);
		unsigned int gid;

		if (!parse_id(text, '\0', &gid))
			return error_set(e, -EINVAL, "--additional-gids %s: must be a number",
					 text);
		json_array_append_new(list, json_integer(gid));
	}
	return 0;
}

static int apply_caps(const struct process_options *o, json_t *request, struct error *e)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	json_t *caps = json_object_get(request, "capabilities"), *value;
	uint64_t bits = 0;
	size_t i;

	json_array_foreach(o->caps, i, value)
	{
		uint64_t bit = config_cap_bit(json_string_value(value));

		if (!bit)
			return error_set(e, -EINVAL, "--cap %s: unknown capability",
					 json_string_value(value));
		bits |= bit;
	}
	for (i = 0; bits && i < ARRAY_SIZE(sets); i++) {
		json_int_t old = json_integer_value(json_object_get(caps, sets[i]));

		json_object_set_new(caps, sets[i], json_integer(old | (json_int_t)bits));
	}
	return 0;
}

static int apply_command(char *const *argv, json_t *request, struct error *e)
{
	json_t *args;

	if (!argv || !*argv)
		return 0;
	if (!**argv)
		return error_set(e, -EINVAL, "the command's name is empty");
	args = json_array();
	for (; *argv; argv++)
		json_array_append_new(args, json_bytes(*argv));
	json_object_set_new(request, "args", args);
	return 0;
}

static int apply_cwd(const struct process_options *o, json_t *request, struct error *e)
{
	if (!o->cwd)
		return 0;
	if (o->cwd[0] != '/')
		return error_set(e, -EINVAL, "--cwd %s: must be an absolute path", o->cwd);
	json_object_set_new(request, "cwd", json_bytes(o->cwd));
	return 0;
}

int process_options_apply(const struct process_options *o, char *const *argv, json_t *request,
			  struct error *e)
{
	int r = apply_command(argv, request, e);

	apply_env(o, request);
	if (r == 0)
		r = apply_cwd(o, request, e);
	if (o->no_new_privs)
		json_object_set_new(request, "noNewPrivileges", json_true());
	if (r == 0)
		r = apply_groups(o, request, e);
	if (r == 0)
		r = apply_caps(o, request, e);
	return r == 0 ? apply_user(o, request, e) : r;
}

void process_options_free(struct process_options *o)
{
	json_decref(o->env);
	json_decref(o->groups);
	json_decref(o->caps);
	*o = (struct process_options){0};
}
