/* link: sentry/platform/[a-z]*.c sentry/platform/systrap/[a-z]*.c sentry/platform/ptrace/[a-z]*.c common/host[a-z_]*.c common/host.c common/log.c common/mem.c sentry/core/sleeper.c */
/*
 * A hostile stub: while guest code runs and the sentry serves it, another thread
 * writes random words into the slot, as the guest could. The sentry may see
 * nonsense, but must neither crash nor hang beyond what killing the space ends,
 * nor copy beyond its buffers (build with SAN=address to see that).
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/platform/pf.h"

/* The leak checker cannot work here: it uses ptrace itself, and the /proc of this pid namespace.
 * (Options in the environment, such as the test runner's, would go before default options.) */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

#define CODE 0x100000ULL
#define DATA 0x200000ULL

#define GUEST(name, text)                                                                          \
	extern const char name[], name##_end[];                                                    \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")

GUEST(g_calls, "1: mov $1, %eax; mov $1, %edi; mov $0x200000, %esi; mov $100, %edx; syscall;"
	       "mov $2, %eax; mov $0x200000, %edi; syscall; movl $1, 0x600000; jmp 1b");

static struct pf_zygote *zygote;
static struct pf_syscall_rule rules[PF_NSYSCALLS];

struct run {
	struct pf_thread *t;
	atomic_bool stop;
	atomic_ulong progress;
	uint64_t seed;
};

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Values that reach further than random ones. */
static uint32_t nasty(uint64_t *seed)
{
	static const uint32_t values[] = {0,	      1,	  2,	     0x7fffffff, 0x80000000,
					  0xffffffff, SLOT_STACK, SLOT_SIZE, 0x1fff8,	 0x1fe00};
	uint64_t r = next(seed);

	return r & 1 ? (uint32_t)(r >> 8) : values[(r >> 8) % ARRAY_SIZE(values)];
}

static void *scribbler(void *arg)
{
	struct run *r = arg;
	volatile uint32_t *slot = (volatile uint32_t *)r->t->mbox;

	while (!atomic_load(&r->stop)) {
		uint64_t x = next(&r->seed);
		size_t limit = x & 1 ? sizeof(struct mbox) : SLOT_SIZE;
		size_t at = (x >> 8) % (limit / 4);

		/* The turn only now and then, or nothing else ever happens. */
		if (at > 3 || (x >> 40) % 256 == 0)
			slot[at] = nasty(&r->seed);
		if ((x >> 32) % 8 == 0)
			sched_yield();
	}
	return NULL;
}

/* Ends what makes no progress, as the kernel does with SIGKILL. */
static void *watchdog(void *arg)
{
	struct run *r = arg;
	unsigned long seen = 0;

	while (!atomic_load(&r->stop)) {
		usleep(30000);
		if (atomic_load(&r->progress) == seen)
			pf_space_kill(r->t->space);
		seen = atomic_load(&r->progress);
	}
	return NULL;
}

static void exercise(struct pf_thread *t, unsigned int step, char *image)
{
	char buf[4096] = {0}, *window;
	size_t size = 0;
	uint32_t old;
	struct pf_thread *other;
	struct pf_space *space;

	switch (step % 9) {
	case 0:
		(void)!pf_thread_read(t, UADDR(DATA), buf, 100);
		break;
	case 1:
		(void)!pf_fpu_get(t, image, pf_fpu_size());
		break;
	case 2:
		(void)!pf_fpu_set(t, image, pf_fpu_size());
		break;
	case 3:
		window = pf_thread_window(t, &size);
		memset(window, 1, size);
		break;
	case 4:
		(void)!pf_thread_write_late(t, UADDR(DATA), buf, sizeof(buf));
		break;
	case 5:
		(void)!pf_mprotect(t, UADDR(DATA), 4096, 3);
		break;
	case 6:
		(void)!pf_thread_cmpxchg32(t, UADDR(DATA), 0, 1, &old);
		break;
	case 7:
		if (pf_thread_new(t, &other) == 0)
			pf_thread_exit(other);
		break;
	case 8:
		if (pf_space_fork(t, &space, &other) == 0) {
			pf_thread_exit(other);
			pf_space_put(space);
		}
		break;
	}
}

