#include "common/host_ptrace.h"

#include <elf.h>
#include <errno.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* #host: ptrace sentry_ptrace */
static long do_ptrace(long request, pid_t tid, unsigned long addr, unsigned long data)
{
	long r = syscall(SYS_ptrace, request, tid, addr, data);

	return r < 0 ? -errno : r;
}

int host_ptrace_seize(pid_t tid)
{
	return (int)do_ptrace(PTRACE_SEIZE, tid, 0, 1 /* PTRACE_O_TRACESYSGOOD */);
}

int host_ptrace_detach(pid_t tid)
{
	return (int)do_ptrace(PTRACE_DETACH, tid, 0, 0);
}

int host_ptrace_getregs(pid_t tid, struct user_regs_struct *regs)
{
	return (int)do_ptrace(PTRACE_GETREGS, tid, 0, (unsigned long)regs);
}

int host_ptrace_setregs(pid_t tid, const struct user_regs_struct *regs)
{
	return (int)do_ptrace(PTRACE_SETREGS, tid, 0, (unsigned long)regs);
}

ssize_t host_ptrace_getxstate(pid_t tid, void *buf, size_t size)
{
	struct iovec v = {buf, size};
	long r = do_ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, (unsigned long)&v);

	return r < 0 ? r : (ssize_t)v.iov_len;
}

int host_ptrace_setxstate(pid_t tid, const void *buf, size_t size)
{
	struct iovec v = {(void *)buf, size};

	return (int)do_ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, (unsigned long)&v);
}

int host_ptrace_getsiginfo(pid_t tid, siginfo_t *si)
{
	return (int)do_ptrace(PTRACE_GETSIGINFO, tid, 0, (unsigned long)si);
}

int host_ptrace_setsigmask(pid_t tid, uint64_t mask)
{
	return (int)do_ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), (unsigned long)&mask);
}

uint32_t host_ptrace_syscall_arch(pid_t tid)
{
	struct ptrace_syscall_info info = {0};

	do_ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), (unsigned long)&info);
	return info.arch;
}

int host_ptrace_cont(pid_t tid, int sig)
{
	return (int)do_ptrace(PTRACE_CONT, tid, 0, (unsigned long)sig);
}

int host_ptrace_sysemu(pid_t tid, bool step)
{
	return (int)do_ptrace(step ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU, tid, 0, 0);
}

int host_ptrace_step(pid_t tid, int sig)
{
	return (int)do_ptrace(PTRACE_SINGLESTEP, tid, 0, (unsigned long)sig);
}

/* #host: wait4 sentry_ptrace */
int host_ptrace_wait(pid_t tid, int *status)
{
	pid_t r;

	do {
		r = (pid_t)syscall(SYS_wait4, tid, status, __WALL, NULL);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* #host: waitid sentry_ptrace */
int host_ptrace_stopped(pid_t tid)
{
	siginfo_t si = {0};
	long r = syscall(SYS_waitid, P_PID, tid, &si,
			 WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL, NULL);

	return r < 0 || si.si_pid != 0;
}

/* #host: pidfd_open sentry_ptrace */
int host_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}
