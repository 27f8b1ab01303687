/*
 * Names. An upper entry shadows a lower one; two directories are merged. The
 * lower tree may be remote, so it is only asked where the upper one does not
 * answer alone, and not under overlay_sb.lock.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/overlay/internal.h"

static int lower_lookup(struct overlay_inode *dir, const char *name, size_t len, struct inode **out)
{
	struct lock_layer layer;
	int err;

	*out = NULL;
	if (!dir->lower)
		return -ENOENT;
	lock_layer_enter(&layer);
	err = real_lookup(dir->lower, name, len, out);
	lock_layer_leave(&layer);
	if (err)
		*out = NULL;
	return err;
}

/* What the upper directory says: an inode, or NULL for "nothing"; -ENOENT for a whiteout. */
static int upper_lookup(struct overlay_inode *dir, const char *name, size_t len, struct inode **out)
{
	int err;

	*out = NULL;
	if (!upper_of(dir))
		return 0;
	err = real_lookup(upper_of(dir), name, len, out);
	if (err) {
		*out = NULL;
		return err == -ENOENT ? 0 : err;
	}
	return is_whiteout(*out) ? -ENOENT : 0;
}

/* Is the name settled by its upper entry alone, whatever lies below? */
static bool settled(struct overlay_sb *ov, const struct inode *upper)
{
	return upper && (!S_ISDIR(upper->mode) || overlay_knows_upper(ov, upper));
}

/* Decides under the lock. `lower` is taken; `asked`: it is known. -EAGAIN: it must be. */
static int lookup_decide(struct overlay_inode *dir, const char *name, size_t len,
			 struct inode *lower, bool asked, struct overlay_inode **out)
{
	struct overlay_sb *ov = overlay_sb(&dir->inode);
	struct overlay_section s;
	struct inode *upper;
	int err;

	section_begin(&s, ov);
	err = upper_lookup(dir, name, len, &upper);
	if (!err && !asked && dir->lower && !settled(ov, upper))
		err = -EAGAIN;
	if (!err && !upper && !lower)
		err = -ENOENT;
	if (!err) {
		if (upper && lower &&
		    (!S_ISDIR(upper->mode) || !S_ISDIR(lower->mode) || is_opaque(ov, upper))) {
			section_drop(&s, lower);
			lower = NULL;
		}
		err = overlay_iget(&s, dir, name, len, lower, upper, out);
		lower = upper = NULL;
	}
	if (upper)
		section_drop(&s, upper);
	if (lower)
		section_drop(&s, lower);
	section_end(&s);
	return err;
}

int overlay_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct overlay_inode *d = overlay_inode(dir), *found;
	struct inode *lower = NULL;
	int err = -EAGAIN;

	if (upper_of(d))
		err = lookup_decide(d, name, len, NULL, false, &found);
	if (err == -EAGAIN) {
		err = lower_lookup(d, name, len, &lower);
		if (!err || err == -ENOENT)
			err = lookup_decide(d, name, len, lower, true, &found);
	}
	if (!err)
		*out = &found->inode;
	return err;
}

void overlay_walk_ahead(struct inode *dir, const char *rest)
{
	struct inode *lower = overlay_inode(dir)->lower;

	if (lower && lower->ops->walk_ahead)
		lower->ops->walk_ahead(lower, rest);
}

/* Does the lower directory have the name? Inside a section. */
static int lower_has(struct overlay_inode *dir, const char *name, size_t len)
{
	struct inode *lower;
	int err;

	if (!dir->lower)
		return 0;
	err = real_lookup(dir->lower, name, len, &lower);
	if (!err)
		inode_put(lower);
	return err == -ENOENT ? 0 : err ? err : 1;
}

static int put_whiteout(struct overlay_inode *dir, const char *name, size_t len)
{
	const struct new_inode whiteout = {.mode = S_IFCHR};
	struct inode *made;
	int err = real_create(upper_of(dir), name, len, &whiteout, &made);

	if (!err)
		inode_put(made);
	return err;
}

