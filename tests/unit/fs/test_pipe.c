/* fs/pipe.c: filling, atomic writes, packets, resizing, putting back, half-open FIFOs. */
/* link: sentry/fs/[a-z]*.c sentry/core/[a-z]*.c sentry/locks.c common/[a-z]*.c */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "common/mem.h"
#include "sentry/fs/epoll.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/parts.h"
#include "sentry/fs/pipe.h"

static struct cred *root;
static struct file *ends[2];
static char buf[200000], got[200000];

static void setup(void)
{
	root = cred_new_root(CAPSET_ALL);
	ck_assert_int_eq(pipe_new(root, O_NONBLOCK, ends), 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 31 + i / 253);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++)
		if (ends[i])
			file_put(ends[i]);
	cred_put(root);
}

static ssize_t put(size_t n)
{
	return file_write(ends[1], buf, n, NULL);
}

static ssize_t take(size_t n)
{
	return file_read(ends[0], got, n, NULL);
}

START_TEST(bytes_come_out_as_they_went_in)
{
	size_t in = 0, out = 0;
	unsigned int seed = (unsigned int)_i;

	while (out < 150000) {
		size_t n = 1 + (size_t)rand_r(&seed) % 9000;
		ssize_t r =
		    in < 150000 ? file_write(ends[1], buf + in, min(n, 150000 - in), NULL) : 0;

		in += (size_t)max(r, 0);
		r = file_read(ends[0], got + out, 1 + (size_t)rand_r(&seed) % 7000, NULL);
		out += (size_t)max(r, 0);
	}
	ck_assert_mem_eq(buf, got, 150000);
	ck_assert_int_eq(take(1), -EAGAIN);
}
END_TEST

START_TEST(small_writes_are_all_or_nothing)
{
	ssize_t r;
	size_t total = 0;

	while ((r = put(4000)) > 0) {
		ck_assert_int_eq(r, 4000);
		total += 4000;
	}
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_uint_eq(total, 16 * 4000);
	ck_assert_int_eq(put(96), 96); /* fits behind the last 4000 */
	ck_assert_int_eq(put(1), -EAGAIN);
}
END_TEST

START_TEST(what_is_put_back_comes_first)
{
	ck_assert_int_eq(put(65536), 65536);
	ck_assert_int_eq(take(30000), 30000);
	ck_assert_int_eq(put(20000), 20000);
	pipe_untake(ends[0], got + 10000, 20000);
	ck_assert_int_eq(take(20000), 20000);
	ck_assert_mem_eq(got, buf + 10000, 20000);
	ck_assert_int_eq(take(sizeof(got)), 35536 + 20000);
	ck_assert_mem_eq(got, buf + 30000, 35536);
	ck_assert_mem_eq(got + 35536, buf, 20000);
	ck_assert_int_eq(put(65536), 65536);
	ck_assert_int_eq(put(1), -EAGAIN); /* the limit stands although the ring grew */
}
END_TEST

START_TEST(peeking_takes_nothing)
{
	put(5000);
	ck_assert_int_eq(pipe_peek(ends[0], got, 6000), 5000);
	ck_assert_mem_eq(got, buf, 5000);
	ck_assert_int_eq(take(6000), 5000);
	ck_assert_int_eq(pipe_peek(ends[0], got, 1), -EAGAIN);
	file_put(ends[1]);
	ends[1] = NULL;
	ck_assert_int_eq(pipe_peek(ends[0], got, 1), 0);
}
END_TEST

START_TEST(resizing_keeps_contents)
{
	put(10000);
	ck_assert_int_eq(pipe_set_size(ends[0], 4096, root), -EBUSY);
	ck_assert_int_eq(pipe_set_size(ends[0], 300000, root), 524288);
	ck_assert_int_eq(put(100000), 100000);
	ck_assert_int_eq(take(10000), 10000);
	ck_assert_mem_eq(got, buf, 10000);
	ck_assert_int_eq(take(100000), 100000);
	ck_assert_mem_eq(got, buf, 100000);
	ck_assert_int_eq(pipe_set_size(ends[0], 1, root), 4096);
	ck_assert_int_eq(put(5000), 4096);
}
END_TEST

