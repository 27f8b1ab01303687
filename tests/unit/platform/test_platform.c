/* link: sentry/platform/[a-z]*.c sentry/platform/systrap/[a-z]*.c sentry/platform/ptrace/[a-z]*.c common/host[a-z_]*.c common/host.c common/log.c common/mem.c sentry/core/sleeper.c */
/*
 * The platform from the sentry's side: small pieces of guest code, written in
 * assembly below, run in real stubs, and every event and effect is checked.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/platform/platform.h"

/* The leak checker cannot work here: it uses ptrace itself, and the /proc of this pid namespace.
 * (Options in the environment, such as the test runner's, would go before default options.) */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

#define CODE 0x100000ULL
#define DATA 0x200000ULL
#define STACK 0x300000ULL
#define STACK_TOP (STACK + 0x10000)

/* Guest code: position independent, copied to CODE. */
#define GUEST(name, text)                                                                          \
	extern const char name[], name##_end[];                                                    \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")

GUEST(g_syscalls, "1: mov $39, %eax; mov $0x11, %edi; mov $0x22, %esi; mov $0x33, %edx;"
		  "mov $0x44, %r10d; mov $0x55, %r8d; mov $0x66, %r9d; syscall; jmp 1b");
GUEST(g_fault, "mov $0x12345678, %eax; movl $1, (%rax); ud2");
GUEST(g_div, "xor %ecx, %ecx; mov $1, %eax; xor %edx, %edx; div %ecx");
GUEST(g_int3, "int3; hlt");
GUEST(g_loop, "1: incq 0x200000; jmp 1b");
GUEST(g_bases, "rdfsbase %rax; rdgsbase %rbx; mov $1, %edi; syscall;"
	       "mov $0x777000, %eax; wrfsbase %rax; mov $2, %edi; syscall");
GUEST(g_xmm, "movdqu 0x200000, %xmm3; mov $1, %eax; syscall; movdqu %xmm3, 0x200010;"
	     "mov $2, %eax; syscall");
GUEST(g_int80, "mov $20, %eax; int $0x80; hlt");
GUEST(g_write, "mov $1, %eax; mov $1, %edi; mov $0x200000, %esi; mov $100, %edx; syscall;"
	       "mov $2, %eax; mov $0x200000, %edi; syscall");
GUEST(g_steps, "nop; nop; mov $39, %eax; syscall; nop; nop");

static struct pf_zygote *zygote;
static const char *platform_name;

static void setup(void)
{
	static struct pf_syscall_rule rules[PF_NSYSCALLS];
	struct pf_config config = {.name = platform_name, .ncpus = 2, .spin = true};

	rules[1].arg[1] = (struct pf_arg_rule){PF_ARG_IN_LEN, 2, 0};
	rules[2].arg[0] = (struct pf_arg_rule){PF_ARG_STRING, 0, 0};
	pf_set_syscall_rules(rules);
	ck_assert_int_eq(pf_init(&config), 0);
	ck_assert_int_eq(pf_zygote_new(&zygote), 0);
}

static void setup_systrap(void)
{
	platform_name = "systrap";
	setup();
}

static void setup_ptrace(void)
{
	platform_name = "ptrace";
	setup();
}

static void teardown(void)
{
	pf_zygote_put(zygote);
	pf_shutdown();
}

struct guest {
	struct pf_space *space;
	struct pf_thread *thread;
};

static void map(struct pf_thread *t, uint64_t addr, uint64_t len)
{
	ck_assert_int_eq(
	    pf_mmap(t, UADDR(addr), len, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, -1, 0),
	    0);
}

static struct guest guest_new(const char *code, const char *end)
{
	struct guest g;
	size_t n = (size_t)(end - code);

	ck_assert_int_eq(pf_space_new(zygote, &g.space, &g.thread), 0);
	pf_thread_attach(g.thread);
	map(g.thread, CODE, 0x10000);
	map(g.thread, DATA, 0x10000);
	map(g.thread, STACK, 0x10000);
	ck_assert_int_eq(pf_thread_write(g.thread, UADDR(CODE), code, n), n);
	pf_regs_mut(g.thread)->rip = CODE;
	pf_regs_mut(g.thread)->rsp = STACK_TOP;
	return g;
}
#define START(name) guest_new(name, name##_end)

static void guest_end(struct guest *g)
{
	pf_thread_exit(g->thread);
	pf_space_put(g->space);
}

