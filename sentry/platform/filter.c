/*
 * The seccomp filter of the stubs, assembled by hand because it depends on the
 * instruction pointer, which libseccomp cannot match.
 *
 *   not x86-64 (int 0x80)           TRAP: the sentry answers
 *   from outside the stub's text    TRAP: a guest system call
 *   from the stub's text            the calls below with the arguments below;
 *                                   clone of a process and the ask: USER_NOTIF;
 *                                   anything else: KILL_PROCESS
 *
 * Guest code can jump to any syscall instruction of the stub with any registers,
 * so each rule here is one that an attacker may use; docs/security.md says what
 * each one gains. x32 numbers are other numbers, so they trap or kill.
 */
#include "sentry/platform/filter.h"

#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sentry/platform/stub/stub.h"

struct code {
	struct sock_filter *f;
	size_t n;
};

static void emit(struct code *a, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	assert(a->n < STUB_FILTER_MAX && jt < 256 && jf < 256);
	a->f[a->n++] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

static void load(struct code *a, size_t offset)
{
	emit(a, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_arg(struct code *a, int arg, bool high)
{
	load(a, offsetof(struct seccomp_data, args) + 8 * (size_t)arg + (high ? 4 : 0));
}

static void ret(struct code *a, uint32_t action)
{
	emit(a, BPF_RET | BPF_K, action, 0, 0);
}

/* Kills unless the loaded word is k. */
static void want_equal(struct code *a, uint32_t k)
{
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
	ret(a, SECCOMP_RET_KILL_PROCESS);
}

/* Kills if the argument has a bit outside of `mask`. */
static void want_mask(struct code *a, int arg, uint32_t mask)
{
	load_arg(a, arg, true);
	want_equal(a, 0);
	load_arg(a, arg, false);
	emit(a, BPF_JMP | BPF_JSET | BPF_K, ~mask, 0, 1);
	ret(a, SECCOMP_RET_KILL_PROCESS);
}

/* Kills unless the argument's low word is one of the values (the kernel reads an int). */
static void want_one_of(struct code *a, int arg, const uint32_t *values, size_t n)
{
	load_arg(a, arg, false);
	for (size_t i = 0; i < n; i++)
		emit(a, BPF_JMP | BPF_JEQ | BPF_K, values[i], n - i, 0);
	ret(a, SECCOMP_RET_KILL_PROCESS);
}

static void rule_mmap(struct code *a)
{
	want_mask(a, 2, PROT_READ | PROT_WRITE | PROT_EXEC);
	want_mask(a, 3,
		  MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE |
		      MAP_POPULATE | MAP_GROWSDOWN | MAP_STACK | MAP_FIXED_NOREPLACE);
	/* Anonymous, or the agreed fd. */
	load_arg(a, 3, false);
	emit(a, BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 3, 0);
	load_arg(a, 4, false);
	want_equal(a, STUB_FD);
}

static void rule_mprotect(struct code *a)
{
	want_mask(a, 2,
		  PROT_READ | PROT_WRITE | PROT_EXEC | (uint32_t)PROT_GROWSDOWN |
		      (uint32_t)PROT_GROWSUP);
}

static void rule_mremap(struct code *a)
{
	want_mask(a, 3, MREMAP_MAYMOVE | MREMAP_FIXED | 4 /* DONTUNMAP */);
}

static void rule_madvise(struct code *a)
{
	static const uint32_t advice[] = {
	    MADV_NORMAL,
	    MADV_RANDOM,
	    MADV_SEQUENTIAL,
	    MADV_WILLNEED,
	    MADV_DONTNEED,
	    MADV_FREE,
	    MADV_REMOVE,
	    MADV_DONTFORK,
	    MADV_DOFORK,
	    MADV_HUGEPAGE,
	    MADV_NOHUGEPAGE,
	    MADV_WIPEONFORK,
	    MADV_KEEPONFORK,
	    22 /* POPULATE_READ */,
	    23 /* POPULATE_WRITE */,
	};

	want_one_of(a, 2, advice, ARRAY_SIZE(advice));
}

static void rule_futex(struct code *a)
{
	/* No requeue: it could move the sentry's own waiters. */
	static const uint32_t ops[] = {FUTEX_WAIT, FUTEX_WAKE};

	want_one_of(a, 1, ops, ARRAY_SIZE(ops));
}

static void rule_close(struct code *a)
{
	load_arg(a, 0, false);
	want_equal(a, STUB_FD);
}

static void rule_arch_prctl(struct code *a)
{
	static const uint32_t ops[] = {0x1001, 0x1002, 0x1003, 0x1004}; /* [GS]ET_[FG]S */

	want_one_of(a, 0, ops, ARRAY_SIZE(ops));
}

static void rule_any(struct code *a)
{
}

/* One call: its number, its conditions, then the action. */
static void call(struct code *a, uint32_t nr, void (*rule)(struct code *), uint32_t action)
{
	struct sock_filter body[64] = {0};
	struct code b = {.f = body};

	rule(&b);
	ret(&b, action);
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, b.n);
	assert(a->n + b.n <= STUB_FILTER_MAX);
	memcpy(a->f + a->n, body, b.n * sizeof(body[0]));
	a->n += b.n;
}

/* A thread passes; a process needs the sentry's consent, else nobody would know it. */
static void clone_call(struct code *a)
{
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 10);
	load_arg(a, 0, true);
	want_equal(a, 0);
	load_arg(a, 0, false);
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, STUB_THREAD_FLAGS, 0, 1);
	ret(a, SECCOMP_RET_ALLOW);
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, STUB_FORK_FLAGS, 0, 1);
	ret(a, SECCOMP_RET_USER_NOTIF);
	ret(a, SECCOMP_RET_KILL_PROCESS);
	ret(a, SECCOMP_RET_KILL_PROCESS); /* keeps the jump above simple */
}