/* 1: there was one. */
static int remove_whiteout(struct overlay_inode *dir, const char *name, size_t len)
{
	struct inode *there;
	int err = real_lookup(upper_of(dir), name, len, &there);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = is_whiteout(there) ? real_remove(upper_of(dir), name, len, there) : -EEXIST;
	inode_put(there);
	return err ? err : 1;
}

/* Attributes of a directory whose entries changed; its dir_lock is held. */
static void refresh(struct inode *inode)
{
	SCOPED_LOCK(&inode->data_lock);
	(void)!overlay_refresh_locked(overlay_inode(inode));
}

/* ------------------------------------------------------------ making */

/* Clears the place, makes the entry by `make`, restores the whiteout if that failed. */
static int at_free_name(struct overlay_section *s, struct overlay_inode *dir, const char *name,
			size_t len,
			int (*make)(struct inode *updir, const char *name, size_t len, void *arg),
			void *arg)
{
	int err = copy_up(s, dir, 0), had;

	if (err)
		return err;
	had = remove_whiteout(dir, name, len);
	if (had < 0)
		return had;
	err = make(upper_of(dir), name, len, arg);
	if (err && had)
		(void)!put_whiteout(dir, name, len);
	return err;
}

struct making {
	const struct overlay_sb *ov;
	const struct new_inode *new;
	struct inode *made;
};

static int make_inode(struct inode *updir, const char *name, size_t len, void *arg)
{
	struct making *m = arg;

	return real_create(updir, name, len, m->new, &m->made);
}

/* A directory in a persistent upper tree: what was there before must not shine through. */
static int make_opaque_dir(struct inode *updir, const char *name, size_t len, void *arg)
{
	struct making *m = arg;
	int err = make_inode(updir, name, len, arg);

	if (err)
		return err;
	err = set_opaque(m->ov, m->made);
	if (err) {
		(void)!real_remove(updir, name, len, m->made);
		inode_put(m->made);
	}
	return err;
}

int overlay_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		   struct inode **out)
{
	struct overlay_inode *d = overlay_inode(dir), *oi = NULL;
	struct making m = {.ov = overlay_sb(dir), .new = new};
	bool may_hide = S_ISDIR(new->mode) && d->lower && m.ov->persistent;
	struct overlay_section s;
	int err;

	if (S_ISCHR(new->mode) && new->rdev == 0)
		return -EPERM; /* it would be a whiteout */
	section_begin(&s, overlay_sb(dir));
	err = at_free_name(&s, d, name, len, may_hide ? make_opaque_dir : make_inode, &m);
	if (!err)
		err = overlay_iget(&s, d, name, len, NULL, m.made, &oi);
	section_end(&s);
	if (err)
		return err;
	refresh(dir);
	*out = &oi->inode;
	return 0;
}

int overlay_tmpfile(struct inode *dir, const struct new_inode *new, struct inode **out)
{
	struct overlay_inode *d = overlay_inode(dir), *oi = NULL;
	struct overlay_section s;
	struct inode *updir, *made;
	int err;

	section_begin(&s, overlay_sb(dir));
	err = copy_up(&s, d, 0);
	updir = upper_of(d);
	if (!err)
		err = updir->ops->tmpfile ? 0 : -EOPNOTSUPP;
	if (!err) {
		mutex_lock(&updir->dir_lock);
		err = updir->ops->tmpfile(updir, new, &made);
		mutex_unlock(&updir->dir_lock);
	}
	if (!err)
		err = overlay_iget(&s, NULL, NULL, 0, NULL, made, &oi);
	if (!err)
		overlay_unpin(&s, oi); /* it has no name */
	section_end(&s);
	if (!err)
		*out = &oi->inode;
	return err;
}

static int make_link(struct inode *updir, const char *name, size_t len, void *arg)
{
	return real_link(updir, name, len, upper_of(arg));
}

int overlay_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	struct overlay_inode *d = overlay_inode(dir), *t = overlay_inode(target);
	struct overlay_section s;
	int err;

	section_begin(&s, overlay_sb(dir));
	err = copy_up(&s, t, UINT64_MAX);
	if (!err)
		err = at_free_name(&s, d, name, len, make_link, t);
	if (!err) {
		overlay_set_place(&s, t, d, name, len);
		overlay_pin(t);
	}
	section_end(&s);
	if (err)
		return err;
	refresh(dir);
	SCOPED_LOCK(&target->data_lock);
	target->nlink++;
	return overlay_refresh_locked(t);
}

