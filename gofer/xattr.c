/* Extended attributes, of the kinds that mean something to a container. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/host_tree.h"
#include "common/mem.h"
#include "gofer/server.h"

static int name_arg(struct request *r, const char **name)
{
	int err = req_string(r, name, 255);

	if (err == -ENAMETOOLONG)
		return -ERANGE;
	if (!err && !gofer_xattr_served(*name))
		return -EOPNOTSUPP;
	return err;
}

/* Ends a request for `size` bytes (0: how many?) whose n bytes are behind the reply so far. */
static int finish(struct request *r, ssize_t n, uint32_t size)
{
	struct fuse_getxattr_out *out;

	if (n < 0)
		return (int)n;
	if (size) {
		r->out_len += (size_t)n;
		return 0;
	}
	out = req_reply(r, sizeof(*out));
	out->size = (uint32_t)n;
	return 0;
}

int op_getxattr(struct request *r)
{
	const struct fuse_getxattr_in *in = req_take(r, sizeof(*in));
	const char *name;
	int fd, err = name_arg(r, &name);
	ssize_t n;

	if (err)
		return err == -EOPNOTSUPP ? -ENODATA : err;
	fd = node_pin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	n = host_getxattr(fd_path(fd).s, name, r->out,
			  in->size ? min(in->size, (uint32_t)GOFER_DATA_MAX) : 0);
	node_unpin(&r->srv->nodes, r->node);
	return finish(r, n, in->size);
}

int op_setxattr(struct request *r)
{
	const struct fuse_setxattr_in *in = req_take(r, FUSE_COMPAT_SETXATTR_IN_SIZE);
	uint32_t size = in->size, flags = in->flags;
	const char *name;
	const void *value;
	int fd, err = name_arg(r, &name);

	if (err)
		return err;
	value = req_take(r, size);
	if (!value)
		return -EINVAL;
	fd = node_pin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	err = host_setxattr(fd_path(fd).s, name, value, size, (int)flags);
	node_unpin(&r->srv->nodes, r->node);
	return err;
}

/* Takes the names out that are not served; the length that is left. */
static size_t filter(char *list, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0, n; i < len; i += n) {
		n = strnlen(list + i, len - i - 1) + 1;
		if (!gofer_xattr_served(list + i))
			continue;
		memmove(list + kept, list + i, n);
		kept += n;
	}
	return kept;
}

int op_listxattr(struct request *r)
{
	const struct fuse_getxattr_in *in = req_take(r, sizeof(*in));
	int fd = node_pin(&r->srv->nodes, r->node);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = host_listxattr(fd_path(fd).s, r->out, GOFER_DATA_MAX);
	node_unpin(&r->srv->nodes, r->node);
	if (n > 0)
		n = (ssize_t)filter(r->out, (size_t)n);
	if (n > 0 && in->size && (size_t)n > in->size)
		n = -ERANGE;
	return finish(r, n, in->size);
}

int op_removexattr(struct request *r)
{
	const char *name;
	int fd, err = name_arg(r, &name);

	if (err)
		return err;
	fd = node_pin(&r->srv->nodes, r->node);
	if (fd < 0)
		return fd;
	err = host_removexattr(fd_path(fd).s, name);
	node_unpin(&r->srv->nodes, r->node);
	return err;
}
