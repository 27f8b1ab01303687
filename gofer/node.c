/*
 * The node table. One mutex for each export guards it; it is not held over
 * host calls that touch the disk. Counting: `users` keeps a node's memory
 * (running requests, children through `parent`), `nlookup` keeps its number
 * valid for the client; a node goes when both are 0. The client is hostile, so
 * nlookup never wraps (FORGET takes at most what is there) and every bound is
 * an error to the client, not an assert.
 *
 * Opening races with renames and evictions:
 *
 *   thread A: node_pin(x)                thread B: rename of x, or of its parent
 *   reads (parent, name), names_seq
 *   unlocks, openat(parent, name)        renames, locks, names_seq++, new name
 *   locks: names_seq changed -> again
 */
#include "gofer/node.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/host_tree.h"
#include "common/log.h"
#include "common/mem.h"

static atomic_uint fd_budget = 512;
static atomic_uint nodes_live;

void node_set_fd_budget(unsigned int max)
{
	atomic_store(&fd_budget, max);
}

static uint64_t statx_dev(const struct statx *st)
{
	return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
}

/* ------------------------------------------------------------ numbers */

static int slots_grow(struct node_table *t)
{
	uint32_t n = t->nslots ? t->nslots * 2 : 256;
	struct node_slot *s = n <= 2 * NODES_MAX ? realloc(t->slots, n * sizeof(*s)) : NULL;

	if (!s)
		return -ENOMEM;
	for (uint32_t i = t->nslots; i < n; i++) {
		s[i].node = NULL;
		s[i].generation = i == 1 ? 0 : 1;
		s[i].next_free = i + 1 < n ? i + 1 : 0;
	}
	t->free_slot = t->nslots ? t->nslots : 1;
	t->slots = s;
	t->nslots = n;
	return 0;
}

static int slot_take_locked(struct node_table *t, struct node *n)
{
	struct node_slot *s;

	if (!t->free_slot && slots_grow(t) < 0)
		return -ENOMEM;
	s = &t->slots[t->free_slot];
	n->id = (uint64_t)s->generation << 32 | t->free_slot;
	t->free_slot = s->next_free;
	s->node = n;
	return 0;
}

static void slot_free_locked(struct node_table *t, struct node *n)
{
	uint32_t index = (uint32_t)n->id;
	struct node_slot *s = &t->slots[index];

	s->node = NULL;
	s->generation++;
	s->next_free = t->free_slot;
	t->free_slot = index;
}

static struct node *slot_find_locked(struct node_table *t, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	if (index >= t->nslots || !t->slots[index].node || t->slots[index].node->id != id)
		return NULL;
	return t->slots[index].node;
}

/* ------------------------------------------------------------ hash by inode */

static struct node **bucket(struct node_table *t, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

	return &t->buckets[(h >> 32) & (t->nbuckets - 1)];
}

static void hash_add_locked(struct node_table *t, struct node *n)
{
	struct node **b = bucket(t, n->dev, n->ino);

	n->hash_next = *b;
	n->hashed = true;
	*b = n;
}

static void hash_del_locked(struct node_table *t, struct node *n)
{
	struct node **p;

	if (!n->hashed)
		return;
	for (p = bucket(t, n->dev, n->ino); *p != n; p = &(*p)->hash_next)
		;
	*p = n->hash_next;
	n->hashed = false;
}

/* Doubles the buckets; without memory for it, chains only get longer. */
static void hash_grow_locked(struct node_table *t)
{
	uint32_t old_n = t->nbuckets;
	struct node **old = t->buckets, **grown = try_calloc(old_n * 2, sizeof(*old));

	if (!grown)
		return;
	t->buckets = grown;
	t->nbuckets = old_n * 2;
	for (uint32_t i = 0; i < old_n; i++) {
		struct node *next;

		for (struct node *n = old[i]; n; n = next) {
			next = n->hash_next;
			hash_add_locked(t, n);
		}
	}
	free(old);
}

static struct node *hash_find_locked(struct node_table *t, const struct statx *st)
{
	uint64_t dev = statx_dev(st);

