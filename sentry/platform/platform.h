/*
 * The only door between the sentry's kernel and the machine: address spaces,
 * threads of guest code, and guest memory. Implemented by systrap (seccomp
 * SIGSYS in a stub process) and ptrace; see systrap/ and ptrace/.
 *
 * Model. A `pf_space` is one host process (a stub); a `pf_thread` is one host
 * thread in it that runs guest code. Each pf_thread is driven by exactly one
 * sentry thread: only that one calls the functions that take a pf_thread,
 * except where "any thread" is said. A pf_thread is either stopped (its
 * registers can be read and changed, memory calls can be made through it) or
 * running, inside pf_run.
 *
 * All results are >= 0 or -errno. A host error such as -ENOMEM from a memory
 * call is meant for the guest.
 */
#ifndef GARRISON_SENTRY_PLATFORM_H
#define GARRISON_SENTRY_PLATFORM_H

#include <sys/user.h>

#include "common/base.h"
#include "sentry/abi/uaddr.h"

struct pf_space;
struct pf_thread;

enum pf_event_kind {
	PF_SYSCALL,   /* a system call: pf_regs()->orig_rax is its number; rip is behind it */
	PF_FAULT,     /* a host signal raised by guest code: SIGSEGV, SIGBUS, SIGFPE, ... */
	PF_INTERRUPT, /* pf_interrupt was called, or nothing in particular: look around */
	PF_DEATH,     /* the stub process is gone (SIGKILL by the OOM killer, ...) */
};

struct pf_event {
	enum pf_event_kind kind;
	/* PF_FAULT: as in siginfo_t, plus the two words of the sigcontext. */
	int signo, code;
	uint64_t addr;
	uint64_t trapno, error_code;
	/* PF_DEATH: the stub's wait status. */
	int wait_status;
};

/* What the platform needs from the runtime, given once at start. */
struct pf_config {
	const char *name;   /* "systrap" or "ptrace" */
	unsigned int ncpus; /* CPUs that this sandbox may use; bounds the spinners */
	bool spin;	    /* false: never spin (tests) */
	/* A stub process died that nobody had told to; its running threads get PF_DEATH all the same.
	 * Called without locks by a thread of the platform; the space is borrowed. May be NULL. */
	void (*stub_died)(const struct pf_space *space);
};

/* Before the sentry confines itself: prepares the stub image and the first zygote.
 * Call while single-threaded. */
int pf_init(const struct pf_config *config) MUST_CHECK;
/* Kills and reaps every stub. */
void pf_shutdown(void);

/* The guest may use addresses in [pf_min_addr, pf_max_addr); the rest is the stub's. */
uint64_t pf_min_addr(void);
uint64_t pf_max_addr(void);
/* Where the host's vDSO and vvar pages lie in every space (above pf_max_addr). start is
 * the value for AT_SYSINFO_EHDR; 0 if there is none. */
struct pf_vdso {
	uint64_t start, size;
	uint64_t vvar_start, vvar_size;
};
struct pf_vdso pf_vdso(void);

/*
 * Container zygotes: spaces are made from one. pf_zygote_new starts a stub for one
 * container; the runtime moves its host pid into the container's cgroup, and everything
 * born of it inherits that.
 */
struct pf_zygote;
int pf_zygote_new(struct pf_zygote **out) MUST_CHECK;
void pf_zygote_put(struct pf_zygote *z);

/* --- spaces and threads ------------------------------------------------------------- */

/* An empty space with one stopped thread (all registers zero, FPU in its initial state). */
int pf_space_new(struct pf_zygote *z, struct pf_space **space,
		 struct pf_thread **thread) MUST_CHECK;
/* Copy-on-write copy of the parent's space, with one thread that starts as a copy of
 * `parent` (registers, FPU, FS and GS base). `parent` is stopped. */
int pf_space_fork(struct pf_thread *parent, struct pf_space **space,
		  struct pf_thread **thread) MUST_CHECK;
/* A further thread in the parent's space, as a copy of `parent`. */
int pf_thread_new(struct pf_thread *parent, struct pf_thread **thread) MUST_CHECK;

struct pf_space *pf_space_get(struct pf_space *s); /* any thread */
/* The last reference kills the stub process and reaps it. Any thread. */
void pf_space_put(struct pf_space *s);
/* Its stub process, in the sentry's pid namespace; any thread. */
pid_t pf_space_pid(const struct pf_space *s);
/* Makes every thread of the space return PF_DEATH, at once; any thread. */
void pf_space_kill(struct pf_space *s);

