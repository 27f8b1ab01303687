#include "sentry/fs/procfs/pseudofs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/mount.h"

#define WRITE_MAX (64UL << 10)

/* --- open files ------------------------------------------------------------------------- */

struct pseudo_file {
	struct file file;
	struct mutex lock; /* RANK_LEAF */
	/* guarded by lock: what the reader sees until it comes back to position 0 */
	struct text text;
	struct account *payer; /* of the text */
	bool filled;
	struct mount_ns *mounts; /* immutable; owned; NULL: the text is not about mounts */
	atomic_uint_fast64_t seen_event;
};

static struct pseudo_file *pseudo_file_of(struct file *f)
{
	return container_of(f, struct pseudo_file, file);
}

static int refill(struct pseudo_file *pf)
{
	struct pseudo_inode *p = pseudo_inode_of(pf->file.inode);
	struct text fresh = {.buf = NULL}, old;
	struct account *payer = NULL, *old_payer;
	int r = p->ops->show ? p->ops->show(p, &fresh) : -EIO;

	if (r >= 0)
		r = fresh.failed ? -ENOMEM : account_charge(fresh.room, &payer);
	if (r < 0) {
		text_fini(&fresh);
		return r;
	}
	mutex_lock(&pf->lock);
	old = pf->text;
	old_payer = pf->payer;
	pf->text = fresh;
	pf->payer = payer;
	pf->filled = true;
	mutex_unlock(&pf->lock);
	account_uncharge(old_payer, old.room);
	text_fini(&old);
	return 0;
}

static ssize_t pseudo_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct pseudo_file *pf = pseudo_file_of(f);

	if (*pos == 0 || !pf->filled) {
		int r = refill(pf);

		if (r < 0)
			return r;
	}
	SCOPED_LOCK(&pf->lock);
	if (*pos < 0 || (size_t)*pos >= pf->text.len)
		return 0;
	n = min(n, pf->text.len - (size_t)*pos);
	memcpy(buf, pf->text.buf + *pos, n);
	*pos += (off_t)n;
	return (ssize_t)n;
}

static ssize_t pseudo_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct pseudo_inode *p = pseudo_inode_of(f->inode);
	SCOPED_FREE char *text = NULL;
	ssize_t r;

	if (!p->ops->write)
		return -EIO;
	n = min(n, WRITE_MAX);
	text = try_malloc(n + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, buf, n);
	text[n] = '\0';
	r = p->ops->write(p, text, n);
	if (r > 0)
		*pos += r;
	return r;
}

void pseudo_file_release(struct file *f)
{
	struct pseudo_file *pf = pseudo_file_of(f);

	file_fini(f);
	account_uncharge(pf->payer, pf->text.room);
	if (pf->mounts)
		mount_ns_put(pf->mounts);
	text_fini(&pf->text);
	mutex_destroy(&pf->lock);
	free(pf);
}

/* The end of a text that is made anew at each read is nowhere. */
static off_t pseudo_seek(struct file *f, off_t offset, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	return file_seek_generic(f, offset, whence);
}

static uint32_t pseudo_poll(struct file *f)
{
	struct pseudo_file *pf = pseudo_file_of(f);
	uint64_t now;

	if (!pf->mounts)
		return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	now = mount_ns_event(pf->mounts);
	return POLLIN | POLLRDNORM |
	       (atomic_exchange(&pf->seen_event, now) != now ? POLLERR | POLLPRI : 0);
}

static const struct file_ops text_ops = {.read = pseudo_read,
					 .write = pseudo_write,
					 .seek = pseudo_seek,
					 .poll = pseudo_poll,
					 .release = pseudo_file_release};

static int pseudo_readdir(struct file *f, struct dirent_sink *sink)
{
	struct pseudo_inode *p = pseudo_inode_of(f->inode);

	if (!dir_emit_dots(f, sink))
		return 0;
	return p->ops->iterate ? p->ops->iterate(p, sink, &f->pos) : 0;
}

static const struct file_ops dir_ops = {.readdir = pseudo_readdir, .release = pseudo_file_release};

static const struct file_ops *choose_file_ops(const struct pseudo_inode *p)
{
	if (S_ISDIR(p->inode.mode))
		return &dir_ops;
	return p->ops->file_ops ? p->ops->file_ops : &text_ops;
}

