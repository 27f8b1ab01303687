/*
 * The signal frame of x86-64: built on the guest's stack when a handler is
 * called, taken apart by rt_sigreturn. From the top down: the red zone that is
 * skipped, the FPU state (64-byte aligned), siginfo and ucontext, the return
 * address. Written with one copy. What comes back is the guest's word: only the
 * registers that user code may set anyway are taken over (the platform masks
 * segments and flags).
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "sentry/abi/sigframe.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/usermem.h"

#define RED_ZONE 128
/* Room for XSAVE with AMX tiles (about 11 KiB), and the frame below it. */
#define FRAME_BUF (16 * 1024)

#define X86_EFLAGS_TF 0x100
#define X86_EFLAGS_DF 0x400
#define X86_EFLAGS_RF 0x10000

/* --- the alternate stack --------------------------------------------------------------------- */

static bool on_altstack(const struct task *t, uint64_t sp)
{
	const struct kstack *a = &t->altstack;

	/* With SS_AUTODISARM it counts as left as soon as a handler has been entered. */
	if ((uint32_t)a->flags & KSS_AUTODISARM)
		return false;
	return sp > a->sp && sp - a->sp <= a->size;
}

static uint32_t altstack_state(const struct task *t, uint64_t sp)
{
	if (!t->altstack.size)
		return KSS_DISABLE;
	return on_altstack(t, sp) ? KSS_ONSTACK : 0;
}

static void altstack_reset(struct task *t)
{
	t->altstack = (struct kstack){.flags = KSS_DISABLE};
}

long signal_do_sigaltstack(struct task *t, const struct kstack *new, uint64_t sp)
{
	uint32_t mode = (uint32_t) new->flags & ~KSS_AUTODISARM;

	if (on_altstack(t, sp))
		return -EPERM;
	if (mode != KSS_DISABLE && mode != KSS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == KSS_DISABLE) {
		t->altstack = (struct kstack){.flags = new->flags};
		return 0;
	}
	if (new->size < KMINSIGSTKSZ)
		return -ENOMEM;
	t->altstack = (struct kstack){new->sp, new->flags, 0, new->size};
	return 0;
}

struct kstack signal_get_altstack(struct task *t, uint64_t sp)
{
	struct kstack s = t->altstack;

	s.flags = (int32_t)(altstack_state(t, sp) | ((uint32_t)s.flags & KSS_AUTODISARM));
	return s;
}

/* --- building -------------------------------------------------------------------------------------- */

struct frame_place {
	uint64_t frame, fpstate;
};

/* Where the frame goes; -EFAULT if it would overflow the alternate stack. */
static int place_frame(struct task *t, uint64_t flags, size_t fpsize, struct frame_place *out)
{
	uint64_t rsp = pf_regs(t->pt)->rsp, sp = rsp - RED_ZONE;
	bool on = on_altstack(t, rsp), entering = false;

	if ((flags & SA_ONSTACK) && altstack_state(t, rsp) == 0) {
		sp = t->altstack.sp + t->altstack.size;
		entering = true;
	}
	out->fpstate = ROUND_DOWN(sp - fpsize, 64);
	out->frame = ROUND_DOWN(out->fpstate - sizeof(struct krt_sigframe), 16) - 8;
	if ((on || entering) &&
	    (out->frame <= t->altstack.sp || out->frame - t->altstack.sp > t->altstack.size))
		return -EFAULT;
	return 0;
}

static void fill_context(struct task *t, struct kucontext *uc, ksigset blocked, uint64_t fpstate)
{
	const struct user_regs_struct *r = pf_regs(t->pt);
	struct kstack *a = &t->altstack;

	*uc = (struct kucontext){
	    .flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
	    .stack = {a->sp, a->flags, 0, a->size},
	    .mcontext = {.r8 = r->r8,
			 .r9 = r->r9,
			 .r10 = r->r10,
			 .r11 = r->r11,
			 .r12 = r->r12,
			 .r13 = r->r13,
			 .r14 = r->r14,
			 .r15 = r->r15,
			 .di = r->rdi,
			 .si = r->rsi,
			 .bp = r->rbp,
			 .bx = r->rbx,
			 .dx = r->rdx,
			 .ax = r->rax,
			 .cx = r->rcx,
			 .sp = r->rsp,
			 .ip = r->rip,
			 .flags = r->eflags,
			 .cs = USER_CS,
			 .ss = USER_DS,
			 .err = t->fault.error_code,
			 .trapno = t->fault.trapno,
			 .oldmask = blocked,
			 .cr2 = t->fault.addr,
			 .fpstate = fpstate},
	    .sigmask = blocked,
	};
}

