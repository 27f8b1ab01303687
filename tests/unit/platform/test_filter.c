/* link: sentry/platform/filter.c common/mem.c common/log.c common/host.c */
/*
 * The stubs' filter, instruction by instruction: a small interpreter of classic
 * BPF runs it on made-up calls, and each rule is checked from both sides.
 */
#include <check.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sentry/platform/filter.h"
#include "sentry/platform/stub/stub.h"

#define TEXT 0x7ff812345000ULL
#define TEXT_END (TEXT + 0x1000)

static struct sock_filter prog[STUB_FILTER_MAX];
static size_t len;

static uint32_t interpret(const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < len; pc++) {
		const struct sock_filter *f = &prog[pc];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			ck_assert_uint_le(f->k + 4, sizeof(*d));
			ck_assert_uint_eq(f->k % 4, 0);
			memcpy(&a, (const char *)d + f->k, 4);
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			ck_abort_msg("instruction %zu: code %#x", pc, f->code);
		}
	}
	ck_abort_msg("the program has no end");
	return 0;
}

static uint32_t from(uint64_t ip, uint32_t arch, int nr, uint64_t a0, uint64_t a1, uint64_t a2,
		     uint64_t a3, uint64_t a4)
{
	struct seccomp_data d = {
	    .nr = nr, .arch = arch, .instruction_pointer = ip, .args = {a0, a1, a2, a3, a4}};

	return interpret(&d);
}

static uint32_t stub(int nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	return from(TEXT + 0x123, AUDIT_ARCH_X86_64, nr, a0, a1, a2, a3, a4);
}

#define ALLOWED(...) ck_assert_uint_eq(stub(__VA_ARGS__), SECCOMP_RET_ALLOW)
#define KILLED(...) ck_assert_uint_eq(stub(__VA_ARGS__), SECCOMP_RET_KILL_PROCESS)
#define ASKED(...) ck_assert_uint_eq(stub(__VA_ARGS__), SECCOMP_RET_USER_NOTIF)

static void assemble(void)
{
	len = stub_filter(prog, TEXT, TEXT_END, true);
}

START_TEST(guest_text_traps)
{
	const uint64_t ips[] = {
	    0,		0x400000,	   TEXT - 1,	       TEXT_END,
	    UINT64_MAX, TEXT & 0xffffffff, TEXT + 0x100000000, TEXT - 0x100000000,
	};

	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		for (int nr = -2; nr < 1000; nr++)
			ck_assert_uint_eq(from(ips[i], AUDIT_ARCH_X86_64, nr, 0, 0, 0, 0, 0),
					  SECCOMP_RET_TRAP);
}
END_TEST

START_TEST(other_architectures_trap)
{
	for (int nr = 0; nr < 500; nr++) {
		ck_assert_uint_eq(from(TEXT, AUDIT_ARCH_I386, nr, 0, 0, 0, 0, 0), SECCOMP_RET_TRAP);
		ck_assert_uint_eq(from(0x400000, AUDIT_ARCH_I386, nr, 0, 0, 0, 0, 0),
				  SECCOMP_RET_TRAP);
		KILLED(nr | 0x40000000, 0, 0, 0, 0, 0);
	}
}
END_TEST

/* With all arguments -1 only the calls without conditions pass. */
START_TEST(numbers)
{
	for (int nr = -2; nr < 2000; nr++) {
		uint32_t got = stub(nr, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX);
		bool free_of_conditions = nr == __NR_rt_sigreturn || nr == __NR_munmap ||
					  nr == __NR_mincore || nr == __NR_exit;

		ck_assert_msg(
		    got == (free_of_conditions ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS),
		    "call %d: %#x", nr, got);
	}
	ASKED(STUB_ASK, 1, 2, 3, 4, 5);
	KILLED(STUB_ASK + 1, 1, 2, 3, 4, 5);
	ALLOWED(__NR_exit, 0, 0, 0, 0, 0);
	KILLED(__NR_exit_group, 0, 0, 0, 0, 0);
	KILLED(__NR_arch_prctl, 0x1002, 0, 0, 0, 0);
}
END_TEST

