#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

/* Makes room for `more` bytes and a NUL; says how many of them there is room for. */
static size_t reserve(struct text *t, size_t more)
{
	size_t room = max(t->room * 2, t->len + more + 256);
	char *buf;

	if (t->room - t->len > more)
		return more;
	buf = t->fixed || t->failed ? NULL : try_realloc(t->buf, room);
	if (buf) {
		t->room = room;
		t->buf = buf;
		return more;
	}
	t->failed = !t->fixed;
	return t->room ? t->room - t->len - 1 : 0;
}

void text_fini(struct text *t)
{
	if (!t->fixed)
		free(t->buf);
	*t = (struct text){.buf = NULL};
}

void text_add(struct text *t, const void *data, size_t n)
{
	n = reserve(t, n);
	if (!t->room)
		return;
	memcpy(t->buf + t->len, data, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!reserve(t, 128))
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->room - t->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n >= t->room - t->len) {
		if (!reserve(t, (size_t)n)) {
			t->buf[t->len] = '\0';
			return;
		}
		va_start(ap, fmt);
		n = vsnprintf(t->buf + t->len, t->room - t->len, fmt, ap);
		va_end(ap);
	}
	if (n > 0)
		t->len += min((size_t)n, t->room - t->len - 1);
}

void text_pad(struct text *t, size_t from, size_t width)
{
	for (size_t have = t->len - from; have < width; have++)
		text_add(t, " ", 1);
}

void text_escape(struct text *t, const char *s, const char *special)
{
	for (; *s; s++) {
		if (strchr(special, *s))
			text_printf(t, "\\%03o", (unsigned char)*s);
		else
			text_add(t, s, 1);
	}
}
