/* Seccomp filters: which programs are taken, and what they compute. */
/* link: sentry/kernel/cbpf.c common/mem.c common/log.c */
#include <check.h>

#include "sentry/kernel/seccomp.h"

static const uint32_t data[16] = {42, 0xc000003e, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

#define RUN(...)                                                                                   \
	({                                                                                         \
		const struct sock_filter prog[] = {__VA_ARGS__};                                   \
		ck_assert(cbpf_valid(prog, ARRAY_SIZE(prog)));                                     \
		cbpf_run(prog, data, 16);                                                          \
	})
#define REFUSED(...)                                                                               \
	({                                                                                         \
		const struct sock_filter prog[] = {__VA_ARGS__};                                   \
		ck_assert(!cbpf_valid(prog, ARRAY_SIZE(prog)));                                    \
	})
#define RET_A BPF_STMT(BPF_RET | BPF_A, 0)
#define RET(k) BPF_STMT(BPF_RET | BPF_K, k)
#define LOAD(off) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off)
#define IMM(k) BPF_STMT(BPF_LD | BPF_IMM, k)
#define XIMM(k) BPF_STMT(BPF_LDX | BPF_IMM, k)
#define ALU(op, k) BPF_STMT(BPF_ALU | (op) | BPF_K, k)
#define ALUX(op) BPF_STMT(BPF_ALU | (op) | BPF_X, 0)

START_TEST(arithmetic)
{
	ck_assert_uint_eq(RUN(LOAD(0), RET_A), 42);
	ck_assert_uint_eq(RUN(LOAD(60), RET_A), 16);
	ck_assert_uint_eq(RUN(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RET_A), 64);
	ck_assert_uint_eq(RUN(IMM(7), ALU(BPF_ADD, 5), ALU(BPF_MUL, 3), RET_A), 36);
	ck_assert_uint_eq(RUN(IMM(1), ALU(BPF_SUB, 2), RET_A), 0xffffffff);
	ck_assert_uint_eq(RUN(IMM(100), XIMM(7), ALUX(BPF_DIV), RET_A), 14);
	ck_assert_uint_eq(RUN(IMM(100), XIMM(0), ALUX(BPF_DIV), RET_A), 0);
	ck_assert_uint_eq(RUN(IMM(0xf0), ALU(BPF_AND, 0x3c), ALU(BPF_OR, 1), RET_A), 0x31);
	ck_assert_uint_eq(RUN(IMM(1), ALU(BPF_LSH, 31), ALU(BPF_RSH, 30), RET_A), 2);
	ck_assert_uint_eq(RUN(IMM(5), ALU(BPF_NEG, 0), RET_A), (uint32_t)-5);
	ck_assert_uint_eq(
	    RUN(IMM(9), BPF_STMT(BPF_ST, 15), IMM(0), BPF_STMT(BPF_LD | BPF_MEM, 15), RET_A), 9);
	ck_assert_uint_eq(RUN(IMM(9), BPF_STMT(BPF_MISC | BPF_TAX, 0), IMM(1),
			      BPF_STMT(BPF_MISC | BPF_TXA, 0), RET_A),
			  9);
	/* Memory that was never written reads as zero. */
	ck_assert_uint_eq(RUN(BPF_STMT(BPF_LD | BPF_MEM, 3), RET_A), 0);
}
END_TEST

START_TEST(jumps)
{
	ck_assert_uint_eq(
	    RUN(LOAD(0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 42, 1, 0), RET(1), RET(2)), 2);
	ck_assert_uint_eq(
	    RUN(LOAD(0), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 42, 1, 0), RET(1), RET(2)), 1);
	ck_assert_uint_eq(
	    RUN(LOAD(0), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 42, 1, 0), RET(1), RET(2)), 2);
	ck_assert_uint_eq(
	    RUN(LOAD(0), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 1, 0), RET(1), RET(2)), 2);
	ck_assert_uint_eq(RUN(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RET(1), RET(2)), 2);
	ck_assert_uint_eq(
	    RUN(LOAD(0), XIMM(42), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0), RET(1), RET(2)),
	    2);
}
END_TEST

START_TEST(refused)
{
	REFUSED(IMM(1));
	REFUSED(LOAD(64), RET_A);
	REFUSED(LOAD(2), RET_A);
	REFUSED(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET_A);
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET_A);
	REFUSED(BPF_STMT(BPF_ST, 16), RET_A);
	REFUSED(BPF_STMT(BPF_LD | BPF_MEM, 16), RET_A);
	REFUSED(ALU(BPF_DIV, 0), RET_A);
	REFUSED(ALU(BPF_LSH, 32), RET_A);
	REFUSED(ALU(BPF_MOD, 2), RET_A);
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RET(0));
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0), RET(0));
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RET(0));
	REFUSED(BPF_STMT(BPF_RET | BPF_X, 0));
	REFUSED(BPF_STMT(0xff06, 0), RET(0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cbpf");
	TCase *c = tcase_create("cbpf");
	SRunner *r;
	int failed;

	tcase_add_test(c, arithmetic);
	tcase_add_test(c, jumps);
	tcase_add_test(c, refused);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