static struct pf_event run(struct pf_thread *t)
{
	struct pf_event e;

	pf_run(t, &e);
	return e;
}

static void expect_syscall(struct pf_thread *t, unsigned long long nr)
{
	struct pf_event e = run(t);

	ck_assert_int_eq(e.kind, PF_SYSCALL);
	ck_assert_uint_eq(pf_regs(t)->orig_rax, nr);
}

static uint64_t load64(struct pf_space *s, uint64_t addr)
{
	uint64_t v = 0;

	ck_assert_int_eq(pf_space_read(s, UADDR(addr), &v, sizeof(v)), sizeof(v));
	return v;
}

START_TEST(syscalls)
{
	struct guest g = START(g_syscalls);
	const struct user_regs_struct *r;

	for (int i = 0; i < 1000; i++) {
		expect_syscall(g.thread, 39);
		r = pf_regs(g.thread);
		ck_assert_uint_eq(r->rdi, 0x11);
		ck_assert_uint_eq(r->rsi, 0x22);
		ck_assert_uint_eq(r->rdx, 0x33);
		ck_assert_uint_eq(r->r10, 0x44);
		ck_assert_uint_eq(r->r8, 0x55);
		ck_assert_uint_eq(r->r9, 0x66);
		ck_assert_uint_eq(r->rsp, STACK_TOP);
		pf_set_result(g.thread, (uint64_t)i);
	}
	guest_end(&g);
}
END_TEST

START_TEST(faults)
{
	struct guest g = START(g_fault);
	struct pf_event e = run(g.thread);

	ck_assert_int_eq(e.kind, PF_FAULT);
	ck_assert_int_eq(e.signo, SIGSEGV);
	ck_assert_int_eq(e.code, SEGV_MAPERR);
	ck_assert_uint_eq(e.addr, 0x12345678);
	ck_assert_uint_eq(e.trapno, 14);
	ck_assert_uint_eq(e.error_code & 6, 6);
	map(g.thread, 0x12345000, 0x1000);
	e = run(g.thread);
	ck_assert_int_eq(e.signo, SIGILL);
	ck_assert_uint_eq(load64(g.space, 0x12345678), 1);
	guest_end(&g);

	g = START(g_div);
	e = run(g.thread);
	ck_assert_int_eq(e.signo, SIGFPE);
	ck_assert_int_eq(e.code, FPE_INTDIV);
	guest_end(&g);

	g = START(g_int3);
	e = run(g.thread);
	ck_assert_int_eq(e.signo, SIGTRAP);
	e = run(g.thread);
	ck_assert_int_eq(e.signo, SIGSEGV);
	guest_end(&g);
}
END_TEST

START_TEST(int80_is_no_host_call)
{
	struct guest g = START(g_int80);
	struct pf_event e = run(g.thread);

	ck_assert(e.kind == PF_FAULT ||
		  (e.kind == PF_SYSCALL && pf_regs(g.thread)->orig_rax >= PF_NSYSCALLS));
	guest_end(&g);
}
END_TEST

START_TEST(registers_and_bases)
{
	struct guest g = START(g_bases);

	pf_regs_mut(g.thread)->fs_base = 0x555000;
	pf_regs_mut(g.thread)->gs_base = 0x666000;
	run(g.thread);
	ck_assert_uint_eq(pf_regs(g.thread)->rax, 0x555000);
	ck_assert_uint_eq(pf_regs(g.thread)->rbx, 0x666000);
	run(g.thread);
	ck_assert_uint_eq(pf_regs(g.thread)->rdi, 2);
	ck_assert_uint_eq(pf_regs(g.thread)->fs_base, 0x777000);
	ck_assert_uint_eq(pf_regs(g.thread)->gs_base, 0x666000);
	guest_end(&g);
}
END_TEST

START_TEST(fpu)
{
	struct guest g = START(g_xmm);
	char *image = xzalloc(pf_fpu_size());
	static const char pattern[] = "0123456789abcdef", other[] = "ABCDEFGHIJKLMNOP";

	ck_assert_int_eq(pf_thread_write(g.thread, UADDR(DATA), pattern, 16), 16);
	expect_syscall(g.thread, 1);
	ck_assert_int_eq(pf_fpu_get(g.thread, image, pf_fpu_size()), pf_fpu_size());
	ck_assert_mem_eq(image + 160 + 3 * 16, pattern, 16);
	memcpy(image + 160 + 3 * 16, other, 16);
	ck_assert_int_eq(pf_fpu_set(g.thread, image, pf_fpu_size()), 0);
	expect_syscall(g.thread, 2);
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(DATA + 16), image, 16), 16);
	ck_assert_mem_eq(image, other, 16);
	free(image);
	guest_end(&g);
}
END_TEST

