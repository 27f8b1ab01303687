/*
 * Changes of a task's credentials, with their side effects: capabilities follow
 * the transitions of the user ids to and from 0 unless securebits say otherwise,
 * and a change of effective ids makes the process undumpable and takes its
 * parent-death signal away.
 */
#include "sentry/kernel/cred_change.h"

#include <errno.h>
#include <linux/securebits.h>

#include "common/mem.h"

/* Capabilities that go with the file system uid. */
#define FS_CAPS                                                                                    \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |     \
	 BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MKNOD) | BIT(CAP_MAC_OVERRIDE))

/* User 0 of c's own namespace; INVALID_ID, which nobody is, where it has none. */
static uint32_t root_of(const struct cred *c)
{
	return user_ns_in(c->user_ns, ID_UID, 0);
}

static bool has_root(const struct cred *c)
{
	uint32_t root = root_of(c);

	return c->uid == root || c->euid == root || c->suid == root;
}

/* "Effect of user ID changes on capabilities". */
static void fix_caps(const struct cred *old, struct cred *new)
{
	uint32_t root = root_of(old);

	if (new->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (has_root(old) && !has_root(new)) {
		if (!(new->securebits &SECBIT_KEEP_CAPS))
			new->permitted = new->effective = 0;
		new->ambient = 0; /* as prctl(2): cleared whenever root is left behind */
	}
	if (old->euid == root && new->euid != root)
		new->effective = 0;
	if (old->euid != root && new->euid == root)
		new->effective = new->permitted;
}

static void fix_fs_caps(const struct cred *old, struct cred *new)
{
	uint32_t root = root_of(old);

	if (new->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (old->fsuid == root && new->fsuid != root)
		new->effective &= ~FS_CAPS;
	if (old->fsuid != root && new->fsuid == root)
		new->effective |= new->permitted &FS_CAPS;
}

static void commit(struct task *t, struct cred *new)
{
	const struct cred *old = t->cred;

	if (old->euid != new->euid || old->egid != new->egid || old->fsuid != new->fsuid ||
	    old->fsgid != new->fsgid || (new->permitted & ~old->permitted)) {
		mutex_lock(&t->mm->lock);
		t->mm->dumpable = 0;
		mutex_unlock(&t->mm->lock);
		t->pdeath_signal = 0;
	}
	task_set_cred(t, new);
}

static long commit_uids(struct task *t, struct cred *new)
{
	fix_caps(t->cred, new);
	commit(t, new);
	return 0;
}

static long refuse(struct cred *new, long err)
{
	cred_put(new);
	return err;
}

long cred_set_uid(struct task *t, uint32_t uid)
{
	const struct cred *old = t->cred;
	struct cred *new;

	if (uid == KEEP_ID)
		return -EINVAL;
	new = cred_dup(old);
	if (task_ns_capable(t, t->cred->user_ns, CAP_SETUID))
		new->uid = new->suid = uid;
	else if (uid != old->uid && uid != old->suid)
		return refuse(new, -EPERM);
	new->fsuid = new->euid = uid;
	return commit_uids(t, new);
}

long cred_set_reuid(struct task *t, uint32_t ruid, uint32_t euid)
{
	const struct cred *old = t->cred;
	struct cred *new = cred_dup(old);
	bool may = task_ns_capable(t, t->cred->user_ns, CAP_SETUID);

	if (ruid != KEEP_ID) {
		new->uid = ruid;
		if (!may && ruid != old->uid && ruid != old->euid)
			return refuse(new, -EPERM);
	}
	if (euid != KEEP_ID) {
		new->euid = euid;
		if (!may && euid != old->uid && euid != old->euid && euid != old->suid)
			return refuse(new, -EPERM);
	}
	if (ruid != KEEP_ID || (euid != KEEP_ID && euid != old->uid))
		new->suid = new->euid;
	new->fsuid = new->euid;
	return commit_uids(t, new);
}

/* Is id one of the three that an unprivileged task may switch between? */
static bool own_uid(const struct cred *c, uint32_t id)
{
	return id == KEEP_ID || id == c->uid || id == c->euid || id == c->suid;
}

long cred_set_resuid(struct task *t, uint32_t ruid, uint32_t euid, uint32_t suid)
{
	const struct cred *old = t->cred;
	struct cred *new;

	if (!task_ns_capable(t, t->cred->user_ns, CAP_SETUID) &&
	    !(own_uid(old, ruid) && own_uid(old, euid) && own_uid(old, suid)))
		return -EPERM;
	new = cred_dup(old);
	if (ruid != KEEP_ID)
		new->uid = ruid;
	if (euid != KEEP_ID)
		new->euid = euid;
	if (suid != KEEP_ID)
		new->suid = suid;
	new->fsuid = new->euid;
	return commit_uids(t, new);
}

long cred_set_fsuid(struct task *t, uint32_t uid)
{
	const struct cred *old = t->cred;
	uint32_t before = old->fsuid;
	struct cred *new;

	if (uid == KEEP_ID || uid == before)
		return before;
	if (!own_uid(old, uid) && uid != old->fsuid &&
	    !task_ns_capable(t, t->cred->user_ns, CAP_SETUID))
		return before;
	new = cred_dup(old);
	new->fsuid = uid;
	fix_fs_caps(old, new);
	commit(t, new);
	return before;
}

long cred_set_gid(struct task *t, uint32_t gid)
{
	const struct cred *old = t->cred;
	struct cred *new;

	if (gid == KEEP_ID)
		return -EINVAL;
	new = cred_dup(old);
	if (task_ns_capable(t, t->cred->user_ns, CAP_SETGID))
		new->gid = new->sgid = gid;
	else if (gid != old->gid && gid != old->sgid)
		return refuse(new, -EPERM);
	new->fsgid = new->egid = gid;
	commit(t, new);
	return 0;
}

long cred_set_regid(struct task *t, uint32_t rgid, uint32_t egid)
{
	const struct cred *old = t->cred;
	struct cred *new = cred_dup(old);
	bool may = task_ns_capable(t, t->cred->user_ns, CAP_SETGID);

	if (rgid != KEEP_ID) {
		new->gid = rgid;
		if (!may && rgid != old->gid && rgid != old->egid)
			return refuse(new, -EPERM);
	}
	if (egid != KEEP_ID) {
		new->egid = egid;
		if (!may && egid != old->gid && egid != old->egid && egid != old->sgid)
			return refuse(new, -EPERM);
	}
	if (rgid != KEEP_ID || (egid != KEEP_ID && egid != old->gid))
		new->sgid = new->egid;
	new->fsgid = new->egid;
	commit(t, new);
	return 0;
}

static bool own_gid(const struct cred *c, uint32_t id)
{
	return id == KEEP_ID || id == c->gid || id == c->egid || id == c->sgid;
}

long cred_set_resgid(struct task *t, uint32_t rgid, uint32_t egid, uint32_t sgid)
{
	const struct cred *old = t->cred;
	struct cred *new;

	if (!task_ns_capable(t, t->cred->user_ns, CAP_SETGID) &&
	    !(own_gid(old, rgid) && own_gid(old, egid) && own_gid(old, sgid)))
		return -EPERM;
	new = cred_dup(old);
	if (rgid != KEEP_ID)
		new->gid = rgid;
	if (egid != KEEP_ID)
		new->egid = egid;
	if (sgid != KEEP_ID)
		new->sgid = sgid;
	new->fsgid = new->egid;
	commit(t, new);
	return 0;
}

long cred_set_fsgid(struct task *t, uint32_t gid)
{
	const struct cred *old = t->cred;
	uint32_t before = old->fsgid;
	struct cred *new;

	if (gid == KEEP_ID || gid == before)
		return before;
	if (!own_gid(old, gid) && gid != old->fsgid &&
	    !task_ns_capable(t, t->cred->user_ns, CAP_SETGID))
		return before;
	new = cred_dup(old);
	new->fsgid = gid;
	commit(t, new);
	return before;
}

long cred_set_groups_of(struct task *t, const uint32_t *groups, int n)
{
	struct cred *new;
	int r;

	if (!task_ns_capable(t, t->cred->user_ns, CAP_SETGID))
		return -EPERM;
	new = cred_dup(t->cred);
	r = cred_set_groups(new, groups, n);
	if (r < 0)
		return refuse(new, r);
	task_set_cred(t, new);
	return 0;
}

long cred_set_caps(struct task *t, capset effective, capset permitted, capset inheritable)
{
	const struct cred *old = t->cred;
	struct cred *new;

	if (!task_ns_capable(t, t->cred->user_ns, CAP_SETPCAP) &&
	    (inheritable & ~(old->inheritable | old->permitted)))
		return -EPERM;
	if (inheritable & ~(old->inheritable | old->bounding))
		return -EPERM;
	if ((permitted & ~old->permitted) || (effective & ~permitted))
		return -EPERM;
	new = cred_dup(old);
	new->effective = effective;
	new->permitted = permitted;
	new->inheritable = inheritable;
	new->ambient &= permitted &inheritable;
	commit(t, new);
	return 0;
}
