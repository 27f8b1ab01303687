/*
 * Shared by the files of the overlay file system only.
 *
 * Theory of operation. An overlay inode stands for a file that is in the lower
 * tree, in the upper tree, or, for directories, in both (merged). What is
 * changed is first copied up: an upper inode is made for it, with the same
 * attributes, below an upper copy of its directory. A name removed from a merged
 * directory leaves a whiteout in the upper one (character device 0:0).
 *
 * The overlay remembers in memory what Linux writes into extended attributes:
 * an inode that has an upper part, or lost one of its names, is kept (pinned)
 * while it has a name, so its number, its link count and its lower part stay what
 * they were. From that follow two things that Linux's overlay does not do by
 * default: hard links of a lower file stay one file when it is copied up, and
 * directories of the lower tree can be renamed. The price is memory for each
 * changed file, which an upper tree in memory needs anyway.
 *
 * An overlay that a guest mounts is different (overlay_sb.persistent): its upper
 * tree may have a past and has a future. There, directories that hide what lies
 * below carry Linux's attribute, those with a lower part are not renamed (EXDEV,
 * as with redirect_dir=off), and only what was copied up is pinned. Several lower
 * trees are overlays upon each other that nobody writes to. Guests may look at
 * the trees meanwhile: the directories that we change are marked (names_change).
 *
 * Locks. fs/ holds dir_lock and data_lock of overlay inodes around our ops.
 * overlay_sb.lock serialises everything that changes either the upper tree or an
 * inode's place in it; it comes after those. The two trees below are a world of
 * their own (lock_layer): their own dir_lock and data_lock are taken inside.
 * Copying a large file up happens under overlay_sb.lock.
 */
#ifndef GARRISON_SENTRY_FS_OVERLAY_INTERNAL_H
#define GARRISON_SENTRY_FS_OVERLAY_INTERNAL_H

#include <stdatomic.h>

#include "sentry/fs/dirent.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/locks.h"

/* Keeps the inode numbers of the trees apart: the bits from here on say whose it is. */
#define OVERLAY_INO_SHIFT 48

struct overlay_inode {
	struct inode inode;
	struct inode *lower;	     /* immutable; owned; NULL: none */
	struct inode *_Atomic upper; /* owned; set once, under overlay_sb.lock */

	/* guarded by overlay_sb.lock: a name of it, for the upper copy; NULL: the root, or no
	 * name known */
	struct overlay_inode *parent; /* owned */
	char *name;
	bool pinned; /* overlay_sb holds a reference */

	/* guarded by overlay_sb.table_lock */
	struct overlay_inode *next_lower, *next_upper;
	bool in_lower_table, in_upper_table;
};

struct overlay_sb {
	struct superblock sb;
	struct cred *cred; /* immutable: with which the trees are opened */
	/* immutable: the upper tree was there before and remains afterwards, so it has to hold
	 * everything that there is to know */
	bool persistent;
	unsigned int level;	     /* immutable: overlays below this one, plus 1 */
	char *options;		     /* immutable; owned; as mount(2) got them, or NULL */
	struct inode *upper_root;    /* immutable; owned */
	struct superblock *lower_sb; /* immutable; owned */
	struct mutex lock;	     /* RANK_OBJECT */

	struct mutex table_lock; /* RANK_LEAF */
	/* guarded by table_lock: live inodes by lower inode (address) and upper inode (number) */
	struct overlay_inode **by_lower, **by_upper;
	uint32_t nbuckets, count;
};

static inline struct overlay_inode *overlay_inode(const struct inode *inode)
{
	return container_of((struct inode *)inode, struct overlay_inode, inode);
}
static inline struct overlay_sb *overlay_sb(const struct inode *inode)
{
	return container_of(inode->sb, struct overlay_sb, sb);
}
static inline struct inode *upper_of(const struct overlay_inode *oi)
{
	return atomic_load_explicit(&((struct overlay_inode *)oi)->upper, memory_order_acquire);
}
/* Where the inode's data and attributes are now. */
static inline struct inode *real_of(const struct overlay_inode *oi)
{
	struct inode *upper = upper_of(oi);

	return upper ? upper : oi->lower;
}

/* ------------------------------------------------------------ real.c: calls on the trees */

/* Each takes the inner locks that inode.h asks for. Inside a lock_layer. */
int real_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
int real_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		struct inode **out);
int real_link(struct inode *dir, const char *name, size_t len, struct inode *target);
int real_remove(struct inode *dir, const char *name, size_t len, struct inode *victim);
int real_rename(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *new_dir,
		const char *new_name, size_t new_len, struct inode *moved, struct inode *replaced,
		unsigned int flags);
