/* Small definitions that every part of Garrison shares. */
#ifndef GARRISON_COMMON_BASE_H
#define GARRISON_COMMON_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1ULL << (n))

#define container_of(ptr, type, member)                                                            \
	((type *)((char *)(ptr)-offsetof(type, member) + 0 * sizeof((ptr) == &((type *)0)->member)))

/* Each use has variables of its own names, so that one may stand inside another. */
#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)
#define CHOOSE_(a, op, b, x, y)                                                                    \
	({                                                                                         \
		__auto_type x = (a);                                                               \
		__auto_type y = (b);                                                               \
		x op y ? x : y;                                                                    \
	})
#define min(a, b) CHOOSE_(a, <, b, CONCAT(min_a, __COUNTER__), CONCAT(min_b, __COUNTER__))
#define max(a, b) CHOOSE_(a, >, b, CONCAT(max_a, __COUNTER__), CONCAT(max_b, __COUNTER__))

/* Rounds to a power of two `to`. The caller excludes overflow. */
#define ROUND_UP(n, to) (((n) + (to)-1) & ~((__typeof__(n))(to)-1))
#define ROUND_DOWN(n, to) ((n) & ~((__typeof__(n))(to)-1))

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#endif
