/*
 * Inside the platform: what its files share. Layers, from below:
 *
 *   frame.c      signal frames and FPU images
 *   filter.c     the seccomp filter
 *   arena.c      the memory that a stub and the sentry share
 *   space.c      processes and threads: slots, the table of pids, death
 *   ask.c        the listener: clone of processes, donated fds
 *   spawn.c      making processes and threads by commands to a stub
 *   template.c   the first stub, made by fork from the sentry
 *   zygote.c     a container's stub and its spare children
 *   place.c      CPUs: pinning and spinning
 *   memory.c     layout calls and copies
 *   systrap/, ptrace/   how a thread runs (struct pf_ops)
 *
 * Locks (leaves of the sentry's order but for the first): ask_lock, one fork or
 * donation at a time; space->lock, its slots and threads; the pid table's lock.
 * The driver of a thread alone touches the thread's own fields.
 */
#ifndef GARRISON_SENTRY_PLATFORM_PF_H
#define GARRISON_SENTRY_PLATFORM_PF_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/list.h"
#include "common/refcount.h"
#include "sentry/platform/place.h"
#include "sentry/platform/platform.h"
#include "sentry/platform/stub/stub.h"

struct arena {
	struct list node; /* in space->arenas */
	char *base;	  /* the sentry's mapping, aligned to SLOT_SIZE */
	uint64_t stub_base;
	uint32_t used; /* bit n: slot n has a thread */
	int fd;	       /* kept for the next process (see arena.c), or -1 */
};

/* A stub thread whose guest thread has ended: it waits in its slot for the next one. */
struct parked {
	struct arena *arena;
	unsigned int slot;
	pid_t tid;
	uint32_t frame; /* its own stack lies below */
	int cpu;	/* to which it is pinned, or -1 */
};
#define PARKED_MAX 4	  /* in a space */
#define PARKED_IN_ALL 64U /* they count against the container's pids limit */

struct pf_space {
	struct refcount ref;
	pid_t pid;	  /* immutable once known */
	int bank;	  /* immutable */
	bool zygote;	  /* immutable: a template, a zygote or one of their spares-to-be */
	atomic_int users; /* calls that use pid just now; the reaper waits for them */
	atomic_bool dead; /* set by the reaper; pid may belong to another soon after */
	int wait_status;  /* valid once dead */
	bool forked;	  /* a child may have what this process had; set before it can be */

	pthread_mutex_t lock;
	/* guarded by lock */
	struct list arenas, threads;
	unsigned int narenas, nparked;
	struct parked parked[PARKED_MAX];

	int pidfd;		 /* -1: not used */
	pthread_mutex_t fd_lock; /* held while a fd is at STUB_FD in the process */

	/* guarded by the pid table's lock */
	struct list hash_node;
	bool released; /* the last reference went */
	bool reaped;
	atomic_bool kill_sent;
};

#define DIRTY_RESULT 1U
#define DIRTY_REGS 2U
#define DIRTY_BASE 4U

struct pf_thread {
	struct pf_space *space; /* owned reference */
	struct arena *arena;
	unsigned int slot;
	struct mbox *mbox; /* the sentry's view */
	uint64_t stub_mbox;
	pid_t tid; /* as the stub says: only used within the process, see ask.c */
	bool leader;
	bool parked; /* its stub thread is the space's again: see space_park */

	/* any thread */
	atomic_uint interrupt; /* an interrupt is pending */
	atomic_uint in_guest;

	/* the driver's */
	struct user_regs_struct regs; /* private copy of a stopped thread's registers */
	unsigned int dirty;
	uint64_t loaded_fs, loaded_gs;
	uint32_t frame; /* checked offset of the ucontext in the slot */
	bool step, step_syscall;
	unsigned int ncopies;
	struct stub_copy copies[6];
	unsigned int nlate;
	struct stub_copy late[STUB_LATE];
	unsigned int nlate_calls;    /* prepared in the mailbox, to be made on the way back */
	bool late_next, late_failed; /* see pf_late */
	uint32_t window_used;
	struct place place;

	struct list space_node; /* space->threads, under space->lock */
	/* ptrace */
	bool traced, frame_fresh, fpu_dirty;
};

/* How a thread runs: what systrap and ptrace do differently. All but interrupt are called by
 * the thread's driver while it is stopped. */
struct pf_ops {
	const char *name;
	bool late_calls; /* the stub can make calls on its way back to the guest */
	bool traces;	 /* stops of traced threads must not reach the reaper */
	void (*attach)(struct pf_thread *t);
	void (*run)(struct pf_thread *t, struct pf_event *event);
	/* The thread may be in guest code: make it come out. Any thread. */
	void (*kick)(struct pf_thread *t);
	/* Lets the stub begin the command in the mailbox, and waits for its end. -ESRCH: it is
	 * dead. */
	int (*post)(struct pf_thread *t, enum stub_cmd cmd);
	int (*finish)(struct pf_thread *t);
	bool (*finished)(struct pf_thread *t); /* finish would not wait */
	/* Brings the frame in the slot up to date, so that a copy of it starts a thread. */
	int (*sync_frame)(struct pf_thread *t);
	/* The frame's FPU image was changed. */
	void (*fpu_changed)(struct pf_thread *t);
	void (*exit)(struct pf_thread *t);
};

extern const struct pf_ops systrap_ops, ptrace_ops;

