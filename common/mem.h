/* Memory: small fixed sizes abort when there is none; sizes chosen by a guest use try_. */
#ifndef GARRISON_COMMON_MEM_H
#define GARRISON_COMMON_MEM_H

#include <stdlib.h>
#include <string.h>

#include "common/base.h"

void *xmalloc(size_t size) __attribute__((malloc));
void *xzalloc(size_t size) __attribute__((malloc));
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s) __attribute__((malloc));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Zeroed array of n*size bytes, or NULL (also when the product overflows). */
void *try_calloc(size_t n, size_t size) MUST_CHECK;

#define NEW(type) ((type *)xzalloc(sizeof(type)))

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
#define SCOPED_FREE __attribute__((cleanup(free_cleanup)))

#endif
