/*
 * Sockets: one open file each, with an ops table per protocol. The base holds
 * what all protocols need (receive queue, accept queue, peer, buffer accounting,
 * SOL_SOCKET options); unix.h, inet.h, netlink.h embed it.
 *
 * Life: `file.ref` counts descriptors and uses; `ref` counts those who may
 * still look at the socket (its peer, messages it has sent, name tables). When
 * the last file reference goes, ops->release disconnects it; the memory goes
 * with `ref`.
 *
 * Operations never block (-EAGAIN); sys/ waits on socket.wq. They work on sentry
 * memory. Two sockets' locks are taken only by mutex_lock_pair.
 */
#ifndef GARRISON_SENTRY_NET_SOCKET_H
#define GARRISON_SENTRY_NET_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sentry/fs/file.h"
#include "sentry/fs/path.h"
#include "sentry/net/netns.h"
#include "sentry/net/scm.h"

/* An address as it came from or goes to a guest. len 0: none. */
struct sock_addr {
	uint32_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		unsigned char raw[128];
	};
};

/* Who calls: identity and, for names in the file system, where to look. All borrowed. */
struct sock_caller {
	const struct walk_env *env;
	const struct cred *cred;
	uint32_t umask;
	int pid;     /* the process, by the container's number */
	int own_pid; /* and by its own pid namespace's */
	uint64_t nofile;
};

struct sock_send {
	const void *buf;
	size_t len;
	int flags;
	const struct sock_addr *to;	  /* NULL: the connected peer */
	struct scm *scm;		  /* NULL: none; what is sent is moved out of it */
	const struct sock_caller *caller; /* NULL: from write(2) */
};

struct sock_recv {
	void *buf;
	size_t len;
	int flags;
	/* out */
	int msg_flags;
	struct sock_addr from;
	struct sock_addr local; /* where a datagram was sent to */
	struct scm *scm;	/* NULL: ancillary data not wanted */
	uint64_t time_ns;	/* of arrival; 0: not known */
	/* further control messages of the protocol (IP_PKTINFO, ...) */
	struct sock_control {
		int level, type;
		uint32_t len;
		unsigned char data[28];
	} control[4];
	unsigned int ncontrol;
};

/* One [gs]etsockopt. get: value has room for len bytes, and len becomes the result's size. */
struct sock_option {
	bool set;
	int level, name;
	void *value;
	uint32_t len;
	const struct sock_caller *caller;
};

struct sock_connect {
	struct sock_addr addr;
	const struct sock_caller *caller;
	bool nonblock;
	/* out: with -EAGAIN, who has no room: wait on its room_wq and try again. Owned. */
	struct socket *blocker;
};

struct socket_ops {
	int (*bind)(struct socket *s, const struct sock_addr *addr, const struct sock_caller *c);
	int (*listen)(struct socket *s, int backlog, const struct sock_caller *c);
	int (*connect)(struct socket *s, struct sock_connect *c);
	/* A connected socket (file reference owned by the caller). */
	int (*accept)(struct socket *s, struct socket **out);
	/* NAME_ACCEPTED: the peer's, also when the connection has ended already. */
	int (*name)(struct socket *s, int which, struct sock_addr *out);
	ssize_t (*send)(struct socket *s, struct sock_send *m);
	ssize_t (*recv)(struct socket *s, struct sock_recv *m);
	int (*shutdown)(struct socket *s, int how); /* SHUTDOWN_* bits */
	uint32_t (*poll)(struct socket *s);
	/* After SOL_SOCKET's own. NULL: -EOPNOTSUPP. */
	int (*option)(struct socket *s, struct sock_option *o);
	/* NULL: -ENOTTY */
	long (*ioctl)(struct socket *s, unsigned int cmd, uint64_t arg, struct guest_access *ga);
	/* The last file reference went: disconnect. */
	void (*release)(struct socket *s);
	/* The last reference went: undo what the embedding object holds, and free it. */
	void (*free)(struct socket *s);
};