START_TEST(memory)
{
	struct guest g = START(g_syscalls);
	SCOPED_FD int fd = host_memfd_create("test", 0);
	unsigned char vec[16];
	char buf[8192];
	uint32_t old;

	ck_assert_int_eq(host_ftruncate(fd, 0x3000), 0);
	ck_assert_int_eq(host_pwrite(fd, "hello", 5, 0x1000), 5);
	ck_assert_int_eq(pf_mmap(g.thread, UADDR(0x400000), 0x2000, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0x1000),
			 0);
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(0x400000), buf, 5), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(pf_thread_write(g.thread, UADDR(0x401000), "world", 5), 5);
	ck_assert_int_eq(host_pread(fd, buf, 5, 0x2000), 5);
	ck_assert_mem_eq(buf, "world", 5);
	/* a copy that crosses into nothing is partial */
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(0x401000), buf, 0x2000), 0x1000);
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(0x402000), buf, 1), -EFAULT);
	/* read-only pages are not written */
	ck_assert_int_eq(pf_mprotect(g.thread, UADDR(0x400000), 0x1000, PROT_READ), 0);
	ck_assert_int_eq(pf_thread_write(g.thread, UADDR(0x400000), "x", 1), -EFAULT);
	ck_assert_int_eq(
	    pf_mremap(g.thread, UADDR(0x401000), 0x1000, 0x1000, UADDR(0x500000), false), 0);
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(0x500000), buf, 5), 5);
	ck_assert_mem_eq(buf, "world", 5);
	ck_assert_int_eq(pf_munmap(g.thread, UADDR(0x500000), 0x1000), 0);
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(0x500000), buf, 5), -EFAULT);

	ck_assert_int_eq(pf_mincore(g.thread, UADDR(CODE), 0x10000, vec), 0);
	ck_assert_uint_eq(vec[0] & 1, 1);
	ck_assert_uint_eq(vec[5] & 1, 0);
	ck_assert_int_eq(pf_mincore(g.thread, UADDR(0x500000), 0x1000, vec), -ENOMEM);

	ck_assert_int_eq(pf_thread_cmpxchg32(g.thread, UADDR(DATA), 0, 7, &old), 0);
	ck_assert_uint_eq(old, 0);
	ck_assert_int_eq(pf_thread_cmpxchg32(g.thread, UADDR(DATA), 1, 8, &old), 0);
	ck_assert_uint_eq(old, 7);
	ck_assert_int_eq(pf_thread_cmpxchg32(g.thread, UADDR(0x500000), 1, 8, &old), -EFAULT);
	ck_assert_int_eq(pf_space_load32(g.space, UADDR(DATA), &old), 0);
	ck_assert_uint_eq(old, 7);

	/* errors are the host's; ranges outside of the guest's are refused */
	ck_assert_int_eq(pf_mprotect(g.thread, UADDR(0x700000), 0x1000, PROT_READ), -ENOMEM);
	ck_assert_int_eq(pf_munmap(g.thread, UADDR(pf_max_addr()), 0x1000), -EINVAL);
	ck_assert_int_eq(pf_munmap(g.thread, UADDR(pf_max_addr() - 0x1000), 0x2000), -EINVAL);
	expect_syscall(g.thread, 39);
	guest_end(&g);
}
END_TEST

START_TEST(forks)
{
	struct guest g = START(g_syscalls), c, cc;

	expect_syscall(g.thread, 39);
	ck_assert_int_eq(pf_thread_write(g.thread, UADDR(DATA), "parent", 6), 6);
	ck_assert_int_eq(pf_space_fork(g.thread, &c.space, &c.thread), 0);
	pf_thread_attach(c.thread);
	ck_assert_int_eq(pf_thread_write(c.thread, UADDR(DATA), "child!", 6), 6);
	ck_assert_uint_eq(load64(g.space, DATA) & 0xff, 'p');
	ck_assert_uint_eq(load64(c.space, DATA) & 0xff, 'c');
	pf_set_result(c.thread, 0);
	for (int i = 0; i < 10; i++) {
		expect_syscall(c.thread, 39);
		expect_syscall(g.thread, 39);
	}
	ck_assert_int_eq(pf_space_fork(c.thread, &cc.space, &cc.thread), 0);
	pf_thread_attach(cc.thread);
	expect_syscall(cc.thread, 39);
	ck_assert_uint_eq(load64(cc.space, DATA) & 0xff, 'c');
	map(cc.thread, 0x400000, 0x1000);
	guest_end(&c);
	expect_syscall(cc.thread, 39);
	expect_syscall(g.thread, 39);
	guest_end(&g);
	expect_syscall(cc.thread, 39);
	guest_end(&cc);
}
END_TEST

