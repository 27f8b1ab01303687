/*
 * The caller of an operation, as the layers below kernel/ may know it: a way to
 * its memory and its credentials. struct task embeds one; code in kernel/ and
 * sys/ gets the task back by container_of (task_from_access).
 */
#ifndef GARRISON_SENTRY_CORE_GUEST_ACCESS_H
#define GARRISON_SENTRY_CORE_GUEST_ACCESS_H

#include "sentry/abi/uaddr.h"

struct cred;

struct guest_access {
	/* 0 or -EFAULT; see kernel/usermem.h */
	int (*copyin)(struct guest_access *ga, void *to, uaddr from, size_t n);
	int (*copyout)(struct guest_access *ga, uaddr to, const void *from, size_t n);
	const struct cred *(*cred)(struct guest_access *ga); /* borrowed */
};

static inline int MUST_CHECK ga_copyin(struct guest_access *ga, void *to, uaddr from, size_t n)
{
	return ga->copyin(ga, to, from, n);
}

static inline int MUST_CHECK ga_copyout(struct guest_access *ga, uaddr to, const void *from,
					size_t n)
{
	return ga->copyout(ga, to, from, n);
}

#endif
