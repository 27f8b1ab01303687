/* Extended attributes of tmpfs: a list, because an inode has few. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define MAX_BYTES (256 * 1024) /* names and values of one inode */

static struct tmpfs_xattr *find(struct tmpfs_node *node, const char *name)
{
	struct tmpfs_xattr *x;

	list_for_each (x, &node->xattrs, node)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static size_t weight(const struct tmpfs_xattr *x)
{
	return x->size + strlen(x->name);
}

/* They lie in the sentry's own memory, so whole pages are charged for each. */
static uint64_t pages_of(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

static void drop(struct tmpfs_node *node, struct tmpfs_xattr *x)
{
	tmpfs_uncharge(tmpfs_sb_of(&node->inode), pages_of(weight(x)));
	node->xattr_bytes -= weight(x);
	list_del(&x->node);
	charged_free(x);
}

void tmpfs_xattr_free(struct tmpfs_node *node)
{
	while (!list_empty(&node->xattrs))
		drop(node, list_first(&node->xattrs, struct tmpfs_xattr, node));
}

static ssize_t xattr_get(struct inode *inode, const char *name, void *value, size_t size)
{
	SCOPED_LOCK(&inode->data_lock);
	struct tmpfs_xattr *x = find(tmpfs_node_of(inode), name);

	if (!x)
		return -ENODATA;
	if (size == 0)
		return (ssize_t)x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(value, x->value, x->size);
	return (ssize_t)x->size;
}

static int xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
		     int flags)
{
	struct tmpfs_node *node = tmpfs_node_of(inode);
	struct tmpfs_xattr *old = find(node, name), *x;
	uint64_t need = pages_of(size + strlen(name)), got;
	struct tmpfs_sb *sb = tmpfs_sb_of(inode);
	size_t freed = old ? weight(old) : 0;

	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (node->xattr_bytes - freed + size + strlen(name) > MAX_BYTES)
		return -ENOSPC;
	got = tmpfs_charge(sb, need);
	x = got == need ? charged_alloc(sizeof(*x) + size + strlen(name) + 1) : NULL;
	if (!x) {
		tmpfs_uncharge(sb, got);
		return -ENOSPC;
	}
	x->name = strcpy(x->value + size, name);
	x->size = size;
	memcpy(x->value, value, size);
	if (old)
		drop(node, old);
	list_add_tail(&node->xattrs, &x->node);
	node->xattr_bytes += weight(x);
	inode->ctime = inode_now();
	return 0;
}

static ssize_t xattr_list(struct inode *inode, char *list, size_t size)
{
	SCOPED_LOCK(&inode->data_lock);
	struct tmpfs_xattr *x;
	size_t done = 0;

	list_for_each (x, &tmpfs_node_of(inode)->xattrs, node) {
		size_t len = strlen(x->name) + 1;

		if (size && done + len > size)
			return -ERANGE;
		if (size)
			memcpy(list + done, x->name, len);
		done += len;
	}
	return (ssize_t)done;
}

static int xattr_remove(struct inode *inode, const char *name)
{
	struct tmpfs_xattr *x = find(tmpfs_node_of(inode), name);

	if (!x)
		return -ENODATA;
	drop(tmpfs_node_of(inode), x);
	inode->ctime = inode_now();
	return 0;
}

const struct xattr_ops tmpfs_xattr_ops = {
    .get = xattr_get,
    .set = xattr_set,
    .list = xattr_list,
    .remove = xattr_remove,
};
