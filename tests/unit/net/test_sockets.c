/* net/: streams, datagrams, files in flight and their collection, ports, rtnetlink. */
/* link: sentry/net/[a-z]*.c sentry/fs/[a-z]*.c sentry/core/[a-z]*.c sentry/locks.c common/[a-z]*.c */
#include <check.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/eventfd.h"
#include "sentry/net/inet.h"
#include "sentry/net/netlink.h"
#include "sentry/net/rtnetlink.h"
#include "sentry/net/unix.h"

static struct cred *root;
static struct net_namespace *net;
static struct sock_caller caller;

static void who(struct sock_caller *out)
{
	*out = caller;
}

static void setup(void)
{
	root = cred_new_root(CAPSET_ALL);
	net = net_namespace_new();
	caller = (struct sock_caller){.cred = root, .pid = 7, .nofile = 1024};
	socket_current_caller = who;
}

/* Nothing is left: the namespace's lists are empty and its reference is the last. */
static void teardown(void)
{
	ck_assert(list_empty(&net->unix_all));
	ck_assert(list_empty(&net->inet_all));
	ck_assert(list_empty(&net->netlink_all));
	ck_assert_uint_eq(ref_read(&net->ns.ref), 1);
	net_namespace_put(net);
	cred_put(root);
}

static void pair(int type, struct socket *s[2])
{
	ck_assert_int_eq(unix_pair(net, type, 0, &caller, s), 0);
}

static void drop(struct socket *s)
{
	file_put(&s->file);
}

static ssize_t put(struct socket *s, const char *text)
{
	return file_write(&s->file, text, strlen(text), NULL);
}

static void expect(struct socket *s, const char *text)
{
	char buf[64] = "";

	ck_assert_int_eq(file_read(&s->file, buf, sizeof(buf), NULL), (ssize_t)strlen(text));
	ck_assert_str_eq(buf, text);
}

static ssize_t take(struct socket *s)
{
	char buf[64];

	return file_read(&s->file, buf, sizeof(buf), NULL);
}

START_TEST(stream_ends)
{
	struct socket *s[2];

	pair(SOCK_STREAM, s);
	ck_assert_int_eq(take(s[0]), -EAGAIN);
	ck_assert_int_eq(put(s[0], "one"), 3);
	ck_assert_int_eq(put(s[0], "two"), 3);
	expect(s[1], "onetwo");
	ck_assert_int_eq(s[0]->ops->shutdown(s[0], SHUTDOWN_SEND), 0);
	ck_assert_int_eq(take(s[1]), 0);
	ck_assert_int_eq(put(s[0], "x"), -EPIPE);
	ck_assert_int_eq(put(s[1], "y"), 1);
	drop(s[0]); /* with "y" unread */
	ck_assert_int_eq(take(s[1]), -ECONNRESET);
	ck_assert_int_eq(take(s[1]), 0);
	ck_assert(file_poll(&s[1]->file) & POLLHUP);
	drop(s[1]);
}
END_TEST

START_TEST(buffers_are_bounded)
{
	struct socket *s[2];
	char piece[1000] = "";
	size_t sent = 0;
	ssize_t n;

	pair(SOCK_STREAM, s);
	while ((n = file_write(&s[0]->file, piece, sizeof(piece), NULL)) > 0)
		sent += (size_t)n;
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert_uint_gt(sent, 100000);
	ck_assert_uint_lt(sent, 400000);
	ck_assert(!(file_poll(&s[0]->file) & POLLOUT));
	while ((n = file_read(&s[1]->file, piece, sizeof(piece), NULL)) > 0)
		sent -= (size_t)n;
	ck_assert_uint_eq(sent, 0);
	ck_assert_uint_eq(atomic_load(&s[0]->wmem), 0);
	ck_assert(file_poll(&s[0]->file) & POLLOUT);
	drop(s[0]);
	drop(s[1]);
}
END_TEST

START_TEST(datagrams_keep_bounds)
{
	struct socket *s[2];

	pair(SOCK_DGRAM, s);
	put(s[0], "one");
	put(s[0], "");
	put(s[0], "three");
	expect(s[1], "one");
	expect(s[1], "");
	expect(s[1], "three");
	drop(s[0]);
	ck_assert_int_eq(put(s[1], "x"), -ECONNREFUSED);
	drop(s[1]);
}
END_TEST

