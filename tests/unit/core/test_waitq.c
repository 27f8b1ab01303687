/* core/waitq.c: matching of events, exclusive waiters, removal. */
/* link: sentry/core/waitq.c sentry/core/sleeper.c sentry/locks.c common/[a-z]*.c */
#include <check.h>
#include <poll.h>
#include <stdlib.h>

#include "sentry/core/waitq.h"

struct probe {
	struct waiter w;
	int woken;
	uint32_t seen;
	bool takes;
};

static bool note(struct waiter *w, uint32_t events)
{
	struct probe *p = container_of(w, struct probe, w);

	p->woken++;
	p->seen = events;
	return p->takes;
}

static struct probe probe(uint32_t events, bool exclusive, bool takes)
{
	return (struct probe){.w = {.events = events, .exclusive = exclusive, .wake = note},
			      .takes = takes};
}

START_TEST(only_matching_events_wake)
{
	struct waitq q;
	struct probe in = probe(POLLIN, false, true), out = probe(POLLOUT, false, true);

	waitq_init(&q);
	waitq_wake(&q, POLLIN); /* nobody there */
	waitq_add(&q, &in.w);
	waitq_add(&q, &out.w);
	waitq_wake(&q, POLLIN);
	ck_assert_int_eq(in.woken, 1);
	ck_assert_uint_eq(in.seen, POLLIN);
	ck_assert_int_eq(out.woken, 0);
	waitq_wake(&q, POLLHUP);
	ck_assert_int_eq(in.woken, 2);
	ck_assert_int_eq(out.woken, 1);
	waitq_del(&in.w);
	waitq_del(&in.w);
	waitq_wake(&q, POLLIN | POLLOUT);
	ck_assert_int_eq(in.woken, 2);
	ck_assert_int_eq(out.woken, 2);
	waitq_del(&out.w);
	waitq_destroy(&q);
}
END_TEST

START_TEST(one_exclusive_waiter_takes_a_wake)
{
	struct waitq q;
	struct probe refuses = probe(POLLIN, true, false), first = probe(POLLIN, true, true),
		     second = probe(POLLIN, true, true), shared = probe(POLLIN, false, true);

	waitq_init(&q);
	waitq_add(&q, &refuses.w);
	waitq_add(&q, &first.w);
	waitq_add(&q, &second.w);
	waitq_add(&q, &shared.w);
	waitq_wake(&q, POLLIN);
	ck_assert_int_eq(shared.woken, 1);
	ck_assert_int_eq(refuses.woken, 1);
	ck_assert_int_eq(first.woken, 1);
	ck_assert_int_eq(second.woken, 0);
	waitq_wake_all(&q, POLLIN);
	ck_assert_int_eq(first.woken, 2);
	ck_assert_int_eq(second.woken, 1);
	waitq_del(&refuses.w);
	waitq_del(&first.w);
	waitq_del(&second.w);
	waitq_del(&shared.w);
	ck_assert_int_eq(atomic_load(&q.count), 0);
	waitq_destroy(&q);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("waitq");
	TCase *tc = tcase_create("waitq");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, only_matching_events_wake);
	tcase_add_test(tc, one_exclusive_waiter_takes_a_wake);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
