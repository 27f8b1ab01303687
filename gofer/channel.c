/*
 * Channels. Each has a thread that takes a request, has it handled and gives the
 * reply, until the peer hangs up. Requests come by a SOCK_SEQPACKET socket, or,
 * where the peer asked for it, by a slot of shared memory (see protocol.h),
 * which halves the cost of a round trip on one CPU.
 *
 * The thread never spins: the peer sleeps while we work, so its CPU is ours.
 * A thread that waits on the slot would not see the peer go, and a time limit on
 * every wait would wake idle sandboxes for ever; so after LINGER_NS without a
 * request it goes back to the socket.
 *
 * The slot is hostile: lengths are read once, and a request is handled in a copy
 * of our own. A peer that plays with `turn` makes its own thread run in vain.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/host_memfd.h"
#include "common/host_sched.h"
#include "common/host_shared.h"
#include "common/host_thread.h"
#include "common/host_tree.h"
#include "common/log.h"
#include "common/mem.h"
#include "gofer/server.h"

/* Longer than a tick: an earlier timer than the host's next one costs more than the socket. */
#define LINGER_NS (50 * NSEC_PER_MSEC)

struct channel {
	struct server *srv;
	int fd;
	struct gofer_slot *slot; /* NULL: none */
	uint32_t cpu;		 /* where the thread is pinned, plus 1; 0: nowhere */
	alignas(8) char in[GOFER_MSG_MAX];
	alignas(8) char out[GOFER_MSG_MAX];
};

static pthread_mutex_t ended_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned int channels_open; /* of all servers; guarded by ended_lock */

