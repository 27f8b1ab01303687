#include "common/host_stub.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* #host: process_vm_readv sentry */
ssize_t host_process_read(pid_t pid, uint64_t from, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)from, n};

	return result(process_vm_readv(pid, &local, 1, &remote, 1, 0));
}

/* #host: move_pages sentry */
int host_pages_status(pid_t pid, const uint64_t *addrs, size_t n, int *status)
{
	/* Without target nodes the call only tells where pages are. */
	return (int)result(syscall(SYS_move_pages, pid, n, addrs, NULL, status, 0));
}

/* #host: process_vm_writev sentry */
ssize_t host_process_write(pid_t pid, uint64_t to, const void *from, size_t n)
{
	struct iovec local = {(void *)from, n}, remote = {(void *)to, n};

	return result(process_vm_writev(pid, &local, 1, &remote, 1, 0));
}

/* #host: kill sentry */
int host_kill(pid_t pid, int sig)
{
	return (int)result(kill(pid, sig));
}

/* #host: tgkill sentry */
int host_tgkill(pid_t tgid, pid_t tid, int sig)
{
	return (int)result(syscall(SYS_tgkill, tgid, tid, sig));
}

/* #host: waitid sentry */
pid_t host_wait_peek(pid_t pid, bool block, int *status)
{
	siginfo_t si = {0};
	int flags = WEXITED | WNOWAIT | __WALL | (block ? 0 : WNOHANG);
	int r;

	do {
		r = waitid(pid > 0 ? P_PID : P_ALL, (id_t)pid, &si, flags);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*status = si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8 : si.si_status & 0x7f;
	return si.si_pid;
}

int host_reap(pid_t pid)
{
	siginfo_t si;

	return (int)result(waitid(P_PID, (id_t)pid, &si, WEXITED | __WALL | WNOHANG));
}

/* #host: poll sentry */
int host_notif_poll(int listener, int timeout_ms)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	int r = poll(&p, 1, timeout_ms);

	return r < 0 ? -errno : r > 0 && (p.revents & POLLIN);
}

/* SECCOMP_IOCTL_NOTIF_RECV, _SEND, _ADDFD:
 * #host: ioctl[1&0xffffffff=0xc0502100] sentry
 * #host: ioctl[1&0xffffffff=0xc0182101] sentry
 * #host: ioctl[1&0xffffffff=0x40182103] sentry */
int host_notif_recv(int listener, struct seccomp_notif *n)
{
	memset(n, 0, sizeof(*n));
	return (int)result(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, n));
}

int host_notif_send(int listener, struct seccomp_notif_resp *r)
{
	return (int)result(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, r));
}

int host_notif_addfd(int listener, struct seccomp_notif_addfd *a)
{
	return (int)result(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, a));
}
