/* From a trapped system call to its function and back. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/host.h"
#include "common/log.h"
#include "sentry/sys/admission.h"
#include "sentry/sys/strace.h"
#include "sentry/sys/syscall.h"

static long call(struct task *t, uint64_t nr, const struct sysargs *args)
{
	const struct syscall_desc *d = nr < PF_NSYSCALLS ? &syscall_table[nr] : NULL;
	int err;

	if (d && d->status == SC_REFUSED)
		return -d->refuse_errno;
	if (!d || !d->fn) {
		log_debug("task %d: no system call %llu (%s)", t->tid, (unsigned long long)nr,
			  d && d->name ? d->name : "unknown");
		return -ENOSYS;
	}
	err = syscall_admit(nr);
	return err < 0 ? err : d->fn(t, args);
}

/* Does the call end the thread or the image that made it? Then print it beforehand. */
static bool does_not_return(uint64_t nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_execve || nr == SYS_execveat ||
	       nr == SYS_rt_sigreturn;
}

static long call_traced(struct task *t, uint64_t nr, const struct sysargs *args)
{
	uint64_t start = host_monotonic_ns();
	long result;

	if (does_not_return(nr))
		strace_print(t, nr, args, 0, 0);
	result = call(t, nr, args);
	if (!does_not_return(nr) || result < 0)
		strace_print(t, nr, args, result, host_monotonic_ns() - start);
	return result;
}

void syscall_dispatch(struct task *t)
{
	const struct user_regs_struct *regs = pf_regs(t->pt);
	struct sysargs args = {{regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9}};
	uint64_t nr = (uint32_t)regs->orig_rax;
	unsigned int slot = t->history_next++ % ARRAY_SIZE(t->history);
	long result;

	t->syscall_nr = (int64_t)nr;
	memcpy(t->syscall_args, args.v, sizeof(args.v));
	t->history[slot].nr = (uint16_t)nr;
	t->history[slot].result = INT64_MIN; /* under way */
	result = strace_enabled() ? call_traced(t, nr, &args) : call(t, nr, &args);
	t->history[slot].result = result;
	pf_set_result(t->pt, (uint64_t)result);
}
