/*
 * ptrace(2), the tracer's side: finding a tracee that is stopped and ours, and
 * one small function a request, in a table. A request on a stopped tracee runs
 * on the tracer's thread; the tracee cannot go on meanwhile but by SIGKILL, and
 * then it keeps its registers until its stub is gone (alloc_lock guards that).
 */
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "common/mem.h"
#include "sentry/abi/sigframe.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/ptrace_internal.h"
#include "sentry/kernel/usermem.h"

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#define PTRACE_SYSEMU_SINGLESTEP 32
#endif
#define OPTIONS_KNOWN (0xffU | PTRACE_O_EXITKILL | PTRACE_O_SUSPEND_SECCOMP)

struct request {
	struct task *me, *t; /* tracer, tracee */
	uint64_t addr, data;
};
typedef long request_fn(struct request *rq);

/* --- becoming a tracer ------------------------------------------------------------------------------ */

static long traceme(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	struct process *parent = t->process->parent;
	struct task who = {.serial = t->process->parent_serial};

	if (ptrace_is_traced(t) || !parent || !parent->leader)
		return -EPERM;
	who.tid = parent->leader->tid;
	mutex_lock(&t->sighand->lock);
	ptrace_link_locked(t, &who, parent, 0, false);
	mutex_unlock(&t->sighand->lock);
	return 0;
}

/* A task that is stopped already stops anew, for its tracer. */
static void stop_attached(struct task *t, bool seized)
{
	mutex_lock(&t->sighand->lock);
	if (t->jobctl & JOB_STOPPED) {
		t->jobctl |= JOB_TRAP_STOP;
		atomic_fetch_or(&t->work, WORK_STOP);
		task_kick(t);
	}
	mutex_unlock(&t->sighand->lock);
	if (!seized)
		(void)signal_task_locked(t, SIGSTOP, NULL);
}

static long attach(struct task *me, struct task *t, unsigned int options, bool seized)
{
	if (t->process == me->process)
		return -EPERM;
	if (ptrace_may_access(me, t, ACCESS_ATTACH | ACCESS_REALCREDS) < 0)
		return -EPERM;
	SCOPED_LOCK(&tasklist);
	if (t->exited || t->process->passive || ptrace_is_traced(t))
		return -EPERM;
	mutex_lock(&t->sighand->lock);
	ptrace_link_locked(t, me, me->process, options, seized);
	mutex_unlock(&t->sighand->lock);
	stop_attached(t, seized);
	return 0;
}

static long seize(struct request *rq)
{
	if (rq->addr || (rq->data & ~(uint64_t)OPTIONS_KNOWN))
		return -EIO;
	return attach(rq->me, rq->t, (unsigned int)rq->data, true);
}

/* --- going on ------------------------------------------------------------------------------------------ */

static long resume(struct request *rq, unsigned int trap, bool step)
{
	struct ptrace_state *st = rq->t->ptrace;

	if (rq->data > KNSIG)
		return -EIO;
	SCOPED_LOCK(&tasklist);
	if (!atomic_load(&st->stopped))
		return -ESRCH;
	st->resume_signal = (int)rq->data;
	st->step = step;
	atomic_fetch_and(&rq->t->trap, ~(unsigned int)(TRAP_SYSCALL | TRAP_EMU | TRAP_STEP));
	atomic_fetch_or(&rq->t->trap, trap | (step ? TRAP_STEP : 0));
	ptrace_resume_locked(rq->t);
	return 0;
}

static long req_cont(struct request *rq)
{
	return resume(rq, 0, false);
}

static long req_syscall(struct request *rq)
{
	return resume(rq, TRAP_SYSCALL, false);
}

static long req_step(struct request *rq)
{
	return resume(rq, 0, true);
}

static long req_sysemu(struct request *rq)
{
	return resume(rq, TRAP_EMU, false);
}

static long req_sysemu_step(struct request *rq)
{
	return resume(rq, TRAP_EMU, true);
}

