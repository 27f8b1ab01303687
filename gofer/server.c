/*
 * Theory of operation. A channel (channel.c) brings requests one by one; here a
 * request finds its handler and gets its reply. Handlers stand in a table with what they need: a node, its type, a
 * minimum of argument bytes, the right to write. Those checks are made here,
 * once, before a handler runs; a handler takes its arguments by req_take and
 * req_name, which bound them. A packet lies in memory of our own, so reading it
 * twice is no race. Anything malformed is answered by -EINVAL; only a header
 * that cannot be answered ends the channel.
 */
#include "gofer/server.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/host.h"
#include "common/host_tree.h"
#include "common/mem.h"

#define OP_WRITES BIT(0)  /* -EROFS on read-only exports */
#define OP_NO_NODE BIT(1) /* nodeid is not looked at */
#define OP_NO_REPLY BIT(2)
#define OP_DIR BIT(3) /* the node must be a directory */

struct op {
	int (*handle)(struct request *r);
	size_t min_arg;
	unsigned int flags;
};

static const struct op fuse_ops[] = {
    [FUSE_LOOKUP] = {op_lookup, 2, OP_DIR},
    [FUSE_FORGET] = {op_forget, sizeof(struct fuse_forget_in), OP_NO_NODE | OP_NO_REPLY},
    [FUSE_GETATTR] = {op_getattr, 0, 0},
    [FUSE_SETATTR] = {op_setattr, sizeof(struct fuse_setattr_in), OP_WRITES},
    [FUSE_READLINK] = {op_readlink, 0, 0},
    [FUSE_SYMLINK] = {op_symlink, 4, OP_DIR | OP_WRITES},
    [FUSE_MKNOD] = {op_mknod, sizeof(struct fuse_mknod_in) + 2, OP_DIR | OP_WRITES},
    [FUSE_MKDIR] = {op_mkdir, sizeof(struct fuse_mkdir_in) + 2, OP_DIR | OP_WRITES},
    [FUSE_UNLINK] = {op_unlink, 2, OP_DIR | OP_WRITES},
    [FUSE_RMDIR] = {op_rmdir, 2, OP_DIR | OP_WRITES},
    [FUSE_RENAME] = {op_rename, sizeof(struct fuse_rename_in) + 4, OP_DIR | OP_WRITES},
    [FUSE_LINK] = {op_link, sizeof(struct fuse_link_in) + 2, OP_DIR | OP_WRITES},
    [FUSE_STATFS] = {op_statfs, 0, 0},
    [FUSE_FSYNC] = {op_fsync, sizeof(struct fuse_fsync_in), 0},
    [FUSE_SETXATTR] = {op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE + 2, OP_WRITES},
    [FUSE_GETXATTR] = {op_getxattr, sizeof(struct fuse_getxattr_in) + 2, 0},
    [FUSE_LISTXATTR] = {op_listxattr, sizeof(struct fuse_getxattr_in), 0},
    [FUSE_REMOVEXATTR] = {op_removexattr, 2, OP_WRITES},
    [FUSE_INIT] = {op_init, sizeof(struct fuse_init_in), OP_NO_NODE},
    [FUSE_FSYNCDIR] = {op_fsync, sizeof(struct fuse_fsync_in), OP_DIR},
    [FUSE_BATCH_FORGET] = {op_batch_forget, sizeof(struct fuse_batch_forget_in),
			   OP_NO_NODE | OP_NO_REPLY},
    [FUSE_RENAME2] = {op_rename2, sizeof(struct fuse_rename2_in) + 4, OP_DIR | OP_WRITES},
    [FUSE_SYNCFS] = {op_syncfs, 0, 0},
};

static const struct op private_ops[] = {
    [GOFER_WALK - GOFER_WALK] = {op_walk, sizeof(struct gofer_walk_in) + 2, OP_DIR},
    [GOFER_OPEN - GOFER_WALK] = {op_open, sizeof(struct fuse_open_in), 0},
    [GOFER_CREATE -
	GOFER_WALK] = {op_create, sizeof(struct fuse_create_in) + 2, OP_DIR | OP_WRITES},
    [GOFER_TMPFILE - GOFER_WALK] = {op_tmpfile, sizeof(struct fuse_create_in), OP_DIR | OP_WRITES},
    [GOFER_READDIR - GOFER_WALK] = {op_readdir, sizeof(struct gofer_readdir_in), OP_DIR},
    [GOFER_CLOSEDIR - GOFER_WALK] = {op_closedir, sizeof(struct gofer_close_in), OP_NO_NODE},
    [GOFER_CHANNEL - GOFER_WALK] = {op_channel, 0, OP_NO_NODE},
    [GOFER_REMOVE -
	GOFER_WALK] = {op_remove, sizeof(struct gofer_remove_in) + 2, OP_DIR | OP_WRITES},
    [GOFER_SLOT - GOFER_WALK] = {op_slot, 0, OP_NO_NODE},
};

