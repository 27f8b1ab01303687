/* core/sleeper.c: tokens are kept, not counted; deadlines; wake-ups from another thread. */
/* link: sentry/core/sleeper.c sentry/locks.c common/[a-z]*.c */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/host.h"
#include "sentry/core/sleeper.h"

START_TEST(wake_before_sleep_is_kept_once)
{
	struct sleeper s;

	sleeper_init(&s);
	sleeper_wake(&s);
	sleeper_wake(&s);
	ck_assert_int_eq(sleeper_sleep(&s, SLEEP_FOREVER), 0);
	ck_assert_int_eq(sleeper_sleep(&s, 0), -ETIMEDOUT);
}
END_TEST

START_TEST(deadline_is_kept)
{
	struct sleeper s;
	uint64_t deadline = host_monotonic_ns() + 2 * NSEC_PER_MSEC;

	sleeper_init(&s);
	ck_assert_int_eq(sleeper_sleep(&s, deadline), -ETIMEDOUT);
	ck_assert(host_monotonic_ns() >= deadline);
}
END_TEST

struct pong {
	struct sleeper a, b;
	atomic_int turn;
};

static void *answer(void *arg)
{
	struct pong *p = arg;

	for (int i = 0; i < 1000; i++) {
		while (atomic_load(&p->turn) != 2 * i + 1)
			ck_assert_int_eq(sleeper_sleep(&p->b, SLEEP_FOREVER), 0);
		atomic_store(&p->turn, 2 * i + 2);
		sleeper_hold();
		sleeper_hold();
		sleeper_wake(&p->a);
		sleeper_release();
		sleeper_release();
	}
	return NULL;
}

START_TEST(no_wake_up_is_lost_between_threads)
{
	struct pong p = {0};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, answer, &p), 0);
	for (int i = 0; i < 1000; i++) {
		atomic_store(&p.turn, 2 * i + 1);
		sleeper_wake(&p.b);
		while (atomic_load(&p.turn) != 2 * i + 2)
			ck_assert_int_eq(sleeper_sleep(&p.a, SLEEP_FOREVER), 0);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&p.turn), 2000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sleeper");
	TCase *tc = tcase_create("sleeper");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, wake_before_sleep_is_kept_once);
	tcase_add_test(tc, deadline_is_kept);
	tcase_add_test(tc, no_wake_up_is_lost_between_threads);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
