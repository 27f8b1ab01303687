/*
 * Mounts and their namespaces: objects, the tree, lookup. What mount(2) and its
 * kin do with them is in mount_change.c, propagation in mount_propagate.c.
 *
 * Locks: mount_lock (one for all) for every change; the pointers that a path
 * walk follows are written under dcache_lock as well. References: the tree
 * holds one on each mount in it, and each child one on its parent.
 */
#include "sentry/fs/mount.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/fs_context.h"
#include "sentry/fs/mount_internal.h"
#include "sentry/fs/walk.h"

struct mutex mount_lock = MUTEX_INIT(RANK_MOUNT);

struct mount *mount_new(struct superblock *sb, struct dentry *root, unsigned long flags)
{
	static atomic_int next_id = 20;
	struct mount *m = CHARGED_NEW(struct mount);

	ref_init(&m->ref);
	m->sb = superblock_get(sb);
	superblock_activate(sb);
	m->root = dentry_get(root);
	m->id = atomic_fetch_add(&next_id, 1);
	atomic_init(&m->writers, 0);
	atomic_init(&m->flags, flags & MOUNT_FLAGS);
	list_init(&m->children);
	list_init(&m->sibling);
	list_init(&m->all);
	list_init(&m->peers);
	list_init(&m->slaves);
	list_init(&m->slave_node);
	m->propagation = MS_PRIVATE;
	return m;
}

struct mount *mount_new_loose(struct superblock *sb)
{
	struct mount *m = mount_new(sb, sb->root, MS_NODEV);

	m->loose = true;
	return m;
}

void mount_loose_path(struct mount *m, struct inode *inode, const char *name, struct path *out)
{
	*out = (struct path){mount_get(m), dentry_new_anon(inode, name)};
}

struct mount *mount_get(struct mount *m)
{
	ref_get(&m->ref);
	return m;
}

void mount_put(struct mount *m)
{
	if (!ref_put(&m->ref))
		return;
	assert(!m->parent && list_empty(&m->children));
	dentry_put(m->root);
	superblock_deactivate(m->sb);
	superblock_put(m->sb);
	charged_free(m);
}

int mount_want_write(struct mount *m)
{
	return (m->flags & MS_RDONLY) || (m->sb->flags & SB_RDONLY) ? -EROFS : 0;
}

struct mount *mount_on_locked(struct mount *parent, const struct dentry *mountpoint)
{
	struct mount *m;

	list_for_each (m, &parent->children, sibling)
		if (m->mountpoint == mountpoint)
			return m;
	return NULL;
}

/* --- the tree --------------------------------------------------------------------------- */

void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *mountpoint)
{
	SCOPED_LOCK(&dcache_lock);
	atomic_fetch_add(&dcache_moves, 1);
	m->parent = mount_get(parent);
	m->mountpoint = dentry_get(mountpoint);
	mountpoint->mounted++;
	dentry_pin_chain_locked(mountpoint);
	list_add_tail(&parent->children, &m->sibling);
}

/* The references on parent and mountpoint are dropped outside dcache_lock. */
void mount_unlink_locked(struct mount *m)
{
	struct mount *parent = m->parent;
	struct dentry *mountpoint = m->mountpoint;

	if (!parent)
		return;
	mutex_lock(&dcache_lock);
	atomic_fetch_add(&dcache_moves, 1);
	m->parent = NULL;
	m->mountpoint = NULL;
	mountpoint->mounted--;
	list_del(&m->sibling);
	mutex_unlock(&dcache_lock);
	dentry_put(mountpoint);
	mount_put(parent);
}

struct mount *mount_next_in_tree(struct mount *m, struct mount *top)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, sibling);
	while (m != top) {
		struct mount *parent = m->parent;

		if (m->sibling.next != &parent->children)
			return list_entry(m->sibling.next, struct mount, sibling);
		m = parent;
	}
	return NULL;
}

unsigned int mount_tree_count(struct mount *m)
{
	unsigned int n = 0;

	for (struct mount *at = m; at; at = mount_next_in_tree(at, m))
		n++;
	return n;
}

/* The list is kept in the order of ids, which is the order that /proc shows. */
static void list_mount_locked(struct mount *m, struct mount_ns *ns)
{
	struct list *after = ns->mounts.prev;

	while (after != &ns->mounts && list_entry(after, struct mount, all)->id > m->id)
		after = after->prev;
	list_add(after, &m->all);
}

void mount_set_ns_locked(struct mount *m, struct mount_ns *ns)
{
	for (struct mount *at = m; at; at = mount_next_in_tree(at, m)) {
		if (at->ns) {
			at->ns->count--;
			list_del(&at->all);
			mount_ns_changed(at->ns);
		}
		at->ns = ns;
		if (ns) {
			ns->count++;
			list_mount_locked(at, ns);
			mount_ns_changed(ns);
		}
	}
}

