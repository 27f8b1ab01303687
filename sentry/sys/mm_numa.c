/*
 * Memory policies, as on a machine with one node (0): arguments are checked as
 * Linux does, and since every policy then means the same, none has an effect.
 * The task's own policy is remembered only for get_mempolicy and its children.
 */
#include <errno.h>
#include <linux/mempolicy.h>

#include "sentry/kernel/usermem.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/mm/mm.h"
#include "sentry/sys/decl.h"

#define MPOL_WEIGHTED 6

/* Nodes beyond the first word must not be asked for. */
static int copyin_nodes(struct task *t, uaddr mask, uint64_t maxnode, uint64_t *nodes)
{
	uint64_t bits = maxnode ? maxnode - 1 : 0, word;

	*nodes = 0;
	if (uaddr_null(mask) || bits == 0)
		return 0;
	if (bits > GUEST_PAGE * 8)
		return -EINVAL;
	for (uint64_t i = 0; i < (bits + 63) / 64; i++) {
		if (copyin(t, &word, uaddr_add(mask, i * 8), 8) < 0)
			return -EFAULT;
		if (bits - i * 64 < 64)
			word &= BIT(bits - i * 64) - 1;
		if (i == 0)
			*nodes = word;
		else if (word)
			return -EINVAL;
	}
	return *nodes & ~1ULL ? -EINVAL : 0;
}

static int check_mode(int mode, uint64_t nodes)
{
	int base = mode & ~MPOL_MODE_FLAGS;

	if (base < 0 || base > MPOL_WEIGHTED ||
	    ((mode & MPOL_F_STATIC_NODES) && (mode & MPOL_F_RELATIVE_NODES)))
		return -EINVAL;
	if (base == MPOL_DEFAULT || base == MPOL_LOCAL)
		return nodes || (base == MPOL_DEFAULT && mode != base) ? -EINVAL : 0;
	return nodes || base == MPOL_PREFERRED ? 0 : -EINVAL;
}

long sys_set_mempolicy(struct task *t, const struct sysargs *a)
{
	int mode = (int)a->v[0], r;
	uint64_t nodes;

	r = copyin_nodes(t, UADDR(a->v[1]), a->v[2], &nodes);
	if (r == 0)
		r = check_mode(mode, nodes);
	if (r == 0) {
		t->mempolicy = mode;
		t->mempolicy_nodes = nodes;
	}
	return r;
}

long sys_get_mempolicy(struct task *t, const struct sysargs *a)
{
	uaddr mode_out = UADDR(a->v[0]), mask_out = UADDR(a->v[1]);
	unsigned long flags = a->v[4];
	uint64_t nodes = t->mempolicy_nodes, bytes = (a->v[2] + 63) / 64 * 8;
	int mode = t->mempolicy;

	if (flags & ~(unsigned long)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (!uaddr_null(mask_out) && a->v[2] < 1)
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return -EINVAL;
		mode = 0;
		nodes = 1;
	} else if (flags & MPOL_F_ADDR) {
		struct mm_key key;

		if (mm_shared_key(t->mm, UADDR(a->v[3]), &key) < 0)
			return -EFAULT;
		if (key.inode)
			inode_put(key.inode);
		mode = MPOL_DEFAULT;
		nodes = 0;
	} else if (a->v[3] || (flags & MPOL_F_NODE)) {
		return -EINVAL;
	}
	if (flags & MPOL_F_NODE)
		mode = 0; /* the node of the page */
	if (!uaddr_null(mode_out) && copyout(t, mode_out, &mode, sizeof(mode)) < 0)
		return -EFAULT;
	if (uaddr_null(mask_out))
		return 0;
	for (uint64_t i = 0; i < min(bytes, GUEST_PAGE); i += 8) {
		uint64_t word = i == 0 ? nodes : 0;

		if (copyout(t, uaddr_add(mask_out, i), &word, 8) < 0)
			return -EFAULT;
	}
	return 0;
}

static int check_range(struct task *t, uint64_t start, uint64_t len)
{
	struct vma v;
	int r;

	if (start % GUEST_PAGE || start + len < start)
		return -EINVAL;
	if (len == 0)
		return 0;
	r = mm_find_vma(t->mm, start, &v);
	if (r < 0)
		return -EFAULT;
	if (v.file)
		file_put(v.file);
	return v.start > start ? -EFAULT : 0;
}

long sys_mbind(struct task *t, const struct sysargs *a)
{
	const unsigned int known = MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;
	uint64_t nodes;
	int r;

	if ((unsigned int)a->v[5] & ~known)
		return -EINVAL;
	if (((unsigned int)a->v[5] & MPOL_MF_MOVE_ALL) && !task_capable(t, CAP_SYS_NICE))
		return -EPERM;
	r = copyin_nodes(t, UADDR(a->v[3]), a->v[4], &nodes);
	if (r == 0)
		r = check_mode((int)a->v[2], nodes);
	return r < 0 ? r : check_range(t, a->v[0], a->v[1]);
}

long sys_set_mempolicy_home_node(struct task *t, const struct sysargs *a)
{
	if (a->v[0] % GUEST_PAGE || a->v[3])
		return -EINVAL;
	if (a->v[2] != 0) /* the only node */
		return -EINVAL;
	return check_range(t, a->v[0], a->v[1]);
}

long sys_migrate_pages(struct task *t, const struct sysargs *a)
{
	struct task *target = a->v[0] ? task_find(task_pids(t), (int)a->v[0]) : task_get(t);

	if (!target)
		return -ESRCH;
	task_put(target);
	return 0;
}
