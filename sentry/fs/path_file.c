/* Files opened with O_PATH: a place in the tree and nothing else. */
#include "sentry/fs/path_file.h"

#include "common/mem.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"

static void path_file_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops path_file_ops = {.release = path_file_release};

struct file *path_file_new(const struct path *path, const struct cred *cred, int flags)
{
	struct file *f = NEW(struct file);

	file_init(f, &path_file_ops, path_inode(path), path, cred,
		  flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
	f->caps = FILE_IS_PATH;
	return f;
}
