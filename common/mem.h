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
/* As malloc, realloc and strdup; NULL without memory. */
void *try_malloc(size_t size) MUST_CHECK;
void *try_realloc(void *p, size_t size) MUST_CHECK;
char *try_strdup(const char *s) MUST_CHECK;
/* Zeroed array of n*size bytes, or NULL (also when the product overflows). */
void *try_calloc(size_t n, size_t size) MUST_CHECK;

/* For tests: every n-th of the try_ functions' calls fails; 0: none. */
void mem_fail_every(unsigned int n);

#define NEW(type) ((type *)xzalloc(sizeof(type)))

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
#define SCOPED_FREE __attribute__((cleanup(free_cleanup)))

#endif
