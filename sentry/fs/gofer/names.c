/*
 * Names. On an exclusive export the dentry cache is the truth once a name is in
 * it, and changes go through us; on a shared one every cached name is asked for
 * again (gofer_revalidate).
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/fs/gofer/internal.h"

/* Wire names end in NUL; those of fs/ are counted. */
struct wire_name {
	char s[GOFER_NAME_MAX + 1];
};

static int wire_name(struct wire_name *w, const char *name, size_t len)
{
	if (len > GOFER_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->s, name, len);
	w->s[len] = 0;
	return 0;
}

#define SCAN_AFTER_MISSES 5

static bool sane_entry(const struct gofer_entry_out *e)
{
	return e->e.nodeid != 0 && e->e.nodeid != FUSE_ROOT_ID;
}

/* ------------------------------------------------------------ walking */

struct walk_reply {
	struct gofer_walk_out head;
	struct gofer_entry_out entries[GOFER_WALK_MAX];
};

/* Asks for `count` names, which are NUL-terminated in a row. */
static int walk_call(struct gofer_sb *gs, uint64_t dir, const char *names, size_t len,
		     uint32_t count, struct walk_reply *reply)
{
	struct gofer_walk_in in = {.count = count};
	struct gofer_call call = {
	    .opcode = GOFER_WALK,
	    .node = dir,
	    .in = {{&in, sizeof(in)}, {(void *)names, len}},
	    .nin = 2,
	    .out = reply,
	    .out_max = sizeof(reply->head) + count * sizeof(reply->entries[0]),
	    .out_min = sizeof(reply->head),
	    .fd = -1,
	};
	int err = client_call(&gs->client, &call);

	if (err)
		return err;
	if (reply->head.count > count || reply->head.error > 0 || reply->head.error < -4095 ||
	    call.out_len != sizeof(reply->head) + reply->head.count * sizeof(reply->entries[0]))
		return -EIO;
	for (uint32_t i = 0; i < reply->head.count; i++)
		if (!sane_entry(&reply->entries[i]))
			return -EIO;
	return 0;
}

static bool still_fresh(const struct gofer_sb *gs, uint64_t when)
{
	return !gs->shared || host_monotonic_ns() - when < SHARED_FRESH_NS;
}

/* 1 and the answer in *err if the name was learnt ahead. */
static int lookup_prefetched(struct inode *dir, const char *name, size_t len, struct inode **out,
			     int *err)
{
	struct gofer_sb *gs = gofer_sb(dir);
	uint64_t when;

	if (!prefetch_take(&gs->prefetch, gofer_inode(dir)->node, name, len, out, &when))
		return 0;
	if (still_fresh(gs, when)) {
		*err = *out ? 0 : -ENOENT;
		return 1;
	}
	if (*out)
		inode_put(*out);
	return 0;
}

/* Names that are asked for one by one (git status does so) are soon fetched together. */
static bool worth_a_scan(struct gofer_sb *gs, struct inode *dir)
{
	return !gs->shared && atomic_fetch_add(&gofer_inode(dir)->misses, 1) == SCAN_AFTER_MISSES;
}

int gofer_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct gofer_sb *gs = gofer_sb(dir);
	struct walk_reply reply;
	struct wire_name w;
	int err = wire_name(&w, name, len), found;

	if (!err && atomic_load(&gofer_inode(dir)->gone))
		err = -ENOENT;
	if (err || lookup_prefetched(dir, name, len, out, &err))
		return err;
	if (known_lacks(gofer_inode(dir), name, len) ||
	    gofer_listing_lacks(gofer_inode(dir), name, len))
		return -ENOENT;
	if (worth_a_scan(gs, dir)) {
		gofer_scan_dir(dir);
		if (lookup_prefetched(dir, name, len, out, &found))
			return found;
	}
	err = walk_call(gs, gofer_inode(dir)->node, w.s, len + 1, 1, &reply);
	if (err)
		return err;
	if (!reply.head.count)
		return reply.head.error ? reply.head.error : -EIO;
	*out = gofer_iget(gs, &reply.entries[0]);
	return 0;
}