static long req_detach(struct request *rq)
{
	struct task *t = rq->t;
	struct process *p = t->process;

	if (rq->data > KNSIG)
		return -EIO;
	SCOPED_LOCK(&tasklist);
	if (!atomic_load(&t->ptrace->stopped))
		return -ESRCH;
	t->ptrace->resume_signal = (int)rq->data;
	ptrace_unlink_locked(t);
	mutex_lock(&t->sighand->lock);
	if (p->stopped && !p->group_exit) { /* the others are stopped: so is it again */
		t->jobctl |= JOB_STOP_PENDING;
		p->group_stop_count++;
		atomic_fetch_or(&t->work, WORK_STOP);
	}
	mutex_unlock(&t->sighand->lock);
	ptrace_resume_locked(t);
	return 0;
}

static long req_kill(struct request *rq)
{
	return signal_process(rq->t->process, SIGKILL, NULL);
}

static long req_interrupt(struct request *rq)
{
	struct task *t = rq->t;

	if (!t->ptrace->seized)
		return -EIO;
	mutex_lock(&tasklist);
	mutex_lock(&t->sighand->lock);
	t->jobctl |= JOB_TRAP_STOP;
	if (t->jobctl & JOB_LISTEN)
		atomic_store(&t->ptrace->stopped, false);
	mutex_unlock(&t->sighand->lock);
	task_add_work(t, WORK_STOP);
	mutex_unlock(&tasklist);
	return 0;
}

/* The group stop goes on, but signals end it. */
static long req_listen(struct request *rq)
{
	struct ptrace_state *st = rq->t->ptrace;

	if (!st->seized)
		return -EIO;
	SCOPED_LOCK(&tasklist);
	if (!atomic_load(&st->stopped) || st->code >> 8 != PTRACE_EVENT_STOP)
		return -EIO;
	mutex_lock(&rq->t->sighand->lock);
	st->unreported = false;
	if (rq->t->jobctl & JOB_TRAP_STOP) {
		atomic_store(&st->stopped, false); /* something has happened already */
		task_kick(rq->t);
	} else {
		rq->t->jobctl |= JOB_LISTEN;
	}
	mutex_unlock(&rq->t->sighand->lock);
	return 0;
}

/* --- options and signals --------------------------------------------------------------------------------- */

static long req_setoptions(struct request *rq)
{
	if (rq->data & ~(uint64_t)OPTIONS_KNOWN)
		return -EINVAL;
	rq->t->ptrace->options = (unsigned int)rq->data;
	return 0;
}

static long out(struct request *rq, const void *from, size_t n)
{
	return copyout(rq->me, UADDR(rq->data), from, n);
}

static long req_geteventmsg(struct request *rq)
{
	return out(rq, &rq->t->ptrace->message, sizeof(uint64_t));
}

static long req_getsiginfo(struct request *rq)
{
	struct ptrace_state *st = rq->t->ptrace;

	return st->has_info ? out(rq, &st->info, sizeof(st->info)) : -EINVAL;
}

static long req_setsiginfo(struct request *rq)
{
	struct ptrace_state *st = rq->t->ptrace;
	siginfo_t info;

	if (copyin(rq->me, &info, UADDR(rq->data), sizeof(info)) < 0)
		return -EFAULT;
	if (!st->has_info)
		return -EINVAL;
	st->info = info;
	return 0;
}

static long req_getsigmask(struct request *rq)
{
	if (rq->addr != sizeof(ksigset))
		return -EINVAL;
	return out(rq, &rq->t->blocked, sizeof(ksigset));
}

static long req_setsigmask(struct request *rq)
{
	ksigset set;

	if (rq->addr != sizeof(set))
		return -EINVAL;
	if (copyin(rq->me, &set, UADDR(rq->data), sizeof(set)) < 0)
		return -EFAULT;
	rq->t->restore_blocked = false;
	signal_set_blocked(rq->t, set);
	return 0;
}

/* --- memory ------------------------------------------------------------------------------------------------ */

