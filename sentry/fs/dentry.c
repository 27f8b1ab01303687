/* The dentry cache; see dentry.h for the rules. */
#include "sentry/fs/dentry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/core/account.h"
#include "sentry/fs/inotify.h"

#define HASH_BUCKETS 8192
#define DEFAULT_LIMIT 12000
#define EVICT_BATCH 64

struct mutex dcache_lock = MUTEX_INIT(RANK_DCACHE);
atomic_uint_fast64_t dcache_moves;

/* guarded by dcache_lock */
static struct dentry *buckets[HASH_BUCKETS];
static struct list lru = LIST_INIT(lru); /* oldest first */
static unsigned int lru_count, lru_limit = DEFAULT_LIMIT;

uint32_t dentry_hash_name(const char *name, size_t len)
{
	uint64_t h = 0x9e3779b97f4a7c15ULL ^ len, word;

	for (; len >= 8; name += 8, len -= 8) {
		memcpy(&word, name, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, name, len);
	h = (h ^ word) * 0xff51afd7ed558ccdULL;
	return (uint32_t)(h ^ (h >> 29));
}

static struct dentry **bucket_of(const struct dentry *parent, uint32_t hash)
{
	uint64_t h = ((uintptr_t)parent >> 6) * 0x9e3779b97f4a7c15ULL;

	return &buckets[(hash ^ (uint32_t)(h >> 32)) % HASH_BUCKETS];
}

static void hash_add_locked(struct dentry *d)
{
	struct dentry **head = bucket_of(d->parent, d->hash);

	assert(!d->hash_prev);
	d->hash_next = *head;
	if (*head)
		(*head)->hash_prev = &d->hash_next;
	d->hash_prev = head;
	*head = d;
}

static void hash_del_locked(struct dentry *d)
{
	if (!d->hash_prev)
		return;
	*d->hash_prev = d->hash_next;
	if (d->hash_next)
		d->hash_next->hash_prev = d->hash_prev;
	d->hash_next = NULL;
	d->hash_prev = NULL;
}

struct dentry *dentry_find_locked(struct dentry *parent, const char *name, size_t len)
{
	uint32_t hash = dentry_hash_name(name, len);

	for (struct dentry *d = *bucket_of(parent, hash); d; d = d->hash_next)
		if (d->hash == hash && d->parent == parent && d->len == len &&
		    !memcmp(d->name, name, len)) {
			d->flags |= DENTRY_REFERENCED;
			return d;
		}
	return NULL;
}

struct dentry *dentry_get(struct dentry *d)
{
	atomic_fetch_add_explicit(&d->count, 1, memory_order_relaxed);
	return d;
}

static void lru_add_locked(struct dentry *d)
{
	if (list_linked(&d->lru))
		return;
	list_add_tail(&lru, &d->lru);
	lru_count++;
}

static void lru_del_locked(struct dentry *d)
{
	if (!list_linked(&d->lru))
		return;
	list_del(&d->lru);
	lru_count--;
}

/* Nobody uses d any more: takes it out of the tree. Its memory goes to `dead`, linked by lru. */
static void kill_locked(struct dentry *d, struct list *dead)
{
	while (d) {
		struct dentry *parent = d->parent != d ? d->parent : NULL;

		hash_del_locked(d);
		lru_del_locked(d);
		list_del(&d->sibling);
		list_add_tail(dead, &d->lru);
		d->flags |= DENTRY_KILLED;
		d = NULL;
		if (parent && atomic_fetch_sub(&parent->count, 1) == 1) {
			if (parent->hash_prev && !(parent->sb->flags & SB_NO_CACHE))
				lru_add_locked(parent);
			else
				d = parent;
		}
	}
}

static void evict_locked(struct list *dead, unsigned int keep, unsigned int budget)
{
	while (lru_count > keep && budget-- > 0) {
		struct dentry *d = list_first(&lru, struct dentry, lru);

		lru_del_locked(d);
		if (atomic_load(&d->count))
			continue; /* in use; its last put brings it back */
		if (d->flags & DENTRY_REFERENCED) {
			d->flags &= (uint8_t)~DENTRY_REFERENCED;
			lru_add_locked(d);
			continue;
		}
		kill_locked(d, dead);
	}
}

/* Its last name is gone and nobody has it open by that name. */
static void inode_unnamed(struct inode *inode)
{
	if (atomic_load(&inode->watch_count))
		inotify_inode_gone(inode);
}

static void free_dead(struct list *dead)
{
	while (!list_empty(dead)) {
		struct dentry *d = list_first(dead, struct dentry, lru);

		list_del(&d->lru);
		if (d->inode) {
			if (d->inode->nlink == 0)
				inode_unnamed(d->inode);
			inode_put(d->inode);
		}
		if (d->name != d->short_name)
			charged_free(d->name);
		charged_free(d);
	}
}

static void put_locked(struct dentry *d, struct list *dead)
{
	unsigned int old = atomic_fetch_sub_explicit(&d->count, 1, memory_order_acq_rel);

	assert(old > 0);
	if (old > 1)
		return;
	/* Where names are not cached only mountpoints and their ancestors are hashed. */
	if (!d->hash_prev || (d->sb->flags & SB_NO_CACHE))
		kill_locked(d, dead);
	else
		lru_add_locked(d);
	if (lru_count > lru_limit)
		evict_locked(dead, lru_limit - min(lru_limit, (unsigned int)EVICT_BATCH),
			     4 * EVICT_BATCH);
}

void dentry_put(struct dentry *d)
{
	unsigned int n = atomic_load_explicit(&d->count, memory_order_relaxed);
	struct list dead = LIST_INIT(dead);

	while (n > 1)
		if (atomic_compare_exchange_weak(&d->count, &n, n - 1))
			return;
	mutex_lock(&dcache_lock);
	put_locked(d, &dead);
	mutex_unlock(&dcache_lock);
	free_dead(&dead);
}

static void set_name(struct dentry *d, const char *name, size_t len)
{
	d->name = len < DENTRY_SHORT_NAME ? d->short_name : charged_always(len + 1);
	memcpy(d->name, name, len);
	d->name[len] = '\0';
	d->len = (uint8_t)len;
	d->hash = dentry_hash_name(name, len);
}

/* With one reference, in no tree yet. */
static struct dentry *dentry_new(struct superblock *sb, const char *name, size_t len,
				 struct inode *inode)
{
	struct dentry *d = CHARGED_NEW(struct dentry);

	atomic_init(&d->count, 1);
	d->sb = sb;
	d->inode = inode ? inode_get(inode) : NULL;
	list_init(&d->children);
	list_init(&d->sibling);
	list_init(&d->lru);
	set_name(d, name, len);
	return d;
}

struct dentry *dentry_new_root(struct superblock *sb, struct inode *inode)
{
	struct dentry *d = dentry_new(sb, "/", 1, inode);

	d->parent = d;
	return d;
}

static void attach_locked(struct dentry *d, struct dentry *parent, bool hash)
{
	d->parent = dentry_get(parent);
	list_add(&parent->children, &d->sibling);
	if (hash)
		hash_add_locked(d);
}

struct dentry *dentry_new_nameless(struct dentry *parent, struct inode *inode)
{
	char name[32];
	int len = snprintf(name, sizeof(name), "#%llu", (unsigned long long)inode->ino);
	struct dentry *d = dentry_new(parent->sb, name, (size_t)len, inode);

	d->flags |= DENTRY_DELETED;
	SCOPED_LOCK(&dcache_lock);
	attach_locked(d, parent, false);
	return d;
}

struct dentry *dentry_new_anon(struct inode *inode, const char *name)
{
	struct dentry *d =
	    dentry_new(inode->sb, name, min(strlen(name), (size_t)NAME_MAX_LEN), inode);

	d->parent = d;
	d->flags |= DENTRY_ANON;
	return d;
}

/* --- lookup ----------------------------------------------------------------------- */

static struct dentry *find_get(struct dentry *parent, const char *name, size_t len)
{
	SCOPED_LOCK(&dcache_lock);
	struct dentry *d = dentry_find_locked(parent, name, len);

	return d ? dentry_get(d) : NULL;
}

static bool cacheable(const struct superblock *sb, const struct inode *inode)
{
	return !(sb->flags & SB_NO_CACHE) && (inode || !(sb->flags & SB_NO_NEGATIVE));
}

static int lookup_new(struct dentry *parent, const char *name, size_t len, struct dentry **out)
{
	struct inode *dir = parent->inode, *inode = NULL;
	int err = dir->ops->lookup ? dir->ops->lookup(dir, name, len, &inode) : -ENOTDIR;
	struct dentry *d;

	if (err < 0 && err != -ENOENT)
		return err;
	if (err < 0)
		inode = NULL;
	d = dentry_new(parent->sb, name, len, inode);
	if (inode)
		inode_put(inode);
	SCOPED_LOCK(&dcache_lock);
	attach_locked(d, parent, cacheable(parent->sb, inode));
	*out = d;
	return 0;
}

/* What the cache says is out of date: looks again, and keeps the dentry if it still names the
 * same inode. Takes the reference on d. */
static int lookup_stale(struct dentry *parent, struct dentry *d, struct dentry **out)
{
	struct inode *dir = parent->inode, *inode = NULL;
	int err = dir->ops->lookup(dir, d->name, d->len, &inode);

	if (err == -ENOENT)
		err = 0, inode = NULL;
	if (err == 0 && (inode == d->inode || d->mounted)) {
		*out = d;
	} else {
		char name[NAME_MAX_LEN + 1];
		size_t len = d->len;

		memcpy(name, d->name, len);
		dentry_invalidate(d);
		dentry_put(d);
		if (err == 0)
			err = lookup_new(parent, name, len, out);
	}
	if (inode)
		inode_put(inode);
	return err;
}

int dentry_lookup_locked(struct dentry *parent, const char *name, size_t len, struct dentry **out)
{
	struct dentry *d = find_get(parent, name, len);
	const struct sb_ops *sops = parent->sb->ops;
	int ok;

	if (!d)
		return lookup_new(parent, name, len, out);
	if (atomic_load(&parent->inode->names_change))
		return lookup_stale(parent, d, out);
	ok = sops && sops->revalidate ? sops->revalidate(parent->inode, name, len, d->inode) : 1;
	if (ok == 0)
		return lookup_stale(parent, d, out);
	if (ok < 0) {
		dentry_put(d);
		return ok;
	}
	*out = d;
	return 0;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t len, struct dentry **out)
{
	SCOPED_LOCK(&parent->inode->dir_lock);
	return dentry_lookup_locked(parent, name, len, out);
}

/* --- changes of names ---------------------------------------------------------------- */

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
	SCOPED_LOCK(&dcache_lock);
	assert(!d->inode);
	d->inode = inode_get(inode);
	if (!d->hash_prev && cacheable(d->sb, inode))
		hash_add_locked(d);
}

