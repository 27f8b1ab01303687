/* What the commands that show something share. */
#ifndef GARRISON_RUNTIME_SHOW_H
#define GARRISON_RUNTIME_SHOW_H

#include <jansson.h>

#include "runtime/error.h"

/* On stdout; takes o. */
void print_json(json_t *o);
/* --format: "table" or "json". */
MUST_CHECK int show_format(const char *format, bool *json, struct error *e);

#endif