START_TEST(memory_calls)
{
	uint64_t anon = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	ALLOWED(__NR_mmap, 0x1000, 0x1000, 7, anon, UINT64_MAX);
	ALLOWED(__NR_mmap, 0x1000, 0x1000, 3, MAP_SHARED | MAP_ANONYMOUS, UINT64_MAX);
	ALLOWED(__NR_mmap, 0x1000, 0x1000, 1, MAP_SHARED | MAP_FIXED, STUB_FD);
	KILLED(__NR_mmap, 0x1000, 0x1000, 1, MAP_SHARED | MAP_FIXED, STUB_FD + 1);
	KILLED(__NR_mmap, 0x1000, 0x1000, 1, MAP_PRIVATE, UINT64_MAX);
	KILLED(__NR_mmap, 0x1000, 0x1000, 8, anon, UINT64_MAX);
	KILLED(__NR_mmap, 0x1000, 0x1000, 0x100000001, anon, UINT64_MAX);
	KILLED(__NR_mmap, 0x1000, 0x1000, 3, anon | MAP_HUGETLB, UINT64_MAX);
	KILLED(__NR_mmap, 0x1000, 0x1000, 3, anon | MAP_LOCKED, UINT64_MAX);
	KILLED(__NR_mmap, 0x1000, 0x1000, 3, anon | 0x100000000, UINT64_MAX);
	ALLOWED(__NR_mprotect, 0x1000, 0x1000, 7, 0, 0);
	KILLED(__NR_mprotect, 0x1000, 0x1000, 8, 0, 0);
	ALLOWED(__NR_mremap, 0x1000, 0x1000, 0x2000, 7, 0x5000);
	KILLED(__NR_mremap, 0x1000, 0x1000, 0x2000, 8, 0x5000);
	for (uint64_t advice = 0; advice < 128; advice++) {
		bool good = advice <= MADV_DONTNEED ||
			    (advice >= MADV_FREE && advice <= MADV_DOFORK) ||
			    advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE ||
			    advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK ||
			    advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;

		ck_assert_uint_eq(stub(__NR_madvise, 0x1000, 0x1000, advice, 0, 0),
				  good ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
	}
}
END_TEST

START_TEST(other_calls)
{
	for (uint64_t op = 0; op < 0x400; op++)
		ck_assert_uint_eq(stub(__NR_futex, 0x1000, op, 0, 0, 0),
				  op == FUTEX_WAIT || op == FUTEX_WAKE ? SECCOMP_RET_ALLOW
								       : SECCOMP_RET_KILL_PROCESS);
	ALLOWED(__NR_close, STUB_FD, 0, 0, 0, 0);
	KILLED(__NR_close, STUB_FD + 1, 0, 0, 0, 0);
	ALLOWED(__NR_clone, STUB_THREAD_FLAGS, 0x1000, 0, 0, 0);
	ASKED(__NR_clone, STUB_FORK_FLAGS, 0, 0, 0, 0);
	for (int bit = 0; bit < 64; bit++) {
		KILLED(__NR_clone, STUB_THREAD_FLAGS ^ 1ULL << bit, 0, 0, 0, 0);
		KILLED(__NR_clone, STUB_FORK_FLAGS ^ 1ULL << bit, 0, 0, 0, 0);
	}
}
END_TEST

START_TEST(bases_without_fsgsbase)
{
	len = stub_filter(prog, TEXT, TEXT_END, false);
	for (uint64_t op = 0; op < 0x4000; op++)
		ck_assert_uint_eq(stub(__NR_arch_prctl, op, 0, 0, 0, 0),
				  op >= 0x1001 && op <= 0x1004 ? SECCOMP_RET_ALLOW
							       : SECCOMP_RET_KILL_PROCESS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("filter");
	TCase *c = tcase_create("filter");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, assemble, NULL);
	tcase_add_test(c, guest_text_traps);
	tcase_add_test(c, other_architectures_trap);
	tcase_add_test(c, numbers);
	tcase_add_test(c, memory_calls);
	tcase_add_test(c, other_calls);
	tcase_add_test(c, bases_without_fsgsbase);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
