/*
 * Intrusive red-black trees. The caller walks down by its own comparison and
 * gives rb_insert the parent and the link that it ended at. A tree may carry an
 * aggregate of each subtree (`update`): it is recomputed bottom-up wherever the
 * shape changes, and by rb_changed after the caller changed a node's own key or
 * value. No locking.
 */
#ifndef GARRISON_COMMON_RBTREE_H
#define GARRISON_COMMON_RBTREE_H

#include "common/base.h"

struct rb_node {
	struct rb_node *parent, *left, *right;
	bool red;
};

struct rb_tree {
	struct rb_node *root;
	/* Recomputes the aggregate of n from n itself and its two children; may be NULL. */
	void (*update)(struct rb_node *n);
};

static inline void rb_init(struct rb_tree *t, void (*update)(struct rb_node *n))
{
	t->root = NULL;
	t->update = update;
}

/* *link is &parent->left, &parent->right, or &t->root of an empty tree (parent NULL). */
void rb_insert(struct rb_tree *t, struct rb_node *n, struct rb_node *parent, struct rb_node **link);
void rb_erase(struct rb_tree *t, struct rb_node *n);
/* Recomputes the aggregates from n up to the root. */
void rb_changed(struct rb_tree *t, struct rb_node *n);

/* In order; NULL at the end. */
struct rb_node *rb_first(const struct rb_tree *t);
struct rb_node *rb_last(const struct rb_tree *t);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);

#endif
