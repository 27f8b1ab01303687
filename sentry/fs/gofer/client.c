/*
 * Requests to the gofer. A channel carries one request at a time and is waited
 * on by the thread that sent it, so there is no reader thread and nothing to
 * match; as many requests run at once as there are channels. More are asked for
 * when callers had to wait for one.
 */
#include <errno.h>
#include <sys/socket.h>

#include "common/host.h"
#include "common/host_sched.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

#define FORGET_BATCH 128

static atomic_uint_fast64_t unique_source;

uint64_t gofer_request_count(void)
{
	return atomic_load(&unique_source);
}

/* ------------------------------------------------------------ one message */

union fd_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int))];
};

static int send_request(int fd, const struct gofer_call *call, uint64_t unique)
{
	struct fuse_in_header head = {
	    .len = sizeof(head),
	    .opcode = call->opcode,
	    .unique = unique,
	    .nodeid = call->node,
	    .uid = call->uid,
	    .gid = call->gid,
	};
	struct iovec iov[CALL_PARTS + 1] = {{&head, sizeof(head)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)call->nin + 1};
	unsigned int cpu, node;
	ssize_t n;

	host_getcpu(&cpu, &node);
	head.padding = cpu + 1; /* see server.c: the gofer's thread follows us */
	for (int i = 0; i < call->nin; i++) {
		iov[i + 1] = call->in[i];
		head.len += (uint32_t)call->in[i].iov_len;
	}
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
	if (n < (ssize_t)sizeof(head) || head.len != (size_t)n || head.unique != unique ||
	    msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || head.error > 0 || head.error < -4095)
		return -EPIPE;
	call->out_len = (size_t)n - sizeof(head);
	*error = head.error;
	return 0;
}

/* 0 and the gofer's answer in *error, or -EPIPE: the channel is of no more use. */
static int exchange(int fd, struct gofer_call *call, int *error)
{
	uint64_t unique = atomic_fetch_add(&unique_source, 1) + 1;

	if (send_request(fd, call, unique) < 0)
		return -EPIPE;
	return receive_reply(fd, call, unique, error);
}

/* ------------------------------------------------------------ channels */

/* Waits for a free channel: its fd, or -EIO when all of them broke. *grow: others wait too. */
static int channel_take(struct gofer_client *c, bool *grow)
{
	int fd = -EIO;

	mutex_lock(&c->lock);
	c->waiting++;
	while (!c->nidle && c->total)
		pthread_cond_wait(&c->freed, &c->lock.m);
	c->waiting--;
	if (c->nidle)
		fd = c->idle[--c->nidle];
	*grow = c->waiting && !c->no_more && c->total < CLIENT_CHANNELS_MAX;
	mutex_unlock(&c->lock);
	return fd;
}

static void channel_give(struct gofer_client *c, int fd)
{
	mutex_lock(&c->lock);
	c->idle[c->nidle++] = fd;
	if (c->waiting)
		pthread_cond_signal(&c->freed);
	mutex_unlock(&c->lock);
}

static void channel_broken(struct gofer_client *c, int fd)
{
	host_close(fd);
	mutex_lock(&c->lock);
	c->total--;
	if (!c->total) {
		log_error("the gofer hung up");
		pthread_cond_broadcast(&c->freed);
	}
	mutex_unlock(&c->lock);
}

/* Asks on `fd`, which the caller holds, for a further channel. */
static void channel_more(struct gofer_client *c, int fd)
{
	struct gofer_call call = {.opcode = GOFER_CHANNEL, .fd = 0};
	int error = 0;

	mutex_lock(&c->lock);
	if (c->total == CLIENT_CHANNELS_MAX) {
		mutex_unlock(&c->lock);
		return;
	}
	c->total++; /* the place is ours */
	mutex_unlock(&c->lock);
	if (exchange(fd, &call, &error) == 0 && !error && call.fd >= 0) {
		channel_give(c, call.fd);
		return;
	}
	mutex_lock(&c->lock);
	c->total--;
	c->no_more = true;
	mutex_unlock(&c->lock);
}

