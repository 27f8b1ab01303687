/* ptrace(2): see kernel/ptrace_request.c. */
#include "sentry/kernel/ptrace.h"

#include "sentry/sys/decl.h"

long sys_ptrace(struct task *t, const struct sysargs *a)
{
	return ptrace_request(t, (unsigned int)a->v[0], (int)a->v[1], a->v[2], a->v[3]);
}
