/* Host processes by pid and start time (proc(5), /proc/PID/stat field 22). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/state.h"

#include <fcntl.h>

/* Fields 3 (state) and 22 (start time); they stand behind the last ')'. */
static int read_stat(int pid, char *state, uint64_t *start_time)
{
	char path[64];
	SCOPED_FREE char *text = NULL;
	unsigned long long start;
	const char *p;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	r = host_read_file(AT_FDCWD, path, 4096, &text);
	if (r < 0)
		return r;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu",
			 state, &start) != 2)
		return -EINVAL;
	*start_time = start;
	return 0;
}

struct process_ref process_ref_of(int pid)
{
	struct process_ref p = {.pid = pid};
	char state;

	if (read_stat(pid, &state, &p.start_time) < 0)
		p.start_time = 0;
	return p;
}

bool process_alive(const struct process_ref *p)
{
	uint64_t start;
	char state;

	return p->pid > 0 && read_stat(p->pid, &state, &start) == 0 && start == p->start_time &&
	       state != 'Z' && state != 'X';
}

int process_kill_wait(const struct process_ref *p)
{
	SCOPED_FD int pidfd = p->pid > 0 ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0 || !process_alive(p))
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	/* A dying process frees the files that nobody else has: gigabytes on a slow disk. */
	if (poll(&poll_fd, 1, 60000) == 0)
		return -ETIMEDOUT;
	waitpid(p->pid, NULL, WNOHANG); /* if it is our own child */
	return 0;
}