/* ------------------------------------------------------------ forgetting */

/* Takes up to a packet full of nodes to forget off the queue. */
static size_t forgets_take(struct gofer_client *c, size_t at_least, struct fuse_forget_one *out)
{
	size_t n = 0;

	mutex_lock(&c->lock);
	if (c->nforgets >= at_least && c->nforgets) {
		n = min(c->nforgets, (size_t)FORGET_BATCH);
		c->nforgets -= n;
		memcpy(out, c->forgets + c->nforgets, n * sizeof(*out));
	}
	mutex_unlock(&c->lock);
	return n;
}

static void forgets_send(struct gofer_client *c, int fd, size_t at_least)
{
	struct fuse_forget_one some[FORGET_BATCH];
	size_t n;

	while ((n = forgets_take(c, at_least, some)) > 0) {
		struct fuse_batch_forget_in in = {.count = (uint32_t)n};
		struct gofer_call call = {
		    .opcode = FUSE_BATCH_FORGET,
		    .in = {{&in, sizeof(in)}, {some, n * sizeof(*some)}},
		    .nin = 2,
		};

		if (send_request(fd, &call, 0) < 0)
			return; /* the next call finds the channel broken */
	}
}

void client_forget(struct gofer_client *c, uint64_t node, uint64_t nlookup, bool now)
{
	int fd = -1;

	mutex_lock(&c->lock);
	if (c->nforgets == c->forgets_max) {
		c->forgets_max = max(2 * c->forgets_max, (size_t)FORGET_BATCH);
		c->forgets = xrealloc(c->forgets, c->forgets_max * sizeof(*c->forgets));
	}
	c->forgets[c->nforgets++] = (struct fuse_forget_one){node, nlookup};
	if ((now || c->nforgets >= FORGET_BATCH) && c->nidle)
		fd = c->idle[--c->nidle];
	mutex_unlock(&c->lock);
	if (fd >= 0) {
		forgets_send(c, fd, 1);
		channel_give(c, fd);
	}
}

/* ------------------------------------------------------------ calls */

int client_call(struct gofer_client *c, struct gofer_call *call)
{
	bool grow;
	int fd = channel_take(c, &grow), error = 0;

	if (fd < 0) {
		call->fd = -1;
		return -EIO;
	}
	if (grow)
		channel_more(c, fd);
	if (exchange(fd, call, &error) < 0) {
		if (call->fd >= 0)
			host_close(call->fd);
		call->fd = -1;
		channel_broken(c, fd);
		return -EIO;
	}
	forgets_send(c, fd, FORGET_BATCH);
	channel_give(c, fd);
	if (error || call->out_len < call->out_min) {
		if (call->fd >= 0)
			host_close(call->fd);
		call->fd = -1;
		return error ? error : -EIO;
	}
	return 0;
}

int client_init(struct gofer_client *c, int channel_fd)
{
	struct fuse_init_in in = {
	    .major = FUSE_KERNEL_VERSION,
	    .minor = FUSE_KERNEL_MINOR_VERSION,
	    .flags2 = GOFER_INIT_EXTENDED,
	};
	struct fuse_init_out out;
	struct gofer_call call = {
	    .opcode = FUSE_INIT,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &out,
	    .out_max = sizeof(out),
	    .out_min = sizeof(out),
	    .fd = -1,
	};
	int err;

	mutex_init(&c->lock, RANK_LEAF);
	pthread_cond_init(&c->freed, NULL);
	c->idle[0] = channel_fd;
	c->nidle = c->total = 1;
	err = client_call(c, &call);
	if (!err && (out.major != FUSE_KERNEL_VERSION || !(out.flags2 & GOFER_INIT_EXTENDED)))
		err = -EPROTO;
	if (err)
		client_fini(c);
	return err;
}

void client_fini(struct gofer_client *c)
{
	for (unsigned int i = 0; i < c->nidle; i++)
		host_close(c->idle[i]);
	free(c->forgets);
	pthread_cond_destroy(&c->freed);
	mutex_destroy(&c->lock);
}
