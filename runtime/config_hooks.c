/* The check of "hooks" in config.json; hooks.c runs them. */
#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/config.h"
#include "runtime/config_get.h"

static const char *const kinds[] = {"prestart",	      "createRuntime", "createContainer",
				    "startContainer", "poststart",     "poststop"};

static int check_one(const struct source *s, const char *kind, const json_t *o, size_t i)
{
	SCOPED_FREE char *name = xasprintf("hooks.%s[%zu]", kind, i);
	const struct place p = {o, name};
	const json_t *list = NULL;
	const char *path = NULL;
	int64_t timeout = 0;
	int r;

	if (!json_is_object(o))
		return bad_field(s, &p, NULL, "must be an object");
	r = get_path(s, &p, "path", true, &path);
	if (r == 0)
		r = get_strings(s, &p, "args", &list);
	if (r == 0)
		r = get_strings(s, &p, "env", &list);
	return r == 0 ? get_int(s, &p, "timeout", false, 1, INT32_MAX, &timeout) : r;
}

int config_hooks_check(const struct source *s, const json_t *hooks)
{
	const struct place p = {hooks, "hooks"};

	for (size_t k = 0; hooks && k < ARRAY_SIZE(kinds); k++) {
		const json_t *list = NULL, *o;
		size_t i;
		int r = get_array(s, &p, kinds[k], &list);

		if (r == 0 && json_array_size(list) && strcmp(kinds[k], "startContainer") == 0)
			return bad_field(s, &p, kinds[k],
					 "hooks inside the container are not supported");
		json_array_foreach(list, i, o) if (r == 0) r = check_one(s, kinds[k], o, i);
		if (r < 0)
			return r;
	}
	return 0;
}
