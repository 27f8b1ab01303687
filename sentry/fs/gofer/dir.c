/*
 * Reading directories. The gofer gives batches of entries with their attributes;
 * names go into a compact buffer from which getdents64 is served, inodes into
 * the prefetch for the stats that usually follow. Where nobody asked for what a
 * batch brought, the next batches come without attributes.
 *
 * Cookies are 1 and 2 behind "." and "..", and the host's own, moved up by 2,
 * behind the others; they stay valid while the directory is open, whatever is
 * removed. All of a gofer_dir is guarded by file.pos_lock.
 */
#include <dirent.h>
#include <errno.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/gofer/internal.h"

#define COOKIE_SHIFT 2
#define COOKIE_LAST INT64_MAX

struct dir_entry {
	uint64_t ino;
	off_t next; /* cookie behind it */
	unsigned char type, len;
	char name[];
};

/* Entries in a row, each aligned to 8. Immutable once it is shared. */
struct dir_batch {
	struct refcount ref;
	size_t len;
	bool end; /* nothing behind it */
	_Alignas(8) char data[];
};

struct gofer_dir {
	struct file file;
	uint64_t fh;   /* the gofer's handle, 0: none */
	uint64_t hits; /* prefetch hits when the last batch came */
	struct dir_batch *batch;
	off_t start; /* cookie of the batch's begin */
	size_t at;   /* where the entry behind cookie `pos` is */
	off_t pos;
};

static off_t to_cookie(uint64_t host)
{
	return host >= COOKIE_LAST - 2 * COOKIE_SHIFT ? COOKIE_LAST : (off_t)host + COOKIE_SHIFT;
}

static uint64_t from_cookie(off_t cookie)
{
	if (cookie == COOKIE_LAST)
		return COOKIE_LAST;
	return cookie <= COOKIE_SHIFT ? 0 : (uint64_t)cookie - COOKIE_SHIFT;
}

static size_t entry_size(size_t name_len)
{
	return ROUND_UP(sizeof(struct dir_entry) + name_len, (size_t)8);
}

static struct dir_entry *entry_at(struct dir_batch *b, size_t at)
{
	return (struct dir_entry *)(b->data + at);
}

static void batch_put(struct dir_batch *b)
{
	if (b && ref_put(&b->ref))
		charged_free(b);
}

/* ------------------------------------------------------------ listings that are kept */

#define LISTINGS_MAX (512UL << 10) /* bytes of all of them */
#define LISTING_MAX (32UL << 10)

/* Guards gofer_inode.listing and .listing_age of all superblocks. */
static struct mutex listing_lock = MUTEX_INIT(RANK_LEAF);
static struct list listings = LIST_INIT(listings); /* oldest first */
static size_t listings_bytes;

static struct dir_batch *listing_take_locked(struct gofer_inode *gi)
{
	struct dir_batch *b = gi->listing;

	if (!b)
		return NULL;
	listings_bytes -= b->len;
	list_del(&gi->listing_age);
	gi->listing = NULL;
	return b;
}

void gofer_drop_listing(struct gofer_inode *gi)
{
	struct dir_batch *b;

	mutex_lock(&listing_lock);
	b = listing_take_locked(gi);
	mutex_unlock(&listing_lock);
	batch_put(b);
}

/* Keeps a whole directory's batch unless a name changed since `changes` was read. */
static void listing_keep(struct gofer_inode *gi, struct dir_batch *b, uint64_t changes)
{
	if (!b->end || b->len > LISTING_MAX || gofer_sb(&gi->inode)->shared)
		return;
	SCOPED_LOCK(&listing_lock);
	if (gi->listing || atomic_load(&gi->changes) != changes)
		return;
	ref_get(&b->ref);
	gi->listing = b;
	list_add_tail(&listings, &gi->listing_age);
	listings_bytes += b->len;
	while (listings_bytes > LISTINGS_MAX)
		batch_put(
		    listing_take_locked(list_first(&listings, struct gofer_inode, listing_age)));
}

static struct dir_batch *listing_get(struct gofer_inode *gi)
{
	SCOPED_LOCK(&listing_lock);
	if (gi->listing)
		ref_get(&gi->listing->ref);
	return gi->listing;
}

bool gofer_listing_lacks(struct gofer_inode *gi, const char *name, size_t len)
{
	struct dir_batch *b = listing_get(gi);
	bool lacks = b != NULL;

	for (size_t at = 0; b && at < b->len && lacks;) {
		const struct dir_entry *e = entry_at(b, at);

		lacks = e->len != len || memcmp(e->name, name, len);
		at += entry_size(e->len);
	}
	batch_put(b);
	return lacks;
}