/* ------------------------------------------------------------ removing */

/* The entry goes from the upper directory if it is there; a whiteout comes if it must. */
static int remove_entry(struct overlay_section *s, struct overlay_inode *dir, const char *name,
			size_t len)
{
	struct inode *upper;
	int err = copy_up(s, dir, 0), below;

	if (err)
		return err;
	below = lower_has(dir, name, len);
	if (below < 0)
		return below;
	err = upper_lookup(dir, name, len, &upper);
	if (err)
		return err;
	if (upper) {
		err = real_remove(upper_of(dir), name, len, upper);
		section_drop(s, upper);
	}
	if (!err && below)
		err = put_whiteout(dir, name, len);
	return err;
}

static void forget_place(struct overlay_section *s, struct overlay_inode *oi,
			 struct overlay_inode *dir, const char *name, size_t len)
{
	if (oi->parent == dir && oi->name && strlen(oi->name) == len &&
	    !memcmp(oi->name, name, len))
		overlay_set_place(s, oi, NULL, NULL, 0);
}

/* One name of the victim is gone; its data_lock must not be held. */
static void lost_a_name(struct overlay_inode *victim)
{
	struct inode *inode = &victim->inode;

	SCOPED_LOCK(&inode->data_lock);
	if (S_ISDIR(inode->mode))
		inode->nlink = 0;
	else if (inode->nlink)
		inode->nlink--;
}

/* A file that lost a name is remembered while it has others, for its link count. */
static void pin_while_named(struct overlay_inode *victim)
{
	struct overlay_section s;

	section_begin(&s, overlay_sb(&victim->inode));
	if (victim->inode.nlink)
		overlay_pin(victim);
	else
		overlay_unpin(&s, victim);
	section_end(&s);
}

static int remove_name(struct inode *dir, const char *name, size_t len, struct inode *victim,
		       bool is_dir)
{
	struct overlay_inode *d = overlay_inode(dir), *v = overlay_inode(victim);
	struct overlay_section s;
	int err;

	section_begin(&s, overlay_sb(dir));
	err = is_dir ? overlay_clear_dir(&s, v) : 0;
	if (!err)
		err = remove_entry(&s, d, name, len);
	if (!err)
		forget_place(&s, v, d, name, len);
	section_end(&s);
	if (err)
		return err;
	lost_a_name(v);
	pin_while_named(v);
	refresh(dir);
	return 0;
}

int overlay_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return remove_name(dir, name, len, victim, false);
}

int overlay_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return remove_name(dir, name, len, victim, true);
}

/* ------------------------------------------------------------ renaming */

struct renaming {
	struct overlay_section s;
	struct overlay_inode *from_dir, *to_dir, *moved, *replaced;
	const char *from, *to;
	size_t from_len, to_len;
	unsigned int flags;
};

/* A directory that goes to `name` in `dir` of a persistent overlay must bring all it has with it,
 * and hide what it does not have. */
static int may_move(const struct overlay_inode *oi, struct overlay_inode *dir, const char *name,
		    size_t len)
{
	int below;

	if (!overlay_sb(&oi->inode)->persistent || !S_ISDIR(oi->inode.mode))
		return 0;
	if (oi->lower)
		return -EXDEV;
	below = lower_has(dir, name, len);
	return below > 0 ? set_opaque(overlay_sb(&oi->inode), upper_of(oi)) : below;
}

