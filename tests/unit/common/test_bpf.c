/* link: common/bpf.c */
/* The filters that bpf_allow_list builds, interpreted here call by call. */
#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/bpf.h"

static const struct bpf_rule rules[] = {
    {__NR_read, -1, 0, 0},
    {__NR_mmap, 2, PROT_EXEC, 0},
    {__NR_ioctl, 1, UINT32_MAX, 0x5413},
    {__NR_ioctl, 1, UINT32_MAX, 0x5414},
    {__NR_close, -1, 0, 0},
};

static struct sock_filter prog[256];
static int len;

static void setup(void)
{
	len = bpf_allow_list(rules, ARRAY_SIZE(rules), SECCOMP_RET_TRAP, prog, ARRAY_SIZE(prog));
	ck_assert_int_gt(len, 0);
}

static uint32_t load(const struct seccomp_data *d, uint32_t offset)
{
	uint32_t v;

	ck_assert_uint_le(offset + sizeof(v), sizeof(*d));
	memcpy(&v, (const char *)d + offset, sizeof(v));
	return v;
}

/* The few instructions that a filter consists of. */
static uint32_t run(const struct seccomp_data *d)
{
	uint32_t acc = 0;

	for (int pc = 0; pc < len; pc++) {
		const struct sock_filter *i = &prog[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			acc = load(d, i->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			acc &= i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += acc == i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			ck_abort_msg("unknown instruction %#x", i->code);
		}
	}
	ck_abort_msg("the program runs off its end");
	return 0;
}

static uint32_t verdict(int nr, int arg, uint64_t value)
{
	struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};

	/* What is not asked about must not matter. */
	for (int i = 0; i < 6; i++)
		d.args[i] = 0xdeadbeefcafef00dULL;
	if (arg >= 0)
		d.args[arg] = value;
	return run(&d);
}

START_TEST(plain_rules)
{
	ck_assert_uint_eq(verdict(__NR_read, -1, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(verdict(__NR_close, -1, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(verdict(__NR_execve, -1, 0), SECCOMP_RET_TRAP);
	ck_assert_uint_eq(verdict(__NR_socket, -1, 0), SECCOMP_RET_TRAP);
}
END_TEST

START_TEST(every_other_number_is_refused)
{
	for (int nr = 0; nr < 1024; nr++) {
		uint32_t v = verdict(nr, -1, 0);

		if (nr == __NR_read || nr == __NR_close)
			ck_assert_uint_eq(v, SECCOMP_RET_ALLOW);
		else
			ck_assert_uint_ne(v, SECCOMP_RET_ALLOW);
	}
	/* The x32 calls have the same numbers with bit 30. */
	ck_assert_uint_eq(verdict(__NR_read | 0x40000000, -1, 0), SECCOMP_RET_TRAP);
	ck_assert_uint_eq(verdict(-1, -1, 0), SECCOMP_RET_TRAP);
}
END_TEST

START_TEST(conditions)
{
	ck_assert_uint_eq(verdict(__NR_mmap, 2, PROT_READ | PROT_WRITE), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(verdict(__NR_mmap, 2, PROT_READ | PROT_EXEC), SECCOMP_RET_TRAP);
	ck_assert_uint_eq(verdict(__NR_mmap, 2, 0xffffffffULL), SECCOMP_RET_TRAP);
	ck_assert_uint_eq(verdict(__NR_ioctl, 1, 0x5413), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(verdict(__NR_ioctl, 1, 0x5414), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(verdict(__NR_ioctl, 1, 0x5415), SECCOMP_RET_TRAP);
	/* A call whose condition failed is not taken for another one. */
	ck_assert_uint_eq(verdict(__NR_ioctl, 1, __NR_close), SECCOMP_RET_TRAP);
	ck_assert_uint_eq(verdict(__NR_mmap, 2, PROT_EXEC | __NR_close), SECCOMP_RET_TRAP);
}
END_TEST

START_TEST(foreign_architectures)
{
	struct seccomp_data d = {.nr = __NR_read, .arch = AUDIT_ARCH_I386};

	ck_assert_uint_eq(run(&d), SECCOMP_RET_TRAP);
	d.arch = AUDIT_ARCH_AARCH64;
	ck_assert_uint_eq(run(&d), SECCOMP_RET_TRAP);
}
END_TEST

START_TEST(what_libraries_try_in_vain)
{
	const struct bpf_rule allow = {__NR_openat, -1, 0, 0};

	ck_assert_uint_eq(verdict(__NR_clone3, -1, 0), SECCOMP_RET_ERRNO | ENOSYS);
	ck_assert_uint_eq(verdict(__NR_openat, -1, 0), SECCOMP_RET_ERRNO | EACCES);
	len = bpf_allow_list(&allow, 1, SECCOMP_RET_TRAP, prog, ARRAY_SIZE(prog));
	ck_assert_uint_eq(verdict(__NR_openat, -1, 0), SECCOMP_RET_ALLOW);
}
END_TEST

START_TEST(too_small_a_buffer)
{
	for (size_t room = 0; room < (size_t)len; room++)
		ck_assert_int_eq(
		    bpf_allow_list(rules, ARRAY_SIZE(rules), SECCOMP_RET_TRAP, prog, room), -E2BIG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bpf");
	TCase *t = tcase_create("filters");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, plain_rules);
	tcase_add_test(t, every_other_number_is_refused);
	tcase_add_test(t, conditions);
	tcase_add_test(t, foreign_architectures);
	tcase_add_test(t, what_libraries_try_in_vain);
	tcase_add_test(t, too_small_a_buffer);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
