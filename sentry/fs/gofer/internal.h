/* Shared by the files of the gofer file system only. */
#ifndef GARRISON_SENTRY_FS_GOFER_INTERNAL_H
#define GARRISON_SENTRY_FS_GOFER_INTERNAL_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "gofer/protocol.h"
#include "sentry/fs/file.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/inode.h"
#include "sentry/locks.h"

/* ------------------------------------------------------------ channel.c, client.c */

#define CLIENT_CHANNELS_MAX 16

struct gofer_channel;

struct gofer_client {
	struct mutex lock; /* RANK_LEAF */
	pthread_cond_t freed;
	/* guarded by lock */
	struct gofer_channel *idle[CLIENT_CHANNELS_MAX]; /* a stack of those nobody uses now */
	unsigned int nidle, total, waiting;
	bool no_more; /* the gofer gives no further channel */
	struct fuse_forget_one *forgets;
	size_t nforgets, forgets_max;
};

#define CALL_PARTS 4

struct gofer_call {
	uint32_t opcode;
	uint64_t node;
	uint32_t uid, gid;
	struct iovec in[CALL_PARTS]; /* the request behind its header */
	int nin;
	void *out; /* the reply behind its header */
	size_t out_max, out_len;
	size_t out_min; /* a shorter one is -EIO */
	int fd;		/* in: -1, or 0 to accept a file; out: the file, owned, or -1 */
};

struct gofer_channel *channel_new(int fd); /* takes the fd */
void channel_free(struct gofer_channel *ch);
/* Sends and waits: 0 and the gofer's answer in *error, or -EPIPE: the channel is of no more use. */
int channel_exchange(struct gofer_channel *ch, struct gofer_call *call, int *error) MUST_CHECK;
/* The same for requests without a reply. */
int channel_post(struct gofer_channel *ch, const struct gofer_call *call) MUST_CHECK;

int client_init(struct gofer_client *c, int channel_fd) MUST_CHECK; /* takes the fd */
void client_fini(struct gofer_client *c);
/* Sends and waits for the answer: 0 or the gofer's -errno; -EIO if it broke. */
int client_call(struct gofer_client *c, struct gofer_call *call) MUST_CHECK;
/* Gives a node back; `now`: do not wait for more of them. */
void client_forget(struct gofer_client *c, uint64_t node, uint64_t nlookup, bool now);

/* ------------------------------------------------------------ prefetch.c */

struct prefetch_entry;

/* Names learnt ahead of their lookup, each good for one. */
struct prefetch {
	struct mutex lock; /* RANK_LEAF */
	/* guarded by lock */
	struct prefetch_entry **buckets;
	struct list oldest;
	unsigned int count;
	uint64_t changes; /* name changes of this superblock */
	atomic_uint_fast64_t hits;
};

#define PREFETCH_MAX 2048

/* What is in `changes` before the request whose answer is to be kept. */
uint64_t prefetch_begin(struct prefetch *p);
/* Keeps a name unless names changed meanwhile; inode (NULL: absent) is taken. */
void prefetch_add(struct prefetch *p, uint64_t begun, uint64_t dir, const char *name, size_t len,
		  struct inode *inode);
/* 1: *inode (owned) or NULL; 0: not known. */
int prefetch_take(struct prefetch *p, uint64_t dir, const char *name, size_t len,
		  struct inode **inode, uint64_t *when);
/* Is the name known, and not from before a time (CLOCK_MONOTONIC ns)? */
bool prefetch_has(struct prefetch *p, uint64_t dir, const char *name, size_t len,
		  uint64_t not_before);
/* A name was made, removed or replaced. Under the directory's dir_lock, after the call. */
void prefetch_changed(struct prefetch *p, uint64_t dir, const char *name, size_t len);
void prefetch_init(struct prefetch *p);
void prefetch_drop_all(struct prefetch *p);

/* ------------------------------------------------------------ inode.c, names.c, ... */

#define INODE_BUCKETS_MIN 256
/* How long names and attributes of a shared export are believed. */
#define SHARED_FRESH_NS (2 * NSEC_PER_MSEC)

struct gofer_inode;

/* Hashes of all names that a directory may have; guarded by its dir_lock (known.c). */
struct known_names {
	bool complete; /* without it the rest means nothing */
	uint32_t n, max;
	uint32_t *hash;
};

struct gofer_sb {
	struct superblock sb;
	bool shared; /* immutable */
	struct gofer_client client;
	struct prefetch prefetch;

	atomic_uint_fast64_t xattr_probe; /* CLOCK_MONOTONIC ns of the last question for one */

	struct mutex table_lock; /* RANK_LEAF */
	/* guarded by table_lock: inodes by node number */
	struct gofer_inode **buckets;
	uint32_t nbuckets, ninodes;
};

struct gofer_inode {
	struct inode inode;
	uint64_t node; /* immutable */

	/* guarded by gofer_sb.table_lock */
	uint64_t nlookup;
	struct gofer_inode *hash_next;

	/* guarded by inode.data_lock */
	uint64_t blocks;
	uint32_t blksize;

