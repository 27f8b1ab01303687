/* link: common/wire.c common/host.c common/mem.c common/log.c */
/* Messages with fds over a socket pair: small, large, empty, malformed, and their limits. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "common/wire.h"
#include "common/wire_format.h"

static int a, b;

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	a = pair[0];
	b = pair[1];
}

static void teardown(void)
{
	close(a);
	close(b);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(text_arrives_with_its_terminator)
{
	struct wire_msg m;

	ck_assert_int_eq(wire_send(a, "hello", 5, NULL, 0), 0);
	ck_assert_int_eq(wire_recv(b, &m), 0);
	ck_assert_uint_eq(m.len, 5);
	ck_assert_str_eq(m.text, "hello");
	ck_assert_int_eq(m.nfds, 0);
	wire_msg_free(&m);
	ck_assert_int_eq(wire_send(a, "", 0, NULL, 0), 0);
	ck_assert_int_eq(wire_recv(b, &m), 0);
	ck_assert_str_eq(m.text, "");
	wire_msg_free(&m);
}
END_TEST

START_TEST(sizes_around_the_inline_limit)
{
	static const size_t sizes[] = {1, 65535, 65536, 65537, 1 << 20, WIRE_MAX_TEXT};
	int before = open_fds();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = xmalloc(sizes[i]);
		struct wire_msg m;

		for (size_t j = 0; j < sizes[i]; j++)
			text[j] = (char)(j * 31 + i);
		ck_assert_int_eq(wire_send(a, text, sizes[i], NULL, 0), 0);
		ck_assert_int_eq(wire_recv(b, &m), 0);
		ck_assert_uint_eq(m.len, sizes[i]);
		ck_assert_int_eq(memcmp(m.text, text, sizes[i]), 0);
		wire_msg_free(&m);
		free(text);
	}
	ck_assert_int_eq(open_fds(), before);
	ck_assert_int_eq(wire_send(a, "", WIRE_MAX_TEXT + 1ul, NULL, 0), -E2BIG);
}
END_TEST

START_TEST(fds_keep_their_order_and_are_closed)
{
	int before = open_fds(), fds[WIRE_MAX_FDS];
	char *big = xzalloc(100000);
	struct stat want, got;
	struct wire_msg m;
	int taken;

	for (int i = 0; i < WIRE_MAX_FDS; i++)
		fds[i] = i % 2 ? a : b;
	fds[3] = 0;
	memset(big, 'x', 99999);
	ck_assert_int_eq(wire_send(a, big, 99999, fds, WIRE_MAX_FDS), 0);
	ck_assert_int_eq(wire_recv(b, &m), 0);
	ck_assert_int_eq(m.nfds, WIRE_MAX_FDS);
	ck_assert_uint_eq(m.len, 99999);
	taken = wire_take_fd(&m, 3);
	ck_assert_int_ge(taken, 0);
	ck_assert_int_eq(wire_take_fd(&m, 3), -1);
	ck_assert_int_eq(wire_take_fd(&m, WIRE_MAX_FDS), -1);
	ck_assert_int_eq(wire_take_fd(&m, -1), -1);
	ck_assert_int_eq(host_fstat(0, &want), 0);
	ck_assert_int_eq(host_fstat(taken, &got), 0);
	ck_assert_uint_eq(want.st_ino, got.st_ino);
	wire_msg_free(&m);
	close(taken);
	free(big);
	ck_assert_int_eq(open_fds(), before);
	ck_assert_int_eq(wire_send(a, "", 0, fds, WIRE_MAX_FDS + 1), -E2BIG);
}
END_TEST

static void expect_malformed(const struct wire_header *h, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{(void *)h, sizeof(*h)}, {(void *)text, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	int before = open_fds();
	struct wire_msg m;

	if (fd >= 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
	}
	ck_assert_int_gt(host_sendmsg(a, &msg, 0), 0);
	ck_assert_int_eq(wire_recv(b, &m), -EPROTO);
	ck_assert_ptr_null(m.text);
	ck_assert_int_eq(open_fds(), before);
}

START_TEST(malformed_messages_are_refused)
{
	struct wire_header h = {.magic = WIRE_MAGIC, .len = 4};

	expect_malformed(&h, "abc", 3, -1);   /* shorter than it says */
	expect_malformed(&h, "abcde", 5, -1); /* longer */
	h.magic++;
	expect_malformed(&h, "abcd", 4, -1);
	h = (struct wire_header){.magic = WIRE_MAGIC, .len = 4, .in_mem = 1};
	expect_malformed(&h, "", 0, -1); /* no memfd */
	expect_malformed(&h, "", 0, a);	 /* not a file */
	h.len = 0xffffffff;
	expect_malformed(&h, "", 0, 0);
	ck_assert_int_eq(host_write(a, "x", 1), 1);
	{
		struct wire_msg m;

		ck_assert_int_eq(wire_recv(b, &m), -EPROTO);
	}
}
END_TEST

START_TEST(the_end_is_reported)
{
	struct wire_msg m;

	close(a);
	ck_assert_int_eq(wire_recv(b, &m), -EPIPE);
	ck_assert_int_eq(wire_send(b, "x", 1, NULL, 0), -EPIPE);
	a = dup(b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire");
	TCase *t = tcase_create("messages");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, text_arrives_with_its_terminator);
	tcase_add_test(t, sizes_around_the_inline_limit);
	tcase_add_test(t, fds_keep_their_order_and_are_closed);
	tcase_add_test(t, malformed_messages_are_refused);
	tcase_add_test(t, the_end_is_reported);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
