/* Starting a garrison-monitor; see monitor/monitor.c for what it does. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/launch.h"
#include "runtime/spawn.h"

int monitor_start(const struct state *st, int conn, int pid, int tty, const struct cgroup *cg,
		  const struct monitor_network *net, struct process_ref *out, struct error *e)
{
	/* A description of its own: the lock on ours must not live on in the monitor. */
	SCOPED_FD int dir = pid == 0 ? host_openat(st->dir_fd, ".", O_RDONLY | O_DIRECTORY, 0) : -1;
	SCOPED_FREE char *conn_arg = xasprintf("%d", conn);
	SCOPED_FREE char *dir_arg = xasprintf("%d", dir);
	SCOPED_FREE char *tty_arg = xasprintf("%d", tty);
	SCOPED_FREE char *pid_arg = xasprintf("%d", pid);
	char *argv[] = {"garrison-monitor", conn_arg, dir_arg, tty_arg, pid_arg, st->id, NULL};
	const int fds[] = {conn, tty, dir};
	const struct spawn s = {.program = "garrison-monitor",
				.argv = argv,
				.stdio = {-1, -1, -1},
				.fds = fds,
				.nfds = ARRAY_SIZE(fds),
				.join = cg->procs,
				.njoin = cg->n,
				.clone_flags = net->fresh ? CLONE_NEWNET : 0,
				.net_ns = net->fd,
				.ctty = tty};
	int child = spawn(&s, e);

	if (child < 0)
		return child;
	*out = process_ref_of(child);
	return 0;
}
