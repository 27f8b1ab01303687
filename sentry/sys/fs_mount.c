/*
 * mount(2), umount2(2), pivot_root(2). The newer calls (fsopen, open_tree,
 * move_mount, ...) are not there: util-linux and runtimes fall back to these.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/walk.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/net/netns.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define MGC_MASK 0xffff0000UL
#define MGC_VALUE 0xc0ed0000UL
#define UMOUNT_KNOWN (MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)

/* An optional string argument; NULL address: NULL. */
static int copyin_optional(struct task *t, uaddr from, char **out)
{
	char *s;
	ssize_t n;

	*out = NULL;
	if (uaddr_null(from))
		return 0;
	s = xmalloc(PATH_MAX);
	n = copyin_string(t, s, PATH_MAX, from);
	if (n < 0) {
		free(s);
		return n == -ENAMETOOLONG ? -EINVAL : (int)n;
	}
	*out = s;
	return 0;
}

/* Mounting takes CAP_SYS_ADMIN over the mount namespace. */
static bool may_mount(struct task *t)
{
	return task_ns_capable(t, mount_ns_common(t->fs->mounts)->owner, CAP_SYS_ADMIN);
}

/* Whose a new file system is: that of the namespace that it shows, or the caller's. */
static struct user_ns *owner_of_new(struct task *t, const char *type)
{
	if (!strcmp(type, "proc"))
		return task_pids(t)->ns.owner;
	if (!strcmp(type, "mqueue"))
		return t->ns->ipc->ns.owner;
	if (!strcmp(type, "sysfs"))
		return t->ns->net->ns.owner;
	if (!strcmp(type, "cgroup2"))
		return t->ns->cgroup->ns.owner;
	return t->cred->user_ns;
}

static int mount_by_paths(struct task *t, const struct fs_type *fs, const char *source,
			  const char *data, struct superblock **out)
{
	struct task_walk walk;
	struct walk_env env;
	int err;

	task_walk_begin(t, &walk, &env);
	err = fs->mount_paths(&env, source, data, out);
	task_walk_end(&walk);
	return err;
}

static int mount_new_fs(struct task *t, const char *source, const char *type, const char *data,
			const struct path *at, unsigned long flags)
{
	const struct fs_type *fs = type ? fs_type_find(type) : NULL;
	struct user_ns *owner;
	struct superblock *sb;
	int err;

	if (!type)
		return -EINVAL;
	if (!fs || !fs->user_mountable)
		return fs ? -EPERM : -ENODEV;
	owner = owner_of_new(t, type);
	if (!task_ns_capable(t, owner, CAP_SYS_ADMIN))
		return -EPERM;
	if (!mount_may_show(t->fs->mounts, type, &flags))
		return -EPERM;
	/* The trees of such a type are opened with full rights over all users. */
	if (fs->mount_paths && !task_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	err = fs->mount_paths ? mount_by_paths(t, fs, source, data, &sb)
			      : fs->mount(source, data, t->cred, &sb);
	if (err < 0)
		return err;
	if (!sb->active)
		superblock_set_owner(sb, owner);
	err = mount_attach(t->fs->mounts, at, sb, flags);
	superblock_put(sb);
	return err;
}

static int bind_mount(struct task *t, uaddr source, const struct path *at, unsigned long flags)
{
	struct path from;
	int err = fs_at_lookup(t, AT_FDCWD, source, 0, &from);

	if (err < 0)
		return err;
	err = mount_bind(t->fs->mounts, &from, at, flags & MS_REC);
	path_put(&from);
	return err;
}

static int move_mount_to(struct task *t, uaddr source, const struct path *at)
{
	struct path from;
	int err = fs_at_lookup(t, AT_FDCWD, source, 0, &from);

	if (err < 0)
		return err;
	err = mount_move(t->fs->mounts, &from, at);
	path_put(&from);
	return err;
}

static int do_mount(struct task *t, const struct sysargs *a, const struct path *at)
{
	SCOPED_FREE char *type = NULL, *source = NULL, *data = NULL;
	unsigned long flags = a->v[3];
	int err;

	if ((flags & MGC_MASK) == MGC_VALUE)
		flags &= ~MGC_MASK;
	if ((flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND))
		return mount_remount(t->fs->mounts, at, flags);
	if (flags & MS_REMOUNT) {
		if (!task_ns_capable(t, at->mnt->sb->user_ns, CAP_SYS_ADMIN))
			return -EPERM;
		err = copyin_optional(t, UADDR(a->v[4]), &data);
		return err < 0 ? err
			       : mount_reconfigure(t->fs->mounts, at, flags, data ? data : "");
	}
	if (flags & MS_BIND)
		return bind_mount(t, UADDR(a->v[0]), at, flags);
	if (flags & PROPAGATION)
		return mount_propagation(t->fs->mounts, at, flags, flags & MS_REC);
	if (flags & MS_MOVE)
		return move_mount_to(t, UADDR(a->v[0]), at);
	err = copyin_optional(t, UADDR(a->v[2]), &type);
	if (err == 0)
		err = copyin_optional(t, UADDR(a->v[0]), &source);
	if (err == 0)
		err = copyin_optional(t, UADDR(a->v[4]), &data);
	return err < 0 ? err : mount_new_fs(t, source, type, data, at, flags);
}

long sys_mount(struct task *t, const struct sysargs *a)
{
	struct path at;
	long err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[1]), 0, &at);

	if (err < 0)
		return err;
	err = may_mount(t) ? do_mount(t, a, &at) : -EPERM;
	path_put(&at);
	return err;
}

