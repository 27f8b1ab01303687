/*
 * mmap(2), munmap(2), brk(2), and the growth of the stack.
 *
 * One stub command per call. mmap is checked in full before the host is asked;
 * if the host then refuses a MAP_FIXED mapping, what lay there is gone on the
 * host as it would be on Linux, and the tree follows.
 *
 * The stack is mapped at its full soft limit (8 MiB at most) by execve, because
 * copies from the sentry must find it there; it grows further, when the limit
 * was raised, by mm_grow_stack on a fault.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/mm/internal.h"

#define HUGE_PAGE (2ULL << 20)

/* What MAP_SHARED and MAP_PRIVATE accept and MAP_SHARED_VALIDATE insists on. */
#define LEGACY_FLAGS                                                                               \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |   \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |    \
	 MAP_HUGETLB | MAP_32BIT | (int)(0x3fU << 26) | 0x4000000 | 0x80 /* MAP_ABOVE4G */)

struct mapping {
	struct vma v; /* borrows v.file unless made here */
	uint64_t len;
	int map_flags;
	int fd; /* host fd or -1 */
	uint64_t host_offset;
	struct file *identity; /* owned until the tree takes it */
};

/* --- checks of mmap's arguments ------------------------------------------------------- */

static int check_shared(const struct file *f, int prot)
{
	if ((prot & PROT_WRITE) && !file_writable(f))
		return -EACCES;
	return file_readable(f) ? 0 : -EACCES;
}

