#include "sentry/fs/fs_context.h"

#include "common/mem.h"

struct fs_context *fs_context_new(struct mount_ns *mounts)
{
	struct fs_context *fs = NEW(struct fs_context);

	ref_init(&fs->ref);
	mutex_init(&fs->lock, RANK_LEAF);
	fs->umask = 022;
	fs->mounts = mount_ns_get(mounts);
	mount_ns_root(mounts, &fs->root);
	fs->cwd = fs->root;
	path_get(&fs->cwd);
	return fs;
}

struct fs_context *fs_context_get(struct fs_context *fs)
{
	ref_get(&fs->ref);
	return fs;
}

void fs_context_put(struct fs_context *fs)
{
	if (!ref_put(&fs->ref))
		return;
	path_put(&fs->root);
	path_put(&fs->cwd);
	mount_ns_put(fs->mounts);
	mutex_destroy(&fs->lock);
	free(fs);
}

struct fs_context *fs_context_dup(struct fs_context *fs)
{
	struct fs_context *copy = NEW(struct fs_context);

	ref_init(&copy->ref);
	mutex_init(&copy->lock, RANK_LEAF);
	mutex_lock(&fs->lock);
	copy->umask = fs->umask;
	copy->root = fs->root;
	copy->cwd = fs->cwd;
	path_get(&copy->root);
	path_get(&copy->cwd);
	copy->mounts = mount_ns_get(fs->mounts);
	mutex_unlock(&fs->lock);
	return copy;
}

/* path_get only counts up, so it is safe under a leaf lock; path_put is not. */
void fs_context_paths(struct fs_context *fs, struct path *root, struct path *cwd)
{
	SCOPED_LOCK(&fs->lock);
	if (root) {
		*root = fs->root;
		path_get(root);
	}
	if (cwd) {
		*cwd = fs->cwd;
		path_get(cwd);
	}
}

static void replace(struct fs_context *fs, struct path *field, const struct path *with)
{
	struct path old;

	path_get(with);
	mutex_lock(&fs->lock);
	old = *field;
	*field = *with;
	mutex_unlock(&fs->lock);
	path_put(&old);
}

void fs_context_set_root(struct fs_context *fs, const struct path *root)
{
	replace(fs, &fs->root, root);
}

void fs_context_set_cwd(struct fs_context *fs, const struct path *cwd)
{
	replace(fs, &fs->cwd, cwd);
}
