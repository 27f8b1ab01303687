/*
 * Credentials across execve: set-user-ID and set-group-ID bits, file
 * capabilities, root's privileges and ambient capabilities, by credentials(7)
 * and capabilities(7). None of a file's privileges count on a nosuid mount;
 * a task with no_new_privs, or under a tracer, keeps what it had.
 */
#include <errno.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/exec.h"

struct file_caps {
	bool present, effective;
	capset permitted, inheritable;
};

static uint32_t le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* struct vfs_cap_data, revisions 2 and 3 (whose root must be that of c's namespace or of one above
 * it); what the first namespace gave counts there only. */
static bool root_counts(const struct cred *c, uint32_t root)
{
	for (const struct user_ns *u = c->user_ns; u; u = user_ns_parent(u))
		if (user_ns_in(u, ID_UID, 0) == root)
			return true;
	return false;
}

static void read_file_caps(const struct cred *c, struct inode *inode, struct file_caps *out)
{
	const struct xattr_ops *x = inode->ops->xattr;
	unsigned char d[24];
	uint32_t magic;
	ssize_t n;

	*out = (struct file_caps){.present = false};
	n = x && x->get ? x->get(inode, "security.capability", d, sizeof(d)) : -ENODATA;
	if (n < 20)
		return;
	magic = le32(d);
	if (!((magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_2 && n == 20) &&
	    !((magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_3 && n == 24 &&
	      root_counts(c, le32(d + 20))))
		return;
	out->present = true;
	out->effective = magic & VFS_CAP_FLAGS_EFFECTIVE;
	out->permitted = (le32(d + 4) | (capset)le32(d + 12) << 32) & CAPSET_ALL;
	out->inheritable = (le32(d + 8) | (capset)le32(d + 16) << 32) & CAPSET_ALL;
}

static void apply_set_ids(struct cred *c, struct inode *inode)
{
	uint32_t mode = inode->mode;

	/* Identities that the namespace does not know cannot be taken. */
	if (!user_ns_has(c->user_ns, ID_UID, inode->uid) ||
	    !user_ns_has(c->user_ns, ID_GID, inode->gid))
		return;
	if (mode & S_ISUID)
		c->euid = inode->uid;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		c->egid = inode->gid;
}

/* Sets c->permitted; *effective: they become effective too. -EPERM by capabilities(7),
 * "Safety checking for capability-dumb binaries". */
static int gain_caps(struct cred *c, const struct cred *old, const struct file_caps *f,
		     bool *effective)
{
	uint32_t root = user_ns_in(c->user_ns, ID_UID, 0);

	*effective = false;
	c->permitted = 0;
	if (f->present) {
		c->permitted = (old->bounding & f->permitted) | (old->inheritable & f->inheritable);
		*effective = f->effective;
		if (f->effective && (f->permitted & ~c->permitted))
			return -EPERM;
	}
	if (c->securebits & SECBIT_NOROOT)
		return 0;
	if (f->present && c->uid != root && c->euid == root)
		return 0; /* set-user-ID root with file capabilities: those only */
	if (c->euid == root || c->uid == root)
		c->permitted = old->bounding | old->inheritable;
	if (c->euid == root)
		*effective = true;
	return 0;
}

/* A tracer or no_new_privs: what was gained is given back. */
static void deny_gains(struct cred *c, const struct cred *old)
{
	c->euid = c->uid;
	c->egid = c->gid;
	c->permitted &= old->permitted;
}

int exec_creds(const struct cred *old, struct file *file, bool traced, struct cred **out,
	       bool *secure)
{
	/* What a user namespace mounted has no say over those above it. */
	bool trusted = !(file->path.mnt && (file->path.mnt->flags & MS_NOSUID)) &&
		       user_ns_is_below(old->user_ns, file->inode->sb->user_ns);
	struct file_caps f = {.present = false};
	struct cred *c = cred_dup(old);
	bool effective, set_id, grew;
	int r;

	if (trusted && !old->no_new_privs)
		apply_set_ids(c, file->inode);
	if (trusted)
		read_file_caps(c, file->inode, &f);
	r = gain_caps(c, old, &f, &effective);
	if (r < 0) {
		cred_put(c);
		return r;
	}
	set_id = c->euid != old->uid || c->egid != old->gid;
	grew = c->permitted & ~old->permitted;
	if ((set_id || grew) && (traced || old->no_new_privs))
		deny_gains(c, old);
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	if (f.present || set_id)
		c->ambient = 0;
	c->permitted |= c->ambient;
	c->effective = effective ? c->permitted : c->ambient;
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
	*secure = set_id || (c->uid != user_ns_in(c->user_ns, ID_UID, 0) &&
			     (effective || (c->permitted & ~c->ambient)));
	*out = c;
	return 0;
}
