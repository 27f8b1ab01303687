/* core/account.c, charged.c: bounds, chunks, lifetime. */
/* link: sentry/core/account.c sentry/core/charged.c common/mem.c common/log.c */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/mem.h"
#include "sentry/core/account.h"

#define MIB (1UL << 20)
#define TOTAL (16 * MIB)

static void setup(void)
{
	ck_assert_uint_eq(account_add_container(4 * TOTAL, 1UL << 40), TOTAL);
}

/* Charges pieces until it fails: how many. */
static size_t fill(uint32_t uid, size_t piece, struct account **a)
{
	struct account *payer;
	size_t n = 0;

	*a = account_of(1, uid);
	account_set_payer(*a, false);
	while (account_charge(piece, &payer) == 0) {
		ck_assert_ptr_eq(payer, *a);
		n++;
	}
	return n;
}

START_TEST(a_user_gets_half_and_all_get_three_quarters)
{
	struct account *a, *b, *root, *payer;
	size_t n;

	ck_assert_uint_eq(fill(1, MIB / 4, &a), 31); /* the rest of a chunk is lost */
	for (n = 0; account_admit() == 0; n++)
		(void)!account_charge_always(1024);
	ck_assert_uint_le(n, 256);
	ck_assert_uint_ge(n, 192);
	ck_assert_uint_eq(fill(2, MIB / 4, &b), 15);
	/* The privileged, and the sentry, have theirs still. */
	root = account_of(1, 0);
	account_set_payer(root, false);
	ck_assert_int_eq(account_admit(), 0);
	ck_assert_int_eq(account_charge(2 * MIB, &payer), 0);
	ck_assert_int_eq(account_charge(2 * MIB, &payer), -ENOMEM);
	account_set_payer(b, true);
	ck_assert_int_eq(account_charge(MIB / 4, &payer), 0);
	account_uncharge(b, MIB / 4);
	account_set_payer(NULL, false);
	ck_assert_int_eq(account_charge(2 * TOTAL, &payer), 0);
	ck_assert_ptr_null(payer);
	account_uncharge(NULL, 2 * TOTAL);
	/* What is given back can be had again. */
	account_set_payer(a, false);
	account_uncharge(a, 12 * (MIB / 4));
	ck_assert_int_eq(account_admit(), 0);
	ck_assert_int_eq(account_charge(MIB / 2, &payer), 0);
}
END_TEST

START_TEST(an_account_lives_while_it_is_charged)
{
	struct account *a = account_of(1, 7), *b;
	void *p;

	ck_assert_ptr_eq(b = account_of(1, 7), a);
	account_put(b);
	ck_assert_ptr_ne(b = account_of(2, 7), a);
	account_put(b);
	account_set_payer(a, false);
	p = charged_alloc(1000);
	ck_assert_int_eq(account_memory(a), 3 + 1015);
	account_set_payer(NULL, false);
	account_put(a); /* the block keeps it */
	ck_assert_ptr_eq(b = account_of(1, 7), a);
	account_put(b);
	charged_free(p); /* ends it: LeakSanitizer and a use after it would tell */
	b = account_of(1, 7);
	ck_assert_int_eq(account_memory(b), 1);
	account_put(b);
}
END_TEST

START_TEST(siblings)
{
	struct account *a = account_of(3, 7), *b = account_sibling(a, 8), *c = account_of(3, 8);

	ck_assert_ptr_eq(b, c);
	ck_assert_ptr_null(account_sibling(NULL, 8));
	account_put(a);
	account_put(b);
	account_put(c);
}
END_TEST

START_TEST(counts)
{
	struct account *a = account_of(1, 7);

	ck_assert(account_take(a, COUNT_FLIGHT, 10, 10));
	ck_assert(!account_take(a, COUNT_FLIGHT, 1, 10));
	ck_assert(account_take(a, COUNT_SIGQUEUE, 1, 1));
	account_take_always(a, COUNT_FLIGHT, 5);
	ck_assert_uint_eq(account_count(a, COUNT_FLIGHT), 15);
	account_give(a, COUNT_FLIGHT, 15);
	ck_assert_uint_eq(account_count(a, COUNT_FLIGHT), 0);
	account_give(a, COUNT_SIGQUEUE, 1);
	ck_assert_int_eq(account_memory(a), 1);
	account_put(a);
}
END_TEST

START_TEST(host_descriptors)
{
	struct account *a = account_of(1, 7);
	int fd;

	account_set_fds(64);
	account_set_payer(a, false);
	for (fd = 0; account_fd_admit() == 0; fd++)
		account_fd_add(fd);
	ck_assert_int_eq(fd, 32);
	account_set_payer(NULL, false);
	ck_assert_int_eq(account_fd_admit(), 0);
	account_set_payer(a, false);
	account_fd_del(60); /* nobody's */
	account_fd_del(5);
	ck_assert_int_eq(account_fd_admit(), 0);
	while (fd-- > 0)
		account_fd_del(fd);
	account_set_payer(NULL, false);
	ck_assert_int_eq(account_memory(a), 1);
	account_put(a);
}
END_TEST

START_TEST(blocks)
{
	struct account *a = account_of(1, 7);
	char *p;

	account_set_payer(a, false);
	ck_assert_ptr_null(charged_alloc(TOTAL));
	ck_assert_ptr_null(charged_alloc(SIZE_MAX - 8));
	ck_assert_ptr_null(charged_calloc(SIZE_MAX / 2, 4));
	ck_assert_int_eq(account_memory(a), 2);
	p = charged_always(10);
	p[9] = 'x';
	p = charged_realloc(p, 100);
	ck_assert_int_eq(p[9], 'x');
	p = charged_realloc(p, 10);
	ck_assert_int_eq(p[9], 'x');
	charged_free(p);
	mem_fail_every(1);
	ck_assert_ptr_null(charged_alloc(10));
	ck_assert_ptr_null(charged_malloc(10));
	mem_fail_every(0);
	ck_assert_int_eq(account_memory(a), 2);
	account_set_payer(NULL, false);
	account_put(a);
}
END_TEST

static void *come_and_go(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		struct account *a = account_of(1, (uint32_t)i % 3);
		void *p;

		account_set_payer(a, false);
		account_put(a);
		p = charged_alloc(i % 7 ? 100 : 200000);
		account_set_payer(NULL, false);
		charged_free(p);
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, come_and_go, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (uint32_t uid = 0; uid < 3; uid++) {
		struct account *a = account_of(1, uid);

		ck_assert_int_eq(account_memory(a), 1);
		account_put(a);
	}
	/* Nothing is drawn any more: all is there to be had. */
	struct account *a, *payer;

	a = account_of(1, 9);
	account_set_payer(a, false);
	ck_assert_int_eq(account_charge(TOTAL / 2 - MIB / 8, &payer), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("account");
	TCase *c = tcase_create("account");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, a_user_gets_half_and_all_get_three_quarters);
	tcase_add_test(c, an_account_lives_while_it_is_charged);
	tcase_add_test(c, siblings);
	tcase_add_test(c, counts);
	tcase_add_test(c, host_descriptors);
	tcase_add_test(c, blocks);
	tcase_add_test(c, threads);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_VERBOSE);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