/* Sends files; their references are taken over. */
static ssize_t send_files(struct socket *s, struct file **files, unsigned int n)
{
	struct scm scm = {0};
	struct sock_send m = {.buf = "f", .len = 1, .scm = &scm, .caller = &caller};
	ssize_t r;

	scm.files = charged_alloc(sizeof(*scm.files) + n * sizeof(struct file *));
	scm.files->n = n;
	memcpy(scm.files->file, files, n * sizeof(struct file *));
	r = s->ops->send(s, &m);
	scm_fini(&scm);
	return r;
}

static struct file *counter(void)
{
	struct file *f;

	ck_assert_int_eq(eventfd_new(root, 0, 0, &f), 0);
	return f;
}

START_TEST(files_travel)
{
	struct socket *s[2];
	struct file *f = counter();
	struct scm scm = {0};
	char buf[8];
	struct sock_recv m = {.buf = buf, .len = sizeof(buf), .scm = &scm};

	pair(SOCK_STREAM, s);
	file_get(f);
	ck_assert_int_eq(send_files(s[0], &f, 1), 1);
	m.flags = MSG_PEEK;
	ck_assert_int_eq(s[1]->ops->recv(s[1], &m), 1);
	ck_assert_uint_eq(ref_read(&f->ref), 3);
	scm_fini(&scm);
	m.flags = 0;
	ck_assert_int_eq(s[1]->ops->recv(s[1], &m), 1);
	ck_assert_ptr_eq(scm.files->file[0], f);
	scm_fini(&scm);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	/* A plain read throws them away; so does a close. */
	file_get(f);
	send_files(s[0], &f, 1);
	ck_assert_int_eq(take(s[1]), 1);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	file_get(f);
	send_files(s[0], &f, 1);
	drop(s[1]);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	drop(s[0]);
	file_put(f);
}
END_TEST

/* A socket in its own queue, with a file that shows when it is collected. */
START_TEST(cycle_of_one)
{
	struct file *f = counter(), *files[2];
	struct socket *s[2];

	pair(SOCK_STREAM, s);
	files[0] = file_get(&s[1]->file);
	files[1] = file_get(f);
	send_files(s[0], files, 2); /* into s[1]'s queue */
	drop(s[1]);
	ck_assert_uint_eq(ref_read(&f->ref), 2); /* s[0] may still be used: not looked at yet */
	drop(s[0]);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	file_put(f);
}
END_TEST

/* What a live socket holds in its queue is not garbage, nor what that holds. */
START_TEST(reachable_is_kept)
{
	struct file *f = counter(), *files[2];
	struct socket *live[2], *a[2], *other[2];

	pair(SOCK_STREAM, live);
	pair(SOCK_STREAM, a);
	pair(SOCK_STREAM, other);
	files[0] = file_get(f);
	send_files(a[0], files, 1); /* f in a[1] */
	files[0] = file_get(&a[0]->file);
	files[1] = file_get(&a[1]->file);
	send_files(a[0], files, 2); /* a in itself */
	files[0] = file_get(&a[1]->file);
	send_files(live[0], files, 1); /* and in a live queue */
	drop(a[0]);
	drop(a[1]);
	drop(other[0]);
	drop(other[1]); /* collects */
	ck_assert_uint_eq(ref_read(&f->ref), 2);
	drop(live[0]);
	drop(live[1]);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	file_put(f);
}
END_TEST

START_TEST(deep_nesting)
{
	struct file *f = counter(), *inner = file_get(f);
	struct socket *s[2];

	for (int i = 0; i < 20000; i++) {
		pair(SOCK_STREAM, s);
		send_files(s[0], &inner, 1);
		drop(s[0]);
		inner = &s[1]->file;
	}
	file_put(inner);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	file_put(f);
}
END_TEST

/* --- TCP and ports ------------------------------------------------------------------------ */

static struct sock_addr at(uint32_t ip, uint16_t port)
{
	struct sock_addr a = {.len = sizeof(a.in)};

	a.in.sin_family = AF_INET;
	a.in.sin_port = htons(port);
	a.in.sin_addr.s_addr = htonl(ip);
	return a;
}

static struct socket *tcp(void)
{
	struct socket *s;

	ck_assert_int_eq(socket_create(net, AF_INET, SOCK_STREAM, 0, root, &s), 0);
	return s;
}

static int bind_to(struct socket *s, uint32_t ip, uint16_t port)
{
	struct sock_addr a = at(ip, port);

	return s->ops->bind(s, &a, &caller);
}

