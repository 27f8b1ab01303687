/* Arguments, variables and names of files need not be UTF-8; strings of JSON must be. */
#ifndef GARRISON_RUNTIME_JSON_TEXT_H
#define GARRISON_RUNTIME_JSON_TEXT_H

#include <jansson.h>

/* For the sentry, which gets the same bytes (sentry/control/request.h): a string, or else
 * {"latin1": TEXT}. Owned. */
json_t *json_bytes(const char *s);
/* For people: with '?' in the place of what is not UTF-8. Owned; NULL for NULL. */
json_t *json_readable(const char *s);

#endif
