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

/* The bytes that the characters up to U+00FF of a UTF-8 text stand for. */
static json_t *from_latin1(const char *text)
{
	SCOPED_FREE char *buf = xmalloc(strlen(text) + 1);
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p >= 0x80 && p[1]) {
			buf[n++] = (char)(*p << 6 | (p[1] & 0x3f));
			p++;
		} else {
			buf[n++] = (char)*p;
		}
	}
	return json_stringn_nocheck(buf, n);
}

json_t *request_decode(json_t *o)
{
	const char *latin1 = json_string_value(json_object_get(o, "latin1")), *key;
	json_t *value, *decoded;
	size_t i;

	if (latin1) {
		decoded = from_latin1(latin1);
		json_decref(o);
		return decoded;
	}
	/* Only objects and arrays are put back: a new value of an existing member moves nothing. */
	json_object_foreach(o, key, value)
	{
		if (json_is_object(value) || json_is_array(value))
			json_object_set_new(o, key, request_decode(json_incref(value)));
	}
	json_array_foreach(o, i, value)
	{
		if (json_is_object(value) || json_is_array(value))
			json_array_set_new(o, i, request_decode(json_incref(value)));
	}
	return o;
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
