/* link: common/rbtree.c */
/* Random inserts and erases against a bitmap; the tree's own rules are checked after each. */
#include <check.h>
#include <stdlib.h>

#include "common/rbtree.h"

struct item {
	struct rb_node rb;
	int key;
	int count, sum; /* aggregates of the subtree */
};

static struct item *item_of(struct rb_node *n)
{
	return n ? container_of(n, struct item, rb) : NULL;
}

static void update_item(struct rb_node *n)
{
	struct item *i = item_of(n), *l = item_of(n->left), *r = item_of(n->right);

	i->count = 1 + (l ? l->count : 0) + (r ? r->count : 0);
	i->sum = i->key + (l ? l->sum : 0) + (r ? r->sum : 0);
}

static void insert(struct rb_tree *t, struct item *i)
{
	struct rb_node **link = &t->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = i->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_insert(t, &i->rb, parent, link);
}

/* Black height of the subtree, or -1 where colours, links or aggregates are wrong. */
static int verify(struct rb_node *n)
{
	struct item old;
	int l, r;

	if (!n)
		return 1;
	if (n->red && ((n->left && n->left->red) || (n->right && n->right->red)))
		return -1;
	if ((n->left && n->left->parent != n) || (n->right && n->right->parent != n))
		return -1;
	l = verify(n->left);
	r = verify(n->right);
	old = *item_of(n);
	update_item(n);
	if (l < 0 || l != r || old.count != item_of(n)->count || old.sum != item_of(n)->sum)
		return -1;
	return l + !n->red;
}

static bool in_order(struct rb_tree *t, const bool *in, int n)
{
	struct rb_node *pos = rb_first(t), *last = NULL;

	for (int key = 0; key < n; key++) {
		if (!in[key])
			continue;
		if (!pos || item_of(pos)->key != key || rb_prev(pos) != last)
			return false;
		last = pos;
		pos = rb_next(pos);
	}
	return !pos && rb_last(t) == last;
}

START_TEST(random_operations)
{
	enum { N = 128 };
	struct item items[N] = {0};
	bool in[N] = {false};
	struct rb_tree t;

	rb_init(&t, update_item);
	srandom(7);
	for (int round = 0; round < 6000; round++) {
		int key = (int)(random() % N);

		items[key].key = key;
		if (in[key])
			rb_erase(&t, &items[key].rb);
		else
			insert(&t, &items[key]);
		in[key] = !in[key];
		ck_assert_int_gt(verify(t.root), 0);
		ck_assert(in_order(&t, in, N));
	}
}
END_TEST

START_TEST(empty_and_single)
{
	struct item one = {.key = 5};
	struct rb_tree t;

	rb_init(&t, NULL);
	ck_assert_ptr_null(rb_first(&t));
	ck_assert_ptr_null(rb_last(&t));
	insert(&t, &one);
	ck_assert_ptr_eq(rb_first(&t), &one.rb);
	ck_assert_ptr_null(rb_next(&one.rb));
	rb_erase(&t, &one.rb);
	ck_assert_ptr_null(t.root);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rbtree");
	TCase *tc = tcase_create("rbtree");
	SRunner *r;
	int failed;

	tcase_add_test(tc, random_operations);
	tcase_add_test(tc, empty_and_single);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
