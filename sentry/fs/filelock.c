/*
 * Advisory locks: a set of records for each file that has any. An operation looks
 * at all of them, so a set has a mutex of its own: who makes many locks on a file
 * slows down those who share it with him only. Deadlock detection goes by a list
 * of who waits for whom, whatever the file. Waiters are woken after unlocking.
 *
 *	lock		guards				order
 *	sets_lock	the list of sets		1 (RANK_OBJECT)
 *	set->lock	one file's records		2 (RANK_FILELOCK)
 *	blocked_lock	who waits for whom		3 (RANK_LEAF)
 *
 * Limit: MAX_LOCKS records on one inode (Linux has none); their memory is charged to its user.
 */
#include "sentry/fs/filelock.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "common/text.h"
#include "sentry/fs/inode.h"

#define MAX_LOCKS 65536
#define MAX_CHAIN 10 /* of waiters for waiters, before a deadlock is no longer looked for */

struct record {
	struct list node;
	const void *owner;
	int pid;
	bool write;
	bool ofd;
	uint64_t start, end;
};

struct file_lock_set {
	struct inode *inode; /* immutable; borrowed: it owns the set */
	struct waitq wq;
	struct list node; /* in sets; guarded by sets_lock */
	struct mutex lock;
	/* guarded by lock */
	struct list records; /* POSIX and OFD */
	struct list flocks;
	unsigned int count;
};

static struct mutex sets_lock = MUTEX_INIT(RANK_OBJECT);
static struct list sets = LIST_INIT(sets); /* guarded by sets_lock */
static struct mutex blocked_lock = MUTEX_INIT(RANK_LEAF);
static struct list blocked_list = LIST_INIT(blocked_list); /* guarded by blocked_lock */

/* Sets are made on first use and live as long as the inode, so a reader needs no lock. */
static struct file_lock_set *set_of(struct inode *inode)
{
	return __atomic_load_n(&inode->locks, __ATOMIC_ACQUIRE);
}

static struct file_lock_set *set_make(struct inode *inode)
{
	struct file_lock_set *set = set_of(inode);

	if (set)
		return set;
	SCOPED_LOCK(&sets_lock);
	set = set_of(inode);
	if (set)
		return set;
	set = NEW(struct file_lock_set);
	set->inode = inode;
	mutex_init(&set->lock, RANK_FILELOCK);
	list_add_tail(&sets, &set->node);
	waitq_init(&set->wq);
	list_init(&set->records);
	list_init(&set->flocks);
	__atomic_store_n(&inode->locks, set, __ATOMIC_RELEASE);
	return set;
}

static void free_all(struct list *head)
{
	struct record *r, *tmp;

	list_for_each_safe (r, tmp, head, node)
		charged_free(r);
}

void file_lock_set_free(struct file_lock_set *set)
{
	mutex_lock(&sets_lock);
	list_del(&set->node);
	mutex_unlock(&sets_lock);
	free_all(&set->records);
	free_all(&set->flocks);
	waitq_destroy(&set->wq);
	mutex_destroy(&set->lock);
	free(set);
}

struct waitq *filelock_waitq(struct file *f)
{
	return &set_make(f->inode)->wq;
}

static struct record *conflict_locked(struct file_lock_set *set, const struct filelock_req *req)
{
	struct record *r, *first = NULL;

	if (req->type == F_UNLCK)
		return NULL;
	list_for_each (r, &set->records, node)
		if (r->owner != req->owner && (r->write || req->type == F_WRLCK) &&
		    r->start <= req->end && r->end >= req->start &&
		    (!first || r->start < first->start))
			first = r;
	return first;
}

/* Does `owner` wait, directly or through others, for `me`? Under blocked_lock. */
static bool waits_for_locked(const void *owner, const void *me)
{
	for (int i = 0; i < MAX_CHAIN; i++) {
		struct filelock_blocked *b;
		const void *next = NULL;

		if (owner == me)
			return true;
		list_for_each (b, &blocked_list, node)
			if (b->owner == owner) {
				next = b->on;
				break;
			}
		if (!next)
			return false;
		owner = next;
	}
	return false;
}

