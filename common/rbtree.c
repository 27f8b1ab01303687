/*
 * Red-black trees after Cormen, Leiserson, Rivest and Stein, with NULL leaves:
 * a red node has black children, and every path from a node down to a leaf
 * meets the same number of black nodes. Rotations recompute the aggregates of
 * the two nodes that they touch; rb_changed mends the path above.
 */
#include "common/rbtree.h"

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

static void update(struct rb_tree *t, struct rb_node *n)
{
	if (t->update)
		t->update(n);
}

void rb_changed(struct rb_tree *t, struct rb_node *n)
{
	if (!t->update)
		return;
	for (; n; n = n->parent)
		t->update(n);
}

/* Puts `to` (may be NULL) where `from` hangs below its parent. */
static void replace_child(struct rb_tree *t, struct rb_node *from, struct rb_node *to)
{
	struct rb_node *parent = from->parent;

	if (!parent)
		t->root = to;
	else if (parent->left == from)
		parent->left = to;
	else
		parent->right = to;
	if (to)
		to->parent = parent;
}

static void rotate_left(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *up = n->right;

	replace_child(t, n, up);
	n->right = up->left;
	if (n->right)
		n->right->parent = n;
	up->left = n;
	n->parent = up;
	update(t, n);
	update(t, up);
}

static void rotate_right(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *up = n->left;

	replace_child(t, n, up);
	n->left = up->right;
	if (n->left)
		n->left->parent = n;
	up->right = n;
	n->parent = up;
	update(t, n);
	update(t, up);
}

static void rotate(struct rb_tree *t, struct rb_node *n, bool left)
{
	if (left)
		rotate_left(t, n);
	else
		rotate_right(t, n);
}

/* n is red and its parent may be too: mends that on the way up. */
static void insert_fixup(struct rb_tree *t, struct rb_node *n)
{
	while (is_red(n->parent)) {
		struct rb_node *p = n->parent, *g = p->parent;
		bool p_left = g->left == p;
		struct rb_node *uncle = p_left ? g->right : g->left;

		if (is_red(uncle)) {
			p->red = uncle->red = false;
			g->red = true;
			n = g;
			continue;
		}
		if (n == (p_left ? p->right : p->left)) { /* inner grandchild: make it outer */
			rotate(t, p, p_left);
			p = n;
		}
		p->red = false;
		g->red = true;
		rotate(t, g, !p_left);
		break;
	}
	t->root->red = false;
}

void rb_insert(struct rb_tree *t, struct rb_node *n, struct rb_node *parent, struct rb_node **link)
{
	n->parent = parent;
	n->left = n->right = NULL;
	n->red = true;
	*link = n;
	rb_changed(t, n);
	insert_fixup(t, n);
}

/* The subtree at n (may be NULL), below parent, lacks one black node on every path. */
static void erase_fixup(struct rb_tree *t, struct rb_node *n, struct rb_node *parent)
{
	while (parent && !is_red(n)) {
		bool left = parent->left == n;
		struct rb_node *s = left ? parent->right : parent->left;

		if (is_red(s)) {
			s->red = false;
			parent->red = true;
			rotate(t, parent, left);
			s = left ? parent->right : parent->left;
		}
		if (!is_red(s->left) && !is_red(s->right)) {
			s->red = true;
			n = parent;
			parent = n->parent;
			continue;
		}
		if (!is_red(left ? s->right : s->left)) { /* make the outer nephew red */
			(left ? s->left : s->right)->red = false;
			s->red = true;
			rotate(t, s, !left);
			s = left ? parent->right : parent->left;
		}
		s->red = parent->red;
		parent->red = false;
		(left ? s->right : s->left)->red = false;
		rotate(t, parent, left);
		n = t->root;
		break;
	}
	if (n)
		n->red = false;
}

/* n has two children: its successor takes its place. Returns where a node went missing. */
static struct rb_node *replace_by_successor(struct rb_tree *t, struct rb_node *n,
					    struct rb_node **child)
{
	struct rb_node *s = n->right, *parent;

	while (s->left)
		s = s->left;
	*child = s->right;
	parent = s->parent == n ? s : s->parent;
	if (s->parent != n) {
		replace_child(t, s, s->right);
		s->right = n->right;
		s->right->parent = s;
	}
	replace_child(t, n, s);
	s->left = n->left;
	s->left->parent = s;
	return parent;
}

void rb_erase(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *child, *parent;
	bool lost_red = n->red;

	if (n->left && n->right) {
		struct rb_node *s = rb_next(n);

		lost_red = s->red;
		parent = replace_by_successor(t, n, &child);
		s->red = n->red;
	} else {
		child = n->left ? n->left : n->right;
		parent = n->parent;
		replace_child(t, n, child);
	}
	rb_changed(t, parent);
	if (!lost_red)
		erase_fixup(t, child, parent);
	n->parent = n->left = n->right = NULL;
}

struct rb_node *rb_first(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
	const struct rb_node *p;

	if (n->right) {
		for (n = n->right; n->left;)
			n = n->left;
		return (struct rb_node *)n;
	}
	for (p = n->parent; p && p->right == n; p = p->parent)
		n = p;
	return (struct rb_node *)p;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	const struct rb_node *p;

	if (n->left) {
		for (n = n->left; n->right;)
			n = n->right;
		return (struct rb_node *)n;
	}
	for (p = n->parent; p && p->left == n; p = p->parent)
		n = p;
	return (struct rb_node *)p;
}