static void *thread_loop(void *arg)
{
	struct pf_thread *t = arg;

	pf_thread_attach(t);
	for (int i = 0; i < 100; i++)
		expect_syscall(t, 39);
	pf_thread_exit(t);
	return NULL;
}

/* More threads than one arena has slots; twice, so that slots are used again. */
START_TEST(threads)
{
	struct guest g = START(g_syscalls);
	pthread_t host[40];
	struct pf_thread *t;

	expect_syscall(g.thread, 39);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(host); i++) {
			ck_assert_int_eq(pf_thread_new(g.thread, &t), 0);
			ck_assert_int_eq(pthread_create(&host[i], NULL, thread_loop, t), 0);
		}
		for (size_t i = 0; i < ARRAY_SIZE(host); i++)
			pthread_join(host[i], NULL);
	}
	expect_syscall(g.thread, 39);
	guest_end(&g);
}
END_TEST

/* Each loads xmm3, shows its bases, and leaves other ones and other registers behind. */
GUEST(g_reuse, "rdfsbase %rax; rdgsbase %rbx; movdqu %xmm3, 0x200000; mov $1, %edi; syscall;"
	       "mov $0x999000, %eax; wrfsbase %rax; wrgsbase %rax; pcmpeqd %xmm3, %xmm3;"
	       "mov $-1, %r12; mov $2, %edi; syscall");

static void *reuse_loop(void *arg)
{
	static const char zeros[16];
	char xmm[16];
	struct pf_thread *t = arg;

	pf_thread_attach(t);
	ck_assert_int_eq(run(t).kind, PF_SYSCALL);
	ck_assert_uint_eq(pf_regs(t)->rax, 0x555000);
	ck_assert_uint_eq(pf_regs(t)->rbx, 0x666000);
	ck_assert_uint_eq(pf_regs(t)->rdi, 1);
	ck_assert_uint_eq(pf_regs(t)->r12, 0x1212);
	ck_assert_int_eq(pf_thread_read(t, UADDR(DATA), xmm, 16), 16);
	ck_assert_mem_eq(xmm, zeros, 16);
	ck_assert_int_eq(run(t).kind, PF_SYSCALL);
	ck_assert_uint_eq(pf_regs(t)->rdi, 2);
	pf_thread_exit(t);
	return NULL;
}

/* A thread is a copy of its creator, whoever had its stub thread before. */
START_TEST(threads_after_others)
{
	struct guest g = START(g_reuse);
	pthread_t host;
	struct pf_thread *t;

	pf_regs_mut(g.thread)->fs_base = 0x555000;
	pf_regs_mut(g.thread)->gs_base = 0x666000;
	ck_assert_int_eq(run(g.thread).kind, PF_SYSCALL);
	pf_regs_mut(g.thread)->rip = CODE;
	pf_regs_mut(g.thread)->r12 = 0x1212;
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(pf_thread_new(g.thread, &t), 0);
		if (i % 10 == 5)
			pf_interrupt(t); /* before it runs: nothing of it may stay */
		if (i % 10 == 5)
			pf_thread_exit(t);
		else if (pthread_create(&host, NULL, reuse_loop, t) == 0)
			pthread_join(host, NULL);
	}
	guest_end(&g);
}
END_TEST

static void *interrupter(void *arg)
{
	struct pf_thread *t = arg;

	usleep(20000);
	pf_interrupt(t);
	return NULL;
}

START_TEST(interrupts)
{
	struct guest g = START(g_loop);
	pthread_t host;
	uint64_t before;

	/* stopped: the next run returns at once */
	pf_interrupt(g.thread);
	ck_assert_int_eq(run(g.thread).kind, PF_INTERRUPT);
	ck_assert_uint_eq(load64(g.space, DATA), 0);
	for (int i = 0; i < 5; i++) {
		pthread_create(&host, NULL, interrupter, g.thread);
		before = load64(g.space, DATA);
		ck_assert_int_eq(run(g.thread).kind, PF_INTERRUPT);
		pthread_join(host, NULL);
		ck_assert_uint_gt(load64(g.space, DATA), before);
	}
	guest_end(&g);
}
END_TEST

