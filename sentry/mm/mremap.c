/*
 * mremap(2). Growth in place of private anonymous memory is a mapping of the
 * new tail (the host then joins both); everything else is the host's mremap.
 *
 * The host may hold in several VMAs what is one in our tree (it keeps apart
 * anonymous memory with different histories), and refuses with -EFAULT to move
 * them by one call. Such a range is moved in halves until each part is one.
 */
#include <errno.h>
#include <sys/mman.h>

#include "sentry/mm/internal.h"

struct remap {
	struct mm *mm;
	struct pf_thread *t;
	const struct mm_limits *lim;
	uint64_t addr, old_len, new_len, to;
	int flags;
};

static int check_flags(const struct remap *m)
{
	if (m->flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(m->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((m->flags & MREMAP_DONTUNMAP) && m->old_len != m->new_len)
		return -EINVAL;
	if (!page_aligned(m->addr) || m->new_len == 0)
		return -EINVAL;
	return 0;
}

static int check_target(const struct remap *m)
{
	if (!page_aligned(m->to) || m->new_len > pf_max_addr() ||
	    m->to > pf_max_addr() - m->new_len)
		return -EINVAL;
	if (m->addr + m->old_len > m->to && m->to + m->new_len > m->addr)
		return -EINVAL;
	return m->to < pf_min_addr() ? -EPERM : 0;
}

/* May the VMA at m->addr become new_len long? */
static int check_source(const struct remap *m, const struct vma_node *n)
{
	uint64_t grow = m->new_len > m->old_len ? m->new_len - m->old_len : 0;
	int r;

	if (!n || n->v.start > m->addr || n->v.end > pf_max_addr())
		return -EFAULT;
	if (m->old_len == 0 && !(n->v.flags & MAP_SHARED))
		return -EINVAL;
	if ((m->flags & MREMAP_DONTUNMAP) && (n->v.flags & MAP_GROWSDOWN))
		return -EINVAL;
	if (m->old_len > n->v.end - m->addr)
		return -EFAULT;
	if (grow == 0)
		return 0;
	if (n->v.advice & VMA_LOCKED) {
		r = mm_may_lock(m->mm, m->lim, grow);
		if (r < 0)
			return r;
	}
	return mm_may_expand(m->mm, m->lim, &n->v, grow, 0);
}

/* --- on the host ---------------------------------------------------------------------- */

/* Moves [from, from+len) to `to` although the host may hold it in several pieces. */
static int move_pieces(const struct remap *m, uint64_t from, uint64_t len, uint64_t to)
{
	bool keep = m->flags & MREMAP_DONTUNMAP;
	int r = pf_mremap(m->t, UADDR(from), len, len, UADDR(to), keep);
	uint64_t half = ROUND_DOWN(len / 2, GUEST_PAGE);

	if (r != -EFAULT || half == 0)
		return r;
	r = move_pieces(m, from, half, to);
	return r < 0 ? r : move_pieces(m, from + half, len - half, to + half);
}

static int move_on_host(const struct remap *m, const struct vma *v)
{
	int r = pf_mremap(m->t, UADDR(m->addr), m->old_len, m->new_len, UADDR(m->to),
			  m->flags & MREMAP_DONTUNMAP);

	if (r != -EFAULT || m->old_len == 0)
		return r;
	if (m->new_len > m->old_len && v->file)
		return r; /* the tail of a file mapping cannot be made apart from it */
	r = move_pieces(m, m->addr, m->old_len, m->to);
	if (r == 0 && m->new_len > m->old_len)
		r = pf_mmap(m->t, UADDR(m->to + m->old_len), m->new_len - m->old_len, v->prot,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return r;
}

/* --- moving and growing --------------------------------------------------------------- */

/* DONTUNMAP: what stays behind is empty and no longer locked. */
static void leave_behind(struct remap *m)
{
	struct vma_node *n = vma_isolate(m->mm->vmas, m->addr, m->addr + m->old_len);

	mm_count_out(m->mm, &n->v);
	n->v.advice &= ~(unsigned int)(VMA_LOCKED | VMA_LOCK_ONFAULT);
	mm_count_in(m->mm, &n->v);
	vma_merge(m->mm->vmas, n);
}

static int64_t move(struct remap *m, struct vma_node *n)
{
	struct vma v = n->v;
	int r;

	if (m->mm->vmas->count + 3 >= MM_MAX_MAP_COUNT)
		return -ENOMEM;
	v.offset += m->addr - v.start;
	v.start = m->to;
	v.end = m->to + m->new_len;
	r = move_on_host(m, &v);
	if (r < 0)
		return r;
	if (v.file)
		file_get(v.file);
	if (m->flags & MREMAP_DONTUNMAP)
		leave_behind(m);
	else if (m->old_len)
		mm_forget(m->mm, m->addr, m->addr + m->old_len);
	mm_remember(m->mm, &v);
	return (int64_t)m->to;
}

static int grow_in_place(struct remap *m, struct vma_node *n)
{
	uint64_t end = m->addr + m->old_len, grow = m->new_len - m->old_len;
	int r;

	if (n->v.end != end || end + grow < end || end + grow > pf_max_addr() ||
	    vma_find_hole(m->mm->vmas, grow, end, end + grow, GUEST_PAGE) != end)
		return -ENOMEM;
	if (n->v.file)
		r = pf_mremap(m->t, UADDR(m->addr), m->old_len, m->new_len, UADDR(m->addr), false);
	else
		r = pf_mmap(m->t, UADDR(end), grow, n->v.prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | (n->v.flags & MAP_NORESERVE), -1, 0);
	if (r < 0)
		return r;
	mm_count_out(m->mm, &n->v);
	vma_resize(m->mm->vmas, n, n->v.start, end + grow);
	mm_count_in(m->mm, &n->v);
	vma_merge(m->mm->vmas, n);
	return 0;
}

static int64_t grow(struct remap *m, struct vma_node *n)
{
	int64_t at;

	if (m->old_len && grow_in_place(m, n) == 0)
		return (int64_t)m->addr;
	if (!(m->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	at = mm_choose_address(m->mm, 0, m->new_len, 0, GUEST_PAGE);
	if (at < 0)
		return at;
	m->to = (uint64_t)at;
	return move(m, n);
}

static int64_t move_to(struct remap *m, uint64_t hint)
{
	int64_t at;
	int r;

	if (m->flags & MREMAP_FIXED) {
		r = check_target(m);
		if (r < 0)
			return r;
	}
	if (m->old_len > m->new_len) {
		r = mm_unmap_locked(m->mm, m->t, m->addr + m->new_len, m->addr + m->old_len);
		if (r < 0)
			return r;
		m->old_len = m->new_len;
	}
	r = check_source(m, vma_find(m->mm->vmas, m->addr));
	if (r < 0)
		return r;
	if (m->flags & MREMAP_FIXED) {
		r = mm_unmap_locked(m->mm, m->t, m->to, m->to + m->new_len);
		if (r < 0)
			return r;
	} else {
		at = mm_choose_address(m->mm, hint, m->new_len, 0, GUEST_PAGE);
		if (at < 0)
			return at;
		m->to = (uint64_t)at;
	}
	return move(m, vma_find(m->mm->vmas, m->addr));
}

static int64_t remap_locked(struct remap *m)
{
	struct vma_node *n = vma_find(m->mm->vmas, m->addr);
	int r;

	if (!n || n->v.start > m->addr)
		return -EFAULT;
	if (m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return move_to(m, m->to);
	if (m->old_len >= m->new_len) {
		if (m->old_len == m->new_len)
			return (int64_t)m->addr;
		r = mm_unmap_locked(m->mm, m->t, m->addr + m->new_len, m->addr + m->old_len);
		return r < 0 ? r : (int64_t)m->addr;
	}
	r = check_source(m, n);
	return r < 0 ? r : grow(m, n);
}

int64_t mm_mremap(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
		  uint64_t old_len, uint64_t new_len, int flags, uaddr new_addr)
{
	struct remap m = {.mm = mm,
			  .t = t,
			  .lim = lim,
			  .addr = addr.va,
			  .old_len = ROUND_UP(old_len, GUEST_PAGE),
			  .new_len = ROUND_UP(new_len, GUEST_PAGE),
			  .to = new_addr.va,
			  .flags = flags};
	int r = check_flags(&m);

	if (r < 0)
		return r;
	if (m.old_len < old_len || m.new_len < new_len || m.addr + m.old_len < m.addr)
		return -EINVAL;
	SCOPED_LOCK(&mm->lock);
	mm_settle(mm, t);
	return remap_locked(&m);
}