/* The calling sentry thread becomes the driver of t; call first, before anything else. */
void pf_thread_attach(struct pf_thread *t);
/* May a sentry thread, when its pf_thread has ended, drive another one? Else it must end too. */
bool pf_driver_may_stay(void);
/* Ends the guest thread and frees t. Drops the thread's reference on its space. */
void pf_thread_exit(struct pf_thread *t);

/* The calling thread, which drives a thread of guest code, goes to sleep or is awake again:
 * tells others that there is a CPU to spin on. Optional, cheap, any thread. */
void pf_task_sleeps(bool asleep);

/* Runs guest code until the next event. Pending changes of registers take effect. */
void pf_run(struct pf_thread *t, struct pf_event *event);
/* Any thread: makes a running pf_run, or else the next one, return PF_INTERRUPT. Cheap if
 * one is already on its way. The pf_thread must be kept alive by the caller. */
void pf_interrupt(struct pf_thread *t);

/* --- registers (stopped threads) ------------------------------------------------------ */

/* The general registers, orig_rax (-1: not in a syscall), fs_base and gs_base. Valid until
 * the next pf_run. */
const struct user_regs_struct *pf_regs(struct pf_thread *t);
/* The same to write; what is written takes effect at the next pf_run. CS, SS and flags
 * that user code may not change are masked by the platform. */
struct user_regs_struct *pf_regs_mut(struct pf_thread *t);
/* Sets only rax: the cheap way back from a syscall. */
void pf_set_result(struct pf_thread *t, uint64_t rax);
/* From now on single-step (a PF_FAULT with SIGTRAP after one instruction), or not. */
void pf_set_single_step(struct pf_thread *t, bool on);

/* FPU state in the layout of the kernel's signal frame (XSAVE area with its software
 * bytes and trailing magic). pf_fpu_size bounds it. get returns the size. set checks
 * nothing but the size: bad contents hurt only the guest. */
size_t pf_fpu_size(void);
ssize_t pf_fpu_get(struct pf_thread *t, void *buf, size_t size) MUST_CHECK;
int pf_fpu_set(struct pf_thread *t, const void *buf, size_t size) MUST_CHECK;
/* The initial state, as after execve. */
void pf_fpu_reset(struct pf_thread *t);

/* --- memory layout (through a stopped thread of the space) ------------------------------ */

/* As mmap(2) at a fixed address (MAP_FIXED is implied), page-aligned, inside the guest's
 * range. `fd` is a host fd of the sentry (borrowed) or -1 for anonymous memory. */
int pf_mmap(struct pf_thread *t, uaddr addr, uint64_t len, int prot, int flags, int fd,
	    uint64_t offset) MUST_CHECK;
/* The same for n mappings in this order, in one hand-over (an exec's segments); those before a
 * failed one stay. fd may be -1. */
struct pf_map {
	uint64_t addr, len;
	int prot, flags, fd;
	uint64_t offset;
};
int pf_mmap_batch(struct pf_thread *t, const struct pf_map *maps, unsigned int n) MUST_CHECK;
/*
 * The next single pf_mmap of anonymous memory, pf_munmap, pf_mprotect or pf_madvise says 0 and
 * may be carried out by the stub on its way back to the guest, without a hand-over of its own.
 * For calls that can hardly fail, in a space that no other thread uses (it could reuse the range
 * too early). If one fails after all, its error becomes the system call's result, and
 * pf_late_failed says so once, after the next event.
 */
void pf_late(struct pf_thread *t);
bool pf_late_failed(struct pf_thread *t);
int pf_munmap(struct pf_thread *t, uaddr addr, uint64_t len) MUST_CHECK;
int pf_mprotect(struct pf_thread *t, uaddr addr, uint64_t len, int prot) MUST_CHECK;
/* Moves or resizes to exactly `to` (MREMAP_MAYMOVE|MREMAP_FIXED when to != from;
 * dontunmap keeps the old range, emptied). */
int pf_mremap(struct pf_thread *t, uaddr from, uint64_t old_len, uint64_t new_len, uaddr to,
	      bool dontunmap) MUST_CHECK;
/* MADV_DONTNEED, FREE, REMOVE, HUGEPAGE, NOHUGEPAGE, DONTFORK, DOFORK, WIPEONFORK, ...;
 * advice that the stub's filter does not pass is accepted without effect where Linux lets
 * advice be ignored. */