static void unblock_locked(struct filelock_blocked *b)
{
	if (b->listed)
		list_del(&b->node);
	b->listed = false;
}

static int block_locked(struct filelock_blocked *b, const struct filelock_req *req,
			const struct record *on)
{
	if (!b)
		return -EAGAIN;
	SCOPED_LOCK(&blocked_lock);
	unblock_locked(b);
	if (on->ofd || req->pid < 0)
		return -EAGAIN;
	if (waits_for_locked(on->owner, req->owner))
		return -EDEADLK;
	b->owner = req->owner;
	b->on = on->owner;
	list_add(&blocked_list, &b->node);
	b->listed = true;
	return -EAGAIN;
}

void filelock_unblock(struct filelock_blocked *blocked)
{
	SCOPED_LOCK(&blocked_lock);
	unblock_locked(blocked);
}

static void drop_locked(struct file_lock_set *set, struct record *r)
{
	list_del(&r->node);
	set->count--;
	charged_free(r);
}

static struct record *add_locked(struct file_lock_set *set, struct list *head,
				 const struct record *like)
{
	struct record *r = charged_always(sizeof(*r));

	*r = *like;
	list_init(&r->node);
	list_add_tail(head, &r->node);
	set->count++;
	return r;
}

/* Takes [start, end] out of what the owner holds; true if it held any of it. */
static bool carve_locked(struct file_lock_set *set, const void *owner, uint64_t start, uint64_t end)
{
	struct record *r, *tmp;
	bool any = false;

	list_for_each_safe (r, tmp, &set->records, node) {
		if (r->owner != owner || r->start > end || r->end < start)
			continue;
		any = true;
		if (r->start < start && r->end > end) {
			struct record *tail = add_locked(set, &set->records, r);

			tail->start = end + 1;
			r->end = start - 1;
		} else if (r->start < start) {
			r->end = start - 1;
		} else if (r->end > end) {
			r->start = end + 1;
		} else {
			drop_locked(set, r);
		}
	}
	return any;
}

/* Joins the new record with the owner's neighbours of the same type. */
static void merge_locked(struct file_lock_set *set, struct record *new)
{
	struct record *r, *tmp;

	list_for_each_safe (r, tmp, &set->records, node) {
		if (r == new || r->owner != new->owner || r->write != new->write)
			continue;
		if (r->end + 1 == new->start)
			new->start = r->start;
		else if (new->end + 1 == r->start)
			new->end = r->end;
		else
			continue;
		drop_locked(set, r);
	}
}

static int set_locked(struct file_lock_set *set, const struct filelock_req *req,
		      struct filelock_blocked *blocked, bool *wake)
{
	struct record *r = conflict_locked(set, req);
	struct record new = {.owner = req->owner,
			     .pid = req->pid,
			     .write = req->type == F_WRLCK,
			     .ofd = req->pid < 0,
			     .start = req->start,
			     .end = req->end};

	if (r)
		return block_locked(blocked, req, r);
	if (set->count >= MAX_LOCKS || account_admit() < 0)
		return -ENOLCK;
	*wake = carve_locked(set, req->owner, req->start, req->end);
	if (req->type != F_UNLCK)
		merge_locked(set, add_locked(set, &set->records, &new));
	return 0;
}

int filelock_set(struct file *f, const struct filelock_req *req, struct filelock_blocked *blocked)
{
	struct file_lock_set *set = req->type == F_UNLCK ? set_of(f->inode) : set_make(f->inode);
	bool wake = false;
	int err;

	if (!set)
		return 0;
	if (req->pid < 0)
		atomic_store(&f->has_flock, true);
	mutex_lock(&set->lock);
	err = set_locked(set, req, blocked, &wake);
	mutex_unlock(&set->lock);
	if (wake)
		waitq_wake_all(&set->wq, POLLIN);
	return err;
}

