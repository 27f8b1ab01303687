/* core/timer.c and core/hostpoll.c: order of firing, moving, cancelling, host readiness. */
/* link: sentry/core/waitq.c sentry/core/sleeper.c sentry/core/timer.c sentry/core/hostpoll.c sentry/locks.c common/[a-z]*.c */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/host.h"
#include "sentry/core/hostpoll.h"
#include "sentry/core/sleeper.h"
#include "sentry/core/timer.h"
#include "sentry/core/waitq.h"

#define N 40

struct probe {
	struct ktimer t;
	int id;
};

static atomic_int fired, order[N];
static struct sleeper done;

static void note(struct ktimer *t)
{
	struct probe *p = container_of(t, struct probe, t);
	int i = atomic_fetch_add(&fired, 1);

	if (i < N)
		atomic_store(&order[i], p->id);
	sleeper_wake(&done);
}

static void wait_fired(int n)
{
	uint64_t limit = host_monotonic_ns() + 5 * NSEC_PER_SEC;

	while (atomic_load(&fired) < n)
		ck_assert_int_eq(sleeper_sleep(&done, limit), 0);
}

START_TEST(timers_fire_in_the_order_of_their_deadlines)
{
	static struct probe p[N];
	uint64_t base = host_monotonic_ns() + 20 * NSEC_PER_MSEC;

	for (int i = 0; i < N; i++) {
		int id = i * 7 % N;

		p[id].id = id;
		ktimer_init(&p[id].t, note);
		ktimer_arm(&p[id].t, base + (uint64_t)(N - id) * 1000);
	}
	for (int i = 0; i < N; i++) /* turn the order round */
		ktimer_arm(&p[i].t, base + (uint64_t)i * 1000);
	for (int i = 1; i < N; i += 2)
		ktimer_cancel(&p[i].t);
	wait_fired(N / 2);
	for (int i = 0; i < N / 2; i++)
		ck_assert_int_eq(atomic_load(&order[i]), 2 * i);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(p[i].t.heap_index, 0);
}
END_TEST

START_TEST(a_past_deadline_fires_at_once_and_an_earlier_one_overtakes)
{
	struct probe late = {.id = 1}, soon = {.id = 2};

	ktimer_init(&late.t, note);
	ktimer_init(&soon.t, note);
	ktimer_arm(&late.t, host_monotonic_ns() + 3600 * NSEC_PER_SEC);
	ktimer_arm(&soon.t, 0);
	wait_fired(1);
	ck_assert_int_eq(atomic_load(&order[0]), 2);
	ktimer_cancel(&late.t);
	ktimer_cancel(&soon.t);
	ck_assert_int_eq(atomic_load(&fired), 1);
}
END_TEST

static void again(struct ktimer *t)
{
	if (atomic_fetch_add(&fired, 1) < 3)
		ktimer_arm(t, 0);
	else
		ktimer_cancel(t);
	sleeper_wake(&done);
}

START_TEST(fire_may_arm_and_cancel_its_own_timer)
{
	struct probe p;

	ktimer_init(&p.t, again);
	ktimer_arm(&p.t, 0);
	wait_fired(4);
	ktimer_cancel(&p.t);
}
END_TEST

struct readiness {
	struct waiter w;
	atomic_uint seen;
};

static bool ready(struct waiter *w, uint32_t events)
{
	struct readiness *r = container_of(w, struct readiness, w);

	atomic_fetch_or(&r->seen, events);
	sleeper_wake(&done);
	return true;
}

START_TEST(host_readiness_wakes_a_queue)
{
	struct readiness r = {.w = {.events = POLLIN, .wake = ready}};
	uint64_t limit = host_monotonic_ns() + 5 * NSEC_PER_SEC;
	struct hostpoll p = {0};
	struct waitq q;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	waitq_init(&q);
	waitq_add(&q, &r.w);
	p.fd = fds[0];
	p.wq = &q;
	ck_assert_int_eq(hostpoll_add(&p), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	while (!(atomic_load(&r.seen) & POLLIN))
		ck_assert_int_eq(sleeper_sleep(&done, limit), 0);
	close(fds[1]);
	while (!(atomic_load(&r.seen) & POLLHUP))
		ck_assert_int_eq(sleeper_sleep(&done, limit), 0);
	hostpoll_del(&p);
	hostpoll_del(&p);
	close(fds[0]);
	waitq_del(&r.w);
	waitq_destroy(&q);
}
END_TEST

START_TEST(regular_files_cannot_be_polled)
{
	struct hostpoll p = {.fd = host_memfd_create("test", 0)};
	struct waitq q;

	waitq_init(&q);
	p.wq = &q;
	ck_assert_int_eq(hostpoll_add(&p), -EPERM);
	hostpoll_del(&p);
	host_close(p.fd);
	waitq_destroy(&q);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timer");
	TCase *tc = tcase_create("timer and hostpoll");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, timers_fire_in_the_order_of_their_deadlines);
	tcase_add_test(tc, a_past_deadline_fires_at_once_and_an_earlier_one_overtakes);
	tcase_add_test(tc, fire_may_arm_and_cancel_its_own_timer);
	tcase_add_test(tc, host_readiness_wakes_a_queue);
	tcase_add_test(tc, regular_files_cannot_be_polled);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
