/*
 * clone(CLONE_VM | CLONE_VFORK): no page tables are copied, and the caller
 * sleeps until the child has exec'ed, so the child may use the caller's memory.
 * The child only makes system calls and writes s->result; it has its own stack
 * and its own fd table.
 */
#include "runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <net/if.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"

#define CHILD_STACK (64 << 10)

struct child {
	const struct spawn *s;
	const char *path;
	int null_fd;
	int result; /* -errno if the exec did not happen */
	const char *step;
	sigset_t mask;
};

char *spawn_find(const char *program)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (program[0] == '/')
		return xstrdup(program);
	if (n <= 0)
		return xasprintf("/usr/libexec/garrison/%s", program);
	self[n] = '\0';
	return xasprintf("%s/../libexec/garrison/%s", dirname(self), program);
}

static int fail(struct child *c, const char *step)
{
	c->result = -errno;
	c->step = step;
	return -1;
}

static int child_fds(struct child *c)
{
	const struct spawn *s = c->s;

	/* All sources are above 2, so the order does not matter. */
	for (int i = 0; i < 3; i++)
		if (dup2(s->stdio[i] >= 0 ? s->stdio[i] : c->null_fd, i) < 0)
			return fail(c, "dup2");
	for (size_t i = 0; i < s->nfds; i++)
		if (s->fds[i] >= 0 && fcntl(s->fds[i], F_SETFD, 0) < 0)
			return fail(c, "fcntl");
	return 0;
}

static int raise_loopback(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return fd;
	r = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return r;
}

static int child_network(struct child *c)
{
	const struct spawn *s = c->s;

	if (s->net_ns > 0 && setns(s->net_ns, CLONE_NEWNET) < 0)
		return fail(c, "enter the network namespace");
	if ((s->clone_flags & CLONE_NEWNET) && raise_loopback() < 0)
		return fail(c, "bring up the loopback device");
	return 0;
}

static int child_main(void *arg)
{
	struct child *c = arg;
	const struct spawn *s = c->s;
	static char *const no_env[] = {NULL};

	/* All signals are blocked, so no handler runs here; exec keeps only what is ignored. */
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < s->njoin; i++)
		if (write(s->join[i], "0", 1) < 0)
			return fail(c, "join the cgroup");
	if (child_network(c) < 0)
		return -1;
	setsid();
	if (s->ctty >= 0 && ioctl(s->ctty, TIOCSCTTY, 0) < 0)
		return fail(c, "take the terminal");
	if (chdir(s->cwd ? s->cwd : "/") < 0)
		return fail(c, "chdir");
	if (child_fds(c) < 0)
		return -1;
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	execve(c->path, s->argv, s->envp ? s->envp : no_env);
	return fail(c, "exec");
}

static int run_child(struct child *c, char *stack)
{
	sigset_t all;
	int pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &c->mask);
	sigemptyset(&c->mask);
	pid = clone(child_main, stack + CHILD_STACK,
		    CLONE_VM | CLONE_VFORK | SIGCHLD | c->s->clone_flags, c);
	if (pid < 0)
		fail(c, "clone");
	return pid;
}

/* Moves a source below 3 out of the way of the dup2 calls. */
static int above_stdio(int fd, int *copy)
{
	*copy = -1;
	if (fd < 0 || fd > 2)
		return fd;
	*copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *copy;
}

int spawn(const struct spawn *spec, struct error *e)
{
	struct spawn s = *spec;
	SCOPED_FREE char *path = spawn_find(s.program);
	SCOPED_FREE char *stack = xmalloc(CHILD_STACK);
	SCOPED_FD int null_fd = host_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
	struct child c = {.s = &s, .path = path, .null_fd = null_fd};
	sigset_t old;
	int copies[3], pid;

	if (null_fd < 0)
		return error_errno(e, null_fd, "open /dev/null");
	for (int i = 0; i < 3; i++)
		s.stdio[i] = above_stdio(s.stdio[i], &copies[i]);
	sigprocmask(SIG_SETMASK, NULL, &old);
	pid = run_child(&c, stack);
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < 3; i++)
		if (copies[i] >= 0)
			host_close(copies[i]);
	if (c.result < 0) {
		if (pid > 0)
			waitpid(pid, NULL, 0);
		return error_errno(e, c.result, "cannot start %s: %s", path, c.step);
	}
	return pid;
}
