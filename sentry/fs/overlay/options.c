/*
 * mount(2) of type "overlay" by a guest: the options, and the trees that they
 * name (Documentation of Linux's overlayfs). lowerdir lists trees from the top
 * down, with "\\:" for a colon; each pair is joined from the bottom up.
 *
 * Not there: redirect_dir, index, metacopy, nfs_export (only their "off"), an
 * upper tree that is itself an overlay, which could hold no whiteouts, and
 * attributes trusted.overlay.* of the guest's own.
 */
#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/overlay/internal.h"

struct layers {
	struct path lower[OVERLAY_LEVELS_MAX]; /* owned; the top one first */
	size_t nlower;
	struct path upper, work; /* owned; without dentry: none */
};

static void layers_put(struct layers *l)
{
	for (size_t i = 0; i < l->nlower; i++)
		path_put(&l->lower[i]);
	path_put(&l->upper);
	path_put(&l->work);
}

/* Takes the backslashes out, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		*to++ = *s;
	}
	*to = '\0';
}

/* The next item of a list, cut off at the first `separator` without a backslash. */
static char *next_item(char **rest, char separator)
{
	char *item = *rest, *s = item;

	if (!item)
		return NULL;
	while (*s && *s != separator)
		s += s[0] == '\\' && s[1] ? 2 : 1;
	*rest = *s ? s + 1 : NULL;
	*s = '\0';
	return item;
}

static int find(const struct walk_env *env, char *name, struct path *out)
{
	int err;

	unescape(name);
	path_put(out);
	err = path_walk(env, NULL, name, WALK_FOLLOW, out);
	if (!err && !S_ISDIR(path_inode(out)->mode)) {
		path_put(out);
		err = -EINVAL;
	}
	return err;
}

static int find_lower(const struct walk_env *env, char *list, struct layers *l)
{
	char *name;
	int err = 0;

	while (!err && (name = next_item(&list, ':'))) {
		if (!*name || l->nlower == ARRAY_SIZE(l->lower))
			return -EINVAL;
		err = find(env, name, &l->lower[l->nlower]);
		l->nlower += !err;
	}
	return err;
}

static int set_option(const struct walk_env *env, const char *key, char *value, struct layers *l)
{
	static const char *const accepted[] = {
	    "redirect_dir=off", "redirect_dir=nofollow",
	    "index=off",	"metacopy=off",
	    "nfs_export=off",	"xino=off",
	    "xino=auto",	"uuid=on",
	    "uuid=off",		"uuid=null",
	    "userxattr=",	"volatile=",
	};

	if (!strcmp(key, "lowerdir"))
		return l->nlower ? -EINVAL : find_lower(env, value, l);
	if (!strcmp(key, "upperdir"))
		return find(env, value, &l->upper);
	if (!strcmp(key, "workdir"))
		return find(env, value, &l->work);
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		size_t n = strlen(key);

		if (!strncmp(accepted[i], key, n) && accepted[i][n] == '=' &&
		    !strcmp(accepted[i] + n + 1, value))
			return 0;
	}
	return -EINVAL;
}

static int parse(const struct walk_env *env, const char *data, struct layers *l)
{
	SCOPED_FREE char *copy = xstrdup(data);
	char *rest = copy, *item;
	int err = 0;

	while (!err && (item = next_item(&rest, ','))) {
		char *value = strchr(item, '=');

		if (!*item)
			continue;
		if (value)
			*value++ = '\0';
		err = set_option(env, item, value ? value : item + strlen(item), l);
	}
	return err;
}

/* The work directory is Linux's place for what is half done; here only its form matters. */
static int check_work(const struct walk_env *env, const struct layers *l)
{
	const struct new_inode dir = {.mode = S_IFDIR};
	int err;

	if (!l->work.dentry || l->work.mnt != l->upper.mnt ||
	    dentry_is_ancestor(l->work.dentry, l->upper.dentry) ||
	    dentry_is_ancestor(l->upper.dentry, l->work.dentry))
		return -EINVAL;
	err = vfs_create(env, &l->work, "work", &dir, NULL);
	return err == -EEXIST ? 0 : err;
}

static int check(const struct walk_env *env, const struct layers *l)
{
	struct inode *upper = l->upper.dentry ? path_inode(&l->upper) : NULL;

	if (!l->nlower || (!upper && l->nlower < 2))
		return -EINVAL;
	for (size_t i = 0; i < l->nlower; i++)
		if (l->lower[i].dentry->sb->flags & SB_NO_CACHE)
			return -EINVAL; /* /proc and its like: no tree of files */
	if (!upper)
		return 0;
	if (!upper->ops->tmpfile || !strcmp(upper->sb->type, "overlay"))
		return -EINVAL;
	if (mount_want_write(l->upper.mnt) < 0)
		return -EROFS;
	return check_work(env, l);
}

/* Replaces *below (owned) by the overlay of `top` over it. */
static int join(struct superblock **joined, struct inode **below, struct inode *top)
{
	struct superblock *sb;
	int err = overlay_join(*below, top, true, &sb);

	if (err)
		return err;
	inode_put(*below);
	*below = inode_get(sb->root->inode);
	/* The overlay above keeps it. */
	if (*joined)
		superblock_put(*joined);
	*joined = sb;
	return 0;
}

/* Not mounted, nor below another: what a mount's end does has to be done. */
static void discard(struct superblock *sb)
{
	superblock_activate(sb);
	superblock_deactivate(sb);
	superblock_put(sb);
}

static int build(const struct layers *l, struct superblock **out)
{
	struct superblock *joined = NULL;
	struct inode *below = inode_get(path_inode(&l->lower[l->nlower - 1]));
	int err = 0;

	for (size_t i = l->nlower - 1; i-- > 0 && !err;)
		err = join(&joined, &below, path_inode(&l->lower[i]));
	if (!err && l->upper.dentry)
		err = join(&joined, &below, path_inode(&l->upper));
	inode_put(below);
	if (err && joined)
		discard(joined);
	if (err)
		return err;
	if (!l->upper.dentry)
		joined->flags |= SB_RDONLY;
	*out = joined;
	return 0;
}

static int overlay_mount_paths(const struct walk_env *env, const char *source, const char *data,
			       struct superblock **out)
{
	struct layers l = {.nlower = 0};
	int err = parse(env, data ? data : "", &l);

	if (!err)
		err = check(env, &l);
	if (!err)
		err = build(&l, out);
	layers_put(&l);
	if (!err)
		overlay_set_options(*out, source, data);
	return err;
}

static const struct fs_type overlay_type = {
    .name = "overlay", .nodev = true, .user_mountable = true, .mount_paths = overlay_mount_paths};

void overlay_init(void)
{
	fs_type_register(&overlay_type);
}