static long req_peek(struct request *rq)
{
	struct mm *mm = task_get_mm(rq->t);
	uint64_t word;
	ssize_t n;

	if (!mm)
		return -ESRCH;
	n = pf_space_read(mm->space, UADDR(rq->addr), &word, sizeof(word));
	mm_put(mm);
	return n == sizeof(word) ? out(rq, &word, sizeof(word)) : -EIO;
}

struct poke {
	uint64_t addr;
	const void *from;
	size_t n;
};

/* On the tracee's own thread: the pages are made writable for a moment if they are not. */
static long poke(struct task *t, void *arg)
{
	struct poke *p = arg;
	uaddr page = UADDR(ROUND_DOWN(p->addr, GUEST_PAGE));
	uint64_t len = ROUND_UP(p->addr + p->n, GUEST_PAGE) - page.va;
	struct vma v;
	ssize_t n;

	if (pf_thread_write(t->pt, UADDR(p->addr), p->from, p->n) == (ssize_t)p->n)
		return 0;
	if (p->addr >= pf_max_addr() || mm_find_vma(t->mm, p->addr, &v) < 0)
		return -EIO;
	if (v.file)
		file_put(v.file);
	/* A shared mapping must not be written behind its file's back. */
	if (v.start > p->addr || v.end < page.va + len || (v.flags & MAP_SHARED))
		return -EIO;
	if (pf_mprotect(t->pt, page, len, v.prot | PROT_READ | PROT_WRITE) < 0)
		return -EIO;
	n = pf_thread_write(t->pt, UADDR(p->addr), p->from, p->n);
	if (pf_mprotect(t->pt, page, len, v.prot) < 0 || n != (ssize_t)p->n)
		return -EIO;
	return 0;
}

static long req_poke(struct request *rq)
{
	struct poke p = {rq->addr, &rq->data, sizeof(rq->data)};

	return ptrace_remote(rq->t, poke, &p);
}

static struct task *find_tracee_of(struct task *t, struct mm *mm)
{
	struct ptrace_state *st;

	SCOPED_LOCK(&tasklist);
	list_for_each (st, &t->process->tracees, node)
		if (st->tracer_serial == t->serial && atomic_load(&st->stopped) &&
		    st->task->mm == mm)
			return task_get(st->task);
	return NULL;
}

ssize_t ptrace_poke_mm(struct task *t, struct mm *mm, uaddr to, const void *from, size_t n)
{
	struct task *tracee = t ? find_tracee_of(t, mm) : NULL;
	struct poke p = {.addr = to.va, .from = from};
	size_t page_rest = GUEST_PAGE - to.va % GUEST_PAGE;
	long r;

	if (!tracee)
		return -EIO;
	p.n = min(n, page_rest);
	r = ptrace_remote(tracee, poke, &p);
	task_put(tracee);
	return r < 0 ? r : (ssize_t)p.n;
}

/* --- registers ---------------------------------------------------------------------------------------------- */

/* A copy, -ESRCH if the tracee is going. */
static long read_regs(struct task *t, struct user_regs_struct *r)
{
	SCOPED_LOCK(&t->alloc_lock);
	if (!t->pt)
		return -ESRCH;
	*r = *pf_regs(t->pt);
	r->cs = USER_CS;
	r->ss = USER_DS;
	r->ds = r->es = r->fs = r->gs = 0;
	return 0;
}

static long write_regs(struct task *t, const struct user_regs_struct *r)
{
	SCOPED_LOCK(&t->alloc_lock);
	if (!t->pt)
		return -ESRCH;
	if (r->fs_base >= pf_max_addr() || r->gs_base >= pf_max_addr())
		return -EIO;
	*pf_regs_mut(t->pt) = *r;
	return 0;
}

static long req_getregs(struct request *rq)
{
	struct user_regs_struct r;
	long e = read_regs(rq->t, &r);

	return e < 0 ? e : out(rq, &r, sizeof(r));
}

static long req_setregs(struct request *rq)
{
	struct user_regs_struct r;

	if (copyin(rq->me, &r, UADDR(rq->data), sizeof(r)) < 0)
		return -EFAULT;
	return write_regs(rq->t, &r);
}