static atomic_bool stop_storm;

static void *storm(void *arg)
{
	while (!atomic_load(&stop_storm)) {
		pf_interrupt(arg);
		sched_yield();
	}
	return NULL;
}

/* Interrupts that race with entering and leaving guest code change nothing that it sees. */
START_TEST(interrupt_storm)
{
	struct guest g = START(g_syscalls);
	pthread_t host;
	int calls = 0, seen = 0;

	atomic_store(&stop_storm, false);
	pthread_create(&host, NULL, storm, g.thread);
	while (calls < 5000) {
		struct pf_event e = run(g.thread);

		if (e.kind == PF_INTERRUPT) {
			seen++;
			continue;
		}
		ck_assert_int_eq(e.kind, PF_SYSCALL);
		ck_assert_uint_eq(pf_regs(g.thread)->orig_rax, 39);
		ck_assert_uint_eq(pf_regs(g.thread)->rdi, 0x11);
		pf_set_result(g.thread, 1);
		calls++;
	}
	atomic_store(&stop_storm, true);
	pthread_join(host, NULL);
	ck_assert_int_gt(seen, 0);
	guest_end(&g);
}
END_TEST

static void *killer(void *arg)
{
	usleep(20000);
	pf_space_kill(arg);
	return NULL;
}

START_TEST(death)
{
	struct guest g = START(g_loop);
	pthread_t host;
	struct pf_event e;

	pthread_create(&host, NULL, killer, g.space);
	e = run(g.thread);
	ck_assert_int_eq(e.kind, PF_DEATH);
	ck_assert(WIFSIGNALED(e.wait_status) && WTERMSIG(e.wait_status) == SIGKILL);
	pthread_join(host, NULL);
	ck_assert_int_eq(run(g.thread).kind, PF_DEATH);
	ck_assert_int_lt(pf_munmap(g.thread, UADDR(DATA), 0x1000), 0);
	ck_assert_int_eq(pf_space_read(g.space, UADDR(DATA), &e, 1), -EFAULT);
	guest_end(&g);
}
END_TEST

/* ptrace does not copy arguments: they are read when they are needed. */
static void expect_brought(const void *p)
{
	ck_assert((p != NULL) == (strcmp(platform_name, "systrap") == 0));
}

static void expect_length_brought(struct pf_thread *t, uint64_t from, size_t n, size_t want)
{
	char buf[100];
	size_t got = pf_thread_brought(t, UADDR(from), buf, n);

	ck_assert_uint_eq(got, strcmp(platform_name, "systrap") == 0 ? want : 0);
	ck_assert(memcmp(buf, "/some/path" + (from - DATA), got) == 0);
}

START_TEST(arguments_are_brought)
{
	struct guest g = START(g_write);
	char buf[100];

	ck_assert_int_eq(pf_thread_write(g.thread, UADDR(DATA), "/some/path", 11), 11);
	expect_syscall(g.thread, 1);
	expect_brought(pf_thread_peek(g.thread, UADDR(DATA), 100));
	expect_brought(pf_thread_peek(g.thread, UADDR(DATA + 50), 50));
	ck_assert_ptr_null(pf_thread_peek(g.thread, UADDR(DATA), 101));
	ck_assert_ptr_null(pf_thread_peek(g.thread, UADDR(DATA - 1), 2));
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(DATA), buf, 100), 100);
	ck_assert_str_eq(buf, "/some/path");
	expect_syscall(g.thread, 2);
	expect_brought(pf_thread_peek(g.thread, UADDR(DATA), 11));
	ck_assert_ptr_null(pf_thread_peek(g.thread, UADDR(DATA), 12));
	expect_length_brought(g.thread, DATA, 100, 11);
	expect_length_brought(g.thread, DATA + 4, 3, 3);
	expect_length_brought(g.thread, DATA + 11, 3, 0);
	ck_assert_int_eq(pf_thread_read(g.thread, UADDR(DATA), buf, 11), 11);
	ck_assert_str_eq(buf, "/some/path");
	guest_end(&g);

	/* a bad pointer is no fault of the guest's: it is simply not brought */
	g = START(g_write);
	ck_assert_int_eq(pf_munmap(g.thread, UADDR(DATA), 0x10000), 0);
	expect_syscall(g.thread, 1);
	ck_assert_ptr_null(pf_thread_peek(g.thread, UADDR(DATA), 1));
	expect_syscall(g.thread, 2);
	ck_assert_ptr_null(pf_thread_peek(g.thread, UADDR(DATA), 1));
	guest_end(&g);
}
END_TEST

