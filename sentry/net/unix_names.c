/*
 * Names of AF_UNIX sockets: paths, whose inode points to the bound socket, and
 * abstract names in the network namespace.
 *
 * The inode's pointer is borrowed: the socket holds the path, hence the inode,
 * and takes the pointer out (under the inode's data_lock) before it goes. A
 * lookup takes its reference under the same lock.
 *
 * Locking: net.lock (RANK_LEAF) for the tables; inode.data_lock comes before a
 * socket's lock; neither is held over a call to the file system.
 */
#include "sentry/net/unix.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "common/text.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/namei.h"
#include "sentry/net/net_proc.h"

#define FAMILY_LEN ((uint32_t)sizeof(sa_family_t))

void unix_name_put(struct unix_name *n)
{
	if (n && ref_put(&n->ref))
		free(n);
}

static struct unix_name *name_new(const struct sock_addr *addr, uint32_t len)
{
	struct unix_name *n = NEW(struct unix_name);

	ref_init(&n->ref);
	n->len = len;
	memcpy(&n->un, &addr->un, min((size_t)len, sizeof(n->un)));
	return n;
}

void unix_name_addr(struct unix_socket *u, struct sock_addr *out)
{
	SCOPED_LOCK(&u->sock.lock);

	out->un.sun_family = AF_UNIX;
	out->len = FAMILY_LEN;
	if (!u->name)
		return;
	out->len = u->name->len;
	/* The terminating NUL of a path that fills sun_path lies behind it. */
	memcpy(out->raw, (const char *)u->name + offsetof(struct unix_name, un),
	       min((size_t)out->len, sizeof(u->name->un) + 1));
}

static unsigned int name_hash(const struct sockaddr_un *un, uint32_t len, int type)
{
	const unsigned char *p = (const unsigned char *)un;
	unsigned int h = (unsigned int)type * 31 + len;

	for (uint32_t i = FAMILY_LEN; i < len; i++)
		h = h * 31 + p[i];
	return h % UNIX_HASH;
}

static struct unix_socket *abstract_find_locked(struct net_namespace *net,
						const struct sockaddr_un *un, uint32_t len,
						int type)
{
	struct unix_socket *u;

	list_for_each (u, &net->abstract[name_hash(un, len, type)], name_node) {
		if (u->sock.type == type && u->name->len == len && !memcmp(&u->name->un, un, len))
			return u;
	}
	return NULL;
}

/* Gives the name to the socket, unless it got one in between. Takes n on success. */
static int set_name_locked(struct unix_socket *u, struct unix_name *n)
{
	if (u->name)
		return -EINVAL;
	__atomic_store_n(&u->name, n, __ATOMIC_RELEASE);
	return 0;
}

static int bind_abstract(struct unix_socket *u, struct unix_name *n)
{
	struct net_namespace *net = u->sock.net;
	SCOPED_LOCK(&u->sock.lock);
	SCOPED_LOCK(&net->lock);
	int r;

	if (abstract_find_locked(net, &n->un, n->len, u->sock.type))
		return -EADDRINUSE;
	r = set_name_locked(u, n);
	if (!r)
		list_add(&net->abstract[name_hash(&n->un, n->len, u->sock.type)], &u->name_node);
	return r;
}

int unix_autobind(struct unix_socket *u)
{
	struct net_namespace *net = u->sock.net;
	struct sock_addr addr = {.un.sun_family = AF_UNIX};
	struct unix_name *n;
	int r = -ENOSPC;

	for (unsigned int tries = 0; tries < 0x100000; tries++) {
		if (__atomic_load_n(&u->name, __ATOMIC_ACQUIRE))
			return 0;
		snprintf(addr.un.sun_path + 1, 6, "%05x",
			 __atomic_fetch_add(&net->next_autobind, 1, __ATOMIC_RELAXED) & 0xfffff);
		n = name_new(&addr, FAMILY_LEN + 6);
		r = bind_abstract(u, n);
		if (!r)
			return 0;
		unix_name_put(n);
		if (r != -EADDRINUSE)
			break;
	}
	return r == -EINVAL ? 0 : r; /* somebody else bound it */
}

/* The path in an address, ended by a NUL. */
static void path_of(const struct sock_addr *addr, char path[sizeof(struct sockaddr_un)])
{
	size_t n = addr->len - FAMILY_LEN;

	memcpy(path, addr->un.sun_path, n);
	path[n] = 0;
}

static int bind_path(struct unix_socket *u, const struct sock_addr *addr,
		     const struct sock_caller *c)
{
	struct new_inode new = {.mode = S_IFSOCK | (0777 & ~c->umask)};
	char name[sizeof(struct sockaddr_un)];
	struct sock_addr full = {.un.sun_family = AF_UNIX};
	struct unix_name *n;
	struct inode *inode;
	struct path path;
	int r;

	path_of(addr, name);
	r = vfs_create(c->env, NULL, name, &new, &path);
	if (r)
		return r == -EEXIST ? -EADDRINUSE : r;
	memcpy(full.un.sun_path, name, min(strlen(name), sizeof(full.un.sun_path)));
	n = name_new(&full, FAMILY_LEN + (uint32_t)strlen(name) + 1);
	inode = path_inode(&path);
	mutex_lock(&inode->data_lock);
	mutex_lock(&u->sock.lock);
	r = set_name_locked(u, n);
	if (!r) {
		u->path = path;
		inode->bound = &u->sock;
	}
	mutex_unlock(&u->sock.lock);
	mutex_unlock(&inode->data_lock);
	if (r) { /* two binds raced: take the name back */
		(void)!vfs_unlink(c->env, NULL, name);
		path_put(&path);
		unix_name_put(n);
	}
	return r;
}

