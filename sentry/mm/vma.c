#include "sentry/mm/vma.h"

#include <string.h>
#include <sys/mman.h>

#include "common/mem.h"
#include "sentry/core/account.h"

static struct vma_node *node_of(const struct rb_node *n)
{
	return n ? container_of((struct rb_node *)n, struct vma_node, rb) : NULL;
}

/* Where the VMA begins for others that look for room: below a stack's guard gap. */
static uint64_t guarded_start(const struct vma *v)
{
	if (!(v->flags & MAP_GROWSDOWN))
		return v->start;
	return v->start > STACK_GUARD_GAP ? v->start - STACK_GUARD_GAP : 0;
}

static uint64_t hole(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static void update_node(struct rb_node *rb)
{
	struct vma_node *n = node_of(rb), *l = node_of(rb->left), *r = node_of(rb->right);

	n->sub_start = guarded_start(&n->v);
	n->sub_end = n->v.end;
	n->sub_hole = 0;
	if (l) {
		n->sub_hole = max(l->sub_hole, hole(l->sub_end, n->sub_start));
		n->sub_start = l->sub_start;
	}
	if (r) {
		n->sub_hole = max(n->sub_hole, r->sub_hole);
		n->sub_hole = max(n->sub_hole, hole(n->v.end, r->sub_start));
		n->sub_end = r->sub_end;
	}
}

/* A node, and what the host's kernel keeps for the same mapping of the stub. */
#define NODE_WEIGHT (sizeof(struct vma_node) + 16 + 192)

struct vma_tree *vma_tree_new(void)
{
	struct vma_tree *t = NEW(struct vma_tree);

	rb_init(&t->rb, update_node);
	return t;
}

void vma_tree_free(struct vma_tree *t)
{
	struct rb_node *n;

	while ((n = t->rb.root))
		vma_erase(t, node_of(n));
	free(t);
}

struct vma_node *vma_find(struct vma_tree *t, uint64_t addr)
{
	struct vma_node *best = NULL, *n = node_of(t->rb.root);

	while (n) {
		if (n->v.end > addr) {
			best = n;
			n = node_of(n->rb.left);
		} else {
			n = node_of(n->rb.right);
		}
	}
	return best;
}

struct vma_node *vma_first(struct vma_tree *t)
{
	return node_of(rb_first(&t->rb));
}

struct vma_node *vma_next(struct vma_node *n)
{
	return node_of(rb_next(&n->rb));
}

struct vma_node *vma_prev(struct vma_node *n)
{
	return node_of(rb_prev(&n->rb));
}

struct vma_node *vma_find_overlap(struct vma_tree *t, uint64_t start, uint64_t end)
{
	struct vma_node *n = vma_find(t, start);

	return n && n->v.start < end ? n : NULL;
}

static void link_node(struct vma_tree *t, struct vma_node *n)
{
	struct rb_node **link = &t->rb.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = n->v.start < node_of(parent)->v.start ? &parent->left : &parent->right;
	}
	rb_insert(&t->rb, &n->rb, parent, link);
	t->count++;
}

struct vma_node *vma_insert(struct vma_tree *t, const struct vma *v)
{
	struct vma_node *n = charged_always_as(sizeof(struct vma_node), NODE_WEIGHT);

	assert(v->start < v->end && !vma_find_overlap(t, v->start, v->end));
	n->v = *v;
	link_node(t, n);
	return n;
}

void vma_erase(struct vma_tree *t, struct vma_node *n)
{
	rb_erase(&t->rb, &n->rb);
	t->count--;
	if (n->v.file)
		file_put(n->v.file);
	charged_free(n);
}

struct vma_node *vma_split(struct vma_tree *t, struct vma_node *n, uint64_t at)
{
	struct vma_node *upper = charged_always_as(sizeof(struct vma_node), NODE_WEIGHT);

	assert(n->v.start < at && at < n->v.end);
	upper->v = n->v;
	upper->v.start = at;
	upper->v.offset += at - n->v.start;
	if (upper->v.file)
		file_get(upper->v.file);
	n->v.end = at;
	rb_changed(&t->rb, &n->rb);
	link_node(t, upper);
	return upper;
}