/* What is cached below a removed directory (absent names) must not keep it. */
static void drop_children_locked(struct dentry *d, struct list *dead)
{
	struct dentry *child, *tmp;

	list_for_each_safe (child, tmp, &d->children, sibling)
		if (!atomic_load(&child->count))
			kill_locked(child, dead);
}

/* The name is gone. If nobody else uses the dentry it becomes the cached absence of the name. */
void dentry_delete(struct dentry *d)
{
	struct list dead = LIST_INIT(dead);
	struct inode *old = NULL;

	mutex_lock(&dcache_lock);
	drop_children_locked(d, &dead);
	if (atomic_load(&d->count) == 1 && d->hash_prev && cacheable(d->sb, NULL)) {
		old = d->inode;
		d->inode = NULL;
	} else {
		hash_del_locked(d);
		d->flags |= DENTRY_DELETED;
	}
	mutex_unlock(&dcache_lock);
	free_dead(&dead);
	if (!old)
		return;
	if (old->nlink == 0)
		inode_unnamed(old);
	inode_put(old);
}

void dentry_invalidate(struct dentry *d)
{
	SCOPED_LOCK(&dcache_lock);
	hash_del_locked(d);
}

static void swap_parents_locked(struct dentry *d, struct dentry *new_parent,
				struct dentry **release)
{
	*release = NULL;
	if (d->parent == new_parent)
		return;
	*release = d->parent;
	if (d->inode && S_ISDIR(d->inode->mode))
		atomic_fetch_add(&dcache_moves, 1);
	list_del(&d->sibling);
	d->parent = dentry_get(new_parent);
	list_add(&new_parent->children, &d->sibling);
}

