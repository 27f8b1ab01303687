/*
 * Shared by the files of tmpfs/.
 *
 * Locks: tmpfs_sb.tree guards every directory's entries (so that rmdir can test
 * and forbid at once); an inode's data_lock guards a file's data, its xattrs
 * and its place (heap or memfd). Counters are atomic.
 *
 * A file of at most SMALL_MAX bytes lies on the heap; a larger one, or one that
 * is mapped, in a memfd, for good. Reading a memfd takes no lock.
 */
#ifndef GARRISON_SENTRY_FS_TMPFS_INTERNAL_H
#define GARRISON_SENTRY_FS_TMPFS_INTERNAL_H

#include <stdatomic.h>

#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/tmpfs/tmpfs.h"

#define SMALL_MAX 4096
#define PAGE 4096ULL

struct tmpfs_sb {
	struct superblock sb;
	struct mutex tree; /* RANK_OBJECT */
	atomic_uint_fast64_t used_pages, used_inodes;
	atomic_uint_fast64_t max_pages, max_inodes; /* 0: no limit; a remount may change them */
	uint32_t mode, uid, gid;		    /* of the root, for /proc/mounts */
	const struct user_ns *mounter; /* while it is mounted: what uid= and gid= are numbers of */
	bool size_given, inodes_given, mode_given, uid_given, gid_given;
};

struct tmpfs_node;

struct tmpfs_entry {
	struct tmpfs_entry *hash_next;
	struct tmpfs_node *node; /* owned */
	size_t slot;
	uint32_t hash;
	uint8_t len;
	char name[];
};

/* Entries by name (hash) and by cookie (slots, rising; NULL where one was removed). */
struct tmpfs_dir {
	struct tmpfs_entry **buckets;
	struct tmpfs_slot {
		uint64_t cookie;
		struct tmpfs_entry *entry;
	} * slots;
	size_t nbuckets, nslots, slots_size, live;
	uint64_t next_cookie;
};

struct tmpfs_data {
	char *small; /* while fd is -1; small_size bytes, those behind the file's size are 0 */
	size_t small_size;
	atomic_int fd;
	uint64_t pages; /* charged to the superblock */
	bool sparse;	/* has holes: `pages` comes from the memfd's st_blocks */
};

struct tmpfs_xattr {
	struct list node;
	const char *name; /* behind the value */
	size_t size;
	char value[];
};

struct tmpfs_node {
	struct inode inode;
	union {
		struct tmpfs_dir dir;
		struct tmpfs_data data;
		char *target;
	};
	struct list xattrs;  /* data_lock */
	size_t xattr_bytes;  /* data_lock */
	struct list pending; /* while its directory is being freed */
};

static inline struct tmpfs_sb *tmpfs_sb_of(const struct inode *inode)
{
	return container_of(inode->sb, struct tmpfs_sb, sb);
}
static inline struct tmpfs_node *tmpfs_node_of(struct inode *inode)
{
	return container_of(inode, struct tmpfs_node, inode);
}

/* tmpfs.c */
void tmpfs_inode_release(struct inode *inode);
int tmpfs_node_new(struct tmpfs_sb *sb, const struct new_inode *new,
		   struct tmpfs_node **out) MUST_CHECK;

/* tmpfs_dir.c: the caller holds tree, except for free. */
void tmpfs_dir_init(struct tmpfs_dir *dir);
struct tmpfs_entry *tmpfs_dir_find(struct tmpfs_dir *dir, const char *name, size_t len);
int tmpfs_dir_add(struct tmpfs_dir *dir, const char *name, size_t len,
		  struct tmpfs_node *node) MUST_CHECK;
/* Takes the entry out and frees it; the node's reference goes to the caller. */
struct tmpfs_node *tmpfs_dir_remove(struct tmpfs_dir *dir, struct tmpfs_entry *e);
void tmpfs_dir_free(struct tmpfs_dir *dir);
extern const struct file_ops tmpfs_dir_ops;
extern const struct inode_ops tmpfs_dir_inode_ops;

/* tmpfs_file.c */
/* Charges as many of n pages as the limit allows; the number. */
uint64_t tmpfs_charge(struct tmpfs_sb *sb, uint64_t n);
void tmpfs_uncharge(struct tmpfs_sb *sb, uint64_t n);
extern const struct file_ops tmpfs_file_ops;
int tmpfs_setattr(struct inode *inode, const struct iattr *attr);
int tmpfs_getattr(struct inode *inode, struct kstat *st);
void tmpfs_data_free(struct tmpfs_node *node);

/* tmpfs_xattr.c */
extern const struct xattr_ops tmpfs_xattr_ops;
void tmpfs_xattr_free(struct tmpfs_node *node);

#endif
