/*
 * The walk over a path, in steps; path_walk and path_walk_parent (path.h) and
 * the opening of files are made of it. Only fs/ uses it.
 */
#ifndef GARRISON_SENTRY_FS_WALK_H
#define GARRISON_SENTRY_FS_WALK_H

#include "sentry/fs/dentry.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/path.h"

#define WALK_MAX_LINKS 40
#define WALK_SCOPED (WALK_BENEATH | WALK_IN_ROOT) /* the walk must not leave its start */

struct walk {
	const struct walk_env *env;
	unsigned int flags; /* WALK_* */
	struct path root;   /* borrowed: "/" and the top for ".." */
	/* Where the walk stands. While `locked` (dcache_lock held) it is borrowed and `held`
	 * keeps the place where the lock was taken; otherwise cur is held. */
	struct path cur, held;
	bool locked;
	bool ended_at_link_target; /* cur came from a magic link */
	bool trailing;		   /* the component at hand is the path's last */
	uint64_t moves;		   /* WALK_SCOPED: dcache_moves as it began */
	const char *name;	   /* what is left of the innermost string */
	struct last_component last;
	int links, depth;
	const char *rest[WALK_MAX_LINKS]; /* what is left of the strings around it */
	int nkept;
	struct inode *kept[WALK_MAX_LINKS]; /* owned: their link_target is being walked */
	char *copies[WALK_MAX_LINKS];	    /* owned */
};

/* -ENOENT for an empty name (unless WALK_EMPTY_PATH). Ends with walk_end, also on error. */
int walk_begin(struct walk *w, const struct walk_env *env, const struct path *base,
	       const char *name, unsigned int flags) MUST_CHECK;
/* Up to the last component: cur is its directory (owned by the walk, a directory, searched),
 * w->last the component; last.len 0: the path ended at cur itself ("/", or a magic link). */
int walk_to_last(struct walk *w) MUST_CHECK;
/* Follows the link `d` that the last component names; unless ended_at_link_target, walk_to_last
 * then goes on. */
int walk_follow(struct walk *w, struct dentry *d) MUST_CHECK;
/* Takes a last component that is "." or "..". */
int walk_dots(struct walk *w) MUST_CHECK;
void walk_end(struct walk *w);

/* The top mount on a place; under dcache_lock. */
void mount_descend_locked(struct path *p);

#endif
