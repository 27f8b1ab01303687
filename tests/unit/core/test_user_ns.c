/* User namespaces: maps in both directions, their rules, capabilities over those below. */
/* link: sentry/core/[a-z]*.c sentry/core/user_ns.c sentry/core/charged_fd.c sentry/locks.c common/[a-z]*.c common/host_[a-z]*.c */
#include <check.h>
#include <errno.h>

#include "common/mem.h"
#include "sentry/core/cred.h"

static struct id_map *map_of(unsigned int n, const struct id_extent *e)
{
	struct id_map *m = xzalloc(sizeof(*m) + n * sizeof(*e));

	m->n = n;
	memcpy(m->extent, e, n * sizeof(*e));
	return m;
}

static struct user_ns *child(struct user_ns *parent, uint32_t owner)
{
	struct user_ns *ns;

	ck_assert_int_eq(user_ns_new(parent, owner, owner, true, &ns), 0);
	return ns;
}

START_TEST(maps)
{
	struct user_ns *a = child(&user_ns_first, 1000), *b = child(a, 1000);
	const struct id_extent one[] = {{0, 100000, 1000}, {5000, 7, 1}};
	const struct id_extent two[] = {{10, 900, 100}}, beyond[] = {{0, 950, 100}};
	struct id_map *m;

	ck_assert_uint_eq(user_ns_in(a, ID_UID, 0), INVALID_ID);
	ck_assert_uint_eq(user_ns_show(a, ID_UID, 5), OVERFLOW_ID);
	m = map_of(2, one);
	ck_assert_int_eq(user_ns_check_map(m), 0);
	ck_assert_int_eq(user_ns_set_map(a, ID_UID, m), 0);
	ck_assert_uint_eq(user_ns_in(a, ID_UID, 999), 100999);
	ck_assert_uint_eq(user_ns_in(a, ID_UID, 1000), INVALID_ID);
	ck_assert_uint_eq(user_ns_in(a, ID_UID, 5000), 7);
	ck_assert_uint_eq(user_ns_out(a, ID_UID, 7), 5000);
	ck_assert_uint_eq(user_ns_out(a, ID_UID, 0), INVALID_ID);
	ck_assert_uint_eq(user_ns_in(a, ID_GID, 0), INVALID_ID);
	m = map_of(1, beyond);
	ck_assert_int_eq(user_ns_set_map(b, ID_UID, m), -EPERM);
	free(m);
	ck_assert_int_eq(user_ns_set_map(b, ID_UID, map_of(1, two)), 0);
	ck_assert_uint_eq(user_ns_in(b, ID_UID, 10), 100900);
	ck_assert_uint_eq(user_ns_out(b, ID_UID, 100999), 109);
	user_ns_put(b);
	user_ns_put(a);
}
END_TEST

START_TEST(bad_maps)
{
	const struct id_extent bad[][2] = {
	    {{0, 0, 2}, {1, 50, 1}},	      /* overlap inside */
	    {{0, 50, 2}, {10, 51, 1}},	      /* overlap outside */
	    {{0, 0, 0}, {1, 50, 1}},	      /* empty */
	    {{UINT32_MAX, 0, 1}, {1, 50, 1}}, /* nobody's number */
	    {{0xfffffff0, 0, 64}, {1, 90, 1}}, {{0, 0xfffffff0, 64}, {90, 1, 1}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct id_map *m = map_of(2, bad[i]);

		ck_assert_int_eq(user_ns_check_map(m), -EINVAL);
		free(m);
	}
}
END_TEST

START_TEST(capabilities)
{
	struct cred *c = cred_new_root(0), *in;
	struct user_ns *a, *b, *other = child(&user_ns_first, 5);

	c->euid = 1000;
	a = child(&user_ns_first, 1000);
	b = child(a, 77);
	ck_assert(!cred_capable(c, CAP_KILL));
	ck_assert(cred_ns_capable(c, a, CAP_KILL)); /* its owner */
	ck_assert(cred_ns_capable(c, b, CAP_KILL));
	ck_assert(!cred_ns_capable(c, other, CAP_KILL));
	in = cred_dup(c);
	cred_enter_user_ns(in, user_ns_get(a));
	ck_assert(!cred_capable(in, CAP_KILL));
	ck_assert(!cred_ns_capable(in, &user_ns_first, CAP_KILL));
	ck_assert(!cred_ns_capable(in, other, CAP_KILL));
	ck_assert(cred_ns_capable(in, a, CAP_KILL));
	ck_assert(cred_ns_capable(in, b, CAP_KILL));
	ck_assert(!cred_capable_over(in, 0, 0, CAP_CHOWN)); /* nothing is mapped */
	in->effective = 0;
	ck_assert(!cred_ns_capable(in, b, CAP_KILL));
	cred_put(in);
	cred_put(c);
	user_ns_put(b);
	user_ns_put(a);
	user_ns_put(other);
}
END_TEST

START_TEST(limits)
{
	struct user_ns *a = child(&user_ns_first, 0), *b, *none;
	int before = atomic_load(&user_ns_first.count[NS_COUNT_USER]);

	atomic_store(&a->limit[NS_COUNT_USER], 1);
	b = child(a, 0);
	ck_assert_int_eq(user_ns_new(a, 0, 0, true, &none), -ENOSPC);
	ck_assert_int_eq(user_ns_new(b, 0, 0, true, &none), -ENOSPC); /* a counts them all */
	ck_assert_int_eq(atomic_load(&user_ns_first.count[NS_COUNT_USER]), before + 1);
	user_ns_put(b);
	b = child(a, 0);
	user_ns_put(b);
	user_ns_put(a);
	ck_assert_int_eq(atomic_load(&user_ns_first.count[NS_COUNT_USER]), before - 1);
}
END_TEST

START_TEST(setgroups)
{
	struct user_ns *a = child(&user_ns_first, 0), *b;
	const struct id_extent one[] = {{0, 0, 1}};

	ck_assert(user_ns_may_setgroups(&user_ns_first));
	ck_assert(!user_ns_may_setgroups(a)); /* no map yet */
	ck_assert_int_eq(user_ns_set_setgroups(a, false), 0);
	ck_assert_int_eq(user_ns_set_setgroups(a, true), -EPERM);
	ck_assert_int_eq(user_ns_set_map(a, ID_GID, map_of(1, one)), 0);
	ck_assert(!user_ns_may_setgroups(a));
	b = child(a, 0);
	ck_assert(b->setgroups_denied); /* inherited */
	user_ns_put(b);
	user_ns_put(a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("user_ns");
	TCase *tc = tcase_create("core");
	SRunner *r;
	int failed;

	tcase_add_test(tc, maps);
	tcase_add_test(tc, bad_maps);
	tcase_add_test(tc, capabilities);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, setgroups);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
