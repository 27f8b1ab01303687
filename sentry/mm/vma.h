/*
 * The set of a space's VMAs: a red-black tree by address that knows the largest
 * hole of each subtree, so that a free range is found in logarithmic time. It
 * knows nothing of the host; mm keeps both in step. Guarded by mm->lock.
 */
#ifndef GARRISON_SENTRY_MM_VMA_H
#define GARRISON_SENTRY_MM_VMA_H

#include "common/rbtree.h"
#include "sentry/mm/mm.h"

struct vma_node {
	struct rb_node rb;
	struct vma v; /* owns v.file */
	/* of the subtree: lowest start (with its guard gap), highest end, largest hole inside */
	uint64_t sub_start, sub_end, sub_hole;
};

struct vma_tree {
	struct rb_tree rb;
	int count;
};

struct vma_tree *vma_tree_new(void);
/* Frees every VMA too. */
void vma_tree_free(struct vma_tree *t);

/* The first VMA that ends above addr: it contains addr or lies behind it. NULL: none. */
struct vma_node *vma_find(struct vma_tree *t, uint64_t addr);
struct vma_node *vma_first(struct vma_tree *t);
struct vma_node *vma_next(struct vma_node *n);
struct vma_node *vma_prev(struct vma_node *n);
/* The first VMA that overlaps [start, end), or NULL. */
struct vma_node *vma_find_overlap(struct vma_tree *t, uint64_t start, uint64_t end);

/* Adds a copy of v, whose range must be free; takes the reference on v->file. */
struct vma_node *vma_insert(struct vma_tree *t, const struct vma *v);
/* Drops it and its file. */
void vma_erase(struct vma_tree *t, struct vma_node *n);
/* n keeps [start, at); returns the new VMA [at, end). start < at < end. */
struct vma_node *vma_split(struct vma_tree *t, struct vma_node *n, uint64_t at);
/* Splits so that no VMA crosses start or end; returns the first inside, or NULL. */
struct vma_node *vma_isolate(struct vma_tree *t, uint64_t start, uint64_t end);
/* How many VMAs vma_isolate would add. */
int vma_isolate_cost(struct vma_tree *t, uint64_t start, uint64_t end);
/* Moves a border; the new range must be free or its own. A lower start lowers v.offset. */
void vma_resize(struct vma_tree *t, struct vma_node *n, uint64_t start, uint64_t end);
/* Joins n with its neighbours where they differ in nothing; returns what n became. */
struct vma_node *vma_merge(struct vma_tree *t, struct vma_node *n);
/* Joins all that can be joined in and around [start, end). */
void vma_merge_range(struct vma_tree *t, uint64_t start, uint64_t end);
/* Is every byte of [start, end) in some VMA? */
bool vma_covered(struct vma_tree *t, uint64_t start, uint64_t end);

/* The highest hole of `len` bytes in [lo, hi), start a multiple of align (a power of two
 * >= 4096): its start, or 0. A stack's guard gap counts as taken. */
uint64_t vma_find_hole(struct vma_tree *t, uint64_t len, uint64_t lo, uint64_t hi, uint64_t align);

/* Linux's stack_guard_gap. */
#define STACK_GUARD_GAP (256 * GUEST_PAGE)

#endif