static void only_from_stub(struct code *a, uint64_t text, uint64_t text_end)
{
	size_t ip = offsetof(struct seccomp_data, instruction_pointer);

	assert(text >> 32 == (text_end - 1) >> 32);
	load(a, offsetof(struct seccomp_data, arch));
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	ret(a, SECCOMP_RET_TRAP);
	load(a, ip + 4);
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(text >> 32), 1, 0);
	ret(a, SECCOMP_RET_TRAP);
	load(a, ip);
	emit(a, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)text, 1, 0);
	ret(a, SECCOMP_RET_TRAP);
	emit(a, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)text_end, 0, 1);
	ret(a, SECCOMP_RET_TRAP);
}

size_t stub_filter(struct sock_filter out[STUB_FILTER_MAX], uint64_t text, uint64_t text_end,
		   bool fsgsbase)
{
	struct code a = {.f = out};

	only_from_stub(&a, text, text_end);
	load(&a, offsetof(struct seccomp_data, nr));
	call(&a, __NR_rt_sigreturn, rule_any, SECCOMP_RET_ALLOW);
	call(&a, __NR_futex, rule_futex, SECCOMP_RET_ALLOW);
	call(&a, STUB_ASK, rule_any, SECCOMP_RET_USER_NOTIF);
	call(&a, __NR_mmap, rule_mmap, SECCOMP_RET_ALLOW);
	call(&a, __NR_munmap, rule_any, SECCOMP_RET_ALLOW);
	call(&a, __NR_mprotect, rule_mprotect, SECCOMP_RET_ALLOW);
	call(&a, __NR_madvise, rule_madvise, SECCOMP_RET_ALLOW);
	call(&a, __NR_mremap, rule_mremap, SECCOMP_RET_ALLOW);
	call(&a, __NR_mincore, rule_any, SECCOMP_RET_ALLOW);
	call(&a, __NR_close, rule_close, SECCOMP_RET_ALLOW);
	call(&a, __NR_exit, rule_any, SECCOMP_RET_ALLOW);
	if (fsgsbase == false)
		call(&a, __NR_arch_prctl, rule_arch_prctl, SECCOMP_RET_ALLOW);
	clone_call(&a);
	ret(&a, SECCOMP_RET_KILL_PROCESS);
	return a.n;
}
