/*
 * Requests to the gofer. A channel (channel.c) carries one request at a time and
 * is waited on by the thread that sent it, so there is no reader thread and
 * nothing to match; as many requests run at once as there are channels. More are
 * asked for when callers had to wait for one. Nodes that are given back are
 * collected, and go in one message.
 */
#include <errno.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

#define FORGET_BATCH 128

/* ------------------------------------------------------------ channels */

/* Waits for a free channel, or NULL when all of them broke. *grow: others wait too. */
static struct gofer_channel *channel_take(struct gofer_client *c, bool *grow)
{
	struct gofer_channel *ch = NULL;

	mutex_lock(&c->lock);
	c->waiting++;
	while (!c->nidle && c->total)
		pthread_cond_wait(&c->freed, &c->lock.m);
	c->waiting--;
	if (c->nidle)
		ch = c->idle[--c->nidle];
	*grow = c->waiting && !c->no_more && c->total < CLIENT_CHANNELS_MAX;
	mutex_unlock(&c->lock);
	return ch;
}

static void channel_give(struct gofer_client *c, struct gofer_channel *ch)
{
	mutex_lock(&c->lock);
	c->idle[c->nidle++] = ch;
	if (c->waiting)
		pthread_cond_signal(&c->freed);
	mutex_unlock(&c->lock);
}

static void channel_broken(struct gofer_client *c, struct gofer_channel *ch)
{
	channel_free(ch);
	mutex_lock(&c->lock);
	c->total--;
	if (!c->total) {
		log_error("the gofer hung up");
		pthread_cond_broadcast(&c->freed);
	}
	mutex_unlock(&c->lock);
}

/* Asks on `ch`, which the caller holds, for a further channel. */
static void channel_more(struct gofer_client *c, struct gofer_channel *ch)
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
	if (channel_exchange(ch, &call, &error) == 0 && !error && call.fd >= 0) {
		channel_give(c, channel_new(call.fd));
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

static void forgets_send(struct gofer_client *c, struct gofer_channel *ch, size_t at_least)
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

		if (channel_post(ch, &call) < 0)
			return; /* the next call finds the channel broken */
	}
}

void client_forget(struct gofer_client *c, uint64_t node, uint64_t nlookup, bool now)
{
	struct gofer_channel *ch = NULL;

	mutex_lock(&c->lock);
	if (c->nforgets == c->forgets_max) {
		size_t room = max(2 * c->forgets_max, (size_t)FORGET_BATCH);
		struct fuse_forget_one *more = try_realloc(c->forgets, room * sizeof(*more));

		/* Without memory for it the gofer remembers the node for ever. */
		if (!more) {
			mutex_unlock(&c->lock);
			return;
		}
		c->forgets = more;
		c->forgets_max = room;
	}
	c->forgets[c->nforgets++] = (struct fuse_forget_one){node, nlookup};
	if ((now || c->nforgets >= FORGET_BATCH) && c->nidle)
		ch = c->idle[--c->nidle];
	mutex_unlock(&c->lock);
	if (ch) {
		forgets_send(c, ch, 1);
		channel_give(c, ch);
	}
}

/* ------------------------------------------------------------ calls */

int client_call(struct gofer_client *c, struct gofer_call *call)
{
	bool grow;
	struct gofer_channel *ch = channel_take(c, &grow);
	int error = 0;

	if (!ch) {
		call->fd = -1;
		return -EIO;
	}
	if (grow)
		channel_more(c, ch);
	if (channel_exchange(ch, call, &error) < 0) {
		if (call->fd >= 0)
			host_close(call->fd);
		call->fd = -1;
		channel_broken(c, ch);
		return -EIO;
	}
	forgets_send(c, ch, FORGET_BATCH);
	channel_give(c, ch);
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
	c->idle[0] = channel_new(channel_fd);
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
		channel_free(c->idle[i]);
	free(c->forgets);
	pthread_cond_destroy(&c->freed);
	mutex_destroy(&c->lock);
}
