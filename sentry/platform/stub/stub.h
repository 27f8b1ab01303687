/*
 * What the sentry and the stub share: the layout of a stub's region, of a slot
 * (mailbox, data window and signal stack of one guest thread) and of the stub's
 * read-only configuration.
 *
 * Trust: the stub's process is the guest's, so everything in a slot is hostile
 * for the sentry. The sentry reads each word once into memory of its own, checks
 * it there, and never follows an offset that it has not bounded.
 */
#ifndef GARRISON_SENTRY_PLATFORM_STUB_STUB_H
#define GARRISON_SENTRY_PLATFORM_STUB_STUB_H

#include <stddef.h>
#include <stdint.h>

/*
 * The region above PF_LO is the stub's:
 *
 *   PF_LO  + random          bank 0: arenas of processes of even generation
 *          + STUB_BANK_SIZE  bank 1: those of odd generation
 *   STUB_TEXT_LO + random    the stub's text, then its configuration
 *   STUB_VDSO_LO + random    vvar, vdso
 *
 * A child process puts its arena into the other bank than its parent's, so the
 * parent's slot stays mapped (in the parent) while the child gets its own.
 */
#define PF_LO 0x7ff000000000ULL
#define PF_HI 0x7ffffffff000ULL
#define STUB_BANK_LO PF_LO
#define STUB_BANK_SIZE 0x100000000ULL /* 4 GiB: 2048 arenas, 32768 threads */
#define STUB_TEXT_LO 0x7ff800000000ULL
#define STUB_VDSO_LO 0x7ffa00000000ULL
#define STUB_RANDOM_SPAN 0x100000000ULL

/* A slot is aligned to its size, so a handler finds it by masking its stack pointer. */
#define SLOT_SIZE 0x20000ULL
#define SLOT_WINDOW 0x1000U
#define SLOT_WINDOW_SIZE 0x11000U
#define SLOT_STACK 0x12000U
#define SLOT_STACK_SIZE (SLOT_SIZE - SLOT_STACK)
#define ARENA_SLOTS 16U
#define ARENA_SIZE (ARENA_SLOTS * SLOT_SIZE)
#define BANK_ARENAS (STUB_BANK_SIZE / ARENA_SIZE)

/* The number of the ask call, and the fd at which the answer is put. No Linux system call
 * has this number; the filter turns it into a notification. */
#define STUB_ASK 0x3e0000
#define STUB_FD 0
/* First argument of an ask. */
#define ASK_FD 1     /* put the next fd of the posted command at STUB_FD */
#define ASK_CHILD 2  /* a new process wants its arena; the second argument is its nonce */
#define ASK_FAILED 3 /* no more asks of this command: the second argument is -errno */

#define STUB_SIG_INTERRUPT 23 /* SIGURG: ignored by default, so harmless to a half-made stub */

/* clone flags: exactly these two sets pass the filter. */
#define STUB_FORK_FLAGS (0x8000UL | 17UL) /* CLONE_PARENT | SIGCHLD */
/* CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM */
#define STUB_THREAD_FLAGS (0x100UL | 0x200UL | 0x400UL | 0x800UL | 0x10000UL | 0x40000UL)

/* mbox.turn */
#define TURN_STUB 1U
#define TURN_SENTRY 2U

enum stub_cmd {
	CMD_RUN = 1, /* return to guest code */
	CMD_CALLS,   /* carry out `calls` until one fails */
	CMD_CMPXCHG, /* call[0].arg: address, expected, new; result 0 or -EFAULT, old in arg[3] */
	CMD_THREAD,  /* call[0].arg[0]: the new thread's slot */
	CMD_FORK,    /* call[0].arg: the address of the child's arena, its nonce */
	CMD_EXIT,    /* end this thread */
};

#define STUB_CALLS 32
struct stub_call {
	uint64_t nr;
	uint64_t arg[6];
	int64_t result;
};

/* Something that the stub copied from guest memory into the window. */
struct stub_copy {
	uint64_t addr;
	uint32_t off, len;
};

#define STUB_LATE 8

/* The first page of a slot. */
struct mbox {
	/* --- one cache line: the hand-over --- */
	uint32_t turn;
	uint32_t stub_sleeps, sentry_sleeps;
	uint32_t spin; /* how often the stub looks at `turn` before it sleeps */
	uint32_t cmd;
	uint32_t ncalls;
	uint32_t sig;	   /* the signal that brought the stub here */
	uint32_t uc;	   /* offset of the host's ucontext in the slot */
	uint32_t set_rax;  /* CMD_RUN: put `rax` into the frame */
	uint32_t set_base; /* CMD_RUN: load fs_base and gs_base */
	uint32_t ncopies;
	uint32_t nlate;
	uint64_t rax;
	uint32_t late_failed; /* one of the late calls failed */
	uint32_t nlate_calls; /* CMD_RUN: so many of `calls` are made first */

	/* --- written by the stub at each event --- */
	uint64_t fs_base, gs_base;
	uint64_t run_tsc, event_tsc; /* when guest code began, and when the event ended it */
	uint32_t cpu, pad2;
	struct stub_copy copies[6];

	struct stub_copy late[STUB_LATE]; /* to guest memory, on CMD_RUN */
	struct stub_call calls[STUB_CALLS];
};

/* The kernel's signal frame (x86-64), from the ucontext on. */
struct stub_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
};

struct stub_ucontext {
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	uint32_t ss_flags, pad;
	uint64_t ss_size;
	struct stub_sigcontext mc;
	uint64_t sigmask;
};

struct stub_frame {
	struct stub_ucontext uc;
	uint8_t info[128]; /* siginfo_t */
};

_Static_assert(sizeof(struct stub_ucontext) == 304, "struct ucontext");
_Static_assert(sizeof(struct mbox) <= SLOT_WINDOW, "mbox fits its page");
_Static_assert(offsetof(struct mbox, fs_base) == 64, "the hand-over is one line");

/* uc_flags of a frame that the sentry builds */
#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

#define STUB_NSYSCALLS 512

/* As struct pf_arg_rule. */
struct stub_arg_rule {
	uint8_t kind, len_arg;
	uint16_t fixed;
};
enum { STUB_ARG_NONE, STUB_ARG_STRING, STUB_ARG_IN_LEN, STUB_ARG_IN_FIXED };

/* Read-only in the stub; filled by the sentry before the stub is mapped. */
struct stub_config {
	uint64_t text, text_size; /* addresses in the stub */
	uint64_t bank[2];
	uint64_t vdso_lo, vdso_hi; /* kept when everything else is unmapped; 0: none */
	uint32_t fsgsbase;	   /* the processor lets user code read and write the bases */
	uint32_t mseal;
	uint8_t has_rule[STUB_NSYSCALLS];
	struct stub_arg_rule rule[STUB_NSYSCALLS][6];
};

/* Offsets of the image's entry points, at its start. */
struct stub_image_header {
	uint64_t magic;
	uint32_t start;	   /* the template's first instruction: see stub_start */
	uint32_t signal;   /* handler for all signals */
	uint32_t restorer; /* for struct sigaction; never used */
	uint32_t serve;	   /* ptrace: serve one command, then int3 */
	uint32_t park;	   /* ptrace: wait for commands, untraced again */
	uint32_t trap;	   /* an int3 */
	uint32_t pad;
	uint32_t text_size; /* page-aligned: the configuration follows */
};
#define STUB_MAGIC 0x62757473726e7261ULL

#endif
