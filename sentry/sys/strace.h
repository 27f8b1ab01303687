/* --strace: one line per system call, on the log. */
#ifndef GARRISON_SENTRY_SYS_STRACE_H
#define GARRISON_SENTRY_SYS_STRACE_H

#include "sentry/sys/syscall.h"

void strace_enable(void);
bool strace_enabled(void);

/* The call as text up to its closing parenthesis, for --strace and `garrison debug`. After
 * the call (done) what it wrote is shown too. Only for the task's own thread. */
void strace_format_call(struct task *t, uint64_t nr, const struct sysargs *a, bool done,
			long result, char *buf, size_t size);
/* Prints "tid comm name(args) = result <seconds>". */
void strace_print(struct task *t, uint64_t nr, const struct sysargs *a, long result, uint64_t ns);

#endif
