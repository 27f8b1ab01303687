/*
 * The file system devpts: a directory with ptmx and one name for each terminal.
 * Every mount is an instance of its own. Options: uid, gid, mode, ptmxmode, max
 * (and newinstance, which is always so).
 *
 * The names are not cached. A terminal owns its inode and the inode keeps the
 * file system; the slots only borrow the terminal, so a lookup must be ready to
 * meet one whose last reference is going.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/mem.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/tty/internal.h"

#define DEVPTS_MAGIC 0x1cd1
#define INO_ROOT 1
#define INO_PTMX 2
#define INO_FIRST 3
#define COOKIE_PTMX 3 /* behind "." and ".." */

struct devpts {
	struct superblock sb;
	uint32_t mode, ptmx_mode; /* permission bits */
	bool has_uid, has_gid;
	uint32_t uid, gid;
	struct mutex lock; /* RANK_LEAF */
	int max;
	struct tty *slots[TTY_PTS_MAX]; /* guarded by lock; borrowed */
};

static const struct sb_ops devpts_sb_ops;
static const struct inode_ops node_ops;

struct devpts *devpts_of(struct superblock *sb)
{
	return sb->ops == &devpts_sb_ops ? container_of(sb, struct devpts, sb) : NULL;
}

/* --- nodes -------------------------------------------------------------------------------- */

static struct inode *node_new(struct devpts *d, const struct inode_ops *ops, uint64_t ino,
			      uint32_t mode, uint64_t rdev)
{
	struct inode *inode = NEW(struct inode);

	inode_init(inode, &d->sb, ops, ino, mode);
	inode->rdev = rdev;
	inode->nlink = 1;
	return inode;
}

static void node_release(struct inode *inode)
{
	inode_fini(inode);
	free(inode);
}

static int node_setattr(struct inode *inode, const struct iattr *attr)
{
	if (attr->valid & IATTR_SIZE)
		return 0; /* O_TRUNC on a device means nothing */
	inode_apply_attr(inode, attr);
	if (inode->ino == INO_PTMX) /* its inode is made anew for each lookup */
		devpts_of(inode->sb)->ptmx_mode = inode->mode & 07777;
	return 0;
}

static struct inode *new_ptmx(struct devpts *d)
{
	return node_new(d, &node_ops, INO_PTMX, S_IFCHR | d->ptmx_mode, makedev(TTY_AUX_MAJOR, 2));
}

/* A referenced terminal, or NULL. */
static struct tty *tty_at(struct devpts *d, int index)
{
	struct tty *tty;

	SCOPED_LOCK(&d->lock);
	if (index < 0 || index >= TTY_PTS_MAX)
		return NULL;
	tty = d->slots[index];
	return tty && ref_get_unless_zero(&tty->ref) ? tty : NULL;
}

int devpts_add(struct devpts *d, struct tty *tty, const struct cred *cred)
{
	int index = 0;

	mutex_lock(&d->lock);
	while (index < d->max && d->slots[index])
		index++;
	if (index < d->max)
		d->slots[index] = tty;
	mutex_unlock(&d->lock);
	if (index == d->max)
		return -ENOSPC;
	tty->index = index;
	tty->inode = node_new(d, &node_ops, (uint64_t)index + INO_FIRST, S_IFCHR | d->mode,
			      makedev(TTY_PTS_MAJOR, index));
	tty->inode->uid = d->has_uid ? d->uid : cred->fsuid;
	tty->inode->gid = d->has_gid ? d->gid : cred->fsgid;
	return 0;
}

void devpts_remove(struct tty *tty)
{
	struct devpts *d = tty->inode ? devpts_of(tty->inode->sb) : NULL;

	if (!d)
		return;
	SCOPED_LOCK(&d->lock);
	if (d->slots[tty->index] == tty)
		d->slots[tty->index] = NULL;
}

/* --- the directory -------------------------------------------------------------------------- */