struct pf_global {
	struct pf_config config;
	const struct pf_ops *ops;
	const struct pf_syscall_rule *rules;
	uint64_t bank[2];
	uint64_t text, text_size, image_size, vdso_place;
	const struct stub_image_header *image;
	struct pf_vdso vdso;
	bool fsgsbase;
	int listener;
	struct pf_space *template_space;
	struct pf_thread *template_thread;
};
extern struct pf_global pf;

/* --- frame.c ------------------------------------------------------------------------------ */

#define MBOX_AT(m, off) ((void *)((char *)(m) + (off)))

void frame_init(void);
/* Builds a frame with zeroed registers and the initial FPU state; returns its offset. */
uint32_t frame_build(struct mbox *m, uint64_t stub_mbox);
/* Copies the frame at `off` (checked) into another slot at the same offset. */
void frame_copy(struct mbox *to, uint64_t stub_to, const struct mbox *from, uint64_t stub_from,
		uint32_t off);
/* True if a frame may lie at this offset. */
bool frame_valid(uint32_t off);
static inline struct stub_frame *frame_at(struct mbox *m, uint32_t off)
{
	return MBOX_AT(m, off);
}
void frame_load(const struct stub_frame *f, struct user_regs_struct *regs);
void frame_store(struct stub_frame *f, const struct user_regs_struct *regs);
size_t fpu_size(void);
void fpu_initial(void *buf);
/* Makes an XSAVE area an image as in a frame: software bytes and trailing magic. */
void fpu_seal(void *buf);
ssize_t frame_fpu_get(struct pf_thread *t, void *buf, size_t size);
int frame_fpu_set(struct pf_thread *t, const void *buf, size_t size);
void frame_fpu_reset(struct pf_thread *t);

/* --- arena.c ------------------------------------------------------------------------------- */

/* An empty arena, mapped, without a place in a stub. *fd: its memfd, owned. */
int arena_new(struct arena **out, int *fd) MUST_CHECK;
void arena_free(struct arena *a);
/* The process has mapped it: the fd may stay with it. Takes *fd then. */
void arena_keep_fd(struct arena *a, int *fd);
/* For an arena whose process is dead and had no children: takes it, or false. */
bool arena_recycle(struct arena *a) MUST_CHECK;

/* --- space.c ------------------------------------------------------------------------------- */

/* A space without a process yet, with one arena (memfd in *fd, owned) and one thread in slot 0. */
int space_alloc(int bank, struct pf_space **space, struct pf_thread **thread, int *fd) MUST_CHECK;
/* For a space whose process never came to be. */
void space_discard(struct pf_thread *t);
/* The process exists now. -ESRCH: pid is no child of ours. */
int space_born(struct pf_space *s, pid_t pid) MUST_CHECK;
/* A thread in a free slot (its mailbox prepared, stub part not started). -EAGAIN: no slot. */
int space_slot_new(struct pf_space *s, struct pf_thread **out) MUST_CHECK;
/* Keeps t's stub thread, which is stopped, for another guest thread; then t is to be freed. False:
 * there are enough of them. */
bool space_park(struct pf_thread *t) MUST_CHECK;
/* A thread with a parked stub thread, which can start from a frame at `frame`; or NULL. */
struct pf_thread *space_unpark(struct pf_space *s, uint32_t frame);
int space_arena_new(struct pf_space *s, struct arena **out, int *fd) MUST_CHECK;
void space_arena_add(struct pf_space *s, struct arena *a);
void space_thread_free(struct pf_thread *t);
/* Pins the pid against reuse; false: the process is gone. */
bool space_use(struct pf_space *s) MUST_CHECK;
void space_unuse(struct pf_space *s);
void reaper_init(void);
void reaper_start(void);
/* Every stub, zygotes included. */
void space_kill_all(void);
/* Blocks until the reaper has seen the end of the (killed) process. */
void space_wait_dead(struct pf_space *s);

/* --- ask.c ----------------------------------------------------------------------------------- */

/* Posts the prepared calls and answers their asks with the fds, in order. */
int ask_command(struct pf_thread *t, const int *fds, unsigned int nfds) MUST_CHECK;
/* Posts CMD_FORK, enters the child's pid into `child` and answers its ask with arena_fd. */
int ask_fork(struct pf_thread *t, struct pf_space *child, int arena_fd) MUST_CHECK;

/* --- spawn.c --------------------------------------------------------------------------------- */

/* A child process of t's: a copy of its guest state, or with `fresh` a zeroed thread. */
int spawn_process(struct pf_thread *t, bool fresh, struct pf_space **space,
		  struct pf_thread **thread) MUST_CHECK;

/* --- template.c --------------------------------------------------------------------------------
 */
int template_start(void) MUST_CHECK;

/* --- memory.c ----------------------------------------------------------------------------------
 */

int flush_late(struct pf_thread *t) MUST_CHECK;
struct stub_call *call_prepare(struct pf_thread *t, unsigned int i, uint64_t nr);
int64_t call_run(struct pf_thread *t, unsigned int n);
int call_run_fds(struct pf_thread *t, unsigned int n, const int *fds, unsigned int nfds) MUST_CHECK;

/* --- statistics ---------------------------------------------------------------------------------
 */
struct pf_counters {
	atomic_ulong syscalls, faults, interrupts, spins_won, sleeps, asks;
};
extern struct pf_counters pf_count;
#define COUNT(what) atomic_fetch_add_explicit(&pf_count.what, 1, memory_order_relaxed)

#endif
