/* link: sentry/platform/arena.c common/host[a-z_]*.c common/host.c common/log.c common/mem.c */
/*
 * Arenas that are used for one process after the other: nothing of what one left
 * may reach the next, wherever in its arena it was.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/host.h"
#include "sentry/platform/pf.h"

static bool all_zero(const char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static struct arena *arena_of_process(void)
{
	struct arena *a;
	int fd = -1;

	ck_assert_int_eq(arena_new(&a, &fd), 0);
	ck_assert_int_ge(fd, 0);
	arena_keep_fd(a, &fd);
	if (fd >= 0)
		close(fd);
	return a;
}

START_TEST(nothing_stays)
{
	struct arena *a = arena_of_process(), *b;
	struct stat st;
	int fd;

	ck_assert(all_zero(a->base, ARENA_SIZE));
	memset(a->base, 0x5a, ARENA_SIZE);
	a->used = 3;
	ck_assert(arena_recycle(a));
	ck_assert_int_eq(arena_new(&b, &fd), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert(all_zero(b->base, ARENA_SIZE));
	ck_assert_int_eq(b->used, 0);
	ck_assert_int_eq(b->fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, ARENA_SIZE);
	close(fd);
	arena_free(b);
}
END_TEST

/* Neither fds nor mappings are kept without bound. */
START_TEST(bounded)
{
	enum { MANY = 200 };
	struct arena *a[MANY];
	int kept = 0, recycled = 0;

	for (int i = 0; i < MANY; i++) {
		a[i] = arena_of_process();
		kept += a[i]->fd >= 0;
	}
	ck_assert_int_eq(kept, 64);
	for (int i = 0; i < MANY; i++) {
		if (arena_recycle(a[i]))
			recycled++;
		else
			arena_free(a[i]);
	}
	ck_assert_int_eq(recycled, 16);
	for (int i = 0; i < recycled; i++)
		arena_free(arena_of_process());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *c = tcase_create("arena");
	SRunner *r;
	int failed;

	tcase_add_test(c, nothing_stays);
	tcase_add_test(c, bounded);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