static int parse_index(const char *name, size_t len)
{
	int n = 0;

	if (len == 0 || len > 5 || (name[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

static int dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct devpts *d = devpts_of(dir->sb);
	struct tty *tty;

	if (len == 4 && !memcmp(name, "ptmx", 4)) {
		*out = new_ptmx(d);
		return 0;
	}
	tty = tty_at(d, parse_index(name, len));
	if (!tty)
		return -ENOENT;
	*out = inode_get(tty->inode);
	tty_put(tty);
	return 0;
}

static bool emit_slot(struct file *f, struct dirent_sink *sink, int index, off_t next)
{
	char name[16];
	int len = snprintf(name, sizeof(name), "%d", index);

	if (!sink->emit(sink, name, (size_t)len, (uint64_t)index + INO_FIRST, DT_CHR, next))
		return false;
	f->pos = next;
	return true;
}

/* Cookies: 1 ".", 2 "..", 3 ptmx, 4 + index. */
static int dir_readdir(struct file *f, struct dirent_sink *sink)
{
	struct devpts *d = devpts_of(f->inode->sb);

	if (!dir_emit_dots(f, sink))
		return 0;
	if (f->pos < COOKIE_PTMX) {
		if (!sink->emit(sink, "ptmx", 4, INO_PTMX, DT_CHR, COOKIE_PTMX))
			return 0;
		f->pos = COOKIE_PTMX;
	}
	for (int i = (int)(f->pos - COOKIE_PTMX); i < TTY_PTS_MAX; i++) {
		bool there;

		mutex_lock(&d->lock);
		there = d->slots[i] != NULL;
		mutex_unlock(&d->lock);
		if (there && !emit_slot(f, sink, i, i + COOKIE_PTMX + 1))
			return 0;
	}
	return 0;
}

static void dir_file_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops dir_file_ops = {
    .readdir = dir_readdir,
    .release = dir_file_release,
};

static int dir_open(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out)
{
	struct file *f = NEW(struct file);

	file_init(f, &dir_file_ops, inode, path, cred, flags);
	f->caps = FILE_CAN_SEEK;
	*out = f;
	return 0;
}

static const struct inode_ops dir_ops = {
    .lookup = dir_lookup,
    .setattr = node_setattr,
    .open = dir_open,
    .release = node_release,
};

/* Devices are opened through the drivers below. */
static const struct inode_ops node_ops = {
    .setattr = node_setattr,
    .release = node_release,
};

/* --- opening ---------------------------------------------------------------------------------- */

int devpts_of_container(struct container *c, struct path *out)
{
	struct cred *cred = cred_new_root(CAPSET_ALL);
	struct walk_env env = {.cred = cred};
	struct path root;
	int err;

	mount_ns_root(c->mounts, &root);
	env.root = env.cwd = &root;
	err = path_walk(&env, NULL, "/dev/pts", WALK_FOLLOW | WALK_DIRECTORY, out);
	if (!err && !devpts_of(path_inode(out)->sb)) {
		path_put(out);
		err = -ENODEV;
	}
	path_put(&root);
	cred_put(cred);
	return err ? -ENODEV : 0;
}

int devpts_open_tty(struct tty *tty, struct mount *mnt, const struct cred *cred, int flags,
		    struct file **out)
{
	struct path root, path = {0};
	struct walk_env env = {.root = &root, .cwd = &root, .cred = cred};
	char name[16];
	int err;

	if (mnt && tty->inode && mnt->sb == tty->inode->sb) {
		root = (struct path){mnt, mnt->root};
		snprintf(name, sizeof(name), "%d", tty->index);
		if (path_walk(&env, NULL, name, 0, &path))
			path = (struct path){0};
	}
	err = tty_file_new(tty, tty->inode, &path, cred, flags, out);
	path_put(&path);
	return err;
}

static int open_slave(struct inode *inode, const struct path *path, const struct cred *cred,
		      int flags, struct file **out)
{
	struct devpts *d = devpts_of(inode->sb);
	struct tty *tty = d ? tty_at(d, (int)minor(inode->rdev)) : NULL;
	int err = -EIO;

	if (!tty)
		return d ? -EIO : -ENXIO;
	if (tty->inode == inode)
		err = tty_file_new(tty, inode, path, cred, flags, out);
	tty_put(tty);
	return err;
}

/* Inside a devpts, that instance; else (a node in /dev) the container's. */
static int open_ptmx(struct inode *inode, const struct path *path, const struct cred *cred,
		     int flags, struct file **out)
{
	struct devpts *d = devpts_of(inode->sb);
	struct path at;
	int err;

	if (d)
		return pty_open_master(d, inode, path, cred, flags, out);
	if (!task_current())
		return -ENODEV;
	err = devpts_of_container(task_current()->container, &at);
	if (err)
		return err;
	err = pty_open_master(devpts_of(path_inode(&at)->sb), inode, path, cred, flags, out);
	path_put(&at);
	return err;
}

static const struct device_ops slave_device = {.open = open_slave};
static const struct device_ops ptmx_device = {.open = open_ptmx};

/* --- mounting ----------------------------------------------------------------------------------- */

static int devpts_statfs(struct superblock *sb, struct kstatfs *out)
{
	*out =
	    (struct kstatfs){.type = DEVPTS_MAGIC, .bsize = 4096, .frsize = 4096, .namelen = 255};
	return 0;
}

static void devpts_show_options(struct superblock *sb, char *buf, size_t size)
{
	struct devpts *d = devpts_of(sb);
	int n = 0;

	if (d->has_uid)
		n = snprintf(buf, size, "uid=%u,", d->uid);
	if (d->has_gid)
		n += snprintf(buf + n, size - (size_t)n, "gid=%u,", d->gid);
	snprintf(buf + n, size - (size_t)n, "mode=%03o,ptmxmode=%03o", d->mode, d->ptmx_mode);
}

static void devpts_release(struct superblock *sb)
{
	struct devpts *d = devpts_of(sb);

	superblock_fini(sb);
	mutex_destroy(&d->lock);
	free(d);
}

static const struct sb_ops devpts_sb_ops = {
    .statfs = devpts_statfs,
    .show_options = devpts_show_options,
    .release = devpts_release,
};

static int set_option(struct devpts *d, const struct user_ns *mounter, const char *key,
		      const char *value)
{
	unsigned long number;
	char *end;
	bool octal = !strcmp(key, "mode") || !strcmp(key, "ptmxmode");

	if (!strcmp(key, "newinstance"))
		return 0;
	if (!value || !*value)
		return -EINVAL;
	number = strtoul(value, &end, octal ? 8 : 10);
	if (*end || number > UINT32_MAX || (octal && number > 07777))
		return -EINVAL;
	if (!strcmp(key, "mode"))
		d->mode = (uint32_t)number;
	else if (!strcmp(key, "ptmxmode"))
		d->ptmx_mode = (uint32_t)number;
	else if (!strcmp(key, "uid"))
		d->has_uid = true, d->uid = user_ns_in(mounter, ID_UID, (uint32_t)number);
	else if (!strcmp(key, "gid"))
		d->has_gid = true, d->gid = user_ns_in(mounter, ID_GID, (uint32_t)number);
	else if (!strcmp(key, "max"))
		d->max = (int)min(number, (unsigned long)TTY_PTS_MAX);
	else
		return -EINVAL;
	return 0;
}

static int parse_options(struct devpts *d, const struct user_ns *mounter, const char *data)
{
	SCOPED_FREE char *copy = xstrdup(data ? data : "");
	char *rest = copy, *item;
	int err = 0;

	while (!err && (item = strsep(&rest, ","))) {
		char *value = strchr(item, '=');

		if (!*item)
			continue;
		if (value)
			*value++ = '\0';
		err = set_option(d, mounter, item, value);
	}
	if ((d->has_uid && d->uid == INVALID_ID) || (d->has_gid && d->gid == INVALID_ID))
		return -EINVAL;
	return err;
}

static int devpts_mount(const char *source, const char *data, const struct cred *cred,
			struct superblock **out)
{
	struct devpts *d = NEW(struct devpts);
	struct inode *root;
	int err;

	superblock_init(&d->sb, &devpts_sb_ops, "devpts", source);
	d->sb.flags |= SB_NO_CACHE;
	mutex_init(&d->lock, RANK_LEAF);
	d->mode = 0600;
	d->max = TTY_PTS_MAX;
	err = parse_options(d, cred ? cred->user_ns : &user_ns_first, data);
	if (err) {
		superblock_put(&d->sb);
		return err;
	}
	root = node_new(d, &dir_ops, INO_ROOT, S_IFDIR | 0755, 0);
	root->nlink = 2;
	if (cred) {
		root->uid = user_ns_in(cred->user_ns, ID_UID, 0);
		root->gid = user_ns_in(cred->user_ns, ID_GID, 0);
	}
	superblock_set_root(&d->sb, root);
	inode_put(root);
	*out = &d->sb;
	return 0;
}

static const struct fs_type devpts_type = {
    .name = "devpts", .nodev = true, .user_mountable = true, .mount = devpts_mount};

void devpts_register(void)
{
	fs_type_register(&devpts_type);
	device_register(false, TTY_PTS_MAJOR, 0, 1U << 20, &slave_device);
	device_register(false, TTY_AUX_MAJOR, 2, 1, &ptmx_device);
}
