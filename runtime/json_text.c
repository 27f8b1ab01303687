#include "runtime/json_text.h"

#include "common/mem.h"

json_t *json_bytes(const char *s)
{
	SCOPED_FREE char *wide = NULL;
	json_t *o = json_string(s);
	size_t n = 0;

	if (o)
		return o;
	wide = xmalloc(2 * strlen(s) + 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x80)
			wide[n++] = (char)(0xc0 | c >> 6);
		wide[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
	}
	wide[n] = '\0';
	return json_pack("{ss}", "latin1", wide);
}

json_t *json_readable(const char *s)
{
	SCOPED_FREE char *copy = NULL;
	json_t *o = s ? json_string(s) : NULL;

	if (o || !s)
		return o;
	copy = xstrdup(s);
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(copy);
}
