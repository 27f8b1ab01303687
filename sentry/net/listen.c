/*
 * The queue of connections that a listening socket has not accepted yet. The
 * connecting side makes both ends and pushes the far one here; it owns a file
 * reference, so that closing the listener closes it like any descriptor.
 *
 * As in Linux there is room for backlog + 1.
 */
#include "sentry/net/socket.h"

#include <errno.h>
#include <poll.h>

int socket_accept_push(struct socket *listener, struct socket *conn, unsigned int extra)
{
	int r = 0;

	mutex_lock(&listener->lock);
	if (listener->state != SOCK_LISTENING || listener->shutdown & SHUTDOWN_RECV)
		r = -ECONNREFUSED;
	else if (listener->accept_count > listener->backlog + extra)
		r = -EAGAIN;
	else {
		conn->embryo = true;
		list_add_tail(&listener->accept_queue, &conn->accept_node);
		listener->accept_count++;
	}
	mutex_unlock(&listener->lock);
	if (!r)
		waitq_wake(&listener->wq, POLLIN | POLLRDNORM);
	return r;
}

int socket_accept_pop(struct socket *listener, struct socket **out)
{
	struct socket *conn;

	mutex_lock(&listener->lock);
	if (listener->state != SOCK_LISTENING || listener->shutdown & SHUTDOWN_RECV ||
	    list_empty(&listener->accept_queue)) {
		int r = listener->state != SOCK_LISTENING || listener->shutdown & SHUTDOWN_RECV
			    ? -EINVAL
			    : -EAGAIN;

		mutex_unlock(&listener->lock);
		return r;
	}
	conn = list_first(&listener->accept_queue, struct socket, accept_node);
	list_del(&conn->accept_node);
	conn->embryo = false;
	listener->accept_count--;
	mutex_unlock(&listener->lock);
	waitq_wake_all(&listener->room_wq, POLLOUT);
	*out = conn;
	return 0;
}

void socket_accept_unpop(struct socket *listener, struct socket *conn)
{
	bool back;

	mutex_lock(&listener->lock);
	back = listener->state == SOCK_LISTENING;
	if (back) {
		conn->embryo = true;
		list_add(&listener->accept_queue, &conn->accept_node);
		listener->accept_count++;
	}
	mutex_unlock(&listener->lock);
	if (back)
		waitq_wake(&listener->wq, POLLIN | POLLRDNORM);
	else
		file_put(&conn->file);
}

void socket_accept_drain(struct socket *listener)
{
	struct list queue;
	struct socket *conn;

	list_init(&queue);
	mutex_lock(&listener->lock);
	list_splice_tail(&queue, &listener->accept_queue);
	listener->accept_count = 0;
	mutex_unlock(&listener->lock);
	waitq_wake_all(&listener->room_wq, POLLOUT);
	while (!list_empty(&queue)) {
		conn = list_first(&queue, struct socket, accept_node);
		list_del(&conn->accept_node);
		file_put(&conn->file);
	}
}

long socket_accept_room(void *arg)
{
	struct socket *listener = arg;
	SCOPED_LOCK(&listener->lock);

	return listener->state == SOCK_LISTENING && listener->accept_count > listener->backlog
		   ? -EAGAIN
		   : 0;
}