static int check_file(const struct file *f, int prot, int flags)
{
	int type = flags & MAP_TYPE;
	int r = 0;

	if (type == MAP_SHARED_VALIDATE && (flags & ~(LEGACY_FLAGS | MAP_SHARED_VALIDATE)))
		return -EOPNOTSUPP;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		r = check_shared(f, prot);
	else if (type != MAP_PRIVATE)
		return -EINVAL;
	else if (!file_readable(f))
		return -EACCES;
	if (r < 0)
		return r;
	if ((prot & PROT_EXEC) && f->path.mnt && (f->path.mnt->flags & MS_NOEXEC))
		return -EPERM;
	if (!f->ops->mmap)
		return -ENODEV;
	return flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

static int file_max_prot(const struct file *f, bool shared)
{
	int max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;

	if (shared && !file_writable(f))
		max_prot &= ~PROT_WRITE;
	if (f->path.mnt && (f->path.mnt->flags & MS_NOEXEC))
		max_prot &= ~PROT_EXEC;
	return max_prot;
}

static int prepare_file(struct mapping *m, struct file *f, uint64_t offset)
{
	struct file_mapping fm = {.fd = -1, .max_prot = PROT_READ | PROT_WRITE | PROT_EXEC};
	bool shared = (m->map_flags & MAP_TYPE) != MAP_PRIVATE;
	int r = check_file(f, m->v.prot, m->map_flags);

	if (r < 0)
		return r;
	if (offset + m->len < offset)
		return -EOVERFLOW;
	r = f->ops->mmap(f, offset, m->len, m->v.prot, m->map_flags, &fm);
	if (r < 0)
		return r;
	m->v.flags = shared ? MAP_SHARED : MAP_PRIVATE;
	m->v.max_prot = file_max_prot(f, shared) & (shared ? fm.max_prot : ~0);
	if (m->v.prot & ~m->v.max_prot)
		return -EACCES;
	m->v.file = f;
	m->v.offset = offset;
	if (shared && fm.anonymous_shared) {
		m->v.file = m->identity = mm_shared_identity();
		m->v.offset = 0;
	}
	m->fd = fm.fd;
	m->host_offset = fm.offset;
	return 0;
}

static int prepare_anonymous(struct mapping *m)
{
	m->v.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	switch (m->map_flags & MAP_TYPE) {
	case MAP_SHARED:
		m->v.flags = MAP_SHARED;
		m->v.file = m->identity = mm_shared_identity();
		return 0;
	case MAP_PRIVATE:
		m->v.flags = MAP_PRIVATE;
		return 0;
	default:
		return -EINVAL;
	}
}

static int prepare(struct mapping *m, uint64_t len, int prot, int flags, struct file *file,
		   uint64_t offset)
{
	uint64_t rounded = ROUND_UP(len, GUEST_PAGE);

	if (len == 0)
		return -EINVAL;
	if (rounded < len || rounded > pf_max_addr())
		return -ENOMEM;
	*m = (struct mapping){.len = rounded, .map_flags = flags, .fd = -1};
	m->v.prot = prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	if (file)
		return prepare_file(m, file, offset);
	return prepare_anonymous(m);
}

/* --- choice of the address -------------------------------------------------------------- */

static uint64_t hole_below(struct mm *mm, uint64_t len, uint64_t top, uint64_t align)
{
	uint64_t at = vma_find_hole(mm->vmas, len, pf_min_addr(), top, align);

	return at ? at : vma_find_hole(mm->vmas, len, pf_min_addr(), top, GUEST_PAGE);
}

static bool hint_is_free(struct mm *mm, uint64_t hint, uint64_t len)
{
	return hint >= pf_min_addr() && hint <= pf_max_addr() - len &&
	       vma_find_hole(mm->vmas, len, hint, hint + len, GUEST_PAGE) == hint;
}

int64_t mm_choose_address(struct mm *mm, uint64_t hint, uint64_t len, int flags, uint64_t align)
{
	uint64_t at = ROUND_DOWN(hint, GUEST_PAGE);

	if (len > pf_max_addr() - pf_min_addr())
		return -ENOMEM;
	if (at && hint_is_free(mm, at, len))
		return (int64_t)at;
	if (flags & MAP_32BIT)
		at = vma_find_hole(mm->vmas, len, 0x40000000, 0x80000000, GUEST_PAGE);
	else
		at = hole_below(mm, len, mm->mmap_base, align);
	if (!at && !(flags & MAP_32BIT))
		at = hole_below(mm, len, pf_max_addr(), GUEST_PAGE);
	return at ? (int64_t)at : -ENOMEM;
}

int64_t mm_free_range(struct mm *mm, uint64_t len, uint64_t align)
{
	SCOPED_LOCK(&mm->lock);

	return mm_choose_address(mm, 0, len, 0, align);
}

static int64_t fixed_address(struct mm *mm, uint64_t addr, uint64_t len, int flags)
{
	if (len > pf_max_addr() || addr > pf_max_addr() - len)
		return -ENOMEM;
	if (!page_aligned(addr))
		return -EINVAL;
	if (addr < pf_min_addr())
		return -EPERM;
	if ((flags & MAP_FIXED_NOREPLACE) && vma_find_overlap(mm->vmas, addr, addr + len))
		return -EEXIST;
	return (int64_t)addr;
}

static int64_t place(struct mm *mm, const struct mapping *m, uint64_t addr)
{
	/* Linux places such mappings so that huge pages fit. */
	uint64_t align = !m->v.file && m->len % HUGE_PAGE == 0 ? HUGE_PAGE : GUEST_PAGE;

	if (m->map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return fixed_address(mm, addr, m->len, m->map_flags);
	return mm_choose_address(mm, addr, m->len, m->map_flags, align);
}

/* --- mmap --------------------------------------------------------------------------------- */

static int check_limits(struct mm *mm, const struct mm_limits *lim, struct mapping *m)
{
	uint64_t replaced = mm_mapped_bytes(mm, m->v.start, m->v.end);
	int r;

	if (mm->vmas->count + vma_isolate_cost(mm->vmas, m->v.start, m->v.end) >= MM_MAX_MAP_COUNT)
		return -ENOMEM;
	m->v.advice = (unsigned int)mm->def_flags;
	if (m->map_flags & MAP_LOCKED) {
		if (!lim->can_lock && lim->memlock == 0)
			return -EPERM;
		m->v.advice |= VMA_LOCKED;
	}
	if (m->v.advice & VMA_LOCKED) {
		r = mm_may_lock(mm, lim, m->len);
		if (r < 0)
			return r;
	}
	return mm_may_expand(mm, lim, &m->v, m->len, replaced);
}

static int map_on_host(struct mm *mm, struct pf_thread *t, const struct mapping *m)
{
	int flags = m->v.flags;

	if (m->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (m->map_flags & MAP_NORESERVE)
		flags |= MAP_NORESERVE;
	if ((m->map_flags & MAP_POPULATE) && !(m->map_flags & MAP_NONBLOCK))
		flags |= MAP_POPULATE;
	if ((m->v.advice & VMA_LOCKED) && !(m->v.advice & VMA_LOCK_ONFAULT))
		flags |= MAP_POPULATE;
	return mm_host_map(mm, t,
			   &(struct pf_map){.addr = m->v.start,
					    .len = m->len,
					    .prot = m->v.prot,
					    .flags = flags,
					    .fd = m->fd,
					    .offset = m->host_offset});
}

/* Larger mappings may be refused by the host for want of memory: those are waited for. */
#define LATE_MAPPING_MAX (64ULL << 20)

static bool may_be_late(const struct mapping *m)
{
	return m->fd < 0 && !m->v.file && m->len <= LATE_MAPPING_MAX &&
	       !(m->map_flags & (MAP_POPULATE | MAP_LOCKED)) && !(m->v.advice & VMA_LOCKED);
}

static int64_t map_locked(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim,
			  struct mapping *m, uint64_t addr)
{
	int64_t at;
	int r;

	mm_settle(mm, t);
	at = place(mm, m, addr);
	if (at < 0)
		return at;
	m->v.start = (uint64_t)at;
	m->v.end = m->v.start + m->len;
	r = check_limits(mm, lim, m);
	if (r < 0)
		return r;
	if (may_be_late(m) && mm_be_late(mm, t)) {
		mm->late.start = m->v.start;
		mm->late.end = m->v.end;
	}
	r = map_on_host(mm, t, m);
	if (r < 0) {
		if (vma_find_overlap(mm->vmas, m->v.start, m->v.end))
			(void)!mm_unmap_locked(mm, t, m->v.start, m->v.end);
		return r;
	}
	if (m->map_flags & MAP_NORESERVE)
		m->v.flags |= MAP_NORESERVE;
	mm_forget(mm, m->v.start, m->v.end);
	if (m->v.file && !m->identity)
		file_get(m->v.file);
	m->identity = NULL;
	mm_remember(mm, &m->v);
	return at;
}

int64_t mm_mmap(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
		uint64_t len, int prot, int flags, struct file *file, uint64_t offset)
{
	struct mapping m = {.identity = NULL};
	int64_t r = prepare(&m, len, prot, flags, file, offset);

	if (r == 0) {
		mutex_lock(&mm->lock);
		r = map_locked(mm, t, lim, &m, addr.va);
		mutex_unlock(&mm->lock);
	}
	if (m.identity)
		file_put(m.identity);
	return r;
}

/* --- munmap ------------------------------------------------------------------------------- */

int mm_unmap_locked(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end)
{
	int r;

	if (!vma_find_overlap(mm->vmas, start, end))
		return 0;
	if (mm->vmas->count + vma_isolate_cost(mm->vmas, start, end) > MM_MAX_MAP_COUNT + 1)
		return -ENOMEM;
	r = pf_munmap(t, UADDR(start), end - start);
	if (r == 0)
		mm_forget(mm, start, end);
	return r;
}

int mm_munmap(struct mm *mm, struct pf_thread *t, uaddr addr, uint64_t len)
{
	uint64_t end;

	if (!page_aligned(addr.va) || !mm_range_end(addr.va, len, &end) || end == addr.va ||
	    !mm_in_guest(addr.va, end))
		return -EINVAL;
	SCOPED_LOCK(&mm->lock);
	mm_settle(mm, t);
	if (vma_find_overlap(mm->vmas, addr.va, end))
		mm_be_late(mm, t);
	return mm_unmap_locked(mm, t, addr.va, end);
}

/* --- brk ---------------------------------------------------------------------------------- */

static int brk_grow(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uint64_t from,
		    uint64_t to)
{
	struct vma v = {.start = from,
			.end = to,
			.prot = PROT_READ | PROT_WRITE,
			.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
			.flags = MAP_PRIVATE,
			.label = "[heap]",
			.advice = (unsigned int)mm->def_flags};
	int r;

	if (to > pf_max_addr() || mm->vmas->count >= MM_MAX_MAP_COUNT ||
	    vma_find_hole(mm->vmas, to - from, from, to, GUEST_PAGE) != from)
		return -ENOMEM;
	if ((v.advice & VMA_LOCKED) && mm_may_lock(mm, lim, to - from) < 0)
		return -EAGAIN;
	r = mm_may_expand(mm, lim, &v, to - from, 0);
	if (r == 0 && to - from <= LATE_MAPPING_MAX && mm_be_late(mm, t)) {
		mm->late.start = from;
		mm->late.end = to;
	}
	if (r == 0)
		r = pf_mmap(t, UADDR(from), to - from, v.prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r == 0)
		mm_remember(mm, &v);
	return r;
}

int64_t mm_brk(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uint64_t brk)
{
	SCOPED_LOCK(&mm->lock);
	uint64_t data = mm->end_data - mm->start_data, old_end, new_end;
	int r = 0;

	mm_settle(mm, t);
	if (brk < mm->brk_start || brk > pf_max_addr())
		return (int64_t)mm->brk;
	if (lim->data < data || lim->data - data < brk - mm->brk_start)
		return (int64_t)mm->brk;
	old_end = ROUND_UP(mm->brk, GUEST_PAGE);
	new_end = ROUND_UP(brk, GUEST_PAGE);
	if (new_end < old_end) {
		if (vma_find_overlap(mm->vmas, new_end, old_end))
			mm_be_late(mm, t);
		r = mm_unmap_locked(mm, t, new_end, old_end);
	}
	if (new_end > old_end)
		r = brk_grow(mm, t, lim, old_end, new_end);
	if (r == 0)
		mm->brk = brk;
	return (int64_t)mm->brk;
}

/* --- stack -------------------------------------------------------------------------------- */

int mm_map_stack(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end, int prot)
{
	struct vma v = {.start = start,
			.end = end,
			.prot = prot,
			.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
			.flags = MAP_PRIVATE | MAP_GROWSDOWN,
			.label = "[stack]"};
	struct pf_map map = {.addr = start,
			     .len = end - start,
			     .prot = prot,
			     .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     .fd = -1};
	int r;

	SCOPED_LOCK(&mm->lock);
	r = mm_host_map(mm, t, &map);
	if (r == 0)
		mm_remember(mm, &v);
	return r;
}

/* Faults are dear and pages untouched are free: grow by more than was asked. */
#define STACK_GROWTH (1ULL << 20)

static uint64_t stack_growth_start(struct mm *mm, struct vma_node *stack,
				   const struct mm_limits *lim, uint64_t addr)
{
	struct vma_node *below = vma_prev(stack);
	uint64_t lowest = below ? below->v.end + STACK_GUARD_GAP : pf_min_addr();
	uint64_t size_limit = ROUND_DOWN(lim->stack, GUEST_PAGE);

	if (size_limit < stack->v.end && lowest < stack->v.end - size_limit)
		lowest = stack->v.end - size_limit;
	addr = ROUND_DOWN(addr, GUEST_PAGE);
	if (addr < lowest)
		return 0;
	return max(lowest, addr > STACK_GROWTH ? addr - STACK_GROWTH : 0);
}

bool mm_grow_stack(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uint64_t addr)
{
	SCOPED_LOCK(&mm->lock);
	struct vma_node *n = vma_find(mm->vmas, addr);
	uint64_t start, grow;

	if (!n || n->v.start <= addr || !(n->v.flags & MAP_GROWSDOWN))
		return false;
	start = stack_growth_start(mm, n, lim, addr);
	if (start == 0 || start >= n->v.start)
		return false;
	grow = n->v.start - start;
	if (mm_may_expand(mm, lim, &n->v, grow, 0) < 0)
		return false;
	if (pf_mmap(t, UADDR(start), grow, n->v.prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0) < 0)
		return false;
	mm_count_out(mm, &n->v);
	vma_resize(mm->vmas, n, start, n->v.end);
	mm_count_in(mm, &n->v);
	return true;
}

void mm_pick_layout(struct mm *mm, uint64_t stack_limit, uint64_t random)
{
	/* As arch/x86/mm/mmap.c: room for the stack, its own randomisation and the guard gap. */
	const uint64_t min_gap = 128ULL << 20, stack_random = 16ULL << 30;
	uint64_t gap = min(stack_limit, pf_max_addr());

	gap = gap + STACK_GUARD_GAP + stack_random;
	gap = max(gap, min_gap + stack_random);
	gap = min(gap, pf_max_addr() / 6 * 5);
	random = (random & (BIT(28) - 1)) * GUEST_PAGE;
	mm->mmap_base = ROUND_DOWN(pf_max_addr() - gap - random, GUEST_PAGE);
}
