/* The VMA tree against a plain array of pages: random maps, unmaps and changes, and every answer
 * of the search for holes compared with a linear scan. */
/* link: sentry/mm/vma.c sentry/core/account.c sentry/core/charged.c common/rbtree.c common/mem.c common/log.c */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sentry/mm/vma.h"

#define N 200
#define BASE 0x10000ULL
#define PAGE(i) (BASE + (uint64_t)(i)*GUEST_PAGE)

/* The tree holds no files here. */
void file_put(struct file *f)
{
	abort();
}
struct file *file_get(struct file *f)
{
	abort();
}

static int model[N]; /* prot + 1; 0: nothing */

static void forget(struct vma_tree *t, int from, int to)
{
	struct vma_node *n = vma_isolate(t, PAGE(from), PAGE(to)), *next;

	for (; n && n->v.start < PAGE(to); n = next) {
		next = vma_next(n);
		vma_erase(t, n);
	}
	for (int i = from; i < to; i++)
		model[i] = 0;
}

static void map(struct vma_tree *t, int from, int to, int prot)
{
	struct vma v = {.start = PAGE(from), .end = PAGE(to), .prot = prot, .flags = MAP_PRIVATE};

	forget(t, from, to);
	vma_merge(t, vma_insert(t, &v));
	for (int i = from; i < to; i++)
		model[i] = prot + 1;
}

static void protect(struct vma_tree *t, int from, int to, int prot)
{
	struct vma_node *n = vma_isolate(t, PAGE(from), PAGE(to));

	for (; n && n->v.start < PAGE(to); n = vma_next(n))
		n->v.prot = prot;
	vma_merge_range(t, PAGE(from), PAGE(to));
	for (int i = from; i < to; i++)
		model[i] = model[i] ? prot + 1 : 0;
}

/* One VMA for each run of equal pages, no more. */
static bool matches(struct vma_tree *t)
{
	struct vma_node *n = vma_first(t);
	int i = 0, count = 0;

	while (i < N) {
		int end = i;

		while (end < N && model[end] == model[i])
			end++;
		if (model[i]) {
			if (!n || n->v.start != PAGE(i) || n->v.end != PAGE(end) ||
			    n->v.prot != model[i] - 1)
				return false;
			n = vma_next(n);
			count++;
		}
		i = end;
	}
	return !n && count == t->count;
}

static uint64_t slow_hole(int len, int lo, int hi, int align)
{
	for (int at = hi - len; at >= lo; at--) {
		bool is_free = PAGE(at) % ((uint64_t)align * GUEST_PAGE) == 0;

		for (int i = at; i < at + len; i++)
			is_free &= model[i] == 0;
		if (is_free)
			return PAGE(at);
	}
	return 0;
}

START_TEST(random_operations)
{
	struct vma_tree *t = vma_tree_new();

	srandom(3);
	for (int round = 0; round < 3000; round++) {
		int from = (int)(random() % N), to = from + 1 + (int)(random() % 12);
		int lo = (int)(random() % N), hi = lo + 1 + (int)(random() % (N - lo));
		int len = 1 + (int)(random() % 20), align = 1 << random() % 3;
		bool covered = true;

		to = min(to, N);
		switch (random() % 4) {
		case 0:
			forget(t, from, to);
			break;
		case 1:
			protect(t, from, to, (int)(random() % 3));
			break;
		default:
			map(t, from, to, (int)(random() % 3));
		}
		ck_assert(matches(t));
		ck_assert_uint_eq(vma_find_hole(t, (uint64_t)len * GUEST_PAGE, PAGE(lo), PAGE(hi),
						(uint64_t)align * GUEST_PAGE),
				  slow_hole(len, lo, hi, align));
		for (int i = from; i < to; i++)
			covered &= model[i] != 0;
		ck_assert(vma_covered(t, PAGE(from), PAGE(to)) == covered);
	}
	vma_tree_free(t);
}
END_TEST

START_TEST(guard_gap_below_stack)
{
	struct vma_tree *t = vma_tree_new();
	uint64_t top = 64 * STACK_GUARD_GAP;
	struct vma stack = {.start = top - GUEST_PAGE, .end = top, .flags = MAP_GROWSDOWN};

	vma_insert(t, &stack);
	ck_assert_uint_eq(vma_find_hole(t, GUEST_PAGE, GUEST_PAGE, top, GUEST_PAGE),
			  stack.start - STACK_GUARD_GAP - GUEST_PAGE);
	vma_tree_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vma");
	TCase *tc = tcase_create("vma");
	SRunner *r;
	int failed;

	tcase_add_test(tc, random_operations);
	tcase_add_test(tc, guard_gap_below_stack);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