/* ------------------------------------------------------------ a batch from the gofer */

struct wire_record {
	struct gofer_entry_out entry;
	struct fuse_dirent dirent;
};

static void take_record(struct inode *dir, struct dir_batch *b, const struct wire_record *r,
			uint64_t begun)
{
	struct gofer_sb *gs = gofer_sb(dir);
	struct dir_entry *e = entry_at(b, b->len);

	e->ino = r->dirent.ino;
	e->next = to_cookie(r->dirent.off);
	e->type = (unsigned char)r->dirent.type;
	e->len = (unsigned char)r->dirent.namelen;
	memcpy(e->name, r->dirent.name, e->len);
	b->len += entry_size(e->len);
	if (r->entry.e.nodeid && r->entry.e.nodeid != FUSE_ROOT_ID)
		prefetch_add(&gs->prefetch, begun, gofer_inode(dir)->node, e->name, e->len,
			     gofer_iget(gs, &r->entry));
}

/* The size of the record at p, or 0 if there is no whole one. */
static size_t record_size(const char *p, size_t left)
{
	const struct wire_record *r = (const void *)p;
	size_t size;

	if (left < sizeof(*r) || !r->dirent.namelen || r->dirent.namelen > GOFER_NAME_MAX)
		return 0;
	size = sizeof(r->entry) + FUSE_DIRENT_ALIGN(sizeof(r->dirent) + r->dirent.namelen);
	return size <= left ? size : 0;
}

/* The names of a reply, NULL without memory; what is malformed ends it. */
static struct dir_batch *take_batch(struct inode *dir, const char *reply, size_t len,
				    uint64_t begun)
{
	const struct gofer_readdir_out *head = (const void *)reply;
	struct dir_batch *b = charged_malloc(sizeof(*b) + len); /* compact entries are shorter */
	struct dir_batch *fitting;
	size_t at = sizeof(*head), size;

	if (!b)
		return NULL;
	ref_init(&b->ref);
	b->len = 0;
	b->end = head->end;
	for (; at < len && (size = record_size(reply + at, len - at)); at += size)
		take_record(dir, b, (const void *)(reply + at), begun);
	fitting = charged_realloc(b, sizeof(*b) + b->len);
	return fitting ? fitting : b;
}

struct fetch {
	uint64_t fh;		 /* in and out */
	uint64_t offset;	 /* the host's */
	uint32_t flags;		 /* GOFER_READDIR_* */
	struct dir_batch *batch; /* out: owned */
};

static int fetch_batch(struct inode *dir, struct fetch *f)
{
	struct gofer_sb *gs = gofer_sb(dir);
	uint64_t begun = prefetch_begin(&gs->prefetch);
	uint64_t changes = atomic_load(&gofer_inode(dir)->changes);
	struct gofer_readdir_in in = {
	    .fh = f->fh, .offset = f->offset, .size = GOFER_DATA_MAX, .flags = f->flags};
	SCOPED_FREE char *reply = xmalloc(GOFER_MSG_MAX);
	struct gofer_call call = {
	    .opcode = GOFER_READDIR,
	    .node = gofer_inode(dir)->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = reply,
	    .out_max = GOFER_MSG_MAX,
	    .out_min = sizeof(struct gofer_readdir_out),
	    .fd = -1,
	};
	int err = client_call(&gs->client, &call);

	if (err)
		return err;
	f->fh = ((struct gofer_readdir_out *)reply)->fh;
	f->batch = take_batch(dir, reply, call.out_len, begun);
	if (!f->batch)
		return -ENOMEM;
	if (f->offset == 0)
		listing_keep(gofer_inode(dir), f->batch, changes);
	return 0;
}

/* `ls -l` asks every file for an ACL: then find out for all of them at once. */
static uint32_t xattr_flag(struct gofer_sb *gs)
{
	uint64_t probe = atomic_load(&gs->xattr_probe);

	return probe && host_monotonic_ns() - probe < NSEC_PER_SEC ? GOFER_READDIR_XATTRS : 0;
}

static void close_handle(struct gofer_sb *gs, uint64_t fh)
{
	struct gofer_close_in in = {.fh = fh};
	struct gofer_call call = {
	    .opcode = GOFER_CLOSEDIR, .in = {{&in, sizeof(in)}}, .nin = 1, .fd = -1};

	if (fh)
		(void)!client_call(&gs->client, &call);
}

void gofer_scan_dir(struct inode *dir)
{
	struct fetch f = {.flags = xattr_flag(gofer_sb(dir))};

	if (fetch_batch(dir, &f))
		return;
	batch_put(f.batch);
	close_handle(gofer_sb(dir), f.fh);
}

