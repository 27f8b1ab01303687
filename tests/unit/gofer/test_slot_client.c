/* link: sentry/fs/[a-z]*.c sentry/fs/gofer/[a-z]*.c sentry/core/[a-z]*.c sentry/locks.c common/[a-z]*.c */
/* The sentry's end of a channel against gofers that break the rules of the slot. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_shared.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

/* What the gofer, a child process, does wrong. */
enum sin {
	NONE,
	UNSEALED,
	TOO_SMALL,
	LONG_REPLY,
	SHORT_REPLY,
	HUGE_REPLY,
	WRONG_LEN,
	WRONG_UNIQUE,
	BAD_ERROR,
	UNWANTED_FILE,
	MISSING_FILE,
	DIES,
	SINS,
};

static int sock; /* the gofer's end */

static void reply(const struct fuse_in_header *in, int fd)
{
	struct fuse_out_header out = {.len = sizeof(out), .unique = in->unique};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {&out, sizeof(out)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (fd >= 0) {
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
	}
	if (sendmsg(sock, &msg, 0) < 0)
		_exit(1);
}

static int make_memfd(enum sin sin)
{
	int fd = memfd_create("slot", MFD_ALLOW_SEALING);
	off_t size = sin == TOO_SMALL ? 4096 : (off_t)sizeof(struct gofer_slot);

	if (ftruncate(fd, size) < 0 ||
	    (sin != UNSEALED && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0))
		_exit(1);
	return fd;
}

static void sin_in_reply(enum sin sin, struct gofer_slot *slot, struct fuse_out_header *out)
{
	slot->reply_len = out->len;
	slot->with_fd = sin == UNWANTED_FILE || sin == MISSING_FILE;
	switch (sin) {
	case LONG_REPLY:
		slot->reply_len = out->len = sizeof(*out) + 1;
		break;
	case SHORT_REPLY:
		slot->reply_len = out->len = sizeof(*out) - 1;
		break;
	case HUGE_REPLY:
		slot->reply_len = out->len = UINT32_MAX;
		break;
	case WRONG_LEN:
		out->len++;
		break;
	case WRONG_UNIQUE:
		out->unique++;
		break;
	case BAD_ERROR:
		out->error = 5;
		break;
	default:
		break;
	}
}

static void answer_in_slot(enum sin sin, struct gofer_slot *slot)
{
	struct fuse_out_header out = {.len = sizeof(out)};

	while (__atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE) != GOFER_TURN_REQUEST)
		host_shared_futex_wait(&slot->turn, GOFER_TURN_IDLE);
	if (sin == DIES)
		_exit(0);
	memcpy(&out.unique, slot->request + offsetof(struct fuse_in_header, unique),
	       sizeof(out.unique));
	sin_in_reply(sin, slot, &out);
	memcpy(slot->reply, &out, sizeof(out));
	__atomic_store_n(&slot->turn, GOFER_TURN_IDLE, __ATOMIC_RELEASE);
	host_shared_futex_wake(&slot->turn);
}

static void play_gofer(enum sin sin)
{
	struct fuse_in_header in;
	struct gofer_slot *slot;
	int fd;

	for (;;) {
		if (recv(sock, &in, sizeof(in), 0) <= 0)
			_exit(0);
		if (in.opcode == GOFER_SLOT)
			break;
		reply(&in, -1);
	}
	fd = make_memfd(sin);
	slot = host_map_shared(fd, sizeof(*slot));
	slot->turn = GOFER_TURN_IDLE;
	reply(&in, fd);
	for (;;)
		answer_in_slot(sin, slot);
}

/* Calls until one fails, or for long enough. */
static int make_calls(struct gofer_channel *ch, bool want_fd)
{
	int err = 0, error;

	for (int i = 0; i < 40 && !err; i++) {
		struct gofer_call call = {.opcode = FUSE_SYNCFS, .fd = want_fd ? 0 : -1};

		err = channel_exchange(ch, &call, &error);
		ck_assert_int_eq(call.fd, -1);
	}
	return err;
}

START_TEST(broken_rules)
{
	enum sin sin = (enum sin)_i;
	struct gofer_channel *ch;
	int pair[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		sock = pair[1];
		play_gofer(sin);
	}
	close(pair[1]);
	ch = channel_new(pair[0]);
	ck_assert_int_eq(make_calls(ch, sin == MISSING_FILE), sin == NONE ? 0 : -EPIPE);
	channel_free(ch);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slot_client");
	TCase *t = tcase_create("sins");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, broken_rules, NONE, SINS);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
