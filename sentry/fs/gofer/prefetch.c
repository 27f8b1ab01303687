/*
 * Names learnt ahead: from a walk of several components and from reading a
 * directory. They wait here, each with its inode, until a lookup asks for them;
 * so the dentry cache needs no way to be filled from outside, and a name is
 * only believed under its directory's dir_lock.
 *
 *   reader (no dir_lock)                    changer (under dir_lock)
 *   prefetch_begin
 *   asks the gofer for names
 *                                           asks the gofer to remove one
 *                                           prefetch_changed: drops it, changes++
 *   prefetch_add: changes moved -> dropped
 *
 * If the reader adds before prefetch_changed, the name is dropped by it. The
 * oldest go first when there are too many.
 */
#include "common/host.h"
#include "common/list.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

#define BUCKETS 1024

struct prefetch_entry {
	struct prefetch_entry *next;
	struct list age;
	uint64_t dir, when;
	struct inode *inode;
	uint32_t hash;
	unsigned char len;
	char name[];
};

void prefetch_init(struct prefetch *p)
{
	mutex_init(&p->lock, RANK_LEAF);
	list_init(&p->oldest);
	p->buckets = NULL;
	p->count = 0;
	p->changes = 0;
}

static uint32_t hash_name(uint64_t dir, const char *name, size_t len)
{
	uint32_t h = (uint32_t)dir * 2654435761U;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619U;
	return h;
}

static struct prefetch_entry **find_locked(struct prefetch *p, uint64_t dir, const char *name,
					   size_t len, uint32_t hash)
{
	struct prefetch_entry **e;

	if (!p->buckets)
		return NULL;
	for (e = &p->buckets[hash % BUCKETS]; *e; e = &(*e)->next)
		if ((*e)->hash == hash && (*e)->dir == dir && (*e)->len == len &&
		    !memcmp((*e)->name, name, len))
			return e;
	return NULL;
}

static struct prefetch_entry *unlink_locked(struct prefetch *p, struct prefetch_entry **at)
{
	struct prefetch_entry *e = *at;

	*at = e->next;
	list_del(&e->age);
	p->count--;
	return e;
}

static struct prefetch_entry *unlink_oldest_locked(struct prefetch *p)
{
	struct prefetch_entry *e = list_first(&p->oldest, struct prefetch_entry, age);
	struct prefetch_entry **at = &p->buckets[e->hash % BUCKETS];

	while (*at != e)
		at = &(*at)->next;
	return unlink_locked(p, at);
}

static void entry_free(struct prefetch_entry *e)
{
	if (e && e->inode)
		inode_put(e->inode);
	free(e);
}

uint64_t prefetch_begin(struct prefetch *p)
{
	SCOPED_LOCK(&p->lock);
	return p->changes;
}

static struct prefetch_entry *entry_new(uint64_t dir, const char *name, size_t len,
					struct inode *inode)
{
	struct prefetch_entry *e = xmalloc(sizeof(*e) + len);

	e->dir = dir;
	e->when = host_monotonic_ns();
	e->inode = inode;
	e->hash = hash_name(dir, name, len);
	e->len = (unsigned char)len;
	memcpy(e->name, name, len);
	list_init(&e->age);
	return e;
}

void prefetch_add(struct prefetch *p, uint64_t begun, uint64_t dir, const char *name, size_t len,
		  struct inode *inode)
{
	struct prefetch_entry *e = entry_new(dir, name, len, inode), *old = NULL, **at;

	mutex_lock(&p->lock);
	if (!p->buckets)
		p->buckets = xzalloc(BUCKETS * sizeof(struct prefetch_entry *));
	if (p->changes != begun) {
		old = e;
	} else {
		at = find_locked(p, dir, name, len, e->hash);
		if (at)
			old = unlink_locked(p, at);
		else if (p->count >= PREFETCH_MAX)
			old = unlink_oldest_locked(p);
		e->next = p->buckets[e->hash % BUCKETS];
		p->buckets[e->hash % BUCKETS] = e;
		list_add_tail(&p->oldest, &e->age);
		p->count++;
	}
	mutex_unlock(&p->lock);
	entry_free(old);
}

int prefetch_take(struct prefetch *p, uint64_t dir, const char *name, size_t len,
		  struct inode **inode, uint64_t *when)
{
	struct prefetch_entry *e = NULL, **at;

	mutex_lock(&p->lock);
	at = p->count ? find_locked(p, dir, name, len, hash_name(dir, name, len)) : NULL;
	if (at)
		e = unlink_locked(p, at);
	mutex_unlock(&p->lock);
	if (!e)
		return 0;
	*inode = e->inode;
	*when = e->when;
	free(e);
	atomic_fetch_add(&p->hits, 1);
	return 1;
}

bool prefetch_has(struct prefetch *p, uint64_t dir, const char *name, size_t len,
		  uint64_t not_before)
{
	struct prefetch_entry **at;

	SCOPED_LOCK(&p->lock);
	at = p->count ? find_locked(p, dir, name, len, hash_name(dir, name, len)) : NULL;
	return at && (*at)->when >= not_before;
}

void prefetch_changed(struct prefetch *p, uint64_t dir, const char *name, size_t len)
{
	struct prefetch_entry *e = NULL, **at;

	mutex_lock(&p->lock);
	p->changes++;
	at = p->count ? find_locked(p, dir, name, len, hash_name(dir, name, len)) : NULL;
	if (at)
		e = unlink_locked(p, at);
	mutex_unlock(&p->lock);
	entry_free(e);
}

void prefetch_drop_all(struct prefetch *p)
{
	struct prefetch_entry *e;

	do {
		mutex_lock(&p->lock);
		e = p->count ? unlink_oldest_locked(p) : NULL;
		mutex_unlock(&p->lock);
		entry_free(e);
	} while (e);
}