/* FPU state travels through a buffer: get fills it, set takes it. */
struct fpu_buf {
	size_t size;
	char *data;
};

static long fpu_get(struct task *t, void *arg)
{
	struct fpu_buf *b = arg;

	return pf_fpu_get(t->pt, b->data, b->size);
}

static long fpu_set(struct task *t, void *arg)
{
	struct fpu_buf *b = arg;

	return pf_fpu_set(t->pt, b->data, b->size);
}

/* The state as it is; owned by the caller. */
static long fpu_read(struct request *rq, struct fpu_buf *b)
{
	b->size = pf_fpu_size();
	b->data = xzalloc(b->size);
	return ptrace_remote(rq->t, fpu_get, b);
}

static long req_getfpregs(struct request *rq)
{
	struct fpu_buf b;
	long r = fpu_read(rq, &b);

	if (r >= 0)
		r = out(rq, b.data, sizeof(struct user_fpregs_struct));
	free(b.data);
	return r;
}

/* Overwrites the first n bytes of the state with the tracer's. */
static long fpu_patch(struct request *rq, uaddr from, size_t n)
{
	struct fpu_buf b;
	long r = fpu_read(rq, &b);

	n = min(n, b.size);
	if (r >= 0 && n > FP_SW_BYTES_OFFSET && n > FP_FXSAVE_SIZE) {
		/* The software bytes are ours: they say how long the state is. */
		struct kfp_sw_bytes sw;

		memcpy(&sw, b.data + FP_SW_BYTES_OFFSET, sizeof(sw));
		n = min(n, (size_t)sw.xstate_size);
		r = copyin(rq->me, b.data, from, n);
		memcpy(b.data + FP_SW_BYTES_OFFSET, &sw, sizeof(sw));
	} else if (r >= 0) {
		r = copyin(rq->me, b.data, from, min(n, (size_t)FP_SW_BYTES_OFFSET));
	}
	if (r >= 0)
		r = ptrace_remote(rq->t, fpu_set, &b);
	free(b.data);
	return r;
}

static long req_setfpregs(struct request *rq)
{
	return fpu_patch(rq, UADDR(rq->data), sizeof(struct user_fpregs_struct));
}

static long copyout_regset(struct request *rq, struct iovec *iov, const void *from, size_t n)
{
	iov->iov_len = min(iov->iov_len, n);
	if (copyout(rq->me, UADDR(iov->iov_base), from, iov->iov_len) < 0)
		return -EFAULT;
	return out(rq, iov, sizeof(*iov));
}

static long get_fpu_set(struct request *rq, struct iovec *iov, bool whole)
{
	struct kfp_sw_bytes sw;
	struct fpu_buf b;
	long r = fpu_read(rq, &b);
	size_t n = FP_FXSAVE_SIZE;

	if (r >= 0) {
		memcpy(&sw, b.data + FP_SW_BYTES_OFFSET, sizeof(sw));
		if (whole && sw.magic1 == FP_XSTATE_MAGIC1)
			n = min((size_t)sw.xstate_size, b.size);
		/* In a core file's layout the mask of features stands in the software bytes. */
		memset(b.data + FP_SW_BYTES_OFFSET, 0, sizeof(sw));
		memcpy(b.data + FP_SW_BYTES_OFFSET, &sw.xfeatures, sizeof(sw.xfeatures));
		r = copyout_regset(rq, iov, b.data, n);
	}
	free(b.data);
	return r;
}

static int copyin_iovec(struct request *rq, struct iovec *iov)
{
	return copyin(rq->me, iov, UADDR(rq->data), sizeof(*iov));
}

static long req_getregset(struct request *rq)
{
	struct user_regs_struct r;
	struct iovec iov;
	long e = copyin_iovec(rq, &iov);

	if (e < 0)
		return e;
	switch (rq->addr) {
	case NT_PRSTATUS:
		e = read_regs(rq->t, &r);
		return e < 0 ? e : copyout_regset(rq, &iov, &r, sizeof(r));
	case NT_PRFPREG:
		return get_fpu_set(rq, &iov, false);
	case NT_X86_XSTATE:
		return get_fpu_set(rq, &iov, true);
	}
	return -EINVAL;
}

