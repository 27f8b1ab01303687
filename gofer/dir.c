/*
 * Reading directories. A record's offset is the host's own d_off, which host
 * file systems keep valid while the directory stays open; so a directory that
 * does not fit into one reply gets a handle that keeps it open. A handle is used
 * by one request at a time (-EBUSY).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/host_file.h"
#include "common/host_tree.h"
#include "common/mem.h"
#include "gofer/server.h"

struct dirhandle {
	int fd;
	uint32_t generation;
	bool busy;	 /* guarded by server.lock */
	uint64_t nodeid; /* whose entries these are */
	off_t pos;	 /* where the host's next getdents64 goes on */
};

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

static uint64_t handle_id(const struct server *s, unsigned int slot)
{
	return (uint64_t)s->dirs[slot]->generation << 32 | (slot + 1);
}

/* Makes a place for the handle: its fh, or 0 if there is none. */
static uint64_t handle_store(struct server *s, struct dirhandle *h)
{
	uint64_t fh = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(s->dirs) && !fh; i++) {
		if (s->dirs[i])
			continue;
		s->dirs[i] = h;
		h->generation = ++s->dir_generation;
		fh = handle_id(s, i);
	}
	pthread_mutex_unlock(&s->lock);
	return fh;
}

static int handle_take(struct server *s, uint64_t fh, struct dirhandle **out)
{
	uint32_t slot = (uint32_t)fh - 1;
	int err = -EBADF;

	pthread_mutex_lock(&s->lock);
	if (slot < ARRAY_SIZE(s->dirs) && s->dirs[slot] && handle_id(s, slot) == fh) {
		err = s->dirs[slot]->busy ? -EBUSY : 0;
		if (!err) {
			s->dirs[slot]->busy = true;
			*out = s->dirs[slot];
		}
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

static void handle_release(struct server *s, struct dirhandle *h)
{
	pthread_mutex_lock(&s->lock);
	h->busy = false;
	pthread_mutex_unlock(&s->lock);
}

static void handle_free(struct dirhandle *h)
{
	host_close(h->fd);
	free(h);
}

/* Takes a handle off the table; the caller holds it (busy). */
static void handle_drop(struct server *s, uint64_t fh)
{
	pthread_mutex_lock(&s->lock);
	s->dirs[(uint32_t)fh - 1] = NULL;
	pthread_mutex_unlock(&s->lock);
}

static int handle_open(struct request *r, struct dirhandle **out)
{
	int path = node_pin(&r->srv->nodes, r->node), fd;
	struct dirhandle *h;

	if (path < 0)
		return path;
	fd = host_openat(AT_FDCWD, fd_path(path).s, O_RDONLY | O_DIRECTORY, 0);
	node_unpin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	h = NEW(struct dirhandle);
	h->fd = fd;
	h->busy = true;
	h->nodeid = r->node->id;
	*out = h;
	return 0;
}

/* ------------------------------------------------------------ records */

struct batch {
	struct request *r;
	struct dirhandle *h;
	size_t limit; /* r->out_len must stay below */
	bool plain, xattrs, full, end;
};

static size_t record_size(const struct batch *b, size_t namelen)
{
	return sizeof(struct fuse_entry_out) +
	       (atomic_load(&b->r->srv->extended) ? sizeof(struct gofer_ext) : 0) +
	       FUSE_DIRENT_ALIGN(sizeof(struct fuse_dirent) + namelen);
}

static bool has_xattrs(int dir, const char *name)
{
	char path[16 + GOFER_NAME_MAX + 2];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", fd_path(dir).s, name);
	n = host_llistxattr(path, NULL, 0);
	return n > 0 || (n < 0 && n != -EOPNOTSUPP);
}

/* The node of an entry, or 0 where there is nothing to show. */
static uint64_t entry_node(struct batch *b, const char *name, struct statx *st)
{
	struct server *srv = b->r->srv;
	uint64_t id = 0;
	int foreign;

	if (b->plain || stat_name(b->h->fd, name, st) < 0)
		return 0;
	foreign = server_check_dev(srv, b->h->fd, name, st);
	if (foreign < 0 ||
	    node_lookup(&srv->nodes, b->r->node, name, st, -1, foreign == 1, &id) < 0)
		return 0;
	return id;
}

/* The entry part of a record. */
static int put_entry(struct batch *b, const char *name)
{
	struct statx st = {0};
	uint64_t id = entry_node(b, name, &st);

	if (reply_entry(b->r, id, &st) < 0)
		return -EIO;
	if (b->xattrs && id && atomic_load(&b->r->srv->extended) && !has_xattrs(b->h->fd, name)) {
		struct gofer_ext *x = (void *)(b->r->out + b->r->out_len - sizeof(*x));

		x->flags |= GOFER_EXT_NO_XATTRS;
	}
	return 0;
}

static void put_record(struct batch *b, const struct linux_dirent64 *d)
{
	size_t len = strlen(d->d_name);
	struct fuse_dirent *out;

	if (b->r->out_len + record_size(b, len) > b->limit || put_entry(b, d->d_name) < 0) {
		b->full = true;
		return;
	}
	out = req_reply(b->r, FUSE_DIRENT_ALIGN(sizeof(*out) + len));
	assert(out); /* `limit` is within the reply */
	out->ino = d->d_ino;
	out->off = (uint64_t)d->d_off;
	out->namelen = (uint32_t)len;
	out->type = d->d_type;
	memcpy(out->name, d->d_name, len);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* One getdents64 and what fits of it. */
static int read_some(struct batch *b)
{
	alignas(8) char buf[8192];
	/* a record is some six times as long as the host's */
	size_t want = max((b->limit - b->r->out_len) / 6, (size_t)1024);
	ssize_t n = host_getdents64(b->h->fd, buf, min(want, sizeof(buf)));

	if (n < 0)
		return (int)n;
	b->end = n == 0;
	for (ssize_t at = 0; at < n && !b->full;) {
		const struct linux_dirent64 *d = (const void *)(buf + at);

		if (!is_dots(d->d_name))
			put_record(b, d);
		if (!b->full)
			b->h->pos = d->d_off;
		at += d->d_reclen;
	}
	return 0;
}

static int read_batch(struct batch *b, uint64_t offset)
{
	off_t at = 0;
	int err = 0;

	if (b->h->pos != (off_t)offset || b->h->pos < 0)
		at = host_lseek(b->h->fd, (off_t)offset, SEEK_SET);
	if (at < 0)
		return (int)at;
	b->h->pos = (off_t)offset;
	while (!err && !b->full && !b->end)
		err = read_some(b);
	if (b->full)
		at = host_lseek(b->h->fd, b->h->pos, SEEK_SET);
	return err ? err : at < 0 ? (int)at : 0;
}

/* Gives back a fresh handle that the client needs (fh in the reply), or frees it. */
static int keep_handle(struct request *r, struct gofer_readdir_out *out, struct dirhandle *h)
{
	if (!out->end) {
		out->fh = handle_store(r->srv, h);
		if (out->fh) {
			handle_release(r->srv, h);
			return 0;
		}
	}
	handle_free(h);
	return out->end ? 0 : -ENFILE;
}

int op_readdir(struct request *r)
{
	const struct gofer_readdir_in *in = req_take(r, sizeof(*in));
	struct gofer_readdir_out *out = req_reply(r, sizeof(*out));
	struct batch b = {
	    .r = r,
	    .plain = in->flags & GOFER_READDIR_PLAIN,
	    .xattrs = in->flags & GOFER_READDIR_XATTRS,
	};
	int err;

	if (in->size < 512 || in->offset > INT64_MAX)
		return -EINVAL;
	if (r->node->foreign) {
		out->end = 1;
		return 0;
	}
	b.limit = r->out_len + min(in->size, (uint32_t)GOFER_DATA_MAX);
	err = in->fh ? handle_take(r->srv, in->fh, &b.h) : handle_open(r, &b.h);
	if (err)
		return err;
	err = b.h->nodeid == r->node->id ? read_batch(&b, in->offset) : -EBADF;
	out->end = b.end;
	if (in->fh) {
		out->fh = in->fh;
		handle_release(r->srv, b.h);
	} else if (err) {
		handle_free(b.h);
	} else {
		err = keep_handle(r, out, b.h);
	}
	return err;
}

int op_closedir(struct request *r)
{
	const struct gofer_close_in *in = req_take(r, sizeof(*in));
	struct dirhandle *h;
	int err = handle_take(r->srv, in->fh, &h);

	if (err)
		return err;
	handle_drop(r->srv, in->fh);
	handle_free(h);
	return 0;
}

void server_free(struct server *s)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(s->dirs); i++)
		if (s->dirs[i])
			handle_free(s->dirs[i]);
	node_table_fini(&s->nodes);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