/* The upper trees of everything involved exist after this. */
static int rename_prepare(struct renaming *r)
{
	int err = may_move(r->moved, r->to_dir, r->to, r->to_len);

	if (!err && r->flags & RENAME_EXCHANGE)
		err = may_move(r->replaced, r->from_dir, r->from, r->from_len);
	if (!err)
		err = copy_up(&r->s, r->moved, UINT64_MAX);
	if (!err)
		err = copy_up(&r->s, r->from_dir, 0);
	if (!err)
		err = copy_up(&r->s, r->to_dir, 0);
	if (!err && r->flags & RENAME_EXCHANGE)
		err = copy_up(&r->s, r->replaced, UINT64_MAX);
	if (!err && r->replaced && !(r->flags & RENAME_EXCHANGE) &&
	    S_ISDIR(r->replaced->inode.mode))
		err = overlay_clear_dir(&r->s, r->replaced);
	return err;
}

/* A copied-up file of several lower names has its upper entry under one of them only; the name
 * at hand gets one before it is moved. */
static int ensure_entry(struct overlay_inode *dir, const char *name, size_t len,
			struct overlay_inode *oi)
{
	struct inode *there;
	int err = real_lookup(upper_of(dir), name, len, &there);

	if (!err)
		inode_put(there);
	return err == -ENOENT ? real_link(upper_of(dir), name, len, upper_of(oi)) : err;
}

static int upper_rename(struct renaming *r, unsigned int flags)
{
	struct inode *there = NULL;
	int err = ensure_entry(r->from_dir, r->from, r->from_len, r->moved);

	if (!err && flags & RENAME_EXCHANGE)
		err = ensure_entry(r->to_dir, r->to, r->to_len, r->replaced);
	if (err)
		return err;
	err = real_lookup(upper_of(r->to_dir), r->to, r->to_len, &there);
	if (err && err != -ENOENT)
		return err;
	if (err)
		there = NULL;
	err = real_rename(upper_of(r->from_dir), r->from, r->from_len, upper_of(r->to_dir), r->to,
			  r->to_len, upper_of(r->moved), there, flags);
	if (there)
		section_drop(&r->s, there);
	return err;
}

static int rename_move(struct renaming *r)
{
	int had, below, err;

	below = lower_has(r->from_dir, r->from, r->from_len);
	if (below < 0)
		return below;
	had =
	    r->replaced && upper_of(r->replaced) ? 0 : remove_whiteout(r->to_dir, r->to, r->to_len);
	if (had < 0 && had != -EEXIST)
		return had;
	err = upper_rename(r, 0);
	if (err && had > 0)
		(void)!put_whiteout(r->to_dir, r->to, r->to_len);
	if (!err && (below || r->flags & RENAME_WHITEOUT))
		err = put_whiteout(r->from_dir, r->from, r->from_len);
	return err;
}

static int rename_locked(struct renaming *r)
{
	int err = rename_prepare(r);

	if (!err)
		err =
		    r->flags & RENAME_EXCHANGE ? upper_rename(r, RENAME_EXCHANGE) : rename_move(r);
	if (err)
		return err;
	if (r->flags & RENAME_EXCHANGE)
		overlay_set_place(&r->s, r->replaced, r->from_dir, r->from, r->from_len);
	else if (r->replaced)
		forget_place(&r->s, r->replaced, r->to_dir, r->to, r->to_len);
	overlay_set_place(&r->s, r->moved, r->to_dir, r->to, r->to_len);
	return 0;
}

int overlay_rename(struct inode *old_dir, const char *old_name, size_t old_len,
		   struct inode *new_dir, const char *new_name, size_t new_len, struct inode *moved,
		   struct inode *replaced, unsigned int flags)
{
	struct renaming r = {
	    .from_dir = overlay_inode(old_dir),
	    .to_dir = overlay_inode(new_dir),
	    .moved = overlay_inode(moved),
	    .replaced = replaced ? overlay_inode(replaced) : NULL,
	    .from = old_name,
	    .from_len = old_len,
	    .to = new_name,
	    .to_len = new_len,
	    .flags = flags,
	};
	int err;

	section_begin(&r.s, overlay_sb(old_dir));
	err = rename_locked(&r);
	section_end(&r.s);
	if (err)
		return err;
	if (replaced && !(flags & RENAME_EXCHANGE)) {
		lost_a_name(r.replaced);
		pin_while_named(r.replaced);
	}
	refresh(old_dir);
	if (new_dir != old_dir)
		refresh(new_dir);
	return 0;
}
