#include "sentry/kernel/ptrace.h"

#include "sentry/kernel/internal.h"

int ptrace_signal_stop(struct task *t, int sig, siginfo_t *info)
{
	return sig;
}

void ptrace_event(struct task *t, int event, uint64_t message)
{
}

void ptrace_trap_stop(struct task *t)
{
}

bool ptrace_group_stop(struct task *t, int sig)
{
	return false;
}

bool ptrace_syscall_enter(struct task *t)
{
	return true;
}

void ptrace_syscall_exit(struct task *t)
{
}

void ptrace_clone_locked(struct task *parent, struct task *child, int event)
{
}

bool ptrace_exit_locked(struct task *t)
{
	return false;
}

int ptrace_wait_locked(struct task *t, const struct wait_request *req, struct wait_result *out)
{
	return -1;
}

bool ptrace_hides_zombie(struct process *p)
{
	return false;
}

void ptrace_exec(struct task *t, int old_tid)
{
}

void ptrace_group_continued(struct task *t)
{
}

void ptrace_free(struct task *t)
{
}

bool ptrace_seccomp_event(struct task *t, uint32_t data)
{
	return false;
}

int ptrace_tracer_tid(struct task *t)
{
	return 0;
}
