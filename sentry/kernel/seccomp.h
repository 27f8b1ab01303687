/* seccomp(2) for guests: filters on the guest's own calls, run by the sentry (kernel/seccomp.c). */
#ifndef GARRISON_SENTRY_KERNEL_SECCOMP_H
#define GARRISON_SENTRY_KERNEL_SECCOMP_H

#include "sentry/kernel/task.h"

/* Before the stopped task's call is made: false if it is not to be made (the result, or a signal,
 * is set). */
bool seccomp_check(struct task *t);
void seccomp_inherit(struct task *child, const struct task *parent);
void seccomp_free(struct task *t);

long seccomp_set_strict(struct task *t);
/* args: struct sock_fprog of the guest; flags: SECCOMP_FILTER_FLAG_*. */
long seccomp_set_filter(struct task *t, unsigned int flags, uaddr fprog);
int seccomp_filter_count(struct task *t);

#endif
