/* link: common/text.c common/mem.c common/log.c */
/* Strings that grow, and strings in an array that are cut. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

START_TEST(grows)
{
	struct text t = {.buf = NULL};

	for (int i = 0; i < 1000; i++)
		text_printf(&t, "%d,", i % 10);
	ck_assert_uint_eq(t.len, 2000);
	ck_assert_uint_eq(strlen(t.buf), 2000);
	text_fini(&t);
	ck_assert_ptr_null(t.buf);
}
END_TEST

START_TEST(pads_and_escapes)
{
	struct text t = {.buf = NULL};

	text_puts(&t, "ab");
	text_pad(&t, 0, 5);
	text_escape(&t, "x y\\", " \\");
	ck_assert_str_eq(t.buf, "ab   x\\040y\\134");
	text_fini(&t);
}
END_TEST

START_TEST(an_array_is_filled_and_no_more)
{
	char buf[9] = "........";
	struct text t = TEXT_FIXED(buf);

	text_printf(&t, "%s", "1234");
	text_printf(&t, "%s", "5678abc");
	ck_assert_str_eq(buf, "12345678");
	ck_assert_uint_eq(t.len, 8);
	text_add(&t, "x", 1);
	text_puts(&t, "yyyyyyyyyyyyyyyyyyyy");
	text_printf(&t, "z");
	text_pad(&t, 0, 100);
	ck_assert_str_eq(buf, "12345678");
	text_fini(&t);
	ck_assert_str_eq(buf, "12345678");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text");
	TCase *c = tcase_create("text");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(c, grows);
	tcase_add_test(c, pads_and_escapes);
	tcase_add_test(c, an_array_is_filled_and_no_more);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
