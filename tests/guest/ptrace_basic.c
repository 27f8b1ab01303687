/* ptrace(2): stops, registers, memory, syscalls, events, attaching, exits. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static int await(pid_t p, const char *what)
{
	int status;

	if (waitpid(p, &status, __WALL) != p)
		printf("%s: wait %s\n", what, err(-1));
	else if (WIFSTOPPED(status))
		printf("%s: stopped %#x event %d\n", what, WSTOPSIG(status), status >> 16);
	else
		printf("%s: status %#x\n", what, status);
	return status;
}

static volatile long word = 0x1234;

static void traceme(void)
{
	struct user_regs_struct r;
	siginfo_t si;
	long v;
	pid_t p = fork();

	if (p == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(99);
		raise(SIGSTOP);
		_exit(word == 0x5678 ? 7 : 8);
	}
	await(p, "first");
	printf("siginfo %s", err(ptrace(PTRACE_GETSIGINFO, p, 0, &si)));
	printf(" signo %d code %d from itself %d\n", si.si_signo, si.si_code, si.si_pid == p);
	printf("getregs %s", err(ptrace(PTRACE_GETREGS, p, 0, &r)));
	printf(" orig_rax %d cs %#llx ss %#llx\n", r.orig_rax == SYS_tgkill, r.cs, r.ss);
	errno = 0;
	v = ptrace(PTRACE_PEEKDATA, p, &word, 0);
	printf("peek %#lx %s\n", v, err(-!!errno));
	printf("poke %s\n", err(ptrace(PTRACE_POKEDATA, p, &word, 0x5678)));
	printf("text %s\n", err(ptrace(PTRACE_POKETEXT, p, (void *)traceme,
				       ptrace(PTRACE_PEEKTEXT, p, (void *)traceme, 0))));
	errno = 0;
	ptrace(PTRACE_PEEKDATA, p, 8, 0);
	printf("peek bad %s\n", strerrorname_np(errno));
	errno = 0;
	v = ptrace(PTRACE_PEEKUSER, p, offsetof(struct user, regs.rip), 0);
	printf("peekuser %d\n", v == (long)r.rip);
	printf("cont bad signal %s\n", err(ptrace(PTRACE_CONT, p, 0, 1000)));
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "end");
	printf("gone %s\n", err(ptrace(PTRACE_CONT, p, 0, 0)));
}

static void syscalls(void)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct r;
	long n;
	pid_t p = fork();

	if (p == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		long a = syscall(SYS_getppid);
		long b = syscall(SYS_close, 1234);
		_exit((a == 4242) | (b == 0) << 1);
	}
	await(p, "start");
	ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD);
	ptrace(PTRACE_SYSCALL, p, 0, 0);
	await(p, "entry");
	n = ptrace(PTRACE_GET_SYSCALL_INFO, p, sizeof(info), &info);
	printf("info %ld op %d nr %d\n", n, info.op, info.entry.nr == SYS_getppid);
	ptrace(PTRACE_GETREGS, p, 0, &r);
	printf("rax at entry %lld\n", (long long)r.rax);
	ptrace(PTRACE_SYSCALL, p, 0, 0);
	await(p, "exit");
	n = ptrace(PTRACE_GET_SYSCALL_INFO, p, sizeof(info), &info);
	printf("info %ld op %d result %d error %d\n", n, info.op, info.exit.rval == getpid(),
	       info.exit.is_error);
	ptrace(PTRACE_GETREGS, p, 0, &r);
	r.rax = 4242;
	ptrace(PTRACE_SETREGS, p, 0, &r);
	ptrace(PTRACE_SYSCALL, p, 0, 0);
	await(p, "entry");
	ptrace(PTRACE_GETREGS, p, 0, &r);
	printf("close(%lld)\n", (long long)r.rdi);
	r.orig_rax = (unsigned long long)-1;
	r.rax = 0;
	ptrace(PTRACE_SETREGS, p, 0, &r);
	ptrace(PTRACE_SYSCALL, p, 0, 0);
	await(p, "skipped");
	ptrace(PTRACE_SYSCALL, p, 0, 0);
	await(p, "exit_group");
	ptrace(PTRACE_SYSCALL, p, 0, 0);
	await(p, "end");
}

static void steps(void)
{
	int status, n = 0;
	siginfo_t si;
	pid_t p = fork();

	if (p == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		__asm__ volatile("int3\n\tnop\n\tnop\n\tint3" ::: "memory");
		_exit(3);
	}
	await(p, "int3");
	ptrace(PTRACE_GETSIGINFO, p, 0, &si);
	printf("code %d\n", si.si_code);
	for (int i = 0; i < 2; i++) {
		ptrace(PTRACE_SINGLESTEP, p, 0, 0);
		await(p, "step");
		ptrace(PTRACE_GETSIGINFO, p, 0, &si);
		printf("code %d\n", si.si_code);
	}
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "int3");
	while (n < 2000) {
		ptrace(PTRACE_SINGLESTEP, p, 0, 0);
		if (waitpid(p, &status, 0) != p || !WIFSTOPPED(status))
			break;
		n++;
	}
	printf("stepped to the end: %d status %#x\n", n > 3 && n < 2000, status);
}

static void registers(void)
{
	struct user_regs_struct r;
	struct user_fpregs_struct fp;
	struct iovec iov = {&r, sizeof(r)};
	static char xstate[20000];
	uint64_t value = 0x1122334455667788;
	pid_t p = fork();
	int status;

	if (p == 0) {
		uint64_t out = 0, rbx = 0;

		ptrace(PTRACE_TRACEME, 0, 0, 0);
		__asm__ volatile("movq %2, %%xmm7\n\t"
				 "int3\n\t"
				 "movq %%xmm7, %0\n\t"
				 "mov %%rbx, %1"
				 : "=r"(out), "=r"(rbx)
				 : "r"(value)
				 : "rbx", "xmm7");
		_exit((out == 99) | (rbx == 77) << 1);
	}
	await(p, "int3");
	printf("getregset %s size %zu\n", err(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &iov)),
	       iov.iov_len);
	r.rbx = 77;
	printf("setregset %s\n", err(ptrace(PTRACE_SETREGSET, p, NT_PRSTATUS, &iov)));
	printf("getfpregs %s", err(ptrace(PTRACE_GETFPREGS, p, 0, &fp)));
	printf(" xmm7 %#lx\n", ((uint64_t *)fp.xmm_space)[14]);
	((uint64_t *)fp.xmm_space)[14] = 99;
	printf("setfpregs %s\n", err(ptrace(PTRACE_SETFPREGS, p, 0, &fp)));
	iov = (struct iovec){xstate, sizeof(xstate)};
	printf("xstate %s", err(ptrace(PTRACE_GETREGSET, p, NT_X86_XSTATE, &iov)));
	printf(" size %d xmm7 %ld\n", iov.iov_len >= 576, *(long *)(xstate + 160 + 7 * 16));
	printf("bad set %s\n", err(ptrace(PTRACE_GETREGSET, p, 0x9999, &iov)));
	ptrace(PTRACE_CONT, p, 0, 0);
	waitpid(p, &status, 0);
	printf("changed %d\n", WEXITSTATUS(status));
}

static void *nothing(void *arg)
{
	return NULL;
}

static void events(void)
{
	unsigned long msg;
	pthread_t t;
	int status;
	pid_t p = fork(), child;

	if (p == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		if (fork() == 0)
			_exit(5);
		wait(NULL);
		pthread_create(&t, NULL, nothing, NULL);
		pthread_join(t, NULL);
		execl("/proc/self/exe", "ptrace_basic", "exit", (char *)NULL);
		_exit(1);
	}
	await(p, "start");
	ptrace(PTRACE_SETOPTIONS, p, 0,
	       PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "fork event");
	ptrace(PTRACE_GETEVENTMSG, p, 0, &msg);
	child = (pid_t)msg;
	await(child, "child starts");
	ptrace(PTRACE_CONT, child, 0, 0);
	await(child, "child's exit event");
	ptrace(PTRACE_GETEVENTMSG, child, 0, &msg);
	printf("code %#lx\n", msg);
	ptrace(PTRACE_CONT, child, 0, 0);
	await(child, "child ends");
	ptrace(PTRACE_CONT, p, 0, 0);
	status = await(p, "next");
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD) {
		ptrace(PTRACE_CONT, p, 0, 0);
		await(p, "clone event");
	}
	ptrace(PTRACE_GETEVENTMSG, p, 0, &msg);
	child = (pid_t)msg;
	await(child, "thread starts");
	ptrace(PTRACE_CONT, child, 0, 0);
	await(child, "thread's exit event");
	ptrace(PTRACE_CONT, p, 0, 0);
	ptrace(PTRACE_CONT, child, 0, 0);
	await(child, "thread ends");
	await(p, "exec event");
	ptrace(PTRACE_GETEVENTMSG, p, 0, &msg);
	printf("former tid is pid %d\n", (pid_t)msg == p);
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "exit event");
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "end");
}

static void signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};
	siginfo_t si;
	pid_t p = fork();

	if (p == 0) {
		sigaction(SIGUSR1, &sa, NULL);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGUSR1);
		raise(SIGTERM);
		raise(SIGHUP);
		_exit(0);
	}
	await(p, "an ignored signal stops");
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "SIGTERM");
	ptrace(PTRACE_CONT, p, 0, 0);
	await(p, "suppressed; SIGHUP");
	ptrace(PTRACE_GETSIGINFO, p, 0, &si);
	ptrace(PTRACE_CONT, p, 0, SIGUSR2);
	await(p, "changed to SIGUSR2");
}

static void seize(void)
{
	int status, fds[2];
	pid_t p;

	pipe(fds);
	p = fork();
	if (p == 0) {
		char c;

		close(fds[1]);
		read(fds[0], &c, 1);
		_exit(6);
	}
	close(fds[0]);
	printf("interrupt a stranger %s\n", err(ptrace(PTRACE_INTERRUPT, p, 0, 0)));
	printf("seize %s\n", err(ptrace(PTRACE_SEIZE, p, 0, 0)));
	printf("again %s\n", err(ptrace(PTRACE_SEIZE, p, 0, 0)));
	printf("regs while running %s\n", err(ptrace(PTRACE_GETREGS, p, 0, &(char[400]){0})));
	usleep(20000);
	ptrace(PTRACE_INTERRUPT, p, 0, 0);
	await(p, "interrupted");
	ptrace(PTRACE_CONT, p, 0, 0);
	kill(p, SIGSTOP);
	await(p, "signal");
	ptrace(PTRACE_CONT, p, 0, SIGSTOP);
	await(p, "group stop");
	printf("listen %s\n", err(ptrace(PTRACE_LISTEN, p, 0, 0)));
	kill(p, SIGCONT);
	status = await(p, "continued");
	if (WIFSTOPPED(status)) {
		ptrace(PTRACE_CONT, p, 0, 0);
		await(p, "SIGCONT itself");
		ptrace(PTRACE_CONT, p, 0, SIGCONT);
	}
	usleep(20000);
	ptrace(PTRACE_INTERRUPT, p, 0, 0);
	await(p, "once more");
	printf("detach %s\n", err(ptrace(PTRACE_DETACH, p, 0, 0)));
	close(fds[1]);
	await(p, "end");
	p = fork();
	if (p == 0)
		for (;;)
			;
	printf("attach %s\n", err(ptrace(PTRACE_ATTACH, p, 0, 0)));
	await(p, "attached");
	ptrace(PTRACE_KILL, p, 0, 0);
	await(p, "killed");
	printf("self %s\n", err(ptrace(PTRACE_ATTACH, getpid(), 0, 0)));
	printf("nobody %s\n", err(ptrace(PTRACE_ATTACH, 999999, 0, 0)));
	printf("unknown %s\n", err(ptrace(0x9999, 999999, 0, 0)));
}

static void tracer_exits(void)
{
	int status, fds[2];
	char c = 0;
	pid_t p, tracer;

	pipe(fds);
	p = fork();
	if (p == 0)
		for (;;)
			pause();
	tracer = fork();
	if (tracer == 0) {
		int s;

		ptrace(PTRACE_ATTACH, p, 0, 0);
		waitpid(p, &s, __WALL);
		ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_EXITKILL);
		ptrace(PTRACE_CONT, p, 0, 0);
		write(fds[1], WIFSTOPPED(s) ? "y" : "n", 1);
		_exit(0);
	}
	read(fds[0], &c, 1);
	waitpid(tracer, &status, 0);
	printf("traced by another: %c\n", c);
	await(p, "EXITKILL");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 1)
		return 44;
	traceme();
	syscalls();
	steps();
	registers();
	events();
	signals();
	seize();
	tracer_exits();
	return 0;
}
