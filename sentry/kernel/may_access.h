/* May a task look into another (ptrace(2), /proc/PID/mem, process_vm_readv(2), kcmp(2), ...)? */
#ifndef GARRISON_SENTRY_KERNEL_MAY_ACCESS_H
#define GARRISON_SENTRY_KERNEL_MAY_ACCESS_H

#include "sentry/kernel/task.h"

#define ACCESS_READ BIT(0)	/* reading /proc */
#define ACCESS_ATTACH BIT(1)	/* more powerful: tracing, writing memory */
#define ACCESS_FSCREDS BIT(2)	/* by the caller's fsuid, effective capabilities: /proc */
#define ACCESS_REALCREDS BIT(3) /* by the caller's real ids, permitted capabilities: syscalls */

/* ptrace(2), "Ptrace access mode checking": 0, or -EPERM. */
int ptrace_may_access(struct task *caller, struct task *target, unsigned int mode) MUST_CHECK;

#endif