	atomic_uint_fast64_t checked; /* CLOCK_MONOTONIC ns when the attributes were right */
	atomic_bool stale;	      /* the attributes are to be fetched again */
	atomic_bool no_xattrs;	      /* it is known to have none; exclusive exports */
	atomic_bool gone;	      /* removed, and the gofer does not know it any more */

	/* Host fds (hostfd.c), opened on demand and shared by all opens; they change under
	 * fd_lock, and not from open to -1 while opens > 0. fd_map: read-only, younger than
	 * fd_rw. */
	atomic_int fd_ro, fd_rw, fd_map;
	unsigned int opens;
	atomic_uint misses;	      /* names that were looked up in it one by one */
	atomic_uint_fast64_t changes; /* of names in it, by us */
	/* The whole directory as it was last read, if nothing changed; guarded by listing_lock
	 * (dir.c) */
	struct dir_batch *listing;
	struct list listing_age;

	struct known_names known;

	struct list idle; /* on the idle list while opens == 0 and an fd is open */
};

static inline struct gofer_sb *gofer_sb(const struct inode *inode)
{
	return container_of(inode->sb, struct gofer_sb, sb);
}
static inline struct gofer_inode *gofer_inode(const struct inode *inode)
{
	return container_of((struct inode *)inode, struct gofer_inode, inode);
}

extern const struct inode_ops gofer_inode_ops;
extern const struct xattr_ops gofer_xattr_ops;

/* The inode of an entry that the gofer gave (whose lookup count it takes over); owned. */
struct inode *gofer_iget(struct gofer_sb *gs, const struct gofer_entry_out *e);
void gofer_release(struct inode *inode);
/* Stores attributes; caller holds data_lock. */
void gofer_apply_locked(struct gofer_inode *gi, const struct fuse_attr *a);
void gofer_mark_stale(struct inode *inode);
int gofer_getattr(struct inode *inode, struct kstat *st);
int gofer_setattr(struct inode *inode, const struct iattr *attr);

int gofer_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
void gofer_walk_ahead(struct inode *dir, const char *rest);
int gofer_revalidate(struct inode *dir, const char *name, size_t len, struct inode *cached);
int gofer_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		 struct inode **out);
int gofer_link(struct inode *dir, const char *name, size_t len, struct inode *target);
int gofer_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim);
int gofer_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim);
int gofer_rename(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *new_dir,
		 const char *new_name, size_t new_len, struct inode *moved, struct inode *replaced,
		 unsigned int flags);
int gofer_tmpfile(struct inode *dir, const struct new_inode *new, struct inode **out);
ssize_t gofer_readlink(struct inode *inode, struct guest_access *caller, char *buf, size_t size);

int gofer_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
	       struct file **out);
int gofer_open_dir(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
		   struct file **out);

/* A name in dir changed: what was learnt of it ahead is void. Under dir_lock, after the call. */
void gofer_name_changed(struct inode *dir, const char *name, size_t len);
/* Reads the start of a directory in which many names are looked up, to have them ready. */
void gofer_scan_dir(struct inode *dir);
/* Drops the listing that is kept of a directory. */
void gofer_drop_listing(struct gofer_inode *gi);
/* True: the directory's kept listing says that there is no such name. */
bool gofer_listing_lacks(struct gofer_inode *gi, const char *name, size_t len);

/* ------------------------------------------------------------ known.c */

/* All under the directory's dir_lock. A directory that we have just made: has no names. */
void known_begin(struct gofer_inode *dir);
/* A name may be there from now on; before the call that makes it. */
void known_add(struct gofer_inode *dir, const char *name, size_t len);
/* True: there is no such name, for sure. */
bool known_lacks(const struct gofer_inode *dir, const char *name, size_t len);
void known_free(struct gofer_inode *dir);

/* ------------------------------------------------------------ hostfd.c */

/* Makes sure that an fd for the access mode is open and stays so until hostfd_put. */
int hostfd_get(struct gofer_inode *gi, bool write) MUST_CHECK;
void hostfd_put(struct gofer_inode *gi);
/* A read-only fd to hand to a stub, which could make more of a writable one. fd or -errno. */
int hostfd_read_only(struct gofer_inode *gi) MUST_CHECK;
/* A file just made by the gofer comes with its fd (taken). */
void hostfd_adopt(struct gofer_inode *gi, int fd);
/* Before one is made: -ENFILE if the payer has too many (core/account.h). */
int hostfd_admit(void) MUST_CHECK;
/* Has somebody the file open? */
bool hostfd_in_use(struct gofer_inode *gi);
/* The inode goes. */
void hostfd_close_all(struct gofer_inode *gi);
/* Closes the fds of a file that nobody has open (it was unlinked). */
void hostfd_drop_idle(struct gofer_inode *gi);
/* The writable fd if it is open, kept so until hostfd_put; else -1 and nothing to put. */
int hostfd_hold_written(struct gofer_inode *gi);
/* For those between hostfd_get and hostfd_put. The fd that sees every write: the writable one if there is one. -1: none. */
static inline int hostfd_current(const struct gofer_inode *gi)
{
	int fd = atomic_load_explicit(&((struct gofer_inode *)gi)->fd_rw, memory_order_acquire);

	return fd >= 0
		   ? fd
		   : atomic_load_explicit(&((struct gofer_inode *)gi)->fd_ro, memory_order_acquire);
}

#endif