/* Cuts a path into components for the wire; stops at what a walk cannot take. Their number. */
static uint32_t split(const char *rest, char *names, size_t size, size_t *used)
{
	uint32_t n = 0;

	*used = 0;
	while (n < GOFER_WALK_MAX) {
		size_t len;

		rest += strspn(rest, "/");
		len = strcspn(rest, "/");
		if (!len || len > GOFER_NAME_MAX || *used + len + 1 > size ||
		    (len == 2 && rest[0] == '.' && rest[1] == '.'))
			break;
		if (!(len == 1 && rest[0] == '.')) {
			memcpy(names + *used, rest, len);
			names[*used + len] = 0;
			*used += len + 1;
			n++;
		}
		rest += len;
	}
	return n;
}

static void keep_walk(struct gofer_sb *gs, uint64_t begun, uint64_t dir, const char *names,
		      const struct walk_reply *reply, uint32_t asked)
{
	const struct gofer_walk_out *head = &reply->head;

	for (uint32_t i = 0; i < head->count; i++) {
		const struct gofer_entry_out *e = &reply->entries[i];
		size_t len = strlen(names);

		prefetch_add(&gs->prefetch, begun, dir, names, len, gofer_iget(gs, e));
		dir = e->e.nodeid;
		names += len + 1;
	}
	if (head->count < asked && head->error == -ENOENT && !gs->shared)
		prefetch_add(&gs->prefetch, begun, dir, names, strlen(names), NULL);
}

void gofer_walk_ahead(struct inode *dir, const char *rest)
{
	struct gofer_sb *gs = gofer_sb(dir);
	uint64_t begun = prefetch_begin(&gs->prefetch);
	struct walk_reply reply;
	char names[1024];
	size_t used;
	uint32_t n = split(rest, names, sizeof(names), &used);
	uint64_t since = gs->shared ? host_monotonic_ns() - SHARED_FRESH_NS : 0;

	if (n < 2 ||
	    prefetch_has(&gs->prefetch, gofer_inode(dir)->node, names, strlen(names), since))
		return;
	if (walk_call(gs, gofer_inode(dir)->node, names, used, n, &reply) == 0)
		keep_walk(gs, begun, gofer_inode(dir)->node, names, &reply, n);
}

/* Shared exports only. A name that is still what it was gets fresh attributes on the way. */
int gofer_revalidate(struct inode *dir, const char *name, size_t len, struct inode *cached)
{
	struct inode *now = NULL;
	int err;

	if (cached && still_fresh(gofer_sb(dir), atomic_load(&gofer_inode(cached)->checked)))
		return 1;
	err = gofer_lookup(dir, name, len, &now);
	if (err && err != -ENOENT)
		return err;
	err = now == cached;
	if (now)
		inode_put(now);
	return err;
}

/* ------------------------------------------------------------ making */

void gofer_name_changed(struct inode *dir, const char *name, size_t len)
{
	struct gofer_inode *gi = gofer_inode(dir);

	atomic_fetch_add(&gi->changes, 1);
	gofer_drop_listing(gi);
	prefetch_changed(&gofer_sb(dir)->prefetch, gi->node, name, len);
	gofer_mark_stale(dir);
}

/* Sends a request that makes `name` in dir and answers by an entry, to call->out. */
static int make(struct inode *dir, const char *name, size_t len, struct gofer_call *call,
		struct inode **out)
{
	struct gofer_sb *gs = gofer_sb(dir);
	const struct gofer_entry_out *entry = call->out;
	int err;

	if (atomic_load(&gofer_inode(dir)->gone))
		return -ENOENT; /* a removed directory */
	call->node = gofer_inode(dir)->node;
	call->out_max = call->out_min = sizeof(*entry);
	known_add(gofer_inode(dir), name, len);
	err = client_call(&gs->client, call);
	if (err)
		return err;
	gofer_name_changed(dir, name, len);
	if (!sane_entry(entry)) {
		if (call->fd >= 0)
			host_close(call->fd);
		return -EIO;
	}
	*out = gofer_iget(gs, entry);
	if (call->fd >= 0)
		hostfd_adopt(gofer_inode(*out), call->fd);
	return 0;
}

