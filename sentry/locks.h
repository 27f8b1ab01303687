/*
 * Mutexes with ranks. A thread takes locks in rising rank only; debug builds
 * (without NDEBUG) assert it per thread. Two locks of one rank are taken only
 * through mutex_lock_pair, which orders them by address. This enum is the one
 * lock order of the sentry.
 */
#ifndef GARRISON_SENTRY_LOCKS_H
#define GARRISON_SENTRY_LOCKS_H

#include <pthread.h>

#include "common/base.h"

enum lock_rank {
	RANK_FILE_POS,	 /* file.pos_lock: taken before everything that a file op takes */
	RANK_MM,	 /* mm.lock; platform memory calls allowed; files are put under it */
	RANK_RENAME,	 /* superblock.rename_lock: one cross-directory rename at a time */
	RANK_MOUNT,	 /* mount_ns.lock */
	RANK_INODE_DIR,	 /* inode.dir_lock: contents of one directory; gofer calls allowed */
	RANK_INODE_DATA, /* inode.data_lock: size and data; gofer and host file calls allowed */
	RANK_EPOLL,	 /* epoll item trees */
	RANK_SCM,	 /* net: files in flight; taken before the queues they are in */
	RANK_OBJECT,	 /* a pipe, socket, eventfd, tty, ...: its own state */
	RANK_FILELOCK,	 /* the advisory locks of one file */
	RANK_TASKLIST,	 /* kernel: the process tree and pid tables */
	RANK_SIGHAND,	 /* kernel: signal handlers and pending signals */
	RANK_FDTABLE,	 /* fdtable.lock */
	RANK_DCACHE,	 /* the dentry tree's pointers; never held over a call out */
	RANK_FUTEX,	 /* a futex hash bucket */
	RANK_TIMER,	 /* the timer queue */
	RANK_WAITQ, /* waitq.lock; wake callbacks run under it. May nest: a watched file's queue
		     * wakes an epoll's queue (acyclic, see epoll) */
	RANK_LEAF,  /* small locks under which nothing else is taken */
	RANK_COUNT,
};

struct mutex {
	pthread_mutex_t m;
	enum lock_rank rank;
};

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_destroy(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
/* Locks both, in address order; a == b locks once. */
void mutex_lock_pair(struct mutex *a, struct mutex *b);
void mutex_unlock_pair(struct mutex *a, struct mutex *b);
/* Our own invariant: the calling thread holds the mutex (checked in debug builds). */
void mutex_assert_held(const struct mutex *m);

/*
 * A file system that lies on another (overlay) calls it while holding locks of its own, of the
 * same ranks. Between enter and leave the thread's held ranks are put aside: the lower file
 * system is a world of its own, whose locks always come after those of the upper one, and which
 * never calls up. Leave with what was taken inside released.
 */
struct lock_layer {
	unsigned char held[RANK_COUNT];
};
void lock_layer_enter(struct lock_layer *saved);
void lock_layer_leave(const struct lock_layer *saved);

/* A static mutex. Adaptive: most are held for less than a sleep and a wake-up take. */
#define MUTEX_INIT(r)                                                                              \
	{                                                                                          \
		.m = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, .rank = (r)                            \
	}

static inline void mutex_cleanup(struct mutex **m)
{
	mutex_unlock(*m);
}
static inline struct mutex *mutex_locked(struct mutex *m)
{
	mutex_lock(m);
	return m;
}
/* Holds the mutex until the end of the enclosing block. */
#define SCOPED_LOCK(mutexp)                                                                        \
	__attribute__((cleanup(mutex_cleanup), unused)) struct mutex *LOCK_NAME(__LINE__) =        \
	    mutex_locked(mutexp)
#define LOCK_NAME(line) LOCK_NAME_(line)
#define LOCK_NAME_(line) scoped_lock_##line

#endif
