/* A guest address. A struct, so that dereferencing one does not compile. */
#ifndef GARRISON_SENTRY_ABI_UADDR_H
#define GARRISON_SENTRY_ABI_UADDR_H

#include "common/base.h"

typedef struct {
	uint64_t va;
} uaddr;

#define UADDR(value) ((uaddr){(uint64_t)(value)})
#define UADDR_NULL ((uaddr){0})

static inline bool uaddr_null(uaddr a)
{
	return a.va == 0;
}

static inline uaddr uaddr_add(uaddr a, uint64_t n)
{
	return UADDR(a.va + n);
}

#define GUEST_PAGE 4096ULL

#endif
