/*
 * process_vm_readv(2) and process_vm_writev(2): through the sentry's own access
 * to both spaces, in chunks, so a copy may be cut short at a page boundary where
 * Linux would do it at an iovec's.
 */
#include <errno.h>

#include "common/mem.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

#define CHUNK (64UL << 10)

static int get_mm(struct task *t, int pid, struct mm **out)
{
	struct task *target = task_find(task_pids(t), pid);
	int r;

	if (!target)
		return -ESRCH;
	r = ptrace_may_access(t, target, ACCESS_ATTACH | ACCESS_REALCREDS);
	*out = r == 0 ? task_get_mm(target) : NULL;
	task_put(target);
	return r < 0 ? r : *out ? 0 : -ESRCH;
}

struct transfer {
	struct task *t;
	struct mm *mm;
	const struct guest_iov *local;
	size_t done;
	bool write;
	char *buf;
};

static ssize_t copy_chunk(struct transfer *x, uaddr remote, size_t n)
{
	ssize_t r, w;

	if (x->write) {
		r = iov_copyin(x->t, x->local, x->done, x->buf, n);
		return r <= 0 ? r : pf_space_write(x->mm->space, remote, x->buf, (size_t)r);
	}
	r = pf_space_read(x->mm->space, remote, x->buf, n);
	if (r <= 0)
		return r;
	w = iov_copyout(x->t, x->local, x->done, x->buf, (size_t)r);
	return w;
}

/* Bytes of one remote range; short where either side faults. */
static ssize_t copy_range(struct transfer *x, uaddr remote, size_t len)
{
	size_t n = 0;

	len = min(len, x->local->total - x->done);
	while (n < len) {
		size_t want = min(len - n, CHUNK);
		ssize_t r = copy_chunk(x, uaddr_add(remote, n), want);

		if (r <= 0)
			return n ? (ssize_t)n : r;
		n += (size_t)r;
		x->done += (size_t)r;
		if ((size_t)r < want)
			break;
	}
	return (ssize_t)n;
}

static long copy_all(struct transfer *x, const struct guest_iov *remote)
{
	for (int i = 0; i < remote->count && x->done < x->local->total; i++) {
		size_t want = min(remote->v[i].len, x->local->total - x->done);
		ssize_t r = copy_range(x, remote->v[i].base, want);

		if (r < 0)
			return x->done ? (long)x->done : r;
		if ((size_t)r < want)
			break;
	}
	return (long)x->done;
}

static long process_vm(struct task *t, const struct sysargs *a, bool write)
{
	SCOPED_FREE struct guest_iov *local = NULL, *remote = NULL;
	SCOPED_FREE char *buf = NULL;
	struct transfer x = {.t = t, .write = write};
	long r;

	if (a->v[5])
		return -EINVAL;
	r = copyin_iov(t, UADDR(a->v[1]), a->v[2], &local);
	if (r == 0)
		r = copyin_iov(t, UADDR(a->v[3]), a->v[4], &remote);
	if (r < 0)
		return r;
	if (local->total == 0 || remote->total == 0)
		return 0;
	r = get_mm(t, (int)a->v[0], &x.mm);
	if (r < 0)
		return r;
	x.local = local;
	x.buf = buf = xmalloc(CHUNK);
	r = copy_all(&x, remote);
	mm_put(x.mm);
	return r;
}

long sys_process_vm_readv(struct task *t, const struct sysargs *a)
{
	return process_vm(t, a, false);
}

long sys_process_vm_writev(struct task *t, const struct sysargs *a)
{
	return process_vm(t, a, true);
}
