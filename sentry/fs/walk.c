/*
 * path_resolution(7) and the RESOLVE_* rules of openat2(2).
 *
 * A walk takes dcache_lock once and goes over cached components under it,
 * without touching a reference count; permission checks read the inode's mode
 * and owner, which are single words. Where it must call a file system (a name
 * that is not cached, a superblock that revalidates, a link whose target is
 * not known yet) it takes references on where it stands, drops the lock, calls,
 * and goes on. So a walk that misses nothing costs one lock and, per component,
 * one hash.
 *
 * A link's target is walked where the inode keeps it (link_target); what was
 * left of the string before it is put on a stack. 40 links in all.
 *
 * A walk that must stay below its start (WALK_SCOPED) is safe from ".." because
 * that stops at the start. But:
 *
 *     walk                               somebody else
 *     stands in start/a/b
 *                                        renames start/a/b to elsewhere/b
 *     "..": elsewhere; "..": its parent
 *
 * So ".." fails (-EAGAIN) if anything moved since the walk began, and the place
 * where it ends must lie below the start at that moment (-EXDEV).
 */
#include "sentry/fs/walk.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/protected.h"

static void lock_walk(struct walk *w)
{
	mutex_lock(&dcache_lock);
	w->locked = true;
}

/* From borrowed to held: cur stays, what was held before goes. */
static void unlock_walk(struct walk *w)
{
	struct path old = w->held;

	path_get(&w->cur);
	w->held = w->cur;
	w->locked = false;
	mutex_unlock(&dcache_lock);
	path_put(&old);
}

/* Puts the walk, which is unlocked, at another place; takes the references. */
static void move_to(struct walk *w, const struct path *p)
{
	struct path old = w->held;

	w->cur = w->held = *p;
	path_put(&old);
}

int walk_begin(struct walk *w, const struct walk_env *env, const struct path *base,
	       const char *name, unsigned int flags)
{
	const struct path *start = base ? base : env->cwd;

	w->env = env;
	w->flags = flags;
	w->root = *env->root;
	w->locked = false;
	w->links = w->depth = w->nkept = 0;
	w->ended_at_link_target = w->trailing = false;
	w->moves = atomic_load(&dcache_moves);
	w->name = name;
	w->last = (struct last_component){name, 0, false};
	w->cur = w->held = (struct path){NULL, NULL};
	if (!*name && !(flags & WALK_EMPTY_PATH))
		return -ENOENT;
	if (flags & WALK_SCOPED)
		w->root = *start;
	if (*name == '/') {
		if (flags & WALK_BENEATH)
			return -EXDEV;
		start = &w->root;
	}
	path_get(start);
	w->cur = w->held = *start;
	return 0;
}

void walk_end(struct walk *w)
{
	if (w->locked)
		mutex_unlock(&dcache_lock);
	path_put(&w->held);
	for (int i = 0; i < w->nkept; i++) {
		if (w->kept[i])
			inode_put(w->kept[i]);
		free(w->copies[i]);
	}
}

/* --- links ------------------------------------------------------------------------------ */

/* Goes on with `target`; what is left of the present string waits on the stack. */
static int push_target(struct walk *w, const char *target, struct inode *keep, char *copy)
{
	w->kept[w->nkept] = keep;
	w->copies[w->nkept++] = copy;
	if (!*target)
		return -ENOENT;
	w->rest[w->depth++] = w->name;
	w->name = target;
	if (*target != '/')
		return 0;
	if (w->flags & WALK_BENEATH)
		return -EXDEV;
	if ((w->flags & WALK_NO_XDEV) && w->cur.mnt != w->root.mnt)
		return -EXDEV;
	return 1; /* the caller moves to the root */
}

static int read_target(struct walk *w, struct inode *link, char **out)
{
	char *buf = xmalloc(PATH_MAX);
	ssize_t n = link->ops->readlink
			? link->ops->readlink(link, w->env->caller, buf, PATH_MAX - 1)
			: -EINVAL;

	if (n < 0) {
		free(buf);
		return (int)n;
	}
	buf[n] = '\0';
	*out = xstrdup(buf);
	free(buf);
	return 0;
}

static bool target_is_fixed(const struct inode *link)
{
	const struct superblock *sb = link->sb;

	return !(sb->flags & SB_NO_CACHE) && !(sb->ops && sb->ops->revalidate);
}

/* A magic link: jumps. The walk is unlocked. */
static int follow_magic(struct walk *w, struct inode *link)
{
	struct path to;
	int err;

	if (w->flags & (WALK_NO_MAGICLINKS | WALK_NO_SYMLINKS))
		return -ELOOP;
	if (w->flags & WALK_SCOPED)
		return -EXDEV;
	err = link->ops->follow(link, w->env->caller, &to);
	if (err < 0)
		return err;
	if ((w->flags & WALK_NO_XDEV) && to.mnt != w->cur.mnt) {
		path_put(&to);
		return -EXDEV;
	}
	move_to(w, &to);
	w->ended_at_link_target = true;
	return 0;
}

