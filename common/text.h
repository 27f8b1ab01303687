/*
 * A growing string, for texts whose size is not known before: /proc files, listings.
 * Or a string in an array (TEXT_FIXED), for places where nothing may be allocated.
 */
#ifndef GARRISON_COMMON_TEXT_H
#define GARRISON_COMMON_TEXT_H

#include "common/base.h"

struct text {
	char *buf; /* NUL-terminated once anything was added; owned */
	size_t len, room;
	bool fixed;  /* buf is the caller's and room all there is: what does not fit is cut off */
	bool failed; /* there was no memory for all of it: what came after is missing */
};

#define TEXT_FIXED(array)                                                                          \
	{                                                                                          \
		.buf = (array), .room = sizeof(array), .fixed = true                               \
	}

void text_fini(struct text *t);
void text_printf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_add(struct text *t, const void *data, size_t n);
void text_puts(struct text *t, const char *s);
/* Pads with blanks until the line that began at `from` (a value of t->len) is `width` wide. */
void text_pad(struct text *t, size_t from, size_t width);
/* Adds s with the bytes of `special` (and backslash, if among them) as \ooo. */
void text_escape(struct text *t, const char *s, const char *special);

#endif
