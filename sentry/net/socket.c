/*
 * The base of all sockets: creation, references, and the file operations over
 * the socket operations.
 */
#include "sentry/net/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/net/inet.h"
#include "sentry/net/netdev.h"
#include "sentry/net/netlink.h"
#include "sentry/net/unix.h"

#define DEFAULT_BUFFER 212992
#define AF_LIMIT 46 /* AF_MAX */
#define TYPE_LIMIT 11

void (*socket_current_caller)(struct sock_caller *out);

static ssize_t socket_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct socket *s = socket_of(f);
	struct sock_recv m = {.buf = buf, .len = n};

	return s->ops->recv(s, &m);
}

static ssize_t socket_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct socket *s = socket_of(f);
	struct sock_send m = {.buf = buf, .len = n};

	return s->ops->send(s, &m);
}

static uint32_t socket_poll(struct file *f)
{
	struct socket *s = socket_of(f);

	return s->ops->poll(s);
}

/* Who gets SIGIO, by the sockets' own request codes. */
static long owner_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct guest_access *ga)
{
	int owner, r;

	if (cmd == SIOCGPGRP || cmd == FIOGETOWN) {
		owner = atomic_load(&f->owner);
		return ga_copyout(ga, UADDR(arg), &owner, sizeof(owner));
	}
	r = ga_copyin(ga, &owner, UADDR(arg), sizeof(owner));
	if (!r)
		atomic_store(&f->owner, owner);
	return r;
}

static long socket_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct guest_access *ga)
{
	struct socket *s = socket_of(f);
	long r;

	switch (cmd) {
	case SIOCGPGRP:
	case FIOGETOWN:
	case SIOCSPGRP:
	case FIOSETOWN:
		return owner_ioctl(f, cmd, arg, ga);
	}
	r = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg, ga) : -ENOTTY;
	return r == -ENOTTY ? netdev_ioctl(s->net, cmd, arg, ga) : r;
}

static void socket_release(struct file *f)
{
	struct socket *s = socket_of(f);

	s->ops->release(s);
	if (s->domain == AF_UNIX)
		scm_collect();
	file_fini(f);
	socket_put(s);
}

static const struct file_ops socket_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .release = socket_release,
};

struct socket *socket_from_file(struct file *f)
{
	return f->ops == &socket_file_ops ? socket_of(f) : NULL;
}

void socket_init(struct socket *s, const struct socket_ops *ops, struct net_namespace *net,
		 int domain, int type, int protocol, const struct cred *cred)
{
	struct inode *inode = anon_inode_new("socket", S_IFSOCK);

	waitq_init(&s->wq);
	waitq_init(&s->room_wq);
	file_init(&s->file, &socket_file_ops, inode, NULL, cred, O_RDWR);
	inode_put(inode);
	s->file.wq = &s->wq;
	/* Netlink parses what is written, all others just copy it. */
	s->file.caps = (domain != AF_NETLINK ? FILE_RAW_WINDOW : 0) |
		       (type == SOCK_STREAM ? FILE_STREAM_CHUNKS : FILE_EMPTY_WRITE);
	ref_init(&s->ref);
	s->ops = ops;
	s->domain = domain;
	s->type = type;
	s->protocol = protocol;
	s->net = net_namespace_get(net);
	mutex_init(&s->lock, RANK_OBJECT);
	list_init(&s->rx);
	list_init(&s->accept_queue);
	list_init(&s->accept_node);
	list_init(&s->fly.node);
	list_init(&s->fly.work);
	atomic_store(&s->sndbuf, DEFAULT_BUFFER);
	atomic_store(&s->rcvbuf, DEFAULT_BUFFER);
	s->set.rcvlowat = 1;
	s->set.peek_off = -1;
	s->set.incoming_cpu = -1;
	s->self_id = s->peer_id = (struct sock_identity){0, UINT32_MAX, UINT32_MAX, NULL};
}

struct socket *socket_get(struct socket *s)
{
	ref_get(&s->ref);
	return s;
}

void socket_put(struct socket *s)
{
	if (ref_put(&s->ref))
		s->ops->free(s);
}

void socket_fini(struct socket *s)
{
	sock_identity_clear(&s->self_id);
	sock_identity_clear(&s->peer_id);
	net_namespace_put(s->net);
	mutex_destroy(&s->lock);
	waitq_destroy(&s->wq);
	waitq_destroy(&s->room_wq);
}

int socket_take_error(struct socket *s)
{
	return atomic_load(&s->err) ? atomic_exchange(&s->err, 0) : 0;
}

void socket_set_error(struct socket *s, int err)
{
	atomic_store(&s->err, err);
	waitq_wake_all(&s->wq, POLLIN | POLLOUT | POLLERR);
}

void sock_identity_clear(struct sock_identity *id)
{
	if (id->cred)
		cred_put(id->cred);
	id->cred = NULL;
}

void sock_identity_set(struct sock_identity *id, const struct sock_caller *c)
{
	sock_identity_clear(id);
	*id = (struct sock_identity){c->pid, c->cred->euid, c->cred->egid,
				     cred_get((struct cred *)c->cred)};
}

void sock_identity_copy(struct sock_identity *to, const struct sock_identity *from)
{
	struct cred *cred = from->cred ? cred_get(from->cred) : NULL;

	sock_identity_clear(to);
	*to = *from;
	to->cred = cred;
}

static int packet_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
			 struct socket **out)
{
	return cred_ns_capable(cred, cred->user_ns, CAP_NET_RAW) ? -EAFNOSUPPORT : -EPERM;
}

static const struct socket_family families[] = {
    {AF_UNIX, unix_create},	  {AF_INET, inet_create},     {AF_INET6, inet_create6},
    {AF_NETLINK, netlink_create}, {AF_PACKET, packet_create},
};

int socket_create(struct net_namespace *net, int domain, int type, int protocol,
		  const struct cred *cred, struct socket **out)
{
	if (domain < 0 || domain >= AF_LIMIT)
		return -EAFNOSUPPORT;
	if (type < 0 || type >= TYPE_LIMIT)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i].domain == domain)
			return families[i].create(net, type, protocol, cred, out);
	return -EAFNOSUPPORT;
}
