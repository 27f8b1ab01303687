#include "common/mem.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/log.h"

static void *checked(void *p, size_t size)
{
	if (!p)
		panic("out of memory allocating %zu bytes", size);
	return p;
}

void *xmalloc(size_t size)
{
	return checked(malloc(size), size);
}

void *xzalloc(size_t size)
{
	return checked(calloc(1, size), size);
}

void *xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size), size);
}

char *xstrdup(const char *s)
{
	return checked(strdup(s), strlen(s) + 1);
}

char *xasprintf(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return checked(s, 0);
}

void *try_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}
