/*
 * One channel to the gofer: how a request goes out and its reply comes in. It
 * begins as a socket; one that is used gets a slot of shared memory
 * (gofer/protocol.h), which is cheaper. The caller holds the channel, so nothing
 * here is locked.
 *
 * The gofer is not trusted with the sentry's memory: the slot must be a memfd
 * that cannot shrink, lengths are read once and bounded, and contents are
 * copied before anybody looks at them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/host.h"
#include "common/host_memfd.h"
#include "common/host_sched.h"
#include "common/host_shared.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

/* Requests before a channel asks for a slot: short-lived sandboxes do without. */
#define SLOT_AFTER 16
/* A gofer that dies while it has the turn is noticed by its socket, which is looked at so often. */
#define LIFE_CHECK_NS (100 * NSEC_PER_MSEC)

struct gofer_channel {
	int fd;
	unsigned int calls; /* up to SLOT_AFTER */
	struct gofer_slot *slot;
};

union fd_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int))];
};

static atomic_uint_fast64_t unique_source;

uint64_t gofer_request_count(void)
{
	return atomic_load(&unique_source);
}

struct gofer_channel *channel_new(int fd)
{
	struct gofer_channel *ch = NEW(struct gofer_channel);

	ch->fd = fd;
	return ch;
}

void channel_free(struct gofer_channel *ch)
{
	host_close(ch->fd);
	if (ch->slot)
		host_unmap(ch->slot, sizeof(*ch->slot));
	free(ch);
}

static struct fuse_in_header header_of(const struct gofer_call *call, uint64_t unique)
{
	struct fuse_in_header head = {
	    .len = sizeof(head),
	    .opcode = call->opcode,
	    .unique = unique,
	    .nodeid = call->node,
	    .uid = call->uid,
	    .gid = call->gid,
	};
	unsigned int cpu, node;

	host_getcpu(&cpu, &node);
	head.padding = (uint16_t)(cpu + 1); /* the gofer's thread follows us */
	for (int i = 0; i < call->nin; i++)
		head.len += (uint32_t)call->in[i].iov_len;
	return head;
}

/* ------------------------------------------------------------ the socket */

static int send_request(int fd, const struct gofer_call *call, uint64_t unique)
{
	struct fuse_in_header head = header_of(call, unique);
	struct iovec iov[CALL_PARTS + 1] = {{&head, sizeof(head)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)call->nin + 1};
	ssize_t n;

	memcpy(iov + 1, call->in, (size_t)call->nin * sizeof(*iov));
	do
		n = host_sendmsg(fd, &msg, 0);
	while (n == -EINTR);
	return n == (ssize_t)head.len ? 0 : -EIO;
}

static int take_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Is that an answer to this request? Its error is in *error then. */
static bool sane_head(const struct fuse_out_header *head, size_t len, uint64_t unique, int *error)
{
	*error = head->error;
	return head->len == len && head->unique == unique && head->error <= 0 &&
	       head->error >= -4095;
}

static int receive_reply(int fd, struct gofer_call *call, uint64_t unique, int *error)
{
	struct fuse_out_header head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {call->out, call->out_max}};
	union fd_control control;
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	bool want_fd = call->fd >= 0;
	ssize_t n;

	if (want_fd) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	do
		n = host_recvmsg(fd, &msg, 0);
	while (n == -EINTR);
	call->fd = n > 0 && want_fd ? take_fd(&msg) : -1;
	if (n < (ssize_t)sizeof(head) || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    !sane_head(&head, (size_t)n, unique, error))
		return -EPIPE;
	call->out_len = (size_t)n - sizeof(head);
	return 0;
}

/* ------------------------------------------------------------ the slot */

/* Has the other end of the socket gone? */
static bool hung_up(int fd)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = host_recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);

	return n != -EAGAIN && n <= 0;
}

/* Gives the request in the slot to the gofer, and waits until it gives the turn back. */
static int take_turns(struct gofer_channel *ch)
{
	uint32_t *word = &ch->slot->turn;

	host_shared_futex_wake(word);
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == GOFER_TURN_REQUEST)
		if (host_shared_futex_wait_for(word, GOFER_TURN_REQUEST, LIFE_CHECK_NS) ==
			-ETIMEDOUT &&
		    hung_up(ch->fd))
			return -EPIPE;
	return 0;
}