	for (struct node *n = *bucket(t, dev, st->stx_ino); n; n = n->hash_next)
		if (n->ino == st->stx_ino && n->dev == dev)
			return n;
	return NULL;
}

/* The number of a deleted inode may come back for another file. On exclusive exports it does
 * not, because an unlinked node keeps an fd; and the birth time may change there (copy-up). */
static bool same_inode(const struct node_table *t, const struct node *n, const struct statx *st)
{
	if (n->type != (st->stx_mode & S_IFMT))
		return false;
	return t->exclusive ||
	       (n->btime == st->stx_btime.tv_sec && n->btimensec == st->stx_btime.tv_nsec);
}

/* ------------------------------------------------------------ fds */

/* The fd may be closed by others from now on. */
static void fd_idle_locked(struct node_table *t, struct node *n)
{
	if (n->fd >= 0 && !n->pins && !n->keep_fd && n->parent && !list_linked(&n->lru))
		list_add_tail(&t->lru, &n->lru);
}

static int fd_detach_locked(struct node_table *t, struct node *n)
{
	int fd = n->fd;

	list_del(&n->lru);
	n->fd = -1;
	if (fd >= 0)
		t->open_fds--;
	return fd;
}

static void fd_attach_locked(struct node_table *t, struct node *n, int fd)
{
	n->fd = fd;
	t->open_fds++;
}

static void fd_trim_locked(struct node_table *t)
{
	while (t->open_fds > atomic_load(&fd_budget) && !list_empty(&t->lru))
		host_close(fd_detach_locked(t, list_first(&t->lru, struct node, lru)));
}

/* ------------------------------------------------------------ life */

static void node_release_locked(struct node_table *t, struct node *n)
{
	while (n && !n->users && !n->nlookup) {
		struct node *parent = n->parent;
		int fd = fd_detach_locked(t, n);

		hash_del_locked(t, n);
		slot_free_locked(t, n);
		if (fd >= 0)
			host_close(fd);
		free(n->name);
		free(n);
		t->live--;
		atomic_fetch_sub(&nodes_live, 1);
		if (parent)
			parent->users--;
		n = parent; /* iterative: chains are as long as the client likes */
	}
}

static void drop_use_locked(struct node_table *t, struct node *n)
{
	n->users--;
	node_release_locked(t, n);
}

static struct node *node_new_locked(struct node_table *t, const struct statx *st)
{
	struct node *n;

	if (atomic_fetch_add(&nodes_live, 1) >= NODES_MAX) {
		atomic_fetch_sub(&nodes_live, 1);
		return NULL;
	}
	n = try_calloc(1, sizeof(*n));
	if (!n || slot_take_locked(t, n) < 0) {
		free(n);
		atomic_fetch_sub(&nodes_live, 1);
		return NULL;
	}
	n->type = st->stx_mode & S_IFMT;
	n->dev = statx_dev(st);
	n->ino = st->stx_ino;
	n->btime = st->stx_btime.tv_sec;
	n->btimensec = st->stx_btime.tv_nsec;
	n->fd = -1;
	list_init(&n->lru);
	if (t->live++ > t->nbuckets)
		hash_grow_locked(t);
	hash_add_locked(t, n);
	return n;
}

int node_table_init(struct node_table *t, int root_fd, bool exclusive)
{
	struct statx st;
	int err = host_statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st);

	if (err < 0)
		return err;
	*t = (struct node_table){.exclusive = exclusive, .nbuckets = 256};
	pthread_mutex_init(&t->lock, NULL);
	list_init(&t->lru);
	t->buckets = try_calloc(t->nbuckets, sizeof(struct node *));
	if (!t->buckets)
		return -ENOMEM;
	t->root = node_new_locked(t, &st);
	if (!t->root)
		return -ENOMEM;
	t->root->users = 1;
	t->root->keep_fd = true;
	fd_attach_locked(t, t->root, root_fd);
	return 0;
}

