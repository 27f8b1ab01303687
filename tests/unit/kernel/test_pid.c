/* Numbers of a pid namespace: order, wrapping, what keeps a number taken. */
/* link: sentry/kernel/pid.c sentry/core/user_ns.c sentry/locks.c common/mem.c common/log.c */
#include <check.h>
#include <errno.h>

#include "sentry/kernel/tasklist.h"

/* Objects that are only pointed to. */
static char things[4];
#define TASK ((struct task *)&things[0])
#define PGRP ((struct pgrp *)&things[1])
#define SESSION ((struct session *)&things[2])

static struct pid *take(struct pid_ns *t, int set_tid, int want_err)
{
	int err;
	struct pid *pid = pid_alloc(t, &set_tid, set_tid != 0, &err);

	ck_assert_int_eq(err, want_err);
	ck_assert(!pid == !!want_err);
	if (pid)
		pid->task = TASK;
	return pid;
}

static void give_back(struct pid_ns *t, struct pid *pid)
{
	pid->task = NULL;
	pid_release(pid);
}

START_TEST(rising)
{
	struct pid_ns *t = pid_ns_new();
	struct pid *a = take(t, 0, 0), *b = take(t, 0, 0), *c;

	ck_assert_int_eq(a->nr, 1);
	ck_assert_int_eq(b->nr, 2);
	give_back(t, a);
	c = take(t, 0, 0);
	ck_assert_int_eq(c->nr, 3); /* not 1 again: a number rests as long as possible */
	ck_assert(!pid_lookup(t, 1));
	ck_assert_ptr_eq(pid_lookup(t, 2), b);
	ck_assert_ptr_eq(pid_next(t, 1), b);
	ck_assert_ptr_eq(pid_next(t, 3), c);
	ck_assert(!pid_next(t, 4));
	ck_assert(!pid_lookup(t, 0) && !pid_lookup(t, -1) && !pid_lookup(t, PID_MAX + 1));
	give_back(t, b);
	give_back(t, c);
	pid_ns_put(t);
}
END_TEST

START_TEST(chosen)
{
	struct pid_ns *t = pid_ns_new();
	struct pid *a = take(t, 77, 0), *b;

	ck_assert_int_eq(a->nr, 77);
	take(t, 77, -EEXIST);
	take(t, PID_MAX + 1, -EINVAL);
	b = take(t, 0, 0);
	ck_assert_int_eq(b->nr, 1); /* a chosen number does not move the counter */
	give_back(t, a);
	give_back(t, b);
	pid_ns_put(t);
}
END_TEST

START_TEST(kept_by_group)
{
	struct pid_ns *t = pid_ns_new();
	struct pid *a = take(t, 0, 0);

	a->pgrp = PGRP;
	a->session = SESSION;
	give_back(t, a);
	ck_assert_ptr_eq(pid_lookup(t, 1), a);
	a->pgrp = NULL;
	pid_release(a);
	ck_assert_ptr_eq(pid_lookup(t, 1), a);
	a->session = NULL;
	pid_release(a);
	ck_assert(!pid_lookup(t, 1));
	pid_ns_put(t);
}
END_TEST

START_TEST(wraps)
{
	struct pid_ns *t = pid_ns_new();
	struct pid *first = take(t, 0, 0), *p;

	pid_set_last(t, PID_MAX);
	p = take(t, 0, 0);
	ck_assert_int_eq(p->nr, 300); /* small numbers are left to daemons */
	ck_assert_int_eq(pid_last(t), 300);
	give_back(t, p);
	give_back(t, first);
	pid_ns_put(t);
}
END_TEST

START_TEST(full)
{
	struct pid_ns *t = pid_ns_new();
	int err, n = 0;
	struct pid *pid;

	while ((pid = pid_alloc(t, NULL, 0, &err))) {
		pid->task = TASK;
		n++;
	}
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_int_gt(n, 30000);
	while ((pid = pid_next(t, 1)))
		give_back(t, pid);
	pid_ns_put(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pid");
	TCase *c = tcase_create("pid");
	SRunner *r;
	int failed;

	tcase_add_test(c, rising);
	tcase_add_test(c, chosen);
	tcase_add_test(c, kept_by_group);
	tcase_add_test(c, wraps);
	tcase_add_test(c, full);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
