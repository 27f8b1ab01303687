/*
 * Signal frames in a slot, as the host kernel reads and writes them, and images
 * of the FPU state in their layout (see the kernel's uapi/asm/sigcontext.h).
 *
 * A frame is shared with the guest: pointers in it are read once and bounded.
 * That the contents are nonsense may be, the kernel checks them in rt_sigreturn
 * and sends the guest a SIGSEGV.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "sentry/platform/pf.h"

#define XSTATE_MAGIC1 0x46505853U
#define XSTATE_MAGIC2 0x46505845U
#define FXSAVE_SIZE 512U
#define SW_OFFSET 464U
#define XFEATURE_AMX_DATA 18

struct sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, pad[7];
};

static struct {
	uint32_t size; /* of the XSAVE area */
	uint64_t features;
} xstate;

static uint64_t xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

/* What the host's frames hold: all enabled features but those that a process must ask for. */
void frame_init(void)
{
	uint32_t a, b, c, d;

	xstate.size = FXSAVE_SIZE + 64;
	__cpuid(1, a, b, c, d);
	if (!(c & bit_OSXSAVE))
		return;
	xstate.features = xgetbv() & ~BIT(XFEATURE_AMX_DATA);
	for (unsigned int i = 2; i < 63; i++) {
		if (!(xstate.features & BIT(i)))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		xstate.size = max(xstate.size, a + b);
	}
}

size_t fpu_size(void)
{
	return xstate.size + sizeof(uint32_t);
}

void fpu_seal(void *buf)
{
	struct sw_bytes sw = {
	    .magic1 = XSTATE_MAGIC1,
	    .extended_size = (uint32_t)fpu_size(),
	    .xfeatures = xstate.features,
	    .xstate_size = xstate.size,
	};
	uint32_t magic2 = XSTATE_MAGIC2;

	memcpy((char *)buf + SW_OFFSET, &sw, sizeof(sw));
	memcpy((char *)buf + xstate.size, &magic2, sizeof(magic2));
}

void fpu_initial(void *buf)
{
	uint32_t mxcsr = 0x1f80, mxcsr_mask = 0xffff;
	uint16_t fcw = 0x37f;
	char *p = buf;

	memset(p, 0, fpu_size());
	memcpy(p, &fcw, sizeof(fcw));
	memcpy(p + 24, &mxcsr, sizeof(mxcsr));
	memcpy(p + 28, &mxcsr_mask, sizeof(mxcsr_mask));
	fpu_seal(p);
}

/* Where the sentry itself puts an FPU image: at the end of the slot. */
static uint32_t fpu_offset(void)
{
	return (uint32_t)ROUND_DOWN(SLOT_SIZE - fpu_size(), 64);
}

bool frame_valid(uint32_t off)
{
	return off >= SLOT_STACK + 1024 && off <= SLOT_SIZE - sizeof(struct stub_frame) &&
	       off % 8 == 0;
}

uint32_t frame_build(struct mbox *m, uint64_t stub_mbox)
{
	uint32_t off = (uint32_t)ROUND_DOWN(fpu_offset() - sizeof(struct stub_frame), 16);
	struct stub_ucontext *uc = &frame_at(m, off)->uc;

	memset(uc, 0, sizeof(*uc));
	uc->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	uc->ss_sp = stub_mbox + SLOT_STACK;
	uc->ss_size = SLOT_STACK_SIZE;
	uc->mc.cs = 0x33;
	uc->mc.ss = 0x2b;
	uc->mc.flags = 0x202;
	return off;
}

void frame_copy(struct mbox *to, uint64_t stub_to, const struct mbox *from, uint64_t stub_from,
		uint32_t off)
{
	struct stub_ucontext *uc = MBOX_AT(to, off);
	uint64_t fp;

	memcpy(uc, (const char *)from + off, SLOT_SIZE - off);
	fp = uc->mc.fpstate - stub_from;
	uc->mc.fpstate = fp < SLOT_SIZE ? stub_to + fp : 0;
	uc->ss_sp = stub_to + SLOT_STACK;
	uc->ss_size = SLOT_STACK_SIZE;
	uc->ss_flags = 0;
	uc->sigmask = 0;
}

void frame_load(const struct stub_frame *f, struct user_regs_struct *r)
{
	struct stub_sigcontext s = f->uc.mc;

	r->r8 = s.r8, r->r9 = s.r9, r->r10 = s.r10, r->r11 = s.r11;
	r->r12 = s.r12, r->r13 = s.r13, r->r14 = s.r14, r->r15 = s.r15;
	r->rdi = s.di, r->rsi = s.si, r->rbp = s.bp, r->rbx = s.bx;
	r->rdx = s.dx, r->rax = s.ax, r->rcx = s.cx, r->rsp = s.sp;
	r->rip = s.ip, r->eflags = s.flags, r->cs = s.cs, r->ss = s.ss;
	r->ds = r->es = r->fs = r->gs = 0;
}

void frame_store(struct stub_frame *f, const struct user_regs_struct *r)
{
	struct stub_sigcontext *s = &f->uc.mc;

	s->r8 = r->r8, s->r9 = r->r9, s->r10 = r->r10, s->r11 = r->r11;
	s->r12 = r->r12, s->r13 = r->r13, s->r14 = r->r14, s->r15 = r->r15;
	s->di = r->rdi, s->si = r->rsi, s->bp = r->rbp, s->bx = r->rbx;
	s->dx = r->rdx, s->ax = r->rax, s->cx = r->rcx, s->sp = r->rsp;
	s->ip = r->rip, s->flags = r->eflags;
	/* cs and ss stay; rt_sigreturn masks the flags. */
}

/* The offset in the slot of the frame's FPU image, or 0 if there is none that can be used. */
static uint32_t fpu_image(struct pf_thread *t)
{
	uint64_t off =
	    __atomic_load_n(&frame_at(t->mbox, t->frame)->uc.mc.fpstate, __ATOMIC_RELAXED);

	if (off == 0)
		return 0;
	off -= t->stub_mbox;
	if (off < t->frame || off % 64 || off > SLOT_SIZE || SLOT_SIZE - off < fpu_size())
		return 0;
	return (uint32_t)off;
}

ssize_t frame_fpu_get(struct pf_thread *t, void *buf, size_t size)
{
	uint32_t off = fpu_image(t);

	if (size < fpu_size())
		return -ERANGE;
	if (off)
		memcpy(buf, MBOX_AT(t->mbox, off), fpu_size());
	else
		fpu_initial(buf);
	return (ssize_t)fpu_size();
}

int frame_fpu_set(struct pf_thread *t, const void *buf, size_t size)
{
	uint32_t off = fpu_image(t);

	if (size < FXSAVE_SIZE || size > fpu_size())
		return -EINVAL;
	if (off == 0)
		off = fpu_offset();
	if (off < t->frame + sizeof(struct stub_frame))
		return -EINVAL;
	memcpy(MBOX_AT(t->mbox, off), buf, size);
	/* Without the trailing magic the kernel takes the legacy part alone. */
	memset(MBOX_AT(t->mbox, off + size), 0, fpu_size() - size);
	frame_at(t->mbox, t->frame)->uc.mc.fpstate = t->stub_mbox + off;
	return 0;
}

void frame_fpu_reset(struct pf_thread *t)
{
	frame_at(t->mbox, t->frame)->uc.mc.fpstate = 0;
}
