/*
 * tmpfs directories. Names are found by a hash table; readdir goes by cookies,
 * which only rise, so a cookie stays right whatever is removed: the slots are
 * sorted by cookie, and where a removed entry's slot was closed up the search
 * lands on its successor.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define FIRST_COOKIE 3 /* 1 and 2 are "." and ".." */
#define ENTRY_SIZE 20  /* what an entry adds to the directory's size, as in Linux */

void tmpfs_dir_init(struct tmpfs_dir *dir)
{
	memset(dir, 0, sizeof(*dir));
	dir->next_cookie = FIRST_COOKIE;
}

struct tmpfs_entry *tmpfs_dir_find(struct tmpfs_dir *dir, const char *name, size_t len)
{
	uint32_t hash = dentry_hash_name(name, len);
	struct tmpfs_entry *e = dir->nbuckets ? dir->buckets[hash & (dir->nbuckets - 1)] : NULL;

	while (e && (e->hash != hash || e->len != len || memcmp(e->name, name, len)))
		e = e->hash_next;
	return e;
}

static int grow_buckets(struct tmpfs_dir *dir)
{
	size_t n = dir->nbuckets ? 4 * dir->nbuckets : 8;
	struct tmpfs_entry **buckets = charged_calloc(n, sizeof(struct tmpfs_entry *));

	if (!buckets)
		return -ENOSPC;
	for (size_t i = 0; i < dir->nbuckets; i++)
		for (struct tmpfs_entry *e = dir->buckets[i], *next; e; e = next) {
			next = e->hash_next;
			e->hash_next = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	charged_free(dir->buckets);
	dir->buckets = buckets;
	dir->nbuckets = n;
	return 0;
}

static void close_up_slots(struct tmpfs_dir *dir)
{
	size_t to = 0;

	for (size_t i = 0; i < dir->nslots; i++)
		if (dir->slots[i].entry) {
			dir->slots[to] = dir->slots[i];
			dir->slots[to].entry->slot = to;
			to++;
		}
	dir->nslots = to;
}

static int room_for_slot(struct tmpfs_dir *dir)
{
	size_t size = max(2 * dir->slots_size, (size_t)8);
	struct tmpfs_slot *slots;

	if (dir->nslots < dir->slots_size)
		return 0;
	if (dir->live < dir->nslots / 2) {
		close_up_slots(dir);
		return 0;
	}
	slots = charged_calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOSPC;
	if (dir->nslots)
		memcpy(slots, dir->slots, dir->nslots * sizeof(*slots));
	charged_free(dir->slots);
	dir->slots = slots;
	dir->slots_size = size;
	return 0;
}

int tmpfs_dir_add(struct tmpfs_dir *dir, const char *name, size_t len, struct tmpfs_node *node)
{
	struct tmpfs_entry *e, **bucket;

	if (dir->live >= dir->nbuckets && grow_buckets(dir) < 0)
		return -ENOSPC;
	if (room_for_slot(dir) < 0)
		return -ENOSPC;
	e = charged_alloc(sizeof(*e) + len + 1);
	if (!e)
		return -ENOSPC;
	memcpy(e->name, name, len);
	e->len = (uint8_t)len;
	e->hash = dentry_hash_name(name, len);
	e->node = node;
	inode_get(&node->inode);
	bucket = &dir->buckets[e->hash & (dir->nbuckets - 1)];
	e->hash_next = *bucket;
	*bucket = e;
	e->slot = dir->nslots;
	dir->slots[dir->nslots++] = (struct tmpfs_slot){dir->next_cookie++, e};
	dir->live++;
	return 0;
}

struct tmpfs_node *tmpfs_dir_remove(struct tmpfs_dir *dir, struct tmpfs_entry *e)
{
	struct tmpfs_entry **p = &dir->buckets[e->hash & (dir->nbuckets - 1)];
	struct tmpfs_node *node = e->node;

	while (*p != e)
		p = &(*p)->hash_next;
	*p = e->hash_next;
	dir->slots[e->slot].entry = NULL;
	dir->live--;
	while (dir->nslots && !dir->slots[dir->nslots - 1].entry)
		dir->nslots--;
	charged_free(e);
	return node;
}

void tmpfs_dir_free(struct tmpfs_dir *dir)
{
	for (size_t i = 0; i < dir->nslots; i++)
		if (dir->slots[i].entry) {
			inode_put(&dir->slots[i].entry->node->inode);
			charged_free(dir->slots[i].entry);
		}
	charged_free(dir->slots);
	charged_free(dir->buckets);
}

/* --- inode operations ------------------------------------------------------------------- */

static struct tmpfs_dir *dir_of(struct inode *inode)
{
	return &tmpfs_node_of(inode)->dir;
}

static void touch(struct inode *inode)
{
	SCOPED_LOCK(&inode->data_lock);
	inode->mtime = inode->ctime = inode_now();
	inode->size = 40 + ENTRY_SIZE * dir_of(inode)->live;
}

static void touch_ctime(struct inode *inode)
{
	SCOPED_LOCK(&inode->data_lock);
	inode->ctime = inode_now();
}

static int tmpfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	SCOPED_LOCK(&tmpfs_sb_of(dir)->tree);
	struct tmpfs_entry *e = tmpfs_dir_find(dir_of(dir), name, len);

	if (!e)
		return -ENOENT;
	*out = inode_get(&e->node->inode);
	return 0;
}