int gofer_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		 struct inode **out)
{
	struct fuse_create_in reg = {.flags = O_RDWR, .mode = new->mode};
	struct fuse_mkdir_in mkdir = {.mode = new->mode};
	struct fuse_mknod_in mknod = {.mode = new->mode, .rdev = (uint32_t) new->rdev};
	struct gofer_entry_out entry = {0};
	struct gofer_call call = {
	    .uid = new->uid, .gid = new->gid, .nin = 2, .out = &entry, .fd = -1};
	struct wire_name w;
	int err = wire_name(&w, name, len);

	if (err)
		return err;
	call.in[1] = (struct iovec){w.s, len + 1};
	switch (new->mode &S_IFMT) {
	case S_IFREG:
		err = hostfd_admit();
		if (err)
			return err;
		call.opcode = GOFER_CREATE;
		call.fd = 0;
		call.in[0] = (struct iovec){&reg, sizeof(reg)};
		return make(dir, name, len, &call, out);
	case S_IFDIR:
		call.opcode = FUSE_MKDIR;
		call.in[0] = (struct iovec){&mkdir, sizeof(mkdir)};
		err = make(dir, name, len, &call, out);
		if (!err)
			known_begin(gofer_inode(*out));
		return err;
	case S_IFLNK:
		call.opcode = FUSE_SYMLINK;
		call.in[0] = (struct iovec){w.s, len + 1};
		call.in[1] = (struct iovec){(void *)new->target, strlen(new->target) + 1};
		return make(dir, name, len, &call, out);
	default:
		call.opcode = FUSE_MKNOD;
		call.in[0] = (struct iovec){&mknod, sizeof(mknod)};
		return make(dir, name, len, &call, out);
	}
}

int gofer_tmpfile(struct inode *dir, const struct new_inode *new, struct inode **out)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = new->mode};
	struct gofer_entry_out entry = {0};
	struct gofer_call call = {
	    .opcode = GOFER_TMPFILE,
	    .node = gofer_inode(dir)->node,
	    .uid = new->uid,
	    .gid = new->gid,
	    .in = {{&in, sizeof(in)}},
	    .nin = 1,
	    .out = &entry,
	    .out_max = sizeof(entry),
	    .out_min = sizeof(entry),
	};
	int err = hostfd_admit();

	if (err == 0)
		err = client_call(&gofer_sb(dir)->client, &call);
	if (err)
		return err;
	if (!sane_entry(&entry) || call.fd < 0)
		return -EIO;
	*out = gofer_iget(gofer_sb(dir), &entry);
	hostfd_adopt(gofer_inode(*out), call.fd);
	return 0;
}

int gofer_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	struct fuse_link_in in = {.oldnodeid = gofer_inode(target)->node};
	struct gofer_entry_out entry = {0};
	struct gofer_call call = {.opcode = FUSE_LINK, .nin = 2, .out = &entry, .fd = -1};
	struct inode *linked;
	struct wire_name w;
	int err = wire_name(&w, name, len);

	if (err)
		return err;
	call.in[0] = (struct iovec){&in, sizeof(in)};
	call.in[1] = (struct iovec){w.s, len + 1};
	err = make(dir, name, len, &call, &linked);
	if (err)
		return err;
	inode_put(linked);
	SCOPED_LOCK(&target->data_lock);
	gofer_apply_locked(gofer_inode(target), &entry.e.attr); /* the link count above all */
	return 0;
}

/* ------------------------------------------------------------ removing */