long sys_umount2(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[1];
	struct path at;
	long err;

	if (flags & ~UMOUNT_KNOWN)
		return -EINVAL;
	if (!may_mount(t))
		return -EPERM;
	err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[0]),
			   flags & UMOUNT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &at);
	if (err < 0)
		return err;
	err = mount_umount(t->fs->mounts, &at, flags);
	path_put(&at);
	return err;
}

/* --- pivot_root ----------------------------------------------------------------------------- */

static void move_fs(struct fs_context *fs, const struct path *from, const struct path *to)
{
	struct path root, cwd;

	fs_context_paths(fs, &root, &cwd);
	if (path_equal(&root, from))
		fs_context_set_root(fs, to);
	if (path_equal(&cwd, from))
		fs_context_set_cwd(fs, to);
	path_put(&root);
	path_put(&cwd);
}

/* Every task that stood at the old root now stands at the new one. */
static void move_tasks(struct container *c, const struct path *from, const struct path *to)
{
	struct process *p = process_next(c, 0);

	while (p) {
		int next_pid = p->tgid + 1;
		struct task *one = process_next_task(p, 0);

		while (one) {
			struct fs_context *fs = task_get_fs(one);
			int next_tid = one->tid + 1;

			if (fs) {
				move_fs(fs, from, to);
				fs_context_put(fs);
			}
			task_put(one);
			one = process_next_task(p, next_tid);
		}
		process_put(p);
		p = process_next(c, next_pid);
	}
}

static long pivot(struct task *t, const struct path *new_root, const struct path *put_old)
{
	struct path root;
	int err;

	fs_context_paths(t->fs, &root, NULL);
	err = mount_pivot_root(t->fs->mounts, &root, new_root, put_old);
	if (err == 0)
		move_tasks(t->container, &root, new_root);
	path_put(&root);
	return err;
}

long sys_pivot_root(struct task *t, const struct sysargs *a)
{
	struct path new_root, put_old;
	long err;

	if (!may_mount(t))
		return -EPERM;
	err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[0]), 0, &new_root);
	if (err < 0)
		return err;
	err = fs_at_lookup(t, AT_FDCWD, UADDR(a->v[1]), 0, &put_old);
	if (err == 0) {
		if (!S_ISDIR(path_inode(&new_root)->mode) || !S_ISDIR(path_inode(&put_old)->mode))
			err = -ENOTDIR;
		else
			err = pivot(t, &new_root, &put_old);
		path_put(&put_old);
	}
	path_put(&new_root);
	return err;
}