static void one_guest(uint64_t seed)
{
	char *image = xzalloc(pf_fpu_size());
	struct run r = {.seed = seed};
	pthread_t host[2];
	struct pf_space *space;
	struct pf_event e = {0};

	ck_assert_int_eq(pf_space_new(zygote, &space, &r.t), 0);
	pf_thread_attach(r.t);
	ck_assert_int_eq(pf_mmap(r.t, UADDR(CODE), 4096, 7, MAP_PRIVATE, -1, 0), 0);
	ck_assert_int_eq(pf_mmap(r.t, UADDR(DATA), 4096, 3, MAP_PRIVATE, -1, 0), 0);
	ck_assert_int_gt(
	    pf_space_write(space, UADDR(CODE), g_calls, (size_t)(g_calls_end - g_calls)), 0);
	pf_regs_mut(r.t)->rip = CODE;
	pthread_create(&host[0], NULL, scribbler, &r);
	pthread_create(&host[1], NULL, watchdog, &r);
	for (unsigned int step = 0; step < 2000 && e.kind != PF_DEATH; step++) {
		pf_run(r.t, &e);
		ck_assert_uint_le(e.kind, PF_DEATH);
		exercise(r.t, step + (unsigned int)seed, image);
		if (step % 5 == 0)
			pf_regs_mut(r.t)->rip = CODE;
		atomic_fetch_add(&r.progress, 1);
	}
	atomic_store(&r.stop, true);
	pthread_join(host[0], NULL);
	pthread_join(host[1], NULL);
	pf_thread_exit(r.t);
	pf_space_put(space);
	free(image);
}

/* An honest guest works as ever. */
static void honest_guest(void)
{
	struct pf_space *space;
	struct pf_thread *t;
	struct pf_event e;

	ck_assert_int_eq(pf_space_new(zygote, &space, &t), 0);
	pf_thread_attach(t);
	ck_assert_int_eq(pf_mmap(t, UADDR(CODE), 4096, 7, MAP_PRIVATE, -1, 0), 0);
	ck_assert_int_gt(
	    pf_space_write(space, UADDR(CODE), g_calls, (size_t)(g_calls_end - g_calls)), 0);
	pf_regs_mut(t)->rip = CODE;
	for (int i = 0; i < 100; i++) {
		pf_run(t, &e);
		if (e.kind == PF_FAULT) {
			pf_regs_mut(t)->rip = CODE;
			continue;
		}
		ck_assert_int_eq(e.kind, PF_SYSCALL);
		ck_assert_uint_le(pf_regs(t)->orig_rax, 2);
	}
	pf_thread_exit(t);
	pf_space_put(space);
}

static void fuzz(const char *platform)
{
	struct pf_config config = {.name = platform, .ncpus = 2, .spin = true};
	uint64_t end;

	rules[1].arg[1] = (struct pf_arg_rule){PF_ARG_IN_LEN, 2, 0};
	rules[2].arg[0] = (struct pf_arg_rule){PF_ARG_STRING, 0, 0};
	pf_set_syscall_rules(rules);
	ck_assert_int_eq(pf_init(&config), 0);
	ck_assert_int_eq(pf_zygote_new(&zygote), 0);
	end = host_monotonic_ns() + 5 * NSEC_PER_SEC;
	for (uint64_t seed = 1; host_monotonic_ns() < end; seed++)
		one_guest(seed * 0x9e3779b97f4a7c15ULL);
	honest_guest();
	pf_zygote_put(zygote);
	pf_shutdown();
}

START_TEST(systrap)
{
	fuzz("systrap");
}
END_TEST

START_TEST(ptrace)
{
	fuzz("ptrace");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mailbox fuzz");
	TCase *c = tcase_create("fuzz");
	SRunner *r;
	int failed, status;

	/* A pid namespace, so that no stub outlives a test that failed. */
	if (unshare(CLONE_NEWPID) == 0 && (status = fork()) > 0) {
		waitpid(status, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	tcase_add_test(c, systrap);
	tcase_add_test(c, ptrace);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
