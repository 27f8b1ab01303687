/*
 * Shared anonymous memory. The host keeps it (MAP_SHARED|MAP_ANONYMOUS in the
 * stub, which a forked stub inherits), so no descriptor is needed; but futexes,
 * /proc and merging need to know which mapping shows which memory. That is what
 * this nameless file is: an identity, never read or written.
 */
#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/mm/internal.h"

static void identity_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops identity_ops = {.release = identity_release};

static struct cred *nobody_in_particular(void)
{
	static struct mutex lock = MUTEX_INIT(RANK_LEAF);
	static struct cred *cred;
	SCOPED_LOCK(&lock);

	if (!cred)
		cred = cred_new_root(0);
	return cred;
}

struct file *mm_shared_identity(void)
{
	struct file *f = NEW(struct file);
	struct inode *inode = anon_inode_new("dev/zero", S_IFREG);

	file_init(f, &identity_ops, inode, &(struct path){NULL, NULL}, nobody_in_particular(),
		  O_RDWR);
	inode_put(inode);
	return f;
}