struct vma_node *vma_isolate(struct vma_tree *t, uint64_t start, uint64_t end)
{
	struct vma_node *n = vma_find_overlap(t, start, end), *last;

	if (!n)
		return NULL;
	if (n->v.start < start)
		n = vma_split(t, n, start);
	last = vma_find_overlap(t, end - 1, end);
	if (last && last->v.end > end)
		vma_split(t, last, end);
	return n;
}

int vma_isolate_cost(struct vma_tree *t, uint64_t start, uint64_t end)
{
	struct vma_node *first = vma_find_overlap(t, start, end);
	struct vma_node *last = vma_find_overlap(t, end - 1, end);

	return (first && first->v.start < start) + (last && last->v.end > end);
}

void vma_resize(struct vma_tree *t, struct vma_node *n, uint64_t start, uint64_t end)
{
	assert(start < end);
	n->v.offset += start - n->v.start;
	n->v.start = start;
	n->v.end = end;
	rb_changed(&t->rb, &n->rb);
}

static bool can_merge(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags &&
	       a->max_prot == b->max_prot && a->file == b->file && a->label == b->label &&
	       a->advice == b->advice && (!a->file || a->offset + (a->end - a->start) == b->offset);
}

/* a takes over b, which lies right behind it. */
static void join(struct vma_tree *t, struct vma_node *a, struct vma_node *b)
{
	uint64_t end = b->v.end;

	vma_erase(t, b);
	a->v.end = end;
	rb_changed(&t->rb, &a->rb);
}

struct vma_node *vma_merge(struct vma_tree *t, struct vma_node *n)
{
	struct vma_node *prev = vma_prev(n), *next = vma_next(n);

	if (next && can_merge(&n->v, &next->v))
		join(t, n, next);
	if (!prev || !can_merge(&prev->v, &n->v))
		return n;
	join(t, prev, n);
	return prev;
}

void vma_merge_range(struct vma_tree *t, uint64_t start, uint64_t end)
{
	struct vma_node *n = vma_find(t, start);

	while (n && n->v.start <= end)
		n = vma_next(vma_merge(t, n));
}

bool vma_covered(struct vma_tree *t, uint64_t start, uint64_t end)
{
	struct vma_node *n = vma_find(t, start);

	while (n && n->v.start <= start) {
		if (n->v.end >= end)
			return true;
		start = n->v.end;
		n = vma_next(n);
	}
	return false;
}

static uint64_t fit(uint64_t len, uint64_t lo, uint64_t hi, uint64_t align)
{
	uint64_t at;

	if (hi < lo || hi - lo < len)
		return 0;
	at = ROUND_DOWN(hi - len, align);
	return at >= lo ? at : 0;
}

/* Can a hole of len bytes lie between, below or above the VMAs of the subtree n in [lo, hi)? */
static bool may_hold(const struct vma_node *n, uint64_t len, uint64_t lo, uint64_t hi)
{
	return n->sub_hole >= len || hole(lo, min(hi, n->sub_start)) >= len ||
	       hole(max(lo, n->sub_end), hi) >= len;
}

/* Only VMAs of the subtree n lie in [lo, hi). The depth is that of the tree. */
static uint64_t find_hole(const struct vma_node *n, uint64_t len, uint64_t lo, uint64_t hi,
			  uint64_t align)
{
	uint64_t at;

	if (hi <= lo || hi - lo < len)
		return 0;
	if (!n)
		return fit(len, lo, hi, align);
	if (!may_hold(n, len, lo, hi))
		return 0;
	at = find_hole(node_of(n->rb.right), len, max(lo, n->v.end), hi, align);
	if (at)
		return at;
	return find_hole(node_of(n->rb.left), len, lo, min(hi, guarded_start(&n->v)), align);
}

uint64_t vma_find_hole(struct vma_tree *t, uint64_t len, uint64_t lo, uint64_t hi, uint64_t align)
{
	return find_hole(node_of(t->rb.root), len, lo, hi, align);
}