/* Leaves first, so that each goes while its parent is still linked. */
void mount_umount_tree_locked(struct mount *top, struct list *gone)
{
	for (bool last = false; !last;) {
		struct mount *m = top;

		while (!list_empty(&m->children))
			m = list_first(&m->children, struct mount, sibling);
		last = m == top;
		mount_set_ns_locked(m, NULL);
		propagation_leave_locked(m);
		mount_unlink_locked(m);
		list_add_tail(gone, &m->all);
	}
}

void mount_put_list(struct list *gone)
{
	while (!list_empty(gone)) {
		struct mount *m = list_first(gone, struct mount, all);

		list_del(&m->all);
		mount_put(m);
	}
}

/* --- copies ------------------------------------------------------------------------------ */

struct mount *mount_clone_locked(struct mount *m, struct dentry *root)
{
	struct mount *copy = mount_new(m->sb, root, m->flags);

	copy->locked_flags = m->locked_flags;
	copy->locked_atime = m->locked_atime;
	propagation_join_locked(copy, m);
	return copy;
}

static struct mount *copy_below(struct mount *m, struct mount *copy, struct dentry *root)
{
	struct mount *child;

	list_for_each (child, &m->children, sibling) {
		struct mount *c;

		if (child->propagation & MS_UNBINDABLE ||
		    !dentry_is_ancestor(root, child->mountpoint))
			continue;
		c = mount_clone_locked(child, child->root);
		c->locked = child->locked;
		mount_link_locked(c, copy, child->mountpoint);
		copy_below(child, c, child->root);
	}
	return copy;
}

struct mount *mount_copy_tree_locked(struct mount *m, struct dentry *root, bool tree)
{
	struct mount *copy = mount_clone_locked(m, root);

	return tree ? copy_below(m, copy, root) : copy;
}

/* --- namespaces --------------------------------------------------------------------------- */

static void ns_release(struct ns_common *base);
static const struct ns_kind mnt_kind = {"mnt", CLONE_NEWNS, NS_COUNT_MNT, ns_release};

struct ns_common *mount_ns_common(struct mount_ns *ns)
{
	return &ns->ns;
}

struct mount_ns *mount_ns_from(struct ns_common *ns)
{
	return ns->kind == &mnt_kind ? container_of(ns, struct mount_ns, ns) : NULL;
}

static void ns_init_rest(struct mount_ns *ns)
{
	waitq_init(&ns->wq);
	list_init(&ns->mounts);
}

struct mount_ns *mount_ns_new(struct superblock *root, unsigned long flags)
{
	struct mount *m = mount_new(root, root->root, flags);
	struct mount_ns *ns = NEW(struct mount_ns);

	ns_init(&ns->ns, &mnt_kind, &user_ns_first);
	ns_init_rest(ns);
	ns->root = m;
	SCOPED_LOCK(&mount_lock);
	mount_set_ns_locked(m, ns);
	return ns;
}

struct mount_ns *mount_ns_get(struct mount_ns *ns)
{
	ns_get(&ns->ns);
	return ns;
}

void mount_ns_put(struct mount_ns *ns)
{
	ns_put(&ns->ns);
}

static void ns_release(struct ns_common *base)
{
	struct mount_ns *ns = container_of(base, struct mount_ns, ns);
	struct list gone = LIST_INIT(gone);

	mutex_lock(&mount_lock);
	mount_umount_tree_locked(ns->root, &gone);
	mutex_unlock(&mount_lock);
	mount_put_list(&gone);
	waitq_destroy(&ns->wq);
	ns_fini(base);
	free(ns);
}

void mount_ns_root(struct mount_ns *ns, struct path *out)
{
	SCOPED_LOCK(&mount_lock);
	mutex_lock(&dcache_lock);
	*out = (struct path){ns->root, ns->root->root};
	mount_descend_locked(out);
	path_get(out);
	mutex_unlock(&dcache_lock);
}

void mount_ns_changed(struct mount_ns *ns)
{
	if (!ns)
		return;
	atomic_fetch_add(&ns->event, 1);
	waitq_wake_all(&ns->wq, POLLPRI | POLLERR);
}

