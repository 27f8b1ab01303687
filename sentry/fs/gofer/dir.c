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

struct gofer_dir {
	struct file file;
	uint64_t fh;	  /* the gofer's handle, 0: none */
	uint64_t hits;	  /* prefetch hits when the last batch came */
	char *batch;	  /* struct dir_entry, each aligned to 8 */
	size_t len, at;	  /* bytes of the batch; where the entry at cookie `pos` is */
	off_t start, pos; /* cookies of the batch's begin and of `at` */
	bool end;	  /* nothing behind the batch */
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

static struct dir_entry *entry_at(struct gofer_dir *d, size_t at)
{
	return (struct dir_entry *)(d->batch + at);
}

/* ------------------------------------------------------------ a batch from the gofer */

struct wire_record {
	struct gofer_entry_out entry;
	struct fuse_dirent dirent;
};

static void take_record(struct gofer_dir *d, const struct wire_record *r, uint64_t begun)
{
	struct gofer_sb *gs = gofer_sb(d->file.inode);
	struct dir_entry *e = entry_at(d, d->len);

	e->ino = r->dirent.ino;
	e->next = to_cookie(r->dirent.off);
	e->type = (unsigned char)r->dirent.type;
	e->len = (unsigned char)r->dirent.namelen;
	memcpy(e->name, r->dirent.name, e->len);
	d->len += entry_size(e->len);
	if (r->entry.e.nodeid && r->entry.e.nodeid != FUSE_ROOT_ID)
		prefetch_add(&gs->prefetch, begun, gofer_inode(d->file.inode)->node, e->name,
			     e->len, gofer_iget(gs, &r->entry));
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

static int take_batch(struct gofer_dir *d, const char *reply, size_t len, uint64_t begun)
{
	const struct gofer_readdir_out *head = (const void *)reply;
	size_t at = sizeof(*head), size;

	free(d->batch);
	d->batch = xmalloc(len);
	d->len = 0;
	for (; at < len; at += size) {
		size = record_size(reply + at, len - at);
		if (!size)
			return -EIO;
		take_record(d, (const void *)(reply + at), begun);
	}
	d->batch = xrealloc(d->batch, d->len + 1);
	return 0;
}

static int fetch(struct gofer_dir *d, off_t cookie)
{
	struct gofer_sb *gs = gofer_sb(d->file.inode);
	uint64_t begun = prefetch_begin(&gs->prefetch), hits = atomic_load(&gs->prefetch.hits);
	bool wanted = !d->batch || hits != d->hits;
	struct gofer_readdir_in in = {
	    .fh = d->fh,
	    .offset = from_cookie(cookie),
	    .size = GOFER_DATA_MAX,
	    .flags = wanted ? 0 : GOFER_READDIR_PLAIN,
	};
	SCOPED_FREE char *reply = xmalloc(GOFER_MSG_MAX);
	struct gofer_call call = {
	    .opcode = GOFER_READDIR,
	    .node = gofer_inode(d->file.inode)->node,
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
	d->hits = hits;
	d->fh = ((struct gofer_readdir_out *)reply)->fh;
	d->end = ((struct gofer_readdir_out *)reply)->end;
	d->start = d->pos = cookie;
	d->at = 0;
	return take_batch(d, reply, call.out_len, begun);
}

/* ------------------------------------------------------------ file operations */

/* Puts d->at at the entry behind `cookie`; false: it is not in the batch. */
static bool find_in_batch(struct gofer_dir *d, off_t cookie)
{
	if (!d->batch)
		return false;
	if (cookie == d->pos)
		return d->at < d->len || d->end;
	d->at = 0;
	d->pos = d->start;
	while (d->pos != cookie && d->at < d->len) {
		const struct dir_entry *e = entry_at(d, d->at);

		d->pos = e->next;
		d->at += entry_size(e->len);
	}
	return d->pos == cookie && (d->at < d->len || d->end);
}

static int dir_readdir(struct file *f, struct dirent_sink *sink)
{
	struct gofer_dir *d = container_of(f, struct gofer_dir, file);
	bool rewound = f->pos == 0;

	if (!dir_emit_dots(f, sink))
		return 0;
	if (rewound && d->batch) { /* rewinddir(3) must show what is there now */
		free(d->batch);
		d->batch = NULL;
	}
	for (;;) {
		const struct dir_entry *e;

		if (!find_in_batch(d, f->pos)) {
			int err = fetch(d, f->pos);

			if (err)
				return err;
		}
		if (d->at == d->len && d->end)
			return 0;
		if (d->at == d->len)
			return -EIO; /* an empty batch that is not the end */
		e = entry_at(d, d->at);
		if (!sink->emit(sink, e->name, e->len, e->ino, e->type, e->next))
			return 0;
		f->pos = d->pos = e->next;
		d->at += entry_size(e->len);
	}
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
	struct gofer_close_in in = {.fh = d->fh};
	struct gofer_call call = {
	    .opcode = GOFER_CLOSEDIR, .in = {{&in, sizeof(in)}}, .nin = 1, .fd = -1};

	if (d->fh)
		(void)!client_call(&gofer_sb(f->inode)->client, &call);
	free(d->batch);
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