int real_stat(struct inode *inode, struct kstat *st);
int real_setattr(struct inode *inode, const struct iattr *attr);
int real_open(struct overlay_sb *ov, struct inode *inode, int flags, struct file **out);
/* An overlay's own notes, which are nobody else's business. */
bool is_private_xattr(const char *name);
/* Directories that hide what lies below: an extended attribute of a persistent upper tree. */
bool is_opaque(const struct overlay_sb *ov, struct inode *upper);
int set_opaque(const struct overlay_sb *ov, struct inode *upper) MUST_CHECK;
/* Copies extended attributes; what the upper tree cannot hold is left out. */
void real_copy_xattrs(struct inode *from, struct inode *to);
bool is_whiteout(const struct inode *inode);

/* Holds overlay_sb.lock and enters the layer of the trees. */
struct overlay_section {
	struct overlay_sb *ov;
	struct lock_layer layer;
	/* References to drop once the lock is released. */
	struct inode *drop[8];
	unsigned int ndrop;
};
void section_begin(struct overlay_section *s, struct overlay_sb *ov);
void section_end(struct overlay_section *s);
void section_drop(struct overlay_section *s, struct inode *inode);

/* ------------------------------------------------------------ inode.c */

extern const struct inode_ops overlay_inode_ops;
extern const struct xattr_ops overlay_xattr_ops;

/* The inode over these parts (both taken; one may be NULL), known as `name` in parent. Under
 * overlay_sb.lock. Owned. */
int overlay_iget(struct overlay_section *s, struct overlay_inode *parent, const char *name,
		 size_t len, struct inode *lower, struct inode *upper,
		 struct overlay_inode **out) MUST_CHECK;
/* Under overlay_sb.lock: the upper part came to be (taken). */
void overlay_set_upper(struct overlay_inode *oi, struct inode *upper);
void overlay_pin(struct overlay_inode *oi);
void overlay_unpin(struct overlay_section *s, struct overlay_inode *oi);
void overlay_set_place(struct overlay_section *s, struct overlay_inode *oi,
		       struct overlay_inode *parent, const char *name, size_t len);
/* The inode number of an upper inode as stat shows it. */
uint64_t overlay_upper_ino(struct overlay_sb *ov, uint64_t ino);
/* Is there an overlay inode for it (which then knows its lower part)? */
bool overlay_knows_upper(struct overlay_sb *ov, const struct inode *upper);
void overlay_unpin_all(struct overlay_sb *ov);
/* Takes size, times, ... over from the real inode; data_lock of oi held. */
int overlay_refresh_locked(struct overlay_inode *oi);

/* ------------------------------------------------------------ mount.c */

/* Overlays upon overlays: each is a few frames on the stack. */
#define OVERLAY_LEVELS_MAX 40

/* One over the other; both borrowed. */
int overlay_join(struct inode *lower, struct inode *upper, bool persistent,
		 struct superblock **out) MUST_CHECK;
/* What /proc/mounts shows; before the first mount. */
void overlay_set_options(struct superblock *sb, const char *source, const char *options);

/* ------------------------------------------------------------ copy_up.c */

/* Makes the upper part; `size`: how much of a regular file's data is wanted. */
int copy_up(struct overlay_section *s, struct overlay_inode *oi, uint64_t size) MUST_CHECK;

/* ------------------------------------------------------------ names.c, file.c, dir.c */

int overlay_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
void overlay_walk_ahead(struct inode *dir, const char *rest);
int overlay_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		   struct inode **out);
int overlay_link(struct inode *dir, const char *name, size_t len, struct inode *target);
int overlay_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim);
int overlay_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim);
int overlay_rename(struct inode *old_dir, const char *old_name, size_t old_len,
		   struct inode *new_dir, const char *new_name, size_t new_len, struct inode *moved,
		   struct inode *replaced, unsigned int flags);
int overlay_tmpfile(struct inode *dir, const struct new_inode *new, struct inode **out);
int overlay_open(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
		 struct file **out);
int overlay_open_dir(struct inode *inode, const struct path *path, const struct cred *cred,
		     int flags, struct file **out);
/* -ENOTEMPTY unless only whiteouts are left, which are removed. Under overlay_sb.lock. */
int overlay_clear_dir(struct overlay_section *s, struct overlay_inode *dir) MUST_CHECK;

#endif