void node_table_fini(struct node_table *t)
{
	for (uint32_t i = 0; i < t->nslots; i++) {
		struct node *n = t->slots[i].node;

		if (!n)
			continue;
		if (n->fd >= 0)
			host_close(n->fd);
		free(n->name);
		free(n);
		atomic_fetch_sub(&nodes_live, 1);
	}
	free(t->slots);
	free(t->buckets);
	pthread_mutex_destroy(&t->lock);
}

struct node *node_get(struct node_table *t, uint64_t id)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	n = slot_find_locked(t, id);
	if (n)
		n->users++;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void node_put(struct node_table *t, struct node *n)
{
	pthread_mutex_lock(&t->lock);
	drop_use_locked(t, n);
	pthread_mutex_unlock(&t->lock);
}

void node_forget(struct node_table *t, uint64_t id, uint64_t nlookup)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	n = slot_find_locked(t, id);
	if (n && n != t->root) {
		n->nlookup -= min(nlookup, n->nlookup);
		node_release_locked(t, n);
	}
	pthread_mutex_unlock(&t->lock);
}

/* ------------------------------------------------------------ pinning */

/* What has to be opened next on the way to `n`: the topmost node below an open one. */
static struct node *first_closed_locked(struct node *n)
{
	while (n->fd < 0 && n->parent && n->parent->fd < 0)
		n = n->parent;
	return n;
}

/*
 * Is what `fd` refers to still the node? On an exclusive export nobody but our own client
 * changes names, yet an overlay host file system may change an inode's number when it copies
 * the file up; then the node follows.
 */
static int fd_verify_locked(struct node_table *t, struct node *n, const struct statx *st)
{
	if (n->dev == statx_dev(st) && n->ino == st->stx_ino && same_inode(t, n, st))
		return 0;
	if (!t->exclusive || n->type != (st->stx_mode & S_IFMT) || hash_find_locked(t, st))
		return -ESTALE;
	hash_del_locked(t, n);
	n->dev = statx_dev(st);
	n->ino = st->stx_ino;
	n->btime = st->stx_btime.tv_sec;
	n->btimensec = st->stx_btime.tv_nsec;
	hash_add_locked(t, n);
	return 0;
}

/* Opens one node whose parent is open. Drops and retakes the lock. -EAGAIN: names changed. */
static int open_one_locked(struct node_table *t, struct node *n)
{
	struct node *parent = n->parent;
	uint64_t seq = t->names_seq;
	char name[256];
	struct statx st;
	int fd, err = 0;

	if (!parent)
		return -ESTALE;
	strcpy(name, n->name);
	n->users++;
	parent->users++;
	parent->pins++;
	list_del(&parent->lru);
	pthread_mutex_unlock(&t->lock);

	fd = host_open_name(parent->fd, name);
	if (fd >= 0)
		err = host_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st);

	pthread_mutex_lock(&t->lock);
	parent->pins--;
	fd_idle_locked(t, parent);
	if (seq != t->names_seq)
		err = -EAGAIN;
	else if (fd < 0)
		err = fd == -ENOENT || fd == -ENOTDIR ? -ESTALE : fd;
	else if (!err)
		err = fd_verify_locked(t, n, &st);
	if (!err && n->fd < 0) {
		fd_attach_locked(t, n, fd);
		fd_idle_locked(t, n);
	} else if (fd >= 0) {
		host_close(fd);
	}
	drop_use_locked(t, n);
	drop_use_locked(t, parent);
	return err;
}

int node_pin(struct node_table *t, struct node *n)
{
	int err = 0, retries = 0, fd;

	pthread_mutex_lock(&t->lock);
	while (n->fd < 0 && !err) {
		err = open_one_locked(t, first_closed_locked(n));
		if (err == -EAGAIN && retries++ < 100)
			err = 0;
	}
	fd = n->fd;
	if (!err) {
		n->pins++;
		list_del(&n->lru);
		fd_trim_locked(t);
	}
	pthread_mutex_unlock(&t->lock);
	return err ? err : fd;
}

void node_unpin(struct node_table *t, struct node *n)
{
	pthread_mutex_lock(&t->lock);
	n->pins--;
	fd_idle_locked(t, n);
	pthread_mutex_unlock(&t->lock);
}

