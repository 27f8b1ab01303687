/* seccomp(2) and prctl(PR_SET_SECCOMP): strict mode, filters and their actions. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void in_child(const char *name, void (*fn)(void))
{
	int status;
	pid_t p = fork();

	if (p == 0) {
		fn();
		syscall(SYS_exit_group, 0);
	}
	waitpid(p, &status, 0);
	printf("%s: %s %d\n", name, WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static long install(unsigned int flags, struct sock_filter *f, unsigned short n)
{
	struct sock_fprog prog = {n, f};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* getppid gets `action`, the rest is allowed. */
static long filter(unsigned int flags, unsigned int action)
{
	struct sock_filter f[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, action),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(flags, f, 4);
}

static void no_privs(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void strict(void)
{
	printf("mode %d\n", prctl(PR_GET_SECCOMP));
	printf("strict %s\n", err(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)));
	write(1, "write works\n", 12);
	syscall(SYS_getpid);
}

static void strict_exit(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	syscall(SYS_exit, 5);
}

static void errnos(void)
{
	no_privs();
	printf("filter %s\n", err(filter(0, SECCOMP_RET_ERRNO | EDOM)));
	printf("getppid %s\n", err(syscall(SYS_getppid)));
	printf("getpid %d mode %d\n", syscall(SYS_getpid) > 0, prctl(PR_GET_SECCOMP));
	filter(0, SECCOMP_RET_ERRNO | ENOTTY);
	printf("the newer one's value: %s\n", err(syscall(SYS_getppid)));
	filter(0, SECCOMP_RET_LOG);
	printf("not loosened: %s\n", err(syscall(SYS_getppid)));
	printf("inherited: ");
	fflush(stdout);
	if (fork() == 0) {
		printf("%s\n", err(syscall(SYS_getppid)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	printf("strict after filter %s\n", err(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)));
}

static void on_sys(int sig, siginfo_t *si, void *uc)
{
	printf("SIGSYS code %d syscall %d arch %#x errno %d\n", si->si_code,
	       si->si_syscall == SYS_getppid, si->si_arch, si->si_errno);
}

static void traps(void)
{
	struct sigaction sa = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};
	long r;

	no_privs();
	sigaction(SIGSYS, &sa, NULL);
	filter(0, SECCOMP_RET_TRAP | 17);
	r = syscall(SYS_getppid);
	printf("returns the number: %d\n", r == SYS_getppid);
}

static void kill_process(void)
{
	no_privs();
	filter(0, SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_getppid);
}

static void *dies(void *arg)
{
	syscall(SYS_getppid);
	return NULL;
}

static void kill_thread(void)
{
	pthread_t t;

	no_privs();
	filter(0, SECCOMP_RET_KILL_THREAD);
	pthread_create(&t, NULL, dies, NULL);
	pthread_join(t, NULL);
	syscall(SYS_exit_group, 9);
}

static volatile int go;
static long thread_result;

static void *waits(void *arg)
{
	while (!go)
		;
	thread_result = syscall(SYS_getppid);
	return NULL;
}

static void tsync(void)
{
	pthread_t t;

	no_privs();
	pthread_create(&t, NULL, waits, NULL);
	printf("tsync %s\n", err(filter(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_ERRNO | EDOM)));
	go = 1;
	pthread_join(t, NULL);
	printf("the other thread: %ld\n", thread_result);
}

static void no_tsync(void)
{
	pthread_t t;

	no_privs();
	go = 0;
	pthread_create(&t, NULL, waits, NULL);
	filter(0, SECCOMP_RET_ERRNO | EDOM);
	go = 1;
	pthread_join(t, NULL);
	printf("the other thread is free: %d\n", thread_result > 0);
}

static void arguments(void)
{
	struct sock_filter f[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x100, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	no_privs();
	install(0, f, 8);
	printf("close(0x100) %s\n", err(close(0x100)));
	printf("close(0x200) %s\n", err(close(0x200)));
}

static void bad(void)
{
	struct sock_filter no_ret[] = {BPF_STMT(BPF_LD | BPF_IMM, 0)};
	struct sock_filter far[] = {BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0),
				    BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter unaligned[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 3),
					  BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter packet[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
				       BPF_STMT(BPF_RET | BPF_K, 0)};
	unsigned int action = SECCOMP_RET_ALLOW, unknown = 0x12340000;

	if (geteuid() != 0)
		printf("without no_new_privs %s\n", err(filter(0, SECCOMP_RET_ALLOW)));
	no_privs();
	printf("no return %s\n", err(install(0, no_ret, 1)));
	printf("far jump %s\n", err(install(0, far, 2)));
	printf("unaligned %s\n", err(install(0, unaligned, 2)));
	printf("bytes %s\n", err(install(0, packet, 2)));
	printf("empty %s\n", err(install(0, far, 0)));
	printf("flags %s\n", err(install(1 << 20, far, 2)));
	printf("operation %s\n", err(syscall(SYS_seccomp, 77, 0, NULL)));
	printf("available %s %s\n", err(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)),
	       err(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown)));
	printf("trace without tracer %s", err(filter(0, SECCOMP_RET_TRACE)));
	printf(" %s\n", err(syscall(SYS_getppid)));
}

/* Seccomp_filters of /proc/self/status. */
static int counted(void)
{
	char line[128];
	int n = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp_filters: %d", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static void status_counts(void)
{
	int before = counted();

	no_privs();
	filter(0, SECCOMP_RET_ALLOW);
	filter(0, SECCOMP_RET_ALLOW);
	printf("filters added: %d\n", counted() - before);
}

int main(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	setvbuf(stdout, NULL, _IONBF, 0);
	in_child("strict", strict);
	in_child("strict exit", strict_exit);
	in_child("errno", errnos);
	in_child("trap", traps);
	in_child("kill process", kill_process);
	in_child("kill thread", kill_thread);
	in_child("tsync", tsync);
	in_child("no tsync", no_tsync);
	in_child("arguments", arguments);
	in_child("bad", bad);
	in_child("status", status_counts);
	return 0;
}
