#include "sentry/fs/dirent.h"

#include "sentry/fs/dentry.h"

static uint64_t parent_ino(struct file *f)
{
	SCOPED_LOCK(&dcache_lock);
	struct dentry *d = f->path.dentry;

	return d && d->parent->inode ? d->parent->inode->ino : f->inode->ino;
}

bool dir_emit_dots(struct file *f, struct dirent_sink *sink)
{
	if (f->pos == 0) {
		if (!sink->emit(sink, ".", 1, f->inode->ino, DT_DIR, 1))
			return false;
		f->pos = 1;
	}
	if (f->pos == 1) {
		if (!sink->emit(sink, "..", 2, parent_ino(f), DT_DIR, 2))
			return false;
		f->pos = 2;
	}
	return true;
}