static int fetch(struct gofer_dir *d, off_t cookie)
{
	struct gofer_sb *gs = gofer_sb(d->file.inode);
	uint64_t hits = atomic_load(&gs->prefetch.hits);
	struct fetch f = {.fh = d->fh, .offset = from_cookie(cookie)};
	int err;

	f.flags = !d->batch || hits != d->hits ? xattr_flag(gs) : GOFER_READDIR_PLAIN;
	err = fetch_batch(d->file.inode, &f);
	if (err)
		return err;
	batch_put(d->batch);
	d->batch = f.batch;
	d->fh = f.fh;
	d->hits = hits;
	d->start = d->pos = cookie;
	d->at = 0;
	return 0;
}

/* From the start: what is kept of the directory, or else what the gofer says. */
static int begin(struct gofer_dir *d)
{
	struct dir_batch *kept = listing_get(gofer_inode(d->file.inode));

	batch_put(d->batch);
	d->batch = kept;
	d->start = d->pos = COOKIE_SHIFT;
	d->at = 0;
	return kept ? 0 : fetch(d, COOKIE_SHIFT);
}

/* ------------------------------------------------------------ file operations */

/* Puts d->at at the entry behind `cookie`; false: it is not in the batch. */
static bool find_in_batch(struct gofer_dir *d, off_t cookie)
{
	struct dir_batch *b = d->batch;

	if (!b)
		return false;
	if (cookie == d->pos)
		return d->at < b->len || b->end;
	d->at = 0;
	d->pos = d->start;
	while (d->pos != cookie && d->at < b->len) {
		const struct dir_entry *e = entry_at(b, d->at);

		d->pos = e->next;
		d->at += entry_size(e->len);
	}
	return d->pos == cookie && (d->at < b->len || b->end);
}

/* 1: an entry was emitted; 0: the end, or the sink is full. */
static int emit_one(struct gofer_dir *d, struct dirent_sink *sink)
{
	struct file *f = &d->file;
	const struct dir_entry *e;

	if (!find_in_batch(d, f->pos)) {
		int err = fetch(d, f->pos);

		if (err)
			return err;
	}
	if (d->at == d->batch->len)
		return d->batch->end ? 0 : -EIO; /* empty, and not the end */
	e = entry_at(d->batch, d->at);
	if (!sink->emit(sink, e->name, e->len, e->ino, e->type, e->next))
		return 0;
	f->pos = d->pos = e->next;
	d->at += entry_size(e->len);
	return 1;
}

static int dir_readdir(struct file *f, struct dirent_sink *sink)
{
	struct gofer_dir *d = container_of(f, struct gofer_dir, file);
	int err = 0;

	if (f->pos == 0) /* a rewind shows what is there now */
		err = begin(d);
	if (err)
		return err;
	if (!dir_emit_dots(f, sink))
		return 0;
	do
		err = emit_one(d, sink);
	while (err > 0);
	return err;
}

static off_t dir_seek(struct file *f, off_t offset, int whence)
{
	off_t pos = whence == SEEK_CUR ? f->pos + offset : offset;

	if (whence == SEEK_END)
		pos = COOKIE_LAST;
	else if ((whence != SEEK_SET && whence != SEEK_CUR) || pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

static int dir_fsync(struct file *f, bool datasync)
{
	struct fuse_fsync_in in = {.fsync_flags = datasync ? FUSE_FSYNC_FDATASYNC : 0};
	struct gofer_call call = {
	    .opcode = FUSE_FSYNCDIR,
	    .node = gofer_inode(f->inode)->node,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .fd = -1,
	};

	return client_call(&gofer_sb(f->inode)->client, &call);
}

static void dir_release(struct file *f)
{
	struct gofer_dir *d = container_of(f, struct gofer_dir, file);

	close_handle(gofer_sb(f->inode), d->fh);
	batch_put(d->batch);
	file_fini(f);
	free(d);
}

static const struct file_ops gofer_dir_ops = {
    .seek = dir_seek,
    .readdir = dir_readdir,
    .fsync = dir_fsync,
    .release = dir_release,
};

int gofer_open_dir(struct inode *inode, const struct path *path, const struct cred *cred, int flags,
		   struct file **out)
{
	struct gofer_dir *d = NEW(struct gofer_dir);

	file_init(&d->file, &gofer_dir_ops, inode, path, cred, flags);
	d->file.caps = FILE_CAN_SEEK;
	*out = &d->file;
	return 0;
}
