/*
 * The inodes of one export that a client knows. A node is found by its number
 * or by (device, inode); it remembers one name (parent and component), so that
 * its O_PATH fd need not stay open: a bounded number of fds is kept, least
 * recently used first out, and reopened through the parent. That is what lets
 * trees larger than RLIMIT_NOFILE be served. A node whose name is gone keeps its
 * fd until it is forgotten.
 */
#ifndef GARRISON_GOFER_NODE_H
#define GARRISON_GOFER_NODE_H

#include <linux/stat.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/list.h"

struct statx;

struct node {
	/* immutable */
	uint64_t id;
	uint32_t type; /* S_IFMT bits */

	/* guarded by node_table.lock */
	uint64_t dev, ino;
	int64_t btime; /* tells a reused inode number; 0: unknown */
	uint32_t btimensec;
	uint64_t nlookup;   /* what the client owes by FORGET */
	unsigned int users; /* requests and children that point to it */
	unsigned int pins;  /* requests that use fd */
	int fd;		    /* O_PATH, or -1 */
	bool keep_fd;	    /* no name left to reopen it by */
	bool hashed;
	bool foreign;	     /* a directory of another kind of file system, shown as empty */
	struct node *parent; /* owns a use; NULL: root, or no name */
	char *name;
	struct node *hash_next;
	struct list lru; /* while fd is open, unpinned and may be closed */
};

struct node_slot {
	struct node *node;   /* NULL: free */
	uint32_t generation; /* the high half of the number */
	uint32_t next_free;
};

struct node_table {
	pthread_mutex_t lock;
	bool exclusive; /* immutable: nobody else changes this tree */

	/* guarded by lock */
	struct node_slot *slots; /* by the low half of the number; 0 is not used */
	uint32_t nslots, free_slot;
	uint32_t live;
	struct node **buckets;
	uint32_t nbuckets;
	struct list lru;
	unsigned int open_fds;
	uint64_t names_seq; /* grows with each rename or unlink */
	struct node *root;
};

/* Bounds for all tables of the process together. */
#define NODES_MAX (1U << 20)
void node_set_fd_budget(unsigned int max);

/* Takes root_fd (O_PATH). */
int node_table_init(struct node_table *t, int root_fd, bool exclusive) MUST_CHECK;
/* All channels are gone: frees every node. */
void node_table_fini(struct node_table *t);

/* A use of the node with that number, or NULL. */
struct node *node_get(struct node_table *t, uint64_t id);
void node_put(struct node_table *t, struct node *n);

/* An open O_PATH fd of the node, valid until node_unpin. -errno; -ESTALE: it is gone. */
int node_pin(struct node_table *t, struct node *n) MUST_CHECK;
void node_unpin(struct node_table *t, struct node *n);

/*
 * The node for what `st` describes, known as `name` in `parent` (NULL: no name),
 * with one lookup more. takes_fd: an O_PATH fd of it, or -1; always consumed.
 */
int node_lookup(struct node_table *t, struct node *parent, const char *name, const struct statx *st,
		int takes_fd, bool foreign, uint64_t *id) MUST_CHECK;
void node_forget(struct node_table *t, uint64_t id, uint64_t nlookup);

/* Follows what happened to names. fd: an O_PATH fd of the unlinked inode, taken. */
void node_unlinked(struct node_table *t, struct node *dir, const char *name, const struct statx *st,
		   int fd);
/* The same for a node that the client will only forget: its fd goes. */
void node_gone(struct node_table *t, struct node *dir, const char *name, uint64_t id);
void node_renamed(struct node_table *t, struct node *dir, const char *name, const struct statx *st);

#endif
