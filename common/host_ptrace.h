/* ptrace(2) on stub threads, as -errno wrappers. The caller is the tracer. */
#ifndef GARRISON_COMMON_HOST_PTRACE_H
#define GARRISON_COMMON_HOST_PTRACE_H

#include <signal.h>
#include <sys/user.h>

#include "common/base.h"

MUST_CHECK int host_ptrace_seize(pid_t tid);
int host_ptrace_detach(pid_t tid);
MUST_CHECK int host_ptrace_getregs(pid_t tid, struct user_regs_struct *regs);
MUST_CHECK int host_ptrace_setregs(pid_t tid, const struct user_regs_struct *regs);
/* The XSAVE area; get returns its size. */
MUST_CHECK ssize_t host_ptrace_getxstate(pid_t tid, void *buf, size_t size);
MUST_CHECK int host_ptrace_setxstate(pid_t tid, const void *buf, size_t size);
MUST_CHECK int host_ptrace_getsiginfo(pid_t tid, siginfo_t *si);
int host_ptrace_setsigmask(pid_t tid, uint64_t mask);
/* The architecture (AUDIT_ARCH_*) of the system call in which the tracee stopped. */
uint32_t host_ptrace_syscall_arch(pid_t tid);

/* Resuming, with a signal or 0. */
MUST_CHECK int host_ptrace_cont(pid_t tid, int sig);
MUST_CHECK int host_ptrace_sysemu(pid_t tid, bool step);
MUST_CHECK int host_ptrace_step(pid_t tid, int sig);
/* Waits for the next stop of the tracee or its end; its wait status. -ECHILD: gone. */
MUST_CHECK int host_ptrace_wait(pid_t tid, int *status);
/* 1: host_ptrace_wait would return at once. */
MUST_CHECK int host_ptrace_stopped(pid_t tid);

/* A fd that becomes readable when the process ends. */
MUST_CHECK int host_pidfd_open(pid_t pid);

#endif