enum { NAME_OWN, NAME_PEER, NAME_ACCEPTED };

enum socket_state { SOCK_NEW, SOCK_CONNECTING, SOCK_CONNECTED, SOCK_LISTENING, SOCK_CLOSED };

#define SHUTDOWN_RECV 1
#define SHUTDOWN_SEND 2
#define SHUTDOWN_BOTH 3

/* What SOL_SOCKET sets and reads back. Guarded by socket.lock; flags may be read without. */
struct sock_settings {
	bool reuse_addr, reuse_port, keepalive, broadcast, oob_inline, dont_route, passcred,
	    passpidfd, passsec, timestamp, timestamp_ns, zerocopy, no_check, debug, linger_on,
	    rxq_ovfl, busy_poll, rcvbuf_set, sndbuf_set;
	int linger, priority, mark, rcvlowat, peek_off, incoming_cpu, txtime;
	char device[16];
};

struct sock_identity {
	int pid;
	uint32_t uid, gid;
	struct cred *cred; /* owned; NULL: none */
};

struct socket {
	struct file file;
	struct refcount ref;
	const struct socket_ops *ops; /* immutable, as the next four */
	int domain, type, protocol;
	struct net_namespace *net; /* owned */
	struct waitq wq;
	struct waitq room_wq; /* connectors that wait for room in the accept queue */

	struct mutex lock; /* RANK_OBJECT */
	/* changed under lock, read without */
	atomic_int state;    /* enum socket_state */
	atomic_int shutdown; /* SHUTDOWN_* */
	atomic_int err;	     /* SO_ERROR; taken by whoever reports it */
	atomic_bool dead;    /* released */
	atomic_bool reset;   /* TCP: a RST has ended the connection */
	/* guarded by lock */
	struct list rx; /* struct sock_buf.node */
	size_t rx_bytes;
	unsigned int rx_count, rx_files; /* messages, and those of them with files */
	struct list accept_queue;	 /* struct socket.accept_node; each owns a file reference */
	struct list accept_node;
	bool embryo; /* pushed, not accepted yet */
	unsigned int accept_count, backlog;
	struct socket *peer; /* owned; set once for streams */
	struct sock_identity self_id, peer_id;
	struct sock_settings set;
	struct { /* files in flight (scm.c); guarded by its lock */
		struct list node, work;
		size_t count; /* messages' references on the file */
		long outer;   /* of these, not from candidates' queues */
		bool candidate;
	} fly;
	/* memory that its unread messages take, and the limits */
	atomic_size_t wmem;
	atomic_size_t sndbuf, rcvbuf;
};

/* One message or piece of a stream. */
struct sock_buf {
	struct list node;
	struct socket *from; /* owned: whose wmem is charged; NULL: nobody */
	size_t charge;
	size_t len, off; /* off: consumed by stream reads */
	struct scm scm;
	uint64_t time_ns; /* CLOCK_REALTIME of arrival */
	struct sock_addr addr, local;
	unsigned char data[];
};

static inline struct socket *socket_of(struct file *f)
{
	return container_of(f, struct socket, file);
}
/* The socket behind a file, or NULL for other kinds. */
struct socket *socket_from_file(struct file *f);

/* Initialises the base (state SOCK_NEW, file reference 1, ref 1). -ENOMEM. */
void socket_init(struct socket *s, const struct socket_ops *ops, struct net_namespace *net,
		 int domain, int type, int protocol, const struct cred *cred);
struct socket *socket_get(struct socket *s);
void socket_put(struct socket *s);
/* For ops->free: undoes socket_init. */
void socket_fini(struct socket *s);

/* socket(2): by domain. type without SOCK_NONBLOCK etc. */
struct socket_family {
	int domain;
	int (*create)(struct net_namespace *net, int type, int protocol, const struct cred *cred,
		      struct socket **out);
};
int socket_create(struct net_namespace *net, int domain, int type, int protocol,
		  const struct cred *cred, struct socket **out) MUST_CHECK;