/* A directory that was removed takes no names (nlink 0 marks it). */
static int add_name(struct inode *dir, const char *name, size_t len, struct tmpfs_node *node)
{
	bool is_dir = S_ISDIR(node->inode.mode);
	int err;

	mutex_lock(&tmpfs_sb_of(dir)->tree);
	if (dir->nlink == 0)
		err = -ENOENT;
	else if (tmpfs_dir_find(dir_of(dir), name, len))
		err = -EEXIST;
	else
		err = tmpfs_dir_add(dir_of(dir), name, len, node);
	if (err == 0 && is_dir)
		dir->nlink++;
	mutex_unlock(&tmpfs_sb_of(dir)->tree);
	if (err == 0)
		touch(dir);
	return err;
}

static int tmpfs_create(struct inode *dir, const char *name, size_t len,
			const struct new_inode *new, struct inode **out)
{
	struct tmpfs_node *node;
	int err = tmpfs_node_new(tmpfs_sb_of(dir), new, &node);

	if (err < 0)
		return err;
	err = add_name(dir, name, len, node);
	if (err < 0) {
		inode_put(&node->inode);
		return err;
	}
	*out = &node->inode;
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, const struct new_inode *new, struct inode **out)
{
	struct tmpfs_node *node;
	int err = tmpfs_node_new(tmpfs_sb_of(dir), new, &node);

	if (err < 0)
		return err;
	node->inode.nlink = 0;
	*out = &node->inode;
	return 0;
}

static int tmpfs_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	int err = add_name(dir, name, len, tmpfs_node_of(target));

	if (err < 0)
		return err;
	mutex_lock(&tmpfs_sb_of(dir)->tree);
	target->nlink++;
	mutex_unlock(&tmpfs_sb_of(dir)->tree);
	touch_ctime(target);
	return 0;
}

/* The name must be that of victim; under tree. */
static struct tmpfs_entry *entry_of(struct inode *dir, const char *name, size_t len,
				    const struct inode *victim)
{
	struct tmpfs_entry *e = tmpfs_dir_find(dir_of(dir), name, len);

	return e && &e->node->inode == victim ? e : NULL;
}

static int tmpfs_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	struct tmpfs_node *node = NULL;
	struct tmpfs_entry *e;

	mutex_lock(&tmpfs_sb_of(dir)->tree);
	e = entry_of(dir, name, len, victim);
	if (e) {
		node = tmpfs_dir_remove(dir_of(dir), e);
		victim->nlink--;
	}
	mutex_unlock(&tmpfs_sb_of(dir)->tree);
	if (!node)
		return -ENOENT;
	touch(dir);
	touch_ctime(victim);
	inode_put(&node->inode);
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	struct tmpfs_node *node;
	struct tmpfs_entry *e;

	mutex_lock(&tmpfs_sb_of(dir)->tree);
	e = entry_of(dir, name, len, victim);
	if (!e || dir_of(victim)->live) {
		mutex_unlock(&tmpfs_sb_of(dir)->tree);
		return e ? -ENOTEMPTY : -ENOENT;
	}
	node = tmpfs_dir_remove(dir_of(dir), e);
	victim->nlink = 0;
	dir->nlink--;
	mutex_unlock(&tmpfs_sb_of(dir)->tree);
	touch(dir);
	inode_put(&node->inode);
	return 0;
}

/* --- rename ------------------------------------------------------------------------------- */

struct move {
	struct inode *old_dir, *new_dir, *moved, *replaced;
	const char *old_name, *new_name;
	size_t old_len, new_len;
	struct tmpfs_node *dropped; /* its reference is to be put after unlocking */
	struct tmpfs_node *whiteout;
};

static void parents_changed(struct move *m, const struct inode *inode)
{
	if (!S_ISDIR(inode->mode) || m->old_dir == m->new_dir)
		return;
	m->old_dir->nlink--;
	m->new_dir->nlink++;
}

static int exchange_locked(struct move *m)
{
	struct tmpfs_entry *a = entry_of(m->old_dir, m->old_name, m->old_len, m->moved);
	struct tmpfs_entry *b = entry_of(m->new_dir, m->new_name, m->new_len, m->replaced);
	struct tmpfs_node *node;

	if (!a || !b)
		return -ENOENT;
	node = a->node;
	a->node = b->node;
	b->node = node;
	parents_changed(m, m->moved);
	if (S_ISDIR(m->replaced->mode) && m->old_dir != m->new_dir) {
		m->old_dir->nlink++;
		m->new_dir->nlink--;
	}
	return 0;
}