static int connect_to(struct socket *s, uint32_t ip, uint16_t port)
{
	struct sock_connect c = {.addr = at(ip, port), .caller = &caller};
	int r = s->ops->connect(s, &c);

	if (c.blocker)
		socket_put(c.blocker);
	return r;
}

START_TEST(ports)
{
	struct socket *a = tcp(), *b = tcp();

	ck_assert_int_eq(bind_to(a, 0x0a000001, 80), -EADDRNOTAVAIL);
	ck_assert_int_eq(bind_to(a, INADDR_LOOPBACK, 5000), 0);
	ck_assert_int_eq(bind_to(a, INADDR_LOOPBACK, 5001), -EINVAL);
	ck_assert_int_eq(bind_to(b, 0, 5000), -EADDRINUSE);
	ck_assert_int_eq(bind_to(b, 0x7f000002, 5000), 0);
	drop(a);
	drop(b);
	a = tcp();
	ck_assert_int_eq(bind_to(a, 0, 5000), 0);
	drop(a);
}
END_TEST

START_TEST(backlog)
{
	struct socket *l = tcp(), *c[3], *end;

	bind_to(l, INADDR_LOOPBACK, 6000);
	ck_assert_int_eq(l->ops->listen(l, 1, &caller), 0);
	for (int i = 0; i < 3; i++) {
		c[i] = tcp();
		ck_assert_int_eq(connect_to(c[i], 0, 6000), i < 2 ? 0 : -EAGAIN);
	}
	ck_assert_int_eq(l->ops->accept(l, &end), 0);
	ck_assert_int_eq(connect_to(c[2], 0, 6000), 0);
	put(c[0], "hi");
	expect(end, "hi");
	drop(l); /* two were not accepted: reset */
	ck_assert_int_eq(take(c[1]), -ECONNRESET);
	ck_assert_int_eq(take(c[2]), -ECONNRESET);
	ck_assert_int_eq(connect_to(c[1], 0, 6000), -EISCONN);
	drop(end);
	ck_assert_int_eq(take(c[0]), 0);
	for (int i = 0; i < 3; i++)
		drop(c[i]);
	l = tcp();
	ck_assert_int_eq(connect_to(l, 0, 6000), -ECONNREFUSED);
	ck_assert_int_eq(connect_to(l, 0x08080808, 53), -ENETUNREACH);
	drop(l);
}
END_TEST

/* --- rtnetlink: hostile requests ------------------------------------------------------------ */

static unsigned int replies;

static void count_reply(void *to, struct sock_buf *b)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)b->data;

	ck_assert_uint_le(h->nlmsg_len, b->len);
	replies++;
	sock_buf_free(b);
}

START_TEST(netlink_requests)
{
	struct {
		struct nlmsghdr h;
		unsigned char rest[200];
	} r = {.h = {.nlmsg_len = NLMSG_LENGTH(1), .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};

	r.h.nlmsg_type = RTM_GETLINK;
	replies = 0;
	for (size_t n = 0; n < NLMSG_LENGTH(1); n++)
		rtnetlink_request(&r, n, 1, false, count_reply, NULL);
	ck_assert_uint_eq(replies, 0);
	rtnetlink_request(&r, NLMSG_LENGTH(1), 1, false, count_reply, NULL);
	ck_assert_uint_eq(replies, 1);
	/* Every type and length, with attributes of all lengths. */
	for (unsigned int type = 0; type < 130; type++) {
		for (unsigned int len = sizeof(r.h); len < sizeof(r); len += 3) {
			r.h.nlmsg_type = (uint16_t)type;
			r.h.nlmsg_len = len;
			r.h.nlmsg_flags = NLM_F_REQUEST | (type & 1 ? NLM_F_DUMP : NLM_F_ACK);
			memset(r.rest, (int)(len * type), sizeof(r.rest));
			rtnetlink_request(&r, sizeof(r), 1, false, count_reply, NULL);
		}
	}
	r.h.nlmsg_len = UINT32_MAX;
	rtnetlink_request(&r, sizeof(r), 1, false, count_reply, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sockets");
	TCase *tc = tcase_create("net");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, stream_ends);
	tcase_add_test(tc, buffers_are_bounded);
	tcase_add_test(tc, datagrams_keep_bounds);
	tcase_add_test(tc, files_travel);
	tcase_add_test(tc, cycle_of_one);
	tcase_add_test(tc, reachable_is_kept);
	tcase_add_test(tc, deep_nesting);
	tcase_add_test(tc, ports);
	tcase_add_test(tc, backlog);
	tcase_add_test(tc, netlink_requests);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
