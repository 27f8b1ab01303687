#include "runtime/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

static char *format(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		s = xstrdup("out of memory");
	return s;
}

int error_set(struct error *e, int err, const char *fmt, ...)
{
	va_list ap;

	if (e->text)
		return e->err;
	va_start(ap, fmt);
	e->text = format(fmt, ap);
	va_end(ap);
	e->err = err;
	return err;
}

/* In the words that engines look for (Go's), where they differ from strerror's. */
static const char *errno_text(int err)
{
	switch (err) {
	case -ENOENT:
		return "no such file or directory";
	case -EACCES:
		return "permission denied";
	case -ESRCH:
		return "no such process";
	}
	return strerror(-err);
}

int error_errno(struct error *e, int err, const char *fmt, ...)
{
	SCOPED_FREE char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = format(fmt, ap);
	va_end(ap);
	return error_set(e, err, "%s: %s", what, errno_text(err));
}

int error_wrap(struct error *e, const char *fmt, ...)
{
	SCOPED_FREE char *context = NULL;
	char *old = e->text;
	va_list ap;

	va_start(ap, fmt);
	context = format(fmt, ap);
	va_end(ap);
	e->text = xasprintf("%s: %s", context, old ? old : "failed");
	free(old);
	return e->err;
}

void error_clear(struct error *e)
{
	free(e->text);
	*e = (struct error){0};
}
