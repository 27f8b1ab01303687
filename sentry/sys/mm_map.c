/* The system calls that lay out memory: argument checks over sentry/mm. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/personality.h>

#include "sentry/fs/file.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/sys/decl.h"

/* PROT_READ means PROT_EXEC too for a task with this personality(2). */
static int implied_prot(const struct task *t, int prot)
{
	return (t->personality & READ_IMPLIES_EXEC) && (prot & PROT_READ) ? prot | PROT_EXEC : prot;
}

static long map_file(struct task *t, const struct sysargs *a, const struct mm_limits *lim, int prot)
{
	struct file *f = fd_get_io(t->files, (int)a->v[4]);
	long r;

	if (!f)
		return -EBADF;
	r = a->v[3] & MAP_HUGETLB ? -EINVAL
				  : mm_mmap(t->mm, t->pt, lim, UADDR(a->v[0]), a->v[1], prot,
					    (int)a->v[3], f, a->v[5]);
	file_put(f);
	return r;
}

long sys_mmap(struct task *t, const struct sysargs *a)
{
	int prot = implied_prot(t, (int)a->v[2]), flags = (int)a->v[3];
	struct mm_limits lim;

	if (a->v[5] % GUEST_PAGE)
		return -EINVAL;
	task_mm_limits(t, &lim);
	if (!(flags & MAP_ANONYMOUS))
		return map_file(t, a, &lim, prot);
	if (a->v[1] && (flags & MAP_HUGETLB))
		return -ENOMEM; /* as a host that has set no huge pages aside */
	return mm_mmap(t->mm, t->pt, &lim, UADDR(a->v[0]), a->v[1], prot, flags, NULL, a->v[5]);
}

long sys_munmap(struct task *t, const struct sysargs *a)
{
	return mm_munmap(t->mm, t->pt, UADDR(a->v[0]), a->v[1]);
}

long sys_mprotect(struct task *t, const struct sysargs *a)
{
	struct mm_limits lim;

	task_mm_limits(t, &lim);
	return mm_mprotect(t->mm, t->pt, &lim, UADDR(a->v[0]), a->v[1],
			   implied_prot(t, (int)a->v[2]));
}

/* Protection keys as on a CPU without them: only the default key exists. */
long sys_pkey_mprotect(struct task *t, const struct sysargs *a)
{
	return (int)a->v[3] == -1 ? sys_mprotect(t, a) : -EINVAL;
}

long sys_mremap(struct task *t, const struct sysargs *a)
{
	struct mm_limits lim;

	task_mm_limits(t, &lim);
	return mm_mremap(t->mm, t->pt, &lim, UADDR(a->v[0]), a->v[1], a->v[2], (int)a->v[3],
			 UADDR(a->v[4]));
}

long sys_brk(struct task *t, const struct sysargs *a)
{
	struct mm_limits lim;

	task_mm_limits(t, &lim);
	return mm_brk(t->mm, t->pt, &lim, a->v[0]);
}

/* Linux itself emulates this call by mmap since 4.0. */
long sys_remap_file_pages(struct task *t, const struct sysargs *a)
{
	uint64_t start = a->v[0] & ~(GUEST_PAGE - 1), size = a->v[1] & ~(GUEST_PAGE - 1);
	int flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE | ((int)a->v[4] & MAP_NONBLOCK);
	uint64_t pgoff = a->v[3];
	struct mm_limits lim;
	struct vma v;
	long r;

	if (a->v[2] || start + size <= start || pgoff + size / GUEST_PAGE < pgoff ||
	    pgoff > UINT64_MAX / GUEST_PAGE)
		return -EINVAL;
	if (mm_find_vma(t->mm, start, &v) < 0)
		return -EINVAL;
	task_mm_limits(t, &lim);
	r = -EINVAL;
	if (v.start <= start && v.end >= start + size && v.file && (v.flags & MAP_SHARED))
		r = mm_mmap(t->mm, t->pt, &lim, UADDR(start), size, v.prot, flags, v.file,
			    pgoff * GUEST_PAGE);
	if (v.file)
		file_put(v.file);
	return r < 0 ? r : 0;
}
