/* Pid namespaces: numbers on each level, init, reaping, signals, the end; /proc of one. */
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/ptrace.h>

#include "ns_util.h"

static char stack[65536] __attribute__((aligned(16)));

/* The pid as `number`, or how it compares. */
static int show_numbers(void *arg)
{
	printf("pid %d tid %ld ppid %d pgrp %d sid %d\n", getpid(), syscall(SYS_gettid), getppid(),
	       getpgrp(), getsid(0));
	result("setsid", setsid());
	printf("pgrp %d sid %d\n", getpgrp(), getsid(0));
	result("kill outside", kill(getppid() ? getppid() : 4000, 0));
	result("kill all", kill(-1, 0));
	fflush(stdout);
	return 0;
}

static void numbers(void)
{
	pid_t pid = clone(show_numbers, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, NULL);
	int status;

	printf("waited %d\n", waitpid(pid, &status, 0) == pid);
}

static void grandchildren(void)
{
	pid_t pid;
	int status;

	unshare(CLONE_NEWPID);
	printf("own pid stays %d\n", getpid() != 1);
	result("twice", unshare(CLONE_NEWPID));
	pid = fork();
	if (pid == 0) {
		printf("first %d of %d\n", getpid(), getppid());
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			if (fork() == 0) {
				while (getppid() != 1)
					usleep(1000);
				_exit(getpid() == 3 ? 5 : 6);
			}
			_exit(4);
		}
		for (int i = 0; i < 2; i++) {
			pid = wait(&status);
			printf("reaped %d status %d\n", pid, WEXITSTATUS(status));
			fflush(stdout);
		}
		result("nobody left", wait(&status));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	result("after init's end", fork());
}

static void on_term(int sig)
{
	printf("got %d\n", sig);
	fflush(stdout);
}

static void signals(void)
{
	int up[2], down[2], status;
	char c = 0;
	pid_t pid;

	if (pipe(up) || pipe(down))
		return;
	unshare(CLONE_NEWPID);
	pid = fork();
	if (pid == 0) {
		kill(1, SIGKILL);
		kill(1, SIGTERM);
		raise(SIGTERM);
		printf("init lives\n");
		signal(SIGUSR1, on_term);
		if (fork() == 0) {
			kill(1, SIGKILL);
			kill(1, SIGUSR1);
			_exit(0);
		}
		while (wait(&status) < 0)
			;
		fflush(stdout);
		(void)!write(up[1], &c, 1);
		(void)!read(down[0], &c, 1);
		pause();
	}
	(void)!read(up[0], &c, 1);
	kill(pid, SIGTERM);
	kill(pid, SIGHUP);
	usleep(20000);
	printf("after default signals: %d\n", waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	printf("after SIGKILL: %d ", waitpid(pid, &status, 0) == pid);
	printf("status %x\n", status);
}

/* Everybody goes with init. */
static void end(void)
{
	int p[2], status;
	char c;
	pid_t pid;

	if (pipe(p))
		return;
	unshare(CLONE_NEWPID);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			if (fork() == 0)
				for (;;)
					pause();
		_exit(7);
	}
	close(p[1]);
	printf("readers gone: %zd\n", read(p[0], &c, 1));
	waitpid(pid, &status, 0);
	printf("status %x\n", status);
}

static void proc_of_ns(void)
{
	pid_t pid;
	int status;

	unshare(CLONE_NEWPID | CLONE_NEWNS);
	pid = fork();
	if (pid == 0) {
		char buf[64];
		ssize_t n;

		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
		n = readlink("/proc/self", buf, sizeof(buf) - 1);
		printf("outer /proc knows us by another number: %d\n",
		       n > 0 && strncmp(buf, "1", 2));
		result("mount", mount("proc", "/proc", "proc", 0, NULL));
		n = readlink("/proc/self", buf, sizeof(buf) - 1);
		buf[n > 0 ? n : 0] = 0;
		printf("self %s\n", buf);
		n = readlink("/proc/thread-self", buf, sizeof(buf) - 1);
		buf[n > 0 ? n : 0] = 0;
		printf("thread-self %s\n", buf);
		fflush(stdout);
		(void)!system(
		    "grep -E '^(Tgid|Pid|PPid|NStgid|NSpid|NSpgid|NSsid):' /proc/1/status; "
		    "cut -d' ' -f1,4,5,6 /proc/1/stat; ls /proc/1/task; ls -d /proc/[0-9]*");
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

static void credentials(void)
{
	int s[2], status, one = 1;
	pid_t pid;

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	unshare(CLONE_NEWPID);
	pid = fork();
	if (pid == 0) {
		(void)!write(s[1], "x", 1);
		_exit(0);
	}
	char c, control[256];
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	recvmsg(s[0], &m, 0);
	struct ucred *u = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&m));
	printf("the receiver's number of the sender: %d\n", u->pid == pid);
	waitpid(pid, &status, 0);
}

static void joining(void)
{
	int status, fd, up[2];
	char c = 0, path[64];
	pid_t pid;

	if (pipe(up))
		return;
	pid = fork();
	if (pid == 0) {
		unshare(CLONE_NEWPID);
		pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)!write(up[1], &c, 1);
			pause();
		}
		waitpid(pid, &status, 0);
		_exit(0);
	}
	(void)!read(up[0], &c, 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/pid_for_children", pid);
	fd = open(path, O_RDONLY);
	result("setns", setns(fd, CLONE_NEWPID));
	pid_t in = fork();
	if (in == 0) {
		printf("joined as %d of %d\n", getpid(), getppid());
		result("kill init", kill(1, SIGKILL));
		result("is it there", kill(1, 0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(in, &status, 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static void up(void)
{
	int status, fd = open("/proc/self/ns/pid", O_RDONLY);
	pid_t in;

	unshare(CLONE_NEWPID);
	in = fork();
	if (in == 0) {
		result("up", setns(fd, CLONE_NEWPID));
		fflush(stdout);
		_exit(0);
	}
	waitpid(in, &status, 0);
}

static void set_tid(void)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
		uint64_t set_tid, set_tid_size, cgroup;
	} a = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
	int tids[3] = {2, 20000, 0}, status;
	long pid;

	a.set_tid = (uintptr_t)tids;
	a.set_tid_size = 2;
	result("init that is not 1", syscall(SYS_clone3, &a, sizeof(a)));
	a.set_tid_size = 3;
	tids[0] = 1;
	tids[2] = 30000;
	a.set_tid_size = 2;
	pid = syscall(SYS_clone3, &a, sizeof(a));
	if (pid == 0) {
		printf("in it %d\n", getpid());
		fflush(stdout);
		_exit(0);
	}
	waitpid((pid_t)pid, &status, 0);
	result("chosen", pid);
}

static void threads(void)
{
	unshare(CLONE_NEWPID);
	result("thread", clone(show_numbers, stack + sizeof(stack),
			       CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, NULL));
	result("thread and namespace",
	       clone(show_numbers, stack + sizeof(stack),
		     CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWPID, NULL));
}

int main(void)
{
	in_child("numbers", 0, numbers);
	in_child("grandchildren", 0, grandchildren);
	in_child("signals", 0, signals);
	in_child("end", 0, end);
	in_child("proc", 0, proc_of_ns);
	in_child("credentials", 0, credentials);
	in_child("joining", 0, joining);
	in_child("up", 0, up);
	in_child("chosen numbers", 0, set_tid);
	in_child("threads", 0, threads);
	return 0;
}