static int check_addr(const struct sock_addr *addr)
{
	if (addr->len <= FAMILY_LEN || addr->len > sizeof(struct sockaddr_un))
		return -EINVAL;
	return addr->un.sun_family == AF_UNIX ? 0 : -EINVAL;
}

int unix_bind(struct socket *s, const struct sock_addr *addr, const struct sock_caller *c)
{
	struct unix_socket *u = unix_of(s);
	struct unix_name *n;
	int r;

	if (addr->len == FAMILY_LEN && addr->un.sun_family == AF_UNIX)
		return unix_autobind(u);
	r = check_addr(addr);
	if (r)
		return r;
	if (__atomic_load_n(&u->name, __ATOMIC_ACQUIRE))
		return -EINVAL;
	if (addr->un.sun_path[0])
		return bind_path(u, addr, c);
	n = name_new(addr, addr->len);
	r = bind_abstract(u, n);
	if (r)
		unix_name_put(n);
	return r;
}

static int find_abstract(struct net_namespace *net, const struct sock_addr *addr, int type,
			 struct socket **out)
{
	SCOPED_LOCK(&net->lock);
	struct unix_socket *u = abstract_find_locked(net, &addr->un, addr->len, type);

	if (!u)
		return -ECONNREFUSED;
	*out = socket_get(&u->sock);
	return 0;
}

static int find_path(const struct sock_addr *addr, int type, const struct sock_caller *c,
		     struct socket **out)
{
	char name[sizeof(struct sockaddr_un)];
	struct inode *inode;
	struct path path;
	int r;

	path_of(addr, name);
	r = path_walk(c->env, NULL, name, WALK_FOLLOW, &path);
	if (r)
		return r;
	inode = path_inode(&path);
	r = inode_permission(inode, c->cred, 2);
	if (!r && !S_ISSOCK(inode->mode))
		r = -ECONNREFUSED;
	*out = NULL;
	if (!r) {
		SCOPED_LOCK(&inode->data_lock);

		if (inode->bound)
			*out = socket_get(inode->bound);
		else
			r = -ECONNREFUSED;
	}
	path_put(&path);
	if (!r && (*out)->type != type) {
		socket_put(*out);
		r = -EPROTOTYPE;
	}
	return r;
}

int unix_find(struct net_namespace *net, const struct sock_addr *addr, int type,
	      const struct sock_caller *c, struct socket **out)
{
	int r = check_addr(addr);

	if (r)
		return r;
	return addr->un.sun_path[0] ? find_path(addr, type, c, out)
				    : find_abstract(net, addr, type, out);
}

void unix_unbind(struct unix_socket *u)
{
	struct net_namespace *net = u->sock.net;
	struct inode *inode = u->path.dentry ? path_inode(&u->path) : NULL;

	if (inode) {
		mutex_lock(&inode->data_lock);
		if (inode->bound == &u->sock)
			inode->bound = NULL;
		mutex_unlock(&inode->data_lock);
		path_put(&u->path);
	}
	mutex_lock(&net->lock);
	list_del(&u->name_node);
	list_del(&u->all_node);
	mutex_unlock(&net->lock);
}

/* --- /proc/net/unix ------------------------------------------------------------------------- */

static void format_name(struct text *out, const struct unix_name *n)
{
	size_t len = n->len - FAMILY_LEN;

	if (n->un.sun_path[0])
		len--; /* the NUL */
	text_puts(out, " ");
	for (size_t i = 0; i < len; i++) {
		char c = n->un.sun_path[i];

		text_printf(out, "%c", c ? c : '@');
	}
}

static void format_one(struct text *out, struct unix_socket *u)
{
	struct socket *s = &u->sock;
	int state = atomic_load(&s->state);
	const struct unix_name *n = __atomic_load_n(&u->name, __ATOMIC_ACQUIRE);

	text_printf(out, "%016x: %08X %08X %08X %04X %02X %5llu", 0, ref_read(&s->ref), 0,
		    state == SOCK_LISTENING ? 0x10000 : 0, (unsigned int)s->type,
		    state == SOCK_CONNECTED ? 3 : 1, (unsigned long long)s->file.inode->ino);
	if (n)
		format_name(out, n);
	text_puts(out, "\n");
}

void net_proc_show_unix(struct net_namespace *net, struct text *out)
{
	struct unix_socket *u;

	text_puts(out, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	mutex_lock(&net->lock);
	list_for_each (u, &net->unix_all, all_node)
		format_one(out, u);
	mutex_unlock(&net->lock);
}
