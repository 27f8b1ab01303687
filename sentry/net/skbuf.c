/*
 * Messages in receive queues, and what they cost. As in Linux a message is
 * charged to its sender until it is read, and a sender may write while its
 * charge is below SO_SNDBUF; a poll says so only below a quarter of it, so that
 * a sender is not woken for every byte read.
 */
#include "sentry/net/socket.h"

#include <poll.h>

#include "common/host.h"
#include "sentry/core/account.h"

struct sock_buf *sock_buf_new(struct socket *from, size_t n)
{
	struct sock_buf *b = charged_malloc(sizeof(*b) + n);

	if (!b)
		return NULL;
	memset(b, 0, offsetof(struct sock_buf, addr.raw));
	list_init(&b->node);
	b->local.len = 0;
	b->len = n;
	b->charge = sizeof(*b) + n;
	if (from) {
		b->from = socket_get(from);
		atomic_fetch_add(&from->wmem, b->charge);
	}
	return b;
}

void sock_buf_free(struct sock_buf *b)
{
	struct socket *from = b->from;

	scm_fini(&b->scm);
	if (from) {
		atomic_fetch_sub(&from->wmem, b->charge);
		if (socket_writable(from))
			waitq_wake(&from->wq, POLLOUT | POLLWRNORM | POLLWRBAND);
		socket_put(from);
	}
	charged_free(b);
}

void sock_buf_free_all(struct list *queue)
{
	struct sock_buf *b, *tmp;

	list_for_each_safe (b, tmp, queue, node) {
		list_del(&b->node);
		sock_buf_free(b);
	}
}

bool socket_has_room(struct socket *s)
{
	return atomic_load(&s->wmem) < atomic_load(&s->sndbuf);
}

bool socket_writable(struct socket *s)
{
	return atomic_load(&s->wmem) * 4 <= atomic_load(&s->sndbuf);
}

void socket_queue_locked(struct socket *s, struct sock_buf *b)
{
	if (s->set.timestamp || s->set.timestamp_ns)
		b->time_ns = host_realtime_ns();
	list_add_tail(&s->rx, &b->node);
	s->rx_bytes += b->len - b->off;
	s->rx_count++;
	s->rx_files += b->scm.files != NULL;
}

void socket_unqueue_locked(struct socket *s, struct sock_buf *b)
{
	list_del(&b->node);
	s->rx_bytes -= b->len - b->off;
	s->rx_count--;
	s->rx_files -= b->scm.files != NULL;
}

void socket_take_all_locked(struct socket *s, struct list *to)
{
	list_splice_tail(to, &s->rx);
	s->rx_bytes = 0;
	s->rx_count = s->rx_files = 0;
}

void socket_wake_read(struct socket *s)
{
	waitq_wake(&s->wq, POLLIN | POLLRDNORM | POLLRDBAND);
}