int pf_madvise(struct pf_thread *t, uaddr addr, uint64_t len, int advice) MUST_CHECK;
/* mincore(2): one byte a page. */
int pf_mincore(struct pf_thread *t, uaddr addr, uint64_t len, unsigned char *vec) MUST_CHECK;

/* Which of n guest pages are resident: out[i] is set for addrs[i]. Any thread. -ENOSYS where the
 * host cannot tell. */
int pf_space_resident(struct pf_space *s, const uint64_t *addrs, size_t n, bool *out) MUST_CHECK;
/* Unmaps everything of the guest from the space (after vfork's child gave it back, or
 * before a restart). */

/* --- memory contents ----------------------------------------------------------------------- */

/*
 * Copies to and from guest memory; partial copies return the bytes copied before the
 * fault, and -EFAULT if there were none. They obey the guest's page protections.
 * Any thread; never under a spinning lock. The `thread` forms know the mailbox: arguments
 * that the stub brought along are read from there, at memcpy speed.
 */
ssize_t pf_space_read(struct pf_space *s, uaddr from, void *to, size_t n) MUST_CHECK;
ssize_t pf_space_write(struct pf_space *s, uaddr to, const void *from, size_t n) MUST_CHECK;
ssize_t pf_thread_read(struct pf_thread *t, uaddr from, void *to, size_t n) MUST_CHECK;
ssize_t pf_thread_write(struct pf_thread *t, uaddr to, const void *from, size_t n) MUST_CHECK;
/* As pf_thread_write, but may be carried out by the stub on its way back to the guest (one
 * memcpy, no host call). A fault then turns the syscall's result into -EFAULT. Use it for
 * results that no other thread may look for before this syscall ends. */
int pf_thread_write_late(struct pf_thread *t, uaddr to, const void *from, size_t n) MUST_CHECK;

/* From now on pf_thread_write_late writes at once, so that --strace can show what a call wrote.
 * Before the first guest runs. */
void pf_write_at_once(void);

/*
 * The bounce buffer of a thread: *size bytes (64 KiB at least) that the stub shares.
 * Data put there and passed to pf_thread_write_late is not copied a second time; data that
 * the stub brought along for `from` is returned in place by pf_thread_peek (NULL if it is
 * not there: use pf_thread_read). Guest code can change these bytes at any moment: use
 * them only as opaque data that is read once (a host write, a memcpy).
 */
void *pf_thread_window(struct pf_thread *t, size_t *size);
const void *pf_thread_peek(struct pf_thread *t, uaddr from, size_t n);
/* Copies as much as the stub brought along of what lies at `from`, at most n bytes: how many, 0
 * for none. For strings, whose length the sentry does not know before. */
size_t pf_thread_brought(struct pf_thread *t, uaddr from, void *to, size_t n);

/*
 * Atomic operations on one aligned 32-bit word of guest memory, for futexes: result in
 * *old, or -EFAULT. cmpxchg stores `new` if the word equals `expect`.
 */
int pf_space_load32(struct pf_space *s, uaddr addr, uint32_t *value) MUST_CHECK;
int pf_thread_cmpxchg32(struct pf_thread *t, uaddr addr, uint32_t expect, uint32_t new_value,
			uint32_t *old) MUST_CHECK;

/*
 * Which syscall arguments the stub copies into the mailbox before it hands over; the
 * table is made from the syscall table at start. kind per argument:
 */
enum pf_arg_copy {
	PF_ARG_NONE,
	PF_ARG_STRING,	 /* NUL-terminated, at most PATH_MAX */
	PF_ARG_IN_LEN,	 /* a buffer whose length is the argument `len_arg`, up to the window */
	PF_ARG_IN_FIXED, /* a struct of `fixed` bytes */
};
struct pf_arg_rule {
	uint8_t kind, len_arg;
	uint16_t fixed;
};
struct pf_syscall_rule {
	struct pf_arg_rule arg[6];
};
#define PF_NSYSCALLS 512
/* Before pf_init; borrowed for ever, PF_NSYSCALLS entries. */
void pf_set_syscall_rules(const struct pf_syscall_rule *rules);

/* For `garrison debug` and metrics: hand-overs by kind since start; any thread. */
struct pf_stats {
	uint64_t syscalls, faults, interrupts, spins_won, sleeps, asks;
};
void pf_stats(struct pf_stats *out);

#endif
