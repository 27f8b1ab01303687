/*
 * The mqueue file system: one directory of queues per IPC namespace. The mq_ calls
 * look names up in it directly, so names are never cached (SB_NO_CACHE).
 *
 * Locking: mqueue_ns.lock (RANK_OBJECT) guards the directory; a queue's own lock is
 * not taken under it.
 */
#include <errno.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/dirent.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/ipc/mqueue.h"

#define MQUEUE_MAGIC 0x19800202
#define QUEUES_MAX 256	 /* fs.mqueue.queues_max */
#define MESSAGES_MAX 10	 /* fs.mqueue.msg_max, for the unprivileged */
#define MESSAGE_MAX 8192 /* fs.mqueue.msgsize_max */
#define HARD_MESSAGES 65536
#define HARD_SIZE 16777216
#define HARD_BYTES (1ULL << 26) /* in one queue, whoever asks */
#define PER_MESSAGE 56		/* what Linux charges for the tree and the header */

struct mqueue_ns {
	struct superblock sb;
	struct mutex lock;  /* RANK_OBJECT */
	struct list queues; /* struct mqueue.node, oldest first */
	int count;
	uint64_t serial;
};

static struct mqueue_ns *ns_of(struct superblock *sb)
{
	return container_of(sb, struct mqueue_ns, sb);
}

static struct mqueue *queue_of(struct inode *inode)
{
	return container_of(inode, struct mqueue, inode);
}

/* --- queues ------------------------------------------------------------------------------------- */

static int queue_open(struct inode *inode, const struct path *path, const struct cred *cred,
		      int flags, struct file **out)
{
	return mqueue_open_file(queue_of(inode), path, cred, flags, out);
}

static int set_attr(struct inode *inode, const struct iattr *attr)
{
	inode_apply_attr(inode, attr);
	return 0;
}

static uint64_t cost(int64_t maxmsg, int64_t msgsize)
{
	return (uint64_t)maxmsg * ((uint64_t)msgsize + PER_MESSAGE);
}

static void queue_release(struct inode *inode)
{
	struct mqueue *q = queue_of(inode);

	mqueue_clear(q);
	account_give(q->payer, COUNT_MQUEUE, q->charged);
	waitq_destroy(&q->wq);
	mutex_destroy(&q->lock);
	inode_fini(inode);
	free(q->name);
	free(q);
}

static const struct inode_ops queue_ops = {
    .open = queue_open,
    .setattr = set_attr,
    .release = queue_release,
};

static struct mqueue *find_locked(struct mqueue_ns *ns, const char *name, size_t len)
{
	struct mqueue *q;

	list_for_each (q, &ns->queues, node) {
		if (strlen(q->name) == len && !memcmp(q->name, name, len))
			return q;
	}
	return NULL;
}

static struct mqueue *queue_new(struct mqueue_ns *ns, const char *name, size_t len, uint32_t mode,
				const struct kmq_attr *attr)
{
	struct mqueue *q = NEW(struct mqueue);

	inode_init(&q->inode, &ns->sb, &queue_ops, superblock_new_ino(&ns->sb),
		   S_IFREG | (mode & 07777));
	q->inode.nlink = 1;
	q->inode.size = 80; /* as Linux shows them */
	q->name = xmalloc(len + 1);
	memcpy(q->name, name, len);
	q->name[len] = 0;
	q->maxmsg = attr ? attr->maxmsg : MQ_DEFAULT_MESSAGES;
	q->msgsize = attr ? attr->msgsize : MQ_DEFAULT_SIZE;
	waitq_init(&q->wq);
	mutex_init(&q->lock, RANK_OBJECT);
	list_init(&q->messages);
	list_init(&q->node);
	return q;
}

/* Puts a new queue into the directory, which gets a reference. */
static int insert(struct mqueue_ns *ns, struct mqueue *q, uint64_t limit)
{
	SCOPED_LOCK(&ns->lock);
	uint64_t bytes = cost(q->maxmsg, q->msgsize);

	if (find_locked(ns, q->name, strlen(q->name)))
		return -EEXIST;
	if (!account_take(account_payer(), COUNT_MQUEUE, bytes, limit))
		return -EMFILE;
	q->payer = account_payer();
	q->charged = bytes;
	q->serial = ++ns->serial;
	inode_get(&q->inode);
	list_add_tail(&ns->queues, &q->node);
	ns->count++;
	return 0;
}

