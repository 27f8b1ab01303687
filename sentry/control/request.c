#include "sentry/control/request.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

int request_fail(struct request *rq, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rq->error, sizeof(rq->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *json_get_string(const json_t *o, const char *key, const char *def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_string(v) ? json_string_value(v) : def;
}

int64_t json_get_int(const json_t *o, const char *key, int64_t def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : def;
}

bool json_get_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

char **json_get_strings(const json_t *o, const char *key)
{
	const json_t *array = json_object_get(o, key);
	size_t n = json_array_size(array), used = 0;
	char **list = xmalloc((n + 1) * sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));

		if (s)
			list[used++] = (char *)s;
	}
	list[used] = NULL;
	return list;
}

int request_take_fd(struct request *rq, const json_t *o, const char *key)
{
	return wire_take_fd(rq->msg, json_get_int(o, key, -1));
}