/* ------------------------------------------------------------ arguments and replies */

const void *req_take(struct request *r, size_t size)
{
	const void *p = r->arg;

	if (size > r->arg_len)
		return NULL;
	r->arg += size;
	r->arg_len -= size;
	return p;
}

int req_string(struct request *r, const char **s, size_t max)
{
	const char *end = memchr(r->arg, 0, r->arg_len);

	if (!end)
		return -EINVAL;
	if ((size_t)(end - r->arg) > max)
		return -ENAMETOOLONG;
	*s = req_take(r, (size_t)(end - r->arg) + 1);
	return 0;
}

int req_name(struct request *r, const char **name)
{
	int err = req_string(r, name, GOFER_NAME_MAX);

	if (err)
		return err;
	if (!**name || strchr(*name, '/') || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return -EINVAL;
	return 0;
}

void *req_reply(struct request *r, size_t size)
{
	void *p = r->out + r->out_len;

	if (size > r->out_max - r->out_len)
		return NULL;
	r->out_len += size;
	return memset(p, 0, size);
}

/* ------------------------------------------------------------ dispatch */

static const struct op *find_op(uint32_t opcode)
{
	const struct op *op = NULL;

	if (opcode < ARRAY_SIZE(fuse_ops))
		op = &fuse_ops[opcode];
	else if (opcode >= GOFER_WALK && opcode - GOFER_WALK < ARRAY_SIZE(private_ops))
		op = &private_ops[opcode - GOFER_WALK];
	return op && op->handle ? op : NULL;
}

static int may_run(const struct op *op, const struct node *n)
{
	if (op->flags & OP_DIR && n->type != S_IFDIR)
		return -ENOTDIR;
	return n->foreign && op->flags & OP_WRITES ? -EACCES : 0;
}

static int run_op(const struct op *op, struct request *r)
{
	int err;

	if (!op)
		return -ENOSYS;
	if (r->arg_len < op->min_arg)
		return -EINVAL;
	if (op->flags & OP_WRITES && r->srv->read_only)
		return -EROFS;
	if (op->flags & OP_NO_NODE)
		return op->handle(r);
	r->node = node_get(&r->srv->nodes, r->in->nodeid);
	if (!r->node)
		return -ESTALE;
	err = may_run(op, r->node);
	if (!err)
		err = op->handle(r);
	node_put(&r->srv->nodes, r->node);
	return err;
}

ssize_t server_handle(struct server *s, struct channel *c, const void *buf, size_t len, void *out,
		      int *send_fd)
{
	const struct fuse_in_header *in = buf;
	struct fuse_out_header *head = out;
	const struct op *op;
	struct request r;
	int err;

	*send_fd = -1;
	if (len < sizeof(*in) || in->len != len)
		return -EPROTO;
	op = find_op(in->opcode);
	r = (struct request){
	    .srv = s,
	    .channel = c,
	    .in = in,
	    .arg = (const char *)buf + sizeof(*in),
	    .arg_len = len - sizeof(*in),
	    .out = (char *)out + sizeof(*head),
	    .out_max = GOFER_MSG_MAX - sizeof(*head),
	    .send_fd = -1,
	};
	err = run_op(op, &r);
	if (op && op->flags & OP_NO_REPLY)
		return 0;
	if (err < 0) {
		r.out_len = 0;
		if (r.send_fd >= 0)
			host_close(r.send_fd);
		r.send_fd = -1;
	}
	*head = (struct fuse_out_header){
	    .len = (uint32_t)(sizeof(*head) + r.out_len), .error = err, .unique = in->unique};
	*send_fd = r.send_fd;
	return head->len;
}

/* ------------------------------------------------------------ exports */

int server_new(int root_fd, bool read_only, bool exclusive, struct server **out)
{
	struct server *s;
	struct statfs fs;
	int err;

	/* /proc/self would be this process. */
	if (host_fstatfs(root_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
		return -EACCES;
	s = NEW(struct server);
	err = node_table_init(&s->nodes, root_fd, exclusive);

	if (err < 0) {
		free(s);
		return err;
	}
	s->read_only = read_only;
	s->devs[0] = s->nodes.root->dev;
	s->ndevs = 1;
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

/* FUSE_INIT: versions, and whether the client knows our extensions. */
int op_init(struct request *r)
{
	const struct fuse_init_in *in = req_take(r, sizeof(*in));
	struct fuse_init_out *out = req_reply(r, sizeof(*out));

	if (in->major != FUSE_KERNEL_VERSION)
		return -EPROTO;
	atomic_store(&r->srv->extended, (in->flags2 & GOFER_INIT_EXTENDED) != 0);
	out->major = FUSE_KERNEL_VERSION;
	out->minor = FUSE_KERNEL_MINOR_VERSION;
	out->max_readahead = in->max_readahead;
	out->max_write = GOFER_DATA_MAX;
	out->time_gran = 1;
	out->flags2 = in->flags2 & GOFER_INIT_EXTENDED;
	return 0;
}