/* --- the directory -------------------------------------------------------------------------------- */

static int dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct mqueue_ns *ns = ns_of(dir->sb);
	SCOPED_LOCK(&ns->lock);
	struct mqueue *q = find_locked(ns, name, len);

	if (!q)
		return -ENOENT;
	*out = inode_get(&q->inode);
	return 0;
}

static int dir_create(struct inode *dir, const char *name, size_t len, const struct new_inode *new,
		      struct inode **out)
{
	struct mqueue *q;
	int r;

	if (!S_ISREG(new->mode))
		return -EPERM;
	q = queue_new(ns_of(dir->sb), name, len, new->mode, NULL);
	q->inode.uid = new->uid;
	q->inode.gid = new->gid;
	r = insert(ns_of(dir->sb), q, HARD_BYTES);
	if (r)
		inode_put(&q->inode);
	else
		*out = &q->inode;
	return r;
}

static int take_out(struct mqueue_ns *ns, struct mqueue *q)
{
	mutex_lock(&ns->lock);
	if (!list_linked(&q->node)) {
		mutex_unlock(&ns->lock);
		return -ENOENT;
	}
	list_del(&q->node);
	ns->count--;
	mutex_unlock(&ns->lock);
	mutex_lock(&q->inode.data_lock);
	q->inode.nlink = 0;
	mutex_unlock(&q->inode.data_lock);
	inode_put(&q->inode); /* the directory's */
	return 0;
}

static int dir_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return take_out(ns_of(dir->sb), queue_of(victim));
}

static int dir_readdir(struct file *f, struct dirent_sink *sink)
{
	struct mqueue_ns *ns = ns_of(f->inode->sb);
	struct mqueue *q;

	if (!dir_emit_dots(f, sink))
		return 0;
	SCOPED_LOCK(&ns->lock);
	list_for_each (q, &ns->queues, node) {
		off_t cookie = (off_t)q->serial + 2;

		if (cookie <= f->pos)
			continue;
		if (!sink->emit(sink, q->name, strlen(q->name), q->inode.ino, DT_REG, cookie))
			break;
		f->pos = cookie;
	}
	return 0;
}

static void dir_file_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops dir_file_ops = {
    .readdir = dir_readdir,
    .release = dir_file_release,
};

static int dir_open(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out)
{
	struct file *f = NEW(struct file);

	file_init(f, &dir_file_ops, inode, path, cred, flags);
	f->caps = FILE_CAN_SEEK;
	*out = f;
	return 0;
}

static void dir_release(struct inode *inode)
{
	inode_fini(inode);
	free(inode);
}

static const struct inode_ops dir_ops = {
    .lookup = dir_lookup,
    .create = dir_create,
    .unlink = dir_unlink,
    .setattr = set_attr,
    .open = dir_open,
    .release = dir_release,
};

/* --- the file system --------------------------------------------------------------------------------- */

static int mq_statfs(struct superblock *sb, struct kstatfs *out)
{
	*out = (struct kstatfs){
	    .type = MQUEUE_MAGIC, .bsize = GUEST_PAGE, .frsize = GUEST_PAGE, .namelen = 255};
	return 0;
}

static void sb_release(struct superblock *sb)
{
	struct mqueue_ns *ns = ns_of(sb);

	mutex_destroy(&ns->lock);
	superblock_fini(sb);
	free(ns);
}

static const struct sb_ops sb_ops = {
    .statfs = mq_statfs,
    .release = sb_release,
};

struct mqueue_ns *mqueue_ns_new(void)
{
	struct mqueue_ns *ns = NEW(struct mqueue_ns);
	struct inode *root = NEW(struct inode);

	mutex_init(&ns->lock, RANK_OBJECT);
	list_init(&ns->queues);
	superblock_init(&ns->sb, &sb_ops, "mqueue", "mqueue");
	ns->sb.flags = SB_NO_CACHE | SB_NO_NEGATIVE;
	inode_init(root, &ns->sb, &dir_ops, superblock_new_ino(&ns->sb), S_IFDIR | 01777);
	root->nlink = 2;
	superblock_set_root(&ns->sb, root);
	inode_put(root);
	superblock_activate(&ns->sb); /* the namespace keeps it, mounted or not */
	return ns;
}

