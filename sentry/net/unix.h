/* AF_UNIX (unix(7)). */
#ifndef GARRISON_SENTRY_NET_UNIX_H
#define GARRISON_SENTRY_NET_UNIX_H

#include "sentry/net/socket.h"

/* A bound name; immutable, shared by a listener and what it accepted. */
struct unix_name {
	struct refcount ref;
	uint32_t len; /* of the address, the family included */
	struct sockaddr_un un;
	char nul; /* a path may fill sun_path */
};

struct unix_socket {
	struct socket sock;
	/* guarded by sock.lock; once set it stays */
	struct unix_name *name; /* owned; NULL: unbound */
	struct path path;	/* owned: the inode whose `bound` we are */
	/* guarded by net.lock */
	struct list name_node; /* in net.abstract */
	struct list all_node;  /* in net.unix_all */
	/* datagrams: where our last send found no room (unix_dgram.c) */
	struct list blocked_node;
	struct socket *blocked_on; /* owned */
	struct list blocked;	   /* senders that wait for room here */
	atomic_bool blocked_any;
};

static inline struct unix_socket *unix_of(struct socket *s)
{
	return container_of(s, struct unix_socket, sock);
}

int unix_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		struct socket **out) MUST_CHECK;
/* socketpair(2): two connected sockets, file references owned. */
int unix_pair(struct net_namespace *net, int type, int protocol, const struct sock_caller *c,
	      struct socket *out[2]) MUST_CHECK;

/* --- shared by unix.c, unix_dgram.c, unix_names.c ------------------------------------------ */

void unix_name_put(struct unix_name *n);
/* The name as an address; an unbound socket has just the family. */
void unix_name_addr(struct unix_socket *u, struct sock_addr *out);
int unix_bind(struct socket *s, const struct sock_addr *addr, const struct sock_caller *c);
int unix_autobind(struct unix_socket *u);
/* The live socket of that address and type: a reference, or -ECONNREFUSED, -EPROTOTYPE, ... */
int unix_find(struct net_namespace *net, const struct sock_addr *addr, int type,
	      const struct sock_caller *c, struct socket **out) MUST_CHECK;
void unix_unbind(struct unix_socket *u);

struct unix_socket *unix_new(struct net_namespace *net, int type, const struct cred *cred);
void unix_free(struct socket *s);
int unix_name_op(struct socket *s, int which, struct sock_addr *out);
int unix_option(struct socket *s, struct sock_option *o);
/* Puts files in flight, and the sender's identity into the message if anybody asked for it. */
int unix_prepare_scm(struct socket *s, struct socket *to, struct sock_send *m);
extern const struct socket_ops unix_dgram_ops;

#endif
