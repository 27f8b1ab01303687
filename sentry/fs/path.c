/* Paths as objects: references, and the name of one (d_path). */
#include "sentry/fs/path.h"

#include <errno.h>
#include <string.h>

#include "sentry/fs/dentry.h"
#include "sentry/fs/mount.h"

void path_get(const struct path *p)
{
	if (p->mnt)
		mount_get(p->mnt);
	if (p->dentry)
		dentry_get(p->dentry);
}

void path_put(struct path *p)
{
	struct dentry *d = p->dentry;
	struct mount *m = p->mnt;

	p->dentry = NULL;
	p->mnt = NULL;
	if (d)
		dentry_put(d);
	if (m)
		mount_put(m);
}

bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

struct inode *path_inode(const struct path *p)
{
	return p->dentry->inode;
}

/* Puts the bytes in front of *at; false when there is no room. */
static bool prepend(char *buf, char **at, const char *s, size_t len)
{
	if ((size_t)(*at - buf) < len)
		return false;
	*at -= len;
	memcpy(*at, s, len);
	return true;
}

enum reach { REACHED_ROOT, REACHED_TOP, NO_ROOM };

static enum reach name_locked(const struct path *p, const struct path *root, char *buf, char **at)
{
	const struct dentry *d = p->dentry;
	const struct mount *m = p->mnt;

	for (;;) {
		if (root && d == root->dentry && m == root->mnt)
			return REACHED_ROOT;
		if (d == m->root) {
			if (!m->parent)
				return m->ns && !root ? REACHED_ROOT : REACHED_TOP;
			d = m->mountpoint;
			m = m->parent;
			continue;
		}
		if (d->parent == d)
			return REACHED_TOP;
		if (!prepend(buf, at, d->name, d->len) || !prepend(buf, at, "/", 1))
			return NO_ROOM;
		d = d->parent;
	}
}

ssize_t path_name(const struct path *p, const struct path *root, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)", unreachable[] = "(unreachable)";
	char *at = buf + size, *end;
	enum reach reach;

	if (size == 0 || !prepend(buf, &at, "", 1))
		return -ENAMETOOLONG;
	mutex_lock(&dcache_lock);
	if (p->dentry->flags & DENTRY_ANON) {
		size_t n = p->dentry->len;

		if (n < size)
			memcpy(buf, p->dentry->name, n + 1);
		mutex_unlock(&dcache_lock);
		return n < size ? (ssize_t)n + 1 : -ENAMETOOLONG;
	}
	if ((p->dentry->flags & DENTRY_DELETED) &&
	    !prepend(buf, &at, deleted, sizeof(deleted) - 1)) {
		mutex_unlock(&dcache_lock);
		return -ENAMETOOLONG;
	}
	end = at;
	reach = name_locked(p, root, buf, &at);
	mutex_unlock(&dcache_lock);
	if (reach == NO_ROOM || (at == end && !prepend(buf, &at, "/", 1)) ||
	    (reach == REACHED_TOP && !prepend(buf, &at, unreachable, sizeof(unreachable) - 1)))
		return -ENAMETOOLONG;
	size = (size_t)(buf + size - at);
	memmove(buf, at, size);
	return (ssize_t)size;
}