/* May the link, which lies in cur, be followed? */
static int count_link(struct walk *w, const struct inode *link)
{
	if ((w->flags & WALK_NO_SYMLINKS) || (w->cur.mnt->flags & MS_NOSYMFOLLOW))
		return -ELOOP;
	if (++w->links > WALK_MAX_LINKS)
		return -ELOOP;
	return w->trailing ? protected_follow(w->cur.dentry->inode, link, w->env->cred) : 0;
}

static int go_to_root(struct walk *w)
{
	struct path root = w->root;

	path_get(&root);
	move_to(w, &root);
	return 0;
}

/* The walk is unlocked; `link` is referenced by the caller. */
static int follow_slow(struct walk *w, struct inode *link)
{
	char *target, *none = NULL;
	int err;

	if (link->ops->follow)
		return follow_magic(w, link);
	target = atomic_load(&link->link_target);
	if (!target) {
		err = read_target(w, link, &target);
		if (err < 0)
			return err;
		if (!target_is_fixed(link)) {
			err = push_target(w, target, NULL, target);
			return err == 1 ? go_to_root(w) : err;
		}
		if (!atomic_compare_exchange_strong(&link->link_target, &none, target)) {
			free(target);
			target = none;
		}
	}
	err = push_target(w, target, inode_get(link), NULL);
	return err == 1 ? go_to_root(w) : err;
}

/* The walk is unlocked and stands at the link's directory. */
static int follow_link(struct walk *w, struct dentry *d)
{
	int err = count_link(w, d->inode);

	return err < 0 ? err : follow_slow(w, d->inode);
}

int walk_follow(struct walk *w, struct dentry *d)
{
	w->trailing = true;
	return follow_link(w, d);
}

/* --- steps ------------------------------------------------------------------------------- */

void mount_descend_locked(struct path *p)
{
	while (p->dentry->mounted) {
		struct mount *m = mount_on_locked(p->mnt, p->dentry);

		if (!m)
			return;
		p->mnt = m;
		p->dentry = m->root;
	}
}

static int descend(struct walk *w)
{
	struct mount *before = w->cur.mnt;

	mount_descend_locked(&w->cur);
	return w->cur.mnt != before && (w->flags & WALK_NO_XDEV) ? -EXDEV : 0;
}

/* A directory that was moved out of the part of its file system that is mounted. */
static bool disconnected_locked(const struct mount *m, const struct dentry *d)
{
	return m->root != m->sb->root && !dentry_is_ancestor_locked(m->root, d);
}

/* "..", under the lock. */
static int step_up(struct walk *w)
{
	struct path *cur = &w->cur;

	for (;;) {
		if (path_equal(cur, &w->root))
			return w->flags & WALK_BENEATH ? -EXDEV : 0;
		if (cur->dentry != cur->mnt->root) {
			cur->dentry = cur->dentry->parent;
			if (disconnected_locked(cur->mnt, cur->dentry))
				return -ENOENT;
			break;
		}
		if (!cur->mnt->parent)
			break;
		if (w->flags & WALK_NO_XDEV)
			return -EXDEV;
		cur->dentry = cur->mnt->mountpoint;
		cur->mnt = cur->mnt->parent;
	}
	if ((w->flags & WALK_SCOPED) && w->moves != atomic_load(&dcache_moves))
		return -EAGAIN;
	return descend(w);
}

/* Finds a name under cur through the file system; unlocked before and after. */
static int lookup_unlocked(struct walk *w, const char *name, size_t len, struct dentry **out)
{
	struct dentry *d;
	int err = dentry_lookup(w->cur.dentry, name, len, &d);

	if (err < 0)
		return err;
	if (!d->inode) {
		dentry_put(d);
		return -ENOENT;
	}
	*out = d;
	return 0;
}

static bool must_ask(const struct dentry *dir)
{
	return (dir->sb->ops && dir->sb->ops->revalidate) ||
	       atomic_load_explicit(&dir->inode->names_change, memory_order_relaxed);
}

/* A child found by the file system: follows it or moves there. Takes the reference. */
static int enter_slow(struct walk *w, struct dentry *child, bool follow)
{
	int err;

	if (follow && S_ISLNK(child->inode->mode)) {
		err = follow_link(w, child);
		dentry_put(child);
		return err;
	}
	struct path p = {w->cur.mnt, child};

	mount_get(p.mnt);
	move_to(w, &p);
	lock_walk(w);
	return descend(w);
}

/* One name below cur, a directory. Locked on entry; either on return. */
static int step_name(struct walk *w, const char *name, size_t len, bool follow)
{
	struct dentry *d =
	    must_ask(w->cur.dentry) ? NULL : dentry_find_locked(w->cur.dentry, name, len);
	int err;

	if (d && !d->inode)
		return -ENOENT;
	if (d && (!follow || !S_ISLNK(d->inode->mode))) {
		w->cur.dentry = d;
		return descend(w);
	}
	if (d && atomic_load(&d->inode->link_target) && !d->inode->ops->follow) {
		err = count_link(w, d->inode);
		if (err == 0)
			err = push_target(w, atomic_load(&d->inode->link_target),
					  inode_get(d->inode), NULL);
		if (err == 1)
			w->cur = w->root, err = 0;
		return err;
	}
	if (w->flags & WALK_CACHED)
		return -EAGAIN;
	unlock_walk(w);
	if (!d && w->cur.dentry->inode->ops->walk_ahead && name[len + strspn(name + len, "/")])
		w->cur.dentry->inode->ops->walk_ahead(w->cur.dentry->inode, name);
	err = lookup_unlocked(w, name, len, &d);
	return err < 0 ? err : enter_slow(w, d, follow);
}