START_TEST(late_writes)
{
	struct guest g = START(g_write);

	expect_syscall(g.thread, 1);
	ck_assert_int_eq(pf_thread_write_late(g.thread, UADDR(DATA + 8), "late", 4), 0);
	pf_set_result(g.thread, 5);
	expect_syscall(g.thread, 2);
	ck_assert_uint_eq((uint32_t)load64(g.space, DATA + 8),
			  'l' | 'a' << 8 | 't' << 16 | 'e' << 24);
	guest_end(&g);
}
END_TEST

GUEST(g_rax, "1: mov $39, %eax; syscall; mov %rax, 0x200000; mov $40, %eax; syscall; jmp 1b");

START_TEST(late_write_fault_is_the_result)
{
	struct guest g = START(g_rax);

	expect_syscall(g.thread, 39);
	ck_assert_int_eq(pf_thread_write_late(g.thread, UADDR(0x900000), "late", 4), 0);
	pf_set_result(g.thread, 5);
	expect_syscall(g.thread, 40);
	ck_assert_int_eq((int64_t)load64(g.space, DATA), -EFAULT);
	guest_end(&g);
}
END_TEST

START_TEST(late_writes_beyond_the_room)
{
	struct guest g = START(g_write);
	char big[5000];
	size_t size;
	char *window;

	memset(big, 'b', sizeof(big));
	expect_syscall(g.thread, 1);
	/* more than the list holds, more than the room */
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(pf_thread_write_late(g.thread, UADDR(DATA + 8192 + i), "x", 1), 0);
	ck_assert_int_eq(pf_thread_write_late(g.thread, UADDR(DATA), big, sizeof(big)), 0);
	window = pf_thread_window(g.thread, &size);
	ck_assert_uint_ge(size, 65536);
	memset(window, 'w', 32768);
	ck_assert_int_eq(pf_thread_write_late(g.thread, UADDR(DATA + 16384), window, 32768), 0);
	pf_regs_mut(g.thread)->rip = CODE;
	expect_syscall(g.thread, 1);
	ck_assert_uint_eq(load64(g.space, DATA) & 0xff, 'b');
	ck_assert_uint_eq(load64(g.space, DATA + 4992) & 0xff, 'b');
	ck_assert_uint_eq(load64(g.space, DATA + 8192 + 12) >> 56, 'x');
	ck_assert_uint_eq(load64(g.space, DATA + 16384) & 0xff, 'w');
	ck_assert_uint_eq(load64(g.space, DATA + 16384 + 32760) >> 56, 'w');
	guest_end(&g);
}
END_TEST

/* A result that is set before an interrupt is still there after it. */
START_TEST(result_survives_interrupt)
{
	struct guest g = START(g_rax);

	for (uint64_t i = 1; i < 100; i++) {
		expect_syscall(g.thread, 39);
		pf_set_result(g.thread, i);
		ck_assert_int_eq(pf_thread_write_late(g.thread, UADDR(DATA + 64), &i, 8), 0);
		pf_interrupt(g.thread);
		ck_assert_int_eq(run(g.thread).kind, PF_INTERRUPT);
		expect_syscall(g.thread, 40);
		ck_assert_uint_eq(load64(g.space, DATA), i);
		ck_assert_uint_eq(load64(g.space, DATA + 64), i);
	}
	guest_end(&g);
}
END_TEST

