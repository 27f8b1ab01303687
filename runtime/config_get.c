#include "runtime/config_get.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

char *field_where(const char *file, const json_t *given, const char *field)
{
	const char *option;
	json_t *value;

	/* Named by the field itself or by the object around it. */
	json_object_foreach((json_t *)given, option, value)
	{
		size_t n = strlen(option);

		if (strncmp(option, field, n) == 0 && (!field[n] || field[n] == '.'))
			return xasprintf("%s: %s", file, json_string_value(value));
	}
	return xasprintf("%s: %s", file, field);
}

int bad_field(const struct source *s, const struct place *p, const char *key, const char *fmt, ...)
{
	SCOPED_FREE char *what = NULL, *field = NULL, *where = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	field = xasprintf("%s%s%s", p->name, *p->name && key ? "." : "", key ? key : "");
	where = field_where(s->file, s->given, field);
	return error_set(s->e, -EINVAL, "%s: %s", where, what ? what : "invalid");
}

static const char *type_name(const json_t *v)
{
	static const char *const names[] = {
	    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
	    [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "a boolean",
	    [JSON_FALSE] = "a boolean",	 [JSON_NULL] = "null",
	};

	return names[json_typeof(v)];
}

/* 1: present and of the wanted type; 0: absent (or null). */
static int fetch(const struct source *s, const struct place *p, const char *key, bool required,
		 bool (*is)(const json_t *v), const char *wanted, const json_t **v)
{
	*v = json_object_get(p->o, key);
	if (!*v || json_is_null(*v))
		return required ? bad_field(s, p, key, "is missing") : 0;
	if (!is(*v))
		return bad_field(s, p, key, "must be %s, is %s", wanted, type_name(*v));
	return 1;
}

static bool is_string(const json_t *v)
{
	return json_is_string(v);
}

static bool is_bool(const json_t *v)
{
	return json_is_boolean(v);
}

static bool is_int(const json_t *v)
{
	return json_is_integer(v);
}

static bool is_object(const json_t *v)
{
	return json_is_object(v);
}

static bool is_array(const json_t *v)
{
	return json_is_array(v);
}

int get_string(const struct source *s, const struct place *p, const char *key, bool required,
	       const char **out)
{
	const json_t *v;
	int r = fetch(s, p, key, required, is_string, "a string", &v);

	if (r <= 0)
		return r;
	if (strlen(json_string_value(v)) != json_string_length(v))
		return bad_field(s, p, key, "contains a NUL character");
	*out = json_string_value(v);
	return 0;
}

int get_bool(const struct source *s, const struct place *p, const char *key, bool *out)
{
	const json_t *v;
	int r = fetch(s, p, key, false, is_bool, "true or false", &v);

	if (r > 0)
		*out = json_is_true(v);
	return min(r, 0);
}

int get_int(const struct source *s, const struct place *p, const char *key, bool required,
	    int64_t low, int64_t high, int64_t *out)
{
	const json_t *v;
	int r = fetch(s, p, key, required, is_int, "a whole number", &v);

	if (r <= 0)
		return r;
	if (json_integer_value(v) < low || json_integer_value(v) > high)
		return bad_field(s, p, key, "must be between %lld and %lld, is %lld",
				 (long long)low, (long long)high, (long long)json_integer_value(v));
	*out = json_integer_value(v);
	return 0;
}

int get_object(const struct source *s, const struct place *p, const char *key, const json_t **out)
{
	const json_t *v;
	int r = fetch(s, p, key, false, is_object, "an object", &v);

	if (r > 0)
		*out = v;
	return min(r, 0);
}

int get_array(const struct source *s, const struct place *p, const char *key, const json_t **out)
{
	const json_t *v;
	int r = fetch(s, p, key, false, is_array, "an array", &v);

	if (r > 0)
		*out = v;
	return min(r, 0);
}

int get_strings(const struct source *s, const struct place *p, const char *key, const json_t **out)
{
	const json_t *array = NULL, *v;
	size_t i;
	int r = get_array(s, p, key, &array);

	if (r < 0 || !array)
		return r;
	json_array_foreach(array, i, v)
	{
		if (!json_is_string(v))
			return bad_field(s, p, key, "element %zu must be a string, is %s", i,
					 type_name(v));
		if (strlen(json_string_value(v)) != json_string_length(v))
			return bad_field(s, p, key, "element %zu contains a NUL character", i);
	}
	*out = array;
	return 0;
}

int get_path(const struct source *s, const struct place *p, const char *key, bool required,
	     const char **out)
{
	const char *path = NULL;
	int r = get_string(s, p, key, required, &path);

	if (r < 0 || !path)
		return r;
	if (path[0] != '/')
		return bad_field(s, p, key, "must be an absolute path, is \"%s\"", path);
	*out = path;
	return 0;
}
