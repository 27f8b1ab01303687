/* seccomp(2) for guests: filters on the guest's own calls, run by the sentry (kernel/seccomp.c;
 * cbpf.c has the interpreter). */
#ifndef GARRISON_SENTRY_KERNEL_SECCOMP_H
#define GARRISON_SENTRY_KERNEL_SECCOMP_H

#include <linux/filter.h>

#include "sentry/kernel/task.h"

/* Before the stopped task's call is made: false if it is not to be made (the result, or a signal,
 * is set). */
bool seccomp_check(struct task *t);
/* Under tasklist. */
void seccomp_inherit(struct task *child, struct task *parent);
void seccomp_free(struct task *t);

/* For a task that has not been started yet: -EINVAL for a program that Linux would refuse. */
int seccomp_preset(struct task *t, const struct sock_filter *insns, unsigned int len) MUST_CHECK;
long seccomp_set_strict(struct task *t);
/* fprog: struct sock_fprog of the guest; flags: SECCOMP_FILTER_FLAG_*. */
long seccomp_set_filter(struct task *t, unsigned int flags, uaddr fprog);
int seccomp_filter_count(struct task *t);

/* --- cbpf.c ------------------------------------------------------------------------------------ */
/* Is it a program that Linux would take as a seccomp filter? */
bool cbpf_valid(const struct sock_filter *prog, unsigned int len);
/* Runs a valid program over `words` 32-bit words of data. */
uint32_t cbpf_run(const struct sock_filter *prog, const uint32_t *data, unsigned int words);

#endif
