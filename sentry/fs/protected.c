#include "sentry/fs/protected.h"

#include <errno.h>
#include <sys/stat.h>

/* Values are single words; no lock. */
static struct {
	atomic_int value;
	int max;
} settings[PROTECTED_KINDS] = {
    [PROTECTED_SYMLINKS] = {1, 1},
    [PROTECTED_HARDLINKS] = {1, 1},
    [PROTECTED_FIFOS] = {1, 2},
    [PROTECTED_REGULAR] = {2, 2},
};

int protected_get(enum protected_what what)
{
	return atomic_load_explicit(&settings[what].value, memory_order_relaxed);
}

int protected_set(enum protected_what what, int value)
{
	if (value < 0 || value > settings[what].max)
		return -EINVAL;
	atomic_store(&settings[what].value, value);
	return 0;
}

int protected_follow(const struct inode *dir, const struct inode *link, const struct cred *cred)
{
	const uint32_t shared = S_ISVTX | S_IWOTH;

	if ((dir->mode & shared) != shared || !protected_get(PROTECTED_SYMLINKS))
		return 0;
	return link->uid == cred->fsuid || link->uid == dir->uid ? 0 : -EACCES;
}

/* A file that gives nobody anything that he could not have without the link. */
static bool safe_to_link(struct inode *inode, const struct cred *cred)
{
	if (!S_ISREG(inode->mode) || (inode->mode & S_ISUID) ||
	    (inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return false;
	return inode_permission(inode, cred, 6) == 0;
}

int protected_link(struct inode *inode, const struct cred *cred)
{
	if (!protected_get(PROTECTED_HARDLINKS) || cred->fsuid == inode->uid ||
	    cred_capable_over(cred, inode->uid, inode->gid, CAP_FOWNER))
		return 0;
	return safe_to_link(inode, cred) ? 0 : -EPERM;
}

/* 0 for what has no setting: then only directories that all may write count. */
static int level_for(uint32_t mode, bool *has_setting)
{
	*has_setting = S_ISREG(mode) || S_ISFIFO(mode);
	return S_ISREG(mode)	? protected_get(PROTECTED_REGULAR)
	       : S_ISFIFO(mode) ? protected_get(PROTECTED_FIFOS)
				: 0;
}

int protected_create(const struct inode *dir, const struct inode *found, const struct cred *cred)
{
	bool has_setting;
	int level;

	if (!(dir->mode & S_ISVTX) || found->uid == dir->uid || found->uid == cred->fsuid)
		return 0;
	level = level_for(found->mode, &has_setting);
	if (has_setting && level == 0)
		return 0;
	return (dir->mode & S_IWOTH) || ((dir->mode & S_IWGRP) && level >= 2) ? -EACCES : 0;
}
