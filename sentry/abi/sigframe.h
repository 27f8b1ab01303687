/* The x86-64 signal frame (arch/x86/include/uapi/asm/sigcontext.h, asm/ucontext.h). */
#ifndef GARRISON_SENTRY_ABI_SIGFRAME_H
#define GARRISON_SENTRY_ABI_SIGFRAME_H

#include "sentry/abi/signal.h"

struct ksigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
};
static_assert(sizeof(struct ksigcontext) == 256, "struct sigcontext");

struct kucontext {
	uint64_t flags;
	uint64_t link;
	struct kstack stack;
	struct ksigcontext mcontext;
	ksigset sigmask;
};
static_assert(sizeof(struct kucontext) == 304, "struct ucontext");

#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

struct krt_sigframe {
	uint64_t pretcode;
	struct kucontext uc;
	siginfo_t info;
};
static_assert(sizeof(struct krt_sigframe) == 440, "struct rt_sigframe");

/* The FXSAVE area's bytes that software owns tell how large the whole state is. */
#define FP_SW_BYTES_OFFSET 464
#define FP_XSTATE_MAGIC1 0x46505853U
#define FP_XSTATE_MAGIC2 0x46505845U
#define FP_FXSAVE_SIZE 512

struct kfp_sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};
static_assert(sizeof(struct kfp_sw_bytes) == 48, "struct _fpx_sw_bytes");

#define KSS_ONSTACK 1
#define KSS_DISABLE 2
#define KSS_AUTODISARM (1U << 31)
#define KMINSIGSTKSZ 2048

#define USER_CS 0x33
#define USER_DS 0x2b

#endif