static void enter_handler(struct task *t, int sig, const struct ksigaction *act, uint64_t frame)
{
	struct user_regs_struct *r = pf_regs_mut(t->pt);

	r->rdi = (uint64_t)sig;
	r->rsi = frame + offsetof(struct krt_sigframe, info);
	r->rdx = frame + offsetof(struct krt_sigframe, uc);
	r->rax = 0;
	r->rip = act->handler;
	r->rsp = frame;
	r->eflags &= ~(uint64_t)(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
	r->orig_rax = ~0ULL;
	pf_fpu_reset(t->pt);
	if ((uint32_t)t->altstack.flags & KSS_AUTODISARM)
		altstack_reset(t);
}

int signal_frame_setup(struct task *t, int sig, const siginfo_t *info, const struct ksigaction *act,
		       ksigset blocked)
{
	/* Not cleared (16 KiB): every byte that is copied out is written below. */
	char buf[FRAME_BUF] __attribute__((aligned(64), uninitialized));
	struct krt_sigframe *f = (struct krt_sigframe *)buf;
	size_t fpsize = pf_fpu_size(), gap, total;
	struct frame_place place;
	ssize_t r;

	if (!(act->flags & KSA_RESTORER))
		return -EFAULT;
	if (place_frame(t, act->flags, fpsize, &place) < 0)
		return -EFAULT;
	gap = place.fpstate - place.frame;
	if (gap + fpsize > sizeof(buf))
		panic("FPU state of %zu bytes", fpsize);
	memset(buf, 0, gap);
	r = pf_fpu_get(t->pt, buf + gap, fpsize);
	if (r < 0)
		return -EFAULT;
	fill_context(t, &f->uc, blocked, place.fpstate);
	f->pretcode = act->restorer;
	if (act->flags & SA_SIGINFO)
		f->info = *info;
	total = gap + (size_t)r;
	if (pf_thread_write(t->pt, UADDR(place.frame), buf, total) != (ssize_t)total)
		return -EFAULT;
	enter_handler(t, sig, act, place.frame);
	return 0;
}

/* --- taking apart ------------------------------------------------------------------------------------ */

static void restore_registers(struct task *t, const struct ksigcontext *c)
{
	struct user_regs_struct *r = pf_regs_mut(t->pt);

	r->r8 = c->r8;
	r->r9 = c->r9;
	r->r10 = c->r10;
	r->r11 = c->r11;
	r->r12 = c->r12;
	r->r13 = c->r13;
	r->r14 = c->r14;
	r->r15 = c->r15;
	r->rdi = c->di;
	r->rsi = c->si;
	r->rbp = c->bp;
	r->rbx = c->bx;
	r->rdx = c->dx;
	r->rax = c->ax;
	r->rcx = c->cx;
	r->rsp = c->sp;
	r->rip = c->ip;
	r->eflags = c->flags;
	r->orig_rax = ~0ULL;
}

/* How many bytes of FPU state the frame holds: the legacy part only, unless the software bytes and
 * the trailing magic say otherwise. */
static size_t fpstate_size(struct task *t, uaddr at)
{
	struct kfp_sw_bytes sw;
	uint32_t magic2;

	if (copyin(t, &sw, uaddr_add(at, FP_SW_BYTES_OFFSET), sizeof(sw)) < 0)
		return 0;
	if (sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size < FP_FXSAVE_SIZE + 64 ||
	    sw.xstate_size > sw.extended_size || sw.extended_size > pf_fpu_size())
		return FP_FXSAVE_SIZE;
	if (copyin(t, &magic2, uaddr_add(at, sw.xstate_size), sizeof(magic2)) < 0 ||
	    magic2 != FP_XSTATE_MAGIC2)
		return FP_FXSAVE_SIZE;
	return sw.extended_size;
}

static int restore_fpu(struct task *t, uint64_t at)
{
	char buf[FRAME_BUF] __attribute__((aligned(64), uninitialized));
	size_t n;

	if (!at) {
		pf_fpu_reset(t->pt);
		return 0;
	}
	n = fpstate_size(t, UADDR(at));
	if (!n || n > sizeof(buf) || copyin(t, buf, UADDR(at), n) < 0)
		return -EFAULT;
	return pf_fpu_set(t->pt, buf, n);
}

long signal_sigreturn(struct task *t)
{
	/* The handler's return popped the first word of the frame. */
	uaddr frame = UADDR(pf_regs(t->pt)->rsp - 8);
	struct kucontext uc;

	t->syscall_nr = -1; /* whatever rax will hold, it is not a result */
	if (copyin(t, &uc, uaddr_add(frame, offsetof(struct krt_sigframe, uc)), sizeof(uc)) < 0 ||
	    restore_fpu(t, uc.mcontext.fpstate) < 0) {
		signal_force(t, SIGSEGV, NULL);
		return 0;
	}
	signal_set_blocked(t, uc.sigmask);
	restore_registers(t, &uc.mcontext);
	/* As Linux, which checks the old stack against the restored stack pointer. */
	(void)signal_do_sigaltstack(t, &uc.stack, uc.mcontext.sp);
	return (long)uc.mcontext.ax;
}
