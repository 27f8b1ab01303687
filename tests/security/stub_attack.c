/*
 * A guest program that attacks the stub: it finds the stub's text in its own
 * address space, jumps to its system call instruction with every number and
 * with hostile arguments, and says what came back. Prints `reached NR` for each
 * call that did not end the process, and `ok NAME` or `not ok NAME` for the
 * attacks that follow. See docs/security.md.
 *
 * The text is found by the magic number at the start of a page; access(2)
 * tells without a fault whether an address is mapped.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_LO 0x7ff800000000ULL
#define TEXT_HI 0x7ff900100000ULL
#define MAGIC 0x62757473726e7261ULL
#define ASK 0x3e0000
#define REACHED 42

typedef long raw_call(long nr, long a, long b, long c, long d, long e, long f);

static raw_call *stub_call; /* the stub's own function: system call, then ret */
static uint8_t *text;

static int readable(uint64_t addr)
{
	return syscall(SYS_access, addr, 0) == 0 || errno != EFAULT;
}

static int find_text(void)
{
	for (uint64_t page = TEXT_LO; page < TEXT_HI; page += 4096) {
		if (readable(page) && *(uint64_t *)page == MAGIC) {
			text = (uint8_t *)page;
			return 1;
		}
	}
	return 0;
}

/* mov %rdi,%rax ... mov 8(%rsp),%r9; syscall; ret */
static int find_call(void)
{
	static const uint8_t tail[] = {0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3};
	static const uint8_t head[] = {0x48, 0x89, 0xf8};

	for (int i = 32; i < 4096 - 8; i++) {
		if (memcmp(text + i, tail, sizeof(tail)))
			continue;
		for (int j = i; j > i - 32; j--) {
			if (memcmp(text + j, head, sizeof(head)) == 0) {
				stub_call = (raw_call *)(text + j);
				return 1;
			}
		}
	}
	return 0;
}

/*
 * Waits for the child, which may wait itself for the sentry to answer a call that it did not
 * expect: that happens with the next fork of anybody. A child that never comes back is killed.
 */