/* The target's entry, if there is one, is reused, so that a failure leaves all as it was. */
static int move_locked(struct move *m)
{
	struct tmpfs_entry *from = entry_of(m->old_dir, m->old_name, m->old_len, m->moved), *to;
	int err;

	if (!from || m->new_dir->nlink == 0)
		return -ENOENT;
	to = tmpfs_dir_find(dir_of(m->new_dir), m->new_name, m->new_len);
	if (to && (!m->replaced || &to->node->inode != m->replaced))
		return -ESTALE;
	if (to && S_ISDIR(m->replaced->mode) && dir_of(m->replaced)->live)
		return -ENOTEMPTY;
	if (to) {
		m->dropped = to->node;
		to->node = tmpfs_node_of(m->moved);
		inode_get(m->moved);
		if (S_ISDIR(m->replaced->mode)) {
			m->replaced->nlink = 0;
			m->new_dir->nlink--;
		} else {
			m->replaced->nlink--;
		}
	} else {
		err = tmpfs_dir_add(dir_of(m->new_dir), m->new_name, m->new_len,
				    tmpfs_node_of(m->moved));
		if (err < 0)
			return err;
	}
	if (m->whiteout) {
		from->node = m->whiteout;
		inode_get(&m->whiteout->inode);
	} else {
		tmpfs_dir_remove(dir_of(m->old_dir), from);
	}
	parents_changed(m, m->moved);
	return 0;
}

static int make_whiteout(struct inode *dir, struct tmpfs_node **out)
{
	struct new_inode new = {.mode = S_IFCHR};

	return tmpfs_node_new(tmpfs_sb_of(dir), &new, out);
}

static void renamed(struct move *m, bool exchange)
{
	touch(m->old_dir);
	touch(m->new_dir);
	touch_ctime(m->moved);
	if (m->replaced)
		touch_ctime(m->replaced);
	/* The reference that the old name held; with an exchange none went. */
	if (!exchange)
		inode_put(m->moved);
	if (m->dropped)
		inode_put(&m->dropped->inode);
}

static int tmpfs_rename(struct inode *old_dir, const char *old_name, size_t old_len,
			struct inode *new_dir, const char *new_name, size_t new_len,
			struct inode *moved, struct inode *replaced, unsigned int flags)
{
	struct move m = {.old_dir = old_dir,
			 .new_dir = new_dir,
			 .moved = moved,
			 .replaced = replaced,
			 .old_name = old_name,
			 .old_len = old_len,
			 .new_name = new_name,
			 .new_len = new_len};
	int err = flags & RENAME_WHITEOUT ? make_whiteout(old_dir, &m.whiteout) : 0;

	if (err < 0)
		return err;
	mutex_lock(&tmpfs_sb_of(old_dir)->tree);
	err = flags & RENAME_EXCHANGE ? exchange_locked(&m) : move_locked(&m);
	mutex_unlock(&tmpfs_sb_of(old_dir)->tree);
	if (err == 0)
		renamed(&m, flags & RENAME_EXCHANGE);
	if (m.whiteout)
		inode_put(&m.whiteout->inode);
	return err;
}

/* --- reading -------------------------------------------------------------------------------- */

static int open_dir(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out)
{
	struct file *f = NEW(struct file);

	file_init(f, &tmpfs_dir_ops, inode, path, cred, flags);
	f->caps = FILE_CAN_SEEK;
	*out = f;
	return 0;
}

static void release_dir(struct file *f)
{
	file_fini(f);
	free(f);
}

/* The first slot whose cookie is not below. */
static size_t slot_at(const struct tmpfs_dir *dir, uint64_t cookie)
{
	size_t low = 0, high = dir->nslots;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (dir->slots[mid].cookie < cookie)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int tmpfs_readdir(struct file *f, struct dirent_sink *sink)
{
	struct tmpfs_dir *dir = dir_of(f->inode);

	if (!dir_emit_dots(f, sink))
		return 0;
	SCOPED_LOCK(&tmpfs_sb_of(f->inode)->tree);
	/* f->pos is the cookie of the next entry, or 2 at the start: a cookie points behind its
	 * entry. */
	for (size_t i = slot_at(dir, max((uint64_t)f->pos, (uint64_t)FIRST_COOKIE));
	     i < dir->nslots; i++) {
		struct tmpfs_entry *e = dir->slots[i].entry;
		off_t next = (off_t)dir->slots[i].cookie + 1;

		if (!e)
			continue;
		if (!sink->emit(sink, e->name, e->len, e->node->inode.ino,
				(unsigned char)IFTODT(e->node->inode.mode), next))
			break;
		f->pos = next;
	}
	return 0;
}

static off_t seek_dir(struct file *f, off_t offset, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	return file_set_pos(f, whence == SEEK_CUR ? f->pos + offset : offset);
}

const struct file_ops tmpfs_dir_ops = {
    .seek = seek_dir,
    .readdir = tmpfs_readdir,
    .release = release_dir,
};

const struct inode_ops tmpfs_dir_inode_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    .setattr = tmpfs_setattr,
    .open = open_dir,
    .xattr = &tmpfs_xattr_ops,
    .release = tmpfs_inode_release,
};
