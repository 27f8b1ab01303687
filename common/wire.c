#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "common/host.h"
#include "common/mem.h"
#include "common/wire_format.h"

#define INLINE_MAX 65536u /* fits every default socket buffer */

static int text_to_memfd(const char *text, size_t len)
{
	int fd = host_memfd_create("wire", 0);
	int r;

	if (fd < 0)
		return fd;
	r = host_write_full(fd, text, len);
	if (r < 0) {
		host_close(fd);
		return r;
	}
	return fd;
}

static int send_packet(int sock, struct wire_header *h, const char *text, const int *fds, int nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * (WIRE_MAX_FDS + 1))];
	} control;
	struct iovec iov[2] = {{h, sizeof(*h)}, {(void *)text, h->in_mem ? 0 : h->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t r;

	if (nfds > 0) {
		struct cmsghdr *c = &control.align;
		size_t bytes = sizeof(int) * (size_t)nfds;

		memset(&control, 0, sizeof(control));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(c), fds, bytes);
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(bytes);
	}
	do
		r = host_sendmsg(sock, &msg, 0);
	while (r == -EINTR);
	return r < 0 ? (int)r : 0;
}

int wire_send(int sock, const char *text, size_t len, const int *fds, int nfds)
{
	struct wire_header h = {.magic = WIRE_MAGIC, .len = (uint32_t)len};
	int all[WIRE_MAX_FDS + 1];
	SCOPED_FD int mem = -1;

	if (len > WIRE_MAX_TEXT || nfds < 0 || nfds > WIRE_MAX_FDS)
		return -E2BIG;
	if (nfds > 0)
		memcpy(all, fds, sizeof(int) * (size_t)nfds);
	if (len > INLINE_MAX) {
		mem = text_to_memfd(text, len);
		if (mem < 0)
			return mem;
		all[nfds++] = mem;
		h.in_mem = 1;
	}
	return send_packet(sock, &h, text, all, nfds);
}

static void take_fds(struct wire_msg *msg, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (int i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof(fd));
			if (msg->nfds <= WIRE_MAX_FDS)
				msg->fds[msg->nfds++] = fd;
			else
				host_close(fd);
		}
	}
}

static int text_from_memfd(struct wire_msg *msg, size_t len)
{
	SCOPED_FD int mem = msg->nfds > 0 ? msg->fds[--msg->nfds] : -1;
	size_t done = 0;

	if (mem < 0 || len > WIRE_MAX_TEXT)
		return -EPROTO;
	msg->text = xmalloc(len + 1);
	while (done < len) {
		ssize_t r = host_pread(mem, msg->text + done, len - done, (off_t)done);

		if (r <= 0)
			return -EPROTO;
		done += (size_t)r;
	}
	return 0;
}

/* A packet of `got` bytes was received into h and `text`. */
static int decode(struct wire_msg *msg, const struct wire_header *h, const char *text, size_t got,
		  int flags)
{
	int r = 0;

	if (got < sizeof(*h) || h->magic != WIRE_MAGIC || (flags & (MSG_TRUNC | MSG_CTRUNC)))
		return -EPROTO;
	if (h->in_mem) {
		r = text_from_memfd(msg, h->len);
	} else {
		if (h->len != got - sizeof(*h))
			return -EPROTO;
		msg->text = xmalloc(h->len + 1ul);
		memcpy(msg->text, text, h->len);
	}
	if (r == 0) {
		msg->len = h->len;
		msg->text[msg->len] = '\0';
	}
	return r;
}

int wire_recv(int sock, struct wire_msg *msg)
{
	char control[CMSG_SPACE(sizeof(int) * (WIRE_MAX_FDS + 1))]
	    __attribute__((aligned(sizeof(size_t))));
	SCOPED_FREE char *text = xmalloc(INLINE_MAX);
	struct wire_header h;
	struct iovec iov[2] = {{&h, sizeof(h)}, {text, INLINE_MAX}};
	struct msghdr m = {.msg_iov = iov,
			   .msg_iovlen = 2,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t got;
	int r;

	memset(msg, 0, sizeof(*msg));
	do
		got = host_recvmsg(sock, &m, 0);
	while (got == -EINTR);
	if (got == 0 || got == -ECONNRESET)
		return -EPIPE;
	if (got < 0)
		return (int)got;
	take_fds(msg, &m);
	r = decode(msg, &h, text, (size_t)got, m.msg_flags);
	if (r < 0)
		wire_msg_free(msg);
	return r;
}

int wire_take_fd(struct wire_msg *msg, int64_t index)
{
	int fd = -1;

	if (index >= 0 && index < msg->nfds) {
		fd = msg->fds[index];
		msg->fds[index] = -1;
	}
	return fd;
}

void wire_msg_free(struct wire_msg *msg)
{
	for (int i = 0; i < msg->nfds; i++)
		if (msg->fds[i] >= 0)
			host_close(msg->fds[i]);
	free(msg->text);
	memset(msg, 0, sizeof(*msg));
}
