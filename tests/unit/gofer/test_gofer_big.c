/* link: sentry/fs/[a-z]*.c sentry/fs/gofer/[a-z]*.c sentry/core/[a-z]*.c sentry/locks.c common/[a-z]*.c */
/* Trees larger than the gofer's fd limit, large directories, many threads. */
#include <pthread.h>

#include "tests/unit/gofer/harness.h"

#include "sentry/fs/dentry.h"

static struct fixture fx;

/* The gofer gets 256 fds, far less than there are directories. */
static void setup(void)
{
	fx.gofer_fds = 256;
	fixture_open(&fx, "rw,exclusive", 0);
}

static void teardown(void)
{
	fixture_close(&fx);
}

enum { DIRS = 500, PER_DIR = 100 };

static void make_tree(void)
{
	char name[64];

	for (int d = 0; d < DIRS; d++) {
		snprintf(name, sizeof(name), "d%d", d);
		ck_assert_int_eq(mkdirat(fx.dirfd, name, 0755), 0);
		for (int f = 0; f < PER_DIR; f++) {
			snprintf(name, sizeof(name), "d%d/f%d", d, f);
			ck_assert_int_eq(mknodat(fx.dirfd, name, S_IFREG | 0644, 0), 0);
		}
	}
}

START_TEST(fifty_thousand_files)
{
	char name[64], to[64], buf[8];
	struct kstat st;

	make_tree();
	for (int round = 0; round < 2; round++)
		for (int f = 0; f < PER_DIR; f++)
			for (int d = 0; d < DIRS; d++) {
				snprintf(name, sizeof(name), "d%d/f%d", d, f);
				ck_assert_int_eq(t_stat(&fx, name, &st), 0);
				ck_assert_uint_eq(st.mode, S_IFREG | 0644);
			}
	/* The gofer finds closed directories again, also after their parents moved. */
	ck_assert_int_eq(t_make(&fx, "top", S_IFDIR | 0755, NULL), 0);
	for (int d = 0; d < DIRS; d++) {
		snprintf(name, sizeof(name), "d%d", d);
		snprintf(to, sizeof(to), "top/x%d", d);
		ck_assert_int_eq(t_rename(&fx, name, to, 0), 0);
	}
	ck_assert_int_eq(t_rename(&fx, "top", "up", 0), 0);
	for (int d = 0; d < DIRS; d++) {
		snprintf(name, sizeof(name), "up/x%d/f7", d);
		ck_assert_int_eq(t_write(&fx, name, "moved"), 0);
		ck_assert_int_eq(t_read(&fx, name, buf, sizeof(buf)), 0);
		ck_assert_str_eq(buf, "moved");
		ck_assert_int_eq(vfs_unlink(&fx.env, NULL, name), 0);
	}
}
END_TEST

START_TEST(a_chain_deeper_than_the_fd_limit)
{
	char name[600 * 2 + 8] = "a";
	struct kstat st;

	for (int i = 0; i < 600; i++) {
		ck_assert_int_eq(t_make(&fx, name, S_IFDIR | 0755, NULL), 0);
		strcat(name, "/a");
	}
	ck_assert_int_eq(t_write(&fx, name, "end"), 0);
	dcache_shrink(0);
	ck_assert_int_eq(t_stat(&fx, name, &st), 0);
	ck_assert_uint_eq(st.size, 3);
}
END_TEST

static void count(struct name_sink *s, const char *name, size_t len, uint64_t ino,
		  unsigned char type)
{
	++*(unsigned int *)s->arg;
}

START_TEST(a_hundred_thousand_names)
{
	unsigned int n = 0;
	struct name_sink s = {.each = count, .arg = &n, .stop_after = 1000};
	struct file *f;
	char name[16];

	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(mknodat(fx.dirfd, name, S_IFREG | 0644, 0), 0);
	}
	ck_assert_int_eq(t_open(&fx, "/", O_RDONLY | O_DIRECTORY, &f), 0);
	do {
		s.seen = 0;
		ck_assert_int_eq(t_readdir(f, &s), 0);
	} while (s.seen);
	file_put(f);
	ck_assert_uint_eq(n, 100002);
}
END_TEST

/* Each thread works in a directory of its own and in one that all share. */
static void *hammer(void *arg)
{
	long id = (long)arg;
	char own[32], shared[32], buf[8];
	struct kstat st;

	snprintf(own, sizeof(own), "t%ld", id);
	if (t_make(&fx, own, S_IFDIR | 0755, NULL))
		return "mkdir";
	for (int i = 0; i < 200; i++) {
		snprintf(own, sizeof(own), "t%ld/f%d", id, i % 7);
		snprintf(shared, sizeof(shared), "shared/s%d", i % 5);
		if (t_write(&fx, own, "own"))
			return "write";
		if (t_read(&fx, own, buf, sizeof(buf)) || strcmp(buf, "own"))
			return "read";
		(void)!t_write(&fx, shared, "any");
		(void)!t_stat(&fx, shared, &st);
		(void)!t_rename(&fx, shared, "shared/other", 0);
		(void)!vfs_unlink(&fx.env, NULL, shared);
		if (vfs_unlink(&fx.env, NULL, own))
			return "unlink";
	}
	return NULL;
}

START_TEST(many_threads)
{
	enum { N = 24 };
	pthread_t threads[N];

	ck_assert_int_eq(t_make(&fx, "shared", S_IFDIR | 0755, NULL), 0);
	for (long i = 0; i < N; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (int i = 0; i < N; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		ck_assert_msg(!failed, "failed: %s", (char *)failed);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gofer_big");
	TCase *c = tcase_create("few fds");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, fifty_thousand_files);
	tcase_add_test(c, a_chain_deeper_than_the_fd_limit);
	tcase_add_test(c, a_hundred_thousand_names);
	tcase_add_test(c, many_threads);
	suite_add_tcase(s, c);
	return run_suite(s);
}