static ssize_t receive(int fd, void *buf, size_t size)
{
	struct iovec iov = {buf, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do
		n = host_recvmsg(fd, &msg, 0);
	while (n == -EINTR);
	return n > 0 && msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EPROTO : n;
}

static int send_reply(int fd, void *buf, size_t len, int with_fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (with_fd >= 0) {
		struct cmsghdr *c = &control.align;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &with_fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	do
		n = host_sendmsg(fd, &msg, 0);
	while (n == -EINTR);
	return n < 0 ? (int)n : 0;
}

/*
 * The requester sleeps until we answer, so its CPU is ours to use: waking a thread on the same
 * CPU costs a tenth of waking another, idle one. The requester's number is a wish; the cpuset
 * decides.
 */
static void follow_requester(struct channel *c)
{
	uint32_t cpu = ((const struct fuse_in_header *)c->in)->padding;

	if (cpu == c->cpu || cpu == 0 || cpu > CPU_SETSIZE)
		return;
	if (host_set_cpu(0, (int)cpu - 1) == 0)
		c->cpu = cpu;
}

/* ------------------------------------------------------------ the socket */

/* More: this peer can go on. */
enum outcome { HANG_UP, MORE, MORE_BY_SLOT };

static enum outcome serve_socket(struct channel *c)
{
	ssize_t n = receive(c->fd, c->in, sizeof(c->in));
	int fd, err;

	if (n >= (ssize_t)sizeof(struct fuse_in_header))
		follow_requester(c);
	if (n > 0)
		n = server_handle(c->srv, c, c->in, (size_t)n, c->out, &fd);
	else if (n == 0)
		return HANG_UP;
	if (n < 0) {
		log_warn("dropping a channel: error %zd", n);
		return HANG_UP;
	}
	if (n == 0)
		return MORE;
	if (c->slot) /* before the reply, or the peer would ask by the socket again */
		__atomic_store_n(&c->slot->turn, GOFER_TURN_IDLE, __ATOMIC_RELEASE);
	err = send_reply(c->fd, c->out, (size_t)n, fd);
	if (fd >= 0)
		host_close(fd);
	if (err < 0)
		return HANG_UP;
	return c->slot ? MORE_BY_SLOT : MORE;
}

/* ------------------------------------------------------------ the slot */

static void pass_turn(struct gofer_slot *slot, enum gofer_turn turn)
{
	__atomic_store_n(&slot->turn, turn, __ATOMIC_RELEASE);
	host_shared_futex_wake(&slot->turn);
}

/* The file goes first, so that the peer never waits for it. */
static int send_file(struct channel *c, int fd)
{
	int err = send_reply(c->fd, c->out, sizeof(struct fuse_out_header), fd);

	host_close(fd);
	return err;
}

static bool answer_slot(struct channel *c)
{
	struct gofer_slot *slot = c->slot;
	size_t len = __atomic_load_n(&slot->request_len, __ATOMIC_RELAXED);
	ssize_t n = -EPROTO;
	int fd = -1;

	if (len >= sizeof(struct fuse_in_header) && len <= sizeof(c->in)) {
		memcpy(c->in, slot->request, len);
		follow_requester(c);
		n = server_handle(c->srv, c, c->in, len, c->out, &fd);
	}
	if (n < 0) {
		log_warn("dropping a channel: error %zd", n);
		return false;
	}
	slot->with_fd = fd >= 0;
	if (fd >= 0 && send_file(c, fd) < 0)
		return false;
	memcpy(slot->reply, c->out, (size_t)n);
	slot->reply_len = (uint32_t)n;
	pass_turn(slot, GOFER_TURN_IDLE);
	return true;
}

/* Until no request comes for a while. */
static enum outcome serve_slot(struct channel *c)
{
	uint32_t *word = &c->slot->turn;

	for (;;) {
		uint32_t turn = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (turn != GOFER_TURN_REQUEST &&
		    host_shared_futex_wait_for(word, turn, LINGER_NS) == -ETIMEDOUT) {
			turn = __atomic_exchange_n(word, GOFER_TURN_SOCKET, __ATOMIC_ACQ_REL);
			if (turn != GOFER_TURN_REQUEST)
				return MORE;
		}
		if (turn == GOFER_TURN_REQUEST && !answer_slot(c))
			return HANG_UP;
	}
}

static int slot_new(struct gofer_slot **out)
{
	int fd = host_memfd_create("gofer", MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return fd;
	err = host_ftruncate(fd, sizeof(**out));
	if (!err)
		err = host_add_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (!err) {
		*out = host_map_shared(fd, sizeof(**out));
		err = *out ? 0 : -ENOMEM;
	}
	if (!err)
		return fd;
	host_close(fd);
	return err;
}

int op_slot(struct request *r)
{
	struct channel *c = r->channel;
	int fd;

	if (!c || c->slot)
		return -EINVAL;
	fd = slot_new(&c->slot);
	if (fd < 0)
		return fd;
	r->send_fd = fd;
	return 0;
}

/* ------------------------------------------------------------ life */

static void channel_end(struct channel *c)
{
	if (c->slot) {
		pass_turn(c->slot, GOFER_TURN_SOCKET);
		host_unmap(c->slot, sizeof(*c->slot));
	}
	host_close(c->fd);
	atomic_fetch_sub(&c->srv->channels, 1);
	free(c);
	pthread_mutex_lock(&ended_lock);
	if (--channels_open == 0)
		pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&ended_lock);
}

static void *channel_run(void *arg)
{
	struct channel *c = arg;
	enum outcome next = MORE;

	while (next != HANG_UP)
		next = next == MORE_BY_SLOT ? serve_slot(c) : serve_socket(c);
	channel_end(c);
	return NULL;
}

int server_serve(struct server *s, int fd)
{
	struct channel *c = try_calloc(1, sizeof(*c));
	int err;

	if (!c) {
		host_close(fd);
		return -ENOMEM;
	}
	c->srv = s;
	c->fd = fd;
	atomic_fetch_add(&s->channels, 1);
	pthread_mutex_lock(&ended_lock);
	channels_open++;
	pthread_mutex_unlock(&ended_lock);
	err = host_thread_start("gofer", channel_run, c);
	if (err < 0)
		channel_end(c);
	return err;
}

int op_channel(struct request *r)
{
	int fds[2], err;

	if (atomic_load(&r->srv->channels) >= GOFER_CHANNELS_MAX)
		return -EMFILE;
	err = host_seqpacket_pair(fds);
	if (err < 0)
		return err;
	err = server_serve(r->srv, fds[0]);
	if (err < 0) {
		host_close(fds[1]);
		return err;
	}
	r->send_fd = fds[1];
	return 0;
}

void server_wait_all(void)
{
	pthread_mutex_lock(&ended_lock);
	while (channels_open)
		pthread_cond_wait(&ended, &ended_lock);
	pthread_mutex_unlock(&ended_lock);
}
