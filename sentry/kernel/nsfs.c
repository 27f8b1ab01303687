/*
 * Namespaces as files: what the links of /proc/PID/ns lead to. An inode holds its
 * namespace alive, so an open descriptor or a bind mount keeps one without tasks.
 * Each look makes a new inode; they are one file to stat(2) by their number.
 */
#include <errno.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/user_ns.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"

struct nsfs_inode {
	struct inode inode;
	struct ns_common *ns; /* owned */
};

static struct superblock nsfs_sb;
static struct mount *nsfs_mount; /* in no namespace; kept for ever */
static pthread_once_t nsfs_once = PTHREAD_ONCE_INIT;

static struct ns_common *ns_of(const struct inode *inode)
{
	return container_of((struct inode *)inode, struct nsfs_inode, inode)->ns;
}

static void inode_release(struct inode *inode)
{
	struct ns_common *ns = ns_of(inode);

	inode_fini(inode);
	free(container_of(inode, struct nsfs_inode, inode));
	if (ns)
		ns_put(ns);
}

/* --- ioctl_ns(2) --------------------------------------------------------------------------------- */

static int open_ns(struct ns_common *ns, const struct cred *cred, struct file **out);

static long give(struct guest_access *caller, struct ns_common *ns)
{
	struct task *t = task_from_access(caller);
	struct file *f;
	int r = open_ns(ns, t->cred, &f);

	if (r == 0)
		r = fd_install(t->files, f, 0, task_rlimit(t, RLIMIT_NOFILE), true);
	if (r < 0)
		file_put(f);
	return r;
}

/* Only what lies in or below the caller's own user namespace may be had. */
static long give_owner(struct guest_access *caller, struct ns_common *ns)
{
	struct user_ns *mine = task_from_access(caller)->cred->user_ns;

	if (!ns->owner || !user_ns_is_below(ns->owner, mine))
		return -EPERM;
	return give(caller, &ns->owner->ns);
}

static long give_parent(struct guest_access *caller, struct ns_common *ns)
{
	struct pid_ns *pids = pid_ns_from(ns);

	if (user_ns_from(ns))
		return give_owner(caller, ns);
	if (!pids)
		return -EINVAL;
	/* As above: not out of the caller's own. */
	if (!pids->parent || !pid_ns_is_below(pids->parent, task_pids(task_from_access(caller))))
		return -EPERM;
	return give(caller, &pids->parent->ns);
}

static long owner_uid(struct guest_access *caller, struct ns_common *ns, uaddr to)
{
	struct user_ns *u = user_ns_from(ns), *mine = task_from_access(caller)->cred->user_ns;
	uint32_t uid;

	if (!u)
		return -EINVAL;
	uid = user_ns_show(mine, ID_UID, u->owner_uid);
	return ga_copyout(caller, to, &uid, sizeof(uid));
}

static long ns_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct guest_access *caller)
{
	struct ns_common *ns = ns_of(f->inode);

	switch (cmd) {
	case NS_GET_USERNS:
		return give_owner(caller, ns);
	case NS_GET_PARENT:
		return give_parent(caller, ns);
	case NS_GET_NSTYPE:
		return (long)ns->kind->flag;
	case NS_GET_OWNER_UID:
		return owner_uid(caller, ns, UADDR(arg));
	}
	return -ENOTTY;
}

static void file_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops file_ops = {.ioctl = ns_ioctl, .release = file_release};

struct ns_common *nsfs_namespace(const struct file *f)
{
	return f->ops == &file_ops ? ns_of(f->inode) : NULL;
}

/* --- the file system --------------------------------------------------------------------------------- */

static int inode_open(struct inode *inode, const struct path *path, const struct cred *cred,
		      int flags, struct file **out)
{
	struct file *f;

	if ((flags & O_ACCMODE) != O_RDONLY)
		return -EPERM;
	f = NEW(struct file);
	file_init(f, &file_ops, inode, path, cred, flags);
	*out = f;
	return 0;
}

static int statfs_ns(struct superblock *sb, struct kstatfs *out)
{
	*out = (struct kstatfs){
	    .type = 0x6e736673, .bsize = GUEST_PAGE, .frsize = GUEST_PAGE, .namelen = 255};
	return 0;
}

static const struct inode_ops inode_ops = {.open = inode_open, .release = inode_release};
static const struct sb_ops sb_ops = {.statfs = statfs_ns};

static struct nsfs_inode *inode_new(struct ns_common *ns, uint64_t ino, uint32_t mode)
{
	struct nsfs_inode *i = NEW(struct nsfs_inode);

	inode_init(&i->inode, &nsfs_sb, &inode_ops, ino, mode);
	i->ns = ns;
	return i;
}

static void nsfs_start(void)
{
	struct nsfs_inode *root;

	superblock_init(&nsfs_sb, &sb_ops, "nsfs", "nsfs");
	root = inode_new(NULL, 1, S_IFDIR | 0555);
	superblock_set_root(&nsfs_sb, &root->inode);
	inode_put(&root->inode);
	nsfs_mount = mount_new_loose(&nsfs_sb);
}

void nsfs_path(struct ns_common *ns, struct path *out)
{
	struct nsfs_inode *i;
	char name[64];

	pthread_once(&nsfs_once, nsfs_start);
	ns_get(ns);
	i = inode_new(ns, ns->ino, S_IFREG | 0444);
	snprintf(name, sizeof(name), "%s:[%llu]", ns->kind->name, (unsigned long long)ns->ino);
	mount_loose_path(nsfs_mount, &i->inode, name, out);
	inode_put(&i->inode);
}

static int open_ns(struct ns_common *ns, const struct cred *cred, struct file **out)
{
	struct path path;
	int r;

	nsfs_path(ns, &path);
	r = inode_open(path_inode(&path), &path, cred, O_RDONLY, out);
	path_put(&path);
	return r;
}