START_TEST(a_fifo_open_counts_while_it_waits)
{
	struct inode *inode = anon_inode_new("fifo", S_IFIFO);
	struct file *reader, *writer;

	ck_assert_int_eq(fifo_open(inode, NULL, root, O_WRONLY | O_NONBLOCK, &writer), -ENXIO);
	ck_assert_int_eq(fifo_open(inode, NULL, root, O_RDONLY, &reader), -EAGAIN);
	ck_assert(!fifo_opened(reader));
	ck_assert_int_eq(fifo_open(inode, NULL, root, O_WRONLY, &writer), 0);
	ck_assert(fifo_opened(reader));
	file_put(writer);
	ck_assert(fifo_opened(reader)); /* it was there */
	ck_assert_int_eq(file_read(reader, got, 1, NULL), 0);
	file_put(reader);
	ck_assert_int_eq(fifo_open(inode, NULL, root, O_WRONLY, &writer), -EAGAIN);
	file_put(writer);
	ck_assert_int_eq(fifo_open(inode, NULL, root, O_WRONLY | O_NONBLOCK, &writer), -ENXIO);
	inode_put(inode);
}
END_TEST

/* --- epoll over pipes --------------------------------------------------------------------- */

static struct file *ep;
static struct epoll_event events[4];

static int ctl(int op, struct file *f, uint32_t mask)
{
	struct epoll_event e = {.events = mask, .data.u64 = 7};

	return epoll_ctl_file(ep, op, 3, f, &e);
}

START_TEST(edges_and_levels)
{
	ck_assert_int_eq(epoll_new(root, &ep), 0);
	ck_assert_int_eq(ctl(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET), 0);
	ck_assert_int_eq(epoll_collect(ep, events, 4), 0);
	put(1);
	ck_assert(epoll_maybe_ready(ep));
	ck_assert_int_eq(epoll_collect(ep, events, 4), 1);
	ck_assert_uint_eq(events[0].events, EPOLLIN);
	ck_assert_int_eq(epoll_collect(ep, events, 4), 0);
	put(1);
	ck_assert_int_eq(epoll_collect(ep, events, 4), 1);
	ck_assert_int_eq(ctl(EPOLL_CTL_MOD, ends[0], EPOLLIN), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(epoll_collect(ep, events, 4), 1);
	take(2);
	ck_assert_int_eq(epoll_collect(ep, events, 4), 0);
	ck_assert(!epoll_maybe_ready(ep));
	file_put(ep);
}
END_TEST

START_TEST(a_closed_file_is_forgotten)
{
	ck_assert_int_eq(epoll_new(root, &ep), 0);
	ck_assert_int_eq(ctl(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
	ck_assert_int_eq(ctl(EPOLL_CTL_ADD, ends[1], EPOLLOUT), 0);
	put(1);
	ck_assert_int_eq(epoll_collect(ep, events, 4), 2);
	file_put(ends[0]);
	ends[0] = NULL;
	ck_assert_int_eq(epoll_collect(ep, events, 4), 1);
	ck_assert_uint_eq(events[0].events, EPOLLOUT | EPOLLERR);
	file_put(ep); /* with a watch left */
}
END_TEST

START_TEST(nesting_is_bounded)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct file *chain[6];

	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(epoll_new(root, &chain[i]), 0);
	for (int i = 1; i < 5; i++)
		ck_assert_int_eq(epoll_ctl_file(chain[i], EPOLL_CTL_ADD, 1, chain[i - 1], &e), 0);
	ck_assert_int_eq(epoll_ctl_file(chain[5], EPOLL_CTL_ADD, 1, chain[4], &e), -ELOOP);
	ck_assert_int_eq(epoll_ctl_file(chain[0], EPOLL_CTL_ADD, 1, chain[4], &e), -ELOOP);
	ck_assert_int_eq(epoll_ctl_file(chain[0], EPOLL_CTL_ADD, 1, ends[0], &e), 0);
	ck_assert_int_eq(epoll_collect(chain[4], events, 4), 0);
	put(1);
	ck_assert_int_eq(epoll_collect(chain[4], events, 4), 1);
	for (int i = 0; i < 6; i++)
		file_put(chain[i]);
}
END_TEST

static const struct fs_parts parts = {.fifo_free = fifo_inode_free,
				      .epoll_forget = epoll_forget_file};

int main(void)
{
	Suite *suite = suite_create("pipe");
	TCase *tc = tcase_create("pipe and epoll");
	SRunner *runner;
	int failed;

	fs_parts_register(&parts);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, bytes_come_out_as_they_went_in, 0, 20);
	tcase_add_test(tc, small_writes_are_all_or_nothing);
	tcase_add_test(tc, what_is_put_back_comes_first);
	tcase_add_test(tc, peeking_takes_nothing);
	tcase_add_test(tc, resizing_keeps_contents);
	tcase_add_test(tc, a_fifo_open_counts_while_it_waits);
	tcase_add_test(tc, edges_and_levels);
	tcase_add_test(tc, a_closed_file_is_forgotten);
	tcase_add_test(tc, nesting_is_bounded);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