void filelock_get(struct file *f, struct filelock_req *req)
{
	struct file_lock_set *set = set_of(f->inode);
	struct record *r;

	if (!set) {
		req->type = F_UNLCK;
		return;
	}
	SCOPED_LOCK(&set->lock);
	r = conflict_locked(set, req);
	if (!r) {
		req->type = F_UNLCK;
		return;
	}
	req->type = r->write ? F_WRLCK : F_RDLCK;
	req->pid = r->pid;
	req->start = r->start;
	req->end = r->end;
}

static struct record *flock_of_locked(struct file_lock_set *set, const struct file *f)
{
	struct record *r;

	list_for_each (r, &set->flocks, node)
		if (r->owner == f)
			return r;
	return NULL;
}

static int flock_locked(struct file_lock_set *set, struct file *f, int operation, int pid,
			bool *wake)
{
	struct record *own = flock_of_locked(set, f), *r;
	bool write = operation == LOCK_EX;

	if (operation != LOCK_UN && own && own->write == write)
		return 0;
	if (own) {
		drop_locked(set, own);
		*wake = true;
	}
	if (operation == LOCK_UN)
		return 0;
	list_for_each (r, &set->flocks, node)
		if (write || r->write)
			return -EAGAIN;
	if (set->count >= MAX_LOCKS || account_admit() < 0)
		return -ENOLCK;
	add_locked(set, &set->flocks,
		   &(struct record){.owner = f, .pid = pid, .write = write, .end = INT64_MAX});
	return 0;
}

int filelock_flock(struct file *f, int operation, int pid)
{
	struct file_lock_set *set = operation == LOCK_UN ? set_of(f->inode) : set_make(f->inode);
	bool wake = false;
	int err;

	if (!set)
		return 0;
	atomic_store(&f->has_flock, true);
	mutex_lock(&set->lock);
	err = flock_locked(set, f, operation, pid, &wake);
	mutex_unlock(&set->lock);
	if (wake)
		waitq_wake_all(&set->wq, POLLIN);
	return err;
}

static void drop_all(struct file *f, const void *owner, bool flocks)
{
	struct file_lock_set *set = set_of(f->inode);
	struct record *r;
	bool wake = false;

	if (!set)
		return;
	mutex_lock(&set->lock);
	wake = carve_locked(set, owner, 0, INT64_MAX);
	r = flocks ? flock_of_locked(set, f) : NULL;
	if (r) {
		drop_locked(set, r);
		wake = true;
	}
	mutex_unlock(&set->lock);
	if (wake)
		waitq_wake_all(&set->wq, POLLIN);
}

void filelock_close_posix(struct file *f, const void *owner)
{
	if (set_of(f->inode) && !(f->caps & FILE_IS_PATH))
		drop_all(f, owner, false);
}

void filelock_release_file(struct file *f)
{
	if (atomic_load(&f->has_flock))
		drop_all(f, f, true);
}

static void format_locked(struct text *out, unsigned int n, const struct record *r,
			  const struct inode *inode, const char *class)
{
	text_printf(out, "%u: %-6s ADVISORY  %-5s %d %02x:%02x:%llu %llu ", n, class,
		    r->write ? "WRITE" : "READ", r->pid, major(inode->sb->dev),
		    minor(inode->sb->dev), (unsigned long long)inode->ino,
		    (unsigned long long)r->start);
	if (r->end == INT64_MAX)
		text_printf(out, "EOF\n");
	else
		text_printf(out, "%llu\n", (unsigned long long)r->end);
}

void filelock_format(struct text *out)
{
	SCOPED_LOCK(&sets_lock);
	struct file_lock_set *set;
	struct record *r;
	unsigned int n = 1;

	list_for_each (set, &sets, node) {
		SCOPED_LOCK(&set->lock);

		list_for_each (r, &set->records, node)
			format_locked(out, n++, r, set->inode, r->ofd ? "OFDLCK" : "POSIX");
		list_for_each (r, &set->flocks, node)
			format_locked(out, n++, r, set->inode, "FLOCK");
	}
}
