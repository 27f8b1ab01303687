/*
 * The dentry cache's own objects; only fs/ uses them. File systems see inodes.
 *
 * One lock (dcache_lock) guards every pointer between dentries, mounts' places
 * in the tree, and the LRU list. It is never held over a call into a file
 * system, so a walk may hold it over many components; see walk.c. A name's
 * being present or absent changes only under the directory's dir_lock as well.
 *
 * A dentry's count is the number of its users plus its children. At 0 it stays
 * hashed and waits on the LRU list, whose length is bounded, because each
 * positive dentry holds an inode and an inode may hold something remote.
 */
#ifndef GARRISON_SENTRY_FS_DENTRY_H
#define GARRISON_SENTRY_FS_DENTRY_H

#include <stdatomic.h>

#include "common/list.h"
#include "sentry/fs/inode.h"

#define NAME_MAX_LEN 255
#define DENTRY_SHORT_NAME 40

#define DENTRY_DELETED BIT(0)	 /* its name was removed while it was in use */
#define DENTRY_REFERENCED BIT(1) /* used since it came onto the LRU list */
#define DENTRY_KILLED BIT(3)	 /* out of the tree, about to be freed */
#define DENTRY_ANON BIT(2)	 /* stands alone: its name is the whole path */

struct dentry {
	atomic_uint count;     /* 0 -> 1 and 1 -> 0 happen under dcache_lock */
	struct superblock *sb; /* immutable; kept by the inode or an ancestor's */
	/* guarded by dcache_lock */
	struct dentry *parent;		       /* owned; itself for a root */
	struct inode *inode;		       /* owned; NULL: the name is known to be absent */
	struct dentry *hash_next, **hash_prev; /* hash_prev NULL: not hashed */
	struct list children, sibling, lru;
	uint32_t hash;
	uint32_t mounted; /* how many mounts lie on it, in all namespaces */
	uint8_t flags;
	uint8_t len;
	char *name; /* short_name or its own allocation */
	char short_name[DENTRY_SHORT_NAME];
};

extern struct mutex dcache_lock;
/* Grows, under dcache_lock, with each move of a directory to another parent and each change of the
 * tree of mounts: what can make ".." lead elsewhere. */
extern atomic_uint_fast64_t dcache_moves;

uint32_t dentry_hash_name(const char *name, size_t len);
/* The cached dentry of a name, borrowed: valid while dcache_lock is held. */
struct dentry *dentry_find_locked(struct dentry *parent, const char *name, size_t len);
/* From any state, under dcache_lock; elsewhere only from an owned reference. */
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* A root without a parent; inode borrowed. */
struct dentry *dentry_new_root(struct superblock *sb, struct inode *inode);
/* Looks a name up: in the cache (revalidated), else in the file system; *out is owned and may
 * be negative. Caller holds the directory's dir_lock. */
int dentry_lookup_locked(struct dentry *parent, const char *name, size_t len,
			 struct dentry **out) MUST_CHECK;
/* The same, taking dir_lock. */
int dentry_lookup(struct dentry *parent, const char *name, size_t len,
		  struct dentry **out) MUST_CHECK;
/* A nameless child (O_TMPFILE), shown as "#INO (deleted)"; owned. */
struct dentry *dentry_new_nameless(struct dentry *parent, struct inode *inode);

/* In no tree: for an inode without a name (anon_path); owned. */
struct dentry *dentry_new_anon(struct inode *inode, const char *name);

/* The directory's dir_lock is held for the following. */
void dentry_instantiate(struct dentry *d, struct inode *inode); /* a negative one; borrowed */
void dentry_delete(struct dentry *d);
void dentry_move(struct dentry *d, struct dentry *target);
void dentry_exchange(struct dentry *a, struct dentry *b);
/* Forgets a cached name so that the next walk looks it up again. */
void dentry_invalidate(struct dentry *d);

/* The name inside its superblock, from "/" on: bytes with the NUL, or -ENAMETOOLONG. */
ssize_t dentry_name(const struct dentry *d, char *buf, size_t size) MUST_CHECK;
bool dentry_is_ancestor(const struct dentry *a, const struct dentry *d); /* a == d counts */
bool dentry_is_ancestor_locked(const struct dentry *a, const struct dentry *d);
/* A mountpoint must be found by later walks even where names are not cached: hashes it and
 * its ancestors. Under dcache_lock. */
void dentry_pin_chain_locked(struct dentry *d);

/* How many unused dentries may stay; for tests and memory pressure. */
void dcache_set_limit(unsigned int limit);
void dcache_shrink(unsigned int keep);
unsigned int dcache_unused(void);
/* Forgets all unused dentries of a superblock, and its root: for its end. */
void dcache_drop_superblock(struct superblock *sb);

#endif
