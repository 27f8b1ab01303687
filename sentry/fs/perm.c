/* The permission check of credentials(7) and capabilities(7), on mode bits only (no ACLs). */
#include <errno.h>
#include <sys/stat.h>

#include "sentry/fs/inode.h"

static uint32_t class_bits(const struct inode *inode, const struct cred *cred)
{
	uint32_t mode = inode->mode;

	if (cred->fsuid == inode->uid)
		return mode >> 6;
	if (((mode >> 3) ^ mode) & 7 && cred_in_group(cred, inode->gid))
		return mode >> 3;
	return mode;
}

static bool may_override(const struct inode *inode, const struct cred *cred, int mask)
{
	bool dir = S_ISDIR(inode->mode);

	if (!(mask & 2) && (dir || !(mask & 1)) &&
	    cred_capable_over(cred, inode->uid, inode->gid, CAP_DAC_READ_SEARCH))
		return true;
	/* Executing needs at least one x bit, whoever asks. */
	if (!dir && (mask & 1) && !(inode->mode & 0111))
		return false;
	return cred_capable_over(cred, inode->uid, inode->gid, CAP_DAC_OVERRIDE);
}

int inode_permission(struct inode *inode, const struct cred *cred, int mask)
{
	mask &= 7;
	/* An owner that the file system's own namespace cannot name must not be written back. */
	if ((mask & 2) && inode->sb->user_ns != &user_ns_first &&
	    (!user_ns_has(inode->sb->user_ns, ID_UID, inode->uid) ||
	     !user_ns_has(inode->sb->user_ns, ID_GID, inode->gid)))
		return -EACCES;
	/* Everyone may search: the common case on a path. */
	if (mask == 1 && (inode->mode & 0111) == 0111)
		return 0;
	if (((uint32_t)mask & ~class_bits(inode, cred)) == 0)
		return 0;
	if (may_override(inode, cred, mask))
		return 0;
	return inode->sb->ops->grants && inode->sb->ops->grants(inode, mask) ? 0 : -EACCES;
}
