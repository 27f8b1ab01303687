/*
 * System V IPC and POSIX message queues: one ipc_namespace per container. The
 * objects of a kind are in an ipc_ids table: by number, and searched by key.
 */
#ifndef GARRISON_SENTRY_KERNEL_IPC_IPC_H
#define GARRISON_SENTRY_KERNEL_IPC_IPC_H

#include "sentry/abi/sysv.h"
#include "sentry/kernel/task.h"

/* The common part of an object; embedded. Guarded by its table's lock. */
struct ipc_object {
	struct refcount ref;
	bool dead; /* removed from the table */
	int id, key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq;
	struct cred *creator; /* owned */
	void (*free)(struct ipc_object *o);
};

struct ipc_ids {
	struct user_ns *owner; /* immutable; the namespace's: whose capabilities count */
	struct mutex lock;     /* RANK_OBJECT; also guards the objects themselves */
	struct ipc_object **slot;
	int size, in_use, limit;
	uint16_t seq; /* of the next object */
};

struct mqueue_ns;

struct ipc_namespace {
	struct ns_common ns;	/* counts who uses it; with the last one its objects are removed */
	struct refcount memory; /* one for all users, and one for each segment still mapped */
	struct ipc_ids shm, sem, msg;
	uint64_t shm_pages;   /* shm.lock */
	uint64_t sems;	      /* sem.lock: in all sets */
	atomic_int sem_undos; /* undo lists anywhere: exits look only if there are some */
	struct mqueue_ns *mq;
};

struct ipc_namespace *ipc_namespace_new(void); /* the first one of a container */
void ipc_namespace_put_memory(struct ipc_namespace *ns);
int ipc_namespace_unshare(struct user_ns *owner, struct ipc_namespace **out) MUST_CHECK;

/* --- tables (ids.c); all under ids->lock ------------------------------------------------- */

void ipc_ids_init(struct ipc_ids *ids, struct user_ns *owner, int limit);
void ipc_ids_fini(struct ipc_ids *ids);
/* Gives the object a number and takes over its reference. -ENOSPC. */
int ipc_add(struct ipc_ids *ids, struct ipc_object *o, int key, uint32_t mode,
	    struct task *t) MUST_CHECK;
void ipc_remove(struct ipc_ids *ids, struct ipc_object *o);
/* Borrowed. By id: -EINVAL if there is none; -EIDRM cannot be told from it here. */
int ipc_find(struct ipc_ids *ids, int id, struct ipc_object **out) MUST_CHECK;
struct ipc_object *ipc_find_key(struct ipc_ids *ids, int key);
/* By position, for *_STAT. */
int ipc_find_index(struct ipc_ids *ids, int index, struct ipc_object **out) MUST_CHECK;
int ipc_highest_index(const struct ipc_ids *ids);
struct ipc_object *ipc_object_get(struct ipc_object *o);
void ipc_object_put(struct ipc_object *o);

/* Access by mode bits: flag as given to *get, or 0400, 0200. -EACCES. */
int ipc_permission(const struct ipc_ids *ids, const struct ipc_object *o, const struct cred *c,
		   int flag) MUST_CHECK;
/* IPC_SET and IPC_RMID: owner, creator or CAP_SYS_ADMIN. -EPERM. */
int ipc_owner(const struct ipc_ids *ids, const struct ipc_object *o,
	      const struct cred *c) MUST_CHECK;
/* Identities as the caller's user namespace knows them. */
void ipc_perm_out(const struct ipc_object *o, const struct cred *c, struct kipc_perm *out);
/* IPC_SET's part of struct ipc_perm. -EINVAL: identities that the caller's namespace lacks. */
int ipc_perm_set(struct ipc_object *o, const struct cred *c, const struct kipc_perm *in) MUST_CHECK;

/* What shmget, semget and msgget have in common. */
struct ipc_get {
	struct ipc_ids *ids;
	int key, flags;
	/* Makes a new object (ref 1), not under the lock: *out. */
	int (*create)(struct task *t, struct ipc_get *g, struct ipc_object **out);
	/* Does an existing one fit? 0 or -EINVAL. Under the lock. */
	int (*check)(struct ipc_get *g, struct ipc_object *o);
	/* It is in the table now; may be NULL. -ENOSPC, ... takes it out again. */
	int (*added)(struct task *t, struct ipc_get *g, struct ipc_object *o);
	uint64_t size; /* shm: bytes, sem: semaphores */
};
long ipc_get_id(struct task *t, struct ipc_get *g);

/* What the *_STAT commands of the three kinds have in common. */
struct ipc_stat {
	struct ipc_ids *ids;
	bool index; /* the number is a position in the table, and the id is the result */
	bool any;   /* whoever asks may know */
	void (*fill)(struct ipc_object *o, const struct cred *c, void *ds); /* under the lock */
	void *ds;
};
/* 0 or the object's id; -EINVAL, -EACCES. shmctl(2), semctl(2), msgctl(2). */
long ipc_stat(const struct cred *c, int id, const struct ipc_stat *s) MUST_CHECK;

int64_t ipc_now(void); /* seconds */

/* --- the three kinds ------------------------------------------------------------------------ */

/* Removes every segment: the namespace ends. */
void shm_remove_all(struct ipc_namespace *ns);
long shm_get(struct task *t, int key, uint64_t size, int flags);
long shm_attach(struct task *t, int id, uaddr addr, int flags);
long shm_detach(struct task *t, uaddr addr);
long shm_control(struct task *t, int id, int cmd, uaddr buf);

long sem_get(struct task *t, int key, int n, int flags);
long sem_operate(struct task *t, int id, const struct ksembuf *ops, unsigned int n,
		 uint64_t deadline);
long sem_control(struct task *t, int id, int num, int cmd, uint64_t arg);

long msg_get(struct task *t, int key, int flags);
/* The text is copied in and out by the caller, which owns the buffer. */
long msg_send(struct task *t, int id, long type, const void *text, size_t n, int flags);
long msg_receive(struct task *t, int id, void *text, size_t room, long *type, int flags);
long msg_control(struct task *t, int id, int cmd, uaddr buf);

#define MSG_TEXT_MAX 8192 /* kernel.msgmax */
#define SEM_OPS_MAX 500
#define SEM_HIGHEST 32767

/* The last thread of a process ends: its semaphore adjustments are applied. */
void sysv_task_exit(struct task *t);
/* The same before the process goes to another namespace. */
void sysv_process_leaves(struct task *t);

/* /proc/sysvipc/{shm,sem,msg} */
struct text;
void ipc_proc_show_shm(struct ipc_namespace *ns, struct text *t);
void ipc_proc_show_sem(struct ipc_namespace *ns, struct text *t);
void ipc_proc_show_msg(struct ipc_namespace *ns, struct text *t);

#endif