/* keep: the gofer still knows the inode. */
static void lost_a_name(struct inode *inode, bool keep)
{
	struct gofer_inode *gi = gofer_inode(inode);
	bool last;

	mutex_lock(&inode->data_lock);
	if (S_ISDIR(inode->mode))
		inode->nlink = 0;
	else if (inode->nlink)
		inode->nlink--;
	last = inode->nlink == 0;
	if (last && !keep)
		atomic_store(&gi->gone, true);
	mutex_unlock(&inode->data_lock);
	gofer_mark_stale(inode);
	if (last)
		hostfd_drop_idle(gi);
}

/*
 * Must the gofer be able to reach the victim afterwards? Not if this is its last name and
 * nobody has it open; whoever still has it as a directory or by O_PATH is served from what we
 * know. A directory is a removed one's cwd at most.
 */
static bool keep_victim(const struct gofer_sb *gs, struct inode *victim)
{
	bool more;

	mutex_lock(&victim->data_lock);
	more = !S_ISDIR(victim->mode) && victim->nlink > 1;
	mutex_unlock(&victim->data_lock);
	return gs->shared || more || hostfd_in_use(gofer_inode(victim));
}

static int remove_name(struct inode *dir, uint32_t flags, const char *name, size_t len,
		       struct inode *victim)
{
	struct gofer_sb *gs = gofer_sb(dir);
	bool keep = keep_victim(gs, victim);
	struct gofer_remove_in in = {
	    .victim = gofer_inode(victim)->node,
	    .flags = flags | (keep ? GOFER_REMOVE_KEEP : 0),
	};
	struct gofer_call call = {
	    .opcode = GOFER_REMOVE, .node = gofer_inode(dir)->node, .nin = 2, .fd = -1};
	struct wire_name w;
	int err = wire_name(&w, name, len);

	if (err)
		return err;
	call.in[0] = (struct iovec){&in, sizeof(in)};
	call.in[1] = (struct iovec){w.s, len + 1};
	err = client_call(&gs->client, &call);
	if (err)
		return err;
	gofer_name_changed(dir, name, len);
	lost_a_name(victim, keep);
	return 0;
}

int gofer_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return remove_name(dir, 0, name, len, victim);
}

int gofer_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return remove_name(dir, GOFER_REMOVE_DIR, name, len, victim);
}

int gofer_rename(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *new_dir,
		 const char *new_name, size_t new_len, struct inode *moved, struct inode *replaced,
		 unsigned int flags)
{
	struct gofer_sb *gs = gofer_sb(old_dir);
	struct fuse_rename2_in in = {.newdir = gofer_inode(new_dir)->node, .flags = flags};
	struct gofer_call call = {
	    .opcode = FUSE_RENAME2, .node = gofer_inode(old_dir)->node, .nin = 3, .fd = -1};
	struct wire_name from, to;
	int err = wire_name(&from, old_name, old_len);

	if (!err)
		err = wire_name(&to, new_name, new_len);
	if (err)
		return err;
	call.in[0] = (struct iovec){&in, sizeof(in)};
	call.in[1] = (struct iovec){from.s, old_len + 1};
	call.in[2] = (struct iovec){to.s, new_len + 1};
	known_add(gofer_inode(new_dir), new_name, new_len);
	err = client_call(&gs->client, &call);
	if (err)
		return err;
	gofer_name_changed(old_dir, old_name, old_len);
	gofer_name_changed(new_dir, new_name, new_len);
	gofer_mark_stale(moved);
	if (replaced && flags & RENAME_EXCHANGE)
		gofer_mark_stale(replaced);
	else if (replaced && replaced != moved)
		lost_a_name(replaced, true);
	return 0;
}

ssize_t gofer_readlink(struct inode *inode, struct guest_access *caller, char *buf, size_t size)
{
	struct gofer_call call = {
	    .opcode = FUSE_READLINK, .node = gofer_inode(inode)->node, .fd = -1};
	SCOPED_FREE char *target = xmalloc(GOFER_PATH_MAX);
	int err;

	call.out = target;
	call.out_max = GOFER_PATH_MAX;
	err = client_call(&gofer_sb(inode)->client, &call);
	if (err)
		return err;
	memcpy(buf, target, min(call.out_len, size));
	return (ssize_t)min(call.out_len, size);
}