START_TEST(map_batches)
{
	struct guest g = START(g_syscalls);
	SCOPED_FD int a = host_memfd_create("a", 0);
	SCOPED_FD int b = host_memfd_create("b", 0);
	struct pf_map maps[40];
	char c;

	ck_assert_int_eq(host_ftruncate(a, 0x100000), 0);
	ck_assert_int_eq(host_ftruncate(b, 0x100000), 0);
	ck_assert_int_eq(host_pwrite(a, "a", 1, 0x1000), 1);
	ck_assert_int_eq(host_pwrite(b, "b", 1, 0x1000), 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(maps); i++)
		maps[i] = (struct pf_map){0x400000 + i * 0x1000,
					  0x1000,
					  PROT_READ,
					  MAP_PRIVATE,
					  i % 5 < 2 ? a : i % 5 < 4 ? b : -1,
					  0x1000};
	ck_assert_int_eq(pf_mmap_batch(g.thread, maps, ARRAY_SIZE(maps)), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(maps); i++) {
		ck_assert_int_eq(pf_thread_read(g.thread, UADDR(maps[i].addr), &c, 1), 1);
		ck_assert_int_eq(c, i % 5 < 2 ? 'a' : i % 5 < 4 ? 'b' : 0);
	}
	/* a failure in the middle: an offset that is no multiple of the page size */
	maps[7].offset = 17;
	ck_assert_int_eq(pf_mmap_batch(g.thread, maps, ARRAY_SIZE(maps)), -EINVAL);
	maps[7].offset = 0;
	maps[7].fd = -1;
	ck_assert_int_eq(pf_mmap_batch(g.thread, maps, ARRAY_SIZE(maps)), 0);
	expect_syscall(g.thread, 39);
	guest_end(&g);
}
END_TEST

START_TEST(single_step)
{
	struct guest g = START(g_steps);
	struct pf_event e;
	uint64_t rip = CODE;

	pf_set_single_step(g.thread, true);
	for (int i = 0; i < 3; i++) {
		e = run(g.thread);
		ck_assert_int_eq(e.kind, PF_FAULT);
		ck_assert_int_eq(e.signo, SIGTRAP);
		ck_assert_uint_gt(pf_regs(g.thread)->rip, rip);
		rip = pf_regs(g.thread)->rip;
	}
	expect_syscall(g.thread, 39);
	rip = pf_regs(g.thread)->rip;
	e = run(g.thread);
	ck_assert_int_eq(e.signo, SIGTRAP);
	ck_assert_uint_eq(pf_regs(g.thread)->rip, rip);
	e = run(g.thread);
	ck_assert_int_eq(e.signo, SIGTRAP);
	ck_assert_uint_eq(pf_regs(g.thread)->rip, rip + 1);
	guest_end(&g);
}
END_TEST

START_TEST(many_spaces)
{
	struct guest g[30];

	for (size_t i = 0; i < ARRAY_SIZE(g); i++)
		g[i] = START(g_syscalls);
	for (size_t i = 0; i < ARRAY_SIZE(g); i++)
		expect_syscall(g[i].thread, 39);
	for (size_t i = 0; i < ARRAY_SIZE(g); i++)
		guest_end(&g[i]);
}
END_TEST

static Suite *suite(const char *name, void (*platform_setup)(void))
{
	Suite *s = suite_create(name);
	TCase *c = tcase_create("platform");

	tcase_add_checked_fixture(c, platform_setup, teardown);
	tcase_add_test(c, syscalls);
	tcase_add_test(c, faults);
	tcase_add_test(c, int80_is_no_host_call);
	tcase_add_test(c, registers_and_bases);
	tcase_add_test(c, fpu);
	tcase_add_test(c, memory);
	tcase_add_test(c, forks);
	tcase_add_test(c, threads);
	tcase_add_test(c, threads_after_others);
	tcase_add_test(c, interrupts);
	tcase_add_test(c, interrupt_storm);
	tcase_add_test(c, death);
	tcase_add_test(c, arguments_are_brought);
	tcase_add_test(c, late_writes);
	tcase_add_test(c, late_write_fault_is_the_result);
	tcase_add_test(c, late_writes_beyond_the_room);
	tcase_add_test(c, result_survives_interrupt);
	tcase_add_test(c, map_batches);
	tcase_add_test(c, single_step);
	tcase_add_test(c, many_spaces);
	tcase_set_timeout(c, 20);
	suite_add_tcase(s, c);
	return s;
}

/* A pid namespace, so that no stub outlives a test that failed. */
static int in_pid_namespace(void)
{
	pid_t pid;
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		return 0;
	waitpid(pid, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(void)
{
	SRunner *r;
	int failed;

	if (in_pid_namespace() < 0)
		fprintf(stderr, "no pid namespace: a failed test may leave stubs behind\n");
	r = srunner_create(suite("systrap", setup_systrap));
	srunner_add_suite(r, suite("ptrace", setup_ptrace));
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