void mqueue_ns_free(struct mqueue_ns *ns)
{
	struct mqueue *q, *tmp;
	struct list queues;

	list_init(&queues);
	mutex_lock(&ns->lock);
	list_splice_tail(&queues, &ns->queues);
	mutex_unlock(&ns->lock);
	list_for_each_safe (q, tmp, &queues, node) {
		list_del(&q->node);
		inode_put(&q->inode);
	}
	superblock_deactivate(&ns->sb);
	superblock_put(&ns->sb);
}

int mqueue_mount(struct ipc_namespace *ns, struct superblock **out)
{
	*out = superblock_get(&ns->mq->sb);
	return 0;
}

static int mount_for_current(const char *source, const char *data, const struct cred *cred,
			     struct superblock **out)
{
	struct task *t = task_current();

	return t ? mqueue_mount(t->ns->ipc, out) : -EINVAL;
}

void mqueue_init(void)
{
	static const struct fs_type type = {
	    .name = "mqueue", .nodev = true, .user_mountable = true, .mount = mount_for_current};

	fs_type_register(&type);
}

/* --- mq_open, mq_unlink ------------------------------------------------------------------------------- */

static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (!len)
		return -ENOENT;
	if (len > 255)
		return -ENAMETOOLONG;
	return strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

static int check_attr(const struct kmq_attr *a, bool privileged)
{
	if (a->maxmsg <= 0 || a->msgsize <= 0)
		return -EINVAL;
	if (a->maxmsg > (privileged ? HARD_MESSAGES : MESSAGES_MAX) ||
	    a->msgsize > (privileged ? HARD_SIZE : MESSAGE_MAX))
		return -EINVAL;
	return cost(a->maxmsg, a->msgsize) > HARD_BYTES ? -EMFILE : 0;
}

static struct mqueue *lookup(struct mqueue_ns *ns, const char *name)
{
	SCOPED_LOCK(&ns->lock);
	struct mqueue *q = find_locked(ns, name, strlen(name));

	if (q)
		inode_get(&q->inode);
	return q;
}

static int create(struct task *t, struct mqueue_ns *ns, const char *name, uint32_t mode,
		  const struct kmq_attr *attr, struct mqueue **out)
{
	bool privileged = cred_capable(t->cred, CAP_SYS_RESOURCE);
	struct mqueue *q;
	int r = attr ? check_attr(attr, privileged) : 0;

	if (r)
		return r;
	if (ns->count >= QUEUES_MAX && !privileged)
		return -ENOSPC;
	q = queue_new(ns, name, strlen(name), mode, attr);
	q->inode.uid = t->cred->fsuid;
	q->inode.gid = t->cred->fsgid;
	r = insert(ns, q, task_rlimit(t, RLIMIT_MSGQUEUE));
	if (r)
		inode_put(&q->inode);
	else
		*out = q;
	return r;
}

/* An existing queue, if the caller may open it so. */
static int check_existing(struct task *t, struct mqueue *q, int flags)
{
	static const int masks[] = {[O_RDONLY] = 4, [O_WRONLY] = 2, [O_RDWR] = 6};

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	return inode_permission(&q->inode, t->cred, masks[flags & O_ACCMODE]);
}

int mqueue_open(struct task *t, const char *name, int flags, uint32_t mode,
		const struct kmq_attr *attr, struct file **out)
{
	struct mqueue_ns *ns = t->ns->ipc->mq;
	struct mqueue *q;
	int r = check_name(name);

	if (r)
		return r;
	do {
		q = lookup(ns, name);
		if (q)
			r = check_existing(t, q, flags);
		else if (flags & O_CREAT)
			r = create(t, ns, name, mode, attr, &q);
		else
			r = -ENOENT;
	} while (!q && r == -EEXIST && !(flags & O_EXCL)); /* somebody was faster */
	if (!r)
		r = mqueue_open_file(q, NULL, t->cred, flags & (O_ACCMODE | O_NONBLOCK), out);
	if (q)
		inode_put(&q->inode);
	return r;
}

int mqueue_unlink(struct task *t, const char *name)
{
	struct mqueue_ns *ns = t->ns->ipc->mq;
	struct mqueue *q;
	int r = check_name(name);

	if (r)
		return r;
	q = lookup(ns, name);
	if (!q)
		return -ENOENT;
	/* The directory is sticky and root's. */
	if (t->cred->fsuid != q->inode.uid && t->cred->fsuid != 0 &&
	    !cred_capable(t->cred, CAP_FOWNER))
		r = -EPERM;
	if (!r)
		r = take_out(ns, q);
	inode_put(&q->inode);
	return r;
}
