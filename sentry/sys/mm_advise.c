/* madvise, msync, mincore and the mlock family. */
#include <errno.h>
#include <sys/mman.h>

#include "sentry/kernel/task.h"
#include "sentry/kernel/usermem.h"
#include "sentry/mm/mm.h"
#include "sentry/sys/decl.h"

#define MADV_HWPOISON 100
#define MADV_SOFT_OFFLINE 101

long sys_madvise(struct task *t, const struct sysargs *a)
{
	int advice = (int)a->v[2];

	if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE)
		return task_capable(t, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
	return mm_madvise(t->mm, t->pt, UADDR(a->v[0]), a->v[1], advice);
}

long sys_msync(struct task *t, const struct sysargs *a)
{
	return mm_msync(t->mm, UADDR(a->v[0]), a->v[1], (int)a->v[2]);
}

long sys_mincore(struct task *t, const struct sysargs *a)
{
	unsigned char vec[1024];
	uint64_t left, addr = a->v[0], out = a->v[2];

	if (addr % GUEST_PAGE)
		return -EINVAL;
	left = a->v[1] / GUEST_PAGE + (a->v[1] % GUEST_PAGE != 0);
	if (addr + left * GUEST_PAGE < addr || addr + left * GUEST_PAGE > pf_max_addr())
		return -ENOMEM;
	while (left) {
		uint64_t n = min(left, (uint64_t)sizeof(vec));
		int r = mm_mincore(t->mm, t->pt, UADDR(addr), n * GUEST_PAGE, vec);

		if (r == 0)
			r = copyout(t, UADDR(out), vec, n);
		if (r < 0)
			return r;
		addr += n * GUEST_PAGE;
		out += n;
		left -= n;
	}
	return 0;
}

static long lock_range(struct task *t, const struct sysargs *a, bool lock, bool on_fault)
{
	struct mm_limits lim;

	task_mm_limits(t, &lim);
	return mm_mlock(t->mm, t->pt, &lim, UADDR(a->v[0]), a->v[1], lock, on_fault);
}

long sys_mlock(struct task *t, const struct sysargs *a)
{
	return lock_range(t, a, true, false);
}

long sys_mlock2(struct task *t, const struct sysargs *a)
{
	if (a->v[2] & ~(uint64_t)MLOCK_ONFAULT)
		return -EINVAL;
	return lock_range(t, a, true, a->v[2] & MLOCK_ONFAULT);
}

long sys_munlock(struct task *t, const struct sysargs *a)
{
	return lock_range(t, a, false, false);
}

long sys_mlockall(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[0];
	struct mm_limits lim;

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	task_mm_limits(t, &lim);
	return mm_mlockall(t->mm, t->pt, &lim, flags);
}

long sys_munlockall(struct task *t, const struct sysargs *a)
{
	struct mm_limits lim;

	task_mm_limits(t, &lim);
	return mm_mlockall(t->mm, t->pt, &lim, 0);
}