static void take_name_locked(struct dentry *d, struct dentry *from)
{
	char *old = d->name != d->short_name ? d->name : NULL;

	set_name(d, from->name, from->len);
	charged_free(old);
}

/* d takes the place of target (the new name, negative or replaced), which becomes deleted. */
void dentry_move(struct dentry *d, struct dentry *target)
{
	struct list dead = LIST_INIT(dead);
	struct dentry *release;

	mutex_lock(&dcache_lock);
	drop_children_locked(target, &dead);
	hash_del_locked(d);
	hash_del_locked(target);
	target->flags |= DENTRY_DELETED;
	take_name_locked(d, target);
	swap_parents_locked(d, target->parent, &release);
	if (cacheable(d->sb, d->inode))
		hash_add_locked(d);
	mutex_unlock(&dcache_lock);
	free_dead(&dead);
	if (release)
		dentry_put(release);
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *pa = a->parent, *pb = b->parent, *ra, *rb;
	char name[NAME_MAX_LEN + 1];
	size_t len = a->len;
	char *old;

	mutex_lock(&dcache_lock);
	memcpy(name, a->name, len);
	hash_del_locked(a);
	hash_del_locked(b);
	take_name_locked(a, b);
	old = b->name != b->short_name ? b->name : NULL;
	set_name(b, name, len);
	charged_free(old);
	swap_parents_locked(a, pb, &ra);
	swap_parents_locked(b, pa, &rb);
	hash_add_locked(a);
	hash_add_locked(b);
	mutex_unlock(&dcache_lock);
	if (ra)
		dentry_put(ra);
	if (rb)
		dentry_put(rb);
}

