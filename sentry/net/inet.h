/*
 * AF_INET and AF_INET6, over loopback only: TCP and UDP sockets of one network
 * namespace talk to each other on 127.0.0.0/8 and ::1; any other address is
 * unreachable. What is here is sockets, not a network: bytes go from one socket's
 * send into the other's receive queue.
 */
#ifndef GARRISON_SENTRY_NET_INET_H
#define GARRISON_SENTRY_NET_INET_H

#include "sentry/net/socket.h"

/* An IPv4 address is kept as ::ffff:a.b.c.d, also the wildcard. */
struct inet_addr {
	struct in6_addr ip;
	uint16_t port; /* host order */
};

enum inet_protocol { INET_TCP, INET_UDP, INET_UDPLITE };

#define INET_OPTIONS 72 /* room for the values of the option table (inet_opt.c) */

struct inet_socket {
	struct socket sock;
	enum inet_protocol protocol; /* immutable */
	/* guarded by net.lock */
	struct list port_node, all_node;
	bool bound;		 /* has a port */
	struct inet_addr local;	 /* set once bound; a connect may fill in the address */
	struct inet_addr remote; /* port 0: none */
	/* TCP; guarded by sock.lock */
	bool connect_unreported; /* connected without blocking: the next connect(2) says so */
	bool connect_failed;
	bool explicit_port; /* bind(2) chose it */
	bool has_oob;	    /* an urgent byte waits */
	unsigned char oob;
	long oob_mark; /* bytes to read before the mark; -1: no mark */
	int option[INET_OPTIONS];
};

static inline struct inet_socket *inet_of(struct socket *s)
{
	return container_of(s, struct inet_socket, sock);
}

int inet_create(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		struct socket **out) MUST_CHECK;
int inet_create6(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		 struct socket **out) MUST_CHECK;

/* --- addresses (inet_addr.c) ----------------------------------------------------------- */

/* What a guest gave, for a socket of this family: -EINVAL, -EAFNOSUPPORT, -ENETUNREACH. */
int inet_addr_parse(const struct inet_socket *s, const struct sock_addr *from,
		    struct inet_addr *out) MUST_CHECK;
void inet_addr_format(int domain, const struct inet_addr *addr, struct sock_addr *out);
bool inet_is_v4(const struct inet_addr *a);
bool inet_is_any(const struct inet_addr *a);
bool inet_is_loopback(const struct inet_addr *a);
bool inet_is_multicast(const struct inet_addr *a);
bool inet_ip_equal(const struct inet_addr *a, const struct inet_addr *b);
void inet_addr_any(int domain, struct inet_addr *out);
/* The wildcard as a destination means loopback; then it must be loopback: -ENETUNREACH. */
int inet_destination(struct inet_addr *a) MUST_CHECK;
/* The source address for a destination. */
void inet_source(const struct inet_addr *to, struct inet_addr *out);

/* --- ports (inet_ports.c) ----------------------------------------------------------------- */

/* bind(2). */
int inet_bind(struct socket *s, const struct sock_addr *addr, const struct sock_caller *c);
/* Gives an unbound socket a free port. */
int inet_autobind(struct inet_socket *s) MUST_CHECK;
/* A listener needs its port for itself: -EADDRINUSE. */
int inet_listen_check(struct inet_socket *s) MUST_CHECK;
/* An accepted connection shares its listener's port. */
void inet_share_port(struct inet_socket *s);
/* The socket that `to` means: a listener for TCP; for UDP the best match for packets that
 * come from `from`. A reference, or NULL. */
struct socket *inet_lookup(struct net_namespace *net, enum inet_protocol protocol,
			   const struct inet_addr *to, const struct inet_addr *from);
void inet_unbind(struct inet_socket *s);
int inet_name(struct socket *s, int which, struct sock_addr *out);
/* connect(2) with AF_UNSPEC: no remote, and no port unless bind(2) chose it. */
void inet_forget_remote(struct inet_socket *s);
void inet_set_addrs(struct inet_socket *s, const struct inet_addr *local,
		    const struct inet_addr *remote);

/* --- options (inet_opt.c) ----------------------------------------------------------------- */

int inet_option(struct socket *s, struct sock_option *o);
void inet_option_defaults(struct inet_socket *s);
/* The value of an option in the table; 0 if it is not there. */
int inet_option_value(const struct inet_socket *s, int level, int name);

struct inet_socket *inet_new(struct net_namespace *net, int domain, enum inet_protocol protocol,
			     const struct cred *cred);
void inet_free(struct socket *s);
long inet_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct guest_access *ga);
/* As in /proc/net/tcp and TCP_INFO: TCP_ESTABLISHED, ... */
int inet_tcp_state(struct inet_socket *s);
extern const struct socket_ops inet_tcp_ops, inet_udp_ops;

#endif