/* Directories that are there to be mounted upon and that hide nothing. */
static bool is_empty_place(const struct dentry *d)
{
	static const char *const names[] = {"binfmt_misc", "nfsd",   "cgroup",	"debug", "tracing",
					    "security",	   "pstore", "selinux", "bpf",	 "config"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (S_ISDIR(d->inode->mode) && d->len == strlen(names[i]) &&
		    !memcmp(d->name, names[i], d->len))
			return true;
	return false;
}

static bool shows_all_locked(struct mount *m)
{
	struct mount *child;

	if (m->root != m->sb->root)
		return false;
	list_for_each (child, &m->children, sibling)
		if (child->locked && !is_empty_place(child->mountpoint))
			return false;
	return true;
}

bool mount_may_show(struct mount_ns *ns, const char *type, unsigned long *flags)
{
	struct mount *m;

	if (ns->ns.owner == &user_ns_first || (strcmp(type, "proc") && strcmp(type, "sysfs")))
		return true;
	SCOPED_LOCK(&mount_lock);
	list_for_each (m, &ns->mounts, all) {
		if (strcmp(m->sb->type, type) || !shows_all_locked(m))
			continue;
		if ((m->locked_flags & MS_RDONLY) && !(*flags & MS_RDONLY))
			continue;
		*flags |= m->locked_flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
		return true;
	}
	return false;
}

struct waitq *mount_ns_waitq(struct mount_ns *ns)
{
	return &ns->wq;
}

uint64_t mount_ns_event(struct mount_ns *ns)
{
	return atomic_load(&ns->event);
}

/* A mount in a copy that less privileged ones own: what hides something stays, and flags that
 * restrict may not be taken off. */
static void lock_copy(struct mount *copy, bool is_root)
{
	const unsigned long fixed = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	copy->locked_flags |= copy->flags & fixed;
	copy->locked_atime = true;
	copy->locked = !is_root;
	if (copy->propagation & MS_SHARED)
		propagation_set_locked(copy, MS_SLAVE);
}

struct ns_copy {
	struct path **paths; /* where one lies on a copied mount, it moves to the copy */
	int npaths;
	bool lock;
};

static struct mount *copy_for_ns_locked(struct mount *m, struct mount *parent,
					const struct ns_copy *c)
{
	struct mount *copy = mount_clone_locked(m, m->root), *child;

	for (int i = 0; i < c->npaths; i++)
		if (c->paths[i]->mnt == m)
			c->paths[i]->mnt = copy;
	copy->locked = m->locked;
	if (c->lock)
		lock_copy(copy, !parent);
	if (parent)
		mount_link_locked(copy, parent, m->mountpoint);
	list_for_each (child, &m->children, sibling)
		copy_for_ns_locked(child, copy, c);
	return copy;
}

/* paths: borrowed, changed in place. */
static int copy_ns(struct mount_ns *old, struct user_ns *owner, struct path **paths, int npaths,
		   struct mount_ns **out)
{
	struct ns_copy c = {paths, npaths, owner != old->ns.owner};
	struct mount_ns *ns = NEW(struct mount_ns);
	int r = ns_init_counted(&ns->ns, &mnt_kind, owner);

	if (r < 0) {
		free(ns);
		return r;
	}
	ns_init_rest(ns);
	SCOPED_LOCK(&mount_lock);
	ns->root = copy_for_ns_locked(old->root, NULL, &c);
	mount_set_ns_locked(ns->root, ns);
	*out = ns;
	return 0;
}

int mount_ns_unshare(struct fs_context *fs, struct user_ns *owner)
{
	struct path root, cwd, new_root, new_cwd;
	struct mount_ns *old = fs->mounts, *ns;
	int r;

	fs_context_paths(fs, &root, &cwd);
	new_root = root;
	new_cwd = cwd;
	r = copy_ns(old, owner, (struct path *[]){&new_root, &new_cwd}, 2, &ns);
	if (r == 0) {
		fs_context_set_root(fs, &new_root);
		fs_context_set_cwd(fs, &new_cwd);
		mutex_lock(&fs->lock);
		fs->mounts = ns;
		mutex_unlock(&fs->lock);
		mount_ns_put(old);
	}
	path_put(&root);
	path_put(&cwd);
	return r;
}

bool fs_context_is_chrooted(struct fs_context *fs)
{
	struct path root, top;
	bool differs;

	fs_context_paths(fs, &root, NULL);
	mount_ns_root(fs->mounts, &top);
	differs = !path_equal(&root, &top);
	path_put(&root);
	path_put(&top);
	return differs;
}

void mount_ns_enter(struct mount_ns *ns, struct fs_context *fs)
{
	struct mount_ns *old;
	struct path root;

	mount_ns_root(ns, &root);
	fs_context_set_root(fs, &root);
	fs_context_set_cwd(fs, &root);
	path_put(&root);
	mutex_lock(&fs->lock);
	old = fs->mounts;
	fs->mounts = mount_ns_get(ns);
	mutex_unlock(&fs->lock);
	mount_ns_put(old);
}

/* Which superblocks, without calling any under the lock; at most `max`, each once. */
static size_t collect_superblocks(struct mount_ns *ns, struct superblock **out, size_t max)
{
	SCOPED_LOCK(&mount_lock);
	struct mount *m;
	size_t n = 0;

	list_for_each (m, &ns->mounts, all) {
		size_t i = 0;

		while (i < n && out[i] != m->sb)
			i++;
		if (i == n && n < max && m->sb->ops && m->sb->ops->sync)
			out[n++] = superblock_get(m->sb);
	}
	return n;
}

void mount_ns_sync(struct mount_ns *ns)
{
	struct superblock *list[256];
	size_t n = collect_superblocks(ns, list, ARRAY_SIZE(list));

	for (size_t i = 0; i < n; i++) {
		(void)list[i]->ops->sync(list[i]);
		superblock_put(list[i]);
	}
}