ssize_t dentry_name(const struct dentry *d, char *buf, size_t size)
{
	size_t at = size;

	if (size < 2)
		return -ENAMETOOLONG;
	buf[--at] = '\0';
	SCOPED_LOCK(&dcache_lock);
	if (d->parent == d)
		buf[--at] = '/';
	for (; d->parent != d; d = d->parent) {
		if (at < (size_t)d->len + 1)
			return -ENAMETOOLONG;
		at -= d->len;
		memcpy(buf + at, d->name, d->len);
		buf[--at] = '/';
	}
	memmove(buf, buf + at, size - at);
	return (ssize_t)(size - at);
}

bool dentry_is_ancestor_locked(const struct dentry *a, const struct dentry *d)
{
	for (; d != a; d = d->parent)
		if (d->parent == d)
			return false;
	return true;
}

bool dentry_is_ancestor(const struct dentry *a, const struct dentry *d)
{
	SCOPED_LOCK(&dcache_lock);
	return dentry_is_ancestor_locked(a, d);
}

void dentry_pin_chain_locked(struct dentry *d)
{
	for (; d->parent != d; d = d->parent)
		if (!d->hash_prev && !(d->flags & DENTRY_DELETED))
			hash_add_locked(d);
}

/* --- shrinking ------------------------------------------------------------------------ */

void dcache_set_limit(unsigned int limit)
{
	mutex_lock(&dcache_lock);
	lru_limit = limit;
	mutex_unlock(&dcache_lock);
	dcache_shrink(limit);
}

void dcache_shrink(unsigned int keep)
{
	struct list dead = LIST_INIT(dead);

	mutex_lock(&dcache_lock);
	/* Twice the length: the first turn may only clear reference marks. */
	for (unsigned int i = 0; i < 64 && lru_count > keep; i++)
		evict_locked(&dead, keep, 2 * lru_count);
	mutex_unlock(&dcache_lock);
	free_dead(&dead);
}

unsigned int dcache_unused(void)
{
	SCOPED_LOCK(&dcache_lock);
	return lru_count;
}

/* One pass over the list; false: there was nothing to kill. */
static bool kill_unused_locked(struct superblock *sb, struct list *dead)
{
	struct list *at = lru.next;
	bool killed = false;

	while (at != &lru) {
		struct dentry *d = list_entry(at, struct dentry, lru);
		struct list *prev = at->prev;

		at = at->next;
		if (d->sb != sb || atomic_load(&d->count))
			continue;
		/* This may append behind d, and take d's parents off anywhere. */
		kill_locked(d, dead);
		killed = true;
		if (prev != &lru && (list_entry(prev, struct dentry, lru)->flags & DENTRY_KILLED))
			prev = &lru;
		at = prev->next;
	}
	return killed;
}

void dcache_drop_superblock(struct superblock *sb)
{
	struct list dead = LIST_INIT(dead);
	struct dentry *root = sb->root;

	mutex_lock(&dcache_lock);
	/* A parent that its last child leaves may stand before the child on the list. */
	while (kill_unused_locked(sb, &dead))
		;
	sb->root = NULL;
	mutex_unlock(&dcache_lock);
	free_dead(&dead);
	dentry_put(root);
}