static int pseudo_open(struct inode *inode, const struct path *path, const struct cred *cred,
		       int flags, struct file **out)
{
	struct pseudo_inode *p = pseudo_inode_of(inode);
	struct mount_ns *mounts = NULL;
	struct pseudo_file *pf;

	if (p->ops->open) {
		int r = p->ops->open(p, cred, flags);

		if (r < 0)
			return r;
	}
	if (p->ops->mounts) {
		mounts = p->ops->mounts(p);
		if (!mounts)
			return -EINVAL;
	}
	pf = NEW(struct pseudo_file);
	mutex_init(&pf->lock, RANK_LEAF);
	file_init(&pf->file, choose_file_ops(p), inode, path, cred, flags);
	pf->file.caps = FILE_CAN_SEEK;
	if (mounts) {
		pf->mounts = mounts;
		pf->file.wq = mount_ns_waitq(mounts);
		atomic_init(&pf->seen_event, mount_ns_event(mounts));
	}
	*out = &pf->file;
	return 0;
}

/* --- inodes ----------------------------------------------------------------------------- */

static int pseudo_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct pseudo_inode *p = pseudo_inode_of(dir), *child;
	int r = p->ops->lookup ? p->ops->lookup(p, name, len, &child) : -ENOENT;

	if (r < 0)
		return r;
	if (child->ops->refresh)
		child->ops->refresh(child);
	*out = &child->inode;
	return 0;
}

static ssize_t pseudo_readlink(struct inode *inode, struct guest_access *caller, char *buf,
			       size_t size)
{
	struct pseudo_inode *p = pseudo_inode_of(inode);

	return p->ops->readlink ? p->ops->readlink(p, caller, buf, size) : -EINVAL;
}

static int pseudo_follow(struct inode *inode, struct guest_access *caller, struct path *out)
{
	struct pseudo_inode *p = pseudo_inode_of(inode);

	return p->ops->follow(p, caller, out);
}

static int pseudo_getattr(struct inode *inode, struct kstat *st)
{
	struct pseudo_inode *p = pseudo_inode_of(inode);

	if (p->ops->refresh)
		p->ops->refresh(p);
	inode_fill_stat(inode, st);
	st->blocks = 0;
	st->blksize = 1024;
	return 0;
}

/* Linux lets the owner change modes in /proc, to no effect for most; we refuse nothing less. */
static int pseudo_setattr(struct inode *inode, const struct iattr *attr)
{
	if (attr->valid & (IATTR_MODE | IATTR_UID | IATTR_GID))
		return -EPERM;
	return 0; /* O_TRUNC of a file that is only ever written whole */
}

/* Nothing can be made here; the errors are those of Linux's proc and sysfs. */
static int pseudo_create(struct inode *dir, const char *name, size_t len,
			 const struct new_inode *new, struct inode **out)
{
	if (strcmp(dir->sb->type, "proc") == 0)
		return -ENOENT;
	return S_ISREG(new->mode) ? -EACCES : -EPERM;
}

static void pseudo_release(struct inode *inode)
{
	struct pseudo_inode *p = pseudo_inode_of(inode);

	inode_fini(inode);
	if (p->ops->release)
		p->ops->release(p);
	else
		free(p);
}

static const struct inode_ops pseudo_inode_ops = {
    .lookup = pseudo_lookup,
    .create = pseudo_create,
    .getattr = pseudo_getattr,
    .setattr = pseudo_setattr,
    .open = pseudo_open,
    .release = pseudo_release,
};

static const struct inode_ops pseudo_link_ops = {
    .readlink = pseudo_readlink,
    .getattr = pseudo_getattr,
    .release = pseudo_release,
};

/* A link whose target is no name but an object. */
static const struct inode_ops pseudo_magic_ops = {
    .readlink = pseudo_readlink,
    .follow = pseudo_follow,
    .getattr = pseudo_getattr,
    .release = pseudo_release,
};

void pseudo_inode_init(struct pseudo_inode *p, struct superblock *sb, const struct pseudo_ops *ops,
		       uint64_t ino, uint32_t mode)
{
	const struct inode_ops *inode_ops = &pseudo_inode_ops;

	if (S_ISLNK(mode))
		inode_ops = ops->follow ? &pseudo_magic_ops : &pseudo_link_ops;
	inode_init(&p->inode, sb, inode_ops, ino, mode);
	p->ops = ops;
	if (S_ISDIR(mode))
		p->inode.nlink = 2;
}

/* --- tables ------------------------------------------------------------------------------ */

static int entry_show(struct pseudo_inode *p, struct text *out)
{
	const struct pseudo_entry *e = pseudo_entry_of(p);

	if (e->text) {
		text_puts(out, e->text);
		return 0;
	}
	return e->show ? e->show(p->inode.sb, out) : -EIO;
}

static ssize_t entry_write(struct pseudo_inode *p, const char *text, size_t n)
{
	const struct pseudo_entry *e = pseudo_entry_of(p);

	return e->write ? e->write(p->inode.sb, text, n) : -EIO;
}

