/* link: gofer/attr.c gofer/channel.c gofer/dir.c gofer/names.c gofer/node.c gofer/server.c gofer/xattr.c common/[a-z]*.c */
/* A channel's slot as a client may use and abuse it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_shared.h"
#include "common/mem.h"
#include "gofer/server.h"

static int sock;
static struct server *srv;
static struct gofer_slot *slot;

struct message {
	struct fuse_in_header head;
	struct fuse_getattr_in in;
};

static struct message getattr(uint64_t unique)
{
	return (struct message){.head = {.len = sizeof(struct message),
					 .opcode = FUSE_GETATTR,
					 .unique = unique,
					 .nodeid = FUSE_ROOT_ID}};
}

static void check_attr(const char *reply, size_t len, uint64_t unique)
{
	struct fuse_out_header head;
	struct fuse_attr_out out;

	ck_assert_uint_eq(len, sizeof(head) + sizeof(out));
	memcpy(&head, reply, sizeof(head));
	memcpy(&out, reply + sizeof(head), sizeof(out));
	ck_assert_uint_eq(head.len, len);
	ck_assert_uint_eq(head.unique, unique);
	ck_assert_int_eq(head.error, 0);
	ck_assert(S_ISDIR(out.attr.mode));
}

/* A file that came with the packet, or -1. */
static int receive(char *buf, size_t size, ssize_t *len)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {buf, size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd = -1;

	*len = recvmsg(sock, &msg, 0);
	if (*len > 0 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void by_socket(uint64_t unique)
{
	struct message m = getattr(unique);
	char reply[256];
	ssize_t len;

	ck_assert_int_eq(send(sock, &m, sizeof(m), 0), sizeof(m));
	ck_assert_int_eq(receive(reply, sizeof(reply), &len), -1);
	check_attr(reply, (size_t)len, unique);
}

static void wait_while(uint32_t turn)
{
	while (__atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE) == turn)
		host_shared_futex_wait_for(&slot->turn, turn, NSEC_PER_SEC);
}

static void give_turn(const void *request, uint32_t len)
{
	if (request)
		memcpy(slot->request, request, len);
	slot->request_len = len;
	__atomic_store_n(&slot->turn, GOFER_TURN_REQUEST, __ATOMIC_RELEASE);
	host_shared_futex_wake(&slot->turn);
	wait_while(GOFER_TURN_REQUEST);
}

static void by_slot(uint64_t unique)
{
	struct message m = getattr(unique);

	ck_assert_uint_eq(slot->turn, GOFER_TURN_IDLE);
	give_turn(&m, sizeof(m));
	check_attr(slot->reply, slot->reply_len, unique);
}

static int ask_for_slot(int *fd)
{
	struct fuse_in_header in = {.len = sizeof(in), .opcode = GOFER_SLOT, .unique = 1};
	struct fuse_out_header out;
	ssize_t len;

	ck_assert_int_eq(send(sock, &in, sizeof(in), 0), sizeof(in));
	*fd = receive((char *)&out, sizeof(out), &len);
	ck_assert_int_eq(len, sizeof(out));
	return out.error;
}

static void begin(void)
{
	int pair[2], fd;

	ck_assert_int_eq(chdir("/proc/self/fd"), 0);
	ck_assert_int_eq(server_new(open("/", O_PATH | O_CLOEXEC), true, true, &srv), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	sock = pair[0];
	ck_assert_int_eq(server_serve(srv, pair[1]), 0);
	by_socket(1);
	ck_assert_int_eq(ask_for_slot(&fd), 0);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	slot = host_map_shared(fd, sizeof(*slot));
	ck_assert_ptr_nonnull(slot);
	close(fd);
}

static void end(void)
{
	close(sock);
	server_wait_all();
	server_free(srv);
	host_unmap(slot, sizeof(*slot));
}

static void expect_dropped(void)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	char byte;

	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	ck_assert_int_eq(recv(sock, &byte, 1, 0), 0);
}

START_TEST(requests_by_slot_and_socket)
{
	for (uint64_t i = 2; i < 100; i++)
		by_slot(i);
	wait_while(GOFER_TURN_IDLE); /* it does not wait for ever */
	ck_assert_uint_eq(slot->turn, GOFER_TURN_SOCKET);
	by_socket(100);
	by_slot(101);
}
END_TEST

START_TEST(one_slot_a_channel)
{
	struct fuse_in_header in = {.len = sizeof(in), .opcode = GOFER_SLOT, .unique = 7};
	struct fuse_out_header out;

	give_turn(&in, sizeof(in));
	memcpy(&out, slot->reply, sizeof(out));
	ck_assert_int_eq(out.error, -EINVAL);
	by_slot(8);
}
END_TEST

START_TEST(forget_ends_with_a_turn)
{
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in in;
	} m = {{.len = sizeof(m), .opcode = FUSE_FORGET, .nodeid = 99}, {.nlookup = 1}};

	give_turn(&m, sizeof(m));
	ck_assert_uint_eq(slot->reply_len, 0);
	by_slot(3);
}
END_TEST

static const uint32_t bad_lengths[] = {0, sizeof(struct fuse_in_header) - 1,
				       sizeof(struct message) + 1, GOFER_MSG_MAX + 1, UINT32_MAX};

START_TEST(bad_lengths_end_the_channel)
{
	struct message m = getattr(1);

	memcpy(slot->request, &m, sizeof(m));
	give_turn(NULL, bad_lengths[_i]);
	expect_dropped();
}
END_TEST

/* The thread must come back to the socket, or it would outlive a client that died like this. */
START_TEST(any_turn_ends_at_the_socket)
{
	__atomic_store_n(&slot->turn, 77, __ATOMIC_RELEASE);
	host_shared_futex_wake(&slot->turn);
	wait_while(77);
	ck_assert_uint_eq(slot->turn, GOFER_TURN_SOCKET);
	by_socket(5);
	by_slot(6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slot_server");
	TCase *t = tcase_create("slot");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, requests_by_slot_and_socket);
	tcase_add_test(t, one_slot_a_channel);
	tcase_add_test(t, forget_ends_with_a_turn);
	tcase_add_loop_test(t, bad_lengths_end_the_channel, 0, ARRAY_SIZE(bad_lengths));
	tcase_add_test(t, any_turn_ends_at_the_socket);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