static long req_setregset(struct request *rq)
{
	struct user_regs_struct r;
	struct iovec iov;
	long e = copyin_iovec(rq, &iov);

	if (e < 0)
		return e;
	switch (rq->addr) {
	case NT_PRSTATUS:
		e = read_regs(rq->t, &r);
		if (e == 0)
			e = copyin(rq->me, &r, UADDR(iov.iov_base), min(iov.iov_len, sizeof(r)));
		return e < 0 ? e : write_regs(rq->t, &r);
	case NT_PRFPREG:
		return fpu_patch(rq, UADDR(iov.iov_base), min(iov.iov_len, (size_t)512));
	case NT_X86_XSTATE:
		return fpu_patch(rq, UADDR(iov.iov_base), iov.iov_len);
	}
	return -EINVAL;
}

/* struct user: the registers come first; of the rest only the debug registers are known, as zeros:
 * there are no hardware breakpoints. */
static long req_peekuser(struct request *rq)
{
	struct user_regs_struct r;
	uint64_t word = 0;
	long e;

	if (rq->addr % 8 || rq->addr > sizeof(struct user) - 8)
		return -EIO;
	e = read_regs(rq->t, &r);
	if (e < 0)
		return e;
	if (rq->addr < sizeof(r))
		memcpy(&word, (char *)&r + rq->addr, sizeof(word));
	return out(rq, &word, sizeof(word));
}

static long req_pokeuser(struct request *rq)
{
	struct user_regs_struct r;
	long e;

	if (rq->addr % 8 || rq->addr > sizeof(struct user) - 8)
		return -EIO;
	if (rq->addr >= sizeof(r)) {
		bool debug = rq->addr >= offsetof(struct user, u_debugreg);

		return debug && !rq->data ? 0 : -EIO;
	}
	e = read_regs(rq->t, &r);
	if (e < 0)
		return e;
	memcpy((char *)&r + rq->addr, &rq->data, sizeof(rq->data));
	return write_regs(rq->t, &r);
}

static long req_arch_prctl(struct request *rq)
{
	struct user_regs_struct r;
	long e = read_regs(rq->t, &r);

	if (e < 0)
		return e;
	switch (rq->data) {
	case ARCH_GET_FS:
		return copyout(rq->me, UADDR(rq->addr), &r.fs_base, sizeof(uint64_t));
	case ARCH_GET_GS:
		return copyout(rq->me, UADDR(rq->addr), &r.gs_base, sizeof(uint64_t));
	case ARCH_SET_FS:
		r.fs_base = rq->addr;
		return write_regs(rq->t, &r);
	case ARCH_SET_GS:
		r.gs_base = rq->addr;
		return write_regs(rq->t, &r);
	}
	return -EINVAL;
}

/* --- PTRACE_GET_SYSCALL_INFO ------------------------------------------------------------------------------- */

/* struct ptrace_syscall_info. */
struct ksyscall_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct {
			uint64_t nr, args[6];
			uint32_t ret_data;
		} call;
		struct {
			int64_t rval;
			uint8_t is_error;
		} exit;
	};
};

static long req_get_syscall_info(struct request *rq)
{
	struct ptrace_state *st = rq->t->ptrace;
	struct ksyscall_info info = {.op = (uint8_t)st->syscall_op, .arch = AUDIT_ARCH_X86_64};
	size_t n = offsetof(struct ksyscall_info, call);
	struct user_regs_struct r;
	long e = read_regs(rq->t, &r);

	if (e < 0)
		return e;
	info.ip = r.rip;
	info.sp = r.rsp;
	if (st->syscall_op == PTRACE_SYSCALL_INFO_EXIT) {
		info.exit.rval = (int64_t)r.rax;
		info.exit.is_error = info.exit.rval < 0 && info.exit.rval >= -4095;
		n = offsetof(struct ksyscall_info, exit.is_error) + 1;
	} else if (st->syscall_op != PTRACE_SYSCALL_INFO_NONE) {
		uint64_t args[6] = {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9};

		info.call.nr = r.orig_rax;
		memcpy(info.call.args, args, sizeof(args));
		n = offsetof(struct ksyscall_info, call.ret_data);
		if (st->syscall_op == PTRACE_SYSCALL_INFO_SECCOMP) {
			info.call.ret_data = st->seccomp_data;
			n += sizeof(uint32_t);
		}
	}
	e = out(rq, &info, min(n, (size_t)rq->addr));
	return e < 0 ? e : (long)n;
}