static int entry_lookup(struct pseudo_inode *dir, const char *name, size_t len,
			struct pseudo_inode **out)
{
	const struct pseudo_entry *table = pseudo_entry_of(dir)->children;
	const struct pseudo_entry *e = pseudo_entry_find(table, name, len);

	if (!e)
		return -ENOENT;
	*out = pseudo_entry_new(dir->inode.sb, e,
				pseudo_ino(dir->inode.ino, (uint64_t)(e - table) + 1));
	return 0;
}

static int entry_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	pseudo_entries_emit(pseudo_entry_of(dir)->children, sink, 2, pos);
	return 0;
}

static ssize_t entry_readlink(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			      size_t size)
{
	const char *target = pseudo_entry_of(p)->target;
	size_t n = min(strlen(target), size);

	memcpy(buf, target, n);
	return (ssize_t)n;
}

static const struct pseudo_ops entry_file_ops = {.show = entry_show, .write = entry_write};
static const struct pseudo_ops entry_dir_ops = {.lookup = entry_lookup, .iterate = entry_iterate};
static const struct pseudo_ops entry_link_ops = {.readlink = entry_readlink};

struct pseudo_inode *pseudo_entry_new(struct superblock *sb, const struct pseudo_entry *entry,
				      uint64_t ino)
{
	struct pseudo_entry_inode *e = NEW(struct pseudo_entry_inode);
	const struct pseudo_ops *ops = entry->ops;

	static_assert(offsetof(struct pseudo_entry_inode, base) == 0, "free(p) frees it");
	if (!ops)
		ops = S_ISDIR(entry->mode)   ? &entry_dir_ops
		      : S_ISLNK(entry->mode) ? &entry_link_ops
					     : &entry_file_ops;
	e->entry = entry;
	pseudo_inode_init(&e->base, sb, ops, ino, entry->mode);
	return &e->base;
}

const struct pseudo_entry *pseudo_entry_find(const struct pseudo_entry *table, const char *name,
					     size_t len)
{
	for (; table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

bool pseudo_entries_emit(const struct pseudo_entry *table, struct dirent_sink *sink, off_t first,
			 off_t *pos)
{
	for (off_t i = 0; table[i].name; i++) {
		off_t cookie = first + i + 1;

		if (*pos >= cookie)
			continue;
		if (!sink->emit(sink, table[i].name, strlen(table[i].name),
				pseudo_ino((uint64_t)first, (uint64_t)cookie),
				IFTODT(table[i].mode), cookie))
			return false;
		*pos = cookie;
	}
	return true;
}

uint64_t pseudo_ino(uint64_t a, uint64_t b)
{
	uint64_t h = (a * 0x9e3779b97f4a7c15ULL) ^ (b + 0x165667b19e3779f9ULL);

	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	h ^= h >> 32;
	return (h & 0x7fffffff) | 0x40000000; /* fits what old programs take for an inode number */
}

int pseudo_parse_number(const char *name, size_t len, int *n)
{
	long v = 0;

	if (len == 0 || len > 10 || (name[0] == '0' && len > 1))
		return -ENOENT;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		v = v * 10 + (name[i] - '0');
	}
	if (v > INT32_MAX)
		return -ENOENT;
	*n = (int)v;
	return 0;
}

bool pseudo_emit_number(struct dirent_sink *sink, uint64_t number, uint64_t ino, unsigned char type,
			off_t cookie)
{
	char name[24];
	int n = snprintf(name, sizeof(name), "%llu", (unsigned long long)number);

	return sink->emit(sink, name, (size_t)n, ino, type, cookie);
}

/* --- superblocks -------------------------------------------------------------------------- */

static int pseudo_statfs(struct superblock *sb, struct kstatfs *out)
{
	*out = (struct kstatfs){.type = container_of(sb, struct pseudo_sb, sb)->magic,
				.bsize = 4096,
				.frsize = 4096,
				.namelen = 255};
	return 0;
}

static bool pseudo_grants(struct inode *inode, int mask)
{
	struct pseudo_inode *p = pseudo_inode_of(inode);

	return p->ops && p->ops->grants && p->ops->grants(p, mask);
}

static void pseudo_sb_release(struct superblock *sb)
{
	struct pseudo_sb *p = container_of(sb, struct pseudo_sb, sb);

	superblock_fini(sb);
	if (p->fini)
		p->fini(p);
	free(p);
}

static const struct sb_ops pseudo_sb_ops = {
    .statfs = pseudo_statfs,
    .grants = pseudo_grants,
    .release = pseudo_sb_release,
};

void pseudo_sb_init(struct pseudo_sb *sb, const char *type, const char *source, uint64_t magic)
{
	superblock_init(&sb->sb, &pseudo_sb_ops, type, source);
	sb->sb.flags |= SB_NO_CACHE;
	sb->magic = magic;
}