/* ------------------------------------------------------------ names */

static bool is_below_locked(const struct node *dir, const struct node *n)
{
	for (; dir; dir = dir->parent)
		if (dir == n)
			return true;
	return false;
}

/* Remembers another name, the newest. A cycle (bind mounts on the host, a hostile client's
 * races) must not get into the parents, or walks up would not end. */
static int set_name_locked(struct node_table *t, struct node *n, struct node *parent,
			   const char *name)
{
	struct node *old = n->parent;
	char *copy;

	if (n == t->root || (old == parent && n->name && !strcmp(n->name, name)))
		return 0;
	if (n->type == S_IFDIR && is_below_locked(parent, n))
		return -ELOOP;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	free(n->name);
	n->name = copy;
	n->parent = parent;
	n->keep_fd = false;
	parent->users++;
	if (old)
		drop_use_locked(t, old);
	fd_idle_locked(t, n);
	return 0;
}

/* The last name is gone; the inode lives on by its fd only. Takes fd. */
static void drop_name_locked(struct node_table *t, struct node *n, int fd)
{
	struct node *old = n->parent;

	if (n->fd < 0 && fd >= 0)
		fd_attach_locked(t, n, fd);
	else if (fd >= 0)
		host_close(fd);
	list_del(&n->lru);
	n->keep_fd = true;
	n->parent = NULL;
	free(n->name);
	n->name = NULL;
	if (old)
		drop_use_locked(t, old);
}

static struct node *find_or_new_locked(struct node_table *t, const struct statx *st)
{
	struct node *n = hash_find_locked(t, st);

	if (n && !same_inode(t, n, st)) {
		hash_del_locked(t, n);
		n = NULL;
	}
	return n ? n : node_new_locked(t, st);
}

static int lookup_locked(struct node_table *t, struct node *parent, const char *name,
			 const struct statx *st, int *fd, bool foreign, uint64_t *id)
{
	struct node *n = find_or_new_locked(t, st);
	int err = 0;

	if (!n)
		return -ENOMEM;
	n->users++;
	n->foreign = foreign;
	if (*fd >= 0 && n->fd < 0) {
		fd_attach_locked(t, n, *fd);
		*fd = -1;
	}
	if (parent)
		err = set_name_locked(t, n, parent, name);
	else if (!n->parent)
		n->keep_fd = true;
	if (!err) {
		n->nlookup++;
		*id = n->id;
	}
	fd_idle_locked(t, n);
	fd_trim_locked(t);
	drop_use_locked(t, n);
	return err;
}

int node_lookup(struct node_table *t, struct node *parent, const char *name, const struct statx *st,
		int takes_fd, bool foreign, uint64_t *id)
{
	int fd = takes_fd, err;

	pthread_mutex_lock(&t->lock);
	err = lookup_locked(t, parent, name, st, &fd, foreign, id);
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		host_close(fd);
	return err;
}

void node_unlinked(struct node_table *t, struct node *dir, const char *name, const struct statx *st,
		   int fd)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	t->names_seq++;
	n = hash_find_locked(t, st);
	if (n && n != t->root && n->parent == dir && !strcmp(n->name, name)) {
		drop_name_locked(t, n, fd);
		fd = -1;
	}
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		host_close(fd);
}

void node_gone(struct node_table *t, struct node *dir, const char *name, uint64_t id)
{
	struct node *n;
	int fd = -1;

	pthread_mutex_lock(&t->lock);
	t->names_seq++;
	n = slot_find_locked(t, id);
	if (n && n != t->root && n->parent == dir && !strcmp(n->name, name)) {
		hash_del_locked(t, n); /* its inode number may come back at once */
		if (!n->pins)
			fd = fd_detach_locked(t, n);
		drop_name_locked(t, n, -1);
	}
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		host_close(fd);
}

void node_renamed(struct node_table *t, struct node *dir, const char *name, const struct statx *st)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	t->names_seq++;
	n = hash_find_locked(t, st);
	if (n)
		(void)set_name_locked(t, n, dir, name);
	pthread_mutex_unlock(&t->lock);
}
