/*
 * Reading directories. One that exists in one tree only, and the lower one at
 * that, is passed through. Any other is read as a whole at its first entry (and
 * again after a rewind): upper names, then those lower ones that no upper name
 * hides. A cookie is then the entry's place in that list, so it holds whatever
 * is removed meanwhile. A list is bounded by LIST_MAX bytes.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/overlay/internal.h"

#define LIST_MAX (256UL << 20)
#define FIRST_COOKIE 2

struct merged_entry {
	uint64_t ino;
	uint32_t hash_next; /* offset + 1 in the list, 0: none */
	unsigned char type, len;
	bool whiteout, upper;
	char name[];
};

/* Entries in a row, and a hash over them. */
struct merged_list {
	char *data;
	size_t len, size;
	uint32_t *offsets;
	size_t n, offsets_size;
	uint32_t *buckets;
	size_t nbuckets;
	struct overlay_inode *dir;
	bool upper; /* what is being read */
	int err;
};

static struct merged_entry *entry_at(const struct merged_list *l, uint32_t offset)
{
	return (struct merged_entry *)(l->data + offset);
}

static uint32_t hash_name(const char *name, size_t len)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619U;
	return h;
}

static bool list_has(const struct merged_list *l, const char *name, size_t len)
{
	uint32_t at = l->nbuckets ? l->buckets[hash_name(name, len) & (l->nbuckets - 1)] : 0;

	while (at) {
		const struct merged_entry *e = entry_at(l, at - 1);

		if (e->len == len && !memcmp(e->name, name, len))
			return true;
		at = e->hash_next;
	}
	return false;
}

static bool list_rehash(struct merged_list *l)
{
	size_t n = max(2 * l->nbuckets, (size_t)64);
	uint32_t *buckets = charged_calloc(n, sizeof(uint32_t));

	if (!buckets)
		return false;
	charged_free(l->buckets);
	l->buckets = buckets;
	l->nbuckets = n;
	for (size_t i = 0; i < l->n; i++) {
		struct merged_entry *e = entry_at(l, l->offsets[i]);
		uint32_t *b = &l->buckets[hash_name(e->name, e->len) & (l->nbuckets - 1)];

		e->hash_next = *b;
		*b = l->offsets[i] + 1;
	}
	return true;
}

static bool list_room(struct merged_list *l, size_t want)
{
	void *p;

	if (l->len + want > LIST_MAX)
		return false;
	if (l->len + want > l->size) {
		p = charged_realloc(l->data, max(2 * l->size, (size_t)4096));
		if (!p)
			return false;
		l->data = p;
		l->size = max(2 * l->size, (size_t)4096);
	}
	if (l->n == l->offsets_size) {
		p = charged_realloc(l->offsets, max(2 * l->n, (size_t)64) * sizeof(uint32_t));
		if (!p)
			return false;
		l->offsets = p;
		l->offsets_size = max(2 * l->n, (size_t)64);
	}
	return true;
}

static bool list_add_entry(struct merged_list *l, const struct merged_entry *e, const char *name)
{
	size_t want = ROUND_UP(sizeof(*e) + e->len, (size_t)8);
	struct merged_entry *to;
	uint32_t *b;

	if (!list_room(l, want) || (l->n >= l->nbuckets && !list_rehash(l)))
		return false;
	to = entry_at(l, (uint32_t)l->len);
	*to = *e;
	memcpy(to->name, name, e->len);
	b = &l->buckets[hash_name(name, e->len) & (l->nbuckets - 1)];
	to->hash_next = *b;
	*b = (uint32_t)l->len + 1;
	l->offsets[l->n++] = (uint32_t)l->len;
	l->len += want;
	return true;
}

static void list_free(struct merged_list *l)
{
	charged_free(l->data);
	charged_free(l->offsets);
	charged_free(l->buckets);
	*l = (struct merged_list){0};
}

/* ------------------------------------------------------------ filling */

struct list_sink {
	struct dirent_sink sink;
	struct merged_list *list;
};

static bool entry_is_whiteout(struct overlay_inode *dir, const char *name, size_t len)
{
	struct inode *inode;
	bool yes;

	if (real_lookup(upper_of(dir), name, len, &inode) < 0)
		return false;
	yes = is_whiteout(inode);
	inode_put(inode);
	return yes;
}

static bool list_emit(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
		      unsigned char type, off_t next)
{
	struct merged_list *l = container_of(sink, struct list_sink, sink)->list;
	struct merged_entry e = {.ino = ino, .type = type, .len = (unsigned char)len};

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	if (l->upper) {
		e.upper = true;
		e.ino = overlay_upper_ino(overlay_sb(&l->dir->inode), ino);
		/* after the loop that holds the directory; see mark_whiteouts */
	} else if (list_has(l, name, len)) {
		return true;
	}
	if (!list_add_entry(l, &e, name))
		l->err = -ENOMEM;
	return !l->err;
}

static void mark_whiteouts(struct merged_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct merged_entry *e = entry_at(l, l->offsets[i]);

		if (e->upper && e->type == DT_CHR)
			e->whiteout = entry_is_whiteout(l->dir, e->name, e->len);
	}
}