static int check_directory(struct walk *w)
{
	struct inode *dir = w->cur.dentry->inode;

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	return inode_permission(dir, w->env->cred, 1);
}

static bool is_dots(const char *name, size_t len)
{
	return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/* Takes one component, whatever it is. Locked or not, on entry and return. */
static int take(struct walk *w, const char *name, size_t len, bool follow)
{
	int err = check_directory(w);

	if (err < 0)
		return err;
	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (!w->locked)
		lock_walk(w);
	w->ended_at_link_target = false;
	if (!is_dots(name, len))
		return step_name(w, name, len, follow);
	return len == 2 ? step_up(w) : 0;
}

/* The next component of the innermost string that has one, in w->last; false: none left. */
static bool next_component(struct walk *w)
{
	for (;;) {
		while (*w->name == '/')
			w->name++;
		if (*w->name)
			break;
		if (w->depth == 0)
			return false;
		w->name = w->rest[--w->depth];
	}
	w->last.name = w->name;
	w->last.len = strcspn(w->name, "/");
	w->name += w->last.len;
	return true;
}

/* Nothing but slashes behind the component in w->last? */
static bool at_last(struct walk *w)
{
	for (int i = -1; i < w->depth; i++) {
		const char *s = i < 0 ? w->name : w->rest[i];

		if (*s == '/')
			w->last.trailing_slash = true;
		if (s[strspn(s, "/")])
			return false;
	}
	return true;
}

static bool below_root_locked(const struct walk *w)
{
	const struct dentry *d = w->cur.dentry;
	const struct mount *m = w->cur.mnt;

	for (; m != w->root.mnt; m = m->parent) {
		if (!m->parent)
			return false;
		d = m->mountpoint;
	}
	return dentry_is_ancestor_locked(w->root.dentry, d);
}

/* The walk has arrived: it may be locked before, and is not afterwards. */
static int arrive(struct walk *w)
{
	bool inside = true;

	if (w->flags & WALK_SCOPED) {
		if (!w->locked)
			lock_walk(w);
		inside = below_root_locked(w);
	}
	if (w->locked)
		unlock_walk(w);
	return inside ? 0 : -EXDEV;
}

int walk_to_last(struct walk *w)
{
	int err;

	w->trailing = false;
	for (;;) {
		if (!next_component(w)) {
			w->last.len = 0;
			break;
		}
		w->last.trailing_slash = false;
		if (at_last(w)) {
			err = check_directory(w);
			if (err < 0)
				return err;
			if (w->last.len > NAME_MAX_LEN)
				return -ENAMETOOLONG;
			break;
		}
		err = take(w, w->last.name, w->last.len, true);
		if (err < 0)
			return err;
	}
	return arrive(w);
}

int walk_dots(struct walk *w)
{
	int err = take(w, w->last.name, w->last.len, false);

	return err < 0 ? err : arrive(w);
}

/* The whole walk to an existing object, without stopping before the last component. */
static int walk_all(struct walk *w)
{
	bool follow_last = w->flags & WALK_FOLLOW;
	bool slash = false;
	int err;

	while (next_component(w)) {
		w->last.trailing_slash = false;
		w->trailing = at_last(w);
		slash |= w->trailing && w->last.trailing_slash;
		err = take(w, w->last.name, w->last.len, !w->trailing || follow_last || slash);
		if (err < 0)
			return err;
	}
	if ((slash || (w->flags & WALK_DIRECTORY)) && !S_ISDIR(w->cur.dentry->inode->mode))
		return -ENOTDIR;
	return arrive(w);
}

/* Hands the place out; the walk keeps nothing. */
static void take_result(struct walk *w, struct path *out)
{
	*out = w->held;
	w->held = w->cur = (struct path){NULL, NULL};
}

int path_walk(const struct walk_env *env, const struct path *base, const char *name,
	      unsigned int flags, struct path *out)
{
	struct walk w;
	int err = walk_begin(&w, env, base, name, flags);

	if (err == 0)
		err = walk_all(&w);
	if (err == 0)
		take_result(&w, out);
	walk_end(&w);
	return err;
}

int path_walk_parent(const struct walk_env *env, const struct path *base, const char *name,
		     unsigned int flags, struct path *out, struct last_component *last)
{
	struct walk w;
	int err = walk_begin(&w, env, base, name, flags & ~(unsigned int)WALK_EMPTY_PATH);

	if (err == 0)
		err = walk_to_last(&w);
	if (err == 0) {
		/* Without following the last component it always lies in `name`. */
		*last = w.last;
		take_result(&w, out);
	}
	walk_end(&w);
	return err;
}