/* SOL_SOCKET here, else ops->option. */
int socket_option(struct socket *s, struct sock_option *o) MUST_CHECK;
/* Who runs on this thread: for write(2), which brings no caller along. Set by sys/ at start. */
extern void (*socket_current_caller)(struct sock_caller *out);

/* Takes the pending error: 0 or a positive errno. */
int socket_take_error(struct socket *s);
void socket_set_error(struct socket *s, int err);
/* Fills an identity from a caller. */
void sock_identity_set(struct sock_identity *id, const struct sock_caller *c);
void sock_identity_copy(struct sock_identity *to, const struct sock_identity *from);
void sock_identity_clear(struct sock_identity *id);

/* For getsockopt results: an int, or bytes, cut to o->len. */
int sock_option_int(struct sock_option *o, int value);
int sock_option_bytes(struct sock_option *o, const void *value, size_t n);
/* For setsockopt: an int; -EINVAL if it is too short. */
int sock_option_get_int(const struct sock_option *o, int *value) MUST_CHECK;

/* --- buffers (skbuf.c) ---------------------------------------------------------------- */

/* A message with room for n bytes, charged to `from` (may be NULL), and to the payer. NULL: no
 * memory. */
struct sock_buf *sock_buf_new(struct socket *from, size_t n) MUST_CHECK;
/* Releases the charge (waking the sender if it may write again), files and memory. */
void sock_buf_free(struct sock_buf *b);
/* May more be sent: wmem is below sndbuf. */
bool socket_has_room(struct socket *s);
/* POLLOUT's condition: at most a quarter of the send buffer is in use. */
bool socket_writable(struct socket *s);
void socket_queue_locked(struct socket *s, struct sock_buf *b);
void socket_unqueue_locked(struct socket *s, struct sock_buf *b);
/* Moves the whole queue to the end of `to`. */
void socket_take_all_locked(struct socket *s, struct list *to);
/* Frees a queue of messages that was taken from a socket. */
void sock_buf_free_all(struct list *queue);
/* Wakes readers. */
void socket_wake_read(struct socket *s);

/* --- accept queue (listen.c) ------------------------------------------------------------ */

/* Appends a connected socket whose file reference it takes. -EAGAIN: full, by more than
 * `extra`; -ECONNREFUSED: not listening. */
int socket_accept_push(struct socket *listener, struct socket *conn, unsigned int extra) MUST_CHECK;
/* Takes the oldest: -EAGAIN, or -EINVAL if it does not listen (any more). */
int socket_accept_pop(struct socket *listener, struct socket **out) MUST_CHECK;
/* Puts it back, as it could not be given to the guest; takes the reference. */
void socket_accept_unpop(struct socket *listener, struct socket *conn);
/* Drops what was never accepted. */
void socket_accept_drain(struct socket *listener);
/* -EAGAIN while a connect would find no room; for wait_on(). */
long socket_accept_room(void *listener);

/* --- connected streams (stream.c), for AF_UNIX and TCP ------------------------------------- */

/* Ties two sockets, neither of which has a peer, together. */
void stream_pair(struct socket *a, struct socket *b);
ssize_t stream_send(struct socket *s, struct sock_send *m);
ssize_t stream_recv(struct socket *s, struct sock_recv *m);
/* The next message of a seqpacket socket. */
ssize_t packet_recv(struct socket *s, struct sock_recv *m);
/* The last file reference went. The peer gets peer_shutdown, and ECONNRESET if s had data that
 * nobody read. */
void stream_release(struct socket *s, int peer_shutdown);
/* Shuts down s, and the peer's side accordingly. */
int stream_shutdown(struct socket *s, int how, int peer_how);
uint32_t stream_poll(struct socket *s);
/* Unread bytes (FIONREAD), unsent bytes (SIOCOUTQ). */
long socket_queue_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct guest_access *ga);

#endif