/* --- the table ----------------------------------------------------------------------------------------------- */

static const struct {
	unsigned int request;
	bool any_time; /* the tracee need not be stopped */
	request_fn *fn;
} requests[] = {
    {PTRACE_PEEKTEXT, false, req_peek},
    {PTRACE_PEEKDATA, false, req_peek},
    {PTRACE_PEEKUSER, false, req_peekuser},
    {PTRACE_POKETEXT, false, req_poke},
    {PTRACE_POKEDATA, false, req_poke},
    {PTRACE_POKEUSER, false, req_pokeuser},
    {PTRACE_CONT, false, req_cont},
    {PTRACE_KILL, true, req_kill},
    {PTRACE_SINGLESTEP, false, req_step},
    {PTRACE_GETREGS, false, req_getregs},
    {PTRACE_SETREGS, false, req_setregs},
    {PTRACE_GETFPREGS, false, req_getfpregs},
    {PTRACE_SETFPREGS, false, req_setfpregs},
    {PTRACE_DETACH, false, req_detach},
    {PTRACE_SYSCALL, false, req_syscall},
    {30 /* PTRACE_ARCH_PRCTL */, false, req_arch_prctl},
    {PTRACE_SYSEMU, false, req_sysemu},
    {PTRACE_SYSEMU_SINGLESTEP, false, req_sysemu_step},
    {PTRACE_SETOPTIONS, false, req_setoptions},
    {PTRACE_GETEVENTMSG, false, req_geteventmsg},
    {PTRACE_GETSIGINFO, false, req_getsiginfo},
    {PTRACE_SETSIGINFO, false, req_setsiginfo},
    {PTRACE_GETREGSET, false, req_getregset},
    {PTRACE_SETREGSET, false, req_setregset},
    {PTRACE_INTERRUPT, true, req_interrupt},
    {PTRACE_LISTEN, false, req_listen},
    {PTRACE_GETSIGMASK, false, req_getsigmask},
    {PTRACE_SETSIGMASK, false, req_setsigmask},
    {PTRACE_GET_SYSCALL_INFO, false, req_get_syscall_info},
};

static bool may_request(struct request *rq, bool any_time)
{
	SCOPED_LOCK(&tasklist);
	struct ptrace_state *st = rq->t->ptrace;

	if (!ptrace_is_traced(rq->t) || st->tracer != rq->me->process ||
	    st->tracer_serial != rq->me->serial)
		return false;
	if (any_time)
		return true;
	return atomic_load(&st->stopped) && !(rq->t->jobctl & JOB_LISTEN);
}

static long do_request(struct request *rq, unsigned int request)
{
	if (request == PTRACE_ATTACH)
		return attach(rq->me, rq->t, 0, false);
	if (request == PTRACE_SEIZE)
		return seize(rq);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].request != request)
			continue;
		return may_request(rq, requests[i].any_time) ? requests[i].fn(rq) : -ESRCH;
	}
	return may_request(rq, false) ? -EIO : -ESRCH;
}

long ptrace_request(struct task *t, unsigned int request, int pid, uint64_t addr, uint64_t data)
{
	struct request rq = {.me = t, .addr = addr, .data = data};
	long r;

	if (request == PTRACE_TRACEME)
		return traceme(t);
	rq.t = task_find(task_pids(t), pid);
	if (!rq.t)
		return -ESRCH;
	r = do_request(&rq, request);
	task_put(rq.t);
	return r;
}
