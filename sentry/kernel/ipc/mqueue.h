/*
 * POSIX message queues (mq_overview(7)): files of a flat file system, one per IPC
 * namespace, which the mq_ calls use directly and which can also be mounted.
 */
#ifndef GARRISON_SENTRY_KERNEL_IPC_MQUEUE_H
#define GARRISON_SENTRY_KERNEL_IPC_MQUEUE_H

#include <signal.h>

#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/task.h"

#define MQ_PRIORITY_MAX 32768
#define MQ_DEFAULT_MESSAGES 10
#define MQ_DEFAULT_SIZE 8192

struct kmq_attr {
	int64_t flags, maxmsg, msgsize, curmsgs, reserved[4];
};
static_assert(sizeof(struct kmq_attr) == 64, "struct mq_attr");

struct mqueue_ns;
struct ipc_namespace;
struct mq_message;
struct socket;

struct mqueue_ns *mqueue_ns_new(void);
void mqueue_ns_free(struct mqueue_ns *ns);
/* The namespace's file system, with a reference, to mount it. */
int mqueue_mount(struct ipc_namespace *ns, struct superblock **out) MUST_CHECK;
/* Registers the type "mqueue" for mount(2). */
void mqueue_init(void);

/* mq_open(2), mq_unlink(2), without the slash. attr NULL: defaults. */
int mqueue_open(struct task *t, const char *name, int flags, uint32_t mode,
		const struct kmq_attr *attr, struct file **out) MUST_CHECK;
int mqueue_unlink(struct task *t, const char *name) MUST_CHECK;

/* --- queues (mqueue.c) ----------------------------------------------------------------- */

struct mqueue {
	struct inode inode;
	struct list node;      /* in mqueue_ns; owns a reference. mqueue_ns.lock */
	char *name;	       /* immutable; owned */
	uint64_t serial;       /* immutable: its directory cookie */
	struct account *payer; /* immutable: who is charged, and how many bytes */
	uint64_t charged;
	int64_t maxmsg, msgsize; /* immutable */
	struct waitq wq;

	struct mutex lock;    /* RANK_OBJECT; the rest */
	struct list messages; /* highest priority first */
	int64_t count;
	uint64_t bytes;
	int receivers; /* blocked in mq_timedreceive */
	/* mq_notify: one process; NULL: none */
	struct process *notify; /* owned */
	int notify_how, notify_signal;
	uint64_t notify_value;
	struct socket *notify_socket; /* owned file reference: SIGEV_THREAD */
	unsigned char notify_cookie[32];
};

/* The queue behind a descriptor's file, or NULL. */
struct mqueue *mqueue_of_file(struct file *f);
int mqueue_open_file(struct mqueue *q, const struct path *path, const struct cred *cred, int flags,
		     struct file **out) MUST_CHECK;
void mqueue_clear(struct mqueue *q);

/* -EAGAIN: full, or empty. */
int mqueue_send(struct task *t, struct mqueue *q, struct mq_message **m) MUST_CHECK;
int mqueue_receive(struct mqueue *q, struct mq_message **out) MUST_CHECK;
struct mq_message {
	struct list node;
	unsigned int priority;
	size_t len;
	unsigned char text[];
};
void mqueue_set_waiting(struct mqueue *q, bool waiting);

/* mq_notify(2): -EBUSY. `s` (file reference taken on success) for SIGEV_THREAD. */
int mqueue_notify(struct task *t, struct mqueue *q, const struct sigevent *ev, struct socket *s,
		  const unsigned char *cookie) MUST_CHECK;
void mqueue_unnotify(struct mqueue *q, struct process *p);

#endif