/* False: the gofer waits on the socket. */
static bool slot_begin(struct gofer_channel *ch, const struct gofer_call *call, uint64_t unique)
{
	struct fuse_in_header head;
	struct gofer_slot *slot = ch->slot;
	uint32_t idle = GOFER_TURN_IDLE;
	size_t at = sizeof(head);

	if (!slot || __atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE) != GOFER_TURN_IDLE)
		return false;
	head = header_of(call, unique);
	if (head.len > sizeof(slot->request))
		return false; /* no caller does that; the socket refuses it */
	memcpy(slot->request, &head, sizeof(head));
	for (int i = 0; i < call->nin; i++) {
		memcpy(slot->request + at, call->in[i].iov_base, call->in[i].iov_len);
		at += call->in[i].iov_len;
	}
	__atomic_store_n(&slot->request_len, head.len, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n(&slot->turn, &idle, GOFER_TURN_REQUEST, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* The file of a reply has been sent already. */
static int receive_file(int fd, struct gofer_call *call, uint64_t unique)
{
	struct fuse_out_header head;
	struct iovec iov = {&head, sizeof(head)};
	union fd_control control;
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = host_recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n == -EINTR);
	call->fd = n > 0 ? take_fd(&msg) : -1;
	return n == sizeof(head) && head.unique == unique &&
		       !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		   ? 0
		   : -EPIPE;
}

static int slot_reply(struct gofer_channel *ch, struct gofer_call *call, uint64_t unique,
		      int *error)
{
	struct gofer_slot *slot = ch->slot;
	size_t len = __atomic_load_n(&slot->reply_len, __ATOMIC_RELAXED);
	bool with_fd = __atomic_load_n(&slot->with_fd, __ATOMIC_RELAXED);
	bool want_fd = call->fd >= 0;
	struct fuse_out_header head;

	call->fd = -1;
	if (len < sizeof(head) || len > sizeof(slot->reply) || len - sizeof(head) > call->out_max ||
	    (with_fd && !want_fd))
		return -EPIPE;
	memcpy(&head, slot->reply, sizeof(head));
	if (!sane_head(&head, len, unique, error))
		return -EPIPE;
	call->out_len = len - sizeof(head);
	if (call->out_len)
		memcpy(call->out, slot->reply + sizeof(head), call->out_len);
	return with_fd ? receive_file(ch->fd, call, unique) : 0;
}

static bool slot_is_safe(int fd)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = host_get_seals(fd);
	struct stat st;

	return seals >= 0 && (seals & want) == want && host_fstat(fd, &st) == 0 &&
	       st.st_size == sizeof(struct gofer_slot);
}

/* A channel that does not get one goes on without. */
static int ask_for_slot(struct gofer_channel *ch)
{
	struct gofer_call call = {.opcode = GOFER_SLOT, .fd = 0};
	int error = 0;
	SCOPED_FD int fd = -1;

	if (channel_exchange(ch, &call, &error) < 0)
		return -EPIPE;
	fd = call.fd;
	if (error || fd < 0)
		return 0;
	if (slot_is_safe(fd))
		ch->slot = host_map_shared(fd, sizeof(*ch->slot));
	return ch->slot ? 0 : -EPIPE; /* the gofer waits there now */
}

/* ------------------------------------------------------------ either way */

int channel_exchange(struct gofer_channel *ch, struct gofer_call *call, int *error)
{
	uint64_t unique = atomic_fetch_add(&unique_source, 1) + 1;

	if (ch->calls < SLOT_AFTER && ++ch->calls == SLOT_AFTER && ask_for_slot(ch) < 0)
		return -EPIPE;
	if (slot_begin(ch, call, unique))
		return take_turns(ch) < 0 ? -EPIPE : slot_reply(ch, call, unique, error);
	if (send_request(ch->fd, call, unique) < 0)
		return -EPIPE;
	return receive_reply(ch->fd, call, unique, error);
}

int channel_post(struct gofer_channel *ch, const struct gofer_call *call)
{
	return slot_begin(ch, call, 0) ? take_turns(ch) : send_request(ch->fd, call, 0);
}
