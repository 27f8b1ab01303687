/*
 * Errors of the `garrison` command: a code and a message chain, built from the
 * inside out, that names the file, field or command at fault and what to do.
 */
#ifndef GARRISON_RUNTIME_ERROR_H
#define GARRISON_RUNTIME_ERROR_H

#include "common/base.h"

struct error {
	int err;       /* -errno */
	char *text;    /* owned; NULL: none */
	int exit_code; /* of the command; 0: the command's default */
};

/* Sets the message (the first one stays: it is the cause) and returns err (negative). */
int error_set(struct error *e, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with ": " and the text of errno behind it. */
int error_errno(struct error *e, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "context: " before the message; returns e->err. */
int error_wrap(struct error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_clear(struct error *e);

#endif
