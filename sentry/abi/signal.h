/* The kernel's signal ABI on x86-64 (glibc's sigset_t and sigaction differ). */
#ifndef GARRISON_SENTRY_ABI_SIGNAL_H
#define GARRISON_SENTRY_ABI_SIGNAL_H

#include <signal.h>

#include "common/base.h"

typedef uint64_t ksigset; /* bit n-1 stands for signal n */

#define KNSIG 64
#define KSIGBIT(sig) (1ULL << ((sig)-1))
#define KSIGSET_UNBLOCKABLE (KSIGBIT(SIGKILL) | KSIGBIT(SIGSTOP))

struct ksigaction {
	uint64_t handler; /* guest address, or 0 SIG_DFL, 1 SIG_IGN */
	uint64_t flags;
	uint64_t restorer;
	ksigset mask;
};
static_assert(sizeof(struct ksigaction) == 32, "struct kernel sigaction");

#define KSIG_DFL 0
#define KSIG_IGN 1
#define KSA_RESTORER 0x04000000

struct kstack {
	uint64_t sp;
	int32_t flags;
	uint32_t pad;
	uint64_t size;
};
static_assert(sizeof(struct kstack) == 24, "stack_t");

/* siginfo_t is the same for the kernel and glibc on x86-64: 128 bytes. */
static_assert(sizeof(siginfo_t) == 128, "siginfo_t");

#endif
