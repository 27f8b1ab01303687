/* Shared by open.c, namei.c, rename.c and attr.c only. */
#ifndef GARRISON_SENTRY_FS_NAMEI_INTERNAL_H
#define GARRISON_SENTRY_FS_NAMEI_INTERNAL_H

#include <string.h>

#include "sentry/fs/dentry.h"
#include "sentry/fs/path.h"

static inline bool last_is_dots(const struct last_component *last)
{
	return last->name[0] == '.' && (last->len == 1 || (last->len == 2 && last->name[1] == '.'));
}

/* Owner, group and setgid bit of what cred makes in dir. */
void new_inode_owner(const struct inode *dir, const struct cred *cred, struct new_inode *new);
/* The name's dentry, owned: found, or made (*created). With find_existing an existing name is
 * no error; else -EEXIST. new gets its owner here. */
int create_at(const struct path *dir, const struct cred *cred, const struct last_component *last,
	      struct new_inode *new, bool find_existing, struct dentry **out,
	      bool *created) MUST_CHECK;
/* May a name be added to dir; may the name of `victim` (directory or not) be taken away? */
int may_create(struct inode *dir, const struct cred *cred) MUST_CHECK;
int may_delete(struct inode *dir, const struct dentry *victim, const struct cred *cred,
	       bool is_dir) MUST_CHECK;
/* To the top mount on an owned path; under dcache_lock. */
void path_descend_owned_locked(struct path *p);
/* vfs_setattr without the mount's part. */
int inode_setattr(struct inode *inode, const struct cred *cred,
		  const struct iattr *attr) MUST_CHECK;

#endif
