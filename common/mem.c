#include "common/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/log.h"

static atomic_uint fail_every, tries;

void mem_fail_every(unsigned int n)
{
	atomic_store(&fail_every, n);
}

static bool mem_fails(void)
{
	unsigned int n = atomic_load_explicit(&fail_every, memory_order_relaxed);

	return n && atomic_fetch_add(&tries, 1) % n == n - 1;
}

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

void *try_malloc(size_t size)
{
	return mem_fails() ? NULL : malloc(size);
}

void *try_calloc(size_t n, size_t size)
{
	return mem_fails() ? NULL : calloc(n, size);
}

void *try_realloc(void *p, size_t size)
{
	return mem_fails() ? NULL : realloc(p, size);
}

char *try_strdup(const char *s)
{
	return mem_fails() ? NULL : strdup(s);
}