static int await(pid_t pid)
{
	int status;

	for (int i = 0; i < 200; i++) {
		pid_t other;

		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(i < 10 ? 200 : 2000);
		if (i % 10 != 9)
			continue;
		other = fork();
		if (other == 0)
			_exit(0);
		waitpid(other, NULL, 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

/* How a child ended that made the call: REACHED if it came back. */
static int try(long nr, const long a[6], long *result)
{
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		long r = stub_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

		(void)!write(fds[1], &r, sizeof(r));
		_exit(REACHED);
	}
	close(fds[1]);
	*result = 0;
	status = await(pid);
	if (WIFEXITED(status))
		(void)!read(fds[0], result, sizeof(*result));
	close(fds[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static char scratch[65536] __attribute__((aligned(4096)));

static void every_number(void)
{
	const long hostile[][6] = {
	    {0, 0, 0, 0, 0, 0},
	    {-1, -1, -1, -1, -1, -1},
	    {(long)scratch, (long)scratch, 4096, (long)scratch, (long)scratch, 8},
	    {0, (long)scratch, 4096, 0, 0, 0},
	    {1, 2, 3, 4, 5, 6},
	};
	long r;

	for (long nr = -1; nr < 700; nr++) {
		int reached = 0;

		for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
			/* exit and the return from a signal end the child by nature */
			if (nr == SYS_exit || nr == SYS_rt_sigreturn)
				continue;
			reached |= try(nr, hostile[i], &r) == REACHED;
		}
		if (reached)
			printf("reached %ld\n", nr);
	}
	for (long nr = 0; nr < 600; nr += 7)
		if (try(0x40000000 + nr, hostile[2], &r) == REACHED)
			printf("reached x32 %ld\n", nr);
}

static void check(const char *what, int good, long r)
{
	printf("%s %s", good ? "ok" : "not ok", what);
	if (!good)
		printf(": %ld", r);
	printf("\n");
	fflush(stdout);
}

/* The call must end the process. */
static void fatal(const char *what, long nr, long a, long b, long c, long d, long e, long f)
{
	long args[6] = {a, b, c, d, e, f}, r;
	int end = try(nr, args, &r);

	check(what, end == -SIGKILL || end == -SIGSYS, end);
}

/* The call must fail with this error. */
static void refused(const char *what, long err, long nr, long a, long b, long c, long d, long e,
		    long f)
{
	long args[6] = {a, b, c, d, e, f}, r;
	int end = try(nr, args, &r);

	check(what, end == REACHED && r == -err, r);
}

static void arguments(void)
{
	const long page = (long)scratch;

	refused("no fd is there to map", EBADF, SYS_mmap, 0, 4096, 1, MAP_PRIVATE, 0, 0);
	fatal("mmap of another fd", SYS_mmap, 0, 4096, 1, MAP_PRIVATE, 3, 0);
	fatal("mmap of huge pages", SYS_mmap, 0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | 0x40000, -1,
	      0);
	fatal("mmap locked", SYS_mmap, 0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	fatal("futex requeue", SYS_futex, page, 3, 1, 1, page + 64, 0);
	fatal("futex private wake", SYS_futex, page, 129, 1, 0, 0, 0);
	fatal("futex wake op", SYS_futex, page, 5, 1, 1, page + 64, 0);
	fatal("futex lock pi", SYS_futex, page, 6, 0, 0, 0, 0);
	fatal("madvise hwpoison", SYS_madvise, page, 4096, 100, 0, 0, 0);
	fatal("madvise mergeable", SYS_madvise, page, 4096, 12, 0, 0, 0);
	fatal("mprotect with a key bit", SYS_mprotect, page, 4096, 0x10, 0, 0, 0);
	fatal("close of another fd", SYS_close, 3, 0, 0, 0, 0, 0);
	fatal("clone vfork", SYS_clone, 0x4000 | 0x100 | SIGCHLD, 0, 0, 0, 0, 0);
	fatal("clone new user namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0, 0);
	fatal("clone without the parent", SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	fatal("clone with high bits", SYS_clone, 0x100000000L | 0x8011, 0, 0, 0, 0, 0);
	refused("a process nobody knows", EPERM, SYS_clone, 0x8000 | SIGCHLD, 0, 0, 0, 0, 0);
	refused("ask for a fd", EPERM, ASK, 1, 0, 0, 0, 0, 0);
	refused("ask as a child", EPERM, ASK, 2, 0, 0, 0, 0, 0);
	refused("ask to fail", EPERM, ASK, 3, -1, 0, 0, 0, 0);
	refused("ask nonsense", EPERM, ASK, 77, -1, 0, 0, 0, 0);
	fatal("execve", SYS_execve, (long)"/bin/true", 0, 0, 0, 0, 0);
	fatal("ptrace", SYS_ptrace, 0, 0, 0, 0, 0, 0);
	fatal("prctl", SYS_prctl, 22, 0, 0, 0, 0, 0);
	fatal("seccomp", SYS_seccomp, 1, 0, 0, 0, 0, 0);
	fatal("kill of the sentry", SYS_kill, 1, 9, 0, 0, 0, 0);
	fatal("tgkill of the sentry", SYS_tgkill, 1, 1, 9, 0, 0, 0);
	fatal("process_vm_writev", SYS_process_vm_writev, 1, page, 1, page, 1, 0);
	fatal("socket", SYS_socket, 1, 1, 0, 0, 0, 0);
	fatal("openat", SYS_openat, -100, (long)"/", 0, 0, 0, 0);
	fatal("rt_sigaction", SYS_rt_sigaction, 31, 0, 0, 8, 0, 0);
	fatal("sigaltstack", SYS_sigaltstack, 0, 0, 0, 0, 0, 0);
	fatal("exit_group", SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

/* --- attacks on the attacker's own process: at most it dies ------------------------------- */

static uint8_t *own_slot(void)
{
	/* The arenas lie below the text, somewhere in 12 GiB, at multiples of 2 MiB. */
	for (uint64_t a = 0x7ff000000000ULL; a < 0x7ff300000000ULL; a += 0x200000)
		if (readable(a))
			return (uint8_t *)a;
	return NULL;
}

static void scribble(uint8_t *slot)
{
	unsigned int seed = 1;

	for (int i = 0; i < 200000; i++) {
		seed = seed * 1103515245 + 12345;
		slot[(seed >> 8) % 4096] = (uint8_t)(seed >> 3);
		if (i % 100 == 0)
			syscall(SYS_getppid);
	}
}

static void unmap_own_slot(uint8_t *slot)
{
	stub_call(SYS_munmap, (long)slot, 0x200000, 0, 0, 0, 0);
	syscall(SYS_getppid);
}

static void unmap_text(uint8_t *slot)
{
	stub_call(SYS_munmap, (long)text, 0x10000, 0, 0, 0, 0);
	stub_call(SYS_mmap, (long)text, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	syscall(SYS_getppid);
}

static void replace_slot(uint8_t *slot)
{
	stub_call(SYS_mmap, (long)slot, 0x200000, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0);
	syscall(SYS_getppid);
}

static void let_children_have_it(uint8_t *slot)
{
	stub_call(SYS_madvise, (long)slot, 0x200000, MADV_DOFORK, 0, 0, 0);
	for (int i = 0; i < 10; i++)
		if (fork() == 0) {
			for (int j = 0; j < 100000; j++)
				*(volatile uint32_t *)(slot + 4 * (j % 16)) = (uint32_t)j;
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
}

static void rogue_threads(uint8_t *slot)
{
	/* Threads that the sentry does not know: they spin in guest memory. */
	for (int i = 0; i < 20; i++) {
		char *stack = malloc(65536);

		stub_call(SYS_clone, 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000,
			  (long)(stack + 65536 - 4096), 0, 0, 0, 0);
	}
	usleep(10000);
}

static void flood_of_asks(uint8_t *slot)
{
	for (int i = 0; i < 20000; i++)
		stub_call(ASK, i % 5, i, 0, 0, 0, 0);
}

static void jump_everywhere(uint8_t *slot)
{
	unsigned int seed = (unsigned int)getpid();

	for (int i = 0; i < 200; i++) {
		seed = seed * 1103515245 + 12345;
		if (fork() == 0) {
			uint8_t *at = text + (seed >> 8) % 2048;

			__asm__ volatile(
			    "mov %0, %%rdi; mov %0, %%rsi; mov %0, %%rdx; mov %0, %%rax;"
			    "jmp *%1"
			    :
			    : "r"(slot), "b"(at)
			    : "memory");
		}
		/* Some jumps wait for ever. */
		usleep(300);
	}
}

static void with_own_process(const char *what, void (*attack)(uint8_t *))
{
	pid_t pid = fork();
	int status, ms = 0;

	if (pid == 0) {
		uint8_t *slot = own_slot();

		setpgid(0, 0);
		if (slot)
			attack(slot);
		_exit(slot ? 0 : 99);
	}
	setpgid(pid, pid);
	/* It may end in any way, or not at all; then it can be killed. */
	while (waitpid(pid, &status, WNOHANG) == 0 && ms++ < 3000)
		usleep(1000);
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(-pid, &status, 0) > 0)
		;
	check(what, !(WIFEXITED(status) && WEXITSTATUS(status) == 99), 99);
}

static void still_well(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	check("the sandbox is well", status == 0, status);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!find_text() || !find_call()) {
		printf("not ok find the stub's text\n");
		return 1;
	}
	if (argc > 1 && strcmp(argv[1], "numbers") == 0) {
		every_number();
	} else {
		arguments();
		with_own_process("scribble over the mailbox", scribble);
		with_own_process("unmap the mailbox", unmap_own_slot);
		with_own_process("replace the stub's text", unmap_text);
		with_own_process("replace the mailbox", replace_slot);
		with_own_process("share the mailbox with children", let_children_have_it);
		with_own_process("threads that nobody knows", rogue_threads);
		with_own_process("a flood of asks", flood_of_asks);
		with_own_process("jumps anywhere into the stub", jump_everywhere);
	}
	still_well();
	return 0;
}
