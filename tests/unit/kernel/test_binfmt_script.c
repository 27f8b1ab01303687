/* The "#!" line: what Linux takes as interpreter and argument. */
/* link: sentry/kernel/binfmt_script.c */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/binfmt_script.h"

static bool parse(const char *text, size_t n, struct script_line *out)
{
	char head[SCRIPT_HEAD] = "";

	memcpy(head, text, min(n, sizeof(head)));
	return script_parse(head, out);
}

static void expect(const char *text, const char *interp, const char *arg)
{
	struct script_line line;

	ck_assert(parse(text, strlen(text), &line));
	ck_assert_str_eq(line.interp, interp);
	ck_assert_str_eq(line.arg, arg);
}

START_TEST(accepted)
{
	expect("#!/bin/sh\n", "/bin/sh", "");
	expect("#!/bin/sh", "/bin/sh", "");
	expect("#! \t/bin/sh -e  x \t\nrest", "/bin/sh", "-e  x");
	expect("#!sh\n", "sh", "");
	expect("#!/usr/bin/env python3 -u\n", "/usr/bin/env", "python3 -u");
}
END_TEST

START_TEST(refused)
{
	static const char *const bad[] = {"", "#", "#!", "#!\n", "#! \t \n", "x#!/bin/sh\n"};
	struct script_line line;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert(!parse(bad[i], strlen(bad[i]), &line));
}
END_TEST

START_TEST(long_lines)
{
	struct script_line line;
	char text[400];

	memset(text, 'a', sizeof(text));
	memcpy(text, "#!/", 3);
	ck_assert(!parse(text, sizeof(text), &line)); /* the name may be cut off */
	text[100] = ' ';
	ck_assert(parse(text, sizeof(text), &line)); /* only the argument is */
	ck_assert_uint_eq(strlen(line.interp), 98);
	ck_assert_uint_eq(strlen(line.arg), 255 - 101);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("binfmt_script");
	TCase *tc = tcase_create("binfmt_script");
	SRunner *r;
	int failed;

	tcase_add_test(tc, accepted);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, long_lines);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
