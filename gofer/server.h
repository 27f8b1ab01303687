/* One export and the threads that serve its channels; how a request is read and answered. */
#ifndef GARRISON_GOFER_SERVER_H
#define GARRISON_GOFER_SERVER_H

#include "gofer/node.h"
#include "gofer/protocol.h"

struct channel;
struct dirhandle;
struct request;

#define EXPORT_DEVS_MAX 64

struct server {
	struct node_table nodes;
	bool read_only; /* immutable */
	atomic_bool extended;
	atomic_uint channels; /* open ones */

	pthread_mutex_t lock;
	/* guarded by lock */
	struct dirhandle *dirs[1024];	/* by fh - 1 */
	uint64_t devs[EXPORT_DEVS_MAX]; /* file systems below the root that may be served */
	unsigned int ndevs;
	uint32_t dir_generation;
};

/* What a handler gets and fills in. */
struct request {
	struct server *srv;
	struct channel *channel; /* that brought it; NULL in tests */
	const struct fuse_in_header *in;
	struct node *node; /* in->nodeid, in use; NULL for those without */
	const char *arg;   /* the unread rest of the request */
	size_t arg_len;
	char *out; /* body of the reply */
	size_t out_len, out_max;
	int send_fd; /* goes with the reply, then is closed; -1: none */
};

/* The next `size` bytes of the request, or NULL. */
const void *req_take(struct request *r, size_t size);
/* The next name or NUL-terminated string, checked; 0 or -errno. */
int req_name(struct request *r, const char **name) MUST_CHECK;
int req_string(struct request *r, const char **s, size_t max) MUST_CHECK;
/* `size` zeroed bytes at the end of the reply, or NULL: no room. */
void *req_reply(struct request *r, size_t size);

/* Handlers: 0, or -errno. */
int op_init(struct request *r);
int op_lookup(struct request *r);
int op_walk(struct request *r);
int op_forget(struct request *r);
int op_batch_forget(struct request *r);
int op_getattr(struct request *r);
int op_setattr(struct request *r);
int op_readlink(struct request *r);
int op_symlink(struct request *r);
int op_mknod(struct request *r);
int op_mkdir(struct request *r);
int op_link(struct request *r);
int op_unlink(struct request *r);
int op_rmdir(struct request *r);
int op_rename(struct request *r);
int op_rename2(struct request *r);
int op_statfs(struct request *r);
int op_fsync(struct request *r);
int op_syncfs(struct request *r);
int op_getxattr(struct request *r);
int op_setxattr(struct request *r);
int op_listxattr(struct request *r);
int op_removexattr(struct request *r);
int op_open(struct request *r);
int op_create(struct request *r);
int op_tmpfile(struct request *r);
int op_readdir(struct request *r);
int op_closedir(struct request *r);
int op_channel(struct request *r);
int op_remove(struct request *r);
int op_slot(struct request *r);

/* Shared by the handlers. */
#define GOFER_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME)
int stat_fd(int fd, struct statx *st) MUST_CHECK;
int stat_name(int dir, const char *name, struct statx *st) MUST_CHECK;
void fill_attr(struct fuse_attr *a, const struct statx *st);
/* Appends an entry or attributes in the form that the client asked for. -EIO: no room. */
int reply_entry(struct request *r, uint64_t id, const struct statx *st) MUST_CHECK;
int reply_attr(struct request *r, const struct statx *st) MUST_CHECK;
/* May an inode on this file system be served? 0 yes; for the host kernel's own (proc, ...) 1 if
 * it is a directory, which then looks empty, else -EACCES. */
int server_check_dev(struct server *s, int dir, const char *name,
		     const struct statx *st) MUST_CHECK;
/* The path of an O_PATH fd relative to the working directory, /proc/self/fd. */
struct fd_path {
	char s[16];
};
struct fd_path fd_path(int fd);

/* Takes root_fd (O_PATH). -EACCES: it lies on proc. */
int server_new(int root_fd, bool read_only, bool exclusive, struct server **out) MUST_CHECK;
/* Adds a channel (takes fd) with a thread of its own. */
int server_serve(struct server *s, int fd) MUST_CHECK;
/* One message that came by `c` from `buf` to `out` (GOFER_MSG_MAX bytes): the reply's length, 0
 * for none, or -errno where the peer must be dropped. *send_fd: to send and close, or -1. */
ssize_t server_handle(struct server *s, struct channel *c, const void *buf, size_t len, void *out,
		      int *send_fd) MUST_CHECK;
/* Blocks until every channel of every server has ended. */
void server_wait_all(void);
/* After the last channel. */
void server_free(struct server *s);

#endif