static int read_tree(struct merged_list *l, struct inode *real)
{
	struct list_sink s = {.sink.emit = list_emit, .list = l};
	struct file *f;
	int err = real_open(overlay_sb(&l->dir->inode), real, O_RDONLY | O_DIRECTORY, &f);
	off_t before;

	if (err)
		return err;
	mutex_lock(&f->pos_lock);
	do {
		before = f->pos;
		err = f->ops->readdir(f, &s.sink);
	} while (!err && !l->err && f->pos != before);
	mutex_unlock(&f->pos_lock);
	file_put(f);
	return err ? err : l->err;
}

/* Inside a layer. */
static int list_fill(struct merged_list *l, struct overlay_inode *dir)
{
	int err = 0;

	*l = (struct merged_list){.dir = dir, .upper = true};
	if (upper_of(dir))
		err = read_tree(l, upper_of(dir));
	if (!err)
		mark_whiteouts(l);
	l->upper = false;
	if (!err && dir->lower)
		err = read_tree(l, dir->lower);
	if (err)
		list_free(l);
	return err;
}

static int remove_whiteouts(struct overlay_inode *dir, const struct merged_list *l)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++) {
		const struct merged_entry *e = entry_at(l, l->offsets[i]);
		struct inode *there;

		if (!e->whiteout)
			continue;
		err = real_lookup(upper_of(dir), e->name, e->len, &there);
		if (!err) {
			err = real_remove(upper_of(dir), e->name, e->len, there);
			inode_put(there);
		}
	}
	return err;
}

int overlay_clear_dir(struct overlay_section *s, struct overlay_inode *dir)
{
	struct merged_list l;
	int err = list_fill(&l, dir);

	if (err)
		return err;
	for (size_t i = 0; i < l.n && !err; i++)
		if (!entry_at(&l, l.offsets[i])->whiteout)
			err = -ENOTEMPTY;
	if (!err && upper_of(dir))
		err = remove_whiteouts(dir, &l);
	list_free(&l);
	return err;
}

/* ------------------------------------------------------------ file operations */

struct overlay_dir {
	struct file file;
	/* guarded by file.pos_lock */
	struct file *lower; /* passed through; NULL: the list is used */
	struct merged_list list;
	bool filled;
};

static int begin(struct overlay_dir *d)
{
	struct overlay_inode *oi = overlay_inode(d->file.inode);
	struct overlay_sb *ov = overlay_sb(d->file.inode);
	struct overlay_section s;
	struct lock_layer layer;
	int err;

	list_free(&d->list);
	if (d->lower)
		file_put(d->lower);
	d->lower = NULL;
	if (upper_of(oi)) {
		section_begin(&s, ov); /* so that whiteouts and names fit together */
		err = list_fill(&d->list, oi);
		section_end(&s);
	} else {
		lock_layer_enter(&layer);
		err = real_open(ov, oi->lower, O_RDONLY | O_DIRECTORY, &d->lower);
		lock_layer_leave(&layer);
	}
	d->filled = !err;
	return err;
}

static int read_lower(struct overlay_dir *d, struct dirent_sink *sink)
{
	struct lock_layer layer;
	int err;

	lock_layer_enter(&layer);
	mutex_lock(&d->lower->pos_lock);
	d->lower->pos = d->file.pos;
	err = d->lower->ops->readdir(d->lower, sink);
	d->file.pos = d->lower->pos;
	mutex_unlock(&d->lower->pos_lock);
	lock_layer_leave(&layer);
	return err;
}

static int read_list(struct overlay_dir *d, struct dirent_sink *sink)
{
	struct file *f = &d->file;

	for (; (uint64_t)f->pos - FIRST_COOKIE < d->list.n; f->pos++) {
		const struct merged_entry *e =
		    entry_at(&d->list, d->list.offsets[f->pos - FIRST_COOKIE]);

		if (!e->whiteout && !sink->emit(sink, e->name, e->len, e->ino, e->type, f->pos + 1))
			break;
	}
	return 0;
}

static int dir_readdir(struct file *f, struct dirent_sink *sink)
{
	struct overlay_dir *d = container_of(f, struct overlay_dir, file);
	int err = d->filled && f->pos != 0 ? 0 : begin(d);

	if (err || !dir_emit_dots(f, sink))
		return err;
	return d->lower ? read_lower(d, sink) : read_list(d, sink);
}

static off_t dir_seek(struct file *f, off_t offset, int whence)
{
	off_t pos = whence == SEEK_CUR ? f->pos + offset : offset;

	if ((whence != SEEK_SET && whence != SEEK_CUR) || pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

static void dir_release(struct file *f)
{
	struct overlay_dir *d = container_of(f, struct overlay_dir, file);

	if (d->lower)
		file_put(d->lower);
	list_free(&d->list);
	file_fini(f);
	free(d);
}

static const struct file_ops overlay_dir_ops = {
    .seek = dir_seek,
    .readdir = dir_readdir,
    .release = dir_release,
};

int overlay_open_dir(struct inode *inode, const struct path *path, const struct cred *cred,
		     int flags, struct file **out)
{
	struct overlay_dir *d = NEW(struct overlay_dir);

	file_init(&d->file, &overlay_dir_ops, inode, path, cred, flags);
	d->file.caps = FILE_CAN_SEEK;
	*out = &d->file;
	return 0;
}
