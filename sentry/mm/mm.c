/*
 * Life of an mm, its totals, and looking things up.
 *
 * Locking: mm->lock guards the tree and every number in struct mm. It is held
 * over the stub's commands that change the layout, so that tree and host agree
 * whenever it is free; the stub takes page faults without it.
 */
#include "sentry/mm/mm.h"

#include <errno.h>
#include <sys/mman.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/mm/internal.h"

bool mm_is_data(const struct vma *v)
{
	return (v->prot & PROT_WRITE) && (v->flags & (MAP_SHARED | MAP_GROWSDOWN)) == 0;
}

static void count(struct mm *mm, const struct vma *v, int sign)
{
	uint64_t n = (uint64_t)sign * pages(v->end - v->start);

	mm->total_pages += n;
	if (v->advice & VMA_LOCKED)
		mm->locked_pages += n;
	if (v->flags & MAP_GROWSDOWN)
		mm->stack_pages += n;
	else if (mm_is_data(v))
		mm->data_pages += n;
	else if ((v->prot & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC)
		mm->exec_pages += n;
}

void mm_count_in(struct mm *mm, const struct vma *v)
{
	count(mm, v, 1);
	mm->peak_pages = max(mm->peak_pages, mm->total_pages);
}

void mm_count_out(struct mm *mm, const struct vma *v)
{
	count(mm, v, -1);
}

bool mm_range_end(uint64_t addr, uint64_t len, uint64_t *end)
{
	uint64_t rounded = ROUND_UP(len, GUEST_PAGE);

	if (rounded < len || addr + rounded < addr)
		return false;
	*end = addr + rounded;
	return true;
}

bool mm_in_guest(uint64_t start, uint64_t end)
{
	return start <= end && end <= pf_max_addr();
}

uint64_t mm_mapped_bytes(struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t sum = 0;

	for (struct vma_node *n = vma_find(mm->vmas, start); n && n->v.start < end; n = vma_next(n))
		sum += min(end, n->v.end) - max(start, n->v.start);
	return sum;
}

int mm_may_expand(struct mm *mm, const struct mm_limits *lim, const struct vma *v, uint64_t grow,
		  uint64_t replaced)
{
	uint64_t total = (mm->total_pages - pages(replaced)) * GUEST_PAGE;

	if (lim->as < total || lim->as - total < grow)
		return -ENOMEM;
	if (mm_is_data(v)) {
		uint64_t data = mm->data_pages * GUEST_PAGE;

		if (lim->data < data || lim->data - data < grow)
			return -ENOMEM;
	}
	return 0;
}

int mm_may_lock(struct mm *mm, const struct mm_limits *lim, uint64_t grow)
{
	uint64_t locked = mm->locked_pages * GUEST_PAGE;

	if (lim->can_lock || (lim->memlock >= locked && lim->memlock - locked >= grow))
		return 0;
	return -EAGAIN;
}

void mm_forget(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma_node *n = vma_isolate(mm->vmas, start, end), *next;

	for (; n && n->v.start < end; n = next) {
		next = vma_next(n);
		mm_count_out(mm, &n->v);
		vma_erase(mm->vmas, n);
	}
}

void mm_remember(struct mm *mm, const struct vma *v)
{
	struct vma_node *n = vma_insert(mm->vmas, v);

	mm_count_in(mm, v);
	vma_merge(mm->vmas, n);
}

/* The vDSO and its data lie above what the guest may change, the same in every space. */
static void add_vdso(struct mm *mm)
{
	struct pf_vdso d = pf_vdso();
	struct vma vvar = {.start = d.vvar_start,
			   .end = d.vvar_start + d.vvar_size,
			   .prot = PROT_READ,
			   .max_prot = PROT_READ,
			   .flags = MAP_PRIVATE,
			   .label = "[vvar]"};
	struct vma vdso = {.start = d.start,
			   .end = d.start + d.size,
			   .prot = PROT_READ | PROT_EXEC,
			   .max_prot = PROT_READ | PROT_EXEC,
			   .flags = MAP_PRIVATE,
			   .label = "[vdso]"};

	if (d.vvar_size)
		mm_remember(mm, &vvar);
	if (d.size)
		mm_remember(mm, &vdso);
}

static struct mm *mm_alloc(struct pf_space *space)
{
	struct mm *mm = NEW(struct mm);

	ref_init(&mm->ref);
	mm->space = space;
	mutex_init(&mm->lock, RANK_MM);
	mm->vmas = vma_tree_new();
	mm->dumpable = 1;
	return mm;
}

struct mm *mm_new(struct pf_space *space)
{
	struct mm *mm = mm_alloc(space);

	add_vdso(mm);
	mm->mmap_base = pf_max_addr();
	return mm;
}

static void copy_layout(struct mm *to, const struct mm *from)
{
	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->mmap_base = from->mmap_base;
	to->start_code = from->start_code;
	to->end_code = from->end_code;
	to->start_data = from->start_data;
	to->end_data = from->end_data;
	to->start_stack = from->start_stack;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	memcpy(to->auxv, from->auxv, sizeof(to->auxv));
	to->dumpable = from->dumpable;
}

struct mm *mm_fork_locked(struct mm *parent, struct pf_space *space)
{
	struct mm *mm = mm_alloc(space);

	mutex_assert_held(&parent->lock);
	copy_layout(mm, parent);
	for (struct vma_node *n = vma_first(parent->vmas); n; n = vma_next(n)) {
		struct vma v = n->v;

		if (v.advice & VMA_DONTFORK)
			continue;
		v.advice &= ~(unsigned int)(VMA_LOCKED | VMA_LOCK_ONFAULT);
		if (v.file)
			file_get(v.file);
		vma_insert(mm->vmas, &v);
		mm_count_in(mm, &v);
	}
	/* The parent's hold on its text keeps writers away, so this cannot fail. */
	if (parent->exe && inode_deny_write(parent->exe->inode) == 0)
		mm->exe = file_get(parent->exe);
	return mm;
}

struct mm *mm_get(struct mm *mm)
{
	ref_get(&mm->ref);
	return mm;
}

void mm_put(struct mm *mm)
{
	if (!ref_put(&mm->ref))
		return;
	if (mm->aio)
		mm->aio->release(mm->aio);
	pf_space_put(mm->space);
	vma_tree_free(mm->vmas);
	free(mm->batch);
	(void)!mm_set_exe(mm, NULL);
	mutex_destroy(&mm->lock);
	free(mm);
}

int mm_set_exe(struct mm *mm, struct file *exe)
{
	struct file *old;

	if (exe) {
		int r = inode_deny_write(exe->inode);

		if (r < 0)
			return r;
		file_get(exe);
	}
	mutex_lock(&mm->lock);
	old = mm->exe;
	mm->exe = exe;
	mutex_unlock(&mm->lock);
	if (old) {
		inode_allow_write(old->inode);
		file_put(old);
	}
	return 0;
}

struct file *mm_get_exe(struct mm *mm)
{
	SCOPED_LOCK(&mm->lock);

	return mm->exe ? file_get(mm->exe) : NULL;
}

int mm_find_vma(struct mm *mm, uint64_t addr, struct vma *out)
{
	SCOPED_LOCK(&mm->lock);
	struct vma_node *n = vma_find(mm->vmas, addr);

	if (!n)
		return -ENOMEM;
	*out = n->v;
	if (out->file)
		file_get(out->file);
	return 0;
}

void mm_for_each(struct mm *mm, bool (*fn)(const struct vma *v, void *arg), void *arg)
{
	SCOPED_LOCK(&mm->lock);

	for (struct vma_node *n = vma_first(mm->vmas); n; n = vma_next(n))
		if (!fn(&n->v, arg))
			return;
}

int mm_shared_key(struct mm *mm, uaddr addr, struct mm_key *out)
{
	SCOPED_LOCK(&mm->lock);
	struct vma_node *n = vma_find(mm->vmas, addr.va);

	if (!n || n->v.start > addr.va)
		return -EFAULT;
	if (!(n->v.flags & MAP_SHARED)) {
		*out = (struct mm_key){.object = mm, .offset = addr.va};
		return 0;
	}
	out->inode = inode_get(n->v.file->inode);
	out->object = out->inode;
	out->offset = n->v.offset + (addr.va - n->v.start);
	return 0;
}
