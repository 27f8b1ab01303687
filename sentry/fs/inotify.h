/*
 * inotify(7). Names change in namei.c and data in file.c and sys/; both report
 * here. With no watch anywhere a report costs one load.
 */
#ifndef GARRISON_SENTRY_FS_INOTIFY_H
#define GARRISON_SENTRY_FS_INOTIFY_H

#include <stdatomic.h>
#include <sys/inotify.h>

#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"

struct inotify_set;

/* inotify_init1(2) with IN_NONBLOCK as O_NONBLOCK in flags: an owned file. */
int inotify_new(const struct cred *cred, int flags, struct file **out) MUST_CHECK;
/* A watch descriptor or -errno; -EINVAL if f is no inotify file. */
int inotify_add(struct file *f, struct inode *inode, uint32_t mask) MUST_CHECK;
int inotify_remove(struct file *f, int wd) MUST_CHECK;

/* How many watches exist in the sentry. */
extern atomic_int inotify_watches;

/* Queues the event for watches on `inode` itself. name NULL: about the inode itself. */
void inotify_report(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name,
		    size_t len);
/* The inode's last name is gone and nobody has it open: IN_DELETE_SELF, IN_IGNORED. */
void inotify_inode_gone(struct inode *inode);
void inotify_set_free(struct inotify_set *set);
/* The last mount of it went: IN_UNMOUNT, IN_IGNORED. */
void inotify_superblock_gone(struct superblock *sb);

struct dentry;
/* To the watches on an object and on its directory (with its name). */
void inotify_report_dentry(struct dentry *d, uint32_t mask);
static inline void notify_dentry(struct dentry *d, uint32_t mask)
{
	if (d && atomic_load_explicit(&inotify_watches, memory_order_relaxed))
		inotify_report_dentry(d, mask);
}
static inline void notify_inode(struct inode *inode, uint32_t mask, uint32_t cookie,
				const char *name, size_t len)
{
	if (atomic_load_explicit(&inode->watch_count, memory_order_relaxed))
		inotify_report(inode, mask, cookie, name, len);
}
/* Cookie that ties IN_MOVED_FROM to IN_MOVED_TO. */
uint32_t inotify_cookie(void);

#endif
