/* Typed access to config.json: every error names the file, the field and what is wrong. */
#ifndef GARRISON_RUNTIME_CONFIG_GET_H
#define GARRISON_RUNTIME_CONFIG_GET_H

#include <jansson.h>

#include "runtime/error.h"

struct source {
	const char *file;    /* named in errors */
	const json_t *given; /* what the user gave for which field, or NULL */
	struct error *e;
};

/* A place in the file: the object and its name ("process.user"; "" for the top). */
struct place {
	const json_t *o;
	const char *name;
};

/* "FILE: FIELD", or in the user's own words ("do: --mount /a:/b"). Owned. */
char *field_where(const char *file, const json_t *given, const char *field);
/* "FILE: FIELD: message"; key may be NULL (the place itself). Returns -EINVAL. */
int bad_field(const struct source *s, const struct place *p, const char *key, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Each leaves *out alone when the member is absent (an error if `required`). */
MUST_CHECK int get_string(const struct source *s, const struct place *p, const char *key,
			  bool required, const char **out);
MUST_CHECK int get_bool(const struct source *s, const struct place *p, const char *key, bool *out);
MUST_CHECK int get_int(const struct source *s, const struct place *p, const char *key,
		       bool required, int64_t low, int64_t high, int64_t *out);
MUST_CHECK int get_object(const struct source *s, const struct place *p, const char *key,
			  const json_t **out);
MUST_CHECK int get_array(const struct source *s, const struct place *p, const char *key,
			 const json_t **out);
/* An array of strings, checked. */
MUST_CHECK int get_strings(const struct source *s, const struct place *p, const char *key,
			   const json_t **out);
/* A string that must be an absolute path. */
MUST_CHECK int get_path(const struct source *s, const struct place *p, const char *key,
			bool required, const char **out);

#endif
