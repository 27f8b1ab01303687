/*
 * Shared subtrees (mount_namespaces(7)): peer groups, slaves, and the copying of
 * mounts and unmounts among them. Everything here runs under mount_lock.
 *
 * A peer group is a ring (mount.peers) with a number; a slave hangs on one
 * member of its master's group (mount.slaves). A mount may be both slave and
 * shared.
 */
#include <errno.h>

#include "sentry/fs/mount_internal.h"

static int next_group = 1;

static struct mount *next_peer(struct mount *m)
{
	return list_entry(m->peers.next, struct mount, peers);
}

static void leave_master(struct mount *m)
{
	m->master = NULL;
	list_del(&m->slave_node);
}

static void become_slave(struct mount *m, struct mount *master)
{
	leave_master(m);
	m->master = master;
	list_add_tail(&master->slaves, &m->slave_node);
}

/* m leaves its group; its slaves go to another peer, or to m's own master, or are freed. */
static void leave_group(struct mount *m)
{
	struct mount *heir = list_linked(&m->peers) ? next_peer(m) : m->master;

	while (!list_empty(&m->slaves)) {
		struct mount *s = list_first(&m->slaves, struct mount, slave_node);

		if (heir)
			become_slave(s, heir);
		else
			leave_master(s);
		if (!heir && !(s->propagation & MS_SHARED))
			s->propagation = MS_PRIVATE;
	}
	list_del(&m->peers);
	m->group = 0;
}

void propagation_leave_locked(struct mount *m)
{
	leave_group(m);
	leave_master(m);
	m->propagation = MS_PRIVATE;
}

void propagation_join_locked(struct mount *m, struct mount *of)
{
	m->propagation = of->propagation;
	if (of->propagation & MS_SHARED) {
		m->group = of->group;
		list_add(&of->peers, &m->peers);
	}
	if (of->master)
		become_slave(m, of->master);
}

void propagation_set_locked(struct mount *m, unsigned long type)
{
	struct mount *peer = list_linked(&m->peers) ? next_peer(m) : NULL;

	if (type == MS_SHARED) {
		if (m->propagation & MS_SHARED)
			return;
		m->group = next_group++;
		m->propagation = MS_SHARED;
		return;
	}
	if (type == MS_SLAVE) {
		bool shared = m->propagation & MS_SHARED;

		if (shared)
			leave_group(m);
		if (shared && peer)
			become_slave(m, peer);
		if (shared || m->master)
			m->propagation = m->master ? MS_SLAVE : MS_PRIVATE;
		return;
	}
	leave_group(m);
	leave_master(m);
	m->propagation = type;
}

#define MAX_SLAVE_DEPTH 100 /* slaves of slaves of ...: further down nothing arrives */

/* Every mount that receives what happens on `m`: peers, slaves, and theirs. A plain recursion:
 * slaves form a tree. */
static int for_each_receiver(struct mount *m, int depth,
			     int (*fn)(struct mount *receiver, void *arg), void *arg)
{
	struct mount *p = m, *s;
	int err = 0;

	do {
		if (p != m || depth > 0)
			err = fn(p, arg);
		list_for_each (s, &p->slaves, slave_node)
			if (err == 0 && depth < MAX_SLAVE_DEPTH)
				err = for_each_receiver(s, depth + 1, fn, arg);
		p = next_peer(p);
	} while (err == 0 && p != m);
	return err;
}

struct attach {
	struct mount *tree;
	struct dentry *mountpoint;
	/* The copies, by .all. They are in no namespace yet, so that those that join the group
	 * under way are not taken for receivers. */
	struct list made;
};

static int attach_copy(struct mount *receiver, void *arg)
{
	struct attach *a = arg;
	struct mount *copy;

	if (!receiver->ns || !dentry_is_ancestor(receiver->root, a->mountpoint))
		return 0;
	if (receiver->ns->count + mount_tree_count(a->tree) > MAX_MOUNTS)
		return -ENOSPC;
	copy = mount_copy_tree_locked(a->tree, a->tree->root, true);
	if (receiver->master && !(receiver->propagation & MS_SHARED))
		for (struct mount *m = copy; m; m = mount_next_in_tree(m, copy))
			propagation_set_locked(m, MS_SLAVE);
	mount_link_locked(copy, receiver, a->mountpoint);
	list_add_tail(&a->made, &copy->all);
	return 0;
}

int propagation_attach_locked(struct mount *tree, struct mount *parent, struct dentry *mountpoint,
			      struct list *gone)
{
	struct attach a = {.tree = tree, .mountpoint = mountpoint, .made = LIST_INIT(a.made)};
	int err;

	if (!(parent->propagation & MS_SHARED))
		return 0;
	/* What lies on a shared mount is itself shared. */
	for (struct mount *m = tree; m; m = mount_next_in_tree(m, tree))
		propagation_set_locked(m, MS_SHARED);
	err = for_each_receiver(parent, 0, attach_copy, &a);
	while (!list_empty(&a.made)) {
		struct mount *copy = list_first(&a.made, struct mount, all);

		list_del(&copy->all);
		if (err == 0)
			mount_set_ns_locked(copy, copy->parent->ns);
		else
			mount_umount_tree_locked(copy, gone);
	}
	return err;
}

struct detach {
	struct dentry *mountpoint;
	struct mount *like;
	struct list *gone;
	bool busy;
};

/* The mount that propagation put on the receiver at the same place. */
static struct mount *twin(struct mount *receiver, const struct detach *d)
{
	SCOPED_LOCK(&dcache_lock);
	struct mount *m = mount_on_locked(receiver, d->mountpoint);

	return m && m != d->like && m->sb == d->like->sb && m->root == d->like->root ? m : NULL;
}

static int detach_twin(struct mount *receiver, void *arg)
{
	struct detach *d = arg;
	struct mount *m = twin(receiver, d);

	if (m && list_empty(&m->children))
		mount_umount_tree_locked(m, d->gone);
	return 0;
}

void propagation_umount_locked(struct mount *m, struct list *gone)
{
	struct detach d = {.mountpoint = m->mountpoint, .like = m, .gone = gone};

	if (m->parent->propagation & MS_SHARED)
		for_each_receiver(m->parent, 0, detach_twin, &d);
}

static int look_busy(struct mount *receiver, void *arg)
{
	struct detach *d = arg;
	struct mount *m = twin(receiver, d);

	d->busy |= m && list_empty(&m->children) && ref_read(&m->ref) > 1;
	return 0;
}

bool propagation_busy_locked(struct mount *m)
{
	struct detach d = {.mountpoint = m->mountpoint, .like = m};

	if (m->parent->propagation & MS_SHARED)
		for_each_receiver(m->parent, 0, look_busy, &d);
	return d.busy;
}
